//! The port, as hand-overs to the writer and the readers. Each method is one step or one read.

use std::time::Duration;

use async_trait::async_trait;
use regain_core::account::NewAccount;
use regain_core::keys::{KeyAgreement, KeyIntent, KeyOffer};
use regain_core::letter::NewLetter;
use regain_core::outbox::repeats::Repeats;
use regain_core::outbox::stats::{OutboxGauges, OutboxStats};
use regain_core::store::{
    AccountFilter, Added, AdminStanding, Arm, Armed, Batch, ClaimOrder, CompleteReset, Confirmation, Deleted,
    HeldSession, LetterFilter, OutboxStatus, PasswordChange, Posted, Put, PutAccount, Registered, Retention,
    Retried, Settlement, TokenStanding,
};
use regain_core::{
    Account, AccountId, AccountRecord, ClaimId, KeyMode, Letter, LetterId, LetterState, NameKey,
    PasswordHash, Purpose, SessionId, Store, StoreError, Timestamp, TokenHash,
};

use super::SqliteStore;
use super::steps::{accounts, claim, courier, find, keys, manage, operator, post, read, stats, tokens};

#[async_trait]
impl Store for SqliteStore {
    fn key_mode(&self) -> KeyMode {
        self.key_mode
    }

    async fn agree_on_keys(
        &self,
        offer: KeyOffer,
        intent: KeyIntent,
        now: Timestamp,
    ) -> Result<KeyAgreement, StoreError> {
        if intent == KeyIntent::Ask {
            return self.readers.run(move |c| keys::ask(c, &offer, intent)).await;
        }
        self.writer.run(move |c| keys::agree(c, &offer, intent, now)).await
    }

    async fn register(
        &self,
        account: NewAccount,
        letter: Option<NewLetter>,
        now: Timestamp,
    ) -> Result<Registered, StoreError> {
        self.writer.run(move |c| accounts::register(c, &account, letter.as_ref(), now)).await
    }

    async fn account_by_name(&self, name: &NameKey) -> Result<Option<Account>, StoreError> {
        let name = name.clone();
        self.readers.run(move |c| read::account_by_name(c, &name)).await
    }

    async fn account_by_id(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        let id = id.clone();
        self.readers.run(move |c| read::account_by_id(c, &id)).await
    }

