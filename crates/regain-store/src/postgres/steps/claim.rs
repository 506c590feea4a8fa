//! The claim: which letters a courier gets, what is closed or put off on the way, and giving claims back.
//!
//! Couriers of several processes claim at the same time: each passes over the letters that another has in its hands.

use std::collections::HashSet;

use deadpool_postgres::Transaction;
use futures_util::future::join;
use regain_core::letter::ClaimedLetter;
use regain_core::outbox::{backoff, budget, crashes};
use regain_core::store::{Batch, ClaimOrder};
use regain_core::{Account, Letter, LetterId, LetterState, NameKey, Purpose, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::changes::{Change, Changes};
use super::parts::name_lock;
use super::spent::Spent;
use crate::letters::{LONGEST_LEASE, end_of};
use crate::postgres::clock::JUMP;
use crate::postgres::error::StepError;
use crate::postgres::rows::{
    ACCOUNT_WIDTH, LETTER_WIDTH, account, account_columns, bytes, get, letter, letter_columns, small,
};

/// So many letters are looked at in one go, at least, where some of the first were closed or put off.
const PAGE: usize = 64;
/// One claim closes or puts off no more letters than about so many, of each end of the queue.
const PASSED_AT_ONCE: usize = 250;

/// Claims what is due from both ends of the queue. Claims of others that are over are taken over where the database agrees
/// that it is now `takes_over`, and not at all without it.
pub(crate) async fn claim(
    t: &Transaction<'_>,
    order: &ClaimOrder,
    takes_over: Option<Timestamp>,
    now: Timestamp,
) -> Result<Batch, StepError> {
    let budget = match order.budget {
        Some(budget) => Some(Spent::read(t, budget, now).await?),
        None => None,
    };
    let mut claiming = Claiming { t, order, takes_over, now, budget, passed: 0, batch: Batch::default() };
    let of_the_oldest = order.limit.saturating_sub(order.newest);
    claiming.take_from(End::Oldest, of_the_oldest).await?;
    let oldest = claiming.batch.letters.len();
    // Where fewer are due than were asked for, there are no others; unless it stopped at letters that nobody gets.
    if oldest == of_the_oldest || claiming.passed >= PASSED_AT_ONCE {
        claiming.passed = 0;
        claiming.take_from(End::Newest, order.limit).await?;
    }
    let mut batch = claiming.batch;
    // Somebody waits for the newest now: they go first.
    batch.letters.rotate_left(oldest);
    Ok(batch)
}

/// Gives back whatever is claimed, since whoever held it has ended.
pub(crate) async fn free_all_claims(t: &Transaction<'_>, now: Timestamp) -> Result<usize, StepError> {
    let look = "SELECT id, crashes FROM letters WHERE state = 'claimed' ORDER BY id FOR UPDATE";
    let mut changes = Changes::default();
    for row in t.query(look, &[]).await? {
        let id = LetterId::from_bytes(bytes(&row, 0)?);
        let crashes = small(&row, 1)?.saturating_add(1);
        let change = if crashes >= crashes::MOST {
            Change::end(LetterState::Dead, now, crashes::REASON)
        } else {
            let wait = crashes::delay(crashes, id);
            let due = (!wait.is_zero()).then(|| now + wait);
            Change { due, crashes: Some(crashes), ..Change::to(LetterState::Waiting) }
        };
        changes.add(id, change);
    }
    changes.write(t).await?;
    Ok(changes.len())
}

/// An end of the queue.
#[derive(Clone, Copy)]
enum End {
    Oldest,
    Newest,
}

/// A claim in the making.
struct Claiming<'a> {
    t: &'a Transaction<'a>,
    order: &'a ClaimOrder,
    takes_over: Option<Timestamp>,
    now: Timestamp,
    budget: Option<Spent>,
    /// Letters of this end closed, put off or left, each as often as it was.
    passed: usize,
    batch: Batch,
}

