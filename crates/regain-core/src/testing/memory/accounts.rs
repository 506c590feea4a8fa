//! The steps on accounts, sessions and tokens.

use crate::account::{Account, AccountId, AccountRecord, Generation, NewAccount};
use crate::clock::Timestamp;
use crate::letter::{Letter, LetterState, NewLetter, Notice, Purpose};
use crate::name::NameKey;
use crate::password::PasswordHash;
use crate::session::SessionId;
use crate::store::{
    AccountFilter, Added, AdminStanding, CompleteReset, Confirmation, Deleted, HeldSession, PasswordChange,
    Put, PutAccount, Registered, TokenStanding,
};
use crate::testing::memory::{State, TokenRow};
use crate::token::TokenHash;

const DAY: std::time::Duration = std::time::Duration::from_secs(24 * 3600);

impl State {
    pub(super) fn account(&self, id: &AccountId) -> Option<&Account> {
        self.accounts.iter().find(|a| a.id == *id)
    }

    fn account_mut(&mut self, id: &AccountId) -> Option<&mut Account> {
        self.accounts.iter_mut().find(|a| a.id == *id)
    }

    pub(super) fn register(
        &mut self,
        new: NewAccount,
        letter: Option<NewLetter>,
        now: Timestamp,
    ) -> Registered {
        if self.accounts.iter().any(|a| a.name_key == *new.name.key()) {
            return Registered::NameTaken;
        }
        self.forget_dropped(new.name.key());
        if let Some(letter) = letter {
            self.insert_letter(letter, Some(new.id.clone()), None);
        }
        self.accounts.push(Account::new(new, now));
        Registered::Created
    }

    fn forget_dropped(&mut self, key: &NameKey) {
        let was_dropped = |l: &Letter| l.state == LetterState::Dropped && l.name_key == *key;
        self.letters.retain(|row| !was_dropped(&row.letter));
    }

    pub(super) fn put_account(&mut self, put: PutAccount, now: Timestamp) -> Put {
        let key = put.name.key().clone();
        if let Some(account) = self.accounts.iter_mut().find(|a| a.name_key == key) {
            if put.id.is_some_and(|id| id != account.id) {
                return Put::OtherId;
            }
            account.is_admin = put.is_admin.unwrap_or(account.is_admin);
            account.is_confirmed = put.is_confirmed.unwrap_or(account.is_confirmed);
            account.metadata = put.metadata;
            return Put::Updated(account.clone());
        }
        let record = AccountRecord {
            is_admin: put.is_admin.unwrap_or(false),
            is_confirmed: put.is_confirmed.unwrap_or(false),
            metadata: put.metadata,
            ..AccountRecord::new(put.id_if_new, put.name)
        };
        match self.add_account(record, now) {
            Added::Added => self.accounts.last().cloned().map_or(Put::OtherId, Put::Created),
            Added::AlreadyThere | Added::NameTaken | Added::IdTaken => Put::OtherId,
        }
    }

    pub(super) fn add_account(&mut self, record: AccountRecord, now: Timestamp) -> Added {
        if let Some(other) = self.account(&record.id) {
            let is_same = other.name_key == *record.name.key();
            return if is_same { Added::AlreadyThere } else { Added::IdTaken };
        }
        if self.accounts.iter().any(|a| a.name_key == *record.name.key()) {
            return Added::NameTaken;
        }
        self.forget_dropped(record.name.key());
        let gone = self.deleted.iter().filter(|(id, _)| *id == record.id).map(|(_, last)| last.0 + 1).max();
        let generation = record.generation.max(Generation(gone.unwrap_or(0)));
        self.accounts.push(Account::from_record(AccountRecord { generation, ..record }, now));
        Added::Added
    }

