//! The mailer that delivers to a relay: composes, sends, and says whose fault a failure is.
//!
//! This must not try again: when a letter is attempted next is decided in `regain-core`.

mod fault;
pub(super) mod scrub;

#[cfg(test)]
mod tests;

use std::time::Duration;

use async_trait::async_trait;
use regain_core::mailer::{DeliveryError, Mailer, Parcel, Receipt};
use regain_smtp::{Cause, Envelope, Pool, Reply, SendError};

pub use self::fault::{Fault, fault};
use self::scrub::Scrubber;
use super::compose::Composer;

/// A letter that waits longer than this for a connection, or for a place in the URL's `rateLimit`, is given back: between
/// its arming and its mail its deadline could pass, or its account change.
const BEGIN_WITHIN: Duration = Duration::from_secs(5);

/// Delivers mails over a pool of connections to one relay.
pub struct SmtpMailer {
    composer: Composer,
    pool: Pool,
}

impl SmtpMailer {
    /// A mailer that composes with `composer` and sends over `pool`.
    pub fn new(composer: Composer, pool: Pool) -> Self {
        Self { composer, pool }
    }
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn deliver(&self, parcel: Parcel) -> Result<Receipt, DeliveryError> {
        let mail = self.composer.compose(&parcel)?;
        let envelope = Envelope { from: mail.envelope_from, to: mail.envelope_to };
        let scrubber = Scrubber::of(&parcel);
        match self.pool.send_within(envelope, mail.raw, BEGIN_WITHIN).await {
            Ok(accepted) => Ok(Receipt { reply: words(&accepted.reply, &scrubber) }),
            Err(error) => Err(delivery_error(&error, &scrubber)),
        }
    }
}

fn delivery_error(error: &SendError, scrubber: &Scrubber) -> DeliveryError {
    match error.cause() {
        Cause::NotBegun => return DeliveryError::NotBegun,
        Cause::HeldBack => return DeliveryError::HeldBack,
        _ => {}
    }
    let reason = error.to_string();
    let reply = error.reply().map(|reply| words(reply, scrubber));
    match fault(error.phase(), error.cause()) {
        Fault::Relay { permanent } => {
            // The words are all that tells an operator why a relay refuses everybody.
            let reason = reply.map_or_else(|| reason.clone(), |reply| format!("{reason}: {reply}"));
            DeliveryError::Relay { reason, permanent }
        }
        Fault::Later(kind) => DeliveryError::Later { reason, reply, kind },
        Fault::Never => DeliveryError::Never { reason, reply },
    }
}

fn words(reply: &Reply, scrubber: &Scrubber) -> String {
    let text = scrubber.scrub(reply.text());
    if text.is_empty() { reply.codes() } else { format!("{} {text}", reply.codes()) }
}
