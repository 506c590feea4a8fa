//! Connections, and how steps are done on them: with bounded waits, again after a conflict, never answered before a commit.

use std::future::Future;
use std::marker::PhantomData;
use std::panic::Location;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Transaction};
use futures_util::future::BoxFuture;
use regain_core::StoreError;
use tokio::time::{Instant, timeout};

use super::error::{PostgresError, StepError};
use super::faults::{Faults, Kind};
use super::servers::Servers;
use super::settings::PostgresSettings;

/// A step that meets others at the same rows is done so often before it is given up.
const ATTEMPTS: usize = 8;

/// What each session is told. Names are looked up in our schema alone, whatever the role's defaults. Half a group is never
/// seen, so the weakest isolation suffices; who waits for a row longer than this is better off with an error. A server whose
/// commits do not wait for the disk is told to wait. Everything is found by an index, also in a table that is small still: its
/// plans are kept while it grows. A transaction whose client has vanished lets go of its rows. That a commit is on no standby is
/// a warning, and must be told. Whether it may write is left to the server: one that is made read-only refuses from the next
/// step on.
pub(super) const SESSION: &str = "
    SET search_path = regain, pg_temp;
    SET default_transaction_isolation = 'read committed';
    SET jit = off;
    SET enable_seqscan = off;
    SET lock_timeout = '4s';
    SET statement_timeout = 0;
    SET idle_in_transaction_session_timeout = '15s';
    SET client_min_messages = warning;
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'";

/// Tells the compiler that what a step borrows (`'a`) lives longer than its turn on a connection (`'t`).
pub(crate) type Outlives<'t, 'a> = PhantomData<&'t &'a ()>;

/// A pool of connections.
pub(crate) struct Connections {
    pool: Pool,
    patience: Duration,
    faults: Faults,
}

impl Connections {
    /// A pool of at most `size` connections, each made when it is first needed. A step gets no connection, or no answer, for
    /// at most `patience`.
    pub(crate) fn new(
        settings: &PostgresSettings,
        servers: Servers,
        size: usize,
        patience: Duration,
    ) -> Result<Self, PostgresError> {
        let how = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let manager = Manager::from_connect(settings.config.clone(), servers, how);
        let pool = Pool::builder(manager)
            .max_size(size.max(1))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| PostgresError::Tls(error.to_string()))?;
        Ok(Self { pool, patience, faults: Faults::default() })
    }

    /// Does a step that is one statement, or that only reads.
    #[track_caller]
    pub(crate) fn run<'a, T>(
        &self,
        work: impl for<'c> Fn(&'c mut Object, Outlives<'c, 'a>) -> BoxFuture<'c, Result<T, StepError>>,
    ) -> impl Future<Output = Result<T, StoreError>> {
        self.run_as(Location::caller(), work)
    }

    async fn run_as<'a, T>(
        &self,
        kind: Kind,
        work: impl for<'c> Fn(&'c mut Object, Outlives<'c, 'a>) -> BoxFuture<'c, Result<T, StepError>>,
    ) -> Result<T, StoreError> {
        let mut attempt = 1;
        loop {
            let mut client = self.get().await?;
            let outcome = self.in_time(work(&mut client, PhantomData)).await;
            self.give_back_of(kind, client, &outcome);
            match outcome {
                Err(error) if error.is_conflict() && attempt < ATTEMPTS => attempt += 1,
                outcome => return outcome.map_err(StoreError::from),
            }
        }
    }

    /// Does a step in a transaction of its own, and answers after its commit.
    #[track_caller]
    pub(crate) fn transact<'a, T: Send>(
        &self,
        work: impl for<'t> Fn(&'t Transaction<'t>, Outlives<'t, 'a>) -> BoxFuture<'t, Result<T, StepError>> + Sync,
    ) -> impl Future<Output = Result<T, StoreError>> {
        let kind = Location::caller();
        async move {
            self.run_as(kind, |client, _| {
                let work = &work;
                Box::pin(async move {
                    let transaction = client.transaction().await?;
                    let value = work(&transaction, PhantomData).await?;
                    transaction.commit().await?;
                    Ok(value)
                })
            })
            .await
        }
    }

    /// A connection, for at most the usual patience: to wait for a free one and to make it, together.
    pub(crate) async fn get(&self) -> Result<Object, StepError> {
        let late = Err(StepError::Pool("no connection to it was to be had in time"));
        let got = timeout(self.patience, async { Ok(self.pool.get().await?) }).await.unwrap_or(late);
        // Without a connection there is no step, whatever the server says.
        got.inspect_err(|_| self.faults.no_connection())
    }

    /// How long a step waits, for a connection and for its answer.
    pub(crate) fn patience(&self) -> Duration {
        self.patience
    }

    /// Waits for an answer for at most the usual patience.
    pub(crate) async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, StepError>>,
    ) -> Result<T, StepError> {
        timeout(self.patience, work).await.unwrap_or(Err(StepError::TooLate))
    }

    /// Gives a connection back, or closes it where it is of no use any more.
    #[track_caller]
    pub(crate) fn give_back<T>(&self, client: Object, outcome: &Result<T, StepError>) {
        self.give_back_of(Location::caller(), client, outcome);
    }

    fn give_back_of<T>(&self, kind: Kind, client: Object, outcome: &Result<T, StepError>) {
        self.faults.note(kind, outcome, Instant::now());
        if let Err(error) = outcome {
            if error.spoils_connection() {
                drop(Object::take(client));
            }
            if error.spoils_all() {
                // They look alive, and each would cost another step its patience.
                self.pool.retain(|_, _| false);
            }
        }
    }

    /// Whether something cannot be done because of the database, whatever is asked.
    pub(crate) fn is_failing(&self) -> bool {
        self.faults.is_any(Instant::now())
    }

    /// Closes all connections; steps that come later fail as unavailable.
    pub(crate) fn close(&self) {
        self.pool.close();
    }
}
