//! How the outbox stands in numbers. Every count runs over an index that holds all it asks for: no letter itself is read,
//! but the dead ones whose relay's words are looked at, and of those a bounded number.

use regain_core::outbox::stats::{
    DEAD_LOOKED_AT, LAST_DAY, LAST_HOUR, LetterCount, OLDEST_LOOKED_AT, OutboxGauges, OutboxStats,
};
use regain_core::outbox::{budget, held};
use regain_core::{LetterState, Purpose, RelayCode, Timestamp};
use rusqlite::{Connection, Row};

use super::count;
use super::find::RELAY_WORDS;

/// Counts the letters kept. All in one transaction, so that the numbers fit each other.
pub(crate) fn outbox_stats(c: &Connection, now: Timestamp) -> rusqlite::Result<OutboxStats> {
    // Nothing is written: leaving it unfinished undoes nothing.
    let read = c.unchecked_transaction()?;
    let waiting = Waiting::count(&read, now)?;
    let mut counts = Vec::new();
    for (purpose, waiting) in Purpose::ALL.into_iter().zip(waiting.by_purpose) {
        let claimed = one(&read, CLAIMED, [purpose.as_str()])?;
        let open = [(LetterState::Waiting, waiting), (LetterState::Claimed, claimed)];
        let found = open.into_iter().chain(closed(&read, purpose)?).filter(|(_, count)| *count > 0);
        counts.extend(found.map(|(state, count)| LetterCount { purpose, state, count }));
    }
    Ok(OutboxStats {
        counts,
        oldest: read
            .prepare_cached(OLDEST)?
            .query_row((), |row| row.get::<_, Option<i64>>(0))?
            .map(Timestamp::from_millis),
        due: waiting.due,
        put_off: waiting.put_off,
        sent_last_hour: one(&read, SENT, [now.minus(LAST_HOUR).as_millis()])?,
        sent_last_day: one(&read, SENT, [now.minus(LAST_DAY).as_millis()])?,
        dead_by_code: dead_by_code(&read)?,
    })
}

/// What metrics ask for: counts of letters that wait, which are few but for an outage.
pub(crate) fn outbox_gauges(c: &Connection, now: Timestamp) -> rusqlite::Result<OutboxGauges> {
    // As above.
    let read = c.unchecked_transaction()?;
    let waiting = Waiting::count(&read, now)?;
    let (first_due, claimed): (Option<i64>, i64) =
        read.prepare_cached(FIRST_AND_CLAIMED)?.query_row((), |row| Ok((row.get(0)?, row.get(1)?)))?;
    let held_up: Option<i64> = read
        .prepare_cached(HELD_UP_BY_RELAYS)?
        .query_row((now.as_millis(), budget::REASON, count(OLDEST_LOOKED_AT), held::REASON), |row| {
            row.get(0)
        })?;
    let first_due = first_due.into_iter().chain(held_up).min();
    Ok(OutboxGauges {
        waiting: waiting.by_purpose,
        due: waiting.due,
        put_off: waiting.put_off,
        first_due: first_due.map(Timestamp::from_millis),
        claimed: u64::try_from(claimed).unwrap_or(0),
        sent_last_hour: one(&read, SENT, [now.minus(LAST_HOUR).as_millis()])?,
    })
}

const FIRST_AND_CLAIMED: &str = "SELECT
    (SELECT min(due) FROM letters INDEXED BY letters_waiting WHERE state = 'waiting'),
    (SELECT count(*) FROM letters INDEXED BY letters_claimed WHERE state = 'claimed')";
/// A relay's fault makes a letter due anew that has made no attempt of its own. Its time is told by no other attempt, no
/// crash and no budget. One that is being tried again still waits, and so does one whose relay hangs at its domain.
const HELD_UP_BY_RELAYS: &str = "SELECT min(iif(attempts = 0, posted, due)) FROM (
         SELECT posted, state, due, attempts, crashes, last_error FROM letters INDEXED BY letters_oldest
         WHERE ended IS NULL ORDER BY posted LIMIT ?3)
     WHERE crashes = 0 AND (due <= ?1 OR last_error = ?4) AND last_error IS NOT ?2
           AND (state = 'waiting' OR last_error IS NOT NULL)";
