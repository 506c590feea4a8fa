//! The courier's steps: claim, arm, renew, settle. Each but the first needs the claim that the letter is held under.

use std::time::Duration;

use regain_core::letter::ClaimedLetter;
use regain_core::outbox::backoff;
use regain_core::store::{Arm, Armed, Outcome, Settlement};
use regain_core::token::TokenKeyId;
use regain_core::{Account, AccountId, ClaimId, Letter, LetterId, LetterState, Timestamp, TokenHash};
use rusqlite::{Connection, OptionalExtension};

use super::{count, insert_replacement};
use crate::sqlite::rows::{ACCOUNT_WIDTH, LETTER_WIDTH, account, account_columns, letter, letter_columns};

/// No lease runs longer than this; one that does was given by a clock that was wrong.
const LONGEST_LEASE: Duration = Duration::from_secs(600);
/// So many letters are looked at in one go, at least.
const PAGE: usize = 64;
/// One claim closes no more letters than about so many, so that the steps that wait behind it get their turn.
const CLOSED_AT_ONCE: usize = 500;

/// Claims what is due, closing on the way what needs no mail any more.
pub(crate) fn claim(
    c: &Connection,
    claim: ClaimId,
    limit: usize,
    lease: Timestamp,
    now: Timestamp,
) -> rusqlite::Result<Vec<ClaimedLetter>> {
    let mut claimed = Vec::new();
    let mut closed = 0;
    while claimed.len() < limit && closed < CLOSED_AT_ONCE {
        let page = due(c, claim, now, PAGE.max(limit - claimed.len()))?;
        if page.is_empty() {
            break;
        }
        for (mut letter, standing) in page {
            match standing {
                Standing::Ends(end, why) => {
                    close(c, &letter.id, end, why, now)?;
                    closed += 1;
                }
                Standing::For(account) if claimed.len() < limit => {
                    take(c, &letter.id, &account.id, claim, lease)?;
                    letter.account = Some(account.id.clone());
                    letter.state = LetterState::Claimed;
                    claimed.push(ClaimedLetter { letter, account: *account, claim });
                }
                Standing::For(_) => break,
            }
        }
    }
    Ok(claimed)
}

/// Arms the token of a letter, where the claim is still ours and the account still what it was.
pub(crate) fn arm(c: &Connection, arm: &Arm, now: Timestamp) -> rusqlite::Result<Armed> {
    let held: Option<(Option<[u8; 8]>, Option<String>, bool)> = c
        .prepare_cached(
            "SELECT l.token_key, l.account,
                    EXISTS (SELECT 1 FROM accounts a WHERE a.id = ?3 AND a.name_key = ?4 AND NOT a.is_disabled)
             FROM letters l WHERE l.id = ?1 AND l.state = 'claimed' AND l.claim = ?2",
        )?
        .query_row(
            (arm.letter.as_bytes(), arm.claim.0, arm.account.as_str(), arm.name_key.as_str()),
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
        )
        .optional()?;
    let Some((token_key, bound, has_owner)) = held else { return Ok(Armed::Lost) };
    if !has_owner {
        close(c, &arm.letter, LetterState::Superseded, "the account has changed", now)?;
        return Ok(Armed::Superseded);
    }
    let Some(hash) = arm.token else { return Ok(Armed::Armed) };
    match token_key.map(TokenKeyId) {
        Some(key) if key != arm.token_key => {
            close(c, &arm.letter, LetterState::Superseded, "the token key has changed", now)?;
            let account = bound.map(AccountId::from_stored);
            insert_replacement(c, &arm.letter, &arm.replacement, account.as_ref(), None, now)?;
            return Ok(Armed::KeyGone);
        }
        Some(_) => {}
        None => {
            c.prepare_cached("UPDATE letters SET token_key = ?2 WHERE id = ?1")?
                .execute((arm.letter.as_bytes(), arm.token_key.0))?;
        }
    }
    if insert_or_extend(c, arm, &hash)? {
        return Ok(Armed::Armed);
    }
    close(c, &arm.letter, LetterState::Superseded, "the token was used", now)?;
    Ok(Armed::Superseded)
}