    pub(super) fn delete_account(
        &mut self,
        id: &AccountId,
        by: Option<HeldSession>,
        now: Timestamp,
    ) -> Deleted {
        let Some(account) = self.account(id).cloned() else { return Deleted::Unknown };
        if by.is_some_and(|by| self.has_ended(&account, by)) {
            return Deleted::SessionEnded;
        }
        for row in &mut self.letters {
            let is_theirs = row.letter.account.as_ref().is_none_or(|of| of == id);
            if is_theirs && row.letter.name_key == account.name_key && !row.letter.state.is_closed() {
                row.close(LetterState::Dropped, now);
            }
        }
        self.void_tokens(id, now);
        self.accounts.retain(|a| a.id != *id);
        self.deleted.push((id.clone(), account.generation));
        Deleted::Deleted
    }

    pub(super) fn set_disabled(&mut self, id: &AccountId, is_disabled: bool, now: Timestamp) -> bool {
        let Some(account) = self.account_mut(id) else { return false };
        let is_new = is_disabled && !account.is_disabled;
        account.is_disabled = is_disabled;
        let key = account.name_key.clone();
        if is_new {
            account.generation.0 += 1;
            account.kept_session = None;
            self.void_tokens(id, now);
            self.close_letters_of(id, Purpose::Reset, now);
            self.close_letters_of(id, Purpose::Confirm, now);
        } else if !is_disabled {
            self.forget_dropped(&key);
        }
        true
    }

    pub(super) fn set_admin(&mut self, id: &AccountId, is_admin: bool) -> bool {
        self.account_mut(id).map(|account| account.is_admin = is_admin).is_some()
    }

    pub(super) fn list_accounts(&self, filter: &AccountFilter) -> Vec<Account> {
        let is_wanted = |a: &&Account| {
            filter.after.as_ref().is_none_or(|after| a.name_key > *after)
                && filter.is_admin.is_none_or(|is| a.is_admin == is)
                && filter.is_disabled.is_none_or(|is| a.is_disabled == is)
                && filter.is_confirmed.is_none_or(|is| a.is_confirmed == is)
        };
        let mut found: Vec<Account> = self.accounts.iter().filter(is_wanted).cloned().collect();
        found.sort_by(|a, b| a.name_key.cmp(&b.name_key));
        found.truncate(filter.limit);
        found
    }

    pub(super) fn admin_standing(&self, id: &SessionId) -> AdminStanding {
        if self.admin_token != Some(*id) {
            AdminStanding::Unknown
        } else if self.revoked.iter().any(|(revoked, _)| revoked == id) {
            AdminStanding::Revoked
        } else {
            AdminStanding::InForce
        }
    }

    /// Whether a session does not hold any more, or its account is disabled.
    fn has_ended(&self, account: &Account, by: HeldSession) -> bool {
        let is_current = account.generation == by.generation || account.kept_session == Some(by.session);
        account.is_disabled || !is_current || self.revoked.iter().any(|(revoked, _)| *revoked == by.session)
    }

    pub(super) fn rehash(&mut self, id: &AccountId, old: &PasswordHash, new: &PasswordHash) -> bool {
        match self.account_mut(id) {
            Some(account) if account.password.as_ref() == Some(old) => {
                account.password = Some(new.clone());
                true
            }
            _ => false,
        }
    }

    pub(super) fn change_password(&mut self, change: PasswordChange, now: Timestamp) -> bool {
        let Some(account) = self.account(&change.account).filter(|a| !a.is_disabled) else {
            return false;
        };
        if change.by.is_some_and(|by| self.has_ended(account, by)) {
            return false;
        }
        let Some(account) = self.account_mut(&change.account) else { return false };
        account.password = Some(change.new);
        account.generation.0 += 1;
        account.kept_session = change.by.map(|by| by.session);
        let (is_confirmed, key) = (account.is_confirmed, account.name_key.clone());
        self.end_resets(&change.account, now);
        let recent = self.letters.iter().map(|r| &r.letter).filter(|l| {
            let is_of_a_day = l.posted > now.minus(DAY) && l.posted <= now + DAY;
            l.purpose == Purpose::PasswordChanged && l.name_key == key && is_of_a_day
        });
        if is_confirmed || recent.count() < change.notices_if_unconfirmed as usize {
            self.post_notice(change.notice, &change.account, now);
        }
        true
    }