    async fn rehash(
        &self,
        id: &AccountId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool, StoreError> {
        let (id, old, new) = (id.clone(), old.clone(), new.clone());
        self.writer.run(move |c| accounts::rehash(c, &id, &old, &new)).await
    }

    async fn change_password(&self, change: PasswordChange, now: Timestamp) -> Result<bool, StoreError> {
        self.writer.run(move |c| accounts::change_password(c, &change, now)).await
    }

    async fn put_account(&self, put: PutAccount, now: Timestamp) -> Result<Put, StoreError> {
        self.writer.run(move |c| manage::put_account(c, &put, now)).await
    }

    async fn delete_account(
        &self,
        id: &AccountId,
        by: Option<HeldSession>,
        now: Timestamp,
    ) -> Result<Deleted, StoreError> {
        let id = id.clone();
        self.writer.run(move |c| manage::delete_account(c, &id, by, now)).await
    }

    async fn set_disabled(
        &self,
        id: &AccountId,
        is_disabled: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let id = id.clone();
        self.writer.run(move |c| manage::set_disabled(c, &id, is_disabled, now)).await
    }

    async fn set_admin(&self, id: &AccountId, is_admin: bool, now: Timestamp) -> Result<bool, StoreError> {
        let id = id.clone();
        self.writer.run(move |c| manage::set_admin(c, &id, is_admin, now)).await
    }

    async fn add_accounts(
        &self,
        accounts: Vec<AccountRecord>,
        now: Timestamp,
    ) -> Result<Vec<Added>, StoreError> {
        self.writer
            .run(move |c| accounts.iter().map(|account| manage::add_account(c, account, now)).collect())
            .await
    }

    async fn accounts(&self, filter: AccountFilter) -> Result<Vec<Account>, StoreError> {
        self.readers.run(move |c| read::accounts(c, &filter)).await
    }

    async fn admin_token(&self, id: &SessionId) -> Result<AdminStanding, StoreError> {
        let id = *id;
        self.readers.run(move |c| manage::admin_token(c, &id)).await
    }

    async fn put_admin_token(
        &self,
        id: &SessionId,
        replace: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let id = *id;
        self.writer.run(move |c| manage::put_admin_token(c, &id, replace, now)).await
    }

    async fn session(
        &self,
        account: &AccountId,
        session: &SessionId,
    ) -> Result<Option<(Account, bool)>, StoreError> {
        let (account, session) = (account.clone(), *session);
        self.readers.run(move |c| read::session(c, &account, &session)).await
    }

    async fn revoke(
        &self,
        session: &SessionId,
        account: &AccountId,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (session, account) = (*session, account.clone());
        self.writer.run(move |c| accounts::revoke(c, &session, &account, expires, now)).await
    }

    async fn token(
        &self,
        hash: &TokenHash,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<TokenStanding, StoreError> {
        let hash = *hash;
        self.readers.run(move |c| read::token(c, &hash, purpose, now)).await
    }

    async fn complete_reset(
        &self,
        reset: CompleteReset,
        now: Timestamp,
    ) -> Result<Option<AccountId>, StoreError> {
        self.writer.run(move |c| tokens::complete_reset(c, &reset, now)).await
    }

    async fn confirm_email(&self, hash: &TokenHash, now: Timestamp) -> Result<Confirmation, StoreError> {
        let hash = *hash;
        self.writer.run(move |c| tokens::confirm_email(c, &hash, now)).await
    }

    async fn post(&self, letter: NewLetter, repeats: Repeats, now: Timestamp) -> Result<Posted, StoreError> {
        self.writer.run(move |c| post::post(c, &letter, repeats, now)).await
    }

    async fn claim(&self, order: ClaimOrder, now: Timestamp) -> Result<Batch, StoreError> {
        self.writer.run(move |c| claim::claim(c, &order, now)).await
    }

    async fn arm(&self, arms: Vec<Arm>, now: Timestamp) -> Result<Vec<Armed>, StoreError> {
        self.writer.run(move |c| arms.iter().map(|arm| courier::arm(c, arm, now)).collect()).await
    }

    async fn renew(&self, claim: ClaimId, lease: Timestamp) -> Result<usize, StoreError> {
        self.writer.run(move |c| courier::renew(c, claim, lease)).await
    }

    async fn settle(&self, settlements: Vec<Settlement>, now: Timestamp) -> Result<Vec<bool>, StoreError> {
        self.writer.run(move |c| courier::settle(c, &settlements, now)).await
    }

    async fn free_all_claims(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.writer.run(move |c| claim::free_all_claims(c, now)).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.readers.run(read::next_due).await
    }

    async fn outbox_status(&self) -> Result<OutboxStatus, StoreError> {
        self.readers.run(read::outbox_status).await
    }

    async fn outbox_gauges(&self, now: Timestamp) -> Result<OutboxGauges, StoreError> {
        self.readers.run(move |c| stats::outbox_gauges(c, now)).await
    }

    async fn outbox_stats(&self, now: Timestamp) -> Result<OutboxStats, StoreError> {
        self.readers.run(move |c| stats::outbox_stats(c, now)).await
    }

    async fn letters(&self, filter: LetterFilter) -> Result<Vec<Letter>, StoreError> {
        self.readers.run(move |c| find::letters(c, &filter)).await
    }

    async fn count_letters(&self, filter: LetterFilter) -> Result<u64, StoreError> {
        self.readers.run(move |c| find::count_letters(c, &filter)).await
    }

    async fn letter(&self, id: LetterId) -> Result<Option<Letter>, StoreError> {
        self.readers.run(move |c| read::one_letter(c, &id)).await
    }

    async fn retry(
        &self,
        id: LetterId,
        seen: LetterState,
        replacement: LetterId,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<Retried, StoreError> {
        self.writer.run(move |c| operator::retry(c, &id, seen, &replacement, now + lifetime, now)).await
    }

    async fn drop_letter(&self, id: LetterId, now: Timestamp) -> Result<bool, StoreError> {
        self.writer.run(move |c| operator::drop_letter(c, &id, now)).await
    }

    async fn purge(&self, retention: Retention, limit: usize, now: Timestamp) -> Result<usize, StoreError> {
        self.writer.run(move |c| operator::purge(c, retention, limit, now)).await
    }
}
