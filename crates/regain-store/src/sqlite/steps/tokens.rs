//! Steps that use tokens up. A token is marked, never removed, so that it cannot come back to life.

use regain_core::store::{CompleteReset, Confirmation};
use regain_core::{AccountId, NameKey, Purpose, Timestamp, TokenHash};
use rusqlite::{Connection, OptionalExtension};

use super::accounts::{Owner, end_resets, post_notice};
use super::{audit, end_letters_of};

/// Uses a reset token up and sets the password.
pub(crate) fn complete_reset(
    c: &Connection,
    reset: &CompleteReset,
    now: Timestamp,
) -> rusqlite::Result<Option<AccountId>> {
    let Some((account, _)) = consume(c, &reset.token, Purpose::Reset, now)? else { return Ok(None) };
    let owner = c
        .prepare_cached(
            "UPDATE accounts SET password = ?2, generation = generation + 1, kept_session = NULL
             WHERE id = ?1
             RETURNING id, name_key, address IS NOT NULL, is_confirmed",
        )?
        .query_row((account.as_str(), reset.new.as_str()), Owner::read)?;
    end_resets(c, &owner, now)?;
    post_notice(c, reset.notice.as_ref(), &owner, now)?;
    audit(c, &owner.id, "password_reset", now)?;
    Ok(Some(owner.id))
}

/// Uses a confirmation token up and marks its account confirmed.
pub(crate) fn confirm_email(
    c: &Connection,
    hash: &TokenHash,
    now: Timestamp,
) -> rusqlite::Result<Confirmation> {
    let Some((account, name_key)) = consume(c, hash, Purpose::Confirm, now)? else {
        return why_not_confirmed(c, hash);
    };
    c.prepare_cached("UPDATE accounts SET is_confirmed = 1 WHERE id = ?1")?.execute([account.as_str()])?;
    end_letters_of(c, &account, &name_key, Purpose::Confirm, now)?;
    audit(c, &account, "email_confirmed", now)?;
    Ok(Confirmation::Confirmed(account))
}

/// Marks a token used, where it is good in this moment. Of several that try, one gets it.
fn consume(
    c: &Connection,
    hash: &TokenHash,
    purpose: Purpose,
    now: Timestamp,
) -> rusqlite::Result<Option<(AccountId, NameKey)>> {
    c.prepare_cached(
        "UPDATE tokens SET used = ?3
         WHERE hash = ?1 AND purpose = ?2 AND used IS NULL AND expires > ?3
           AND EXISTS (SELECT 1 FROM accounts a
                       WHERE a.id = tokens.account AND a.name_key = tokens.name_key AND NOT a.is_disabled)
         RETURNING account, name_key",
    )?
    .query_row((hash.0, purpose.as_str(), now.as_millis()), |row| {
        Ok((AccountId::from_stored(row.get::<_, String>(0)?), NameKey::from_stored(row.get::<_, String>(1)?)))
    })
    .optional()
}

fn why_not_confirmed(c: &Connection, hash: &TokenHash) -> rusqlite::Result<Confirmation> {
    let was_it: Option<bool> = c
        .prepare_cached(
            "SELECT t.used IS NOT NULL AND EXISTS (
                 SELECT 1 FROM accounts a
                 WHERE a.id = t.account AND a.name_key = t.name_key AND a.is_confirmed AND NOT a.is_disabled)
             FROM tokens t WHERE t.hash = ?1 AND t.purpose = 'confirm'",
        )?
        .query_row([hash.0], |row| row.get(0))
        .optional()?;
    Ok(match was_it {
        Some(true) => Confirmation::Already,
        Some(false) => Confirmation::Refused,
        None => Confirmation::Unknown,
    })
}
