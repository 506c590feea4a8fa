//! Steps on accounts and sessions.

use std::time::Duration;

use regain_core::account::NewAccount;
use regain_core::letter::{NewLetter, Notice};
use regain_core::store::{PasswordChange, Registered};
use regain_core::{AccountId, NameKey, PasswordHash, Purpose, SessionId, Timestamp};
use rusqlite::{Connection, OptionalExtension, Row};

use super::{NewRow, audit, end_letters_of, insert_letter, void_tokens};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Adds an account and its letter, or nothing where the name is taken.
pub(crate) fn register(
    c: &Connection,
    new: &NewAccount,
    letter: Option<&NewLetter>,
    now: Timestamp,
) -> rusqlite::Result<Registered> {
    let added = c
        .prepare_cached(
            "INSERT INTO accounts (id, name, name_key, address, password, created)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (name_key) DO NOTHING",
        )?
        .execute((
            new.id.as_str(),
            new.name.as_str(),
            new.name.key().as_str(),
            new.name.address().map(regain_core::Address::as_str),
            new.password.as_str(),
            now.as_millis(),
        ))?;
    if added == 0 {
        // Written down, and so as slow as a registration: where both get the same answer, time must not tell.
        let owner: String = c
            .prepare_cached("SELECT id FROM accounts WHERE name_key = ?1")?
            .query_row([new.name.key().as_str()], |row| row.get(0))?;
        audit(c, &AccountId::from_stored(owner), "registered_again", now)?;
        return Ok(Registered::NameTaken);
    }
    forget_dropped(c, new.name.key())?;
    if let Some(letter) = letter {
        let row = NewRow {
            id: &letter.id,
            purpose: letter.purpose,
            name_key: &letter.name_key,
            account: Some(&new.id),
            ip: letter.ip,
            agent: letter.agent.as_ref(),
            posted: letter.posted,
            deadline: letter.deadline,
        };
        insert_letter(c, &row)?;
    }
    audit(c, &new.id, "registered", now)?;
    Ok(Registered::Created)
}

/// Forgets the letters that were dropped because a name had no account, so that its owner is not made to wait for them.
pub(super) fn forget_dropped(c: &Connection, key: &NameKey) -> rusqlite::Result<()> {
    c.prepare_cached(
        "DELETE FROM letters WHERE id IN (
             SELECT id FROM letters INDEXED BY letters_closed
             WHERE purpose IN ('reset', 'confirm') AND name_key = ?1 AND ended IS NOT NULL AND state = 'dropped')",
    )?
    .execute([key.as_str()])
    .map(drop)
}

/// Replaces a hash, where it is still the old one.
pub(crate) fn rehash(
    c: &Connection,
    id: &AccountId,
    old: &PasswordHash,
    new: &PasswordHash,
) -> rusqlite::Result<bool> {
    let changed = c
        .prepare_cached("UPDATE accounts SET password = ?3 WHERE id = ?1 AND password = ?2")?
        .execute((id.as_str(), old.as_str(), new.as_str()))?;
    Ok(changed > 0)
}

/// Sets a password, where the session that asks for it still holds.
pub(crate) fn change_password(
    c: &Connection,
    change: &PasswordChange,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let by = change.by;
    let owner = c
        .prepare_cached(
            "UPDATE accounts SET password = ?2, generation = generation + 1, kept_session = ?3
             WHERE id = ?1 AND NOT is_disabled
               AND (?3 IS NULL OR ((kept_session = ?3 OR generation = ?4)
                                   AND NOT EXISTS (SELECT 1 FROM revoked_sessions WHERE session = ?3)))
             RETURNING id, name_key, address IS NOT NULL, is_confirmed",
        )?
        .query_row(
            (
                change.account.as_str(),
                change.new.as_str(),
                by.map(|by| by.session.0),
                by.map(|by| i64::from(by.generation.0)),
            ),
            Owner::read,
        )
        .optional()?;
    let Some(owner) = owner else { return Ok(false) };
    end_resets(c, &owner, now)?;
    if owner.is_confirmed || notices_of_a_day(c, &owner.name_key, now)? < change.notices_if_unconfirmed {
        post_notice(c, change.notice.as_ref(), &owner, now)?;
    }
    audit(c, &owner.id, "password_changed", now)?;
    Ok(true)
}

/// Remembers that a session was revoked.
pub(crate) fn revoke(
    c: &Connection,
    session: &SessionId,
    account: &AccountId,
    expires: Timestamp,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let added = c
        .prepare_cached(
            "INSERT INTO revoked_sessions (session, account, expires) VALUES (?1, ?2, ?3)
             ON CONFLICT (session) DO NOTHING",
        )?
        .execute((session.0, account.as_str(), expires.as_millis()))?;
    if added > 0 {
        audit(c, account, "session_revoked", now)?;
    }
    Ok(())
}

/// An account whose password was set, as the statement that did it returned it.
pub(super) struct Owner {
    pub(super) id: AccountId,
    pub(super) name_key: NameKey,
    has_address: bool,
    is_confirmed: bool,
}

impl Owner {
    /// Reads `id, name_key, address IS NOT NULL, is_confirmed`.
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: AccountId::from_stored(row.get::<_, String>(0)?),
            name_key: NameKey::from_stored(row.get::<_, String>(1)?),
            has_address: row.get(2)?,
            is_confirmed: row.get(3)?,
        })
    }
}

/// Voids the open reset tokens of an account and ends its reset letters.
pub(super) fn end_resets(c: &Connection, owner: &Owner, now: Timestamp) -> rusqlite::Result<()> {
    void_tokens(c, &owner.id, &owner.name_key, Purpose::Reset, now)?;
    end_letters_of(c, &owner.id, &owner.name_key, Purpose::Reset, now)
}

/// Posts the letter that tells an owner of a new password, where there is an address to send it to.
pub(super) fn post_notice(
    c: &Connection,
    notice: Option<&Notice>,
    owner: &Owner,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let Some(notice) = notice.filter(|_| owner.has_address) else { return Ok(()) };
    let row = NewRow {
        id: &notice.id,
        purpose: Purpose::PasswordChanged,
        name_key: &owner.name_key,
        account: Some(&owner.id),
        ip: Some(notice.ip),
        agent: notice.agent.as_ref(),
        posted: now,
        deadline: notice.deadline,
    };
    insert_letter(c, &row)
}

/// How many notices were posted for a name in the last 24 hours. What a clock that was wrong has posted further ahead than
/// that is as if it were not there.
fn notices_of_a_day(c: &Connection, name_key: &NameKey, now: Timestamp) -> rusqlite::Result<u32> {
    // Two halves, so that each has its index. A letter never ends before it was posted.
    c.prepare_cached(
        "SELECT (SELECT count(*) FROM letters
                 WHERE purpose = 'password_changed' AND name_key = ?1 AND ended IS NULL AND posted > ?2 AND posted <= ?3)
              + (SELECT count(*) FROM letters
                 WHERE purpose = 'password_changed' AND name_key = ?1 AND ended > ?2 AND posted > ?2 AND posted <= ?3)",
    )?
    .query_row((name_key.as_str(), now.minus(DAY).as_millis(), (now + DAY).as_millis()), |row| row.get(0))
}
