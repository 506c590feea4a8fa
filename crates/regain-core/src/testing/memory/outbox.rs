//! The steps on letters.

use std::collections::VecDeque;
use std::time::Duration;

use crate::account::{Account, AccountId};
use crate::clock::Timestamp;
use crate::letter::{ClaimId, ClaimedLetter, Letter, LetterId, LetterState, NewLetter, Purpose};
use crate::outbox::backoff;
use crate::outbox::budget::{self, MailBudget};
use crate::outbox::crashes;
use crate::outbox::held;
use crate::outbox::repeats::Repeats;
use crate::outbox::stats::{self, LetterCount, OutboxGauges, OutboxStats};
use crate::relay_code::RelayCode;
use crate::store::{
    Arm, Armed, Batch, ClaimOrder, LetterFilter, OutboxStatus, Outcome, Posted, Retention, Retried,
    Settlement,
};
use crate::testing::memory::{LetterRow, State, TokenRow};

impl LetterRow {
    pub(super) fn close(&mut self, state: LetterState, now: Timestamp) {
        self.letter.state = state;
        self.letter.ended = Some(now);
        self.claim = None;
    }

    fn wait(&mut self, due: Timestamp) {
        self.letter.state = LetterState::Waiting;
        self.letter.due = due;
        self.claim = None;
    }

    fn is_held_under(&self, claim: ClaimId) -> bool {
        self.letter.state == LetterState::Claimed && self.claim == Some(claim)
    }

    fn is_claimable(&self, now: Timestamp) -> bool {
        // Beyond the longest wait lies only what a wrong clock has put there.
        let is_due = |at: Timestamp| at <= now || at > now + backoff::LONGEST;
        match self.letter.state {
            LetterState::Waiting => is_due(self.letter.due),
            LetterState::Claimed => is_due(self.lease),
            _ => false,
        }
    }
}

impl State {
    pub(super) fn insert_letter(
        &mut self,
        new: NewLetter,
        account: Option<AccountId>,
        replaces: Option<LetterId>,
    ) {
        let letter = Letter {
            id: new.id,
            purpose: new.purpose,
            name_key: new.name_key,
            account,
            ip: new.ip,
            agent: new.agent,
            posted: new.posted,
            deadline: new.deadline,
            due: new.posted,
            attempts: 0,
            crashes: 0,
            repeats: 0,
            state: LetterState::Waiting,
            ended: None,
            last_error: None,
            relay_reply: None,
            token_key: None,
            replaces,
        };
        self.letters.push(LetterRow { letter, claim: None, lease: new.posted });
    }

    pub(super) fn post(&mut self, new: NewLetter, repeats: Repeats, now: Timestamp) -> Posted {
        if repeats.max_open.is_some_and(|max| self.open().count() as u64 >= max) {
            return Posted::Full;
        }
        if let Some(answer) = repeats.per_address.then(|| self.repeat(&new, repeats, now)).flatten() {
            return answer;
        }
        self.insert_letter(new, None, None);
        Posted::Posted
    }

    fn repeat(&mut self, new: &NewLetter, repeats: Repeats, now: Timestamp) -> Option<Posted> {
        let same = |l: &Letter| l.purpose == new.purpose && l.name_key == new.name_key;
        if let Some(open) =
            self.letters.iter_mut().map(|r| &mut r.letter).find(|l| same(l) && !l.state.is_closed())
        {
            open.deadline = open.deadline.max(new.deadline);
            open.repeats += 1;
            return Some(Posted::Merged);
        }
        // What a clock that was wrong has ended far ahead does not count.
        let is_past = |l: &Letter| l.ended.is_none_or(|end| end < now + repeats.cooldown);
        let same = |l: &Letter| same(l) && is_past(l);
        let closed = self.letters.iter_mut().map(|r| &mut r.letter).filter(|l| same(l));
        let is_fresh = |l: &Letter| {
            l.state != LetterState::Expired && l.ended.is_some_and(|end| now < end + repeats.cooldown)
        };
        if let Some(last) = closed.max_by_key(|l| l.ended).filter(|l| is_fresh(l)) {
            last.repeats += 1;
            return Some(Posted::Swallowed);
        }
        let tokens = &self.tokens;
        let mut sent: Vec<&mut Letter> = self
            .letters
            .iter_mut()
            .map(|r| &mut r.letter)
            .filter(|l| same(l) && l.state == LetterState::Sent)
            .collect();
        sent.sort_by_key(|l| l.ended);
        let recent = sent.iter().filter(|l| l.ended.is_some_and(|end| now < end + repeats.window)).count();
        let last = sent.last_mut()?;
        let is_good = tokens.iter().any(|t| t.letter == last.id && t.used.is_none() && t.expires > now);
        if recent >= repeats.mails as usize && is_good {
            last.repeats += 1;
            return Some(Posted::Swallowed);
        }
        None
    }

