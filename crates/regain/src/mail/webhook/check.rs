//! Whether a webhook can be reached, for an operator who looks before users find out.

use regain_smtp::TrustRoots;
use tower::Service;

use super::connect::{ConnectFailure, Connector, RootsError};
use super::settings::WebhookSettings;

/// Why a webhook cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckError {
    /// There is no certificate to trust.
    #[error(transparent)]
    Roots(#[from] RootsError),
    /// Name, route or port: nothing listens, or nothing gets through.
    #[error("connect: {0}")]
    Connect(String),
    /// The certificate is not trusted, has run out or is for another name, or no version of TLS is in common.
    #[error("TLS: {0}")]
    Tls(String),
}

/// Connects to a webhook, with TLS where it is `https:`, and closes the connection. Sends no request, since whatever is
/// posted might be taken for a mail; whether path and secret are right shows the first mail.
///
/// Takes at most 10 seconds, or a third of the webhook's timeout where that is less.
///
/// # Errors
/// See [`CheckError`]; no message holds path, query or secret.
pub async fn check(settings: &WebhookSettings, roots: &TrustRoots) -> Result<(), CheckError> {
    let mut connector = Connector::new(settings, roots)?;
    match connector.call(settings.uri().clone()).await {
        Ok(_) => Ok(()),
        Err(ConnectFailure::Connect(reason)) => Err(CheckError::Connect(reason)),
        Err(ConnectFailure::Tls(reason)) => Err(CheckError::Tls(reason)),
    }
}
