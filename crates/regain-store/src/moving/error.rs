//! Why a move was not done. No message shows what a row holds.

use std::path::PathBuf;

use regain_core::rng::NoRandomness;

use super::checksum::TableSum;
use super::value::Flaw;
use crate::data_lock::LockError;
use crate::postgres::PostgresError;
use crate::sqlite::OpenError;

/// A move was not done, or not to its end. What was committed of it stays, and the next run goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum MoveError {
    /// There is nothing to move.
    #[error("there is no database at {0}: nothing was served from this data path yet")]
    NoSource(PathBuf),
    /// A server runs on the data path, or another move.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The file cannot be used.
    #[error(transparent)]
    Source(#[from] OpenError),
    /// The database cannot be used.
    #[error(transparent)]
    Target(#[from] PostgresError),
    /// A value cannot be in PostgreSQL.
    #[error(
        "a value of {table}.{column} in the file {flaw}: correct it there, and run the command again{}",
        look(table, key, column, *flaw)
    )]
    Unstorable {
        /// Its table.
        table: &'static str,
        /// Its column.
        column: &'static str,
        /// The primary key of that table.
        key: &'static str,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// The database failed while rows were moved.
    #[error(
        "the database {database} failed at {table}: {reason}. What was moved so far is kept: run the command again, and it \
         goes on from there"
    )]
    Failed {
        /// Where, without a password.
        database: String,
        /// At which table.
        table: &'static str,
        /// PostgreSQL's code, or the words of the client library.
        reason: String,
    },
    /// There is something in the database already.
    #[error("the database {database} is not empty ({table}), and a move would mix two: {}", make_room(table))]
    NotEmpty {
        /// Where, without a password.
        database: String,
        /// A table that has rows.
        table: &'static str,
    },
    /// Another process uses the database.
    #[error("another process of Regain is connected to the database {0}: stop it, and run the command again")]
    Served(String),
    /// An unfinished move is from elsewhere.
    #[error(
        "the database {0} holds an unfinished move from another file: go on with that file, or begin anew after \
         DROP SCHEMA regain CASCADE"
    )]
    OtherSource(String),
    /// There is nothing left to do.
    #[error(
        "everything was moved from this file to the database {0} already; what happened there since is kept"
    )]
    Done(String),
    /// The file is not as it was when the move began.
    #[error(
        "{table} changed since a part of it was moved, in the file or in the database {database}: begin anew after \
         DROP SCHEMA regain CASCADE there"
    )]
    Changed {
        /// Where the part is, without a password.
        database: String,
        /// Which table.
        table: &'static str,
    },
    /// Both sides were read, and are not the same.
    #[error(
        "what is in the database {database} is not what is in the file ({}): the file changed since the move was begun, \
         or something else wrote to the database. It will not be served; begin anew after DROP SCHEMA regain CASCADE",
        tables(differences)
    )]
    Differs {
        /// Where, without a password.
        database: String,
        /// The tables that are not the same: in the file, and in the database.
        differences: Vec<(TableSum, TableSum)>,
    },
    /// PostgreSQL's own count of open letters is wrong.
    #[error(
        "the database {database} counts {counted} open letters, and has {open}: its triggers were changed"
    )]
    Miscounted {
        /// Where, without a password.
        database: String,
        /// What its count says.
        counted: i64,
        /// How many there are.
        open: i64,
    },
    /// A name for the file could not be drawn.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
    /// Whoever was told of the progress said stop.
    #[error("the move was stopped; run the command again, and it goes on from there")]
    Stopped,
    /// A thread that reads the file ended before its work.
    #[error("reading the file ended unexpectedly")]
    Ended,
}

/// What to do where this is the first table with rows.
fn make_room(table: &str) -> &'static str {
    match table {
        // Tables are looked at in an order with these last.
        "audit" | "meta" => {
            "it has no account and no letter, but a server was started on it, or a command run, before the move. What that left \
             may go: run DROP SCHEMA regain CASCADE there, and then this command again, before any server starts"
        }
        _ => {
            "name another one, or empty it with DROP SCHEMA regain CASCADE, which deletes the accounts in it"
        }
    }
}

/// How the row is found. The row itself is not shown: it may be somebody's name.
fn look(table: &str, key: &str, column: &str, flaw: Flaw) -> String {
    match flaw {
        Flaw::Nul => {
            format!(" (SELECT {key} FROM {table} WHERE instr({column}, char(0)) finds it)")
        }
        Flaw::Encoding | Flaw::Kind => String::new(),
    }
}

fn tables(differences: &[(TableSum, TableSum)]) -> String {
    let told = differences.iter().map(|(source, target)| {
        if source.rows == target.rows {
            format!("{}: {} rows on both sides, but not the same", source.table, source.rows)
        } else {
            format!("{}: {} rows in the file, {} in the database", source.table, source.rows, target.rows)
        }
    });
    told.collect::<Vec<_>>().join("; ")
}
