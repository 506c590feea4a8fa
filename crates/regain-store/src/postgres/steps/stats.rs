//! How the outbox stands in numbers. Counts run over an index that holds all they ask for: no letter itself is read, but those
//! being delivered, and the dead ones whose relay's words are looked at, of which it is a bounded number.

use deadpool_postgres::Object;
use regain_core::outbox::stats::{
    DEAD_LOOKED_AT, LAST_DAY, LAST_HOUR, LetterCount, OLDEST_LOOKED_AT, OutboxGauges, OutboxStats,
};
use regain_core::outbox::{budget, held};
use regain_core::{LetterState, Purpose, RelayCode, Timestamp};
use tokio_postgres::Row;

use super::count;
use super::find::relay_words;
use super::trip::{only, read_in_one_trip};
use crate::postgres::error::StepError;
use crate::postgres::rows::{self, get};

/// Counts the letters kept. All of one state of the database, so that the numbers fit each other.
pub(crate) async fn outbox_stats(client: &Object, now: Timestamp) -> Result<OutboxStats, StepError> {
    let hour = now.minus(LAST_HOUR).as_millis();
    let day = now.minus(LAST_DAY).as_millis();
    let answers = read_in_one_trip(
        client,
        &[
            (OPEN, &[&now.as_millis()]),
            (CLOSED, &[]),
            (SENT, &[&hour, &day]),
            (DEAD_BY_CODE, &[&count(DEAD_LOOKED_AT)]),
        ],
    )
    .await?;
    let [open, closed, sent, dead] = answers.as_slice() else {
        return Err(StepError::Row("an answer".to_owned()));
    };
    let (open, sent) = (only(open)?, only(sent)?);
    Ok(OutboxStats {
        counts: letter_counts(open, closed)?,
        oldest: get::<Option<i64>>(open, 0)?.map(Timestamp::from_millis),
        due: rows::count(open, 1)?,
        put_off: rows::count(open, 2)?,
        sent_last_hour: rows::count(sent, 0)?,
        sent_last_day: rows::count(sent, 1)?,
        dead_by_code: dead_by_code(dead)?,
    })
}

/// What metrics ask for, in a time that does not grow with the letters that wait, as long as nearly all of them are due or
/// nearly none.
pub(crate) async fn outbox_gauges(client: &Object, now: Timestamp) -> Result<OutboxGauges, StepError> {
    gauges(client, now, FEW).await
}

/// So many letters are counted one by one before it is tried otherwise.
const FEW: usize = 10_000;

pub(super) async fn gauges(client: &Object, now: Timestamp, few: usize) -> Result<OutboxGauges, StepError> {
    let select = client.prepare_cached(GAUGES).await?;
    let (now, hour) = (now.as_millis(), now.minus(LAST_HOUR).as_millis());
    let oldest = count(OLDEST_LOOKED_AT);
    let row = client
        .query_one(&select, &[&now, &hour, &budget::REASON, &oldest, &count(few), &held::REASON])
        .await?;
    let first_due = get::<Option<i64>>(&row, 4)?.into_iter().chain(get::<Option<i64>>(&row, 5)?).min();
    let waiting = [rows::count(&row, 0)?, rows::count(&row, 1)?, rows::count(&row, 2)?];
    let put_off = rows::count(&row, 3)?;
    Ok(OutboxGauges {
        waiting,
        due: waiting.iter().sum::<u64>().saturating_sub(put_off),
        put_off,
        first_due: first_due.map(Timestamp::from_millis),
        claimed: rows::count(&row, 6)?,
        sent_last_hour: rows::count(&row, 7)?,
    })
}

