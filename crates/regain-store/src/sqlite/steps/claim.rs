//! The claim: which letters a courier gets, what is closed or put off on the way, and giving claims back.

use regain_core::letter::ClaimedLetter;
use regain_core::outbox::budget::{self, MailBudget};
use regain_core::outbox::{backoff, crashes};
use regain_core::store::{Batch, ClaimOrder};
use regain_core::{Account, Letter, LetterId, LetterState, Purpose, Timestamp};
use rusqlite::{Connection, Row};

use super::{close_letter, count};
use crate::letters::{LONGEST_LEASE, budget_since, budget_until, end_of};
use crate::sqlite::error::words;
use crate::sqlite::rows::{ACCOUNT_WIDTH, LETTER_WIDTH, account, account_columns, letter, letter_columns};

/// So many letters are looked at in one go, at least.
const PAGE: usize = 64;
/// One claim closes or puts off no more letters than about so many of each end of the queue, so that the steps that wait
/// behind it get their turn.
const PASSED_AT_ONCE: usize = 250;

/// Claims what is due from both ends of the queue.
pub(crate) fn claim(c: &Connection, order: &ClaimOrder, now: Timestamp) -> rusqlite::Result<Batch> {
    let mut claiming = Claiming { c, order, now, budget: None, passed: 0, batch: Batch::default() };
    if let Some(budget) = order.budget {
        claiming.budget = Some(Spent::read(c, budget, now)?);
    }
    claiming.take_from(OLDEST, order.limit.saturating_sub(order.newest))?;
    let oldest = claiming.batch.letters.len();
    // Who waits now does not wait for a crowd of letters that nobody gets.
    claiming.passed = 0;
    claiming.take_from(NEWEST, order.limit)?;
    let Claiming { mut batch, .. } = claiming;
    // Somebody waits for the newest now: they go first.
    batch.letters.rotate_left(oldest);
    Ok(batch)
}

/// Gives back whatever is claimed, since whoever held it has ended.
pub(crate) fn free_all_claims(c: &Connection, now: Timestamp) -> rusqlite::Result<usize> {
    let held: Vec<(LetterId, u32)> = c
        .prepare_cached("SELECT id, crashes FROM letters INDEXED BY letters_claimed WHERE state = 'claimed'")?
        .query_map((), |row| Ok((LetterId::from_bytes(row.get(0)?), row.get::<_, u32>(1)? + 1)))?
        .collect::<rusqlite::Result<_>>()?;
    for (id, crashes) in &held {
        if *crashes >= crashes::MOST {
            close_letter(c, id, LetterState::Dead, crashes::REASON, now)?;
            continue;
        }
        let wait = crashes::delay(*crashes, *id);
        let due = (!wait.is_zero()).then(|| (now + wait).as_millis());
        c.prepare_cached(
            "UPDATE letters SET state = 'waiting', crashes = ?2, due = coalesce(?3, due), claim = NULL, lease = NULL
             WHERE id = ?1",
        )?
        .execute((id.as_bytes(), crashes, due))?;
    }
    Ok(held.len())
}

/// A claim in the making.
struct Claiming<'a> {
    c: &'a Connection,
    order: &'a ClaimOrder,
    now: Timestamp,
    budget: Option<Spent>,
    /// Letters of this end closed or put off.
    passed: usize,
    batch: Batch,
}

