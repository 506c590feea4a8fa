//! Owns one connection and serves one job after another over it. It must never hold two connections, and it
//! sends a message a second time only while the relay cannot have seen any of it.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::sleep;

use super::{Accepted, Idle, Job, Shared};
use crate::session::{Relay, Session};
use crate::{Cause, Phase, SendError};

/// A connection is renewed after this many messages, as in nodemailer: some relays punish longer ones.
const MESSAGES_PER_CONNECTION: usize = 100;

/// Serves `job` and what comes after it, until there is neither work nor a connection.
pub(super) async fn run(mut slot: Slot, job: Job) {
    let shared = Arc::clone(&slot.shared);
    let work = async {
        let mut session = None;
        let mut next = Some(job);
        while let Some(job) = next {
            session = serve(&mut slot, &shared.relay, session, job).await;
            next = slot.next(&mut session).await;
        }
    };
    tokio::select! {
        biased;
        () = shared.killed.cancelled() => {}
        () = work => {}
    }
}

/// A worker's place among the live ones, given back when it ends, even by a panic.
pub(super) struct Slot {
    shared: Arc<Shared>,
    released: bool,
    finishing: bool,
}

impl Slot {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, released: false, finishing: false }
    }

    /// Notes that this worker looks for its next job soon; to be called before the answer, or its caller could
    /// send again while nobody seems to be free.
    fn finish(&mut self) {
        if !std::mem::replace(&mut self.finishing, true) {
            self.shared.lists().finishing += 1;
        }
    }

    /// The next job. While there is none, an open connection is kept for a while; `None`: the worker's place
    /// is given back and it must end.
    async fn next(&mut self, session: &mut Option<Session>) -> Option<Job> {
        loop {
            let (id, mut handed) = {
                let mut lists = self.shared.lists();
                if std::mem::take(&mut self.finishing) {
                    lists.finishing -= 1;
                }
                if let Some(job) = lists.waiting.pop_front() {
                    return Some(job);
                }
                if session.is_none() {
                    // Under the same lock as the look at the queue, or a job could come in between and wait
                    // for a worker that is leaving.
                    lists.live -= 1;
                    self.released = true;
                    return None;
                }
                lists.last_id += 1;
                let (hand_over, handed) = oneshot::channel();
                let id = lists.last_id;
                lists.idle.push(Idle { id, hand_over });
                (id, handed)
            };
            let Some(kept) = session.as_mut() else { continue };
            let usable = tokio::select! {
                biased;
                job = &mut handed => return job.ok(),
                () = kept.disturbed() => false,
                () = sleep(self.shared.relay.deadlines.idle) => true,
                () = self.shared.closing.cancelled() => true,
            };
            let handed_over_meanwhile = {
                let mut lists = self.shared.lists();
                let before = lists.idle.len();
                lists.idle.retain(|idle| idle.id != id);
                lists.idle.len() == before
            };
            if handed_over_meanwhile {
                if !usable {
                    *session = None;
                }
                return handed.await.ok();
            }
            if let Some(session) = session.take().filter(|_| usable) {
                session.quit().await;
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.released {
            return;
        }
        let mut lists = self.shared.lists();
        lists.live -= 1;
        lists.finishing -= usize::from(self.finishing);
        if lists.live == 0 {
            // Nobody is left to serve these; their callers are told by the closed channel.
            let orphans = std::mem::take(&mut lists.waiting);
            drop(lists);
            drop(orphans);
        }
    }
}

/// Does one job and gives back the connection if it can do another one.
async fn serve(slot: &mut Slot, relay: &Relay, kept: Option<Session>, job: Job) -> Option<Session> {
    if job.is_abandoned() {
        return kept;
    }
    match job {
        Job::Check { answer } => {
            if let Some(kept) = kept {
                kept.quit().await;
            }
            let outcome = Session::open(relay).await;
            let outcome = match outcome {
                Ok(session) => {
                    session.quit().await;
                    Ok(())
                }
                Err(error) => Err(error),
            };
            slot.finish();
            drop(answer.send(outcome));
            None
        }
        Job::Message { paths, message, answer } => {
            let mut session = kept;
            let mut outcome = None;
            if let Some(kept) = session.as_mut() {
                let first = kept.send(&paths, &message).await;
                if first.as_ref().is_err_and(died_while_idle) {
                    tracing::debug!("a kept connection had died; the message goes over a new one");
                    session = None;
                } else {
                    outcome = Some(first);
                }
            }
            let outcome = match outcome {
                Some(outcome) => outcome,
                None => match Session::open(relay).await {
                    Ok(fresh) => session.insert(fresh).send(&paths, &message).await,
                    Err(error) => Err(error),
                },
            };
            if let Err(error) = &outcome {
                tracing::debug!(code = error.code(), %error, "the relay did not take a message");
            }
            // Answered before anything is cleared away, so that the caller does not wait for RSET.
            slot.finish();
            drop(answer.send(outcome.map(|reply| Accepted { reply })));
            let mut session = session?;
            if !session.settle().await {
                return None;
            }
            if session.transactions() >= MESSAGES_PER_CONNECTION {
                session.quit().await;
                return None;
            }
            Some(session)
        }
    }
}

/// Whether a kept connection failed in a way that says nothing about the message: the relay had closed it, or
/// says goodbye now, and no byte of the message has left.
fn died_while_idle(error: &SendError) -> bool {
    let gone = matches!(error.cause(), Cause::Closed | Cause::Io(_)) || error.is_farewell();
    gone && error.phase() < Phase::FinalDot
}
