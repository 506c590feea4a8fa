//! Owns how a failed delivery is described: the phase, the cause, nodemailer's code name. It must not decide
//! whether to try again, and its texts never contain an address, which a relay's reply may quote.

use std::fmt;
use std::io;

use crate::session::Reply;

/// How far a delivery had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Looking the relay's name up.
    Resolve,
    /// Opening the TCP connection.
    Connect,
    /// Waiting for the relay's first line.
    Greeting,
    /// `EHLO`, `HELO`.
    Ehlo,
    /// The `STARTTLS` command.
    StartTls,
    /// The TLS handshake.
    Tls,
    /// The login.
    Auth,
    /// `MAIL FROM`.
    Mail,
    /// `RCPT TO`.
    Rcpt,
    /// The `DATA` command, and the message as long as its final dot has not left: the relay cannot have taken it.
    Data,
    /// The message and the dot that ends it. An error here leaves open whether the relay took the message,
    /// unless it is [`Cause::Refused`].
    FinalDot,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "looking up the relay's name",
            Self::Connect => "connecting to the relay",
            Self::Greeting => "waiting for the relay's greeting",
            Self::Ehlo => "saying EHLO",
            Self::StartTls => "asking for TLS (STARTTLS)",
            Self::Tls => "the TLS handshake",
            Self::Auth => "logging in (AUTH)",
            Self::Mail => "naming the sender (MAIL FROM)",
            Self::Rcpt => "naming the recipient (RCPT TO)",
            Self::Data => "announcing the message (DATA)",
            Self::FinalDot => "handing over the message",
        })
    }
}

