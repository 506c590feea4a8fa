//! What the contract cannot ask for: sharing transactions, failing, opening, and what stands in the files.

mod audit;
mod broken_rows;
mod cheap_letters;
mod failing;
mod files;
mod grouping;
mod opening;
mod side_by_side;

use std::future::{Future, poll_fn};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::task::Poll;
use std::time::Duration;

use regain_core::testing::contract::fixture::Fixture;
use regain_core::{Store, StoreError};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use super::{Options, SqliteStore};

/// A store in a directory of its own.
struct Scene {
    store: Arc<SqliteStore>,
    dir: TempDir,
}

impl Scene {
    fn new() -> Self {
        Self::with(Options::default())
    }

    fn with(options: Options) -> Self {
        let dir = TempDir::new().unwrap();
        let store = Arc::new(SqliteStore::open(&dir.path().join("regain.db"), options).unwrap());
        Self { store, dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("regain.db")
    }

    fn fixture(&self) -> Fixture {
        Fixture::new(Arc::clone(&self.store) as Arc<dyn Store>)
    }

    /// Another process's connection.
    fn outside(&self) -> rusqlite::Connection {
        let outside = rusqlite::Connection::open(self.path()).unwrap();
        outside.busy_timeout(Duration::from_secs(10)).unwrap();
        outside
    }

    fn count(&self, table: &str) -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        self.outside().query_row(&sql, (), |row| row.get(0)).unwrap()
    }

    /// Keeps the writer busy with a step until [`Held::release`], so that what is handed over meanwhile waits together.
    fn hold(&self) -> Held {
        let (begun, has_begun) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let store = Arc::clone(&self.store);
        let step = tokio::spawn(async move {
            store
                .writer
                .run(move |_| {
                    begun.send(()).unwrap();
                    released.recv().unwrap();
                    Ok(())
                })
                .await
        });
        // Blocks a worker of the test's runtime; there is a second one.
        has_begun.recv().unwrap();
        Held { release, step }
    }
}

struct Held {
    release: mpsc::Sender<()>,
    step: JoinHandle<Result<(), StoreError>>,
}

impl Held {
    async fn release(self) {
        self.release.send(()).unwrap();
        self.step.await.unwrap().unwrap();
    }
}

/// Takes each future to its first wait: a step is then in the writer's queue.
async fn hand_over<'a, T>(
    futures: impl IntoIterator<Item = impl Future<Output = T> + 'a>,
) -> Vec<Pin<Box<dyn Future<Output = T> + 'a>>> {
    let mut pinned: Vec<Pin<Box<dyn Future<Output = T> + 'a>>> =
        futures.into_iter().map(|f| Box::pin(f) as Pin<Box<dyn Future<Output = T> + 'a>>).collect();
    poll_fn(|context| {
        for future in &mut pinned {
            assert!(future.as_mut().poll(context).is_pending());
        }
        Poll::Ready(())
    })
    .await;
    pinned
}
