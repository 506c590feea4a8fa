//! What the steps on letters take and answer.

use std::time::Duration;

use crate::account::AccountId;
use crate::clock::Timestamp;
use crate::letter::{ClaimId, ClaimedLetter, Letter, LetterId, LetterState, Purpose};
use crate::name::NameKey;
use crate::outbox::budget::MailBudget;
use crate::relay_code::RelayCode;
use crate::token::{TokenHash, TokenKeyId};

/// What came of posting a letter. Not told to clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// It waits in the outbox.
    Posted,
    /// An open letter of its purpose does the job; its deadline was extended.
    Merged,
    /// A limit of the address swallowed it, and was counted.
    Swallowed,
    /// Too many letters wait; nothing was written.
    Full,
}

/// What a courier asks for.
#[derive(Clone, Copy, Debug)]
pub struct ClaimOrder {
    /// What the letters are held under.
    pub claim: ClaimId,
    /// At most so many.
    pub limit: usize,
    /// Where more are due than `limit`, so many of them are those that were posted last, as far as they are among the
    /// newest thousand: somebody waits for these now, while the others have waited already.
    pub newest: usize,
    /// Until when they are held.
    pub lease: Timestamp,
    /// The mail budget, where there is one.
    pub budget: Option<MailBudget>,
}

/// What a claim brought.
#[derive(Clone, Default)]
pub struct Batch {
    /// Letters to be attempted.
    pub letters: Vec<ClaimedLetter>,
    /// What was closed on the way.
    pub closed: Closed,
    /// Letters that were put off since the mail budget is spent.
    pub put_off: u64,
    /// Whether one of these was put off for what has been sent, and not only for what others are claimed for.
    pub is_budget_spent: bool,
    /// Letters among `letters` whose lease had run out under another claim: their mail may have gone out already.
    pub reclaimed: u64,
}

/// Letters that a claim closed, counted by their ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Closed {
    /// There is no account to send it to.
    pub dropped: u64,
    /// There is nothing left to ask for.
    pub superseded: u64,
    /// The process crashed with it too often.
    pub crashed: u64,
    /// Its row, or that of its account, cannot be read.
    pub unreadable: u64,
    /// Past the deadline, and never attempted.
    pub expired_unattempted: u64,
    /// Past the deadline after faults of relays alone.
    pub expired_by_relay: u64,
    /// Past the deadline after relays had put it off.
    pub expired_put_off: u64,
}

impl Closed {
    /// Counts one more letter, as it was before its end.
    pub fn count(&mut self, letter: &Letter, end: LetterState) {
        let counter = match end {
            LetterState::Dropped => &mut self.dropped,
            LetterState::Superseded => &mut self.superseded,
            LetterState::Expired if letter.attempts > 0 => &mut self.expired_put_off,
            LetterState::Expired if letter.last_error.is_some() => &mut self.expired_by_relay,
            LetterState::Expired => &mut self.expired_unattempted,
            LetterState::Dead | LetterState::Sent | LetterState::Waiting | LetterState::Claimed => {
                &mut self.crashed
            }
        };
        *counter += 1;
    }

    /// How many there are in all.
    pub fn total(&self) -> u64 {
        self.dropped
            + self.superseded
            + self.crashed
            + self.unreadable
            + self.expired_unattempted
            + self.expired_by_relay
            + self.expired_put_off
    }
}

/// A token about to be mailed.
#[derive(Clone)]
pub struct Arm {
    /// The letter.
    pub letter: LetterId,
    /// The claim it is held under.
    pub claim: ClaimId,
    /// The token's hash; `None` for a letter without one, where only the claim is checked.
    pub token: Option<TokenHash>,
    /// The key it was derived with.
    pub token_key: TokenKeyId,
    /// What the token is good for.
    pub purpose: Purpose,
    /// Whose it is.
    pub account: AccountId,
    /// The name it is bound to.
    pub name_key: NameKey,
    /// Until when it is good.
    pub expires: Timestamp,
    /// The identity of the letter that takes this one's place where [`Armed::KeyGone`].
    pub replacement: LetterId,
}

