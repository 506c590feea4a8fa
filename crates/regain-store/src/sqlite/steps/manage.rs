//! Steps that administrators and operators take on accounts: put, add, disable, delete, and the administrator's token.

use regain_core::store::{Added, AdminStanding, Deleted, HeldSession, Put, PutAccount};
use regain_core::{
    Account, AccountId, AccountRecord, Address, NameKey, PasswordHash, Purpose, SessionId, Timestamp,
};
use rusqlite::{Connection, OptionalExtension};

use super::accounts::{Owner, forget_dropped};
use super::{audit, count_closed, end_letters_of, read, void_tokens};

/// Whose the administrator's token is, for the audit trail.
pub(super) const BUILTIN_ADMIN: &str = "__admin";

const DROP_LETTERS: &str = "UPDATE letters
     SET state = 'dropped', ended = ?3, claim = NULL, lease = NULL, last_error = 'the account was deleted'
     WHERE purpose IN ('reset', 'confirm', 'password_changed') AND name_key = ?2 AND ended IS NULL
       AND (account IS NULL OR account = ?1)";

/// Makes the account of a name, or changes what is kept with it.
pub(crate) fn put_account(c: &Connection, put: &PutAccount, now: Timestamp) -> rusqlite::Result<Put> {
    let Some(there) = id_of(c, put.name.key())? else { return create(c, put, now) };
    if put.id.as_ref().is_some_and(|id| *id != there) {
        return Ok(Put::OtherId);
    }
    c.prepare_cached(
        "UPDATE accounts SET is_admin = coalesce(?2, is_admin), is_confirmed = coalesce(?3, is_confirmed), metadata = ?4
         WHERE id = ?1",
    )?
    .execute((there.as_str(), put.is_admin, put.is_confirmed, put.metadata.to_stored()))?;
    audit(c, &there, "account_changed", now)?;
    written(c, &there).map(Put::Updated)
}

fn create(c: &Connection, put: &PutAccount, now: Timestamp) -> rusqlite::Result<Put> {
    let record = AccountRecord {
        is_admin: put.is_admin.unwrap_or(false),
        is_confirmed: put.is_confirmed.unwrap_or(false),
        metadata: put.metadata.clone(),
        ..AccountRecord::new(put.id_if_new.clone(), put.name.clone())
    };
    match add_account(c, &record, now)? {
        Added::Added => written(c, &record.id).map(Put::Created),
        Added::AlreadyThere | Added::NameTaken | Added::IdTaken => Ok(Put::OtherId),
    }
}

/// Adds one account, where neither its identity nor its name is another's.
pub(crate) fn add_account(c: &Connection, new: &AccountRecord, now: Timestamp) -> rusqlite::Result<Added> {
    let added = c
        .prepare_cached(
            "INSERT INTO accounts (id, name, name_key, address, password, is_admin, is_confirmed, is_disabled, metadata,
                                   created, generation)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,
                     max(?11, coalesce((SELECT generation + 1 FROM deleted_accounts WHERE id = ?1), 0)))
             ON CONFLICT DO NOTHING",
        )?
        .execute((
            new.id.as_str(),
            new.name.as_str(),
            new.name.key().as_str(),
            new.name.address().map(Address::as_str),
            new.password.as_ref().map(PasswordHash::as_str),
            new.is_admin,
            new.is_confirmed,
            new.is_disabled,
            new.metadata.to_stored(),
            now.as_millis(),
            new.generation.0,
        ))?;
    if added == 0 {
        return match id_of(c, new.name.key())? {
            Some(id) if id == new.id => Ok(Added::AlreadyThere),
            Some(_) => Ok(Added::NameTaken),
            None => Ok(Added::IdTaken),
        };
    }
    forget_dropped(c, new.name.key())?;
    audit(c, &new.id, "account_created", now)?;
    Ok(Added::Added)
}

