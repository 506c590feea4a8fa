//! Opening a session with name and password.

use crate::account::Account;
use crate::caller::Caller;
use crate::flows::register::{self, RegisterError};
use crate::flows::{Trouble, session};
use crate::hashing::Verdict;
use crate::name::Name;
use crate::password::Password;
use crate::service::Service;
use crate::session::AppId;
use crate::signing::SignedToken;

/// Why no session was opened.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Unknown name, wrong password, disabled account: they are not told apart, neither by answer nor by time.
    #[error("the credentials are invalid or the account does not exist")]
    InvalidCredentials,
    /// The password is right, but the address must be confirmed first.
    #[error("the address must be confirmed first")]
    MustConfirm,
    /// Anything that can go wrong in any flow.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Opens a session of the account with that name and password.
///
/// # Errors
/// See [`SignInError`].
pub async fn sign_in(
    service: &Service,
    caller: &Caller,
    name: &Name,
    password: &Password,
    app: &AppId,
) -> Result<SignedToken, SignInError> {
    may_try(service, caller, name)?;
    let account = service.store.account_by_name(name.key()).await.map_err(Trouble::from)?;
    open_with_password(service, name, account, password, app).await
}

/// Signs in, or registers where nobody has that name: what ROS clients mean by leaving `register` out.
///
/// A password below policy registers nobody, and the answer is that of a wrong password. Nor does this register where
/// addresses must be confirmed first: an answer for an unknown name must not differ from that for a wrong password.
///
/// # Errors
/// See [`SignInError`].
pub async fn sign_in_or_register(
    service: &Service,
    caller: &Caller,
    name: &Name,
    password: &Password,
    app: &AppId,
) -> Result<SignedToken, SignInError> {
    may_try(service, caller, name)?;
    let account = service.store.account_by_name(name.key()).await.map_err(Trouble::from)?;
    let policy = &service.policy;
    let may_register =
        policy.register_by_login && !policy.require_confirmation && policy.password.check(password).is_ok();
    if account.is_some() || !may_register {
        return open_with_password(service, name, account, password, app).await;
    }
    match register::register(service, caller, name, password, app).await {
        Ok(signed) => Ok(signed),
        Err(RegisterError::MustConfirm) => Err(SignInError::MustConfirm),
        Err(RegisterError::Trouble(trouble)) => Err(trouble.into()),
        // Registered by another request in between; the client may sign in with its next one.
        Err(RegisterError::NameTaken | RegisterError::NoAddress | RegisterError::Password(_)) => {
            Err(SignInError::InvalidCredentials)
        }
    }
}

fn may_try(service: &Service, caller: &Caller, name: &Name) -> Result<(), Trouble> {
    let now = service.now();
    service.limiter.sign_in(caller.ip, now)?;
    service.limiter.may_try_name(caller.ip, name.key(), now)?;
    Ok(())
}

async fn open_with_password(
    service: &Service,
    name: &Name,
    account: Option<Account>,
    password: &Password,
    app: &AppId,
) -> Result<SignedToken, SignInError> {
    // A disabled account is compared as one that is not there: a right password must not be told by its time either.
    let account = account.filter(|a| !a.is_disabled);
    let stored = account.as_ref().and_then(|a| a.password.as_ref());
    let verdict = service.hashing.verify(password, stored).await.map_err(Trouble::from)?;
    let account = match (account, verdict) {
        (Some(account), Verdict::Right | Verdict::RightButOutdated) => account,
        _ => {
            service.limiter.sign_in_failed(name.key(), service.now());
            tracing::info!(event = "sign_in_failed", "a sign-in failed");
            return Err(SignInError::InvalidCredentials);
        }
    };
    if service.policy.require_confirmation && !account.is_confirmed {
        return Err(SignInError::MustConfirm);
    }
    if let (Verdict::RightButOutdated, Some(old)) = (verdict, &account.password) {
        let new = service.hashing.hash(password).await.map_err(Trouble::from)?;
        service.store.rehash(&account.id, old, &new).await.map_err(Trouble::from)?;
    }
    tracing::info!(event = "signed_in", account.id = %account.id, "a session was opened");
    // The session carries the generation that was read with the hash: a reset since then has ended it already.
    Ok(session::open(service, &account, app)?)
}
