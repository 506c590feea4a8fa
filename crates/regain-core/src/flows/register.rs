//! Making an account.

use crate::account::{Account, AccountId, NewAccount};
use crate::caller::Caller;
use crate::flows::{Trouble, session};
use crate::letter::{NewLetter, Purpose};
use crate::name::Name;
use crate::password::{Password, PasswordRefusal};
use crate::service::Service;
use crate::session::AppId;
use crate::signing::SignedToken;
use crate::store::Registered;

/// Why nobody was registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    /// The password does not do. Checked before the name, so that it tells nothing of the name.
    #[error(transparent)]
    Password(#[from] PasswordRefusal),
    /// Only a confirmed account gets a session, and this name is no address that could be.
    #[error("must be a mail address")]
    NoAddress,
    /// Another has that name.
    #[error("the name is taken")]
    NameTaken,
    /// Only a confirmed account gets a session, and this one is to be confirmed first; or the name is taken.
    #[error("the address must be confirmed first")]
    MustConfirm,
    /// Anything that can go wrong in any flow.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Registers `name` and opens its first session. Where mail is configured and the name is an address, a confirmation
/// letter is posted with it, both or neither.
///
/// The password is hashed before it is known whether the name is free, so both cases take the same time.
///
/// # Errors
/// See [`RegisterError`].
pub async fn register(
    service: &Service,
    caller: &Caller,
    name: &Name,
    password: &Password,
    app: &AppId,
) -> Result<SignedToken, RegisterError> {
    let now = service.now();
    service.limiter.register(caller.ip, now).map_err(Trouble::from)?;
    service.policy.password.check(password)?;
    if service.policy.require_confirmation && name.address().is_none() {
        return Err(RegisterError::NoAddress);
    }
    let hash = service.hashing.hash(password).await.map_err(Trouble::from)?;
    let now = service.now();
    let id = AccountId::random(&*service.rng).map_err(Trouble::from)?;
    let letter = match service.policy.mail && name.address().is_some() {
        true => {
            let lifetime = service.policy.lifetime(Purpose::Confirm);
            let letter =
                NewLetter::asked_by(caller, Purpose::Confirm, name.key(), lifetime, now, &*service.rng);
            Some(letter.map_err(Trouble::from)?)
        }
        false => None,
    };
    let account = NewAccount { id: id.clone(), name: name.clone(), password: hash };
    let registered = service.store.register(account.clone(), letter, now).await.map_err(Trouble::from)?;
    if registered == Registered::Created {
        tracing::info!(event = "registered", account.id = %id, "an account was registered");
        service.wake.notify_one();
    }
    if service.policy.require_confirmation {
        return Err(RegisterError::MustConfirm);
    }
    match registered {
        Registered::NameTaken => Err(RegisterError::NameTaken),
        Registered::Created => Ok(session::open(service, &Account::new(account, now), app)?),
    }
}
