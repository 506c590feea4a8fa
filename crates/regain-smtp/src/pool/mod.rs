//! Owns the kept connections to one relay: how many there are, who waits for one, when they end.
//!
//! Invariant: one task owns each connection, so dropping the caller of [`Pool::send`] never touches a
//! dialogue. The lock below is held for moves between lists only, never across an await.
//!
//! Invariant: no job waits while a connection is free that it may take; [`guard`] says which. So whatever changes the
//! lists in a way that may let a job go ends with `Shared::dispatch`.

mod ahead;
mod domain;
mod guard;
mod job;
mod lists;
mod rate;
mod room;
mod worker;

#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::domain::Domain;
use self::job::{Job, Message, Stage};
use self::lists::Lists;
use self::rate::Rate;
use crate::session::{Mail, Relay};
use crate::{Cause, Deadlines, Envelope, Phase, Reply, SendError, Settings, StartError, TrustRoots};

/// How often a caller whose time is up looks whether its message waits again.
const SECOND_LOOK: Duration = Duration::from_millis(50);

/// The relay took the message; it is the relay's to deliver now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// What the relay said to the final dot, often with its queue id.
    pub reply: Reply,
}

/// A handle to the connections to one relay; clones share them. Connections are opened when they are needed.
#[derive(Clone)]
pub struct Pool {
    shared: Arc<Shared>,
}

impl Pool {
    /// So many messages may wait for a connection; the next one is refused with [`Cause::QueueFull`].
    pub const LONGEST_QUEUE: usize = 10_000;

