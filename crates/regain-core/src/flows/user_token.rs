//! Trading a session for a user token: an hour's proof of who somebody is, for services that check it with the public
//! key alone. What ROS clients do before they talk to other services.

use crate::flows::Trouble;
use crate::flows::session::{self, AuthenticateError};
use crate::service::Service;
use crate::session::{AppId, Kind, UserToken};
use crate::signing::SignedToken;

/// Why no user token was made.
#[derive(Debug, thiserror::Error)]
pub enum TradeError {
    /// What was presented is no session that holds: they are not told apart, as in ROS.
    #[error("this is no session that holds")]
    Denied,
    /// Anything that can go wrong in any flow.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Makes a user token for the account of a refresh token, with the rights that the account has now.
///
/// # Errors
/// See [`TradeError`].
pub async fn trade(service: &Service, app: &AppId, refresh_token: &str) -> Result<SignedToken, TradeError> {
    let now = service.now();
    let (claims, id) = service.signing_keys.read(refresh_token).map_err(|_| TradeError::Denied)?;
    let Kind::Session(session) = claims.kind else { return Err(TradeError::Denied) };
    if claims.expires.is_some_and(|expires| expires < now) {
        return Err(TradeError::Denied);
    }
    let account = session::owner_of(service, &session, &id).await.map_err(|error| match error {
        AuthenticateError::Invalid | AuthenticateError::Revoked => TradeError::Denied,
        AuthenticateError::Trouble(trouble) => trouble.into(),
    })?;
    let expires = now + service.policy.user_token_lifetime;
    let token = UserToken::of(&account, app, expires, &*service.rng).map_err(Trouble::from)?;
    service
        .signing_keys
        .sign(&token)
        .map_err(|_| Trouble::Internal("a user token could not be signed").into())
}
