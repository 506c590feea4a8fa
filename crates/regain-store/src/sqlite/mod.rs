//! The store in one SQLite file: for one machine, without another server. The default.
//!
//! One thread writes, a few connections read. What a step does is in `steps/`; this file opens and closes.

pub(crate) mod connection;
pub(crate) mod error;
pub(crate) mod migrate;
mod readers;
mod rows;
mod steps;
mod store;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use regain_core::{KeyMode, StoreError};
use rusqlite::Connection;

pub use error::OpenError;

#[cfg(all(test, feature = "postgres"))]
pub(crate) use migrate::MIGRATIONS;

use connection::unusable;
use readers::Readers;
use writer::Writer;

/// How a database is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// How names are compared in a database that is made now; one that is there keeps its own way.
    pub key_mode_if_new: KeyMode,
    /// Connections that read.
    pub readers: usize,
    /// How long a step waits for another process that writes, and a read for a free connection.
    pub busy_timeout: Duration,
    /// Steps that may wait to be written; beyond it they fail at once.
    pub waiting_steps: usize,
    /// Gives each step a transaction, and so an fsync, of its own. Several times slower under load: for the
    /// benchmark that says how much, and for file systems on which long transactions misbehave.
    pub one_transaction_per_step: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            key_mode_if_new: KeyMode::default(),
            readers: 4,
            busy_timeout: Duration::from_secs(5),
            waiting_steps: 4096,
            one_transaction_per_step: false,
        }
    }
}

/// A store in one SQLite file.
pub struct SqliteStore {
    path: PathBuf,
    key_mode: KeyMode,
    writer: Arc<Writer>,
    readers: Readers,
    version_seen: AtomicI64,
}

impl SqliteStore {
    /// Opens the database at `path` and brings its schema up to date; makes it, for its owner alone, where it is missing.
    /// Blocks for some milliseconds.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: &Path, options: Options) -> Result<Self, OpenError> {
        let mut writer = connection::writer(path, options.busy_timeout)?;
        let key_mode = migrate::migrate(&mut writer, path, options.key_mode_if_new)?;
        let version = data_version(&writer).map_err(unusable(path))?;
        let readers = Readers::open(path, options.readers, options.busy_timeout)?;
        let writer = Writer::start(writer, path, &options)?;
        Ok(Self {
            path: path.to_owned(),
            key_mode,
            writer: Arc::new(writer),
            readers,
            version_seen: AtomicI64::new(version),
        })
    }

    /// Opens the database at `path` as it is, beside whoever else has it open; never makes or migrates one. Blocks for some
    /// milliseconds.
    ///
    /// # Errors
    /// See [`OpenError`]; [`OpenError::Older`] where it needs migrations.
    pub fn open_as_it_is(path: &Path, options: Options) -> Result<Self, OpenError> {
        Self::refuse_older(path)?;
        Self::open(path, options)
    }

    /// As [`SqliteStore::open_as_it_is`], and for reading alone: every step that writes fails as unavailable.
    ///
    /// # Errors
    /// See [`OpenError`]; [`OpenError::Older`] where it needs migrations.
    pub fn open_to_read(path: &Path, options: &Options) -> Result<Self, OpenError> {
        Self::refuse_older(path)?;
        let connection = connection::reader(path, options.busy_timeout)?;
        let key_mode = migrate::key_mode_of(&connection, path)?;
        Ok(Self {
            path: path.to_owned(),
            key_mode,
            writer: Arc::new(Writer::none()),
            readers: Readers::open(path, options.readers, options.busy_timeout)?,
            version_seen: AtomicI64::default(),
        })
    }

    fn refuse_older(path: &Path) -> Result<(), OpenError> {
        match Self::pending_migrations(path)? {
            0 => Ok(()),
            _ => Err(OpenError::Older { path: path.to_owned() }),
        }
    }

    /// How many migrations the database at `path` would get by being opened. Opens it for reading alone and changes nothing.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn pending_migrations(path: &Path) -> Result<usize, OpenError> {
        let connection = connection::reader(path, Options::default().busy_timeout)?;
        migrate::pending(&connection, path)
    }

    /// Where the database is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Finishes the steps that wait, moves the write-ahead log into the database and ends the writing thread.
    /// Steps that come later fail as unavailable; reads still work.
    ///
    /// Nothing is lost without it: what was answered is durable.
    pub async fn close(&self) {
        let writer = Arc::clone(&self.writer);
        // An error means that the runtime is going down; the thread ends with the last sender then.
        let _ = tokio::task::spawn_blocking(move || writer.stop()).await;
    }

    /// Whether another process has written to the database since this was last asked (or since it was opened).
    ///
    /// The courier asks now and then, so that a retry on the command line wakes it. Costs no fsync. Another process that
    /// only closed the database may count once too.
    ///
    /// # Errors
    /// When the database cannot be asked.
    pub async fn changed_elsewhere(&self) -> Result<bool, StoreError> {
        // The writer's own connection does not count what it has written itself.
        let version = self.writer.run(data_version).await?;
        Ok(self.version_seen.swap(version, Ordering::Relaxed) != version)
    }

    /// Whether nothing can be written at the moment: the disk is full, another process holds the database.
    pub fn is_failing(&self) -> bool {
        self.writer.is_failing()
    }

    /// How many transactions were committed since it was opened: each was one fsync, and may have held many steps.
    pub fn commits(&self) -> u64 {
        self.writer.commits()
    }
}

fn data_version(c: &Connection) -> rusqlite::Result<i64> {
    c.prepare_cached("PRAGMA data_version")?.query_row((), |row| row.get(0))
}
