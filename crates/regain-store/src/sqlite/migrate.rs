//! Brings the schema up to date: numbered SQL files, embedded, each applied once and remembered with its SHA-256.

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use regain_core::KeyMode;
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::connection::unusable;
use super::error::OpenError;

/// A step of the schema. Its number is its place in [`MIGRATIONS`], counted from 1.
pub(crate) struct Migration {
    /// Its file, without the ending.
    pub(crate) name: &'static str,
    /// Its text.
    pub(crate) sql: &'static str,
}

/// All of them, in order. A released one never changes.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration { name: "0001_schema", sql: include_str!("../../migrations/sqlite/0001_schema.sql") },
    Migration {
        name: "0002_deleted_accounts",
        sql: include_str!("../../migrations/sqlite/0002_deleted_accounts.sql"),
    },
    Migration { name: "0003_crashes", sql: include_str!("../../migrations/sqlite/0003_crashes.sql") },
    Migration {
        name: "0004_waiting_by_purpose",
        sql: include_str!("../../migrations/sqlite/0004_waiting_by_purpose.sql"),
    },
    Migration {
        name: "0005_cheaper_letters",
        sql: include_str!("../../migrations/sqlite/0005_cheaper_letters.sql"),
    },
    Migration {
        name: "0006_plans_without_statistics",
        sql: include_str!("../../migrations/sqlite/0006_plans_without_statistics.sql"),
    },
];

/// Applies what is missing, all or nothing, and answers how names are compared.
pub(crate) fn migrate(
    connection: &mut Connection,
    path: &Path,
    key_mode_if_new: KeyMode,
) -> Result<KeyMode, OpenError> {
    let failed = unusable(path);
    // Of several processes that start at once, one migrates and the others then find nothing to do.
    let step = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&failed)?;
    let is_known = has_table(&step, "migrations").map_err(&failed)?;
    if !is_known {
        if !is_empty(&step).map_err(&failed)? {
            return Err(OpenError::Foreign(path.to_owned()));
        }
        step.execute_batch(
            "CREATE TABLE migrations (
                number  INTEGER PRIMARY KEY NOT NULL,
                name    TEXT NOT NULL,
                sha256  BLOB NOT NULL,
                applied INTEGER NOT NULL
            ) STRICT",
        )
        .map_err(&failed)?;
    }
    check_not_newer(&step, path)?;
    for (number, migration) in (1..).zip(MIGRATIONS) {
        if is_applied(&step, path, number, migration)? {
            continue;
        }
        step.execute_batch(migration.sql).map_err(&failed)?;
        // For the operator's eyes; the rules get their time as a parameter.
        step.execute(
            "INSERT INTO migrations (number, name, sha256, applied)
             VALUES (?1, ?2, ?3, unixepoch() * 1000)",
            (number, migration.name, sha256(migration.sql)),
        )
        .map_err(&failed)?;
    }
    step.execute(
        "INSERT INTO meta (key, value) VALUES ('key_mode', ?1), ('made', unixepoch() * 1000)
         ON CONFLICT (key) DO NOTHING",
        [key_mode_word(key_mode_if_new)],
    )
    .map_err(&failed)?;
    let key_mode = key_mode_of(&step, path)?;
    step.commit().map_err(&failed)?;
    Ok(key_mode)
}

/// How names are compared in a database that has all migrations.
pub(crate) fn key_mode_of(connection: &Connection, path: &Path) -> Result<KeyMode, OpenError> {
    let word: String = connection
        .query_row("SELECT value FROM meta WHERE key = 'key_mode'", (), |row| row.get(0))
        .map_err(unusable(path))?;
    key_mode(&word).ok_or_else(|| OpenError::Unusable {
        path: path.to_owned(),
        reason: "it does not say how names are compared".to_owned(),
    })
}

/// How many migrations a database would get by being opened; changes nothing.
pub(crate) fn pending(connection: &Connection, path: &Path) -> Result<usize, OpenError> {
    let failed = unusable(path);
    if !has_table(connection, "migrations").map_err(&failed)? {
        return if is_empty(connection).map_err(&failed)? {
            Ok(MIGRATIONS.len())
        } else {
            Err(OpenError::Foreign(path.to_owned()))
        };
    }
    check_not_newer(connection, path)?;
    let applied =
        (1..).zip(MIGRATIONS).map(|(number, migration)| is_applied(connection, path, number, migration));
    let applied: Vec<bool> = applied.collect::<Result<_, _>>()?;
    Ok(applied.into_iter().filter(|is_applied| !is_applied).count())
}

fn check_not_newer(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    let found: i64 = connection
        .query_row("SELECT coalesce(max(number), 0) FROM migrations", (), |row| row.get(0))
        .map_err(unusable(path))?;
    if found > known { Err(OpenError::Newer { path: path.to_owned(), found, known }) } else { Ok(()) }
}

/// Whether a migration was applied, with the text that it has here.
fn is_applied(
    connection: &Connection,
    path: &Path,
    number: i64,
    migration: &Migration,
) -> Result<bool, OpenError> {
    let applied: Option<Vec<u8>> = connection
        .query_row("SELECT sha256 FROM migrations WHERE number = ?1", [number], |row| row.get(0))
        .optional()
        .map_err(unusable(path))?;
    match applied {
        None => Ok(false),
        Some(applied) if applied == sha256(migration.sql) => Ok(true),
        Some(_) => Err(OpenError::Altered { path: path.to_owned(), number }),
    }
}

/// SHA-256 of a migration's text.
pub(crate) fn sha256(text: &str) -> Vec<u8> {
    digest(&SHA256, text.as_bytes()).as_ref().to_vec()
}

fn key_mode_word(mode: KeyMode) -> &'static str {
    match mode {
        KeyMode::Folded => "folded",
        KeyMode::Exact => "exact",
    }
}

fn key_mode(word: &str) -> Option<KeyMode> {
    [KeyMode::Folded, KeyMode::Exact].into_iter().find(|mode| key_mode_word(*mode) == word)
}

fn has_table(connection: &Connection, name: &str) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1)",
        [name],
        |row| row.get(0),
    )
}

fn is_empty(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", (), |row| row.get(0))
}