/// Removes an account, where the session that asks for it still holds. What was on its way to it ends.
pub(crate) fn delete_account(
    c: &Connection,
    id: &AccountId,
    by: Option<HeldSession>,
    now: Timestamp,
) -> rusqlite::Result<Deleted> {
    let gone: Option<(NameKey, i64)> = c
        .prepare_cached(
            "DELETE FROM accounts
             WHERE id = ?1
               AND (?2 IS NULL OR (NOT is_disabled AND (kept_session = ?2 OR generation = ?3)
                                   AND NOT EXISTS (SELECT 1 FROM revoked_sessions WHERE session = ?2)))
             RETURNING name_key, generation",
        )?
        .query_row((id.as_str(), by.map(|by| by.session.0), by.map(|by| i64::from(by.generation.0))), |row| {
            Ok((NameKey::from_stored(row.get::<_, String>(0)?), row.get(1)?))
        })
        .optional()?;
    let Some((name_key, generation)) = gone else {
        let is_there = read::account_by_id(c, id)?.is_some();
        return Ok(if is_there { Deleted::SessionEnded } else { Deleted::Unknown });
    };
    c.prepare_cached(
        "INSERT INTO deleted_accounts (id, generation) VALUES (?1, ?2)
         ON CONFLICT (id) DO UPDATE SET generation = max(generation, excluded.generation)",
    )?
    .execute((id.as_str(), generation))?;
    for purpose in [Purpose::Reset, Purpose::Confirm] {
        void_tokens(c, id, &name_key, purpose, now)?;
    }
    let dropped =
        c.prepare_cached(DROP_LETTERS)?.execute((id.as_str(), name_key.as_str(), now.as_millis()))?;
    count_closed(c, dropped)?;
    audit(c, id, "account_deleted", now)?;
    Ok(Deleted::Deleted)
}

/// Disables or enables an account.
pub(crate) fn set_disabled(
    c: &Connection,
    id: &AccountId,
    is_disabled: bool,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let changed = c
        .prepare_cached(
            "UPDATE accounts SET is_disabled = ?2, generation = generation + ?2,
                                 kept_session = CASE WHEN ?2 THEN NULL ELSE kept_session END
             WHERE id = ?1 AND is_disabled <> ?2
             RETURNING id, name_key, address IS NOT NULL, is_confirmed",
        )?
        .query_row((id.as_str(), is_disabled), Owner::read)
        .optional()?;
    let Some(owner) = changed else { return Ok(read::account_by_id(c, id)?.is_some()) };
    if is_disabled {
        for purpose in [Purpose::Reset, Purpose::Confirm] {
            void_tokens(c, id, &owner.name_key, purpose, now)?;
            end_letters_of(c, id, &owner.name_key, purpose, now)?;
        }
    } else {
        forget_dropped(c, &owner.name_key)?;
    }
    audit(c, id, if is_disabled { "account_disabled" } else { "account_enabled" }, now)?;
    Ok(true)
}

/// Makes an account an administrator's, or not any more.
pub(crate) fn set_admin(
    c: &Connection,
    id: &AccountId,
    is_admin: bool,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let changed = c
        .prepare_cached("UPDATE accounts SET is_admin = ?2 WHERE id = ?1")?
        .execute((id.as_str(), is_admin))?;
    if changed > 0 {
        audit(c, id, if is_admin { "admin_granted" } else { "admin_revoked" }, now)?;
    }
    Ok(changed > 0)
}

/// Puts an administrator's token in force.
pub(crate) fn put_admin_token(
    c: &Connection,
    id: &SessionId,
    replace: bool,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    let changed = c
        .prepare_cached(
            "INSERT INTO meta (key, value) VALUES ('admin_token', hex(?1))
             ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE ?2 AND value <> excluded.value",
        )?
        .execute((id.0, replace))?;
    if changed > 0 {
        audit(c, &AccountId::from_stored(BUILTIN_ADMIN), "admin_token_made", now)?;
    }
    Ok(admin_token(c, id)? != AdminStanding::Unknown)
}

/// What is known of an administrator's token.
pub(crate) fn admin_token(c: &Connection, id: &SessionId) -> rusqlite::Result<AdminStanding> {
    let is_revoked: Option<bool> = c
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM revoked_sessions WHERE session = ?1)
             FROM meta WHERE key = 'admin_token' AND value = hex(?1)",
        )?
        .query_row([id.0], |row| row.get(0))
        .optional()?;
    Ok(match is_revoked {
        None => AdminStanding::Unknown,
        Some(true) => AdminStanding::Revoked,
        Some(false) => AdminStanding::InForce,
    })
}

fn id_of(c: &Connection, key: &NameKey) -> rusqlite::Result<Option<AccountId>> {
    c.prepare_cached("SELECT id FROM accounts WHERE name_key = ?1")?
        .query_row([key.as_str()], |row| Ok(AccountId::from_stored(row.get::<_, String>(0)?)))
        .optional()
}

fn written(c: &Connection, id: &AccountId) -> rusqlite::Result<Account> {
    read::account_by_id(c, id)?.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::steps::plan_of;

    #[test]
    fn deleting_finds_letters_by_index() {
        let plan = plan_of(DROP_LETTERS);
        assert!(plan.iter().any(|line| line.contains("(purpose=? AND name_key=?)")), "{plan:#?}");
        assert!(!plan.iter().any(|line| line.starts_with("SCAN")), "{plan:#?}");
    }
}
