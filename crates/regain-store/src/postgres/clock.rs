//! The database's time, carried on by the monotonic clock: the one time that several processes agree on.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use regain_core::{Clock, Timestamp};

/// A step of the database's clock that is worth a line in the log.
const STEP: i64 = 1000;

/// What time the database says it is. The clock of this machine does not matter.
#[derive(Debug)]
pub struct DatabaseClock {
    start: Instant,
    /// The database's time when `start` was, in milliseconds.
    at_start: AtomicI64,
}

impl DatabaseClock {
    pub(super) fn start() -> Self {
        Self { start: Instant::now(), at_start: AtomicI64::new(0) }
    }

    /// Takes over that the database said `theirs`, in milliseconds, somewhere between `asked` and now.
    pub(super) fn anchor(&self, theirs: i64, asked: Instant) {
        let halfway = asked.duration_since(self.start) + asked.elapsed() / 2;
        let at_start = theirs - millis(halfway);
        let before = self.at_start.swap(at_start, Ordering::Relaxed);
        if before != 0 && (before - at_start).abs() > STEP {
            tracing::warn!(
                event = "database_clock_stepped",
                by_ms = at_start - before,
                "the clock of the database was set"
            );
        }
    }
}

impl Clock for DatabaseClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.at_start.load(Ordering::Relaxed)) + self.start.elapsed()
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
