//! The database that a configuration names: one file under the data path, or PostgreSQL.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use regain_core::{Clock, KeyMode, Store, StoreError, SystemClock};
use regain_store::{DataLock, LockError, OpenError, Options, SqliteStore};
#[cfg(feature = "postgres")]
use regain_store::{PostgresError, PostgresOptions, PostgresStore};
use tokio::sync::Mutex;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::config::Config;
use crate::courier::Watch;

/// The command line writes to the same file now and then; this is how soon the courier notices.
const LOOK_AT_FILE: Duration = Duration::from_secs(1);
/// A notification may be lost with its sender; this is how soon a letter is found without one.
#[cfg(feature = "postgres")]
const LOOK_AT_POSTGRES: Duration = Duration::from_secs(5);

/// How databases are opened, where not as usual.
#[derive(Clone, Debug, Default)]
pub struct DatabaseOptions {
    /// One in a file.
    pub file: Options,
    /// One in PostgreSQL; the number of connections is the configuration's.
    #[cfg(feature = "postgres")]
    pub postgres: PostgresOptions,
}

impl DatabaseOptions {
    /// As usual, but for how names are compared in a database that is made now.
    pub fn with_key_mode(mode: KeyMode) -> Self {
        let mut options = Self::default();
        options.file.key_mode_if_new = mode;
        #[cfg(feature = "postgres")]
        {
            options.postgres.key_mode_if_new = mode;
        }
        options
    }
}