/// Extends the lease of what is still held under a claim.
pub(crate) fn renew(c: &Connection, claim: ClaimId, lease: Timestamp) -> rusqlite::Result<usize> {
    // Few letters are claimed at any time; the index holds just those.
    c.prepare_cached(
        "UPDATE letters INDEXED BY letters_claimed SET lease = ?2 WHERE state = 'claimed' AND claim = ?1",
    )?
    .execute((claim.0, lease.as_millis()))
}

/// Writes down what came of an attempt, where the claim is still ours.
pub(crate) fn settle(c: &Connection, settlement: &Settlement, now: Timestamp) -> rusqlite::Result<bool> {
    let id = settlement.letter.as_bytes();
    let claim = settlement.claim.0;
    let changed = match &settlement.outcome {
        Outcome::Sent { reply } => c
            .prepare_cached(
                "UPDATE letters SET state = 'sent', ended = ?3, attempts = attempts + 1, last_error = NULL,
                        relay_reply = ?4, claim = NULL, lease = NULL
                 WHERE id = ?1 AND state = 'claimed' AND claim = ?2",
            )?
            .execute((id, claim, now.as_millis(), reply))?,
        Outcome::Later { due, error, reply } => c
            .prepare_cached(
                "UPDATE letters SET state = 'waiting', due = ?3, attempts = attempts + 1, last_error = ?4,
                        relay_reply = ?5, claim = NULL, lease = NULL
                 WHERE id = ?1 AND state = 'claimed' AND claim = ?2",
            )?
            .execute((id, claim, due.as_millis(), error, reply))?,
        Outcome::Dead { error, reply } => c
            .prepare_cached(
                "UPDATE letters SET state = 'dead', ended = ?3, attempts = attempts + 1, last_error = ?4,
                        relay_reply = ?5, claim = NULL, lease = NULL
                 WHERE id = ?1 AND state = 'claimed' AND claim = ?2",
            )?
            .execute((id, claim, now.as_millis(), error, reply))?,
        Outcome::Released { error } => c
            .prepare_cached(
                "UPDATE letters SET state = 'waiting', last_error = coalesce(?3, last_error),
                        due = iif(?3 IS NULL, due, max(due, ?4)), claim = NULL, lease = NULL
                 WHERE id = ?1 AND state = 'claimed' AND claim = ?2",
            )?
            .execute((id, claim, error, now.as_millis()))?,
    };
    Ok(changed > 0)
}

/// Gives back whatever is claimed.
pub(crate) fn free_all_claims(c: &Connection) -> rusqlite::Result<usize> {
    c.prepare_cached(
        "UPDATE letters INDEXED BY letters_claimed SET state = 'waiting', claim = NULL, lease = NULL
         WHERE state = 'claimed'",
    )?
    .execute(())
}

