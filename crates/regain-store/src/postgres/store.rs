//! The port, as calls of the steps. Each method is one step or one read.

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

use super::PostgresStore;
use super::steps::{accounts, claim, courier, find, keys, manage, operator, put, read, stats, tokens};

#[async_trait]
impl Store for PostgresStore {
    fn key_mode(&self) -> KeyMode {
        self.key_mode
    }

    async fn agree_on_keys(
        &self,
        offer: KeyOffer,
        intent: KeyIntent,
        now: Timestamp,
    ) -> Result<KeyAgreement, StoreError> {
        let offer = &offer;
        if intent == KeyIntent::Ask {
            return self.connections.run(|client, _| Box::pin(keys::ask(client, offer, intent))).await;
        }
        self.connections.transact(|t, _| Box::pin(keys::agree(t, offer, intent, now))).await
    }

    async fn register(
        &self,
        account: NewAccount,
        letter: Option<NewLetter>,
        now: Timestamp,
    ) -> Result<Registered, StoreError> {
        let (account, letter) = (&account, letter.as_ref());
        self.and_tell(
            self.connections.run(|client, _| Box::pin(accounts::register(client, account, letter, now))),
        )
        .await
    }

    async fn account_by_name(&self, name: &NameKey) -> Result<Option<Account>, StoreError> {
        self.connections.run(|client, _| Box::pin(read::account_by_name(client, name))).await
    }

    async fn account_by_id(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        self.connections.run(|client, _| Box::pin(read::account_by_id(client, id))).await
    }

    async fn rehash(
        &self,
        id: &AccountId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool, StoreError> {
        self.connections.run(|client, _| Box::pin(accounts::rehash(client, id, old, new))).await
    }

    async fn change_password(&self, change: PasswordChange, now: Timestamp) -> Result<bool, StoreError> {
        let change = &change;
        self.and_tell(
            self.connections.run(|client, _| Box::pin(accounts::change_password(client, change, now))),
        )
        .await
    }

    async fn put_account(&self, put: PutAccount, now: Timestamp) -> Result<Put, StoreError> {
        let put = &put;
        self.connections.transact(|t, _| Box::pin(put::put_account(t, put, now))).await
    }

    async fn delete_account(
        &self,
        id: &AccountId,
        by: Option<HeldSession>,
        now: Timestamp,
    ) -> Result<Deleted, StoreError> {
        let by = by.as_ref();
        self.connections.run(|client, _| Box::pin(manage::delete_account(client, id, by, now))).await
    }

    async fn set_disabled(
        &self,
        id: &AccountId,
        is_disabled: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.connections.run(|client, _| Box::pin(manage::set_disabled(client, id, is_disabled, now))).await
    }

    async fn set_admin(&self, id: &AccountId, is_admin: bool, now: Timestamp) -> Result<bool, StoreError> {
        self.connections.run(|client, _| Box::pin(manage::set_admin(client, id, is_admin, now))).await
    }

    async fn add_accounts(
        &self,
        accounts: Vec<AccountRecord>,
        now: Timestamp,
    ) -> Result<Vec<Added>, StoreError> {
        let accounts = accounts.as_slice();
        self.connections.transact(|t, _| Box::pin(put::add_accounts(t, accounts, now))).await
    }

    async fn accounts(&self, filter: AccountFilter) -> Result<Vec<Account>, StoreError> {
        let filter = &filter;
        self.connections.run(|client, _| Box::pin(read::accounts(client, filter))).await
    }

    async fn admin_token(&self, id: &SessionId) -> Result<AdminStanding, StoreError> {
        self.connections.run(|client, _| Box::pin(manage::admin_token(client, id))).await
    }

    async fn put_admin_token(
        &self,
        id: &SessionId,
        replace: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.connections.run(|client, _| Box::pin(manage::put_admin_token(client, id, replace, now))).await
    }

    async fn session(
        &self,
        account: &AccountId,
        session: &SessionId,
    ) -> Result<Option<(Account, bool)>, StoreError> {
        self.connections.run(|client, _| Box::pin(read::session(client, account, session))).await
    }

    async fn revoke(
        &self,
        session: &SessionId,
        account: &AccountId,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.connections
            .run(|client, _| Box::pin(accounts::revoke(client, session, account, expires, now)))
            .await
    }

    async fn token(
        &self,
        hash: &TokenHash,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<TokenStanding, StoreError> {
        self.connections.run(|client, _| Box::pin(read::token(client, hash, purpose, now))).await
    }

    async fn complete_reset(
        &self,
        reset: CompleteReset,
        now: Timestamp,
    ) -> Result<Option<AccountId>, StoreError> {
        let reset = &reset;
        self.and_tell(self.connections.run(|client, _| Box::pin(tokens::complete_reset(client, reset, now))))
            .await
    }

    async fn confirm_email(&self, hash: &TokenHash, now: Timestamp) -> Result<Confirmation, StoreError> {
        self.connections.run(|client, _| Box::pin(tokens::confirm_email(client, hash, now))).await
    }

    async fn post(&self, letter: NewLetter, repeats: Repeats, now: Timestamp) -> Result<Posted, StoreError> {
        self.posts.post(letter, repeats, now).await
    }

    async fn claim(&self, order: ClaimOrder, now: Timestamp) -> Result<Batch, StoreError> {
        // The clock is asked once there is a connection: it may be set while this waits for one.
        self.connections
            .transact(|t, _| Box::pin(claim::claim(t, &order, self.clock.to_take_over(), now)))
            .await
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
        let held_off = self.clock.held_off_until();
        self.connections.run(|client, _| Box::pin(courier::next_due(client, held_off))).await
    }

    async fn outbox_status(&self) -> Result<OutboxStatus, StoreError> {
        self.connections.run(|client, _| Box::pin(read::outbox_status(client))).await
    }

    async fn outbox_gauges(&self, now: Timestamp) -> Result<OutboxGauges, StoreError> {
        self.connections.run(|client, _| Box::pin(stats::outbox_gauges(client, now))).await
    }

    async fn outbox_stats(&self, now: Timestamp) -> Result<OutboxStats, StoreError> {
        self.connections.run(|client, _| Box::pin(stats::outbox_stats(client, now))).await
    }

    async fn letters(&self, filter: LetterFilter) -> Result<Vec<Letter>, StoreError> {
        let filter = &filter;
        self.connections.run(|client, _| Box::pin(find::letters(client, filter))).await
    }

    async fn count_letters(&self, filter: LetterFilter) -> Result<u64, StoreError> {
        let filter = &filter;
        self.connections.run(|client, _| Box::pin(find::count_letters(client, filter))).await
    }

    async fn letter(&self, id: LetterId) -> Result<Option<Letter>, StoreError> {
        self.connections.run(|client, _| Box::pin(read::one_letter(client, id))).await
    }

    async fn retry(
        &self,
        id: LetterId,
        seen: LetterState,
        replacement: LetterId,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<Retried, StoreError> {
        let retry = self
            .connections
            .transact(|t, _| Box::pin(operator::retry(t, id, seen, replacement, now + lifetime, now)));
        self.and_tell(retry).await
    }

    async fn drop_letter(&self, id: LetterId, now: Timestamp) -> Result<bool, StoreError> {
        self.connections.run(|client, _| Box::pin(operator::drop_letter(client, id, now))).await
    }

    async fn purge(&self, retention: Retention, limit: usize, now: Timestamp) -> Result<usize, StoreError> {
        self.connections.run(|client, _| Box::pin(operator::purge(client, retention, limit, now))).await
    }
}
