//! Changing a password with a session in hand. Every other session ends, the one presented lives on.

use crate::account::{Account, AccountId};
use crate::caller::Caller;
use crate::flows::session::Authenticated;
use crate::flows::{Trouble, password_changed};
use crate::hashing::Verdict;
use crate::name::Provider;
use crate::outbox::repeats::NOTICES_IF_UNCONFIRMED;
use crate::password::{Password, PasswordRefusal};
use crate::service::Service;
use crate::store::PasswordChange;

/// Why a password was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The account is another's, and the caller is no administrator.
    #[error("this account is another's")]
    Denied,
    /// There is no such account.
    #[error("there is no such account")]
    UnknownAccount,
    /// The current password is asked for and was not given.
    #[error("the current password is missing")]
    CurrentMissing,
    /// The current password is asked for and was given wrong.
    #[error("the current password is wrong")]
    CurrentWrong,
    /// The session was ended while this was going on, by a reset or another change.
    #[error("the session is not valid any more")]
    SessionEnded,
    /// The new password does not do.
    #[error(transparent)]
    Password(#[from] PasswordRefusal),
    /// Anything that can go wrong in any flow.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Whose password `by` may change: its own, or for an administrator anybody's. `None` for its own.
///
/// Apart from [`change`] because the wire wants these checked before the new password is looked at.
///
/// # Errors
/// [`ChangeError::Denied`], [`ChangeError::UnknownAccount`], and what can go wrong in any flow.
pub async fn target(
    service: &Service,
    by: &Authenticated,
    id: Option<&AccountId>,
) -> Result<Account, ChangeError> {
    match (id, by.owner()) {
        (None, Some(own)) => Ok(own.clone()),
        (Some(id), Some(own)) if *id == own.id => Ok(own.clone()),
        (Some(_), Some(own)) if !own.is_admin => Err(ChangeError::Denied),
        (Some(id), _) => {
            let account = service.store.account_by_id(id).await.map_err(Trouble::from)?;
            // Nobody signs in to an account of another provider: to this one it does not exist.
            account.filter(|a| a.provider() == Provider::Password).ok_or(ChangeError::UnknownAccount)
        }
        // The built-in administrator has no password that could be changed.
        (None, None) => Err(ChangeError::UnknownAccount),
    }
}

/// Sets the password of `target`, which [`target`] has allowed.
///
/// # Errors
/// See [`ChangeError`].
pub async fn change(
    service: &Service,
    caller: &Caller,
    by: &Authenticated,
    target: &Account,
    current: Option<&Password>,
    new: &Password,
) -> Result<(), ChangeError> {
    service.policy.password.check(new)?;
    let is_own = by.owns(&target.id);
    // Counted as a sign-in: it costs a hash, and with the current password asked for it can be guessed at.
    service.limiter.sign_in(caller.ip, service.now()).map_err(Trouble::from)?;
    if is_own && service.policy.password.require_current {
        prove(service, caller, target, current).await?;
    }
    let hash = service.hashing.hash(new).await.map_err(Trouble::from)?;
    let now = service.now();
    let notice = password_changed(service, caller, now)?;
    let change = PasswordChange {
        account: target.id.clone(),
        new: hash,
        by: by.held().filter(|_| is_own),
        notice,
        notices_if_unconfirmed: NOTICES_IF_UNCONFIRMED,
    };
    if !service.store.change_password(change, now).await.map_err(Trouble::from)? {
        return Err(if is_own { ChangeError::SessionEnded } else { ChangeError::UnknownAccount });
    }
    tracing::info!(event = "password_changed", account.id = %target.id, by.id = by.id(), "a password was changed");
    service.wake.notify_one();
    Ok(())
}

async fn prove(
    service: &Service,
    caller: &Caller,
    target: &Account,
    current: Option<&Password>,
) -> Result<(), ChangeError> {
    let current = current.ok_or(ChangeError::CurrentMissing)?;
    service.limiter.may_try_name(caller.ip, &target.name_key, service.now()).map_err(Trouble::from)?;
    match service.hashing.verify(current, target.password.as_ref()).await.map_err(Trouble::from)? {
        Verdict::Right | Verdict::RightButOutdated => Ok(()),
        Verdict::Wrong => {
            service.limiter.sign_in_failed(&target.name_key, service.now());
            Err(ChangeError::CurrentWrong)
        }
    }
}