impl Claiming<'_> {
    /// Claims letters in the order of that statement until there are `limit` in all.
    fn take_from(&mut self, statement: &str, limit: usize) -> rusqlite::Result<()> {
        while self.batch.letters.len() < limit && self.passed < PASSED_AT_ONCE {
            let page = self.due(statement, PAGE.max(limit - self.batch.letters.len()))?;
            if page.is_empty() {
                break;
            }
            for found in page {
                match found {
                    Found::Ends(letter, end, why) => {
                        close_letter(self.c, &letter.id, end, why, self.now)?;
                        self.batch.closed.count(&letter, end);
                        self.passed += 1;
                    }
                    Found::For(..) if self.batch.letters.len() == limit => break,
                    Found::For(letter, account) => self.take(*letter, *account)?,
                    Found::OfUnknownPurpose(id) => self.hold(id)?,
                    Found::Unreadable(id, why) => {
                        tracing::error!(event = "letter_unreadable", letter.id = %id, why, "a letter cannot be read; it is closed as dead");
                        close_letter(self.c, &id, LetterState::Dead, &why, self.now)?;
                        self.batch.closed.unreadable += 1;
                        self.passed += 1;
                    }
                }
            }
        }
        Ok(())
    }

    /// Claims one letter, if the budget allows.
    fn take(&mut self, mut letter: Letter, account: Account) -> rusqlite::Result<()> {
        let is_new = letter.state == LetterState::Waiting;
        // One whose lease ran out has its place in the budget already.
        if let (true, Some(spent)) = (is_new, &mut self.budget)
            && let Some(again) = spent.put_off(self.c, letter.purpose, self.now)?
        {
            self.batch.put_off += 1;
            self.batch.is_budget_spent |= spent.is_spent;
            self.passed += 1;
            return self
                .c
                .prepare_cached("UPDATE letters SET due = ?2, last_error = ?3 WHERE id = ?1")?
                .execute((letter.id.as_bytes(), again.as_millis(), budget::REASON))
                .map(drop);
        }
        letter.crashes += u32::from(!is_new);
        self.batch.reclaimed += u64::from(!is_new);
        let ClaimOrder { claim, lease, .. } = *self.order;
        self.c
            .prepare_cached(
                "UPDATE letters SET state = 'claimed', account = ?2, claim = ?3, lease = ?4, crashes = ?5 WHERE id = ?1",
            )?
            .execute((letter.id.as_bytes(), account.id.as_str(), claim.0, lease.as_millis(), letter.crashes))?;
        letter.account = Some(account.id.clone());
        letter.state = LetterState::Claimed;
        self.batch.letters.push(ClaimedLetter { letter, account, claim });
        Ok(())
    }

    /// Leaves a letter to a version that knows its purpose: it is looked at again now and then, whatever its deadline.
    fn hold(&mut self, id: LetterId) -> rusqlite::Result<()> {
        self.passed += 1;
        self.c
            .prepare_cached(
                "UPDATE letters SET state = 'waiting', due = ?2, claim = NULL, lease = NULL,
                        last_error = 'this version of Regain does not know its purpose'
                 WHERE id = ?1",
            )?
            .execute((id.as_bytes(), (self.now + backoff::LONGEST).as_millis()))
            .map(drop)
    }

    /// The letters that may be claimed, each with what it comes to.
    fn due(&self, statement: &str, limit: usize) -> rusqlite::Result<Vec<Found>> {
        let mut statement = self.c.prepare_cached(statement)?;
        let parameters = (
            self.now.as_millis(),
            (self.now + backoff::LONGEST).as_millis(),
            (self.now + LONGEST_LEASE).as_millis(),
            self.order.claim.0,
            count(limit),
            crashes::MOST,
        );
        let rows = statement.query_map(parameters, |row| {
            let id = LetterId::from_bytes(row.get(0)?);
            if Purpose::from_word(row.get_ref(1)?.as_str()?).is_none() {
                return Ok(Found::OfUnknownPurpose(id));
            }
            // One row that is broken must not hold up all the others.
            Ok(found(row).unwrap_or_else(|error| Found::Unreadable(id, words(&error))))
        })?;
        rows.collect()
    }
}

/// How far the mail budget is spent.
struct Spent {
    budget: MailBudget,
    /// Mails sent within the window.
    sent: u64,
    /// The same, and letters claimed now.
    mails: u64,
    /// Whether a letter was put off for mails sent.
    is_spent: bool,
    /// Letters that wait for a place in the budget, resets and others; read when it is needed.
    ahead: Option<[u64; 2]>,
}

impl Spent {
    fn read(c: &Connection, budget: MailBudget, now: Timestamp) -> rusqlite::Result<Self> {
        let (sent, claimed): (i64, i64) = c
            .prepare_cached(
                "SELECT (SELECT count(*) FROM (SELECT 1 FROM letters WHERE state = 'sent' AND ended > ?1 AND ended <= ?3
                                               LIMIT ?2)),
                        (SELECT count(*) FROM letters INDEXED BY letters_claimed WHERE state = 'claimed')",
            )?
            .query_row((budget_since(now), budget.per_hour, budget_until(now)), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let count = |number| u64::try_from(number).unwrap_or(0);
        Ok(Self {
            budget,
            sent: count(sent),
            mails: count(sent) + count(claimed),
            is_spent: false,
            ahead: None,
        })
    }

    /// Charges a letter; or says when it may be tried again, where the budget is spent.
    fn put_off(
        &mut self,
        c: &Connection,
        purpose: Purpose,
        now: Timestamp,
    ) -> rusqlite::Result<Option<Timestamp>> {
        let limit = self.budget.limit(purpose);
        if self.mails < limit {
            self.mails += 1;
            return Ok(None);
        }
        if self.sent < limit {
            return Ok(Some(budget::after_claims(now)));
        }
        self.is_spent = true;
        let [resets, others] = match self.ahead {
            Some(ahead) => ahead,
            None => waiting_ahead(c, now)?,
        };
        // Resets do not wait behind the others, which have fewer places.
        let (ahead, waiting) = match purpose {
            Purpose::Reset => (resets, [resets + 1, others]),
            Purpose::Confirm | Purpose::PasswordChanged => (resets + others, [resets, others + 1]),
        };
        self.ahead = Some(waiting);
        let place = self.mails - limit + ahead;
        Ok(Some(budget::again(sent_at(c, place, now)?, now)))
    }
}