/// What went wrong in a phase.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Cause {
    /// The relay answered with 4xx or 5xx. The text is not shown here: it often quotes the address.
    #[error("the relay refused with {}", .0.codes())]
    Refused(Reply),
    /// The deadline passed.
    #[error("the relay took too long")]
    TimedOut,
    /// The connection ended.
    #[error("the connection was closed")]
    Closed,
    /// The system reported another failure.
    #[error("{}", words(*.0))]
    Io(io::ErrorKind),
    /// TLS failed; the certificate, for example.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// What came is not SMTP.
    #[error("the relay does not keep to SMTP: {0}")]
    Protocol(&'static str),
    /// TLS is required but the relay does not offer it.
    #[error("STARTTLS is required, but the relay does not offer it")]
    TlsUnavailable,
    /// A login is set but the relay offers none that can be used.
    #[error("a login is set, but the relay offers none of AUTH PLAIN, LOGIN, CRAM-MD5 and XOAUTH2")]
    AuthUnavailable,
    /// The envelope could be read as something else than one address; nothing was sent.
    #[error("the address cannot be used: {0}")]
    InvalidEnvelope(&'static str),
    /// The message needs an extension that the relay does not have.
    #[error("the message needs {0}, which the relay does not offer")]
    Unsupported(&'static str),
    /// The message is larger than what the relay takes by its own word; nothing of it was sent.
    #[error("the message is larger than the {limit} bytes that the relay takes")]
    TooLarge {
        /// The relay's limit in bytes.
        limit: u64,
    },
    /// The pool was closed before the dialogue began.
    #[error("the connection pool is closed")]
    PoolClosed,
    /// Too many messages wait for a connection already; this one was not taken.
    #[error("too many messages wait for this relay")]
    QueueFull,
    /// The time of [`Pool::send_within`](crate::Pool::send_within) passed before the dialogue began; the message was taken
    /// back, and the relay has nothing of it.
    #[error("all connections were busy, or the rate was spent")]
    NotBegun,
    /// [`Pool::send_within`](crate::Pool::send_within) did not take the message: the relay hangs at its recipient's domain, which
    /// has all the connections already that it may take from others. The relay has nothing of it.
    #[error("the relay hangs at the recipient's domain")]
    HeldBack,
}

/// A delivery that failed. Its text is safe to log: it names no address and no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{phase}: {}", told(*.phase, .cause))]
pub struct SendError {
    phase: Phase,
    cause: Cause,
}

impl SendError {
    pub(crate) fn new(phase: Phase, cause: Cause) -> Self {
        Self { phase, cause }
    }

    /// The phase it failed in.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// What went wrong.
    pub fn cause(&self) -> &Cause {
        &self.cause
    }

    /// The relay's words, where it was the relay that refused.
    pub fn reply(&self) -> Option<&Reply> {
        match &self.cause {
            Cause::Refused(reply) => Some(reply),
            _ => None,
        }
    }

    /// The name nodemailer 10 has for such an error, in its `err.code`.
    pub fn code(&self) -> &'static str {
        match (&self.cause, self.phase) {
            (Cause::TimedOut, _) => "ETIMEDOUT",
            // nodemailer's queue has no end; this name says that the relay was not reached.
            (Cause::Closed | Cause::PoolClosed | Cause::QueueFull | Cause::NotBegun | Cause::HeldBack, _) => {
                "ECONNECTION"
            }
            (Cause::InvalidEnvelope(_), _) => "EENVELOPE",
            (Cause::Unsupported("SMTPUTF8"), _) => "EENVELOPE",
            (Cause::Unsupported(_) | Cause::TooLarge { .. }, _) => "EMESSAGE",
            (Cause::TlsUnavailable, _) => "ETLS",
            (Cause::AuthUnavailable, _) => "EAUTH",
            (Cause::Protocol(_), _) => "EPROTOCOL",
            (Cause::Io(_), Phase::Resolve) => "EDNS",
            (Cause::Io(_) | Cause::Tls(_), _) => "ESOCKET",
            (Cause::Refused(_), Phase::StartTls) => "ETLS",
            (Cause::Refused(_), Phase::Auth) => "EAUTH",
            (Cause::Refused(_), Phase::Mail | Phase::Rcpt | Phase::Data) => "EENVELOPE",
            (Cause::Refused(_), Phase::FinalDot) => "EMESSAGE",
            (Cause::Refused(_), _) => "EPROTOCOL",
        }
    }

    /// Whether the same message would fail in the same way at this relay: it said so with 5xx (but for 503, a command at
    /// the wrong time, as in nodemailer), or the message is one that it cannot take.
    ///
    /// That is about the relay as it is set up now, and may be no fault of the message: a refused login is permanent too.
    /// The documentation of the crate tells, under "Errors", which failures are a reason to give a message up.
    pub fn permanent(&self) -> bool {
        match &self.cause {
            Cause::Refused(reply) => reply.code() >= 500 && reply.code() != 503,
            Cause::InvalidEnvelope(_) | Cause::Unsupported(_) | Cause::TooLarge { .. } => true,
            _ => false,
        }
    }

    /// Whether the relay may have taken the message all the same, so that sending it again may deliver it twice: its
    /// final dot had left, and no refusal came.
    pub fn may_have_been_accepted(&self) -> bool {
        self.phase == Phase::FinalDot && !matches!(self.cause, Cause::Refused(_))
    }

    /// Whether the relay ended the session with 421, whatever it was asked.
    pub(crate) fn is_farewell(&self) -> bool {
        self.reply().is_some_and(|reply| reply.code() == 421)
    }
}

/// A cause in its phase: of a look-up the system tells no more than that it failed.
fn told(phase: Phase, cause: &Cause) -> String {
    match (phase, cause) {
        (Phase::Resolve, Cause::Io(_)) => "no such host, or DNS does not answer".to_owned(),
        _ => cause.to_string(),
    }
}

/// What the system reports, where the standard library's words say nothing.
fn words(kind: io::ErrorKind) -> String {
    match kind {
        io::ErrorKind::InvalidInput | io::ErrorKind::AddrNotAvailable => {
            "the address to connect from is not one of this machine, or of the wrong family".to_owned()
        }
        // The kind of what has no kind: it has no name that code may match.
        _ if kind.to_string() == "uncategorized error" => "the system has no name for the failure".to_owned(),
        _ => kind.to_string(),
    }
}

fn unreadable(kind: io::ErrorKind) -> String {
    match kind {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        _ => kind.to_string(),
    }
}

/// Why a pool cannot be started with these settings on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The URL has a user without a password, or a password without a user.
    #[error("the login is incomplete: write user:password@ before the host")]
    IncompleteLogin,
    /// TLS is needed, but there is no certificate authority to trust.
    #[error("no trusted root certificates were found on this system: install its package `ca-certificates`")]
    NoRoots,
    /// The given roots are not certificates in PEM.
    #[error("the root certificates cannot be read as PEM")]
    InvalidRoots,
    /// The file that `tls.ca` names cannot be read.
    #[error("the file of `tls.ca` cannot be read: {}", unreadable(*.0))]
    UnreadableRoots(io::ErrorKind),
    /// The TLS library refused its own defaults.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}
