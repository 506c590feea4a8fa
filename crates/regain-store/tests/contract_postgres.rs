//! The contract of a store, clause by clause, on PostgreSQL.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::sync::Arc;

use regain_core::Store;
use regain_store::testing::Cluster;
use regain_store::{PostgresOptions, PostgresStore};

async fn fresh() -> (Arc<dyn Store>, ()) {
    let settings = Cluster::shared().fresh_database().await.parse().unwrap();
    let store = PostgresStore::open(&settings, PostgresOptions::default()).await.unwrap();
    (Arc::new(store), ())
}

regain_core::store_contract!(fresh);
