//! Letters that a mailer holds back for the others' sake: their relay hangs at their domain, and would hang with them.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::rng::{self, NoRandomness, Rng};

const SHORTEST: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(300);

/// What is written to a letter that is held back.
pub const REASON: &str = "the relay hangs at its domain; it waits, so that others go on";

/// When a letter that was posted then is tried again: between ten seconds and half of the time that it has waited, or five
/// minutes. So it is not much later than it was anyway, and hundreds of them cost little.
///
/// # Errors
/// When there is no randomness.
pub fn again(posted: Timestamp, now: Timestamp, rng: &dyn Rng) -> Result<Timestamp, NoRandomness> {
    let ceiling = (now.since(posted) / 2).clamp(SHORTEST, LONGEST);
    let more = u64::try_from((ceiling - SHORTEST).as_millis()).unwrap_or(u64::MAX);
    Ok(now + SHORTEST + Duration::from_millis(rng::up_to(rng, more)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::OsRng;

    #[test]
    fn waits_grow_with_what_was_waited_up_to_five_minutes() {
        let posted = Timestamp::from_millis(0);
        for (waited, longest) in [(0, 10), (20, 10), (100, 50), (600, 300), (100_000, 300)] {
            let now = posted + Duration::from_secs(waited);
            let waits: Vec<Duration> =
                (0..500).map(|_| again(posted, now, &OsRng).unwrap().since(now)).collect();
            assert!(waits.iter().all(|wait| *wait >= SHORTEST && *wait <= Duration::from_secs(longest)));
            assert!(
                waits.iter().max() >= Some(&Duration::from_secs(longest * 9 / 10)),
                "{waited}: {waits:?}"
            );
        }
    }
}
