//! Making an account, or changing what is kept with it, as an administrator.

use crate::account::{Account, AccountId};
use crate::flows::Trouble;
use crate::flows::session::Authenticated;
use crate::metadata::Metadata;
use crate::name::Name;
use crate::service::Service;
use crate::store::{Put, PutAccount};

/// What an account shall be.
pub struct Wanted {
    /// Its name; the account is made where there is none of this name.
    pub name: Name,
    /// The identity that it has, or is to have; `None` leaves that to Regain.
    pub id: Option<AccountId>,
    /// Whether it may act for others; `None` leaves it as it is.
    pub is_admin: Option<bool>,
    /// Whether its address is confirmed; `None` leaves it as it is.
    pub is_confirmed: Option<bool>,
    /// What is kept with it from now on, as a whole.
    pub metadata: Metadata,
}

/// Why nothing was made or changed.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// The caller is no administrator.
    #[error("only administrators may do this")]
    Denied,
    /// The account has another identity, or another account has this one.
    #[error("the identity is another account's, or the account has another")]
    OtherId,
    /// Anything that can go wrong in any flow.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Makes or changes an account. A new one has no password, so nobody signs in until one is set; no mail is sent.
///
/// # Errors
/// See [`PutError`].
pub async fn put(service: &Service, by: &Authenticated, wanted: Wanted) -> Result<Account, PutError> {
    if !by.is_admin() {
        return Err(PutError::Denied);
    }
    if *wanted.name.key() == Account::builtin_admin().name_key {
        return Err(PutError::OtherId);
    }
    let Wanted { name, id, is_admin, is_confirmed, metadata } = wanted;
    let id_if_new = match &id {
        Some(id) => id.clone(),
        None => AccountId::random(&*service.rng).map_err(Trouble::from)?,
    };
    let put = PutAccount { name, id, id_if_new, is_admin, is_confirmed, metadata };
    let put = service.store.put_account(put, service.now()).await.map_err(Trouble::from)?;
    let (account, event) = match put {
        Put::Created(account) => (account, "account_created"),
        Put::Updated(account) => (account, "account_changed"),
        Put::OtherId => return Err(PutError::OtherId),
    };
    tracing::info!(event, account.id = %account.id, by.id = by.id(), "an administrator wrote an account");
    Ok(account)
}