/// Purposes in the order of [`Purpose::ALL`]. What waits is what is open and not claimed; what waits for another attempt is
/// counted from the side that has fewer.
///
/// A relay's fault makes a letter due anew. Its time is told by no other attempt, no crash and no budget. One that is being
/// tried again still waits.
pub(super) const GAUGES: &str = "
    WITH open AS MATERIALIZED (
        SELECT sum(resets)::bigint AS resets, sum(confirms)::bigint AS confirms,
               sum(open - resets - confirms)::bigint AS others
        FROM outbox
    ), claimed AS MATERIALIZED (
        SELECT count(*) FILTER (WHERE purpose = 'reset') AS resets,
               count(*) FILTER (WHERE purpose = 'confirm') AS confirms,
               count(*) FILTER (WHERE purpose = 'password_changed') AS others, count(*) AS total
        FROM letters WHERE state = 'claimed'
    ), put_off AS MATERIALIZED (
        SELECT count(*) AS counted FROM (
            SELECT FROM letters WHERE state = 'waiting' AND due > $1 LIMIT $5::bigint + 1) few
    ), due AS MATERIALIZED (
        SELECT count(*) AS counted FROM (
            SELECT FROM letters WHERE state = 'waiting' AND due <= $1 LIMIT $5::bigint + 1) few
    )
    SELECT open.resets - claimed.resets, open.confirms - claimed.confirms, open.others - claimed.others,
           CASE WHEN (SELECT counted FROM put_off) <= $5 THEN (SELECT counted FROM put_off)
                WHEN (SELECT counted FROM due) <= $5
                    THEN open.resets + open.confirms + open.others - claimed.total - (SELECT counted FROM due)
                ELSE (SELECT count(*) FROM letters WHERE state = 'waiting' AND due > $1) END,
           (SELECT min(due) FROM letters WHERE state = 'waiting'),
           (SELECT min(CASE WHEN attempts = 0 THEN posted ELSE due END) FROM (
                SELECT posted, state, due, attempts, crashes, last_error FROM letters
                WHERE ended IS NULL AND posted >= 0 ORDER BY posted LIMIT $4) oldest
            WHERE crashes = 0 AND (due <= $1 OR last_error = $6) AND last_error IS DISTINCT FROM $3
              AND (state = 'waiting' OR last_error IS NOT NULL)),
           claimed.total,
           (SELECT count(*) FROM letters WHERE state = 'sent' AND ended >= 0 AND ended > $2)
    FROM open, claimed";

/// Purposes as above.
pub(super) const OPEN: &str = "
    SELECT (SELECT min(posted) FROM letters WHERE ended IS NULL AND posted >= 0), waiting.*, claimed.*
    FROM (SELECT count(*) FILTER (WHERE due <= $1),
                 count(*) FILTER (WHERE due > $1),
                 count(*) FILTER (WHERE purpose = 'reset'),
                 count(*) FILTER (WHERE purpose = 'confirm'),
                 count(*) FILTER (WHERE purpose = 'password_changed')
          FROM letters WHERE state = 'waiting') waiting,
         (SELECT count(*) FILTER (WHERE purpose = 'reset'),
                 count(*) FILTER (WHERE purpose = 'confirm'),
                 count(*) FILTER (WHERE purpose = 'password_changed')
          FROM letters WHERE state = 'claimed') claimed";
pub(super) const CLOSED: &str =
    "SELECT purpose, state, count(*) FROM letters WHERE ended >= 0 GROUP BY purpose, state";
pub(super) const SENT: &str = "
    SELECT count(*) FILTER (WHERE ended > $1), count(*)
    FROM letters WHERE state = 'sent' AND ended >= 0 AND ended > $2";
pub(super) const DEAD_BY_CODE: &str = concat!(
    "SELECT substr(words, 1, 4), count(*) FROM (
         SELECT ",
    relay_words!(),
    " AS words FROM letters l
         WHERE l.state = 'dead' AND l.ended >= 0 ORDER BY l.ended DESC LIMIT $1) dead
     GROUP BY 1"
);

fn letter_counts(open: &Row, closed: &[Row]) -> Result<Vec<LetterCount>, StepError> {
    let mut counts = Vec::new();
    for (at, purpose) in Purpose::ALL.into_iter().enumerate() {
        for state in LetterState::ALL {
            let count = match state {
                LetterState::Waiting => rows::count(open, 3 + at)?,
                LetterState::Claimed => rows::count(open, 6 + at)?,
                _ => closed_count(closed, purpose, state)?,
            };
            if count > 0 {
                counts.push(LetterCount { purpose, state, count });
            }
        }
    }
    Ok(counts)
}

fn closed_count(closed: &[Row], purpose: Purpose, state: LetterState) -> Result<u64, StepError> {
    for row in closed {
        if get::<&str>(row, 0)? == purpose.as_str() && get::<&str>(row, 1)? == state.as_str() {
            return rows::count(row, 2);
        }
    }
    Ok(0)
}

fn dead_by_code(rows: &[Row]) -> Result<Vec<(Option<RelayCode>, u64)>, StepError> {
    let mut codes: Vec<(Option<RelayCode>, u64)> = Vec::new();
    for row in rows {
        let code = get::<Option<&str>>(row, 0)?.and_then(RelayCode::of);
        let count = rows::count(row, 1)?;
        match codes.iter_mut().find(|(known, _)| *known == code) {
            Some((_, sum)) => *sum += count,
            None => codes.push((code, count)),
        }
    }
    OutboxStats::sort_codes(&mut codes);
    Ok(codes)
}
