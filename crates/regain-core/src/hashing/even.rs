//! Makes a wrong password cost the same time whatever the stored hash is.
//!
//! Who signs in with an unknown name waits for a dummy hash of today's cost. A hash from elsewhere may be checked in a
//! tenth of that, and so would tell that the account exists and where it came from. After such a check, the time that
//! is missing is spent on further hashing; how much is missing, a running average of full hashes tells, taken on the
//! same threads. Nothing here can hide a hash that is dearer than today's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::{HashCost, HashError};

/// The least memory that Argon2id takes: what costs less than this is not worth spending.
const LEAST_KIB: u128 = 8;
/// How often the rest is spent. Each time leaves half of it at most, so this is more than it takes; it ends the matter
/// where the clock of threads stands still.
const MOST_HASHES: usize = 16;

/// Measures what a computation takes of the processor.
///
/// Not wall time: a thread that has to wait for a core must not take the wait for work done, or whoever keeps the
/// machine busy would see the difference again. And not the `Clock` port: this is no time of day, and decides nothing
/// but how much is computed.
#[derive(Clone, Copy)]
pub(super) struct Stopwatch(Duration);

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self(spent_by_this_thread())
    }

    /// What this thread has computed since; it must be the one that started.
    pub(super) fn elapsed(self) -> Duration {
        spent_by_this_thread().saturating_sub(self.0)
    }
}

fn spent_by_this_thread() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// What one hash of today's cost takes here: a running average, in nanoseconds; zero before the first.
#[derive(Default)]
pub(super) struct UsualTime(AtomicU64);

impl UsualTime {
    /// Takes one more measurement in. One that is far off moves the average by a thirty-second and no more.
    pub(super) fn record(&self, took: Duration) {
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX).max(1);
        let average = |usual: u64| {
            let step = usual / 8;
            let near = took.clamp(usual - step, usual.saturating_add(step));
            if usual == 0 { took } else { usual - usual / 4 + near / 4 }
        };
        self.0.update(Ordering::Relaxed, Ordering::Relaxed, average);
    }

    /// The average, where there is one.
    pub(super) fn get(&self) -> Option<Duration> {
        Some(Duration::from_nanos(self.0.load(Ordering::Relaxed))).filter(|usual| !usual.is_zero())
    }
}

/// Spends what `elapsed` is short of `usual` on hashes with the share of today's memory that should take as long.
///
/// Less memory is faster by the block, since more of it stays in the cache, so one try falls short; the rest of the
/// rest is spent in the next. With no estimate, a full hash is spent.
pub(super) fn spend_the_rest(
    usual: Option<Duration>,
    today: HashCost,
    elapsed: impl Fn() -> Duration,
    mut hash: impl FnMut(HashCost) -> Result<(), HashError>,
) -> Result<(), HashError> {
    let Some(usual) = usual else { return hash(today) };
    for _ in 0..MOST_HASHES {
        let missing = usual.saturating_sub(elapsed());
        let share = u128::from(today.memory_kib) * missing.as_nanos() / usual.as_nanos().max(1);
        let Ok(memory_kib) = u32::try_from(share) else { return Err(HashError::Failed) };
        if share < LEAST_KIB {
            return Ok(());
        }
        hash(HashCost { memory_kib, ..today })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const TODAY: HashCost = HashCost { memory_kib: 19 * 1024, passes: 2 };
    const USUAL: Duration = Duration::from_millis(20);

    /// Spends the rest after `spent`, where a block costs `speed` of what it costs in a full hash.
    fn spent_in_all(spent: Duration, speed: f64) -> (Duration, u32) {
        let (time, hashes) = (Cell::new(spent), Cell::new(0));
        let hash = |cost: HashCost| {
            let share = f64::from(cost.memory_kib) / f64::from(TODAY.memory_kib);
            time.set(time.get() + USUAL.mul_f64(share * speed));
            hashes.set(hashes.get() + 1);
            Ok(())
        };
        spend_the_rest(Some(USUAL), TODAY, || time.get(), hash).unwrap();
        (time.get(), hashes.get())
    }

    #[test]
    fn a_cheap_hash_ends_up_at_the_usual_time() {
        for spent in [0, 1, 6_200, 19_900] {
            for speed in [0.5, 0.8, 1.0, 1.05] {
                let (time, hashes) = spent_in_all(Duration::from_micros(spent), speed);
                let off = time.abs_diff(USUAL);
                assert!(
                    off < Duration::from_millis(1) + Duration::from_micros(20),
                    "{spent} {speed}: {time:?}"
                );
                assert!(hashes <= 12, "{spent} {speed}: {hashes}");
            }
        }
    }

    #[test]
    fn a_dear_hash_is_not_made_dearer() {
        for spent in [20, 21, 4_000] {
            assert_eq!(spent_in_all(Duration::from_millis(spent), 1.0), (Duration::from_millis(spent), 0));
        }
    }

    #[test]
    fn without_an_estimate_a_full_hash_is_spent() {
        let mut costs = Vec::new();
        spend_the_rest(
            None,
            TODAY,
            || Duration::ZERO,
            |cost| {
                costs.push(cost);
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(costs, [TODAY]);
    }

    #[test]
    fn a_clock_that_stands_still_keeps_nobody() {
        let hashes = Cell::new(0);
        let count = |_| {
            hashes.set(hashes.get() + 1);
            Ok(())
        };
        assert_eq!(spend_the_rest(Some(USUAL), TODAY, || Duration::ZERO, count), Ok(()));
        assert_eq!(hashes.get(), MOST_HASHES);
    }

    #[test]
    fn a_failure_ends_it() {
        let failed = spend_the_rest(Some(USUAL), TODAY, || Duration::ZERO, |_| Err(HashError::Failed));
        assert_eq!(failed, Err(HashError::Failed));
    }

    #[test]
    fn the_average_follows_and_one_hold_up_moves_it_little() {
        let usual = UsualTime::default();
        assert_eq!(usual.get(), None);
        usual.record(Duration::from_millis(32));
        assert_eq!(usual.get(), Some(Duration::from_millis(32)));
        usual.record(Duration::from_secs(3600));
        assert_eq!(usual.get(), Some(Duration::from_millis(33)));
        for _ in 0..64 {
            usual.record(Duration::from_millis(10));
        }
        assert!(usual.get().unwrap().abs_diff(Duration::from_millis(10)) < Duration::from_micros(10));
    }

    #[test]
    fn the_stopwatch_counts_work() {
        let stopwatch = Stopwatch::start();
        let mut number = 1_u64;
        while stopwatch.elapsed() < Duration::from_millis(2) {
            number = std::hint::black_box(number.wrapping_mul(3));
        }
        assert!(stopwatch.elapsed() >= Duration::from_millis(2), "{number}");
    }
}