/// Sums rather than a GROUP BY, which would sort all that it groups.
const WAITING: &str =
    "SELECT total(due <= ?1), total(due > ?1), total(purpose = ?2), total(purpose = ?3), total(purpose = ?4)
    FROM letters INDEXED BY letters_waiting WHERE state = 'waiting'";
/// Few letters are claimed at any time.
const CLAIMED: &str =
    "SELECT count(*) FROM letters INDEXED BY letters_claimed WHERE state = 'claimed' AND purpose = ?1";
const CLOSED: &str = "SELECT total(state = 'sent'), total(state = 'dead'), total(state = 'expired'),
           total(state = 'dropped'), total(state = 'superseded')
    FROM letters INDEXED BY letters_closed WHERE purpose = ?1 AND ended IS NOT NULL";
const OLDEST: &str = "SELECT min(posted) FROM letters INDEXED BY letters_oldest WHERE ended IS NULL";
const SENT: &str = "SELECT count(*) FROM letters INDEXED BY letters_ended
    WHERE state = 'sent' AND ended IS NOT NULL AND ended > ?1";

/// Letters that wait.
struct Waiting {
    by_purpose: [u64; Purpose::ALL.len()],
    due: u64,
    put_off: u64,
}

impl Waiting {
    fn count(c: &Connection, now: Timestamp) -> rusqlite::Result<Self> {
        let [reset, confirm, changed] = Purpose::ALL.map(Purpose::as_str);
        c.prepare_cached(WAITING)?.query_row((now.as_millis(), reset, confirm, changed), |row| {
            Ok(Self {
                due: sum(row, 0)?,
                put_off: sum(row, 1)?,
                by_purpose: [sum(row, 2)?, sum(row, 3)?, sum(row, 4)?],
            })
        })
    }
}

/// What `total` has counted: in floating point, which is exact up to 2^53.
fn sum(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, f64>(column).map(|sum| sum as u64)
}

fn one(c: &Connection, sql: &str, parameters: impl rusqlite::Params) -> rusqlite::Result<u64> {
    let count: i64 = c.prepare_cached(sql)?.query_row(parameters, |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

fn closed(c: &Connection, purpose: Purpose) -> rusqlite::Result<Vec<(LetterState, u64)>> {
    let ends = LetterState::ALL.into_iter().filter(|state| state.is_closed());
    c.prepare_cached(CLOSED)?.query_row([purpose.as_str()], |row| {
        ends.enumerate().map(|(column, state)| Ok((state, sum(row, column)?))).collect()
    })
}

fn dead_by_code(c: &Connection) -> rusqlite::Result<Vec<(Option<RelayCode>, u64)>> {
    let sql = format!(
        "SELECT substr(words, 1, 4), count(*) FROM (
             SELECT {RELAY_WORDS} AS words FROM letters l INDEXED BY letters_ended
             WHERE l.state = 'dead' AND l.ended IS NOT NULL ORDER BY l.ended DESC LIMIT ?1)
         GROUP BY 1"
    );
    let mut codes: Vec<(Option<RelayCode>, u64)> = Vec::new();
    let mut statement = c.prepare_cached(&sql)?;
    let mut rows = statement.query([count(DEAD_LOOKED_AT)])?;
    while let Some(row) = rows.next()? {
        let words: Option<String> = row.get(0)?;
        let code = words.as_deref().and_then(RelayCode::of);
        let count = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
        match codes.iter_mut().find(|(known, _)| *known == code) {
            Some((_, sum)) => *sum += count,
            None => codes.push((code, count)),
        }
    }
    OutboxStats::sort_codes(&mut codes);
    Ok(codes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::steps::plan_of;

    #[test]
    fn counts_run_over_an_index_alone() {
        for sql in [WAITING, CLOSED, SENT, FIRST_AND_CLAIMED] {
            let mut plan = plan_of(sql);
            plan.retain(|line| line.contains(" letters "));
            assert!(plan.iter().all(|line| line.contains("USING COVERING INDEX")), "{sql}: {plan:#?}");
        }
        // Of these few letters are read, those that the index names first.
        let plan = plan_of(HELD_UP_BY_RELAYS);
        assert!(plan.iter().any(|line| line.contains("letters_oldest")), "{plan:#?}");
        assert!(plan.iter().all(|line| !line.contains("TEMP B-TREE")), "{plan:#?}");
    }
}
