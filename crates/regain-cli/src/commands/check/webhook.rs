//! Whether the webhook can be reached: name, connection, TLS. Posts nothing.

use regain::Config;
use regain::mail::webhook::{CheckError, check};
use regain_smtp::TrustRoots;

use super::Finding;
use super::relay::{RESERVED, is_example};

const SUBJECT: &str = "webhook";

/// Connects to the webhook, where there is one.
pub(super) async fn findings(config: &Config) -> Option<Finding> {
    let settings = config.email()?.webhook.as_ref()?;
    let url = settings.redacted();
    if is_example(settings.host()) {
        let text = format!("{url} is at {RESERVED}: write your receiver's into webhook.url");
        return Some(Finding::problem(SUBJECT, text));
    }
    Some(match check(settings, &TrustRoots::System).await {
        Ok(()) => Finding::ok(
            SUBJECT,
            format!(
                "{url}: something listens there (as far as the connection; `regain mail test` posts a test mail)"
            ),
        ),
        Err(error) => {
            Finding::problem(SUBJECT, format!("{url}: {error}. {}", advice(&error, settings.port())))
        }
    })
}

/// What it usually comes from, and what to do.
fn advice(error: &CheckError, port: u16) -> String {
    match error {
        CheckError::Connect(_) => format!(
            "Is the host in webhook.url right, does the receiver run, and does it listen on port {port} for this machine?"
        ),
        CheckError::Tls(_) => {
            "Its certificate must be for that host, be good at this time, and be of an authority that this \
                               system knows; http: is for a network that you trust."
                .to_owned()
        }
        CheckError::Roots(_) => "Install the system's package `ca-certificates`.".to_owned(),
    }
}