    pub(super) fn claim(&mut self, order: &ClaimOrder, now: Timestamp) -> Batch {
        let mut spent = Spent::of(&self.letters, now);
        let accounts = &self.accounts;
        let mut rows: Vec<&mut LetterRow> = self.letters.iter_mut().filter(|r| r.is_claimable(now)).collect();
        rows.sort_by_key(|r| (r.letter.due, r.letter.id));
        let mut batch = Batch::default();
        let mut rows: VecDeque<&mut LetterRow> = rows.into();
        while batch.letters.len() < order.limit {
            let is_oldest = batch.letters.len() + order.newest < order.limit;
            if !is_oldest {
                rows.make_contiguous().sort_by_key(|r| (r.letter.posted, r.letter.id));
            }
            let next = if is_oldest { rows.pop_front() } else { rows.pop_back() };
            let Some(row) = next else { break };
            match standing(&row.letter, accounts, now) {
                Err(end) => {
                    batch.closed.count(&row.letter, end);
                    if end == LetterState::Dead {
                        row.letter.last_error = Some(crashes::REASON.to_owned());
                    }
                    row.close(end, now);
                }
                Ok(account) => {
                    // One whose lease ran out has its place in the budget already.
                    let is_new = row.letter.state == LetterState::Waiting;
                    let put_off = |spent: &mut Spent| spent.put_off(order.budget, row.letter.purpose, now);
                    if let Some(again) = is_new.then(|| put_off(&mut spent)).flatten() {
                        row.letter.last_error = Some(budget::REASON.to_owned());
                        row.wait(again);
                        batch.put_off += 1;
                        batch.is_budget_spent |= spent.is_spent;
                        continue;
                    }
                    if !is_new {
                        row.letter.crashes += 1;
                        batch.reclaimed += 1;
                    }
                    row.letter.account = Some(account.id.clone());
                    row.letter.state = LetterState::Claimed;
                    row.claim = Some(order.claim);
                    row.lease = order.lease;
                    batch.letters.push(ClaimedLetter {
                        letter: row.letter.clone(),
                        account: account.clone(),
                        claim: order.claim,
                    });
                }
            }
        }
        batch
    }

    pub(super) fn arm(&mut self, arm: Arm, now: Timestamp) -> Armed {
        let owner = self.account(&arm.account).filter(|a| !a.is_disabled && a.name_key == arm.name_key);
        let has_owner = owner.is_some();
        let Some(row) =
            self.letters.iter_mut().find(|r| r.letter.id == arm.letter && r.is_held_under(arm.claim))
        else {
            return Armed::Lost;
        };
        if !has_owner {
            row.close(LetterState::Superseded, now);
            return Armed::Superseded;
        }
        let Some(hash) = arm.token else { return Armed::Armed };
        if row.letter.token_key.is_some_and(|key| key != arm.token_key) {
            row.close(LetterState::Superseded, now);
            let old = row.letter.clone();
            self.insert_letter(
                replacement(&old, arm.replacement, old.deadline, now),
                old.account,
                Some(old.id),
            );
            return Armed::KeyGone;
        }
        row.letter.token_key = Some(arm.token_key);
        match self.tokens.iter_mut().find(|t| t.hash == hash) {
            Some(token) if token.used.is_some() => {
                row.close(LetterState::Superseded, now);
                Armed::Superseded
            }
            Some(token) => {
                token.expires = token.expires.max(arm.expires);
                Armed::Armed
            }
            None => {
                self.tokens.push(TokenRow {
                    hash,
                    purpose: arm.purpose,
                    account: arm.account,
                    name_key: arm.name_key,
                    letter: arm.letter,
                    expires: arm.expires,
                    used: None,
                });
                Armed::Armed
            }
        }
    }

