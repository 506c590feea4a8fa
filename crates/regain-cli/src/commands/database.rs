//! Opening the database of a configuration beside a running server, and closing it again. Decides nothing about what is in it.
//!
//! Only what makes accounts may make or migrate a database: looking at one must not change it, least of all under a
//! running server of another version.

use anyhow::{Result, bail};
use regain::Config;
use regain::app::database_path;
use regain_store::{OpenError, Options, SqliteStore};

use crate::running;

/// Reads with `work` from the database, which must be there and is left as it is.
pub(super) fn on_store_to_read<T>(
    config: &Config,
    work: impl AsyncFnOnce(&SqliteStore) -> Result<T>,
) -> Result<T> {
    must_be_there(config)?;
    on(|| SqliteStore::open_to_read(&database_path(config), &Options::default()), work)
}

/// Does `work` on the database, which must be there, with the schema of this version.
pub(super) fn on_store_as_it_is<T>(
    config: &Config,
    work: impl AsyncFnOnce(&SqliteStore) -> Result<T>,
) -> Result<T> {
    must_be_there(config)?;
    on(|| SqliteStore::open_as_it_is(&database_path(config), Options::default()), work)
}

/// Does `work` on the database, which must be there.
pub(super) fn on_store<T>(config: &Config, work: impl AsyncFnOnce(&SqliteStore) -> Result<T>) -> Result<T> {
    must_be_there(config)?;
    on_new_store(config, work)
}

/// Does `work` on the database, which is made where it is not there.
pub(super) fn on_new_store<T>(
    config: &Config,
    work: impl AsyncFnOnce(&SqliteStore) -> Result<T>,
) -> Result<T> {
    on(|| SqliteStore::open(&database_path(config), Options::default()), work)
}

fn must_be_there(config: &Config) -> Result<()> {
    let path = database_path(config);
    if !path.try_exists()? {
        bail!("there is no database at {}: nothing was served from this data path yet", path.display());
    }
    Ok(())
}

fn on<T>(
    open: impl FnOnce() -> Result<SqliteStore, OpenError>,
    work: impl AsyncFnOnce(&SqliteStore) -> Result<T>,
) -> Result<T> {
    running::block_on(async {
        let store = open()?;
        let outcome = work(&store).await;
        store.close().await;
        outcome
    })
}