impl Claiming<'_> {
    /// Claims letters from one end of the queue until there are `limit` in all.
    async fn take_from(&mut self, end: End, limit: usize) -> Result<(), StepError> {
        let mut least = 0;
        let mut are_there_more = true;
        while are_there_more && self.batch.letters.len() < limit && self.passed < PASSED_AT_ONCE {
            let asked = (limit - self.batch.letters.len()).max(least);
            let page = self.due(end, asked).await?;
            are_there_more = page.len() == asked;
            let found = page.len();
            let page = self.without_the_late(page).await?;
            // Those that were left are found again, before what is behind them.
            let left = found - page.len();
            self.passed += left;
            least = PAGE + left;
            let mut changes = Changes::default();
            for found in page {
                match found {
                    Found::Ends(letter, end, why) => {
                        changes.add(letter.id, Change::end(end, self.now, why));
                        self.batch.closed.count(&letter, end);
                        self.passed += 1;
                    }
                    Found::For(..) if self.batch.letters.len() == limit => break,
                    Found::For(letter, account) => {
                        let id = letter.id;
                        changes.add(id, self.take(*letter, *account).await?);
                    }
                    Found::OfUnknownPurpose(id) => {
                        changes.add(id, self.hold());
                        self.passed += 1;
                    }
                    Found::Unreadable(id, why) => {
                        tracing::error!(event = "letter_unreadable", letter.id = %id, why, "a letter cannot be read; it is closed as dead");
                        changes.add(id, Change::end(LetterState::Dead, self.now, &why));
                        self.batch.closed.unreadable += 1;
                        self.passed += 1;
                    }
                }
            }
            changes.write(self.t).await?;
        }
        Ok(())
    }

    /// Claims one letter, if the budget allows.
    async fn take(&mut self, mut letter: Letter, account: Account) -> Result<Change, StepError> {
        let is_new = letter.state == LetterState::Waiting;
        // One whose lease ran out has its place in the budget already.
        if let (true, Some(spent)) = (is_new, &mut self.budget)
            && let Some(again) = spent.put_off(self.t, letter.purpose, self.now).await?
        {
            self.batch.put_off += 1;
            self.batch.is_budget_spent |= spent.is_spent();
            self.passed += 1;
            return Ok(Change {
                due: Some(again),
                last_error: Some(budget::REASON.to_owned()),
                ..Change::to(LetterState::Waiting)
            });
        }
        letter.crashes += u32::from(!is_new);
        self.batch.reclaimed += u64::from(!is_new);
        let ClaimOrder { claim, lease, .. } = *self.order;
        letter.account = Some(account.id.clone());
        letter.state = LetterState::Claimed;
        let change = Change {
            account: Some(account.id.as_str().to_owned()),
            claim: Some(claim.0),
            lease: Some(lease),
            crashes: Some(letter.crashes),
            ..Change::to(LetterState::Claimed)
        };
        self.batch.letters.push(ClaimedLetter { letter, account, claim });
        Ok(change)
    }

    /// Leaves a letter to a version that knows its purpose: it is looked at again now and then, whatever its deadline.
    fn hold(&self) -> Change {
        Change {
            due: Some(self.now + backoff::LONGEST),
            last_error: Some("this version of Regain does not know its purpose".to_owned()),
            ..Change::to(LetterState::Waiting)
        }
    }

    /// Leaves out the letters that would be dropped although somebody adds or enables their account right now, or has since
    /// the statement that found them began. It does not wait for whoever does, who may wait for this claim.
    async fn without_the_late(&self, mut page: Vec<Found>) -> Result<Vec<Found>, StepError> {
        // One that is for another account of that name, which was deleted, is dropped all the same.
        let dropped = |found: &Found| match found {
            Found::Ends(letter, LetterState::Dropped, _) if letter.account.is_none() => {
                Some(letter.name_key.clone())
            }
            _ => None,
        };
        let keys: Vec<NameKey> = page.iter().filter_map(dropped).collect();
        if keys.is_empty() {
            return Ok(page);
        }
        let (lock, look) = (self.t.prepare_cached(SHARE_NAMES).await?, self.t.prepare_cached(LATE).await?);
        let names: Vec<&str> = keys.iter().map(NameKey::as_str).collect();
        let parameters: [&(dyn ToSql + Sync); 1] = [&names];
        // One after the other, though sent together: the look sees whatever was committed before a lock was free.
        let (coming, there) = join(self.t.query(&lock, &parameters), self.t.query(&look, &parameters)).await;
        let (coming, there) = (coming?, there?);
        let late: HashSet<&str> =
            coming.iter().chain(&there).map(|row| get(row, 0)).collect::<Result<_, _>>()?;
        page.retain(|found| dropped(found).is_none_or(|key| !late.contains(key.as_str())));
        Ok(page)
    }

    /// The letters that may be claimed, each with what it comes to, locked until the end of the transaction.
    async fn due(&self, end: End, limit: usize) -> Result<Vec<Found>, StepError> {
        let (now, limit) = (self.now.as_millis(), i64::try_from(limit).unwrap_or(i64::MAX));
        let (far, endless) =
            ((self.now + backoff::LONGEST).as_millis(), (self.now + LONGEST_LEASE).as_millis());
        let (crashes, claim) = (i64::from(crashes::MOST), &self.order.claim.0[..]);
        let takes_over = self.takes_over.map(Timestamp::as_millis);
        let parameters: [&(dyn ToSql + Sync); 8] =
            [&now, &limit, &crashes, &far, &endless, &claim, &takes_over, &JUMP];
        let (statement, parameters) = match end {
            End::Oldest => (OLDEST, &parameters[..]),
            End::Newest => (NEWEST, &parameters[..3]),
        };
        let rows = self.t.query(&self.t.prepare_cached(statement).await?, parameters).await?;
        rows.iter()
            .map(|row| {
                let id = LetterId::from_bytes(bytes(row, 0)?);
                if Purpose::from_word(get(row, 1)?).is_none() {
                    return Ok(Found::OfUnknownPurpose(id));
                }
                // One row that is broken must not hold up all the others.
                Ok(found(row).unwrap_or_else(|error| Found::Unreadable(id, error.words())))
            })
            .collect()
    }
}