    pub(super) fn renew(&mut self, claim: ClaimId, lease: Timestamp) -> usize {
        let held = self.letters.iter_mut().filter(|r| r.is_held_under(claim));
        held.map(|row| row.lease = lease).count()
    }

    pub(super) fn settle(&mut self, settlement: Settlement, now: Timestamp) -> bool {
        let Some(row) = self.letters.iter_mut().find(|r| r.letter.id == settlement.letter) else {
            return false;
        };
        if !row.is_held_under(settlement.claim) {
            return false;
        }
        match settlement.outcome {
            Outcome::Sent { reply } => {
                row.letter.attempts += 1;
                row.letter.last_error = None;
                row.letter.relay_reply = Some(reply);
                row.close(LetterState::Sent, now);
            }
            Outcome::Later { due, error, reply } => {
                row.letter.attempts += 1;
                row.letter.crashes = 0;
                row.letter.last_error = Some(error);
                row.letter.relay_reply = reply;
                row.wait(due);
            }
            Outcome::Dead { error, reply } => {
                row.letter.attempts += 1;
                row.letter.last_error = Some(error);
                row.letter.relay_reply = reply;
                row.close(LetterState::Dead, now);
            }
            Outcome::Held { due, error } => {
                row.letter.crashes = 0;
                row.letter.last_error = Some(error);
                row.wait(due);
            }
            Outcome::Released { error } => {
                row.letter.crashes = 0;
                let mut due = row.letter.due;
                if error.is_some() {
                    row.letter.last_error = error;
                    // One that was put off before is late since that time.
                    if row.letter.attempts == 0 {
                        due = due.max(now);
                    }
                }
                row.wait(due);
            }
        }
        true
    }

    pub(super) fn free_all_claims(&mut self, now: Timestamp) -> usize {
        let held = self.letters.iter_mut().filter(|r| r.letter.state == LetterState::Claimed);
        held.map(|row| {
            row.letter.crashes += 1;
            if row.letter.crashes >= crashes::MOST {
                row.letter.last_error = Some(crashes::REASON.to_owned());
                return row.close(LetterState::Dead, now);
            }
            let wait = crashes::delay(row.letter.crashes, row.letter.id);
            row.wait(if wait.is_zero() { row.letter.due } else { now + wait });
        })
        .count()
    }

    pub(super) fn next_due(&self) -> Option<Timestamp> {
        let next = |row: &LetterRow| match row.letter.state {
            LetterState::Claimed => row.lease,
            _ => row.letter.due,
        };
        self.letters.iter().filter(|r| !r.letter.state.is_closed()).map(next).min()
    }

    pub(super) fn outbox_status(&self) -> OutboxStatus {
        OutboxStatus {
            open: self.open().count() as u64,
            oldest: self.open().map(|l| l.posted).min(),
            dead: self.letters.iter().filter(|r| r.letter.state == LetterState::Dead).count() as u64,
        }
    }

    pub(super) fn outbox_gauges(&self, now: Timestamp) -> OutboxGauges {
        let stats = self.outbox_stats(now);
        let waits = |l: &&Letter| l.state == LetterState::Waiting;
        let is_held_up_by_relays = |l: &&Letter| {
            let is_on_its_way = l.state == LetterState::Claimed && l.last_error.is_none();
            let by_budget = l.last_error.as_deref() == Some(budget::REASON);
            let could_go = l.due <= now || l.last_error.as_deref() == Some(held::REASON);
            l.crashes == 0 && could_go && !by_budget && !is_on_its_way
        };
        let since = |l: &Letter| if l.attempts == 0 { l.posted } else { l.due };
        let held_up = self.open().filter(is_held_up_by_relays).map(since).min();
        let of = |purpose| self.open().filter(|l| waits(l) && l.purpose == purpose).count() as u64;
        OutboxGauges {
            waiting: Purpose::ALL.map(of),
            due: stats.due,
            put_off: stats.put_off,
            first_due: self.open().filter(waits).map(|l| l.due).chain(held_up).min(),
            claimed: stats.in_state(LetterState::Claimed),
            sent_last_hour: stats.sent_last_hour,
        }
    }