/// Resets and others that wait for a place in the budget, within the longest wait.
fn waiting_ahead(c: &Connection, now: Timestamp) -> rusqlite::Result<[u64; 2]> {
    let parameters = (now.as_millis(), (now + backoff::LONGEST).as_millis(), budget::REASON);
    c.prepare_cached(
        "SELECT count(*) FILTER (WHERE purpose = 'reset'), count(*) FILTER (WHERE purpose <> 'reset')
         FROM (SELECT purpose FROM letters
               WHERE state = 'waiting' AND due > ?1 AND due <= ?2 AND last_error = ?3 LIMIT 10000)",
    )?
    .query_row(parameters, |row| {
        let count = |at| row.get::<_, i64>(at).map(|count| u64::try_from(count).unwrap_or(0));
        Ok([count(0)?, count(1)?])
    })
}

/// When the mail at that place was sent, of those within the window, and only if it leaves the window soon.
fn sent_at(c: &Connection, place: u64, now: Timestamp) -> rusqlite::Result<Option<Timestamp>> {
    let soon = budget_since(now + backoff::LONGEST);
    let at: Option<Option<i64>> = c
        .prepare_cached(
            "SELECT (SELECT ended FROM letters WHERE state = 'sent' AND ended > ?1 AND ended < ?2
                     ORDER BY ended LIMIT 1 OFFSET ?3)",
        )?
        .query_row((budget_since(now), soon, i64::try_from(place).unwrap_or(i64::MAX)), |row| row.get(0))
        .map(Some)?;
    Ok(at.flatten().map(Timestamp::from_millis))
}

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
fn found(row: &Row<'_>) -> rusqlite::Result<Found> {
    let letter = Box::new(letter(row)?);
    Ok(match row.get_ref(LETTER_WIDTH + ACCOUNT_WIDTH)?.as_str_or_null()? {
        None => Found::For(letter, Box::new(account(row, LETTER_WIDTH)?)),
        Some(word) => {
            let (end, why) = end_of(word);
            Found::Ends(letter, end, why)
        }
    })
}

/// Of the letters that `$found` gives, their rows, their accounts and the ends that they come to. Parameters: now, the
/// longest wait from now, the longest lease from now, the claim, how many, and how many crashes are too many.
macro_rules! due {
    ($found:literal, $order:literal) => {
        concat!(
            "SELECT ",
            letter_columns!(),
            ", ",
            account_columns!(),
            ", CASE
                 WHEN l.deadline < ?1 THEN 'expired'
                 WHEN l.state = 'claimed' AND l.crashes + 1 >= ?6 THEN 'dead'
                 WHEN a.id IS NULL OR a.is_disabled OR a.address IS NULL THEN 'dropped'
                 WHEN l.purpose = 'confirm' AND a.is_confirmed THEN 'superseded'
               END
             FROM (",
            $found,
            ") found
             CROSS JOIN letters l ON l.id = found.id
             LEFT JOIN accounts a ON a.name_key = l.name_key AND (l.account IS NULL OR l.account = a.id)
             ORDER BY ",
            $order,
            " LIMIT ?5"
        )
    };
}

/// Oldest due first. Four ranges of two indexes: the second and the fourth hold what a wrong clock has put far ahead.
const OLDEST: &str = due!(
    "SELECT * FROM (SELECT id FROM letters WHERE state = 'waiting' AND due <= ?1
                    ORDER BY due, id LIMIT ?5)
     UNION ALL
     SELECT * FROM (SELECT id FROM letters WHERE state = 'waiting' AND due > ?2
                    ORDER BY due, id LIMIT ?5)
     UNION ALL
     SELECT * FROM (SELECT id FROM letters WHERE state = 'claimed' AND lease <= ?1 AND claim <> ?4
                    ORDER BY lease, id LIMIT ?5)
     UNION ALL
     SELECT * FROM (SELECT id FROM letters WHERE state = 'claimed' AND lease > ?3 AND claim <> ?4
                    ORDER BY lease, id LIMIT ?5)",
    "l.due, l.id"
);

/// Those that were posted last. Few of them are not due, unless relays put off whatever comes; then the search ends.
const NEWEST: &str = due!(
    "SELECT id FROM (SELECT id, state, due FROM letters INDEXED BY letters_oldest WHERE ended IS NULL
                     ORDER BY posted DESC, id DESC LIMIT 1000)
     WHERE state = 'waiting' AND due <= ?1 LIMIT ?5",
    "l.posted DESC, l.id DESC"
);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::steps::plan_of;

    #[test]
    fn what_is_due_is_found_by_index() {
        for (statement, ranges) in [(OLDEST, 4), (NEWEST, 1)] {
            let plan = plan_of(statement);
            let reads: Vec<&String> = plan.iter().filter(|line| line.contains(" letters ")).collect();
            assert_eq!(reads.len(), ranges, "{plan:#?}");
            let is_range = |line: &str| {
                ["letters_waiting (due", "letters_claimed (lease", "USING INDEX letters_oldest"]
                    .iter()
                    .any(|index| line.contains(index))
            };
            assert!(reads.iter().all(|line| is_range(line)), "{plan:#?}");
            assert!(!plan.iter().any(|line| ["SCAN l", "SCAN a"].contains(&line.as_str())), "{plan:#?}");
        }
    }
}
