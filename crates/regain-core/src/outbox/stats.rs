//! How the outbox stands, in numbers: for operators, never of one address.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::letter::{LetterState, Purpose};
use crate::relay_code::RelayCode;

/// So many dead letters, those that died last, are looked at for what their relays said.
pub const DEAD_LOOKED_AT: usize = 10_000;

/// So many of the oldest open letters are looked at for those that relays alone have held up.
pub const OLDEST_LOOKED_AT: usize = 100;

/// "Just sent" is within this time.
pub const LAST_HOUR: Duration = Duration::from_secs(3600);
/// "Sent of late" is within this time.
pub const LAST_DAY: Duration = Duration::from_secs(24 * 3600);

/// How the outbox stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboxStats {
    /// How many letters are kept of each purpose and state, in the order of [`Purpose::ALL`] and [`LetterState::ALL`];
    /// none that is zero.
    pub counts: Vec<LetterCount>,
    /// When the oldest open letter was posted.
    pub oldest: Option<Timestamp>,
    /// Letters that wait and could go now.
    pub due: u64,
    /// Letters that wait for another attempt, at a time that has not come.
    pub put_off: u64,
    /// Letters that a relay accepted within [`LAST_HOUR`].
    pub sent_last_hour: u64,
    /// Letters that a relay accepted within [`LAST_DAY`].
    pub sent_last_day: u64,
    /// What relays said to the last [`DEAD_LOOKED_AT`] dead letters: the three digits, or `None` where it was no relay
    /// that refused. The most frequent first, then by code.
    pub dead_by_code: Vec<(Option<RelayCode>, u64)>,
}

/// Letters of one purpose in one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LetterCount {
    /// What they are for.
    pub purpose: Purpose,
    /// Where they stand.
    pub state: LetterState,
    /// How many there are.
    pub count: u64,
}

/// How the outbox stands at this moment, for metrics that are read often: of the letters that are closed, only those of the
/// last hour are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxGauges {
    /// Letters that wait, in the order of [`Purpose::ALL`].
    pub waiting: [u64; Purpose::ALL.len()],
    /// Of these, those that could go now.
    pub due: u64,
    /// Of these, those that wait for another attempt.
    pub put_off: u64,
    /// Since when the first of them could go, also while a relay has it or after it gave it back: since it was posted, where
    /// nothing but relays has held it up; else since it is due, which may be to come. Of letters that relays have held up
    /// the 100 oldest open ones are looked at.
    pub first_due: Option<Timestamp>,
    /// Letters being delivered.
    pub claimed: u64,
    /// Letters that a relay accepted within [`LAST_HOUR`].
    pub sent_last_hour: u64,
}

impl OutboxStats {
    /// How many letters are in a state, whatever they are for.
    pub fn in_state(&self, state: LetterState) -> u64 {
        self.counts.iter().filter(|one| one.state == state).map(|one| one.count).sum()
    }

    /// How many letters are open, waiting or claimed.
    pub fn open(&self) -> u64 {
        self.in_state(LetterState::Waiting) + self.in_state(LetterState::Claimed)
    }

    /// Puts codes into their order: the most frequent first.
    pub fn sort_codes(codes: &mut [(Option<RelayCode>, u64)]) {
        codes.sort_by_key(|(code, count)| (std::cmp::Reverse(*count), *code));
    }
}
