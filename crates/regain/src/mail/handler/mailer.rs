//! The mailer that hands over to an application's [`EmailHandler`](super::EmailHandler).

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use regain_core::Purpose;
use regain_core::mailer::{DeliveryError, LaterKind, Mailer, Parcel, Receipt};
use tokio::time::timeout;

use super::{HandlerDelivery, HandlerError, LetterDetails};
use crate::mail::link::link;
use crate::mail::smtp::scrub::Scrubber;

/// Calls an application's handler, within its time limit.
pub struct HandlerMailer {
    delivery: HandlerDelivery,
    links: Links,
}

/// What links are like.
#[derive(Clone, Debug)]
pub struct Links {
    /// What they begin with, without a slash at its end.
    pub base: Option<String>,
    /// How long a reset link is good.
    pub reset_lifetime: Duration,
    /// How long a confirmation link is good.
    pub confirm_lifetime: Duration,
}

impl HandlerMailer {
    /// A mailer that calls the handler of `delivery` with such links.
    pub fn new(delivery: HandlerDelivery, links: Links) -> Self {
        Self { delivery, links }
    }

    fn details(&self, parcel: &Parcel) -> LetterDetails {
        let expires_in = match parcel.purpose {
            Purpose::Confirm => self.links.confirm_lifetime,
            Purpose::Reset | Purpose::PasswordChanged => self.links.reset_lifetime,
        };
        let base = self.links.base.as_deref();
        LetterDetails {
            id: parcel.letter,
            posted: parcel.posted,
            link: base.and_then(|base| link(base, parcel.purpose, parcel.token.as_ref())),
            expires_in,
        }
    }

    async fn call(&self, parcel: &Parcel) -> Result<(), HandlerError> {
        let (handler, details) = (&self.delivery.handler, self.details(parcel));
        let (to, agent, ip) = (&parcel.to, parcel.agent.as_ref(), parcel.ip);
        match (parcel.purpose, &parcel.token) {
            (Purpose::Reset, Some(token)) => handler.reset_password(to, token, agent, ip, &details).await,
            (Purpose::Confirm, Some(token)) => handler.confirm_email(to, token, &details).await,
            (Purpose::PasswordChanged, _) => handler.password_changed(to, agent, ip, &details).await,
            (Purpose::Reset | Purpose::Confirm, None) => {
                Err(HandlerError::never("there is no token for a mail that needs one"))
            }
        }
    }
}

#[async_trait]
impl Mailer for HandlerMailer {
    async fn deliver(&self, parcel: Parcel) -> Result<Receipt, DeliveryError> {
        let scrubber = Scrubber::of(&parcel);
        let limit = self.delivery.time_limit;
        // A panic says nothing about the other letters, and repeating it would only repeat it.
        let called = AssertUnwindSafe(timeout(limit, self.call(&parcel))).catch_unwind().await;
        let error = match called {
            Ok(Ok(Ok(()))) => return Ok(Receipt { reply: "taken by the application's handler".to_owned() }),
            Ok(Ok(Err(error))) => error,
            Ok(Err(_)) => {
                HandlerError::Later(format!("the application's handler took longer than {limit:?}"))
            }
            Err(_) => HandlerError::never("the application's handler panicked"),
        };
        Err(match error {
            HandlerError::Later(reason) => {
                DeliveryError::Later { reason: scrubber.scrub(&reason), reply: None, kind: LaterKind::Other }
            }
            HandlerError::Never(reason) => {
                DeliveryError::Never { reason: scrubber.scrub(&reason), reply: None }
            }
            HandlerError::Unavailable(reason) => {
                DeliveryError::Relay { reason: scrubber.scrub(&reason), permanent: false }
            }
        })
    }
}
