//! Looking an account up: one's own, or for an administrator anybody's.

use crate::account::{Account, AccountId};
use crate::flows::Trouble;
use crate::flows::session::Authenticated;
use crate::name::Name;
use crate::service::Service;

/// Why no account is shown.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// It is another's, or there is none: who may not know is not told which.
    #[error("this account is another's")]
    Denied,
    /// There is none, or none that the caller may see.
    #[error("there is no such account")]
    Unknown,
    /// Anything that can go wrong in any flow.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// The account of that identity.
///
/// # Errors
/// [`FindError::Denied`] for what is not the caller's own, whether it exists or not.
pub async fn by_id(service: &Service, by: &Authenticated, id: &AccountId) -> Result<Account, FindError> {
    match by.owner() {
        Some(own) if own.id == *id => Ok(own.clone()),
        _ if !by.is_admin() => Err(FindError::Denied),
        _ if id.is_builtin_admin() => Ok(Account::builtin_admin()),
        _ => service.store.account_by_id(id).await.map_err(Trouble::from)?.ok_or(FindError::Unknown),
    }
}

/// The account of the first of these names that there is: the readings of a name that may have been escaped twice.
///
/// # Errors
/// [`FindError::Unknown`] both where there is none and where the caller may not see it.
pub async fn by_name(service: &Service, by: &Authenticated, readings: &[Name]) -> Result<Account, FindError> {
    let is_named = |account: &Account| readings.iter().any(|name| *name.key() == account.name_key);
    if !by.is_admin() {
        return by.owner().filter(|own| is_named(own)).cloned().ok_or(FindError::Unknown);
    }
    for name in readings {
        if let Some(account) = service.store.account_by_name(name.key()).await.map_err(Trouble::from)? {
            return Ok(account);
        }
    }
    Some(Account::builtin_admin()).filter(is_named).ok_or(FindError::Unknown)
}
