//! What an operator does to letters, and the clearing away of what is past its retention.

use regain_core::store::{Retention, Retried};
use regain_core::{LetterId, LetterState, Timestamp};
use rusqlite::{Connection, OptionalExtension, params_from_iter};

use super::{audit_letter, count, count_closed, insert_replacement};

/// Hastens a waiting letter, or posts another in place of a closed one.
pub(crate) fn retry(
    c: &Connection,
    id: &LetterId,
    seen: LetterState,
    replacement: &LetterId,
    deadline: Timestamp,
    now: Timestamp,
) -> rusqlite::Result<Retried> {
    let state: Option<String> = c
        .prepare_cached("SELECT state FROM letters WHERE id = ?1")?
        .query_row([id.as_bytes()], |row| row.get(0))
        .optional()?;
    match state.as_deref().and_then(LetterState::from_word) {
        None => Ok(Retried::Unknown),
        Some(LetterState::Claimed) => Ok(Retried::BeingDelivered),
        Some(LetterState::Waiting) => {
            c.prepare_cached("UPDATE letters SET due = ?2 WHERE id = ?1")?
                .execute((id.as_bytes(), now.as_millis()))?;
            audit_letter(c, id, "letter_hastened", now)?;
            Ok(Retried::Hastened)
        }
        Some(_) if !seen.is_closed() => Ok(Retried::ClosedMeanwhile),
        Some(_) => {
            if let Some(by) = replaced_by(c, id)? {
                return Ok(Retried::AlreadyReplaced(by));
            }
            // The account is looked up anew: it may have come, or gone, since.
            insert_replacement(c, id, replacement, None, Some(deadline), now)?;
            audit_letter(c, id, "letter_replaced", now)?;
            Ok(Retried::Replaced)
        }
    }
}

/// The letter that was posted in place of another. It is for the same name and purpose, by which it is found.
fn replaced_by(c: &Connection, id: &LetterId) -> rusqlite::Result<Option<LetterId>> {
    c.prepare_cached(REPLACED_BY)?
        .query_row([id.as_bytes()], |row| row.get::<_, [u8; 16]>(0).map(LetterId::from_bytes))
        .optional()
}

const REPLACED_BY: &str = "SELECT l.id FROM letters old JOIN letters l INDEXED BY letters_open
        ON l.purpose = old.purpose AND l.name_key = old.name_key AND l.ended IS NULL
     WHERE old.id = ?1 AND l.replaces = ?1
     UNION ALL
     SELECT l.id FROM letters old JOIN letters l INDEXED BY letters_closed
        ON l.purpose = old.purpose AND l.name_key = old.name_key AND l.ended IS NOT NULL
     WHERE old.id = ?1 AND l.replaces = ?1
     LIMIT 1";

/// Closes a waiting letter.
pub(crate) fn drop_letter(c: &Connection, id: &LetterId, now: Timestamp) -> rusqlite::Result<bool> {
    let changed = c
        .prepare_cached(
            "UPDATE letters SET state = 'dropped', ended = ?2, last_error = 'dropped by an operator'
             WHERE id = ?1 AND state = 'waiting'",
        )?
        .execute((id.as_bytes(), now.as_millis()))?;
    if changed > 0 {
        count_closed(c, changed)?;
        audit_letter(c, id, "letter_dropped", now)?;
    }
    Ok(changed > 0)
}

/// Removes what is past its retention, at most `limit` rows of each kind.
pub(crate) fn purge(
    c: &Connection,
    retention: Retention,
    limit: usize,
    now: Timestamp,
) -> rusqlite::Result<usize> {
    let kinds = [
        // The tokens of an account are found by its letters. So a letter stays while its token is good; one that goes after
        // minutes as long as its token is there and was not used, since a clock may step back.
        (
            "DELETE FROM letters WHERE id IN (
                 SELECT id FROM letters WHERE state = 'dropped' AND ended IS NOT NULL AND ended <= ?1
                   AND NOT EXISTS (SELECT 1 FROM tokens t WHERE t.letter = letters.id AND t.used IS NULL)
                 ORDER BY ended LIMIT ?2)",
            now.minus(retention.dropped),
        ),
        (
            "DELETE FROM letters WHERE id IN (
                 SELECT id FROM letters
                 WHERE state IN ('sent', 'dead', 'expired', 'superseded')
                   AND ended IS NOT NULL AND ended <= ?1
                   AND NOT EXISTS (SELECT 1 FROM tokens t
                                   WHERE t.letter = letters.id AND t.used IS NULL AND t.expires > ?3)
                 LIMIT ?2)",
            now.minus(retention.closed),
        ),
        // While its letter is open, a token that was removed would be armed again, as if it had never been used.
        (
            "DELETE FROM tokens WHERE letter IN (
                 SELECT t.letter FROM tokens t
                 WHERE t.expires <= ?1 AND (t.used IS NULL OR t.used <= ?1)
                   AND NOT EXISTS (SELECT 1 FROM letters l WHERE l.id = t.letter AND l.ended IS NULL)
                 ORDER BY t.expires LIMIT ?2)",
            now.minus(retention.tokens),
        ),
        (
            "DELETE FROM revoked_sessions WHERE session IN (
                 SELECT session FROM revoked_sessions WHERE expires <= ?1 ORDER BY expires LIMIT ?2)",
            now,
        ),
        (
            "DELETE FROM audit WHERE id IN (SELECT id FROM audit WHERE at <= ?1 ORDER BY at LIMIT ?2)",
            now.minus(retention.audit),
        ),
    ];
    let mut removed = 0;
    for (sql, until) in kinds {
        let mut statement = c.prepare_cached(sql)?;
        let parameters = [until.as_millis(), count(limit), now.as_millis()];
        let known = statement.parameter_count();
        removed += statement.execute(params_from_iter(parameters.iter().take(known)))?;
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::steps::plan_of;

    #[test]
    fn a_replacement_is_found_among_the_letters_of_its_name() {
        let plan = plan_of(REPLACED_BY);
        assert!(plan.iter().all(|line| !line.starts_with("SCAN")), "{plan:#?}");
    }
}
