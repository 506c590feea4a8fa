//! Opening the database of a configuration beside a running server, and closing it again. Decides nothing about what is in it.

use anyhow::{Result, bail};
use regain::Config;
use regain::app::database_path;
use regain_store::{Options, SqliteStore};

use crate::running;

/// Does `work` on the database, which must be there.
pub(super) fn on_store<T>(config: &Config, work: impl AsyncFnOnce(&SqliteStore) -> Result<T>) -> Result<T> {
    let path = database_path(config);
    if !path.try_exists()? {
        bail!("there is no database at {}: nothing was served from this data path yet", path.display());
    }
    on_new_store(config, work)
}

/// Does `work` on the database, which is made where it is not there.
pub(super) fn on_new_store<T>(
    config: &Config,
    work: impl AsyncFnOnce(&SqliteStore) -> Result<T>,
) -> Result<T> {
    running::block_on(async {
        let store = SqliteStore::open(&database_path(config), Options::default())?;
        let outcome = work(&store).await;
        store.close().await;
        outcome
    })
}
