//! The steps on accounts, sessions and tokens.

use crate::account::{Account, AccountId, Generation, NewAccount};
use crate::clock::Timestamp;
use crate::letter::{Letter, LetterState, NewLetter, Notice, Purpose};
use crate::password::PasswordHash;
use crate::store::{CompleteReset, Confirmation, HeldSession, PasswordChange, Registered, TokenStanding};
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

    pub(super) fn register(&mut self, new: NewAccount, letter: Option<NewLetter>) -> Registered {
        if self.accounts.iter().any(|a| a.name_key == *new.name.key()) {
            return Registered::NameTaken;
        }
        let was_dropped = |l: &Letter| l.state == LetterState::Dropped && l.name_key == *new.name.key();
        self.letters.retain(|row| !was_dropped(&row.letter));
        if let Some(letter) = letter {
            self.insert_letter(letter, Some(new.id.clone()), None);
        }
        self.accounts.push(Account {
            id: new.id,
            name: new.name.as_str().to_owned(),
            name_key: new.name.key().clone(),
            address: new.name.address().cloned(),
            password: Some(new.password),
            generation: Generation::default(),
            kept_session: None,
            is_admin: false,
            is_confirmed: false,
            is_disabled: false,
        });
        Registered::Created
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
        let Some(account) = self.account_mut(&change.account).filter(|a| !a.is_disabled) else {
            return false;
        };
        let has_ended =
            |by: HeldSession| account.generation != by.generation && account.kept_session != Some(by.session);
        if change.by.is_some_and(has_ended) {
            return false;
        }
        account.password = Some(change.new);
        account.generation.0 += 1;
        account.kept_session = change.by.map(|by| by.session);
        let (is_confirmed, key) = (account.is_confirmed, account.name_key.clone());
        self.end_resets(&change.account, now);
        let recent = self.letters.iter().map(|r| &r.letter).filter(|l| {
            l.purpose == Purpose::PasswordChanged && l.name_key == key && l.posted > now.minus(DAY)
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
