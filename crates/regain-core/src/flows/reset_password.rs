//! Getting back in after losing a password: asking for a link, and using it.
//!
//! Between the two the courier mails the link, see [`crate::outbox::courier`].

use crate::caller::Caller;
use crate::flows::{Trouble, password_changed};
use crate::letter::{NewLetter, Purpose};
use crate::name::Name;
use crate::outbox::repeats::Repeats;
use crate::password::{Password, PasswordRefusal};
use crate::service::Service;
use crate::store::{CompleteReset, Posted, TokenStanding};
use crate::token::Token;

/// Why a link cannot be asked for. None of these depends on whether the account exists.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// No mail is configured.
    #[error("mail is not configured")]
    NotEnabled,
    /// Too many letters wait already.
    #[error("too many mails are waiting to be sent")]
    OutboxFull,
    /// Anything that can go wrong in any flow.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Asks for a link to set a new password, to be mailed to the account of that name, if there is one.
///
/// Invariant: no account is looked up, so known and unknown names do the same work and get the same answer.
/// The answer means that the letter is durable, or that a documented limit swallowed the request.
///
/// # Errors
/// See [`RequestError`].
pub async fn request(service: &Service, caller: &Caller, name: &Name) -> Result<(), RequestError> {
    request_mail(service, caller, name, Purpose::Reset).await
}

/// What asking for a reset and asking for a confirmation have in common: everything but the purpose.
pub(crate) async fn request_mail(
    service: &Service,
    caller: &Caller,
    name: &Name,
    purpose: Purpose,
) -> Result<(), RequestError> {
    if !service.policy.mail {
        return Err(RequestError::NotEnabled);
    }
    if !service.may_ask_for_mail(caller.ip) || name.address().is_none() {
        return Ok(());
    }
    let (now, lifetime) = (service.now(), service.policy.lifetime(purpose));
    let letter = NewLetter::asked_by(caller, purpose, name.key(), lifetime, now, &*service.rng)
        .map_err(Trouble::from)?;
    let repeats = Repeats::under(&service.policy.limits);
    match service.store.post(letter, repeats, now).await.map_err(Trouble::from)? {
        Posted::Full => Err(RequestError::OutboxFull),
        Posted::Posted | Posted::Merged | Posted::Swallowed => {
            service.wake.notify_one();
            Ok(())
        }
    }
}

/// Why a reset was not completed.
#[derive(Debug, thiserror::Error)]
pub enum CompleteError {
    /// No such token, or it was used or voided or has expired: they are not told apart.
    #[error("the reset token is invalid or has expired")]
    InvalidToken,
    /// The new password does not do. The token stays good.
    #[error(transparent)]
    Password(#[from] PasswordRefusal),
    /// Anything that can go wrong in any flow.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Sets a new password with the token of a link: ends every session, voids every other link, tells the owner.
///
/// Cheap checks come first: a token that is no good costs no hash, and a refused password does not burn the token.
///
/// # Errors
/// See [`CompleteError`].
pub async fn complete(
    service: &Service,
    caller: &Caller,
    token: &str,
    new: &Password,
) -> Result<(), CompleteError> {
    let token = check_token(service, caller, token).await?;
    service.policy.password.check(new)?;
    let new = service.hashing.hash(new).await.map_err(Trouble::from)?;
    let now = service.now();
    let notice = password_changed(service, caller, now)?;
    let reset = CompleteReset { token: token.hash(), new, notice };
    match service.store.complete_reset(reset, now).await.map_err(Trouble::from)? {
        Some(account) => {
            tracing::info!(event = "reset_complete", account.id = %account, "a password was reset");
            service.wake.notify_one();
            Ok(())
        }
        None => Err(CompleteError::InvalidToken),
    }
}

async fn check_token(service: &Service, caller: &Caller, token: &str) -> Result<Token, CompleteError> {
    let now = service.now();
    service.limiter.may_present_token(caller.ip, now).map_err(Trouble::from)?;
    let standing = match Token::parse(token) {
        Some(token) => {
            match service.store.token(&token.hash(), Purpose::Reset, now).await.map_err(Trouble::from)? {
                TokenStanding::Good => return Ok(token),
                other => other,
            }
        }
        None => TokenStanding::Unknown,
    };
    if standing == TokenStanding::Unknown {
        service.limiter.token_was_unknown(caller.ip, now);
    }
    tracing::info!(event = "reset_refused", ?standing, "a reset token was refused");
    Err(CompleteError::InvalidToken)
}
