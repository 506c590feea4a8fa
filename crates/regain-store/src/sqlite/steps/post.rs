//! The hot path: a request for a mail. One look, one write, whatever the name and whatever came before.

use regain_core::letter::NewLetter;
use regain_core::outbox::repeats::Repeats;
use regain_core::store::Posted;
use regain_core::{LetterId, Timestamp};
use rusqlite::{Connection, Row};

use super::{NewRow, insert_letter};

/// Posts a letter, or counts the request on one that makes another needless (see [`Repeats`]).
pub(crate) fn post(
    c: &Connection,
    letter: &NewLetter,
    repeats: Repeats,
    now: Timestamp,
) -> rusqlite::Result<Posted> {
    if let Some(max) = repeats.max_open {
        let open: i64 = c.prepare_cached("SELECT open FROM outbox")?.query_row((), |row| row.get(0))?;
        if u64::try_from(open).unwrap_or(0) >= max {
            return Ok(Posted::Full);
        }
    }
    if repeats.per_address {
        let met = Met::look(c, letter, repeats, now)?;
        if let Some(open) = met.open {
            c.prepare_cached(
                "UPDATE letters SET deadline = max(deadline, ?2), repeats = min(repeats + 1, 4294967295)
                 WHERE id = ?1",
            )?
            .execute((open.as_bytes(), letter.deadline.as_millis()))?;
            return Ok(Posted::Merged);
        }
        if let Some(enough) = met.just_ended.or(met.enough_sent) {
            c.prepare_cached("UPDATE letters SET repeats = min(repeats + 1, 4294967295) WHERE id = ?1")?
                .execute([enough.as_bytes()])?;
            return Ok(Posted::Swallowed);
        }
    }
    let row = NewRow {
        id: &letter.id,
        purpose: letter.purpose,
        name_key: &letter.name_key,
        account: None,
        ip: letter.ip,
        agent: letter.agent.as_ref(),
        posted: letter.posted,
        deadline: letter.deadline,
    };
    insert_letter(c, &row)?;
    Ok(Posted::Posted)
}

/// Purpose, name key, now, end of the cooldown, begin of the window, mails in it. The indexes are named because
/// SQLite has been seen to read every letter ever sent, in the right order, rather than the few of one name. Letters that a
/// clock which was wrong has ended far ahead, by more than the cooldown, are as if they were not there.
const LOOK: &str = "SELECT
    (SELECT id FROM letters INDEXED BY letters_open
     WHERE purpose = ?1 AND name_key = ?2 AND ended IS NULL
     ORDER BY id DESC LIMIT 1),
    (SELECT iif(state <> 'expired' AND ended > ?4, id, NULL) FROM letters INDEXED BY letters_closed
     WHERE purpose = ?1 AND name_key = ?2 AND ended IS NOT NULL AND ended < 2 * ?3 - ?4
     ORDER BY ended DESC LIMIT 1),
    (SELECT last.id
     FROM (SELECT id FROM letters INDEXED BY letters_closed
           WHERE purpose = ?1 AND name_key = ?2 AND ended IS NOT NULL AND ended < 2 * ?3 - ?4 AND state = 'sent'
           ORDER BY ended DESC LIMIT 1) last
     JOIN tokens t ON t.letter = last.id
     WHERE t.used IS NULL AND t.expires > ?3
       AND ?6 <= (SELECT count(*) FROM (
               SELECT 1 FROM letters INDEXED BY letters_closed
               WHERE purpose = ?1 AND name_key = ?2 AND ended > ?5 AND state = 'sent'
               LIMIT ?6)))";

/// The letters of the same purpose and name that make another needless.
struct Met {
    /// Waiting or claimed.
    open: Option<LetterId>,
    /// The last one that ended, where that was a moment ago and not by expiring.
    just_ended: Option<LetterId>,
    /// The last one sent, where enough were sent and its link is good.
    enough_sent: Option<LetterId>,
}

impl Met {
    // All three in one statement that runs in full for every name, so that time tells nothing.
    fn look(c: &Connection, letter: &NewLetter, repeats: Repeats, now: Timestamp) -> rusqlite::Result<Self> {
        c.prepare_cached(LOOK)?.query_row(
            (
                letter.purpose.as_str(),
                letter.name_key.as_str(),
                now.as_millis(),
                now.minus(repeats.cooldown).as_millis(),
                now.minus(repeats.window).as_millis(),
                repeats.mails,
            ),
            |row| Ok(Self { open: id(row, 0)?, just_ended: id(row, 1)?, enough_sent: id(row, 2)? }),
        )
    }
}

fn id(row: &Row<'_>, at: usize) -> rusqlite::Result<Option<LetterId>> {
    Ok(row.get::<_, Option<[u8; 16]>>(at)?.map(LetterId::from_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::steps::plan_of;

    #[test]
    fn a_look_reads_only_letters_of_its_name_and_sorts_nothing() {
        let plan = plan_of(LOOK);
        let reads: Vec<&String> = plan.iter().filter(|line| line.contains(" letters ")).collect();
        assert_eq!(reads.len(), 4, "{plan:#?}");
        assert!(reads.iter().all(|line| line.contains("(purpose=? AND name_key=?")), "{plan:#?}");
        assert!(!plan.iter().any(|line| line.contains("TEMP B-TREE")), "{plan:#?}");
    }
}