/// A database cannot be opened. No message shows a password.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The file.
    #[error(transparent)]
    File(#[from] OpenError),
    /// Another process has the data path.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// PostgreSQL.
    #[cfg(feature = "postgres")]
    #[error(transparent)]
    Postgres(#[from] PostgresError),
}

/// A database that is open.
pub struct Database {
    kind: Kind,
    /// Nobody else serves from the data path. In PostgreSQL processes share the database, and may share the path.
    _lock: Option<DataLock>,
}

enum Kind {
    File(Arc<SqliteStore>),
    #[cfg(feature = "postgres")]
    Postgres(Arc<PostgresStore>),
}

/// Where the file of a configuration's database is, where it is in a file.
pub fn database_path(config: &Config) -> PathBuf {
    config.data_path.join("regain.db")
}

impl Database {
    /// Opens the database to serve from it: locks the data path where only one process may, and brings the schema up to date.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn open_to_serve(config: &Config, options: DatabaseOptions) -> Result<Self, DatabaseError> {
        if Self::is_shared(config) {
            return Self::open_by(config, options).await;
        }
        let lock = DataLock::acquire(&config.data_path)?;
        Ok(Self { _lock: Some(lock), ..Self::open_by(config, options).await? })
    }

    /// Opens the database for a command, beside whoever else uses it, and brings the schema up to date; makes it where it is
    /// missing. Somebody waits: a server that says nothing is given up soon.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn open(config: &Config, options: DatabaseOptions) -> Result<Self, DatabaseError> {
        #[cfg(feature = "postgres")]
        let options =
            DatabaseOptions { postgres: PostgresOptions { is_awaited: true, ..options.postgres }, ..options };
        Self::open_by(config, options).await
    }

    async fn open_by(config: &Config, options: DatabaseOptions) -> Result<Self, DatabaseError> {
        #[cfg(feature = "postgres")]
        if let Some(settings) = &config.database {
            let options = PostgresOptions { connections: config.database_connections, ..options.postgres };
            return Ok(Kind::Postgres(Arc::new(PostgresStore::open(settings, options).await?)).into());
        }
        Ok(Kind::File(Arc::new(SqliteStore::open(&database_path(config), options.file)?)).into())
    }

    /// As [`Database::open`], but as it is; never makes or migrates one.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn open_as_it_is(config: &Config) -> Result<Self, DatabaseError> {
        #[cfg(feature = "postgres")]
        if let Some(settings) = &config.database {
            let options = PostgresOptions { connections: 2, is_awaited: true, ..PostgresOptions::default() };
            return Ok(
                Kind::Postgres(Arc::new(PostgresStore::open_as_it_is(settings, options).await?)).into()
            );
        }
        Ok(Kind::File(Arc::new(SqliteStore::open_as_it_is(&database_path(config), Options::default())?))
            .into())
    }

    /// As [`Database::open_as_it_is`], and where it is a file, every step that writes fails.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn open_to_read(config: &Config) -> Result<Self, DatabaseError> {
        if Self::is_shared(config) {
            return Self::open_as_it_is(config).await;
        }
        Ok(Kind::File(Arc::new(SqliteStore::open_to_read(&database_path(config), &Options::default())?))
            .into())
    }

    /// Whether several processes may serve from this database at once.
    pub fn is_shared(config: &Config) -> bool {
        #[cfg(feature = "postgres")]
        return config.database.is_some();
        #[cfg(not(feature = "postgres"))]
        {
            let _ = config;
            false
        }
    }

    /// Whether there is a database, and how many migrations it would get by being opened; `None` where there is none. Changes
    /// nothing.
    ///
    /// # Errors
    /// See [`DatabaseError`].
    pub async fn pending_migrations(config: &Config) -> Result<Option<usize>, DatabaseError> {
        #[cfg(feature = "postgres")]
        if let Some(settings) = &config.database {
            return Ok(PostgresStore::pending_migrations(settings).await?);
        }
        let path = database_path(config);
        let is_there = path.try_exists().map_err(|source| OpenError::Io { path: path.clone(), source })?;
        Ok(if is_there { Some(SqliteStore::pending_migrations(&path)?) } else { None })
    }

    /// Where the database of a configuration is, without a password.
    pub fn place_of(config: &Config) -> String {
        #[cfg(feature = "postgres")]
        if let Some(settings) = &config.database {
            return settings.to_string();
        }
        database_path(config).display().to_string()
    }

    /// Where it is, without a password.
    pub fn place(&self) -> String {
        match &self.kind {
            Kind::File(store) => store.path().display().to_string(),
            #[cfg(feature = "postgres")]
            Kind::Postgres(store) => store.database().to_owned(),
        }
    }

    /// The port to it.
    pub fn store(&self) -> Arc<dyn Store> {
        match &self.kind {
            Kind::File(store) => store.clone(),
            #[cfg(feature = "postgres")]
            Kind::Postgres(store) => store.clone(),
        }
    }

    /// The time that whoever uses this database agrees on.
    pub fn clock(&self) -> Arc<dyn Clock> {
        match &self.kind {
            Kind::File(_) => Arc::new(SystemClock::start()),
            #[cfg(feature = "postgres")]
            Kind::Postgres(store) => store.clock(),
        }
    }

    /// Whether nothing can be written at the moment.
    pub fn is_failing(&self) -> bool {
        match &self.kind {
            Kind::File(store) => store.is_failing(),
            #[cfg(feature = "postgres")]
            Kind::Postgres(store) => store.is_failing(),
        }
    }

    /// How many transactions were committed, for benchmarks; in PostgreSQL those alone that posted letters.
    pub fn commits(&self) -> u64 {
        match &self.kind {
            Kind::File(store) => store.commits(),
            #[cfg(feature = "postgres")]
            Kind::Postgres(store) => store.post_commits(),
        }
    }

    /// What tells that others have written to it.
    pub(super) fn watch(&self) -> Arc<dyn Watch> {
        match &self.kind {
            Kind::File(store) => Arc::new(FileWatch { store: store.clone(), ticks: ticks(LOOK_AT_FILE) }),
            #[cfg(feature = "postgres")]
            Kind::Postgres(store) => {
                Arc::new(PostgresWatch { store: store.clone(), ticks: ticks(LOOK_AT_POSTGRES) })
            }
        }
    }

    /// Gives back what processes before this one had claimed, where none of them can be alive. Answers how much that was.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn free_claims_of_the_dead(&self) -> Result<usize, StoreError> {
        match &self.kind {
            // Whoever holds the lock is alone: a claim from before can only be a dead process's.
            Kind::File(store) => store.free_all_claims(self.clock().now()).await,
            // Others may live; the leases of the dead run out.
            #[cfg(feature = "postgres")]
            Kind::Postgres(store) => {
                store.leave_claims_for_a_lease();
                Ok(0)
            }
        }
    }

    /// Finishes what was handed over and closes it. Nothing is lost without this.
    pub async fn close(&self) {
        match &self.kind {
            Kind::File(store) => store.close().await,
            #[cfg(feature = "postgres")]
            Kind::Postgres(store) => store.close().await,
        }
    }
}

impl From<Kind> for Database {
    fn from(kind: Kind) -> Self {
        Self { kind, _lock: None }
    }
}

struct FileWatch {
    store: Arc<SqliteStore>,
    ticks: Mutex<Interval>,
}

#[async_trait::async_trait]
impl Watch for FileWatch {
    async fn changed_elsewhere(&self) {
        loop {
            self.ticks.lock().await.tick().await;
            // Where it cannot be told, looking does no harm.
            if self.store.changed_elsewhere().await.unwrap_or(true) {
                return;
            }
        }
    }
}

#[cfg(feature = "postgres")]
struct PostgresWatch {
    store: Arc<PostgresStore>,
    ticks: Mutex<Interval>,
}

#[cfg(feature = "postgres")]
#[async_trait::async_trait]
impl Watch for PostgresWatch {
    async fn changed_elsewhere(&self) {
        let mut ticks = self.ticks.lock().await;
        tokio::select! {
            () = self.store.posted_elsewhere() => {}
            _ = ticks.tick() => {}
        }
    }
}

/// Kept across calls, so that whoever stops waiting early does not begin anew each time.
fn ticks(every: Duration) -> Mutex<Interval> {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Mutex::new(ticks)
}
