//! When a letter that was put off is tried again: full jitter of 5 s × 2ⁿ up to 10 minutes.

use std::time::Duration;

use crate::mailer::LaterKind;
use crate::rng::{self, NoRandomness, Rng};

const FIRST: Duration = Duration::from_secs(5);
/// No letter waits longer than this for its next attempt; one that is due later was parked by a clock that was wrong.
pub const LONGEST: Duration = Duration::from_secs(600);
/// Greylisting takes its time; coming back sooner only starts it anew (RFC 6647, 5).
const GREYLISTED: Duration = Duration::from_secs(60);

/// How long to wait after attempt number `attempts` (1 for the first).
///
/// # Errors
/// When there is no randomness.
pub fn delay(attempts: u32, kind: LaterKind, rng: &dyn Rng) -> Result<Duration, NoRandomness> {
    let ceiling = FIRST.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(LONGEST);
    let floor = if kind == LaterKind::Greylisted { GREYLISTED } else { Duration::from_secs(1) };
    let jitter =
        Duration::from_millis(rng::up_to(rng, u64::try_from(ceiling.as_millis()).unwrap_or(u64::MAX))?);
    Ok(jitter.max(floor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::OsRng;

    fn longest_of_many(attempts: u32, kind: LaterKind) -> Duration {
        (0..500).map(|_| delay(attempts, kind, &OsRng).unwrap()).max().unwrap()
    }

    #[test]
    fn waits_double_up_to_ten_minutes_with_full_jitter() {
        for (attempts, ceiling) in [(1, 5), (2, 10), (3, 20), (7, 320), (8, 600), (1000, 600)] {
            let longest = longest_of_many(attempts, LaterKind::Other);
            let ceiling = Duration::from_secs(ceiling);
            assert!(longest <= ceiling && longest > ceiling * 9 / 10, "{attempts}: {longest:?}");
        }
        assert!((0..500).any(|_| delay(8, LaterKind::Other, &OsRng).unwrap() < Duration::from_secs(60)));
    }

    #[test]
    fn a_greylisted_letter_never_comes_back_within_a_minute() {
        assert!(
            (0..500).all(|_| delay(1, LaterKind::Greylisted, &OsRng).unwrap() >= Duration::from_secs(60))
        );
    }
}
