//! Each whole step of the port as SQL: what runs inside one transaction of the writer, or as one read.
//!
//! A step that fails is undone by the writer. Reads are single statements, so that each sees one state.

pub(crate) mod accounts;
pub(crate) mod claim;
pub(crate) mod courier;
pub(crate) mod find;
pub(crate) mod keys;
pub(crate) mod manage;
pub(crate) mod operator;
pub(crate) mod post;
pub(crate) mod read;
pub(crate) mod stats;
pub(crate) mod tokens;

use regain_core::{AccountId, LetterId, LetterState, NameKey, Purpose, Timestamp, UserAgent};
use rusqlite::Connection;
use std::net::IpAddr;

/// A letter to be written down.
struct NewRow<'a> {
    id: &'a LetterId,
    purpose: Purpose,
    name_key: &'a NameKey,
    account: Option<&'a AccountId>,
    ip: Option<IpAddr>,
    agent: Option<&'a UserAgent>,
    posted: Timestamp,
    deadline: Timestamp,
}

/// Puts a letter into the outbox, due at once.
fn insert_letter(c: &Connection, new: &NewRow<'_>) -> rusqlite::Result<()> {
    c.prepare_cached(
        "INSERT INTO letters (id, purpose, name_key, account, ip, agent, posted, deadline, due)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?7)",
    )?
    .execute((
        new.id.as_bytes(),
        new.purpose.as_str(),
        new.name_key.as_str(),
        new.account.map(AccountId::as_str),
        new.ip.map(|ip| ip.to_string()),
        new.agent.map(UserAgent::as_str),
        new.posted.as_millis(),
        new.deadline.as_millis(),
    ))
    .map(drop)
}

/// Closes a letter, whoever holds it.
fn close_letter(
    c: &Connection,
    id: &LetterId,
    end: LetterState,
    why: &str,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let closed = c
        .prepare_cached(
            "UPDATE letters SET state = ?2, ended = ?3, last_error = ?4, claim = NULL, lease = NULL
             WHERE id = ?1 AND ended IS NULL",
        )?
        .execute((id.as_bytes(), end.as_str(), now.as_millis(), why))?;
    count_closed(c, closed)
}

/// Takes letters that were closed out of the count of open ones. Whatever closes letters must do so, in its transaction; that
/// a letter was posted or removed is counted by triggers.
fn count_closed(c: &Connection, letters: usize) -> rusqlite::Result<()> {
    if letters == 0 {
        return Ok(());
    }
    c.prepare_cached("UPDATE outbox SET open = open - ?1 WHERE only_row = 1")?
        .execute([count(letters)])
        .map(drop)
}

/// Posts a letter that takes the place of another. Without a deadline it gets the old one's.
fn insert_replacement(
    c: &Connection,
    old: &LetterId,
    new: &LetterId,
    account: Option<&AccountId>,
    deadline: Option<Timestamp>,
    now: Timestamp,
) -> rusqlite::Result<()> {
    c.prepare_cached(
        "INSERT INTO letters (id, purpose, name_key, account, ip, agent, posted, deadline, due, replaces)
         SELECT ?2, purpose, name_key, ?3, ip, agent, ?5, coalesce(?4, deadline), ?5, id
         FROM letters WHERE id = ?1",
    )?
    .execute((
        old.as_bytes(),
        new.as_bytes(),
        account.map(AccountId::as_str),
        deadline.map(Timestamp::as_millis),
        now.as_millis(),
    ))
    .map(drop)
}

/// Ends the open letters of one purpose that are for an account, claimed ones too, as superseded.
fn end_letters_of(
    c: &Connection,
    account: &AccountId,
    name_key: &NameKey,
    purpose: Purpose,
    now: Timestamp,
) -> rusqlite::Result<()> {
    let closed = c
        .prepare_cached(
            "UPDATE letters SET state = 'superseded', ended = ?4, claim = NULL, lease = NULL
             WHERE purpose = ?1 AND name_key = ?2 AND ended IS NULL AND (account IS NULL OR account = ?3)",
        )?
        .execute((purpose.as_str(), name_key.as_str(), account.as_str(), now.as_millis()))?;
    count_closed(c, closed)
}

/// Voids the tokens of an account that are for one purpose and were not used.
fn void_tokens(
    c: &Connection,
    account: &AccountId,
    name_key: &NameKey,
    purpose: Purpose,
    now: Timestamp,
) -> rusqlite::Result<()> {
    c.prepare_cached(VOID_TOKENS)?
        .execute((purpose.as_str(), name_key.as_str(), account.as_str(), now.as_millis()))
        .map(drop)
}

/// A token is found by its letter, which is for the same purpose and name and is kept while the token is good. An index
/// by account would cost each mail a page of its own, accounts' identities being random.
const VOID_TOKENS: &str = "UPDATE tokens SET used = ?4
    WHERE letter IN (
        SELECT id FROM letters INDEXED BY letters_open
        WHERE purpose = ?1 AND name_key = ?2 AND ended IS NULL
        UNION ALL
        SELECT id FROM letters INDEXED BY letters_closed
        WHERE purpose = ?1 AND name_key = ?2 AND ended IS NOT NULL)
      AND account = ?3 AND used IS NULL";

/// Writes down what an operator did to a letter.
fn audit_letter(c: &Connection, letter: &LetterId, event: &str, now: Timestamp) -> rusqlite::Result<()> {
    c.prepare_cached("INSERT INTO audit (at, letter, event) VALUES (?1, ?2, ?3)")?
        .execute((now.as_millis(), letter.as_bytes(), event))
        .map(drop)
}

/// Writes down what happened to an account, without an address or a token.
fn audit(c: &Connection, account: &AccountId, event: &str, now: Timestamp) -> rusqlite::Result<()> {
    c.prepare_cached("INSERT INTO audit (at, account, event) VALUES (?1, ?2, ?3)")?
        .execute((now.as_millis(), account.as_str(), event))
        .map(drop)
}

/// A count for SQLite, which knows signed ones only.
fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// How SQLite means to run a statement, a line a step.
#[cfg(test)]
fn plan_of(sql: &str) -> Vec<String> {
    let c = Connection::open_in_memory().unwrap();
    for migration in crate::sqlite::migrate::MIGRATIONS {
        c.execute_batch(migration.sql).unwrap();
    }
    let mut statement = c.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
    let nothing = vec![rusqlite::types::Null; statement.parameter_count()];
    let lines = statement.query_map(rusqlite::params_from_iter(nothing), |row| row.get(3)).unwrap();
    lines.map(Result::unwrap).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_voided_by_index() {
        let plan = plan_of(VOID_TOKENS);
        for wanted in [
            "tokens USING PRIMARY KEY (letter=?)",
            "letters_open (purpose=? AND name_key=?)",
            "letters_closed (purpose=? AND name_key=?",
        ] {
            assert!(plan.iter().any(|line| line.contains(wanted)), "{wanted}: {plan:#?}");
        }
        assert!(!plan.iter().any(|line| line.starts_with("SCAN")), "{plan:#?}");
    }
}
