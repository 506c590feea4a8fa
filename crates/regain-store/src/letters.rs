//! What both stores mean by a letter, apart from how they ask for it.

use std::time::Duration;

use regain_core::outbox::budget::MailBudget;
use regain_core::outbox::crashes;
use regain_core::{LetterState, Timestamp};

/// No lease runs longer than this; one that does was given by a clock that was wrong.
pub(crate) const LONGEST_LEASE: Duration = Duration::from_secs(600);

/// How a due letter ends, and why, by the word that a claim's statement has for it.
pub(crate) fn end_of(word: &str) -> (LetterState, &'static str) {
    match word {
        "expired" => (LetterState::Expired, "its deadline has passed"),
        "superseded" => (LetterState::Superseded, "the address is confirmed already"),
        "dead" => (LetterState::Dead, crashes::REASON),
        _ => (LetterState::Dropped, "there is no account to send it to"),
    }
}

/// The smallest identity that a letter of that time can have (RFC 9562 section 5.7): the time comes first in it.
pub(crate) fn first_id_of(at: Timestamp) -> [u8; 16] {
    let millis = u64::try_from(at.as_millis()).unwrap_or(0).min((1 << 48) - 1);
    let mut id = [0; 16];
    id[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    id
}

/// Since when mails count in the mail budget, in milliseconds since the Unix epoch.
pub(crate) fn budget_since(now: Timestamp) -> i64 {
    now.minus(MailBudget::WINDOW).as_millis()
}

/// Until when they do. Beyond it lies only what a clock that was wrong has put there; what one that was set back by less has
/// sent did go out within the last hour.
pub(crate) fn budget_until(now: Timestamp) -> i64 {
    (now + MailBudget::WINDOW).as_millis()
}

#[cfg(test)]
mod tests {
    use regain_core::{LetterId, OsRng};

    use super::*;

    #[test]
    fn the_first_identity_of_a_time_is_not_above_any_of_it() {
        let at = Timestamp::from_millis(1_795_000_000_120);
        let id = LetterId::new(at, &OsRng).unwrap();
        assert!(
            first_id_of(at) <= *id.as_bytes() && *id.as_bytes() < first_id_of(at + Duration::from_millis(1))
        );
        assert_eq!(first_id_of(Timestamp::from_millis(-1)), [0; 16]);
    }
}
