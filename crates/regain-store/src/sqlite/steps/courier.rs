//! The courier's steps on a letter that it holds: arm, renew, settle. Each needs the claim that the letter is held under.

use regain_core::store::{Arm, Armed, Outcome, Settlement};
use regain_core::token::TokenKeyId;
use regain_core::{AccountId, ClaimId, LetterState, Timestamp, TokenHash};
use rusqlite::{Connection, OptionalExtension};

use super::{close_letter, count_closed, insert_replacement};

/// Arms the token of a letter, where the claim is still ours and the account still what it was.
pub(crate) fn arm(c: &Connection, arm: &Arm, now: Timestamp) -> rusqlite::Result<Armed> {
    if let Some(hash) = &arm.token
        && take_key(c, arm)?
    {
        return arm_with(c, arm, hash, now);
    }
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
        close_letter(c, &arm.letter, LetterState::Superseded, "the account has changed", now)?;
        return Ok(Armed::Superseded);
    }
    let Some(hash) = arm.token else { return Ok(Armed::Armed) };
    match token_key.map(TokenKeyId) {
        Some(key) if key != arm.token_key => {
            close_letter(c, &arm.letter, LetterState::Superseded, "the token key has changed", now)?;
            let account = bound.map(AccountId::from_stored);
            insert_replacement(c, &arm.letter, &arm.replacement, account.as_ref(), None, now)?;
            Ok(Armed::KeyGone)
        }
        // One without a key was given ours above.
        Some(_) | None => arm_with(c, arm, &hash, now),
    }
}

/// Notes the key of a letter that is armed for the first time; nearly all are. `false`: there is more to be looked at.
fn take_key(c: &Connection, arm: &Arm) -> rusqlite::Result<bool> {
    let changed = c
        .prepare_cached(
            "UPDATE letters SET token_key = ?5
             WHERE id = ?1 AND state = 'claimed' AND claim = ?2 AND token_key IS NULL
               AND EXISTS (SELECT 1 FROM accounts a WHERE a.id = ?3 AND a.name_key = ?4 AND NOT a.is_disabled)",
        )?
        .execute((
            arm.letter.as_bytes(),
            arm.claim.0,
            arm.account.as_str(),
            arm.name_key.as_str(),
            arm.token_key.0,
        ))?;
    Ok(changed > 0)
}

/// Arms a letter that is held and has its key.
fn arm_with(c: &Connection, arm: &Arm, hash: &TokenHash, now: Timestamp) -> rusqlite::Result<Armed> {
    if insert_or_extend(c, arm, hash)? {
        return Ok(Armed::Armed);
    }
    close_letter(c, &arm.letter, LetterState::Superseded, "the token was used", now)?;
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

/// Writes down what came of attempts, of each where the claim is still ours.
pub(crate) fn settle(
    c: &Connection,
    settlements: &[Settlement],
    now: Timestamp,
) -> rusqlite::Result<Vec<bool>> {
    let mut closed = 0;
    let mut ours = Vec::with_capacity(settlements.len());
    for settlement in settlements {
        let is_ours = settle_one(c, settlement, now)?;
        closed += usize::from(is_ours && settlement.outcome.closes());
        ours.push(is_ours);
    }
    count_closed(c, closed)?;
    Ok(ours)
}

fn settle_one(c: &Connection, settlement: &Settlement, now: Timestamp) -> rusqlite::Result<bool> {
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
                "UPDATE letters SET state = 'waiting', due = ?3, attempts = attempts + 1, crashes = 0, last_error = ?4,
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
        Outcome::Held { due, error } => c
            .prepare_cached(
                "UPDATE letters SET state = 'waiting', due = ?3, crashes = 0, last_error = ?4, claim = NULL, lease = NULL
                 WHERE id = ?1 AND state = 'claimed' AND claim = ?2",
            )?
            .execute((id, claim, due.as_millis(), error))?,
        // One that was put off before is late since that time, and keeps its place; others go behind those that wait.
        Outcome::Released { error } => c
            .prepare_cached(
                "UPDATE letters SET state = 'waiting', crashes = 0, last_error = coalesce(?3, last_error),
                        due = iif(?3 IS NULL OR attempts > 0, due, max(due, ?4)), claim = NULL, lease = NULL
                 WHERE id = ?1 AND state = 'claimed' AND claim = ?2",
            )?
            .execute((id, claim, error, now.as_millis()))?,
    };
    Ok(changed > 0)
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
