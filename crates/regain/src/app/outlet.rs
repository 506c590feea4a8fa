//! The ways that mails leave by: relays, a webhook, the application's own handler, or a developer's mailbox.

use std::sync::Arc;
use std::time::Duration;

use regain_core::outbox::relays::Relay;
use regain_smtp::{Deadlines, Pool, TrustRoots};

use super::{Delivery, StartError, letterhead};
use crate::config::{Config, EmailHandlerConfig};
use crate::mail::webhook::WallClock;
use crate::mail::{
    HandlerDelivery, HandlerMailer, MailboxMailer, SmtpMailer, Templates, WebhookMailer, WebhookSettings,
};

/// Letters that may wait inside a pool for one of its connections.
const QUEUE: usize = 1000;
/// What a relay gets to answer QUIT.
const GOODBYE: Duration = Duration::from_secs(2);

/// What takes the mails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WayOut {
    Relay,
    Webhook,
    /// The application's handler, or a mailbox in memory.
    Application,
}

/// What the courier hands over to.
pub(super) struct Outlet {
    pub(super) way_out: WayOut,
    /// The ways out, in order.
    pub(super) relays: Vec<Relay>,
    /// The connections that are closed at the end.
    pools: Vec<Pool>,
}

impl Outlet {
    /// The ways out that the configuration and the embedder ask for; `None` where no mail is configured.
    pub(super) fn of(
        config: &Config,
        delivery: Delivery,
        templates: Option<Templates>,
    ) -> Result<Option<Self>, StartError> {
        let (delivery, email, templates) = match (delivery, config.email(), templates) {
            (Delivery::Handler(handler), ..) => return Ok(Some(Self::to_handler(config, handler))),
            (delivery, Some(email), Some(templates)) => (delivery, email, templates),
            _ => return Ok(None),
        };
        if let Delivery::Mailbox(mailbox) = delivery {
            let composer = letterhead::composer(config, templates, letterhead::sender_for_mailbox(email)?);
            let relay = Relay::new(Arc::new(MailboxMailer::new(composer, mailbox)), 4);
            return Ok(Some(Self::one(WayOut::Application, relay)));
        }
        match &email.webhook {
            Some(webhook) => Self::to_webhook(config, email, webhook, templates).map(Some),
            None => Self::to_relays(config, email, templates).map(Some),
        }
    }

    /// Says goodbye to the relays, once no mail is under way.
    pub(super) async fn close(&self) {
        for pool in &self.pools {
            pool.close(GOODBYE).await;
        }
    }

    fn to_relays(
        config: &Config,
        email: &EmailHandlerConfig,
        templates: Templates,
    ) -> Result<Self, StartError> {
        let Some(sender) = email.from.clone().filter(|_| !email.relays.is_empty()) else {
            return Err(StartError::NoRelay);
        };
        let composer = letterhead::composer(config, templates, sender);
        let mut outlet = Self { way_out: WayOut::Relay, relays: Vec::new(), pools: Vec::new() };
        for relay in &email.relays {
            let pool = Pool::start(relay.clone(), Deadlines::default(), TrustRoots::System)?;
            let mailer = Arc::new(SmtpMailer::new(composer.clone(), pool.clone()));
            outlet.relays.push(Relay::new(mailer, relay.max_connections()).with_queue(QUEUE));
            outlet.pools.push(pool);
        }
        Ok(outlet)
    }

    fn to_webhook(
        config: &Config,
        email: &EmailHandlerConfig,
        webhook: &WebhookSettings,
        templates: Templates,
    ) -> Result<Self, StartError> {
        let wording = letterhead::wording(config, templates);
        let (sender, clock) = (email.from.clone(), Arc::new(WallClock));
        let mailer = WebhookMailer::new(wording, sender, webhook.clone(), &TrustRoots::System, clock)?;
        Ok(Self::one(
            WayOut::Webhook,
            Relay::new(Arc::new(mailer), webhook.max_connections()).called("webhook"),
        ))
    }

    fn to_handler(config: &Config, handler: HandlerDelivery) -> Self {
        let at_once = handler.concurrency();
        let mailer = Arc::new(HandlerMailer::new(handler, letterhead::links(config)));
        Self::one(WayOut::Application, Relay::new(mailer, at_once).called("email handler"))
    }

    fn one(way_out: WayOut, relay: Relay) -> Self {
        Self { way_out, relays: vec![relay], pools: Vec::new() }
    }
}
