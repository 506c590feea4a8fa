//! The hashing threads and the bounded queues in front of them.
//!
//! Knows nothing of passwords: a job is a closure that gets the thread's block array. Dear jobs have a queue of their own and
//! one thread at a time, and go last: whoever asks for many of them holds up nobody but others of that kind.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::blocks::Blocks;
use super::{HashCost, HashError, MAX_WAITING};

/// How long a thread keeps its block array without work.
const IDLE: Duration = Duration::from_secs(60);

pub(super) type Job = Box<dyn FnOnce(&mut Blocks) + Send>;

/// How many dear jobs may wait.
pub(super) const MAX_DEAR_WAITING: usize = 8;

/// Which queue a job waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// As dear as a hash of today, or cheaper.
    Usual,
    /// A hash from elsewhere that takes several times that.
    Dear,
}

/// The jobs that wait for a thread.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    usual: VecDeque<Job>,
    dear: VecDeque<Job>,
    dear_runs: bool,
    closed: bool,
}

/// Starts one thread a core; one of them does `first` before it looks into the queue. They end when the queue is
/// closed and empty.
pub(super) fn start(today: HashCost, first: Job) -> Result<Arc<Queue>, HashError> {
    let mut first = Some(first);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let queue = Arc::new(Queue::default());
    for i in 0..threads {
        let (queue, first) = (queue.clone(), first.take());
        std::thread::Builder::new()
            .name(format!("hash-{i}"))
            .spawn(move || queue.work(first, Blocks::new(today)))
            .map_err(|_| HashError::Failed)?;
    }
    Ok(queue)
}

impl Queue {
    pub(super) fn push(&self, lane: Lane, job: Job) -> Result<(), HashError> {
        let mut state = self.lock();
        let (jobs, most) = match lane {
            Lane::Usual => (&mut state.usual, MAX_WAITING),
            Lane::Dear => (&mut state.dear, MAX_DEAR_WAITING),
        };
        if jobs.len() >= most {
            return Err(HashError::Busy);
        }
        jobs.push_back(job);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, first: Option<Job>, mut blocks: Blocks) {
        let mut first = first.map(|job| (Lane::Usual, job));
        while let Some((lane, job)) = first.take().or_else(|| self.next(&mut blocks)) {
            // Whoever waits for the answer is told that there is none; the thread goes on, for there is no other.
            // The array may be left in any state: every hash fills it anew.
            let _ = catch_unwind(AssertUnwindSafe(|| job(&mut blocks)));
            if lane == Lane::Dear {
                self.lock().dear_runs = false;
                self.changed.notify_one();
            }
        }
    }

    /// Waits for a job; gives the memory back after a while without one.
    fn next(&self, blocks: &mut Blocks) -> Option<(Lane, Job)> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.usual.pop_front() {
                return Some((Lane::Usual, job));
            }
            if !state.dear_runs
                && let Some(job) = state.dear.pop_front()
            {
                state.dear_runs = true;
                return Some((Lane::Dear, job));
            }
            if state.closed {
                return None;
            }
            let (next, waited) =
                self.changed.wait_timeout(state, IDLE).unwrap_or_else(PoisonError::into_inner);
            state = next;
            if waited.timed_out() {
                blocks.give_back();
            }
        }
    }
}