    pub(super) fn outbox_stats(&self, now: Timestamp) -> OutboxStats {
        let all = || self.letters.iter().map(|r| &r.letter);
        let count = |is: &dyn Fn(&Letter) -> bool| all().filter(|l| is(l)).count() as u64;
        let kinds = Purpose::ALL.into_iter().flat_map(|p| LetterState::ALL.map(|s| (p, s)));
        let counts = kinds.map(|(purpose, state)| LetterCount {
            purpose,
            state,
            count: count(&|l| l.purpose == purpose && l.state == state),
        });
        let sent_within = |time| {
            count(&|l| l.state == LetterState::Sent && l.ended.is_some_and(|ended| ended > now.minus(time)))
        };
        let waits = |l: &Letter| l.state == LetterState::Waiting;
        let mut dead: Vec<&Letter> = all().filter(|l| l.state == LetterState::Dead).collect();
        dead.sort_by_key(|l| std::cmp::Reverse(l.ended));
        let mut codes: Vec<(Option<RelayCode>, u64)> = Vec::new();
        for letter in dead.into_iter().take(stats::DEAD_LOOKED_AT) {
            let code = RelayCode::words_of(letter).and_then(RelayCode::of);
            match codes.iter_mut().find(|(known, _)| *known == code) {
                Some((_, count)) => *count += 1,
                None => codes.push((code, 1)),
            }
        }
        OutboxStats::sort_codes(&mut codes);
        OutboxStats {
            counts: counts.filter(|one| one.count > 0).collect(),
            oldest: self.open().map(|l| l.posted).min(),
            due: count(&|l| waits(l) && l.due <= now),
            put_off: count(&|l| waits(l) && l.due > now),
            sent_last_hour: sent_within(stats::LAST_HOUR),
            sent_last_day: sent_within(stats::LAST_DAY),
            dead_by_code: codes,
        }
    }

    pub(super) fn list(&self, filter: &LetterFilter) -> Vec<Letter> {
        let mut letters: Vec<Letter> = self
            .letters
            .iter()
            .map(|r| &r.letter)
            .filter(|l| filter.state.is_none_or(|s| s == l.state))
            .filter(|l| filter.purpose.is_none_or(|p| p == l.purpose))
            .filter(|l| filter.name.as_ref().is_none_or(|name| *name == l.name_key))
            .filter(|l| filter.from.is_none_or(|from| l.posted >= from))
            .filter(|l| filter.until.is_none_or(|until| l.posted < until))
            .filter(|l| {
                let words = RelayCode::words_of(l);
                filter.code.is_none_or(|code| words.is_some_and(|words| code.begins(words)))
            })
            .filter(|l| filter.before.is_none_or(|b| l.id < b))
            .cloned()
            .collect();
        letters.sort_by_key(|l| std::cmp::Reverse(l.id));
        letters.truncate(filter.limit);
        letters
    }

    pub(super) fn retry(
        &mut self,
        id: LetterId,
        seen: LetterState,
        new: LetterId,
        lifetime: Duration,
        now: Timestamp,
    ) -> Retried {
        let by = self.letters.iter().find(|r| r.letter.replaces == Some(id)).map(|r| r.letter.id);
        let Some(row) = self.letters.iter_mut().find(|r| r.letter.id == id) else { return Retried::Unknown };
        match row.letter.state {
            LetterState::Claimed => Retried::BeingDelivered,
            LetterState::Waiting => {
                row.letter.due = now;
                Retried::Hastened
            }
            _ if !seen.is_closed() => Retried::ClosedMeanwhile,
            _ if let Some(by) = by => Retried::AlreadyReplaced(by),
            _ => {
                let old = row.letter.clone();
                self.insert_letter(replacement(&old, new, now + lifetime, now), None, Some(old.id));
                Retried::Replaced
            }
        }
    }

    pub(super) fn drop_letter(&mut self, id: LetterId, now: Timestamp) -> bool {
        let waiting = |r: &&mut LetterRow| r.letter.id == id && r.letter.state == LetterState::Waiting;
        self.letters.iter_mut().find(waiting).map(|row| row.close(LetterState::Dropped, now)).is_some()
    }

    pub(super) fn purge(&mut self, retention: Retention, limit: usize, now: Timestamp) -> usize {
        let keep_for =
            |l: &Letter| if l.state == LetterState::Dropped { retention.dropped } else { retention.closed };
        let letters = remove(&mut self.letters, limit, |r| {
            r.letter.ended.is_some_and(|end| end + keep_for(&r.letter) <= now)
        });
        let open: Vec<LetterId> = self.open().map(|l| l.id).collect();
        let tokens = remove(&mut self.tokens, limit, |t| {
            !open.contains(&t.letter) && t.used.unwrap_or(t.expires).max(t.expires) + retention.tokens <= now
        });
        let sessions = remove(&mut self.revoked, limit, |(_, expires)| *expires <= now);
        letters + tokens + sessions
    }

