//! Owns the meaning of a connection URL (`smtp://user:password@host:port/?option=value`).
//!
//! It follows nodemailer where nodemailer has one clear reading and refuses where it guesses. It must not
//! open connections, and no error that leaves here contains a part of the URL that may be a password.

mod authority;
mod error;
mod host;
mod query;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

pub use error::SettingsError;

use authority::Authority;
use host::Host;
use query::Options;

/// Kept connections when the URL does not say `maxConnections`, as in nodemailer.
const DEFAULT_CONNECTIONS: usize = 5;

/// A URL longer than this is refused before anything else looks at it.
const LONGEST_URL: usize = 8 * 1024;

/// What a connection URL means: the relay, the login, and the rules for TLS.
///
/// `Debug` shows the URL with the password replaced.
#[derive(Clone)]
pub struct Settings {
    secure: bool,
    host: Host,
    port: u16,
    login: Option<Login>,
    options: Options,
}

/// User and password as they go into the login, already decoded.
#[derive(Clone)]
struct Login {
    user: String,
    password: Zeroizing<String>,
}

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

impl Settings {
    /// Reads a connection URL. Every refusal says which part or option is wrong and what to write instead.
    pub fn parse(url: &str) -> Result<Self, SettingsError> {
        if url.len() > LONGEST_URL {
            return Err(SettingsError::TooLong { limit: LONGEST_URL });
        }
        let (secure, rest) = split_scheme(url)?;
        if url.chars().any(char::is_control) {
            return Err(SettingsError::ControlCharacter { place: "the URL" });
        }
        let rest = rest.trim_end_matches(' ');
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        // With a third slash, or with only one, the host would count as a path and be lost.
        if rest.starts_with(['/', '\\']) {
            return Err(SettingsError::HostInPath);
        }
        let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        // A password with a raw `/`, `?` or `#` ends the authority early, so that its first half would be
        // taken for the port and its second half for an option.
        if tail.contains('@') || tail.starts_with('\\') {
            return Err(SettingsError::UnescapedLogin);
        }
        let Authority { host, port, login } = Authority::parse(authority)?;
        let before_fragment = tail.split('#').next().unwrap_or_default();
        let query = before_fragment.split_once('?').map_or("", |(_, query)| query);
        let options = Options::parse(query)?;
        let port = port.unwrap_or(if secure { 465 } else { 587 });
        Ok(Self { secure, host, port, login, options })
    }

    /// Host name in A-labels and lower case, or an IP address without brackets.
    pub fn host(&self) -> &str {
        self.host.as_str()
    }

    /// TCP port; without one in the URL 465 for `smtps:` and 587 for `smtp:`, never 25.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether TLS is spoken from the first byte (`smtps:`).
    pub fn secure(&self) -> bool {
        self.secure
    }

    /// The user to log in as. `None`: no login. May be empty when the URL has only a password.
    pub fn user(&self) -> Option<&str> {
        self.login.as_ref().map(|login| login.user.as_str())
    }

    /// Whether there is a password that is not empty.
    pub fn has_password(&self) -> bool {
        self.login.as_ref().is_some_and(|login| !login.password.is_empty())
    }

    /// The password in clear; `Some("")` when the URL names only a user. Never log what this returns.
    pub fn expose_password(&self) -> Option<&str> {
        self.login.as_ref().map(|login| login.password.as_str())
    }

    /// `pool` as the URL says it. Connections are kept either way.
    pub fn pool(&self) -> bool {
        self.options.pool.unwrap_or(false)
    }

    /// The most connections that are ever open at once.
    pub fn max_connections(&self) -> usize {
        self.options.max_connections.unwrap_or(DEFAULT_CONNECTIONS)
    }

    /// `requireTLS` as the URL says it; [`Settings::starttls`] is what follows from it.
    pub fn require_tls(&self) -> bool {
        self.options.require_tls.unwrap_or(false)
    }

    /// `ignoreTLS` as the URL says it.
    pub fn ignore_tls(&self) -> bool {
        self.options.ignore_tls.unwrap_or(false)
    }

    /// Whether the relay's certificate must be valid and fit its name.
    pub fn reject_unauthorized(&self) -> bool {
        self.options.reject_unauthorized.unwrap_or(true)
    }

    /// The name to ask for and to expect in the certificate, where it is not the host.
    pub fn servername(&self) -> Option<&str> {
        self.options.servername.as_deref()
    }

    /// The name to give in EHLO, where the URL chooses one.
    pub fn name(&self) -> Option<&str> {
        self.options.name.as_deref()
    }

    /// The options that the URL itself names, in a fixed order, with their decoded values; booleans are `true` or
    /// `false` however they were written. What it leaves out is not here: see the method of each option.
    pub fn written_options(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        self.options.written()
    }

    /// The rule for STARTTLS: required beyond loopback unless the URL says otherwise. `requireTLS=true`
    /// wins over `ignoreTLS=true`, as in nodemailer 10.
    pub fn starttls(&self) -> StartTls {
        if self.secure {
            return StartTls::Never;
        }
        match (self.options.require_tls, self.ignore_tls()) {
            (Some(true), _) => StartTls::Required,
            (_, true) => StartTls::Never,
            (Some(false), false) => StartTls::Optional,
            (None, false) if self.host.is_loopback() => StartTls::Optional,
            (None, false) => StartTls::Required,
        }
    }

    /// The URL in one normal form, with `***` for the password.
    pub fn redacted(&self) -> String {
        let scheme = if self.secure { "smtps" } else { "smtp" };
        let login = self.login.as_ref().map_or_else(String::new, |login| {
            if login.password.is_empty() {
                // A user without a password is no login; more often it is a key in the wrong place.
                return "***@".to_owned();
            }
            // Some relays take one secret as both.
            if login.user == *login.password {
                return "***:***@".to_owned();
            }
            format!("{}:***@", utf8_percent_encode(&login.user, USER))
        });
        let host = self.host.in_url();
        let query: Vec<String> = self
            .options
            .written()
            .into_iter()
            .map(|(key, value)| format!("{key}={}", utf8_percent_encode(&value, VALUE)))
            .collect();
        let query = if query.is_empty() { String::new() } else { format!("/?{}", query.join("&")) };
        format!("{scheme}://{login}{host}:{}{query}", self.port)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Settings").field(&self.redacted()).finish()
    }
}

const USER: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const VALUE: &AsciiSet = &CONTROLS.add(b' ').add(b'&').add(b'+').add(b'%').add(b'#').add(b'@');

fn split_scheme(url: &str) -> Result<(bool, &str), SettingsError> {
    let Some((scheme, rest)) = url.split_once(':') else { return Err(SettingsError::NotAUrl) };
    if scheme.eq_ignore_ascii_case("smtp") {
        Ok((false, rest))
    } else if scheme.eq_ignore_ascii_case("smtps") {
        Ok((true, rest))
    } else if scheme.eq_ignore_ascii_case("direct") {
        Err(SettingsError::Direct)
    } else {
        Err(SettingsError::NotAUrl)
    }
}
