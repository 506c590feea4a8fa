//! Opening connections: files for their owner alone, durable, with cached statements.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::error::{OpenError, words};
use crate::data_lock::make_private_dir;

/// More statements than there are in this crate.
const CACHED_STATEMENTS: usize = 128;
/// The most that the writer's pages take in memory, in KiB.
const WRITER_CACHE_KIB: i64 = 16 * 1024;

/// Opens the database for writing, making it where it is missing.
pub(crate) fn writer(path: &Path, busy_timeout: Duration) -> Result<Connection, OpenError> {
    let io = |source| OpenError::Io { path: path.to_owned(), source };
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        make_private_dir(dir).map_err(io)?;
    }
    // SQLite would make the file as the umask says; the files beside it get the mode of this one.
    drop(open_private(path).map_err(io)?);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(unusable(path))?;
    configure(&connection, busy_timeout).map_err(unusable(path))?;
    connection.pragma_update(None, "cache_size", -WRITER_CACHE_KIB).map_err(unusable(path))?;
    make_durable(&connection, path, busy_timeout)?;
    Ok(connection)
}

/// Opens the database for reading.
pub(crate) fn reader(path: &Path, busy_timeout: Duration) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(unusable(path))?;
    configure(&connection, busy_timeout).map_err(unusable(path))?;
    connection.pragma_update(None, "query_only", true).map_err(unusable(path))?;
    Ok(connection)
}

/// Opens a file for writing, making it readable for its owner alone where it is missing.
fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Turns an error of SQLite into one that names the database.
pub(crate) fn unusable(path: &Path) -> impl Fn(rusqlite::Error) -> OpenError {
    move |error| OpenError::Unusable { path: path.to_owned(), reason: words(&error) }
}

fn configure(connection: &Connection, busy_timeout: Duration) -> rusqlite::Result<()> {
    connection.busy_timeout(busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(CACHED_STATEMENTS);
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // Otherwise SQLite looks at the values bound to a statement that partial indexes serve, to plan it anew for each:
    // that parsing took most of the writer's time. Our plans do not depend on values, and a test looks at them.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // Overwrites what is deleted where that costs no writes of its own: old password hashes need not linger.
    connection.query_row("PRAGMA secure_delete = FAST", (), |_| Ok(()))
}

/// Write-ahead log, and an fsync at each commit: with less, an answer could be lost to a power cut.
fn make_durable(connection: &Connection, path: &Path, patience: Duration) -> Result<(), OpenError> {
    let mode = switch_to_wal(connection, patience).map_err(unusable(path))?;
    if mode != "wal" {
        return Err(OpenError::NotDurable { path: path.to_owned(), pragma: "journal_mode", value: mode });
    }
    connection.pragma_update(None, "synchronous", "FULL").map_err(unusable(path))?;
    let level: i64 =
        connection.query_row("PRAGMA synchronous", (), |row| row.get(0)).map_err(unusable(path))?;
    if level != 2 {
        let value = level.to_string();
        return Err(OpenError::NotDurable { path: path.to_owned(), pragma: "synchronous", value });
    }
    Ok(())
}

/// Processes that open a new database at the same moment meet here, and SQLite's own waiting does not cover it.
fn switch_to_wal(connection: &Connection, patience: Duration) -> rusqlite::Result<String> {
    while_busy(patience, || connection.query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0)))
}

/// How often somebody who waits for another process looks whether it is done. Who writes much at a time has to leave the
/// database alone for longer than this in between.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// Tries again and again while another process has the database locked, for `patience` at most. Blocks.
///
/// SQLite's own waiting looks only every 100 ms before long, and so keeps missing the moments that somebody leaves who
/// writes one batch after the other.
pub(crate) fn while_busy<T>(
    patience: Duration,
    mut attempt: impl FnMut() -> rusqlite::Result<T>,
) -> rusqlite::Result<T> {
    let begun = Instant::now();
    loop {
        match attempt() {
            Err(error)
                if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                    && begun.elapsed() < patience =>
            {
                thread::sleep(LOOK_EVERY);
            }
            other => return other,
        }
    }
}