    pub(super) fn complete_reset(&mut self, reset: CompleteReset, now: Timestamp) -> Option<AccountId> {
        if self.token_standing(&reset.token, Purpose::Reset, now) != TokenStanding::Good {
            return None;
        }
        let id = self.tokens.iter().find(|t| t.hash == reset.token)?.account.clone();
        let account = self.account_mut(&id)?;
        account.password = Some(reset.new);
        account.generation.0 += 1;
        account.kept_session = None;
        self.end_resets(&id, now);
        self.post_notice(reset.notice, &id, now);
        Some(id)
    }

    pub(super) fn confirm_email(&mut self, hash: &TokenHash, now: Timestamp) -> Confirmation {
        let Some(token) = self.tokens.iter_mut().find(|t| t.hash == *hash && t.purpose == Purpose::Confirm)
        else {
            return Confirmation::Unknown;
        };
        let Some(account) = self
            .accounts
            .iter_mut()
            .find(|a| a.id == token.account && a.name_key == token.name_key && !a.is_disabled)
        else {
            return Confirmation::Refused;
        };
        if token.used.is_some() {
            return if account.is_confirmed { Confirmation::Already } else { Confirmation::Refused };
        }
        if token.expires <= now {
            return Confirmation::Refused;
        }
        token.used = Some(now);
        account.is_confirmed = true;
        let id = account.id.clone();
        self.close_letters_of(&id, Purpose::Confirm, now);
        Confirmation::Confirmed(id)
    }

    pub(super) fn token_standing(&self, hash: &TokenHash, purpose: Purpose, now: Timestamp) -> TokenStanding {
        match self.tokens.iter().find(|t| t.hash == *hash && t.purpose == purpose) {
            None => TokenStanding::Unknown,
            Some(token) if token.used.is_some() || token.expires <= now || !self.has_owner(token) => {
                TokenStanding::Spent
            }
            Some(_) => TokenStanding::Good,
        }
    }

    fn has_owner(&self, token: &TokenRow) -> bool {
        self.account(&token.account).is_some_and(|a| !a.is_disabled && a.name_key == token.name_key)
    }

    /// Voids the open tokens of an account.
    fn void_tokens(&mut self, id: &AccountId, now: Timestamp) {
        for token in self.tokens.iter_mut().filter(|t| t.account == *id) {
            token.used.get_or_insert(now);
        }
    }

    /// Voids the open reset tokens of an account and ends its reset letters.
    fn end_resets(&mut self, id: &AccountId, now: Timestamp) {
        for token in &mut self.tokens {
            if token.account == *id && token.purpose == Purpose::Reset && token.used.is_none() {
                token.used = Some(now);
            }
        }
        self.close_letters_of(id, Purpose::Reset, now);
    }

    fn close_letters_of(&mut self, id: &AccountId, purpose: Purpose, now: Timestamp) {
        let key = self.account(id).map(|a| a.name_key.clone());
        for row in &mut self.letters {
            let is_theirs = match &row.letter.account {
                Some(account) => account == id,
                None => Some(&row.letter.name_key) == key.as_ref(),
            };
            if is_theirs && row.letter.purpose == purpose && !row.letter.state.is_closed() {
                row.close(LetterState::Superseded, now);
            }
        }
    }

    fn post_notice(&mut self, notice: Option<Notice>, id: &AccountId, now: Timestamp) {
        let Some(account) = self.account(id).filter(|a| a.address.is_some()) else { return };
        let name_key = account.name_key.clone();
        if let Some(notice) = notice {
            let letter = NewLetter {
                id: notice.id,
                purpose: Purpose::PasswordChanged,
                name_key,
                ip: Some(notice.ip),
                agent: notice.agent,
                posted: now,
                deadline: notice.deadline,
            };
            self.insert_letter(letter, Some(id.clone()), None);
        }
    }
}
