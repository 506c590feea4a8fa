//! The flows: each rule-bearing story as plain functions over a [`crate::Service`].
//!
//! A flow knows no wire format. What it answers and how it fails is an enum of its own; one table in the HTTP layer
//! maps them to ROS's problems.

pub mod change_password;
pub mod confirm_email;
pub mod delete_account;
pub mod find_account;
pub mod put_account;
pub mod register;
pub mod reset_password;
pub mod session;
pub mod sign_in;
#[cfg(test)]
mod tests;
pub mod user_token;

use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::hashing::HashError;
use crate::letter::{Notice, Purpose};
use crate::limits::RetryAfter;
use crate::rng::NoRandomness;
use crate::service::Service;
use crate::store::StoreError;

/// The letter that tells an owner that the password was changed; `None` where no mail is configured.
fn password_changed(service: &Service, caller: &Caller, now: Timestamp) -> Result<Option<Notice>, Trouble> {
    if !service.policy.mail {
        return Ok(None);
    }
    let lifetime = service.policy.lifetime(Purpose::PasswordChanged);
    Ok(Some(Notice::of(caller, lifetime, now, &*service.rng)?))
}

/// What can go wrong in any flow, apart from what it is about.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// This client must wait.
    #[error("too many requests from this client")]
    Limited(RetryAfter),
    /// Too much is going on for the moment.
    #[error("the server is too busy")]
    Busy,
    /// The store failed, or could not promise.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something that should not happen: no randomness, a key that cannot sign, a broken hash.
    #[error("internal failure: {0}")]
    Internal(&'static str),
}

impl From<RetryAfter> for Trouble {
    fn from(after: RetryAfter) -> Self {
        Self::Limited(after)
    }
}

impl From<HashError> for Trouble {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self::Busy,
            HashError::Failed => Self::Internal("a password could not be hashed"),
        }
    }
}

impl From<NoRandomness> for Trouble {
    fn from(_: NoRandomness) -> Self {
        Self::Internal("the operating system gives no randomness")
    }
}