    /// Prepares a pool; nothing is connected yet. Fails where the settings can never work on this machine.
    pub fn start(settings: Settings, deadlines: Deadlines, roots: TrustRoots) -> Result<Self, StartError> {
        let relay = Relay::new(settings, deadlines, &roots)?;
        let messages = relay.settings.rate_limit().and_then(|limit| usize::try_from(limit.get()).ok());
        let shared = Shared {
            rate: Rate::new(messages, relay.settings.rate_delta()),
            lists: Mutex::new(Lists::new(relay.settings.max_connections())),
            relay,
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            killed: CancellationToken::new(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Hands one message to the relay, over a kept connection or a new one, and waits for its answer. Messages wait in
    /// order while all connections are busy; one to a domain at which the relay hangs may be passed by others, so that
    /// these have a connection left. There are as many connections as messages at work, up to the URL's
    /// `maxConnections`; with more messages than that on their way, each next one saves a round trip.
    ///
    /// A caller that goes away before the dialogue begins takes its message with it; later, the dialogue goes
    /// on without it. Must be called within a tokio runtime.
    pub async fn send(&self, envelope: Envelope, message: Arc<[u8]>) -> Result<Accepted, SendError> {
        self.hand_in(envelope, message, None).await
    }

    /// As [`Pool::send`], for a message that is of no use if it leaves late: if its dialogue has not begun within
    /// `begin_within` of this call, it is taken back and fails with [`Cause::NotBegun`], and nothing of it leaves any
    /// more. It has not begun while it waits in the queue or for a place in the URL's `rateLimit`; it has once a
    /// connection is opened for it, since somebody must hear of that failing, or its MAIL is written. Once it has begun,
    /// the call waits for the outcome, however long that takes; but a message whose
    /// dialogue broke off and that waits to be begun anew is one that has not begun.
    ///
    /// Where the relay hangs at the recipient's domain, and messages to it have half of the connections already, it fails at
    /// once with [`Cause::HeldBack`]: it would most likely wait in vain.
    pub async fn send_within(
        &self,
        envelope: Envelope,
        message: Arc<[u8]>,
        begin_within: Duration,
    ) -> Result<Accepted, SendError> {
        // More time than there is: as long as it takes.
        self.hand_in(envelope, message, Instant::now().checked_add(begin_within)).await
    }

    async fn hand_in(
        &self,
        envelope: Envelope,
        message: Arc<[u8]>,
        begin_by: Option<Instant>,
    ) -> Result<Accepted, SendError> {
        let mail = Mail { paths: envelope.paths()?, message };
        let until = self.shared.relay.deadlines.message.map(|within| Instant::now() + within);
        let domain = Domain::of(&envelope.to);
        if begin_by.is_some() && self.shared.lists().holds_back(&domain, Instant::now()) {
            return Err(SendError::new(Phase::Connect, Cause::HeldBack));
        }
        let (message, stage, outcome) = Message::new(mail, domain, until);
        self.shared.submit(Job::Message(Box::new(message)))?;
        in_time(outcome, &stage, begin_by, until).await
    }

    /// Opens a connection of its own, logs in and says QUIT: everything short of a mail.
    pub async fn check(&self) -> Result<(), SendError> {
        let (answer, outcome) = oneshot::channel();
        self.shared.submit(Job::Check { answer })?;
        outcome.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Closes the pool: what waits is answered with [`Cause::PoolClosed`], dialogues under way may finish
    /// within `within`, idle connections get a QUIT. Then whatever is left is cut.
    pub async fn close(&self, within: Duration) {
        let waiting = {
            let mut lists = self.shared.lists();
            lists.closed = true;
            std::mem::take(&mut lists.waiting)
        };
        for job in waiting {
            job.fail(closed());
        }
        self.shared.tasks.close();
        self.shared.closing.cancel();
        if timeout(within, self.shared.tasks.wait()).await.is_err() {
            self.shared.killed.cancel();
            self.shared.tasks.wait().await;
        }
    }
}

/// Waits for the outcome of a message. A dialogue keeps to `until` by itself; in the queue nobody does. What is not begun
/// at `begin_by`, or has to be begun anew later, is taken back.
async fn in_time(
    mut outcome: oneshot::Receiver<Result<Accepted, SendError>>,
    stage: &Stage,
    begin_by: Option<Instant>,
    until: Option<Instant>,
) -> Result<Accepted, SendError> {
    let Some(mut look) = begin_by.into_iter().chain(until).min() else {
        return outcome.await.unwrap_or_else(|_| Err(interrupted()));
    };
    loop {
        if let Ok(outcome) = timeout_at(look, &mut outcome).await {
            return outcome.unwrap_or_else(|_| Err(interrupted()));
        }
        let now = Instant::now();
        if until.is_some_and(|until| until <= now) && stage.withdraw_from_queue() {
            return Err(SendError::new(Phase::Connect, Cause::TimedOut));
        }
        if begin_by.is_some_and(|begin_by| begin_by <= now) && stage.withdraw() {
            return Err(not_begun());
        }
        look = now + SECOND_LOOK;
    }
}

struct Shared {
    relay: Relay,
    rate: Arc<Rate>,
    lists: Mutex<Lists>,
    tasks: TaskTracker,
    closing: CancellationToken,
    killed: CancellationToken,
}

impl Shared {
    fn lists(&self) -> MutexGuard<'_, Lists> {
        // No step under the lock can panic halfway, so the lists are whole whoever held it.
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(self: &Arc<Self>, job: Job) -> Result<(), SendError> {
        let mut lists = self.lists();
        if lists.closed {
            return Err(closed());
        }
        if lists.is_full() {
            return Err(SendError::new(Phase::Connect, Cause::QueueFull));
        }
        lists.waiting.push_back(job);
        self.dispatch(&mut lists);
        Ok(())
    }

    /// Finds workers for all jobs that may go. To be called after each change that may let one go.
    fn dispatch(self: &Arc<Self>, lists: &mut Lists) {
        self.use_idle(lists);
        if !lists.waiting.is_empty() {
            lists.tick(Instant::now());
        }
        // A worker that is about to be free costs less than another connection with its handshake and login.
        while lists.live < lists.limit(Instant::now()) && lists.waiting.len() > lists.finishing {
            let Some((job, work)) = lists.take(Instant::now()) else { break };
            lists.live += 1;
            // Spawned under the lock, so that `close` cannot come between and miss the task.
            self.tasks.spawn(worker::run(Arc::clone(self), work, job));
        }
        if !lists.waiting.is_empty() {
            self.look_again(lists);
        }
    }

    /// Hands jobs that may go to workers that are idle.
    fn use_idle(&self, lists: &mut Lists) {
        while !lists.idle.is_empty() {
            let mut taken = lists.take(Instant::now());
            if taken.is_none() {
                return;
            }
            while let Some(this) = taken.take() {
                match lists.idle.pop() {
                    Some(idle) => taken = idle.hand_over.send(this).err(),
                    // The workers were cut off.
                    None => return lists.put_back(this),
                }
            }
        }
    }

    /// Looks again when a domain is out of trouble, or a message drags: nothing else may happen then.
    fn look_again(self: &Arc<Self>, lists: &mut Lists) {
        let Some(at) = lists.guard.next_change() else { return };
        if lists.look_at.is_some_and(|before| before <= at) {
            return;
        }
        lists.look_at = Some(at);
        let shared = Arc::clone(self);
        self.tasks.spawn(async move {
            tokio::select! {
                () = sleep_until(at) => {}
                () = shared.closing.cancelled() => {}
            }
            let mut lists = shared.lists();
            // Another one may look sooner; then this one comes too late.
            if lists.look_at == Some(at) {
                lists.look_at = None;
                shared.dispatch(&mut lists);
            }
        });
    }
}

fn closed() -> SendError {
    SendError::new(Phase::Connect, Cause::PoolClosed)
}

/// A message whose caller took it back.
fn not_begun() -> SendError {
    SendError::new(Phase::Connect, Cause::NotBegun)
}

/// A dialogue that was cut with the final dot on its way.
fn interrupted() -> SendError {
    SendError::new(Phase::FinalDot, Cause::Closed)
}
