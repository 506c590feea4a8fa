//! The store in PostgreSQL: for many equal processes over one database.
//!
//! A step is one statement, or one transaction; which of two that meet is first is decided by row locks and advisory locks.
//! What a step does is in `steps/`; this file opens and closes.

mod clock;
pub(crate) mod error;
mod faults;
mod listen;
pub(crate) mod migrate;
mod pool;
mod pooler;
mod post_group;
mod rows;
mod servers;
mod settings;
mod steps;
mod store;
pub(crate) mod tls;

use std::sync::Arc;
use std::time::Duration;

use regain_core::{KeyMode, StoreError};

pub use clock::DatabaseClock;
pub use error::PostgresError;
pub use settings::{PostgresSettings, SettingsError};

use listen::Listener;
use pool::Connections;
use post_group::PostGroup;
use servers::Servers;

/// How a database is used.
#[derive(Clone, Debug)]
pub struct PostgresOptions {
    /// How names are compared in a database that is made now; one that is there keeps its own way.
    pub key_mode_if_new: KeyMode,
    /// Connections at most, beside the one that listens.
    pub connections: usize,
    /// How long a step waits for a free connection, and for its answer.
    pub patience: Duration,
    /// Whether somebody waits for the answer, so that a server that says nothing is given up soon: after its `connect_timeout`
    /// and a little more, in place of 30 s.
    pub is_awaited: bool,
    /// Requests that may wait to be posted; beyond it they fail at once.
    pub waiting_posts: usize,
    /// Gives each request a transaction of its own. Several times slower under load: for the benchmark that says how much.
    pub one_transaction_per_post: bool,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            key_mode_if_new: KeyMode::default(),
            connections: 10,
            patience: Duration::from_secs(5),
            is_awaited: false,
            waiting_posts: 4096,
            one_transaction_per_post: false,
        }
    }
}

/// A store in a PostgreSQL database, shared with other processes.
pub struct PostgresStore {
    database: String,
    key_mode: KeyMode,
    connections: Arc<Connections>,
    posts: PostGroup,
    clock: Arc<DatabaseClock>,
    listener: Listener,
}

impl PostgresStore {
    /// Connects, and brings the schema up to date; of several processes that start at once, one does.
    ///
    /// # Errors
    /// See [`PostgresError`].
    pub async fn open(settings: &PostgresSettings, options: PostgresOptions) -> Result<Self, PostgresError> {
        Self::open_by(settings, options, migrate::migrate).await
    }

    /// Connects to a database as it is, beside whoever else uses it; never makes or migrates one.
    ///
    /// # Errors
    /// See [`PostgresError`]; [`PostgresError::Older`] where it needs migrations.
    pub async fn open_as_it_is(
        settings: &PostgresSettings,
        options: PostgresOptions,
    ) -> Result<Self, PostgresError> {
        Self::open_by(settings, options, migrate::check).await
    }

    /// How many migrations the database would get by being opened; `None` where it is empty. Changes nothing.
    ///
    /// # Errors
    /// See [`PostgresError`]; also [`PostgresError::NoRight`] and [`PostgresError::Unfinished`], as opening would say, and
    /// [`PostgresError::NoTableRight`], as steps would.
    pub async fn pending_migrations(settings: &PostgresSettings) -> Result<Option<usize>, PostgresError> {
        migrate::pending(settings, &tls::connector(settings)?).await
    }

    async fn open_by(
        settings: &PostgresSettings,
        options: PostgresOptions,
        prepare: impl AsyncFnOnce(
            &PostgresSettings,
            &tokio_postgres_rustls::MakeRustlsConnect,
            &PostgresOptions,
        ) -> Result<KeyMode, PostgresError>,
    ) -> Result<Self, PostgresError> {
        let tls = tls::connector(settings)?;
        let key_mode = prepare(settings, &tls, &options).await?;
        let clock = Arc::new(DatabaseClock::start());
        let servers = Servers::of(settings, tls);
        let listener = Listener::start(settings, servers.clone(), clock.clone()).await?;
        let connections =
            Arc::new(Connections::new(settings, servers, options.connections, options.patience)?);
        let posts = PostGroup::start(
            connections.clone(),
            listener.bell(),
            options.waiting_posts,
            options.one_transaction_per_post,
        );
        Ok(Self { database: settings.to_string(), key_mode, connections, posts, clock, listener })
    }

    /// Does a step that may post a letter, and tells other processes' couriers.
    async fn and_tell<T>(&self, step: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let outcome = step.await?;
        self.listener.bell().ring();
        Ok(outcome)
    }

    /// Where the database is, without a password.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The time that all processes on this database agree on.
    pub fn clock(&self) -> Arc<DatabaseClock> {
        self.clock.clone()
    }

    /// Leaves the claims of others alone until this process has run for one lease: who has just come cannot know whether
    /// the database's clock was set a moment ago, so that leases which look over are not.
    pub fn leave_claims_for_a_lease(&self) {
        self.clock.hold_off();
    }

    /// Waits until another process says that it has posted letters, or this one is connected anew and may have missed it.
    pub async fn posted_elsewhere(&self) {
        self.listener.heard().await;
    }

    /// Whether the database was not to be had at the last step, or refused a kind of step when that was last tried, within the
    /// last two minutes.
    pub fn is_failing(&self) -> bool {
        self.connections.is_failing()
    }

    /// How many transactions with posted letters were committed: each may have held many.
    pub fn post_commits(&self) -> u64 {
        self.posts.commits()
    }

    /// Finishes what was handed over and closes the connections. Steps that come later fail as unavailable.
    ///
    /// Nothing is lost without it: what was answered is durable.
    pub async fn close(&self) {
        self.posts.stop().await;
        self.listener.stop();
        self.connections.close();
    }
}
