//! The mailer that posts each mail as signed JSON to an HTTP endpoint: an adapter before a mail provider's own API.
//!
//! The request follows the Standard Webhooks conventions, for which receivers find libraries in most languages:
//! `webhook-id` is the letter's id and with that the idempotency key, `webhook-timestamp` is the time of this attempt,
//! `webhook-signature` is made of both and the body. `docs/webhook.md` tells receivers the rest.
//!
//! Invariant: two calls with equal parcels post byte-identical bodies under one id. This must not try again: when a
//! letter is attempted next is decided in `regain-core`.

mod answer;
mod body;
mod check;
mod client;
mod connect;
mod hide;
mod plain;
mod secret;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use regain_core::mailer::{DeliveryError, Mailer, Parcel, Receipt};
use regain_core::outbox::backoff;
use regain_core::{Clock, Timestamp};
use regain_smtp::{Sender, TrustRoots};

use self::answer::{Secrets, Verdict};
use self::client::Client;
use self::hide::Hider;
use super::compose::Wording;
use super::smtp::scrub::Scrubber;

pub use self::check::{CheckError, check};
pub use self::connect::RootsError;
pub use self::secret::{SecretError, SigningSecret};
pub(crate) use self::settings::{CONNECTIONS, MOST_HEADERS, MOST_SECRETS, TIMEOUTS};
pub use self::settings::{WebhookError, WebhookSettings};

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// Posts mails to a webhook.
pub struct WebhookMailer {
    wording: Wording,
    sender: Option<Sender>,
    settings: WebhookSettings,
    client: Client,
    hider: Hider,
    clock: Arc<dyn Clock>,
    /// That the webhook has asked to be left alone.
    quiet: Mutex<Option<Quiet>>,
}

/// A webhook's wish to be left alone.
#[derive(Clone)]
struct Quiet {
    until: Timestamp,
    /// Why, in its own words.
    complaint: String,
}

impl WebhookMailer {
    /// A mailer that posts texts of `wording` to the webhook of `settings`. `clock` is what receivers compare the
    /// signature's time with: wall time, see [`WallClock`].
    ///
    /// # Errors
    /// When `roots` hold no certificate to trust.
    pub fn new(
        wording: Wording,
        sender: Option<Sender>,
        settings: WebhookSettings,
        roots: &TrustRoots,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RootsError> {
        let client = Client::new(&settings, roots)?;
        let hider = Hider::of(&settings);
        Ok(Self { wording, sender, settings, client, hider, clock, quiet: Mutex::default() })
    }

    /// The headers that make a request a webhook's. The time is that of the attempt, since receivers refuse old ones.
    fn headers(&self, id: &str, body: &[u8], now: Timestamp) -> HeaderMap {
        let mut headers = self.settings.headers().clone();
        let time = now.as_secs().to_string();
        let signatures: Vec<String> =
            self.settings.secrets().iter().map(|secret| secret.sign(id, &time, body)).collect();
        let ours = [
            (ID, id.to_owned()),
            (TIMESTAMP, time),
            (SIGNATURE, signatures.join(" ")),
            (header::CONTENT_TYPE, "application/json".to_owned()),
        ];
        for (name, value) in ours {
            // A UUID, a number, base64: none can be refused.
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(name, value);
            }
        }
        headers
    }

    /// Whether to leave it alone, until when and why; a time that a step of the clock has moved away counts for nothing.
    fn quiet(&self, now: Timestamp) -> Option<Quiet> {
        let quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        (quiet.until > now && quiet.until.since(now) <= backoff::LONGEST).then_some(quiet)
    }

    fn keep_quiet(&self, quiet: Option<Quiet>) {
        *self.quiet.lock().unwrap_or_else(PoisonError::into_inner) = quiet;
    }

    /// Posts a mail of type `mail.test`, signed like all others, with the texts that a notice of a changed password has.
    ///
    /// # Errors
    /// As [`Mailer::deliver`].
    pub async fn deliver_test(&self, parcel: Parcel) -> Result<Receipt, DeliveryError> {
        self.post(parcel, body::TEST).await
    }

    async fn post(&self, parcel: Parcel, kind: &'static str) -> Result<Receipt, DeliveryError> {
        let now = self.clock.now();
        if let Some(Quiet { until, complaint }) = self.quiet(now) {
            let reason = format!("{complaint}; it wants to be left alone for {:?} more", until.since(now));
            return Err(DeliveryError::Relay { reason, permanent: false });
        }
        let body = body::of(&parcel, kind, &self.wording, self.sender.as_ref())
            .map_err(|error| DeliveryError::Never { reason: error.to_string(), reply: None })?;
        let headers = self.headers(&parcel.letter.to_string(), &body, now);
        let secrets = Secrets { parcel: Scrubber::of(&parcel), webhook: &self.hider };
        let answer = self.client.post(headers, body).await.map_err(client::Failure::into_delivery_error)?;
        match answer::verdict(&answer) {
            Verdict::Accepted => {
                self.keep_quiet(None);
                Ok(Receipt { reply: answer.words(&secrets) })
            }
            Verdict::Rest => {
                let reason = answer.complaint(&secrets);
                let until = answer.retry_after(self.clock.now());
                self.keep_quiet(until.map(|until| Quiet { until, complaint: reason.clone() }));
                Err(DeliveryError::Relay { reason, permanent: false })
            }
            Verdict::Misconfigured => {
                Err(DeliveryError::Relay { reason: answer.complaint(&secrets), permanent: true })
            }
            Verdict::Later(kind) => Err(DeliveryError::Later {
                reason: answer.reason(),
                reply: Some(answer.words(&secrets)),
                kind,
            }),
            Verdict::Never => {
                Err(DeliveryError::Never { reason: answer.reason(), reply: Some(answer.words(&secrets)) })
            }
        }
    }
}

#[async_trait]
impl Mailer for WebhookMailer {
    async fn deliver(&self, parcel: Parcel) -> Result<Receipt, DeliveryError> {
        let kind = body::kind(parcel.purpose);
        self.post(parcel, kind).await
    }
}

/// The wall clock of this machine: what a receiver compares a signature's time with.
///
/// The clock of the flows must not do this: it does not follow steps of the wall clock, and stands still while the
/// machine sleeps.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock;

impl Clock for WallClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is a clock, and its readings are for others to compare"
    )]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(0) + since
    }
}
