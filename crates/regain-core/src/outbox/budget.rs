//! The mail budget: at most so many mails in an hour, of which the last quarter is for resets alone.
//!
//! It is kept by the store in the claim, from what was sent within the last hour and what is claimed, so it holds across
//! processes and restarts and needs no books of its own. A letter without an account costs nothing.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::letter::Purpose;
use crate::outbox::backoff;

/// A letter that is put off is looked at again no sooner.
const SHORTEST: Duration = Duration::from_secs(1);
/// Most deliveries have ended by then.
const CLAIMS: Duration = Duration::from_secs(2);

/// `limits.mailPerHour`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailBudget {
    /// Mails accepted by relays in any [`MailBudget::WINDOW`].
    pub per_hour: u32,
}

impl MailBudget {
    /// The time that mails are counted in.
    pub const WINDOW: Duration = Duration::from_secs(3600);

    /// How many mails may have been sent, at most, for one more of this purpose. Whoever floods registrations cannot
    /// keep owners from getting back in: a quarter is left for resets.
    pub fn limit(self, purpose: Purpose) -> u64 {
        let kept = if purpose == Purpose::Reset { 0 } else { self.per_hour / 4 };
        u64::from(self.per_hour - kept)
    }
}

/// When the operator was last told that the budget is spent: no more often than once in [`MailBudget::WINDOW`].
#[derive(Debug, Default)]
pub(crate) struct Notice(Mutex<Option<Timestamp>>);

impl Notice {
    /// Whether to tell it now, which then has happened.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = told.is_none_or(|told| now.since(told) >= MailBudget::WINDOW);
        if is_due {
            *told = Some(now);
        }
        is_due
    }
}

/// What is written to a letter that waits for the budget.
pub const REASON: &str = "the mail budget of this hour is spent";

/// When a letter that the budget does not allow is tried again: once the mail whose place it takes has left the window.
/// Where that is not known or far, after the longest wait.
pub fn again(sent: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let longest = now + backoff::LONGEST;
    sent.map_or(longest, |sent| (sent + MailBudget::WINDOW).clamp(now + SHORTEST, longest))
}

/// When a letter is tried again that finds no place only since others are being delivered, which may not take theirs.
pub fn after_claims(now: Timestamp) -> Timestamp {
    now + CLAIMS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operator_is_told_once_an_hour() {
        let (notice, start) = (Notice::default(), Timestamp::from_millis(0));
        let told = (0..=150).filter(|minute| notice.is_due(start + Duration::from_secs(minute * 60)));
        assert_eq!(told.collect::<Vec<_>>(), [0, 60, 120]);
    }

    #[test]
    fn a_quarter_is_for_resets_and_a_small_budget_still_lets_others_go() {
        for (per_hour, others) in [(1, 1), (3, 3), (4, 3), (1000, 750)] {
            let budget = MailBudget { per_hour };
            assert_eq!(budget.limit(Purpose::Reset), u64::from(per_hour));
            assert_eq!(budget.limit(Purpose::Confirm), others);
            assert_eq!(budget.limit(Purpose::PasswordChanged), others);
        }
    }
}