/// What a due letter comes to.
enum Standing {
    /// It is for this account.
    For(Box<Account>),
    /// It ends so, because of this.
    Ends(LetterState, &'static str),
}

/// Now, the longest wait from now, the longest lease from now, the claim, and how many. Four ranges of two indexes: the
/// second and the fourth hold what a wrong clock has put far ahead.
const DUE: &str = concat!(
    "SELECT ",
    letter_columns!(),
    ", ",
    account_columns!(),
    ", CASE
             WHEN l.deadline < ?1 THEN 'expired'
             WHEN a.id IS NULL OR a.is_disabled OR a.address IS NULL THEN 'dropped'
             WHEN l.purpose = 'confirm' AND a.is_confirmed THEN 'superseded'
           END
         FROM (
             SELECT * FROM (SELECT id FROM letters WHERE state = 'waiting' AND due <= ?1
                            ORDER BY due, id LIMIT ?5)
             UNION ALL
             SELECT * FROM (SELECT id FROM letters WHERE state = 'waiting' AND due > ?2
                            ORDER BY due, id LIMIT ?5)
             UNION ALL
             SELECT * FROM (SELECT id FROM letters WHERE state = 'claimed' AND lease <= ?1 AND claim <> ?4
                            ORDER BY lease, id LIMIT ?5)
             UNION ALL
             SELECT * FROM (SELECT id FROM letters WHERE state = 'claimed' AND lease > ?3 AND claim <> ?4
                            ORDER BY lease, id LIMIT ?5)
         ) found
         CROSS JOIN letters l ON l.id = found.id
         LEFT JOIN accounts a ON a.name_key = l.name_key AND (l.account IS NULL OR l.account = a.id)
         ORDER BY l.due, l.id LIMIT ?5"
);

/// The letters that may be claimed, oldest due first, each with what it comes to.
fn due(
    c: &Connection,
    claim: ClaimId,
    now: Timestamp,
    limit: usize,
) -> rusqlite::Result<Vec<(Letter, Standing)>> {
    let mut statement = c.prepare_cached(DUE)?;
    let parameters = (
        now.as_millis(),
        (now + backoff::LONGEST).as_millis(),
        (now + LONGEST_LEASE).as_millis(),
        claim.0,
        count(limit),
    );
    let rows = statement.query_map(parameters, |row| {
        let standing = match row.get::<_, Option<String>>(LETTER_WIDTH + ACCOUNT_WIDTH)?.as_deref() {
            None => Standing::For(Box::new(account(row, LETTER_WIDTH)?)),
            Some("expired") => Standing::Ends(LetterState::Expired, "its deadline has passed"),
            Some("superseded") => Standing::Ends(LetterState::Superseded, "the address is confirmed already"),
            Some(_) => Standing::Ends(LetterState::Dropped, "there is no account to send it to"),
        };
        Ok((letter(row)?, standing))
    })?;
    rows.collect()
}

fn take(
    c: &Connection,
    id: &LetterId,
    account: &AccountId,
    claim: ClaimId,
    lease: Timestamp,
) -> rusqlite::Result<()> {
    c.prepare_cached(
        "UPDATE letters SET state = 'claimed', account = ?2, claim = ?3, lease = ?4 WHERE id = ?1",
    )?
    .execute((id.as_bytes(), account.as_str(), claim.0, lease.as_millis()))
    .map(drop)
}

fn close(c: &Connection, id: &LetterId, end: LetterState, why: &str, now: Timestamp) -> rusqlite::Result<()> {
    c.prepare_cached(
        "UPDATE letters SET state = ?2, ended = ?3, last_error = ?4, claim = NULL, lease = NULL WHERE id = ?1",
    )?
    .execute((id.as_bytes(), end.as_str(), now.as_millis(), why))
    .map(drop)
}

/// Writes the hash of a token down, or extends its expiry. Answers `false` where it was used.
fn insert_or_extend(c: &Connection, arm: &Arm, hash: &TokenHash) -> rusqlite::Result<bool> {
    let written = c
        .prepare_cached(
            "INSERT INTO tokens (letter, hash, purpose, account, name_key, expires)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (hash) DO UPDATE SET expires = max(expires, excluded.expires) WHERE used IS NULL",
        )?
        .execute((
            arm.letter.as_bytes(),
            hash.0,
            arm.purpose.as_str(),
            arm.account.as_str(),
            arm.name_key.as_str(),
            arm.expires.as_millis(),
        ))?;
    Ok(written > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::steps::plan_of;

    #[test]
    fn what_is_due_is_found_by_index() {
        let plan = plan_of(DUE);
        let reads: Vec<&String> = plan.iter().filter(|line| line.contains(" letters ")).collect();
        assert_eq!(reads.len(), 4, "{plan:#?}");
        let is_range =
            |line: &str| line.contains("letters_waiting (due") || line.contains("letters_claimed (lease");
        assert!(reads.iter().all(|line| is_range(line)), "{plan:#?}");
        assert!(
            !plan.iter().any(|line| line.starts_with("SCAN l") || line.starts_with("SCAN a")),
            "{plan:#?}"
        );
    }
}