/// What came of arming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Armed {
    /// The mail may go.
    Armed,
    /// The token was used, or its account has changed: the letter is closed.
    Superseded,
    /// The letter was first armed with another key: it is closed, and a new one takes its place.
    KeyGone,
    /// The claim is not ours any more.
    Lost,
}

/// What came of an attempt, for [`Store::settle`](super::Store::settle).
#[derive(Clone)]
pub struct Settlement {
    /// The letter.
    pub letter: LetterId,
    /// The claim it is held under.
    pub claim: ClaimId,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A relay has accepted it.
    Sent {
        /// What the relay said.
        reply: String,
    },
    /// Again at `due`, and this attempt counts.
    Later {
        /// When.
        due: Timestamp,
        /// Why.
        error: String,
        /// What the relay said.
        reply: Option<String>,
    },
    /// Never.
    Dead {
        /// Why.
        error: String,
        /// What the relay said.
        reply: Option<String>,
    },
    /// Again at `due`, for nothing was attempted.
    Held {
        /// When.
        due: Timestamp,
        /// Why.
        error: String,
    },
    /// Given back: this attempt does not count. Unattempted as it was; after a fault of the relay behind those that wait,
    /// so that the next probe is another letter.
    Released {
        /// What the relay's fault was; `None` where there was no attempt.
        error: Option<String>,
    },
}

impl Outcome {
    /// A word for logs.
    pub fn word(&self) -> &'static str {
        match self {
            Outcome::Sent { .. } => "sent",
            Outcome::Later { .. } => "later",
            Outcome::Dead { .. } => "dead",
            Outcome::Held { .. } => "held",
            Outcome::Released { .. } => "released",
        }
    }

    /// Whether nothing more happens to the letter.
    pub fn closes(&self) -> bool {
        matches!(self, Outcome::Sent { .. } | Outcome::Dead { .. })
    }
}

/// Counts of the outbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxStatus {
    /// Letters waiting or claimed.
    pub open: u64,
    /// When the oldest of them was posted.
    pub oldest: Option<Timestamp>,
    /// Letters closed as dead and not yet purged.
    pub dead: u64,
}

/// Which letters to list.
#[derive(Clone, Default)]
pub struct LetterFilter {
    /// Of this state only.
    pub state: Option<LetterState>,
    /// Of this purpose only.
    pub purpose: Option<Purpose>,
    /// For this name only.
    pub name: Option<NameKey>,
    /// Posted then or later.
    pub from: Option<Timestamp>,
    /// Posted before then.
    pub until: Option<Timestamp>,
    /// With this code from the relay, at the last attempt, only.
    pub code: Option<RelayCode>,
    /// Older than this one (for the next page).
    pub before: Option<LetterId>,
    /// At most so many.
    pub limit: usize,
}

/// What came of a retry by an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retried {
    /// It was waiting and is due now.
    Hastened,
    /// It was closed; the replacement was posted.
    Replaced,
    /// It was closed, and this letter takes its place already. Nothing was posted.
    AlreadyReplaced(LetterId),
    /// A courier has it at this moment.
    BeingDelivered,
    /// It was closed since it was seen. Nothing was changed.
    ClosedMeanwhile,
    /// There is no such letter.
    Unknown,
}

/// How long closed things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Letters dropped for want of an account.
    pub dropped: Duration,
    /// Other closed letters.
    pub closed: Duration,
    /// Used or expired tokens, once no letter can bring them back.
    pub tokens: Duration,
    /// The audit trail.
    pub audit: Duration,
}

impl Default for Retention {
    /// Five minutes, 30 days, 30 days, 400 days.
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self { dropped: Duration::from_secs(300), closed: DAY * 30, tokens: DAY * 30, audit: DAY * 400 }
    }
}
