//! What each connection waits for and since when, and the rules of who has to go.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use super::ServerLimits;

/// What a connection is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Between two requests.
    Idle,
    /// A request is coming in, or the first one is awaited.
    Head,
    /// Its body is coming in.
    Body,
    /// We are working for it. The one phase in which it is not the client who is waited for.
    Work,
    /// The answer is going out.
    Answer,
    /// The answer is out, and what the client still sends is thrown away.
    Drain,
}

/// How long a client may go on sending what nobody reads.
const LONGEST_DRAIN: Duration = Duration::from_secs(2);
/// With more connections than this, the oldest of so many is closed, so that a flood cannot make the search dear.
const SEARCHED: usize = 4_096;

/// All connections.
pub(super) struct Watch {
    limits: ServerLimits,
    start: Instant,
    open: Mutex<HashMap<u64, Arc<Slot>>>,
}

/// The state of one connection, shared between its task and the watch.
pub(super) struct Slot {
    start: Instant,
    phase: AtomicU8,
    /// Milliseconds from `start` to the beginning of the phase, or to the last progress of an answer.
    since: AtomicU64,
    is_closing: AtomicBool,
    has_unread_body: AtomicBool,
    closing: Notify,
}

/// A place among the connections, given back when dropped.
pub(super) struct Place {
    watch: Arc<Watch>,
    id: u64,
    pub(super) slot: Arc<Slot>,
}

impl Watch {
    pub(super) fn new(limits: ServerLimits) -> Self {
        Self { limits, start: Instant::now(), open: Mutex::default() }
    }

    /// How often [`Self::close_overdue`] is to be called: often enough to be a quarter late at most.
    pub(super) fn tick(&self) -> Duration {
        let ServerLimits { head, idle, write, .. } = self.limits;
        let shortest = head.min(idle).min(write);
        (shortest / 4).clamp(Duration::from_millis(10), Duration::from_secs(1))
    }

    /// Whether there is a place for another connection, if need be by closing the one that has waited longest for its
    /// client.
    pub(super) fn make_room(&self) -> bool {
        let open = self.lock();
        self.is_below_limit(&open) || close(oldest(&open))
    }

    pub(super) fn close_oldest(&self) {
        close(oldest(&self.lock()));
    }

    pub(super) fn close_overdue(&self) {
        let now = self.start.elapsed();
        for slot in self.lock().values() {
            let limit = match slot.phase() {
                Phase::Idle => self.limits.idle,
                Phase::Head => self.limits.head,
                Phase::Answer => self.limits.write,
                Phase::Drain => LONGEST_DRAIN,
                // The body's reader has a deadline of its own, and answers.
                Phase::Body | Phase::Work => continue,
            };
            if now.saturating_sub(slot.since()) > limit {
                slot.close();
            }
        }
    }

    pub(super) fn close_all(&self) {
        self.lock().values().for_each(|slot| slot.close());
    }

    pub(super) fn enter(self: &Arc<Self>) -> Place {
        let slot = Arc::new(Slot {
            start: self.start,
            phase: AtomicU8::new(Phase::Head as u8),
            since: AtomicU64::new(0),
            is_closing: AtomicBool::new(false),
            has_unread_body: AtomicBool::new(false),
            closing: Notify::new(),
        });
        slot.enter(Phase::Head);
        let mut open = self.lock();
        let mut id = slot.since.load(Ordering::Relaxed) << 20;
        while open.contains_key(&id) {
            id += 1;
        }
        open.insert(id, slot.clone());
        drop(open);
        Place { watch: self.clone(), id, slot }
    }

    /// Those that are on their way out have given up their place already.
    fn is_below_limit(&self, open: &HashMap<u64, Arc<Slot>>) -> bool {
        let limit = self.limits.max_connections;
        open.len() < limit || open.values().filter(|slot| !slot.is_closing()).count() < limit
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Slot>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn oldest(open: &HashMap<u64, Arc<Slot>>) -> Option<&Arc<Slot>> {
    let waiting =
        open.values().take(SEARCHED).filter(|slot| slot.phase() != Phase::Work && !slot.is_closing());
    waiting.min_by_key(|slot| slot.since())
}

/// Answers whether there was one to close.
fn close(slot: Option<&Arc<Slot>>) -> bool {
    if let Some(slot) = slot {
        slot.close();
    }
    slot.is_some()
}

impl Drop for Place {
    fn drop(&mut self) {
        self.watch.lock().remove(&self.id);
    }
}

impl Slot {
    pub(super) fn phase(&self) -> Phase {
        const ALL: [Phase; 6] =
            [Phase::Idle, Phase::Head, Phase::Body, Phase::Work, Phase::Answer, Phase::Drain];
        ALL.get(usize::from(self.phase.load(Ordering::Relaxed))).copied().unwrap_or(Phase::Work)
    }

    pub(super) fn enter(&self, phase: Phase) {
        self.touch();
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Something came or went: the wait begins anew.
    pub(super) fn touch(&self) {
        let since = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since.store(since, Ordering::Relaxed);
    }

    /// A body was given up on before its end, so the client may still be sending.
    pub(super) fn leave_body_unread(&self) {
        self.has_unread_body.store(true, Ordering::Relaxed);
    }

    /// Whether the client may be in the middle of sending: then closing at once would reset the connection, and the
    /// client would lose the answer with it.
    pub(super) fn may_be_sent_to(&self) -> bool {
        self.has_unread_body.load(Ordering::Relaxed) || self.phase() == Phase::Head
    }

    /// Waits until the watch closes the connection.
    pub(super) fn closed(&self) -> Notified<'_> {
        self.closing.notified()
    }

    fn close(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
        self.closing.notify_one();
    }

    fn since(&self) -> Duration {
        Duration::from_millis(self.since.load(Ordering::Relaxed))
    }

    fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Relaxed)
    }
}
