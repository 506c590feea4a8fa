//! What an operator does to letters, and the clearing away of what is past its retention.

use std::time::Duration;

use deadpool_postgres::{Object, Transaction};
use regain_core::store::{Retention, Retried};
use regain_core::{LetterId, LetterState, Timestamp};

use super::count;
use crate::postgres::error::StepError;
use crate::postgres::rows::{bytes, get};

/// Hastens a waiting letter, or posts another in place of a closed one.
pub(crate) async fn retry(
    t: &Transaction<'_>,
    id: LetterId,
    seen: LetterState,
    replacement: LetterId,
    deadline: Timestamp,
    now: Timestamp,
) -> Result<Retried, StepError> {
    let id = id.as_bytes().as_slice();
    // Whoever claims, settles or retries it waits, or is waited for.
    let lock = t.prepare_cached("SELECT state FROM letters WHERE id = $1 FOR UPDATE").await?;
    let Some(row) = t.query_opt(&lock, &[&id]).await? else { return Ok(Retried::Unknown) };
    match LetterState::from_word(get(&row, 0)?) {
        None => Ok(Retried::Unknown),
        Some(LetterState::Claimed) => Ok(Retried::BeingDelivered),
        Some(LetterState::Waiting) => {
            let hasten = t.prepare_cached(HASTEN).await?;
            t.execute(&hasten, &[&id, &now.as_millis()]).await?;
            Ok(Retried::Hastened)
        }
        Some(_) if !seen.is_closed() => Ok(Retried::ClosedMeanwhile),
        Some(_) => {
            let find = t.prepare_cached(REPLACED_BY).await?;
            if let Some(by) = t.query_opt(&find, &[&id]).await? {
                return Ok(Retried::AlreadyReplaced(LetterId::from_bytes(bytes(&by, 0)?)));
            }
            let replace = t.prepare_cached(REPLACE).await?;
            let replacement = replacement.as_bytes().as_slice();
            t.execute(&replace, &[&id, &replacement, &deadline.as_millis(), &now.as_millis()]).await?;
            Ok(Retried::Replaced)
        }
    }
}

const HASTEN: &str = "
    WITH hastened AS (UPDATE letters SET due = $2 WHERE id = $1)
    INSERT INTO audit (at, letter, event) VALUES ($2, $1, 'letter_hastened')";

/// The letter that was posted in place of another. It is for the same name and purpose, by which it is found.
pub(super) const REPLACED_BY: &str = "
    SELECT l.id FROM letters old JOIN letters l
        ON l.purpose = old.purpose AND l.name_key = old.name_key AND l.ended IS NULL
    WHERE old.id = $1 AND l.replaces = $1
    UNION ALL
    SELECT l.id FROM letters old JOIN letters l
        ON l.purpose = old.purpose AND l.name_key = old.name_key AND l.ended IS NOT NULL
    WHERE old.id = $1 AND l.replaces = $1
    LIMIT 1";

/// The account is looked up anew: it may have come, or gone, since.
const REPLACE: &str = "
    WITH posted AS (
        INSERT INTO letters (id, purpose, name_key, ip, agent, posted, deadline, due, replaces)
        SELECT $2, purpose, name_key, ip, agent, $4::bigint, $3::bigint, $4::bigint, id FROM letters WHERE id = $1)
    INSERT INTO audit (at, letter, event) VALUES ($4, $1, 'letter_replaced')";

/// Closes a waiting letter.
pub(crate) async fn drop_letter(client: &Object, id: LetterId, now: Timestamp) -> Result<bool, StepError> {
    let drop = client.prepare_cached(DROP).await?;
    let dropped = client.execute(&drop, &[&id.as_bytes().as_slice(), &now.as_millis()]).await?;
    Ok(dropped > 0)
}

const DROP: &str = "
    WITH dropped AS (
        UPDATE letters SET state = 'dropped', ended = $2, last_error = 'dropped by an operator'
        WHERE id = $1 AND state = 'waiting' RETURNING id)
    INSERT INTO audit (at, letter, event) SELECT $2, id, 'letter_dropped' FROM dropped";

/// Removes what is past its retention, at most `limit` rows of each kind. Of several processes that do, each takes what the
/// others have not.
pub(crate) async fn purge(
    client: &Object,
    retention: Retention,
    limit: usize,
    now: Timestamp,
) -> Result<usize, StepError> {
    let mut removed = purge_letters(client, &[LetterState::Dropped], retention.dropped, limit, now).await?;
    let others = [LetterState::Sent, LetterState::Dead, LetterState::Expired, LetterState::Superseded];
    removed += purge_letters(client, &others, retention.closed, limit, now).await?;
    for (sql, until) in [
        (PURGE_TOKENS, now.minus(retention.tokens)),
        (PURGE_SESSIONS, now),
        (PURGE_AUDIT, now.minus(retention.audit)),
    ] {
        let delete = client.prepare_cached(sql).await?;
        removed += client.execute(&delete, &[&until.as_millis(), &count(limit)]).await?;
    }
    Ok(usize::try_from(removed).unwrap_or(usize::MAX))
}

/// Removes at most `limit` letters of these states, one state after the other: so that each goes by its index.
async fn purge_letters(
    client: &Object,
    states: &[LetterState],
    kept: Duration,
    limit: usize,
    now: Timestamp,
) -> Result<u64, StepError> {
    let delete = client.prepare_cached(PURGE_LETTERS).await?;
    let until = now.minus(kept).as_millis();
    let mut left = limit as u64;
    for state in states {
        let limit = i64::try_from(left).unwrap_or(i64::MAX);
        left = left.saturating_sub(client.execute(&delete, &[&until, &limit, &state.as_str()]).await?);
    }
    Ok(limit as u64 - left)
}

pub(super) const PURGE_LETTERS: &str = "
    DELETE FROM letters WHERE id = ANY (ARRAY(
        SELECT id FROM letters WHERE state = $3 AND ended >= 0 AND ended <= $1
        ORDER BY ended LIMIT $2 FOR UPDATE SKIP LOCKED))";
/// While its letter is open, a token that was removed would be armed again, as if it had never been used.
pub(super) const PURGE_TOKENS: &str = "
    DELETE FROM tokens WHERE letter = ANY (ARRAY(
        SELECT t.letter FROM tokens t
        WHERE t.expires <= $1 AND (t.used IS NULL OR t.used <= $1)
          AND NOT EXISTS (SELECT FROM letters l WHERE l.id = t.letter AND l.ended IS NULL)
        ORDER BY t.expires LIMIT $2 FOR UPDATE OF t SKIP LOCKED))";
pub(super) const PURGE_SESSIONS: &str = "
    DELETE FROM revoked_sessions WHERE session = ANY (ARRAY(
        SELECT session FROM revoked_sessions WHERE expires <= $1
        ORDER BY expires LIMIT $2 FOR UPDATE SKIP LOCKED))";
pub(super) const PURGE_AUDIT: &str = "
    DELETE FROM audit WHERE id = ANY (ARRAY(
        SELECT id FROM audit WHERE at <= $1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED))";
