//! The reads. Each is one statement, so that it sees one state of the database.

use regain_core::store::{AccountFilter, OutboxStatus, TokenStanding};
use regain_core::{Account, AccountId, Letter, LetterId, NameKey, Purpose, SessionId, Timestamp, TokenHash};
use rusqlite::{Connection, OptionalExtension};

use super::count;
use crate::sqlite::rows::{ACCOUNT_WIDTH, account, account_columns, letter, letter_columns};

/// The account of a name.
pub(crate) fn account_by_name(c: &Connection, name: &NameKey) -> rusqlite::Result<Option<Account>> {
    c.prepare_cached(concat!("SELECT ", account_columns!(), " FROM accounts a WHERE a.name_key = ?1"))?
        .query_row([name.as_str()], |row| account(row, 0))
        .optional()
}

/// The account of an identity.
pub(crate) fn account_by_id(c: &Connection, id: &AccountId) -> rusqlite::Result<Option<Account>> {
    c.prepare_cached(concat!("SELECT ", account_columns!(), " FROM accounts a WHERE a.id = ?1"))?
        .query_row([id.as_str()], |row| account(row, 0))
        .optional()
}

/// Accounts in the order of their name keys.
pub(crate) fn accounts(c: &Connection, filter: &AccountFilter) -> rusqlite::Result<Vec<Account>> {
    let mut statement = c.prepare_cached(concat!(
        "SELECT ",
        account_columns!(),
        " FROM accounts a
         WHERE a.name_key > ?1 AND (?2 IS NULL OR a.is_admin = ?2) AND (?3 IS NULL OR a.is_disabled = ?3)
           AND (?4 IS NULL OR a.is_confirmed = ?4)
         ORDER BY a.name_key LIMIT ?5"
    ))?;
    let parameters = (
        // No name is empty.
        filter.after.as_ref().map_or("", NameKey::as_str),
        filter.is_admin,
        filter.is_disabled,
        filter.is_confirmed,
        count(filter.limit),
    );
    statement.query_map(parameters, |row| account(row, 0))?.collect()
}

/// The account of a session, and whether that session was revoked.
pub(crate) fn session(
    c: &Connection,
    id: &AccountId,
    session: &SessionId,
) -> rusqlite::Result<Option<(Account, bool)>> {
    c.prepare_cached(concat!(
        "SELECT ",
        account_columns!(),
        ", EXISTS (SELECT 1 FROM revoked_sessions WHERE session = ?2) FROM accounts a WHERE a.id = ?1"
    ))?
    .query_row((id.as_str(), session.0), |row| Ok((account(row, 0)?, row.get(ACCOUNT_WIDTH)?)))
    .optional()
}

/// What is known of a token.
pub(crate) fn token(
    c: &Connection,
    hash: &TokenHash,
    purpose: Purpose,
    now: Timestamp,
) -> rusqlite::Result<TokenStanding> {
    let is_good: Option<bool> = c
        .prepare_cached(
            "SELECT t.used IS NULL AND t.expires > ?3 AND EXISTS (
                 SELECT 1 FROM accounts a
                 WHERE a.id = t.account AND a.name_key = t.name_key AND NOT a.is_disabled)
             FROM tokens t WHERE t.hash = ?1 AND t.purpose = ?2",
        )?
        .query_row((hash.0, purpose.as_str(), now.as_millis()), |row| row.get(0))
        .optional()?;
    Ok(match is_good {
        Some(true) => TokenStanding::Good,
        Some(false) => TokenStanding::Spent,
        None => TokenStanding::Unknown,
    })
}

/// When the next letter is due or the next lease runs out.
pub(crate) fn next_due(c: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    c.prepare_cached(
        "SELECT min(at) FROM (
             SELECT min(due) AS at FROM letters WHERE state = 'waiting'
             UNION ALL
             SELECT min(lease) FROM letters WHERE state = 'claimed')",
    )?
    .query_row((), |row| row.get::<_, Option<i64>>(0))
    .map(|at| at.map(Timestamp::from_millis))
}

/// Counts of the outbox.
pub(crate) fn outbox_status(c: &Connection) -> rusqlite::Result<OutboxStatus> {
    c.prepare_cached(
        "SELECT (SELECT open FROM outbox),
                (SELECT min(posted) FROM letters INDEXED BY letters_oldest WHERE ended IS NULL),
                (SELECT count(*) FROM letters WHERE state = 'dead' AND ended IS NOT NULL)",
    )?
    .query_row((), |row| {
        Ok(OutboxStatus {
            open: u64::try_from(row.get::<_, i64>(0)?).unwrap_or(0),
            oldest: row.get::<_, Option<i64>>(1)?.map(Timestamp::from_millis),
            dead: u64::try_from(row.get::<_, i64>(2)?).unwrap_or(0),
        })
    })
}

/// One letter.
pub(crate) fn one_letter(c: &Connection, id: &LetterId) -> rusqlite::Result<Option<Letter>> {
    c.prepare_cached(concat!("SELECT ", letter_columns!(), " FROM letters l WHERE l.id = ?1"))?
        .query_row([id.as_bytes()], letter)
        .optional()
}
