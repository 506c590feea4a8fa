//! Letters that a courier had when it ended: by a crash, a kill, or a lease that ran out under it.
//!
//! A crash is no attempt, since nobody knows whether there was one. But a letter that is there at every crash may be
//! what crashes, so it is counted, tried apart from the others, and in the end given up where the operator sees it.

use std::time::Duration;

use crate::letter::LetterId;
use crate::outbox::backoff;

/// A letter that a courier did not come back from so many times in a row is dead. With the waits below that takes
/// ten minutes of crashes at least: a process that is killed again and again loses no letter by it.
pub const MOST: u32 = 10;

/// Why such a letter is dead.
pub const REASON: &str = "the process ended again and again while it had this letter";

/// Crashes after which a letter still is tried at once.
const FREE: u32 = 2;
const FIRST: Duration = Duration::from_secs(5);

/// How long a letter waits after its crash number `crashes` (1 for the first): not at all after the first two, then
/// from half of 5 s × 2ⁿ to the whole, up to ten minutes. Which half is drawn from the letter's identity, so that letters
/// that were in a crash together part.
pub fn delay(crashes: u32, letter: LetterId) -> Duration {
    let Some(times) = crashes.checked_sub(FREE + 1) else { return Duration::ZERO };
    let whole = FIRST.saturating_mul(1 << times.min(16)).min(backoff::LONGEST);
    let [.., chance] = *letter.as_bytes();
    whole / 2 + whole * u32::from(chance) / 512
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_crashes_cost_no_time_and_later_ones_part_the_letters() {
        let (low, high) = (LetterId::from_bytes([0; 16]), LetterId::from_bytes([255; 16]));
        assert_eq!((delay(1, high), delay(2, high)), (Duration::ZERO, Duration::ZERO));
        assert_eq!(delay(3, low), FIRST / 2);
        assert!(delay(3, high) > FIRST / 2 + FIRST / 3 && delay(3, high) < FIRST);
        assert!(delay(60, high) <= backoff::LONGEST);
        let until_dead: Duration = (1..MOST).map(|crashes| delay(crashes, low)).sum();
        assert!(until_dead >= Duration::from_secs(300), "{until_dead:?}");
    }
}
