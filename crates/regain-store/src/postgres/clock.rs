//! The database's time, carried on by the monotonic clock: the one time that several processes agree on.
//!
//! When the database's clock is set, processes disagree until each has asked again, and leases that were given before say
//! nothing until their holders have renewed them. So that no letter is taken from whoever is just delivering it, a process
//! takes over claims only while its copy agrees with the database, and has done so for one lease.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use regain_core::outbox::courier::{LEASE, RENEW_EVERY};
use regain_core::{Clock, Timestamp};

use super::listen::{ASK_EVERY, PATIENCE};

/// A step of the database's clock that is worth a line in the log.
const STEP: i64 = 1000;
/// Two times that differ by more are not of one clock: no slow answer explains it. Less does no harm, since a lease that is
/// renewed in time always has longer to go.
pub(super) const JUMP: i64 = 5000;

const _: () = {
    assert!(
        JUMP as u128 >= PATIENCE.as_millis(),
        "each of two times is wrong by half of what its answer took"
    );
    assert!(2 * JUMP as u128 <= LEASE.as_millis() - RENEW_EVERY.as_millis());
    assert!(
        ASK_EVERY.as_secs() + RENEW_EVERY.as_secs() < LEASE.as_secs(),
        "by then all leases are of the new time"
    );
};

/// What time the database says it is. The clock of this machine does not matter.
#[derive(Debug)]
pub struct DatabaseClock {
    start: Instant,
    /// The database's time when `start` was, in milliseconds.
    at_start: AtomicI64,
    /// Until when claims of others are left alone, in milliseconds after `start`.
    holds_off: AtomicI64,
}

impl DatabaseClock {
    pub(super) fn start() -> Self {
        Self { start: Instant::now(), at_start: AtomicI64::new(0), holds_off: AtomicI64::new(0) }
    }

    /// Takes over that the database said `theirs`, in milliseconds, somewhere between `asked` and now.
    pub(super) fn anchor(&self, theirs: i64, asked: Instant) {
        let halfway = asked.duration_since(self.start) + asked.elapsed() / 2;
        let at_start = theirs - millis(halfway);
        let before = self.at_start.load(Ordering::SeqCst);
        let by_ms = at_start - before;
        if before != 0 && by_ms.abs() > JUMP {
            // Before anybody can go by the new time.
            self.hold_off();
        }
        self.at_start.store(at_start, Ordering::SeqCst);
        if before != 0 && by_ms.abs() > STEP {
            tracing::warn!(event = "database_clock_stepped", by_ms, "the clock of the database was set");
        }
    }

    /// Leaves the claims of others alone for one lease from now on.
    pub(super) fn hold_off(&self) {
        self.holds_off.store(millis(self.start.elapsed() + LEASE), Ordering::SeqCst);
    }

    /// The time that the database must agree with before claims of others are taken over, where they are. Asked after a
    /// step was given its time, which then is of the same clock.
    pub(super) fn to_take_over(&self) -> Option<Timestamp> {
        let now = self.now();
        self.held_off_until().is_none().then_some(now)
    }

    /// Until when claims of others are left alone, where they are.
    pub(super) fn held_off_until(&self) -> Option<Timestamp> {
        let holds_off = self.holds_off.load(Ordering::SeqCst);
        let until = self.at_start.load(Ordering::SeqCst) + holds_off;
        (millis(self.start.elapsed()) < holds_off).then_some(Timestamp::from_millis(until))
    }
}

impl Clock for DatabaseClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.at_start.load(Ordering::SeqCst)) + self.start.elapsed()
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
