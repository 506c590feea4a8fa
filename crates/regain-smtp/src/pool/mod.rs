//! Owns the kept connections to one relay: how many there are, who waits for one, when they end.
//!
//! Invariant: one task owns each connection, so dropping the caller of [`Pool::send`] never touches a
//! dialogue. The lock below is held for moves between lists only, never across an await.

mod worker;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::session::{Paths, Relay};
use crate::{Cause, Deadlines, Envelope, Phase, Reply, SendError, Settings, StartError, TrustRoots};

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
    /// Prepares a pool; nothing is connected yet. Fails where the settings can never work on this machine.
    pub fn start(settings: Settings, deadlines: Deadlines, roots: TrustRoots) -> Result<Self, StartError> {
        let relay = Relay::new(settings, deadlines, &roots)?;
        let shared = Shared {
            relay,
            lists: Mutex::default(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            killed: CancellationToken::new(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Hands one message to the relay, over a kept connection or a new one, and waits for its answer. Messages
    /// wait in order while all connections are busy; the caller bounds how many.
    ///
    /// A caller that goes away before the dialogue begins takes its message with it; later, the dialogue goes
    /// on without it. Must be called within a tokio runtime.
    pub async fn send(&self, envelope: Envelope, message: Arc<[u8]>) -> Result<Accepted, SendError> {
        let paths = envelope.paths()?;
        let (answer, outcome) = oneshot::channel();
        self.shared.submit(Job::Message { paths, message, answer })?;
        outcome.await.unwrap_or_else(|_| Err(interrupted()))
    }

    /// Opens a connection of its own, logs in and says QUIT: everything short of a mail.
    pub async fn check(&self) -> Result<(), SendError> {
        let (answer, outcome) = oneshot::channel();
        self.shared.submit(Job::Check { answer })?;
        outcome.await.unwrap_or_else(|_| Err(interrupted()))
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

struct Shared {
    relay: Relay,
    lists: Mutex<Lists>,
    tasks: TaskTracker,
    closing: CancellationToken,
    killed: CancellationToken,
}

/// Who waits for whom.
#[derive(Default)]
struct Lists {
    waiting: VecDeque<Job>,
    /// Workers with an open connection and nothing to do; the one used last is used next, so that those too
    /// many become idle.
    idle: Vec<Idle>,
    /// Workers that exist: the number of connections is never higher.
    live: usize,
    /// Workers that have answered and will look at `waiting` next, after a RSET perhaps.
    finishing: usize,
    closed: bool,
    last_id: u64,
}

struct Idle {
    id: u64,
    hand_over: oneshot::Sender<Job>,
}

enum Job {
    Message { paths: Paths, message: Arc<[u8]>, answer: oneshot::Sender<Result<Accepted, SendError>> },
    Check { answer: oneshot::Sender<Result<(), SendError>> },
}

impl Job {
    fn is_abandoned(&self) -> bool {
        match self {
            Self::Message { answer, .. } => answer.is_closed(),
            Self::Check { answer } => answer.is_closed(),
        }
    }

    /// A caller that is gone does not hear of it, which is fine.
    fn fail(self, error: SendError) {
        match self {
            Self::Message { answer, .. } => drop(answer.send(Err(error))),
            Self::Check { answer } => drop(answer.send(Err(error))),
        }
    }
}

impl Shared {
    fn lists(&self) -> MutexGuard<'_, Lists> {
        // No step under the lock can panic halfway, so the lists are whole whoever held it.
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(self: &Arc<Self>, mut job: Job) -> Result<(), SendError> {
        let mut lists = self.lists();
        if lists.closed {
            return Err(closed());
        }
        while let Some(idle) = lists.idle.pop() {
            match idle.hand_over.send(job) {
                Ok(()) => return Ok(()),
                Err(back) => job = back,
            }
        }
        // A worker that is about to be free costs less than another connection with its handshake and login.
        let worker_comes = lists.waiting.len() < lists.finishing;
        if !worker_comes && lists.live < self.relay.settings.max_connections() {
            lists.live += 1;
            // Spawned under the lock, so that `close` cannot come between and miss the task.
            self.tasks.spawn(worker::run(worker::Slot::new(Arc::clone(self)), job));
        } else {
            lists.waiting.push_back(job);
        }
        Ok(())
    }
}

fn closed() -> SendError {
    SendError::new(Phase::Connect, Cause::PoolClosed)
}

/// A dialogue that was cut: nobody knows how far it had come, so the most careful answer is given.
fn interrupted() -> SendError {
    SendError::new(Phase::FinalDot, Cause::Closed)
}
