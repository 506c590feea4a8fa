//! What others may know of a running courier.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// Panics in a row, without a step between that succeeded, after which the courier counts as dead.
const DEAD_AFTER: u32 = 3;

/// How a courier does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CourierState {
    /// It works.
    Working,
    /// The store fails; letters wait.
    StoreFails,
    /// It panics again and again: nothing is delivered.
    Dead,
    /// It has ended, as it was told.
    Stopped,
}

/// Written by the courier, read by health checks.
#[derive(Debug, Default)]
pub struct CourierStatus {
    panics: AtomicU32,
    store_fails: AtomicBool,
    stopped: AtomicBool,
}

impl CourierStatus {
    /// How it does.
    pub fn state(&self) -> CourierState {
        if self.stopped.load(Ordering::Relaxed) {
            CourierState::Stopped
        } else if self.panics.load(Ordering::Relaxed) >= DEAD_AFTER {
            CourierState::Dead
        } else if self.store_fails.load(Ordering::Relaxed) {
            CourierState::StoreFails
        } else {
            CourierState::Working
        }
    }

    pub(super) fn step_succeeded(&self) {
        self.panics.store(0, Ordering::Relaxed);
        self.store_fails.store(false, Ordering::Relaxed);
    }

    pub(super) fn store_failed(&self) {
        self.store_fails.store(true, Ordering::Relaxed);
    }

    /// Answers how many panics there were in a row.
    pub(super) fn panicked(&self) -> u32 {
        self.panics.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn stopped(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}
