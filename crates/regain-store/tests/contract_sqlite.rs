//! The contract of a store, clause by clause, on SQLite.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::sync::Arc;

use regain_core::Store;
use regain_store::{Options, SqliteStore};
use tempfile::TempDir;

async fn fresh() -> (Arc<dyn Store>, TempDir) {
    let dir = TempDir::new().unwrap();
    let store = SqliteStore::open(&dir.path().join("regain.db"), Options::default()).unwrap();
    (Arc::new(store), dir)
}

regain_core::store_contract!(fresh);
