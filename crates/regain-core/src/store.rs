//! The port to what is durable: one method for each whole step.
//!
//! Invariant: a step is atomic and, once answered, durable. No step reads, lets the caller decide and writes:
//! races are decided inside. Time comes in as a parameter. What each step promises is written as clauses in
//! [`crate::testing::contract`], which runs on every adapter.

mod outbox;

use std::time::Duration;

use async_trait::async_trait;

use crate::account::{Account, AccountId, AccountRecord, Generation, NewAccount};
use crate::clock::Timestamp;
use crate::keys::{KeyAgreement, KeyIntent, KeyOffer};
use crate::letter::{ClaimId, Letter, LetterId, LetterState, NewLetter, Notice, Purpose};
use crate::metadata::Metadata;
use crate::name::{KeyMode, Name, NameKey};
use crate::outbox::repeats::Repeats;
use crate::outbox::stats::{OutboxGauges, OutboxStats};
use crate::password::PasswordHash;
use crate::session::SessionId;
use crate::token::TokenHash;

pub use outbox::{
    Arm, Armed, Batch, ClaimOrder, Closed, LetterFilter, OutboxStatus, Outcome, Posted, Retention, Retried,
    Settlement,
};

/// What is durable.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// How names are compared, fixed when the database was made.
    fn key_mode(&self) -> KeyMode;

    /// Compares the keys of a process with those that are remembered, for each kind as [`crate::keys::judge`] says, and
    /// remembers what it says, unless `intent` is to ask, or either kind is refused: then nothing is written. One step,
    /// so that of processes that start at once with keys of their own one goes first and the others are refused. What is
    /// remembered of a kind is one short text: where steps run side by side, each is written under the condition that the
    /// text which was judged still stands, and judged again where it does not.
    async fn agree_on_keys(
        &self,
        offer: KeyOffer,
        intent: KeyIntent,
        now: Timestamp,
    ) -> Result<KeyAgreement, StoreError>;

    // Accounts and sessions

    /// Adds an account and posts its confirmation letter, both or neither. Forgets letters that were dropped because the
    /// account was not there.
    async fn register(
        &self,
        account: NewAccount,
        letter: Option<NewLetter>,
        now: Timestamp,
    ) -> Result<Registered, StoreError>;

    /// The account of that name.
    async fn account_by_name(&self, name: &NameKey) -> Result<Option<Account>, StoreError>;

    /// The account of that identity.
    async fn account_by_id(&self, id: &AccountId) -> Result<Option<Account>, StoreError>;

    /// Replaces a hash by one of the same password, only where `old` is still the one kept. Answers whether it was.
    async fn rehash(
        &self,
        id: &AccountId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool, StoreError>;

    /// Sets a password, raises the generation, keeps the session of `change.by` alone, voids open reset tokens, ends the
    /// account's reset letters as superseded, posts `change.notice` where the name is an address. Answers `false` where
    /// the account is gone or disabled, or `change.by` does not hold any more.
    async fn change_password(&self, change: PasswordChange, now: Timestamp) -> Result<bool, StoreError>;

    /// Makes the account of that name, or changes what is kept with the one that there is. Posts no letter, sets no password.
    /// Making one forgets letters as [`Store::register`] does; with an identity that a deleted account had, its sessions
    /// stay ended.
    async fn put_account(&self, put: PutAccount, now: Timestamp) -> Result<Put, StoreError>;

    /// Removes an account with all that is its own: open letters are closed as dropped, tokens are good for nothing any
    /// more, and sessions have ended, for good, even where its identity is given to another.
    async fn delete_account(
        &self,
        id: &AccountId,
        by: Option<HeldSession>,
        now: Timestamp,
    ) -> Result<Deleted, StoreError>;

    /// Disables or enables an account. Disabling ends its sessions, voids its tokens and ends its letters with links, so
    /// that enabling brings none of them back. Enabling forgets letters as [`Store::register`] does. Answers `false` where there is no such account.
    async fn set_disabled(
        &self,
        id: &AccountId,
        is_disabled: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Makes an account an administrator's, or not any more. Answers `false` where there is no such account.
    async fn set_admin(&self, id: &AccountId, is_admin: bool, now: Timestamp) -> Result<bool, StoreError>;

    /// Adds accounts, each that does not meet another, and answers for each in order. One step: all of them or, with an
    /// error, none. Posts no letters.
    async fn add_accounts(
        &self,
        accounts: Vec<AccountRecord>,
        now: Timestamp,
    ) -> Result<Vec<Added>, StoreError>;

    /// Accounts in the order of their name keys.
    async fn accounts(&self, filter: AccountFilter) -> Result<Vec<Account>, StoreError>;

    /// What is known of an administrator's token.
    async fn admin_token(&self, id: &SessionId) -> Result<AdminStanding, StoreError>;

    /// Puts an administrator's token in force: with `replace` in place of the one before, else only where there is none.
    /// Answers whether it is the one in force.
    async fn put_admin_token(
        &self,
        id: &SessionId,
        replace: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// The account that a session is of, and whether that session has been revoked.
    async fn session(
        &self,
        account: &AccountId,
        session: &SessionId,
    ) -> Result<Option<(Account, bool)>, StoreError>;

    /// Revokes one session until it would have expired anyway. Revoking twice is fine.
    async fn revoke(
        &self,
        session: &SessionId,
        account: &AccountId,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError>;

    // Tokens

    /// What is known of a token of that purpose, read without changing it.
    async fn token(
        &self,
        hash: &TokenHash,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<TokenStanding, StoreError>;

    /// Uses a reset token up and sets the password, as [`Store::change_password`] does, keeping no session.
    /// Answers `None` where the token is not good any more at this moment.
    async fn complete_reset(
        &self,
        reset: CompleteReset,
        now: Timestamp,
    ) -> Result<Option<AccountId>, StoreError>;

    /// Uses a confirmation token up, marks its account confirmed, ends the account's confirmation letters as superseded.
    async fn confirm_email(&self, hash: &TokenHash, now: Timestamp) -> Result<Confirmation, StoreError>;

    // Outbox

    /// Posts a letter, or counts the request on one that makes another needless (see [`Repeats`]). Writes in each case.
    async fn post(&self, letter: NewLetter, repeats: Repeats, now: Timestamp) -> Result<Posted, StoreError>;

    /// Claims letters that are due, or whose lease has run out (which counts as a crash of theirs, see
    /// [`crate::outbox::crashes`]), from both ends of the queue. What needs no mail any more is closed on the way: past its
    /// deadline as expired, without an account (or a disabled one, or one whose name is no address) as dropped, with
    /// nothing left to ask for as superseded. What the budget does not allow yet is put off until it may.
    async fn claim(&self, order: ClaimOrder, now: Timestamp) -> Result<Batch, StoreError>;

    /// Arms the tokens of letters, all in one step, and answers for each in order. Of one that is held under its `claim` it inserts the token's hash, or extends its expiry where it is
    /// unused. Otherwise closes the letter as superseded.
    async fn arm(&self, arms: Vec<Arm>, now: Timestamp) -> Result<Vec<Armed>, StoreError>;

    /// Extends the lease of all letters still held under a claim. Answers how many there are.
    async fn renew(&self, claim: ClaimId, lease: Timestamp) -> Result<usize, StoreError>;

    /// Writes down what came of attempts, all in one step, each where its letter is still held under its `claim`. Answers for
    /// each in order whether it was.
    async fn settle(&self, settlements: Vec<Settlement>, now: Timestamp) -> Result<Vec<bool>, StoreError>;

    /// Gives back all letters held under any claim, each with one more crash (see [`crate::outbox::crashes`]): at a start,
    /// when nobody else can hold one. Answers how many there were.
    async fn free_all_claims(&self, now: Timestamp) -> Result<usize, StoreError>;

    /// When the next letter is due or the next lease runs out; a letter due now gives a time that is past.
    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError>;

    /// Counts of the outbox.
    async fn outbox_status(&self) -> Result<OutboxStatus, StoreError>;

    /// How the outbox stands at this moment, for metrics.
    async fn outbox_gauges(&self, now: Timestamp) -> Result<OutboxGauges, StoreError>;

    /// How the outbox stands in numbers, for an operator: looks at every letter kept, by index.
    async fn outbox_stats(&self, now: Timestamp) -> Result<OutboxStats, StoreError>;

    /// Letters by identity, newest first.
    async fn letters(&self, filter: LetterFilter) -> Result<Vec<Letter>, StoreError>;

    /// How many letters there are that pass a filter, counted up to its limit.
    async fn count_letters(&self, filter: LetterFilter) -> Result<u64, StoreError>;

    /// One letter.
    async fn letter(&self, id: LetterId) -> Result<Option<Letter>, StoreError>;

    /// Lets a waiting letter be tried now, or posts `replacement` in place of a closed one and links the two. Nothing is
    /// posted for one that was closed since it was `seen` open: it may just have been sent.
    async fn retry(
        &self,
        id: LetterId,
        seen: LetterState,
        replacement: LetterId,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<Retried, StoreError>;

    /// Closes a waiting letter as dropped. Answers `false` where it is not waiting.
    async fn drop_letter(&self, id: LetterId, now: Timestamp) -> Result<bool, StoreError>;

    /// Removes what is past its retention, at most `limit` rows of each kind. Answers how many rows.
    async fn purge(&self, retention: Retention, limit: usize, now: Timestamp) -> Result<usize, StoreError>;
}

/// A step was not done, or it is unknown whether it was done.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// For the moment: busy, full, unreachable. Nothing was promised; the client may try again.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// For good: a broken row, a bug. Never holds values of rows.
    #[error("the database failed: {0}")]
    Broken(String),
}

/// What came of registering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    /// The account is there.
    Created,
    /// Another has that name; nothing was written.
    NameTaken,
}

/// A change of password by its owner or an administrator.
pub struct PasswordChange {
    /// Whose.
    pub account: AccountId,
    /// The hash of the new password.
    pub new: PasswordHash,
    /// The owner's session that asked for it: must still hold in this moment, and lives on. `None` for an administrator.
    pub by: Option<HeldSession>,
    /// The letter that tells the owner; `None` where no mail is configured.
    pub notice: Option<Notice>,
    /// At most this many notices in 24 hours where the address is not confirmed, so that whoever registered a
    /// stranger's address cannot flood it.
    pub notices_if_unconfirmed: u32,
}

/// A session as it was when it was presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldSession {
    /// Which session. It holds while the account keeps it, or is of `generation`.
    pub session: SessionId,
    /// The account's generation when the session was checked.
    pub generation: Generation,
}

/// The end of a password reset.
pub struct CompleteReset {
    /// The token presented.
    pub token: TokenHash,
    /// The hash of the new password.
    pub new: PasswordHash,
    /// The letter that tells the owner; `None` where no mail is configured.
    pub notice: Option<Notice>,
}

/// What an administrator wants an account to be.
#[derive(Clone)]
pub struct PutAccount {
    /// The account of this name, made where there is none.
    pub name: Name,
    /// The identity that it must have; `None` leaves it open.
    pub id: Option<AccountId>,
    /// The identity of a new account where `id` leaves it open.
    pub id_if_new: AccountId,
    /// Whether it may act for others; `None` leaves it as it is, or `false`.
    pub is_admin: Option<bool>,
    /// Whether its address is confirmed; `None` leaves it as it is, or `false`.
    pub is_confirmed: Option<bool>,
    /// What is kept with it from now on.
    pub metadata: Metadata,
}

/// What came of [`Store::put_account`].
#[derive(Clone)]
pub enum Put {
    /// It was made.
    Created(Account),
    /// It was there, and is now as given.
    Updated(Account),
    /// It is there with another identity, or another account has the identity; nothing was changed.
    OtherId,
}

/// What came of [`Store::delete_account`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone.
    Deleted,
    /// There is no such account.
    Unknown,
    /// The session that asked for it does not hold any more; nothing was changed.
    SessionEnded,
}

/// What came of adding one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It is there now.
    Added,
    /// One of this identity and name was there already, and was left as it was.
    AlreadyThere,
    /// Another account has its name.
    NameTaken,
    /// An account of another name has its identity.
    IdTaken,
}

/// Which accounts to list.
#[derive(Clone, Default)]
pub struct AccountFilter {
    /// Only those behind this key (for the next page).
    pub after: Option<NameKey>,
    /// Only administrators, or only others.
    pub is_admin: Option<bool>,
    /// Only those that are disabled, or only others.
    pub is_disabled: Option<bool>,
    /// Only those whose address is confirmed, or only others.
    pub is_confirmed: Option<bool>,
    /// At most so many.
    pub limit: usize,
}

/// What is known of an administrator's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminStanding {
    /// It acts for the built-in administrator.
    InForce,
    /// It was revoked.
    Revoked,
    /// It is not the one in force.
    Unknown,
}

/// What is known of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenStanding {
    /// It can be used now.
    Good,
    /// It was used, voided or has expired, or its account is gone or disabled.
    Spent,
    /// There is no such token of this purpose: a guess.
    Unknown,
}

/// What came of confirming.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confirmation {
    /// Confirmed by this token, now.
    Confirmed(AccountId),
    /// This token was used before, and its account is confirmed.
    Already,
    /// Expired, or the account is gone or disabled.
    Refused,
    /// There is no such token: a guess.
    Unknown,
}
