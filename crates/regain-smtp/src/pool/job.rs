//! Owns what a caller wants done and how it hears of the outcome: exactly once, whatever becomes of the pool. It must
//! not talk to a relay.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

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
            message.stage.move_to(Stage::QUEUED);
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
    stage: Stage,
    answer: Option<oneshot::Sender<Result<Accepted, SendError>>>,
}

impl Message {
    /// A message with the end where its outcome comes out, and what its caller may take it back by.
    pub(super) fn new(
        mail: Mail,
        domain: Domain,
        until: Option<Instant>,
    ) -> (Self, Stage, oneshot::Receiver<Result<Accepted, SendError>>) {
        let (answer, outcome) = oneshot::channel();
        let (answer, stage) = (Some(answer), Stage::default());
        let message =
            Self { mail, until, start: None, has_left: false, domain, stage: stage.clone(), answer };
        (message, stage, outcome)
    }

    pub(super) fn domain(&self) -> &Domain {
        &self.domain
    }

    /// As [`Job::claim`].
    pub(super) fn claim(&self) -> bool {
        !self.is_abandoned() && self.stage.step(Stage::QUEUED, Stage::AT_WORK)
    }

    /// Notes that a connection is opened for it. `false`: the caller has taken the message back.
    pub(super) fn connects(&self) -> bool {
        self.stage.move_to(Stage::CONNECTING)
    }

    /// Notes that its MAIL leaves now. `false`: it must not, the caller has taken the message back.
    pub(super) fn begin(&self) -> bool {
        self.stage.move_to(Stage::BEGUN)
    }

    pub(super) fn is_withdrawn(&self) -> bool {
        self.stage.is_withdrawn()
    }

    /// Notes that what was begun has to be begun anew; until then its caller may take it back again.
    pub(super) fn unbegin(&self) {
        self.stage.move_to(Stage::AT_WORK);
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.is_withdrawn() || self.answer.as_ref().is_none_or(oneshot::Sender::is_closed)
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

/// How far a message has come, as its caller may see it: whoever moves it first has it. A caller whose time is up
/// withdraws the message, and nothing of it leaves any more.
#[derive(Clone, Default)]
pub(super) struct Stage(Arc<AtomicU8>);

impl Stage {
    const QUEUED: u8 = 0;
    /// A worker has it, and waits for a place in the rate.
    const AT_WORK: u8 = 1;
    /// A connection is opened for it, whose failure somebody must hear of.
    const CONNECTING: u8 = 2;
    /// Its MAIL may have left.
    const BEGUN: u8 = 3;
    const WITHDRAWN: u8 = 4;

    /// Whether it waited in the queue and could be taken back.
    pub(super) fn withdraw_from_queue(&self) -> bool {
        self.step(Self::QUEUED, Self::WITHDRAWN)
    }

    /// Whether nothing was done for it yet and it could be taken back.
    pub(super) fn withdraw(&self) -> bool {
        let withdrawn = |stage| (stage < Self::CONNECTING).then_some(Self::WITHDRAWN);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, withdrawn).is_ok()
    }

    fn is_withdrawn(&self) -> bool {
        self.0.load(Ordering::Acquire) == Self::WITHDRAWN
    }

    fn step(&self, from: u8, to: u8) -> bool {
        self.0.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// `false`: it was withdrawn, and stays so.
    fn move_to(&self, to: u8) -> bool {
        let moved = |stage| (stage != Self::WITHDRAWN).then_some(to);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, moved).is_ok()
    }
}
