//! Using and ending sessions. Rights are looked up at each use: deleted, demoted or reset takes effect at once.

use crate::account::{Account, AccountId, BUILTIN_ADMIN};
use crate::clock::Timestamp;
use crate::flows::Trouble;
use crate::service::Service;
use crate::session::{AppId, Kind, Session, SessionId};
use crate::signing::SignedToken;
use crate::store::{AdminStanding, HeldSession};

/// A token that was presented and holds.
pub struct Authenticated {
    /// Who acts.
    pub by: By,
    /// Which token it is.
    pub session: SessionId,
}

/// Who acts.
pub enum By {
    /// The owner of an account, as the account is now.
    Owner(Box<Account>),
    /// The built-in administrator, by its token.
    BuiltinAdmin,
}

impl Authenticated {
    /// Whether this is an administrator, as of now.
    pub fn is_admin(&self) -> bool {
        match &self.by {
            By::Owner(account) => account.is_admin,
            By::BuiltinAdmin => true,
        }
    }

    /// Whether this is the owner of that account.
    pub fn owns(&self, id: &AccountId) -> bool {
        self.owner().is_some_and(|account| account.id == *id)
    }

    /// Whose session it is; `None` for the built-in administrator.
    pub fn owner(&self) -> Option<&Account> {
        match &self.by {
            By::Owner(account) => Some(account),
            By::BuiltinAdmin => None,
        }
    }

    /// Who acts, for the log.
    pub fn id(&self) -> &str {
        self.owner().map_or(BUILTIN_ADMIN, |account| account.id.as_str())
    }

    /// The session as a step of the store checks it once more; `None` for the built-in administrator.
    pub(crate) fn held(&self) -> Option<HeldSession> {
        self.owner().map(|account| HeldSession { session: self.session, generation: account.generation })
    }
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
pub(crate) fn open(service: &Service, account: &Account, app: &AppId) -> Result<SignedToken, Trouble> {
    let session =
        Session::open(account, app, service.now() + service.policy.session_lifetime, &*service.rng)?;
    service.signing_keys.sign(&session).map_err(|_| Trouble::Internal("a session could not be signed"))
}

/// Checks a token that is presented to act: a refresh token, or the administrator's. User tokens are for others to check.
///
/// # Errors
/// See [`AuthenticateError`].
pub async fn authenticate(service: &Service, token: &str) -> Result<Authenticated, AuthenticateError> {
    let (claims, id) = service.signing_keys.read(token).map_err(|_| AuthenticateError::Invalid)?;
    if claims.expires.is_some_and(|expires| expires < service.now()) {
        return Err(AuthenticateError::Invalid);
    }
    match claims.kind {
        Kind::Session(session) => {
            let account = owner_of(service, &session, &id).await?;
            Ok(Authenticated { by: By::Owner(Box::new(account)), session: id })
        }
        Kind::Admin if service.policy.admin_token => match service.store.admin_token(&id).await {
            Ok(AdminStanding::InForce) => Ok(Authenticated { by: By::BuiltinAdmin, session: id }),
            Ok(AdminStanding::Revoked) => Err(AuthenticateError::Revoked),
            Ok(AdminStanding::Unknown) => Err(AuthenticateError::Invalid),
            Err(error) => Err(Trouble::from(error).into()),
        },
        Kind::Admin | Kind::User => Err(AuthenticateError::Invalid),
    }
}

/// The account of a session, where the session holds.
pub(crate) async fn owner_of(
    service: &Service,
    session: &Session,
    id: &SessionId,
) -> Result<Account, AuthenticateError> {
    let known = service.store.session(&session.account(), id).await.map_err(Trouble::from)?;
    let (account, is_revoked) = known.ok_or(AuthenticateError::Invalid)?;
    let is_current = session.generation() == account.generation || account.kept_session == Some(*id);
    if account.is_disabled || !is_current {
        return Err(AuthenticateError::Invalid);
    }
    if is_revoked {
        return Err(AuthenticateError::Revoked);
    }
    Ok(account)
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

/// Revokes a token, one's own or, for an administrator, anybody's. One that has expired needs no more, and neither does a
/// user token: who checks it by the public key alone cannot be told.
///
/// # Errors
/// See [`RevokeError`].
pub async fn revoke(service: &Service, by: &Authenticated, token: &str) -> Result<(), RevokeError> {
    let now = service.now();
    let (claims, id) = service.signing_keys.read(token).map_err(|_| RevokeError::InvalidToken)?;
    if !by.owns(&claims.account) && !by.is_admin() {
        return Err(RevokeError::Denied);
    }
    let expires = claims.expires.unwrap_or(Timestamp::MAX);
    // Nothing here takes a user token, so there is nothing to remember of one.
    if expires >= now && claims.kind != Kind::User {
        service.store.revoke(&id, &claims.account, expires, now).await.map_err(Trouble::from)?;
        tracing::info!(event = "signed_out", account.id = %claims.account, by.id = by.id(), "a token was revoked");
    }
    Ok(())
}
