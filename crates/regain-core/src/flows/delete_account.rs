//! Deleting an account: one's own, or for an administrator anybody's. Its name is free again at once.

use crate::account::AccountId;
use crate::flows::Trouble;
use crate::flows::session::Authenticated;
use crate::service::Service;
use crate::store::Deleted;

/// Why no account was deleted.
#[derive(Debug, thiserror::Error)]
pub enum DeleteError {
    /// The account is another's, and the caller is no administrator; or it is the built-in administrator.
    #[error("this account is another's")]
    Denied,
    /// There is no such account.
    #[error("there is no such account")]
    Unknown,
    /// The session was ended while this was going on, by a reset or a change of password.
    #[error("the session is not valid any more")]
    SessionEnded,
    /// Anything that can go wrong in any flow.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Removes the account of that identity, its sessions, links and open letters.
///
/// # Errors
/// See [`DeleteError`].
pub async fn delete(service: &Service, by: &Authenticated, id: &AccountId) -> Result<(), DeleteError> {
    let is_own = by.owns(id);
    if !is_own && (!by.is_admin() || id.is_builtin_admin()) {
        return Err(DeleteError::Denied);
    }
    let held = by.held().filter(|_| is_own);
    match service.store.delete_account(id, held, service.now()).await.map_err(Trouble::from)? {
        Deleted::Deleted => {
            tracing::info!(event = "account_deleted", account.id = %id, by.id = by.id(), "an account was deleted");
            Ok(())
        }
        Deleted::Unknown => Err(DeleteError::Unknown),
        Deleted::SessionEnded => Err(DeleteError::SessionEnded),
    }
}
