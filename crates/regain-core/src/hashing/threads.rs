//! The hashing threads and the bounded queue in front of them.
//!
//! Knows nothing of passwords: a job is a closure that gets the thread's block array.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::blocks::Blocks;
use super::{HashCost, HashError, MAX_WAITING};

/// How long a thread keeps its block array without work.
const IDLE: Duration = Duration::from_secs(60);

pub(super) type Job = Box<dyn FnOnce(&mut Blocks) + Send>;

/// The jobs that wait for a thread.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
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
    pub(super) fn push(&self, job: Job) -> Result<(), HashError> {
        let mut state = self.lock();
        if state.jobs.len() >= MAX_WAITING {
            return Err(HashError::Busy);
        }
        state.jobs.push_back(job);
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

    fn work(&self, mut first: Option<Job>, mut blocks: Blocks) {
        while let Some(job) = first.take().or_else(|| self.next(&mut blocks)) {
            // Whoever waits for the answer is told that there is none; the thread goes on, for there is no other.
            // The array may be left in any state: every hash fills it anew.
            let _ = catch_unwind(AssertUnwindSafe(|| job(&mut blocks)));
        }
    }

    /// Waits for a job; gives the memory back after a while without one.
    fn next(&self, blocks: &mut Blocks) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
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
