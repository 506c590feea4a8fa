//! Showing that mail to an address arrives: asking for a link, and using it.

use crate::caller::Caller;
use crate::flows::Trouble;
use crate::flows::reset_password::{RequestError, request_mail};
use crate::letter::Purpose;
use crate::name::Name;
use crate::service::Service;
use crate::store::Confirmation;
use crate::token::Token;

/// Asks for a link that confirms the address of that name. The twin of [`crate::flows::reset_password::request`].
///
/// # Errors
/// See [`RequestError`].
pub async fn request(service: &Service, caller: &Caller, name: &Name) -> Result<(), RequestError> {
    request_mail(service, caller, name, Purpose::Confirm).await
}

/// What a good link did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Confirmed {
    /// The address is confirmed, by this.
    Now,
    /// This link had confirmed it before: a second click.
    Already,
}

/// Why an address was not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum CompleteError {
    /// No such token, or it has expired, or its account is gone: they are not told apart.
    #[error("the confirmation token is invalid or has expired")]
    InvalidToken,
    /// Anything that can go wrong in any flow.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Confirms the address of an account with the token of a link. Signs nobody in, and changes nothing else.
///
/// # Errors
/// See [`CompleteError`].
pub async fn complete(service: &Service, caller: &Caller, token: &str) -> Result<Confirmed, CompleteError> {
    let now = service.now();
    service.limiter.may_present_token(caller.ip, now).map_err(Trouble::from)?;
    let outcome = match Token::parse(token) {
        Some(token) => service.store.confirm_email(&token.hash(), now).await.map_err(Trouble::from)?,
        None => Confirmation::Unknown,
    };
    match outcome {
        Confirmation::Confirmed(account) => {
            tracing::info!(event = "confirmed", account.id = %account, "an address was confirmed");
            Ok(Confirmed::Now)
        }
        Confirmation::Already => Ok(Confirmed::Already),
        Confirmation::Refused | Confirmation::Unknown => {
            if outcome == Confirmation::Unknown {
                service.limiter.token_was_unknown(caller.ip, now);
            }
            tracing::info!(event = "confirm_refused", "a confirmation token was refused");
            Err(CompleteError::InvalidToken)
        }
    }
}
