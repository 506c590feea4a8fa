//! What a courier has done since it started, counted for the operator's metrics. Nothing of one account or address.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::store::{Batch, Closed};

/// Upper bounds of the buckets that delivery times are counted in, in milliseconds.
pub const BUCKETS: [u64; 14] =
    [10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 15_000, 60_000, 300_000, 1_800_000, 7_200_000];

/// Counters that only grow. Read with [`Tally::counts`].
#[derive(Debug, Default)]
pub struct Tally {
    sent: AtomicU64,
    put_off: AtomicU64,
    dead: AtomicU64,
    released: AtomicU64,
    dropped: AtomicU64,
    superseded: AtomicU64,
    crashed: AtomicU64,
    unreadable: AtomicU64,
    expired_unattempted: AtomicU64,
    expired_by_relay: AtomicU64,
    expired_put_off: AtomicU64,
    over_budget: AtomicU64,
    perhaps_twice: AtomicU64,
    took_ms: AtomicU64,
    buckets: [AtomicU64; BUCKETS.len()],
}

/// What a [`Tally`] holds at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Letters accepted by a relay.
    pub sent: u64,
    /// Attempts after which a letter waits for another.
    pub put_off: u64,
    /// Letters refused for good, or impossible to compose.
    pub dead: u64,
    /// Letters given back since their relay was at fault, or unattempted.
    pub released: u64,
    /// Letters that a claim closed.
    pub closed: Closed,
    /// Times that a letter was put off since the mail budget was spent.
    pub over_budget: u64,
    /// Mails that may have gone out twice: the connection was lost behind the final dot, or a claim was lost before the
    /// outcome was written down.
    pub perhaps_twice: u64,
    /// From posting to acceptance, in milliseconds, all letters sent together.
    pub took_ms: u64,
    /// Letters sent within each of [`BUCKETS`]; a letter is counted in one of them, the slowest in none.
    pub buckets: [u64; BUCKETS.len()],
}

impl Tally {
    /// What there is at this moment.
    pub fn counts(&self) -> Counts {
        let closed = Closed {
            dropped: self.dropped.load(Relaxed),
            superseded: self.superseded.load(Relaxed),
            crashed: self.crashed.load(Relaxed),
            unreadable: self.unreadable.load(Relaxed),
            expired_unattempted: self.expired_unattempted.load(Relaxed),
            expired_by_relay: self.expired_by_relay.load(Relaxed),
            expired_put_off: self.expired_put_off.load(Relaxed),
        };
        Counts {
            sent: self.sent.load(Relaxed),
            put_off: self.put_off.load(Relaxed),
            dead: self.dead.load(Relaxed),
            released: self.released.load(Relaxed),
            closed,
            over_budget: self.over_budget.load(Relaxed),
            perhaps_twice: self.perhaps_twice.load(Relaxed),
            took_ms: self.took_ms.load(Relaxed),
            buckets: std::array::from_fn(|i| self.buckets[i].load(Relaxed)),
        }
    }

    pub(super) fn claimed(&self, batch: &Batch) {
        let Closed {
            dropped,
            superseded,
            crashed,
            unreadable,
            expired_unattempted,
            expired_by_relay,
            expired_put_off,
        } = batch.closed;
        for (counter, more) in [
            (&self.dropped, dropped),
            (&self.superseded, superseded),
            (&self.crashed, crashed),
            (&self.unreadable, unreadable),
            (&self.expired_unattempted, expired_unattempted),
            (&self.expired_by_relay, expired_by_relay),
            (&self.expired_put_off, expired_put_off),
            (&self.over_budget, batch.put_off),
            (&self.perhaps_twice, batch.reclaimed),
        ] {
            counter.fetch_add(more, Relaxed);
        }
    }

    pub(super) fn sent(&self, after: Duration) {
        let ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        self.sent.fetch_add(1, Relaxed);
        self.took_ms.fetch_add(ms, Relaxed);
        if let Some(bucket) = BUCKETS.iter().position(|bound| ms <= *bound) {
            self.buckets[bucket].fetch_add(1, Relaxed);
        }
    }

    pub(super) fn put_off(&self) {
        self.put_off.fetch_add(1, Relaxed);
    }

    pub(super) fn dead(&self) {
        self.dead.fetch_add(1, Relaxed);
    }

    pub(super) fn released(&self) {
        self.released.fetch_add(1, Relaxed);
    }

    pub(super) fn perhaps_twice(&self) {
        self.perhaps_twice.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_counted_in_the_first_bucket_that_holds_it() {
        let tally = Tally::default();
        for ms in [0, 10, 11, 7_200_000, 7_200_001] {
            tally.sent(Duration::from_millis(ms));
        }
        let counts = tally.counts();
        assert_eq!((counts.sent, counts.buckets[0], counts.buckets[1], counts.buckets[13]), (5, 2, 1, 1));
        assert_eq!(counts.took_ms, 14_400_022);
    }
}
