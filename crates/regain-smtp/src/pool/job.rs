//! Owns what a caller wants done and how it hears of the outcome: exactly once, whatever becomes of the pool. It must
//! not talk to a relay.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::domain::Domain;
use super::rate::Start;
use super::{Accepted, closed, interrupted};
use crate::SendError;
use crate::session::Mail;

pub(super) enum Job {
    Message(Box<Message>),
    Check { answer: oneshot::Sender<Result<(), SendError>> },
}

impl Job {
    pub(super) fn is_abandoned(&self) -> bool {
        match self {
            Self::Message(message) => message.is_abandoned(),
            Self::Check { answer } => answer.is_closed(),
        }
    }

    /// Takes the job out of its caller's hands. `false`: the caller is gone, or has given up already.
    pub(super) fn claim(&self) -> bool {
        match self {
            Self::Message(message) => message.claim(),
            Self::Check { .. } => !self.is_abandoned(),
        }
    }

    /// Puts it into the state of one that waits.
    pub(super) fn unclaim(&mut self) {
        if let Self::Message(message) = self {
            message.start = None;
            if let Some(claim) = &message.claim {
                claim.give();
            }
        }
    }

    /// Where it goes; `None`: to the relay alone.
    pub(super) fn domain(&self) -> Option<&Domain> {
        match self {
            Self::Message(message) => Some(&message.domain),
            Self::Check { .. } => None,
        }
    }

    /// A caller that is gone does not hear of it, which is fine.
    pub(super) fn fail(self, error: SendError) {
        match self {
            Self::Message(message) => message.answer(Err(error)),
            Self::Check { answer } => drop(answer.send(Err(error))),
        }
    }
}

/// A message on its way through the pool.
pub(super) struct Message {
    pub(super) mail: Mail,
    pub(super) until: Option<Instant>,
    /// Its place in the rate, from the time it is given until the relay has heard of the message.
    pub(super) start: Option<Start>,
    /// Whether the final dot may have left, so that nobody knows what became of the message.
    pub(super) has_left: bool,
    domain: Domain,
    claim: Option<Claim>,
    answer: Option<oneshot::Sender<Result<Accepted, SendError>>>,
}

impl Message {
    /// A message with the end where its outcome comes out. The claim is there if the message has a deadline.
    pub(super) fn new(
        mail: Mail,
        domain: Domain,
        until: Option<Instant>,
    ) -> (Self, Option<Claim>, oneshot::Receiver<Result<Accepted, SendError>>) {
        let (answer, outcome) = oneshot::channel();
        let claim = until.map(|_| Claim::default());
        let answer = Some(answer);
        let message =
            Self { mail, until, start: None, has_left: false, domain, claim: claim.clone(), answer };
        (message, claim, outcome)
    }

    pub(super) fn domain(&self) -> &Domain {
        &self.domain
    }

    /// As [`Job::claim`].
    pub(super) fn claim(&self) -> bool {
        self.claim.as_ref().is_none_or(Claim::take) && !self.is_abandoned()
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.answer.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// Waits until the caller goes away. Safe to drop.
    pub(super) async fn abandoned(&mut self) {
        if let Some(answer) = &mut self.answer {
            answer.closed().await;
        }
    }

    pub(super) fn answer(mut self, outcome: Result<Accepted, SendError>) {
        if let Some(answer) = self.answer.take() {
            drop(answer.send(outcome));
        }
    }
}

impl Drop for Message {
    /// A dialogue that was cut is told as carefully as it must be: unknown only if the final dot may have left.
    fn drop(&mut self) {
        if let Some(answer) = self.answer.take() {
            drop(answer.send(Err(if self.has_left { interrupted() } else { closed() })));
        }
    }
}

/// Who has a message that has a deadline: the queue, or whoever takes this. A caller whose time is up takes it from the
/// queue so that nobody sends the message any more.
#[derive(Clone, Default)]
pub(super) struct Claim(Arc<AtomicBool>);

impl Claim {
    /// Whether it was there to be taken.
    pub(super) fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    fn give(&self) {
        self.0.store(false, Ordering::Release);
    }
}
