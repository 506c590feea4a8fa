//! Letters: the mails we owe. A letter holds no secret and no rendered text.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use crate::account::{Account, AccountId};
use crate::caller::{Caller, UserAgent};
use crate::clock::Timestamp;
use crate::name::NameKey;
use crate::rng::{self, NoRandomness, Rng};
use crate::store::{Outcome, Settlement};
use crate::token::TokenKeyId;

/// What a letter is for, and what its token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Purpose {
    /// Carries a link that sets a new password.
    Reset,
    /// Carries a link that confirms the address.
    Confirm,
    /// Tells the owner that the password was changed. Has no token.
    PasswordChanged,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Purpose; 3] = [Purpose::Reset, Purpose::Confirm, Purpose::PasswordChanged];

    /// Its word in the store, on the command line and under the token's HMAC. Never changes.
    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::Reset => "reset",
            Purpose::Confirm => "confirm",
            Purpose::PasswordChanged => "password_changed",
        }
    }

    /// The purpose of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.as_str() == word)
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a letter stands. The last six are ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LetterState {
    /// Waits for its due time.
    Waiting,
    /// A courier has it under a lease.
    Claimed,
    /// A relay has accepted it.
    Sent,
    /// A relay refused it for good, or it cannot be composed.
    Dead,
    /// Its deadline passed before a relay accepted it.
    Expired,
    /// There is no such account, or an operator dropped it.
    Dropped,
    /// What it would ask for has happened.
    Superseded,
}

impl LetterState {
    /// All of them.
    pub const ALL: [LetterState; 7] = [
        LetterState::Waiting,
        LetterState::Claimed,
        LetterState::Sent,
        LetterState::Dead,
        LetterState::Expired,
        LetterState::Dropped,
        LetterState::Superseded,
    ];

    /// Its word in the store and on the command line. Never changes.
    pub fn as_str(self) -> &'static str {
        match self {
            LetterState::Waiting => "waiting",
            LetterState::Claimed => "claimed",
            LetterState::Sent => "sent",
            LetterState::Dead => "dead",
            LetterState::Expired => "expired",
            LetterState::Dropped => "dropped",
            LetterState::Superseded => "superseded",
        }
    }

    /// The state of that word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }

    /// Nothing more happens to it.
    pub fn is_closed(self) -> bool {
        !matches!(self, LetterState::Waiting | LetterState::Claimed)
    }
}

impl fmt::Display for LetterState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The identity of a letter: a UUIDv7, never reused, so that keys grow with time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LetterId(uuid::Uuid);

impl LetterId {
    /// A new identity, ordered by `now`.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn new(now: Timestamp, rng: &dyn Rng) -> Result<Self, NoRandomness> {
        let millis = u64::try_from(now.as_millis()).unwrap_or(0);
        Ok(Self(uuid::Builder::from_unix_timestamp_millis(millis, &rng::bytes(rng)?).into_uuid()))
    }

    /// Takes an identity that a store holds.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Uuid::from_bytes(bytes))
    }

    /// The 16 bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// Parses what an operator typed.
    pub fn parse(text: &str) -> Option<Self> {
        uuid::Uuid::try_parse(text).ok().map(Self)
    }
}

impl fmt::Display for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl fmt::Debug for LetterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One claiming of a batch: a courier may settle only what it still holds under this id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClaimId(pub [u8; 16]);

impl ClaimId {
    /// A new random id.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn random(rng: &dyn Rng) -> Result<Self, NoRandomness> {
        Ok(Self(rng::bytes(rng)?))
    }
}

/// A letter to be posted.
#[derive(Clone)]
pub struct NewLetter {
    /// Its identity.
    pub id: LetterId,
    /// What it is for.
    pub purpose: Purpose,
    /// Whom it is for, as submitted; the account is looked up when it is claimed.
    pub name_key: NameKey,
    /// Who asked: for the mail.
    pub ip: Option<IpAddr>,
    /// What asked: for the mail.
    pub agent: Option<UserAgent>,
    /// When it was asked for.
    pub posted: Timestamp,
    /// No attempt starts after this.
    pub deadline: Timestamp,
}

impl NewLetter {
    /// A letter that `caller` asks for, good for `lifetime`.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn asked_by(
        caller: &Caller,
        purpose: Purpose,
        name_key: &NameKey,
        lifetime: Duration,
        now: Timestamp,
        rng: &dyn Rng,
    ) -> Result<Self, NoRandomness> {
        Ok(Self {
            id: LetterId::new(now, rng)?,
            purpose,
            name_key: name_key.clone(),
            ip: Some(caller.ip),
            agent: caller.agent.clone(),
            posted: now,
            deadline: now + lifetime,
        })
    }
}

/// A letter that tells an owner what was done; the store knows whom.
#[derive(Clone)]
pub struct Notice {
    /// Its identity.
    pub id: LetterId,
    /// Who did it.
    pub ip: IpAddr,
    /// What did it.
    pub agent: Option<UserAgent>,
    /// No attempt starts after this.
    pub deadline: Timestamp,
}

impl Notice {
    /// A notice of what `caller` did, tried for `lifetime`.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn of(
        caller: &Caller,
        lifetime: Duration,
        now: Timestamp,
        rng: &dyn Rng,
    ) -> Result<Self, NoRandomness> {
        Ok(Self {
            id: LetterId::new(now, rng)?,
            ip: caller.ip,
            agent: caller.agent.clone(),
            deadline: now + lifetime,
        })
    }
}

/// A letter as the store holds it.
#[derive(Clone)]
pub struct Letter {
    /// Its identity.
    pub id: LetterId,
    /// What it is for.
    pub purpose: Purpose,
    /// Whom it is for.
    pub name_key: NameKey,
    /// The account it was found to be for when first claimed.
    pub account: Option<AccountId>,
    /// Who asked.
    pub ip: Option<IpAddr>,
    /// What asked.
    pub agent: Option<UserAgent>,
    /// When it was asked for. Also the `Date` of the mail.
    pub posted: Timestamp,
    /// No attempt starts after this.
    pub deadline: Timestamp,
    /// The next attempt starts no sooner.
    pub due: Timestamp,
    /// Attempts that were this letter's own failures or its success; a relay's fault is not counted.
    pub attempts: u32,
    /// Times in a row that a courier ended while it had this letter.
    pub crashes: u32,
    /// Requests that met this letter instead of posting another.
    pub repeats: u32,
    /// Where it stands.
    pub state: LetterState,
    /// When it was closed.
    pub ended: Option<Timestamp>,
    /// Why the last attempt did not succeed, or why it was closed; without addresses.
    pub last_error: Option<String>,
    /// What the relay said last.
    pub relay_reply: Option<String>,
    /// The key its token was first derived with.
    pub token_key: Option<TokenKeyId>,
    /// The letter that this one was posted in place of.
    pub replaces: Option<LetterId>,
}

/// A letter under a lease, with the account that it is for.
#[derive(Clone)]
pub struct ClaimedLetter {
    /// The letter.
    pub letter: Letter,
    /// The account, as it was when the letter was claimed.
    pub account: Account,
    /// The claim it is held under.
    pub claim: ClaimId,
}

impl ClaimedLetter {
    /// What is to be written down of it.
    pub(crate) fn settled(&self, outcome: Outcome) -> Settlement {
        Settlement { letter: self.letter.id, claim: self.claim, outcome }
    }
}
