//! A few read-only connections, so that looking something up never waits behind a commit.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use regain_core::StoreError;
use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::{task, time};

use super::connection;
use super::error::{OpenError, store_error};

/// A pool of connections that can only read.
pub(crate) struct Readers {
    idle: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
    patience: Duration,
}

impl Readers {
    /// Opens `count` connections (at least one).
    pub(crate) fn open(path: &Path, count: usize, busy_timeout: Duration) -> Result<Self, OpenError> {
        let count = count.max(1);
        let idle =
            (0..count).map(|_| connection::reader(path, busy_timeout)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            idle: Arc::new(Mutex::new(idle)),
            permits: Arc::new(Semaphore::new(count)),
            patience: busy_timeout,
        })
    }

    /// Reads, waiting for a free connection no longer than the busy time-out.
    pub(crate) async fn run<T, F>(&self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let permit = time::timeout(self.patience, Arc::clone(&self.permits).acquire_owned())
            .await
            .map_err(|_| StoreError::Unavailable("too many reads wait".to_owned()))?
            .map_err(|_| StoreError::Unavailable("the database is closed".to_owned()))?;
        let idle = Arc::clone(&self.idle);
        // The permit goes along: where the caller goes away, the read still has its connection to itself.
        let reading = task::spawn_blocking(move || {
            let lent = Lent::from(idle)?;
            let outcome = read(lent.connection()?).map_err(|e| store_error(&e));
            drop(lent);
            drop(permit);
            outcome
        });
        reading.await.unwrap_or_else(|_| Err(StoreError::Broken("a read panicked".to_owned())))
    }
}

/// A connection that goes back when it is dropped, also by a panic.
struct Lent {
    connection: Option<Connection>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl Lent {
    fn from(idle: Arc<Mutex<Vec<Connection>>>) -> Result<Self, StoreError> {
        let connection = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(Self { connection, idle })
    }

    fn connection(&self) -> Result<&Connection, StoreError> {
        self.connection.as_ref().ok_or_else(|| StoreError::Unavailable("no connection is free".to_owned()))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }
}
