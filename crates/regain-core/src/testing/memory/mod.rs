//! A store in memory: the shortest reading of what [`Store`] promises, and the fake that flows are tested on.

mod accounts;
mod outbox;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::account::{Account, AccountId, AccountRecord, Generation, NewAccount};
use crate::clock::Timestamp;
use crate::keys::{self, KeyAgreement, KeyIntent, KeyOffer, RememberedKeys};
use crate::letter::{ClaimId, Letter, LetterId, LetterState, NewLetter, Purpose};
use crate::name::{KeyMode, NameKey};
use crate::outbox::repeats::Repeats;
use crate::outbox::stats::{OutboxGauges, OutboxStats};
use crate::password::PasswordHash;
use crate::session::SessionId;
use crate::store::{
    AccountFilter, Added, AdminStanding, Arm, Armed, Batch, ClaimOrder, CompleteReset, Confirmation, Deleted,
    HeldSession, LetterFilter, OutboxStatus, PasswordChange, Posted, Put, PutAccount, Registered, Retention,
    Retried, Settlement, Store, StoreError, TokenStanding,
};
use crate::token::TokenHash;

/// Everything in one place under one lock, so that each step is atomic.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    accounts: Vec<Account>,
    tokens: Vec<TokenRow>,
    letters: Vec<LetterRow>,
    revoked: Vec<(SessionId, Timestamp)>,
    deleted: Vec<(AccountId, Generation)>,
    admin_token: Option<SessionId>,
    token_keys: Option<RememberedKeys>,
    signing_keys: Option<RememberedKeys>,
}

struct TokenRow {
    hash: TokenHash,
    purpose: Purpose,
    account: AccountId,
    name_key: NameKey,
    letter: LetterId,
    expires: Timestamp,
    used: Option<Timestamp>,
}

struct LetterRow {
    letter: Letter,
    claim: Option<ClaimId>,
    lease: Timestamp,
}

impl MemoryStore {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes an account behind the flows' back, as an administrator will be able to.
    pub fn edit_account(&self, id: &AccountId, edit: impl FnOnce(&mut Account)) {
        if let Some(account) = self.lock().accounts.iter_mut().find(|a| a.id == *id) {
            edit(account);
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn key_mode(&self) -> KeyMode {
        KeyMode::Folded
    }

    async fn agree_on_keys(
        &self,
        offer: KeyOffer,
        intent: KeyIntent,
        _now: Timestamp,
    ) -> Result<KeyAgreement, StoreError> {
        let mut state = self.lock();
        let (token, token_keys) = keys::judge(state.token_keys.as_ref(), &offer.token, intent);
        let (signing, signing_keys) = keys::judge(state.signing_keys.as_ref(), &offer.signing, intent);
        let agreement = KeyAgreement { token, signing };
        if intent != KeyIntent::Ask && !agreement.is_refused() {
            state.token_keys = token_keys.or_else(|| state.token_keys.take());
            state.signing_keys = signing_keys.or_else(|| state.signing_keys.take());
        }
        Ok(agreement)
    }

    async fn register(
        &self,
        account: NewAccount,
        letter: Option<NewLetter>,
        now: Timestamp,
    ) -> Result<Registered, StoreError> {
        Ok(self.lock().register(account, letter, now))
    }

    async fn account_by_name(&self, name: &NameKey) -> Result<Option<Account>, StoreError> {
        Ok(self.lock().accounts.iter().find(|a| a.name_key == *name).cloned())
    }

    async fn account_by_id(&self, id: &AccountId) -> Result<Option<Account>, StoreError> {
        Ok(self.lock().account(id).cloned())
    }

    async fn rehash(
        &self,
        id: &AccountId,
        old: &PasswordHash,
        new: &PasswordHash,
    ) -> Result<bool, StoreError> {
        Ok(self.lock().rehash(id, old, new))
    }

    async fn change_password(&self, change: PasswordChange, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.lock().change_password(change, now))
    }

    async fn put_account(&self, put: PutAccount, now: Timestamp) -> Result<Put, StoreError> {
        Ok(self.lock().put_account(put, now))
    }

    async fn delete_account(
        &self,
        id: &AccountId,
        by: Option<HeldSession>,
        now: Timestamp,
    ) -> Result<Deleted, StoreError> {
        Ok(self.lock().delete_account(id, by, now))
    }

    async fn set_disabled(
        &self,
        id: &AccountId,
        is_disabled: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        Ok(self.lock().set_disabled(id, is_disabled, now))
    }

    async fn set_admin(&self, id: &AccountId, is_admin: bool, _now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.lock().set_admin(id, is_admin))
    }

    async fn add_accounts(
        &self,
        accounts: Vec<AccountRecord>,
        now: Timestamp,
    ) -> Result<Vec<Added>, StoreError> {
        let mut state = self.lock();
        Ok(accounts.into_iter().map(|account| state.add_account(account, now)).collect())
    }

