//! What an application implements to send the mails itself, in place of a relay.
//!
//! The outbox in front of it is the same as for a relay, and so are its promises: a mail that was acknowledged is asked
//! for at least once, with the same arguments each time, until its deadline. This must not decide when to try again:
//! that is the courier's, in `regain-core`.

mod mailer;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use regain_core::{Address, LetterId, Timestamp, Token, UserAgent};
use zeroize::Zeroizing;

pub use mailer::{HandlerMailer, Links};

/// Sends the mails of an application, as the `emailHandler` of the Realm Object Server did.
///
/// Each method is called from the courier, never from a request: whoever asks for a reset neither waits for it nor
/// learns from it whether there is such an account.
///
/// - **At least once.** `Ok` means that you have taken responsibility for the mail; it is then never asked for again,
///   unless the process dies before that is written down. Every other end is followed by another call, with equal
///   arguments, or by the letter's end; see [`HandlerError`]. [`LetterDetails::id`] tells a repeat from a new mail: pass
///   it on as idempotency key.
/// - **In time.** A call that takes longer than [`HandlerDelivery::time_limit`] is dropped at its next await and repeated
///   later. One that is still under way 25 s after the process was told to stop is no longer waited for. Do not block the
///   thread: use `tokio::task::spawn_blocking` for what does.
/// - **Panics.** A call that panics ends its letter (`dead`); the courier goes on with the others.
/// - **Secrets.** Whoever has the token can use the link. It is exposed by [`Token::expose`] alone; keep it out of logs.
#[async_trait]
pub trait EmailHandler: Send + Sync + 'static {
    /// Sends the mail with the link that sets a new password.
    ///
    /// `email` is the address stored on the account, `user_agent` and `remote_ip` are of whoever asked for the mail, who
    /// may be a stranger: do not put the text of `user_agent` into it.
    ///
    /// # Errors
    /// See [`HandlerError`].
    async fn reset_password(
        &self,
        email: &Address,
        token: &Token,
        user_agent: Option<&UserAgent>,
        remote_ip: Option<IpAddr>,
        letter: &LetterDetails,
    ) -> Result<(), HandlerError>;

    /// Sends the mail with the link that confirms an address.
    ///
    /// # Errors
    /// See [`HandlerError`].
    async fn confirm_email(
        &self,
        email: &Address,
        token: &Token,
        letter: &LetterDetails,
    ) -> Result<(), HandlerError>;

    /// Sends the notice that the password was changed, to the owner, who may not have done it. It has no link.
    ///
    /// The Realm Object Server had no such mail. Unless you implement it, nothing is sent, and the letter counts as sent.
    ///
    /// # Errors
    /// See [`HandlerError`].
    async fn password_changed(
        &self,
        email: &Address,
        user_agent: Option<&UserAgent>,
        remote_ip: Option<IpAddr>,
        letter: &LetterDetails,
    ) -> Result<(), HandlerError> {
        let _ = (email, user_agent, remote_ip, letter);
        Ok(())
    }
}

/// What there is to know of a letter besides the arguments that the Realm Object Server gave. Equal at every attempt.
///
/// No `Debug`: the link holds the token.
#[derive(Clone)]
pub struct LetterDetails {
    id: LetterId,
    posted: Timestamp,
    link: Option<Zeroizing<String>>,
    expires_in: Duration,
}

impl LetterDetails {
    /// Names the letter, as `regain outbox` does; the same at every attempt, never given twice. Shown as a UUID.
    pub fn id(&self) -> LetterId {
        self.id
    }

    /// When it was asked for.
    pub fn posted(&self) -> Timestamp {
        self.posted
    }

    /// The link, with the token in it: `baseUrl`, else `publicUrl`, then `/reset-password?token=...` or
    /// `/confirm-email?token=...`. `None` where the mail has no link, and where neither is configured.
    pub fn link(&self) -> Option<&str> {
        self.link.as_ref().map(|link| link.as_str())
    }

    /// How long the link is good, from this attempt on; for the notice of a changed password, how long a link would be
    /// that the owner asks for.
    pub fn expires_in(&self) -> Duration {
        self.expires_in
    }
}

/// Why a mail was not sent, and with that, whose fault it is. The text is for the operator: it stands in the outbox
/// and in the log, without words that look like an address or a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandlerError {
    /// This mail could not be sent now, others perhaps can: it is tried again, ever more rarely (5 s × 2ⁿ up to 10
    /// minutes, with jitter), until its deadline. Say this, too, where you do not know whether it was sent.
    Later(String),
    /// This mail will never be sent: its letter ends as `dead`, and the operator sees it.
    Never(String),
    /// No mail can be sent, whoever it is for: your provider is down, is misconfigured, or wants a rest. Nothing more is
    /// asked for but one letter at a time, ever more rarely (1 s × 2ⁿ up to a minute), until one is sent. No letter is
    /// charged an attempt, `/health` says `degraded`.
    Unavailable(String),
}

impl HandlerError {
    /// [`HandlerError::Later`], made of an error: `.map_err(HandlerError::later)?`.
    pub fn later(reason: impl Display) -> Self {
        Self::Later(reason.to_string())
    }

    /// [`HandlerError::Never`], made of an error.
    pub fn never(reason: impl Display) -> Self {
        Self::Never(reason.to_string())
    }

    /// [`HandlerError::Unavailable`], made of an error.
    pub fn unavailable(reason: impl Display) -> Self {
        Self::Unavailable(reason.to_string())
    }
}

/// An [`EmailHandler`] and how it is called.
#[derive(Clone)]
pub struct HandlerDelivery {
    handler: Arc<dyn EmailHandler>,
    time_limit: Duration,
    at_once: usize,
}

impl HandlerDelivery {
    /// A call may take 120 seconds; four go on at once.
    pub fn new(handler: Arc<dyn EmailHandler>) -> Self {
        Self { handler, time_limit: Duration::from_secs(120), at_once: 4 }
    }

    /// How long a call may take; then it is dropped, and the mail is tried again later.
    #[must_use]
    pub fn time_limit(self, time_limit: Duration) -> Self {
        Self { time_limit, ..self }
    }

    /// How many calls may go on at once; at least one.
    #[must_use]
    pub fn at_once(self, at_once: usize) -> Self {
        Self { at_once: at_once.max(1), ..self }
    }

    /// How many calls may go on at once.
    pub fn concurrency(&self) -> usize {
        self.at_once
    }
}