/// Those of the names whose lock is not to be had, since somebody adds or enables an account.
const SHARE_NAMES: &str = concat!(
    "SELECT name_key FROM unnest($1::text[]) name_key WHERE NOT pg_try_advisory_xact_lock_shared(",
    name_lock!("name_key"),
    ")"
);

/// Those of the names that have an account to send to.
pub(super) const LATE: &str = "SELECT name_key FROM accounts
     WHERE name_key = ANY($1::text[]) AND NOT is_disabled AND address IS NOT NULL";

/// A due letter, with what it comes to.
enum Found {
    /// It is for this account.
    For(Box<Letter>, Box<Account>),
    /// It ends so, because of this.
    Ends(Box<Letter>, LetterState, &'static str),
    /// A later version posted it, or another program.
    OfUnknownPurpose(LetterId),
    /// It cannot be read, because of this.
    Unreadable(LetterId, String),
}

/// What a row of [`OLDEST`] or [`NEWEST`] comes to.
fn found(row: &Row) -> Result<Found, StepError> {
    let letter = Box::new(letter(row)?);
    Ok(match get::<Option<&str>>(row, LETTER_WIDTH + ACCOUNT_WIDTH)? {
        None => Found::For(letter, Box::new(account(row, LETTER_WIDTH)?)),
        Some(word) => {
            let (end, why) = end_of(word);
            Found::Ends(letter, end, why)
        }
    })
}

/// Of the letters that `$found` gives, locked, their accounts and the ends that they come to. Parameters: now, how many,
/// and how many crashes are too many; [`OLDEST`] has more.
macro_rules! due {
    ($found:literal, $order:literal) => {
        concat!(
            "SELECT ",
            letter_columns!(),
            ", ",
            account_columns!(),
            ", CASE
                 WHEN l.deadline < $1 THEN 'expired'
                 WHEN l.state = 'claimed' AND l.crashes + 1 >= $3 THEN 'dead'
                 WHEN a.id IS NULL OR a.is_disabled OR a.address IS NULL THEN 'dropped'
                 WHEN l.purpose = 'confirm' AND a.is_confirmed THEN 'superseded'
               END
             FROM (",
            $found,
            ") l
             LEFT JOIN accounts a ON a.name_key = l.name_key AND (l.account IS NULL OR l.account = a.id)
             ORDER BY ",
            $order,
            " LIMIT $2"
        )
    };
}

/// Oldest due first. More parameters: the longest wait from now, the longest lease from now, the claim, the time with which
/// the database must agree before claims are taken over, and how far. Four ranges of two indexes: the second and the fourth
/// hold what a wrong clock has put far ahead. The locked rows themselves are handed on, since they may be newer than what the
/// statement sees elsewhere.
pub(super) const OLDEST: &str = due!(
    "SELECT * FROM (SELECT * FROM letters WHERE state = 'waiting' AND due <= $1
                    ORDER BY due, id LIMIT $2 FOR UPDATE SKIP LOCKED) due
     UNION ALL
     SELECT * FROM (SELECT * FROM letters WHERE state = 'waiting' AND due > $4
                    ORDER BY due, id LIMIT $2 FOR UPDATE SKIP LOCKED) far
     UNION ALL
     SELECT * FROM (SELECT * FROM letters WHERE state = 'claimed' AND lease <= $1 AND claim <> $6
                      AND (SELECT abs((extract(epoch FROM clock_timestamp()) * 1000)::bigint - $7) <= $8::bigint)
                    ORDER BY lease LIMIT $2 FOR UPDATE SKIP LOCKED) over
     UNION ALL
     SELECT * FROM (SELECT * FROM letters WHERE state = 'claimed' AND lease > $5 AND claim <> $6
                      AND (SELECT abs((extract(epoch FROM clock_timestamp()) * 1000)::bigint - $7) <= $8::bigint)
                    ORDER BY lease LIMIT $2 FOR UPDATE SKIP LOCKED) endless",
    "l.due, l.id"
);

/// Those that were posted last. Few of them are not due, unless relays put off whatever comes; then the search ends. A few
/// more are found than are asked for, since other couriers may have some in their hands. Whether they still wait is asked in
/// words from which no condition of an index follows, so that they are read by their identities.
pub(super) const NEWEST: &str = due!(
    "SELECT * FROM letters
     WHERE id = ANY (ARRAY(
             SELECT id FROM (SELECT id, posted, state, due FROM letters
                             WHERE ended IS NULL AND posted >= 0 ORDER BY posted DESC LIMIT 1000) newest
             WHERE state = 'waiting' AND due <= $1 ORDER BY posted DESC LIMIT 4 * $2::bigint))
       AND state IN ('waiting', 'claimed') AND claim IS NULL AND due <= $1
     ORDER BY posted DESC, id DESC LIMIT $2 FOR UPDATE SKIP LOCKED",
    "l.posted DESC, l.id DESC"
);
