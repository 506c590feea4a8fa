//! What SQLite's errors mean to a caller. Messages are SQLite's own fixed words: never the values of a row.

use std::path::PathBuf;

use regain_core::StoreError;
use rusqlite::{Error, ErrorCode, ffi};

/// The database was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its directory or file cannot be made, or is another user's.
    #[error("cannot make or open the database {path}")]
    Io {
        /// The database.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: std::io::Error,
    },
    /// SQLite cannot open it.
    #[error("cannot open the database {path}: {reason}")]
    Unusable {
        /// The database.
        path: PathBuf,
        /// SQLite's words.
        reason: String,
    },
    /// The file is a database of something else.
    #[error("{0} is a database, but not one of Regain")]
    Foreign(PathBuf),
    /// A newer Regain has migrated it.
    #[error(
        "the database {path} has schema {found}, but this version of Regain knows schemas up to {known} only; \
         run a newer version"
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that is known here.
        known: i64,
    },
    /// Its schema is that of an older version, and it was opened without bringing it up to date.
    #[error(
        "the database {path} has the schema of an older version of Regain; it is brought up to date when the server of \
         this version starts. Start that once, or use the command of the version that serves now"
    )]
    Older {
        /// The database.
        path: PathBuf,
    },
    /// A migration that was applied is not the one that is known by its number.
    #[error(
        "the database {path} was migrated with another text of migration {number}; it was not made by a release"
    )]
    Altered {
        /// The database.
        path: PathBuf,
        /// Which one.
        number: i64,
    },
    /// WAL or full synchronisation did not take, so that an answer would promise too much.
    #[error(
        "the database {path} cannot be made durable: {pragma} stayed {value} (is it on a network file system?)"
    )]
    NotDurable {
        /// The database.
        path: PathBuf,
        /// Which pragma.
        pragma: &'static str,
        /// Its value.
        value: String,
    },
    /// The writer's thread cannot be started.
    #[error("cannot start the thread that writes to the database")]
    Thread(#[source] std::io::Error),
}

/// What an error of a step means: whether trying again may help.
pub(crate) fn store_error(error: &Error) -> StoreError {
    let words = words(error);
    if may_pass(error) { StoreError::Unavailable(words) } else { StoreError::Broken(words) }
}

/// The same for an error that undid a whole group of steps.
pub(crate) fn unavailable(error: &Error) -> StoreError {
    StoreError::Unavailable(words(error))
}

fn may_pass(error: &Error) -> bool {
    error.sqlite_error_code().is_some_and(|code| {
        matches!(
            code,
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DiskFull
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::OutOfMemory
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::OperationInterrupted
                | ErrorCode::OperationAborted
        )
    })
}

/// Words without values: SQLite's text of the code, or which column could not be read.
pub(crate) fn words(error: &Error) -> String {
    match error {
        Error::SqliteFailure(ffi::Error { extended_code, .. }, _)
        | Error::SqlInputError { error: ffi::Error { extended_code, .. }, .. } => {
            format!("{} (SQLite {extended_code})", ffi::code_to_str(*extended_code))
        }
        Error::FromSqlConversionFailure(column, ..) | Error::IntegralValueOutOfRange(column, _) => {
            format!("column {column} of a row cannot be read")
        }
        Error::InvalidColumnType(column, ..) => format!("column {column} of a row has an unexpected type"),
        Error::QueryReturnedNoRows => "a row is missing".to_owned(),
        _ => "SQLite was called wrongly".to_owned(),
    }
}
