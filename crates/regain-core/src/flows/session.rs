//! Using and ending sessions. Rights are looked up at each use: deleted, demoted or reset takes effect at once.

use crate::account::Account;
use crate::flows::Trouble;
use crate::service::Service;
use crate::session::{AppId, BadSession, Session, SessionId, SignedSession};

/// A session that was presented and holds.
pub struct Authenticated {
    /// Its account, as it is now.
    pub account: Account,
    /// Which session it is.
    pub session: SessionId,
}

/// Why a session does not hold.
#[derive(Debug, thiserror::Error)]
pub enum AuthenticateError {
    /// Malformed, altered, expired, or ended by a reset, a change of password or deletion.
    #[error("the session is not valid")]
    Invalid,
    /// Revoked singly.
    #[error("the session was revoked")]
    Revoked,
    /// Anything that can go wrong in any flow.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Opens a session of `account`.
pub(crate) fn open(service: &Service, account: &Account, app: &AppId) -> Result<SignedSession, Trouble> {
    let session =
        Session::open(account, app, service.now() + service.policy.session_lifetime, &*service.rng)?;
    service.signing_key.sign(&session).map_err(|_| Trouble::Internal("a session could not be signed"))
}

/// Checks a session token.
///
/// # Errors
/// See [`AuthenticateError`].
pub async fn authenticate(service: &Service, token: &str) -> Result<Authenticated, AuthenticateError> {
    let (session, id) =
        service.signing_key.open(token, service.now()).map_err(|_| AuthenticateError::Invalid)?;
    let known = service.store.session(&session.account(), &id).await.map_err(Trouble::from)?;
    let (account, is_revoked) = known.ok_or(AuthenticateError::Invalid)?;
    let is_current = session.generation() == account.generation || account.kept_session == Some(id);
    if account.is_disabled || !is_current {
        return Err(AuthenticateError::Invalid);
    }
    if is_revoked {
        return Err(AuthenticateError::Revoked);
    }
    Ok(Authenticated { account, session: id })
}

/// Why a session was not revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// What was to be revoked is no session token of ours.
    #[error("this is no session token")]
    InvalidToken,
    /// It is another's, and the caller is no administrator.
    #[error("this session is another's")]
    Denied,
    /// Anything that can go wrong in any flow.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Revokes a session, one's own or, for an administrator, anybody's. One that has expired needs no more.
///
/// # Errors
/// See [`RevokeError`].
pub async fn revoke(service: &Service, by: &Authenticated, token: &str) -> Result<(), RevokeError> {
    let now = service.now();
    let (session, id) = match service.signing_key.open(token, now) {
        Ok((session, id)) => (session, Some(id)),
        Err((BadSession::Expired, Some(session))) => (session, None),
        Err(_) => return Err(RevokeError::InvalidToken),
    };
    if session.account() != by.account.id && !by.account.is_admin {
        return Err(RevokeError::Denied);
    }
    if let Some(id) = id {
        service.store.revoke(&id, &session.account(), session.expires(), now).await.map_err(Trouble::from)?;
        tracing::info!(event = "signed_out", account.id = %session.identity, "a session was revoked");
    }
    Ok(())
}
