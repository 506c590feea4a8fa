//! The port, as calls of the steps. Each method is one step or one read.

use std::time::Duration;

use async_trait::async_trait;
use regain_core::account::NewAccount;
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

use super::PostgresStore;
use super::steps::{accounts, claim, courier};

#[async_trait]
impl Store for PostgresStore {
    fn key_mode(&self) -> KeyMode {
        self.key_mode
    }

    async fn register(
        &self,
        account: NewAccount,
        letter: Option<NewLetter>,
        now: Timestamp,
    ) -> Result<Registered, StoreError> {
        todo!()
    }

    async fn account_by_name(&self, name: &NameKey) -> Result<Option<Account>, StoreError> {
        todo!()
    }

    async fn account_by_id(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        todo!()
    }

    async fn rehash(
        &self,
        id: &AccountId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool, StoreError> {
        self.connections.transact(|t, _| Box::pin(accounts::rehash(t, id, old, new))).await
    }

    async fn change_password(&self, change: PasswordChange, now: Timestamp) -> Result<bool, StoreError> {
        todo!()
    }

    async fn put_account(&self, put: PutAccount, now: Timestamp) -> Result<Put, StoreError> {
        todo!()
    }

    async fn delete_account(
        &self,
        id: &AccountId,
        by: Option<HeldSession>,
        now: Timestamp,
    ) -> Result<Deleted, StoreError> {
        todo!()
    }

    async fn set_disabled(
        &self,
        id: &AccountId,
        is_disabled: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        todo!()
    }

    async fn set_admin(&self, id: &AccountId, is_admin: bool, now: Timestamp) -> Result<bool, StoreError> {
        todo!()
    }

    async fn add_accounts(
        &self,
        accounts: Vec<AccountRecord>,
        now: Timestamp,
    ) -> Result<Vec<Added>, StoreError> {
        todo!()
    }

    async fn accounts(&self, filter: AccountFilter) -> Result<Vec<Account>, StoreError> {
        todo!()
    }

    async fn admin_token(&self, id: &SessionId) -> Result<AdminStanding, StoreError> {
        todo!()
    }

    async fn put_admin_token(
        &self,
        id: &SessionId,
        replace: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        todo!()
    }

    async fn session(
        &self,
        account: &AccountId,
        session: &SessionId,
    ) -> Result<Option<(Account, bool)>, StoreError> {
        todo!()
    }

    async fn revoke(
        &self,
        session: &SessionId,
        account: &AccountId,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        todo!()
    }

    async fn token(
        &self,
        hash: &TokenHash,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<TokenStanding, StoreError> {
        todo!()
    }

    async fn complete_reset(
        &self,
        reset: CompleteReset,
        now: Timestamp,
    ) -> Result<Option<AccountId>, StoreError> {
        todo!()
    }

    async fn confirm_email(&self, hash: &TokenHash, now: Timestamp) -> Result<Confirmation, StoreError> {
        todo!()
    }

    async fn post(&self, letter: NewLetter, repeats: Repeats, now: Timestamp) -> Result<Posted, StoreError> {
        self.posts.post(letter, repeats, now).await
    }

    async fn claim(&self, order: ClaimOrder, now: Timestamp) -> Result<Batch, StoreError> {
        self.connections.transact(|t, _| Box::pin(claim::claim(t, &order, now))).await
    }

    async fn arm(&self, arms: Vec<Arm>, now: Timestamp) -> Result<Vec<Armed>, StoreError> {
        let arms = &arms;
        self.connections.run(|client, _| Box::pin(courier::arm(client, arms, now))).await
    }

    async fn renew(&self, claim: ClaimId, lease: Timestamp) -> Result<usize, StoreError> {
        self.connections.run(|client, _| Box::pin(courier::renew(client, claim, lease))).await
    }

    async fn settle(&self, settlements: Vec<Settlement>, now: Timestamp) -> Result<Vec<bool>, StoreError> {
        let settlements = &settlements;
        self.connections.run(|client, _| Box::pin(courier::settle(client, settlements, now))).await
    }

    async fn free_all_claims(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.connections.transact(|t, _| Box::pin(claim::free_all_claims(t, now))).await
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        self.connections.run(|client, _| Box::pin(courier::next_due(client))).await
    }

    async fn outbox_status(&self) -> Result<OutboxStatus, StoreError> {
        todo!()
    }

    async fn outbox_gauges(&self, now: Timestamp) -> Result<OutboxGauges, StoreError> {
        todo!()
    }

    async fn outbox_stats(&self, now: Timestamp) -> Result<OutboxStats, StoreError> {
        todo!()
    }

    async fn letters(&self, filter: LetterFilter) -> Result<Vec<Letter>, StoreError> {
        todo!()
    }

    async fn count_letters(&self, filter: LetterFilter) -> Result<u64, StoreError> {
        todo!()
    }

    async fn letter(&self, id: LetterId) -> Result<Option<Letter>, StoreError> {
        todo!()
    }

    async fn retry(
        &self,
        id: LetterId,
        seen: LetterState,
        replacement: LetterId,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<Retried, StoreError> {
        todo!()
    }

    async fn drop_letter(&self, id: LetterId, now: Timestamp) -> Result<bool, StoreError> {
        todo!()
    }

    async fn purge(&self, retention: Retention, limit: usize, now: Timestamp) -> Result<usize, StoreError> {
        todo!()
    }
}
