//! Owns the words that an option of a URL can take: how TLS is begun, how the login is done, which TLS, whose
//! certificates. It must not read URLs.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

/// When a session that began in clear text changes over to TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartTls {
    /// Nothing but EHLO is ever said in clear text.
    Required,
    /// Used where the relay offers it; otherwise the session, its login included, stays in clear text.
    Optional,
    /// Not used: the URL forbids it, or TLS is there from the first byte.
    Never,
}

impl fmt::Display for StartTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Required => "required",
            Self::Optional => "optional",
            Self::Never => "never",
        })
    }
}

/// A mechanism of AUTH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMethod {
    /// RFC 4616.
    Plain,
    /// User and password, each behind a prompt of the relay.
    Login,
    /// RFC 2195.
    CramMd5,
    /// An OAuth 2.0 access token, which stands in the place of the password.
    XOAuth2,
}

impl AuthMethod {
    /// All of them.
    pub(super) const ALL: [Self; 4] = [Self::Plain, Self::Login, Self::CramMd5, Self::XOAuth2];

    /// The name in the SMTP dialogue.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::CramMd5 => "CRAM-MD5",
            Self::XOAuth2 => "XOAUTH2",
        }
    }
}

impl fmt::Display for AuthMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// RFC 5246.
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl TlsVersion {
    /// The name in Node's options.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tls12 => "TLSv1.2",
            Self::Tls13 => "TLSv1.3",
        }
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The certificate authorities that are trusted in place of the system's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsCa {
    /// Their certificates in PEM, checked already; at least one.
    Pem(String),
    /// A file of such certificates, not read yet.
    File(PathBuf),
}

impl TlsCa {
    /// The certificates in PEM; those of a file are as they were found.
    pub fn read(&self) -> std::io::Result<Cow<'_, [u8]>> {
        match self {
            Self::Pem(pem) => Ok(Cow::Borrowed(pem.as_bytes())),
            Self::File(path) => std::fs::read(path).map(Cow::Owned),
        }
    }
}