    async fn accounts(&self, filter: AccountFilter) -> Result<Vec<Account>, StoreError> {
        Ok(self.lock().list_accounts(&filter))
    }

    async fn admin_token(&self, id: &SessionId) -> Result<AdminStanding, StoreError> {
        Ok(self.lock().admin_standing(id))
    }

    async fn put_admin_token(
        &self,
        id: &SessionId,
        replace: bool,
        _now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut state = self.lock();
        if replace || state.admin_token.is_none() {
            state.admin_token = Some(*id);
        }
        Ok(state.admin_token == Some(*id))
    }

    async fn session(
        &self,
        account: &AccountId,
        session: &SessionId,
    ) -> Result<Option<(Account, bool)>, StoreError> {
        let state = self.lock();
        let is_revoked = state.revoked.iter().any(|(revoked, _)| revoked == session);
        Ok(state.account(account).map(|a| (a.clone(), is_revoked)))
    }

    async fn revoke(
        &self,
        session: &SessionId,
        _account: &AccountId,
        expires: Timestamp,
        _now: Timestamp,
    ) -> Result<(), StoreError> {
        self.lock().revoked.push((*session, expires));
        Ok(())
    }

    async fn token(
        &self,
        hash: &TokenHash,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<TokenStanding, StoreError> {
        Ok(self.lock().token_standing(hash, purpose, now))
    }

    async fn complete_reset(
        &self,
        reset: CompleteReset,
        now: Timestamp,
    ) -> Result<Option<AccountId>, StoreError> {
        Ok(self.lock().complete_reset(reset, now))
    }

    async fn confirm_email(&self, hash: &TokenHash, now: Timestamp) -> Result<Confirmation, StoreError> {
        Ok(self.lock().confirm_email(hash, now))
    }

    async fn post(&self, letter: NewLetter, repeats: Repeats, now: Timestamp) -> Result<Posted, StoreError> {
        Ok(self.lock().post(letter, repeats, now))
    }

    async fn claim(&self, order: ClaimOrder, now: Timestamp) -> Result<Batch, StoreError> {
        Ok(self.lock().claim(&order, now))
    }

    async fn arm(&self, arms: Vec<Arm>, now: Timestamp) -> Result<Vec<Armed>, StoreError> {
        let mut state = self.lock();
        Ok(arms.into_iter().map(|arm| state.arm(arm, now)).collect())
    }

    async fn renew(&self, claim: ClaimId, lease: Timestamp) -> Result<usize, StoreError> {
        Ok(self.lock().renew(claim, lease))
    }

    async fn settle(&self, settlements: Vec<Settlement>, now: Timestamp) -> Result<Vec<bool>, StoreError> {
        let mut state = self.lock();
        Ok(settlements.into_iter().map(|settlement| state.settle(settlement, now)).collect())
    }

    async fn free_all_claims(&self, now: Timestamp) -> Result<usize, StoreError> {
        Ok(self.lock().free_all_claims(now))
    }

    async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.lock().next_due())
    }

    async fn outbox_status(&self) -> Result<OutboxStatus, StoreError> {
        Ok(self.lock().outbox_status())
    }

    async fn outbox_gauges(&self, now: Timestamp) -> Result<OutboxGauges, StoreError> {
        Ok(self.lock().outbox_gauges(now))
    }

    async fn outbox_stats(&self, now: Timestamp) -> Result<OutboxStats, StoreError> {
        Ok(self.lock().outbox_stats(now))
    }

    async fn letters(&self, filter: LetterFilter) -> Result<Vec<Letter>, StoreError> {
        Ok(self.lock().list(&filter))
    }

    async fn count_letters(&self, filter: LetterFilter) -> Result<u64, StoreError> {
        Ok(self.lock().list(&filter).len() as u64)
    }

    async fn letter(&self, id: LetterId) -> Result<Option<Letter>, StoreError> {
        Ok(self.lock().letters.iter().map(|r| &r.letter).find(|l| l.id == id).cloned())
    }

    async fn retry(
        &self,
        id: LetterId,
        seen: LetterState,
        replacement: LetterId,
        lifetime: Duration,
        now: Timestamp,
    ) -> Result<Retried, StoreError> {
        Ok(self.lock().retry(id, seen, replacement, lifetime, now))
    }

    async fn drop_letter(&self, id: LetterId, now: Timestamp) -> Result<bool, StoreError> {
        Ok(self.lock().drop_letter(id, now))
    }

    async fn purge(&self, retention: Retention, limit: usize, now: Timestamp) -> Result<usize, StoreError> {
        Ok(self.lock().purge(retention, limit, now))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    async fn fresh() -> (Arc<dyn Store>, ()) {
        (Arc::new(MemoryStore::default()), ())
    }

    crate::store_contract!(fresh);
}