    fn open(&self) -> impl Iterator<Item = &Letter> {
        self.letters.iter().map(|r| &r.letter).filter(|l| !l.state.is_closed())
    }
}

/// How far the mail budget is spent.
struct Spent {
    mails: u64,
    /// When mails of the last hour were sent.
    sent: Vec<Timestamp>,
    /// Whether a letter was put off for mails sent.
    is_spent: bool,
    /// Letters that wait for a place in the budget: resets, and others.
    ahead: [usize; 2],
}

impl Spent {
    fn of(letters: &[LetterRow], now: Timestamp) -> Self {
        let mut sent: Vec<Timestamp> = letters
            .iter()
            .filter(|r| r.letter.state == LetterState::Sent)
            .filter_map(|r| r.letter.ended)
            .filter(|ended| *ended + MailBudget::WINDOW > now && *ended <= now + MailBudget::WINDOW)
            .collect();
        sent.sort();
        let claimed = letters.iter().filter(|r| r.letter.state == LetterState::Claimed).count();
        let is_ahead = |r: &&LetterRow| {
            let waits = r.letter.state == LetterState::Waiting && r.letter.due > now;
            waits && r.letter.last_error.as_deref() == Some(budget::REASON)
        };
        let (resets, others): (Vec<_>, Vec<_>) =
            letters.iter().filter(is_ahead).partition(|r| r.letter.purpose == Purpose::Reset);
        Self {
            mails: (sent.len() + claimed) as u64,
            sent,
            is_spent: false,
            ahead: [resets.len(), others.len()],
        }
    }

    /// Charges a letter; or says when it may be tried again, where there is a budget and it is spent.
    fn put_off(&mut self, budget: Option<MailBudget>, purpose: Purpose, now: Timestamp) -> Option<Timestamp> {
        let limit = budget?.limit(purpose);
        if self.mails < limit {
            self.mails += 1;
            return None;
        }
        if (self.sent.len() as u64) < limit {
            return Some(budget::after_claims(now));
        }
        self.is_spent = true;
        // Resets do not wait behind the others, which have fewer places.
        let is_reset = purpose == Purpose::Reset;
        let ahead = if is_reset { self.ahead[0] } else { self.ahead[0] + self.ahead[1] };
        self.ahead[usize::from(!is_reset)] += 1;
        let place = usize::try_from(self.mails - limit).unwrap_or(usize::MAX).saturating_add(ahead);
        Some(budget::again(self.sent.get(place).copied(), now))
    }
}

/// The account a letter is for, or the state in which it ends instead.
fn standing<'a>(
    letter: &Letter,
    accounts: &'a [Account],
    now: Timestamp,
) -> Result<&'a Account, LetterState> {
    if letter.deadline < now {
        return Err(LetterState::Expired);
    }
    if letter.state == LetterState::Claimed && letter.crashes + 1 >= crashes::MOST {
        return Err(LetterState::Dead);
    }
    let is_owner = |a: &&Account| match &letter.account {
        Some(id) => a.id == *id && a.name_key == letter.name_key,
        None => a.name_key == letter.name_key,
    };
    let account = accounts.iter().find(is_owner).filter(|a| !a.is_disabled && a.address.is_some());
    match account {
        None => Err(LetterState::Dropped),
        Some(a) if letter.purpose == Purpose::Confirm && a.is_confirmed => Err(LetterState::Superseded),
        Some(a) => Ok(a),
    }
}

fn replacement(old: &Letter, id: LetterId, deadline: Timestamp, now: Timestamp) -> NewLetter {
    NewLetter {
        id,
        purpose: old.purpose,
        name_key: old.name_key.clone(),
        ip: old.ip,
        agent: old.agent.clone(),
        posted: now,
        deadline,
    }
}

/// Removes at most `limit` items. Answers how many.
fn remove<T>(items: &mut Vec<T>, limit: usize, is_past: impl Fn(&T) -> bool) -> usize {
    let before = items.len();
    let mut left = limit;
    items.retain(|item| {
        let goes = left > 0 && is_past(item);
        left -= usize::from(goes);
        !goes
    });
    before - items.len()
}
