//! Opening the database of a configuration beside a running server, and closing it again. Decides nothing about what is in it.
//!
//! Only what makes accounts may make or migrate a database: looking at one must not change it, least of all under a
//! running server of another version.

use anyhow::{Result, bail};
use regain::Config;
use regain::app::{Database, DatabaseError, DatabaseOptions, database_path};
use regain_core::{Clock, Store};

use crate::running;

/// Reads with `work` from the database, which must be there and is left as it is. `work` is given the time that all who use
/// the database agree on.
pub(super) fn on_store_to_read<T>(
    config: &Config,
    work: impl AsyncFnOnce(&dyn Store, &dyn Clock) -> Result<T>,
) -> Result<T> {
    must_be_there(config)?;
    on(Database::open_to_read(config), work)
}

/// Does `work` on the database, which must be there, with the schema of this version.
pub(super) fn on_store_as_it_is<T>(
    config: &Config,
    work: impl AsyncFnOnce(&dyn Store, &dyn Clock) -> Result<T>,
) -> Result<T> {
    must_be_there(config)?;
    on(Database::open_as_it_is(config), work)
}

/// Does `work` on the database, which must be there, and is brought up to date.
pub(super) fn on_store<T>(
    config: &Config,
    work: impl AsyncFnOnce(&dyn Store, &dyn Clock) -> Result<T>,
) -> Result<T> {
    must_be_there(config)?;
    on_new_store(config, work)
}

/// Does `work` on the database, which is made where it is not there.
pub(super) fn on_new_store<T>(
    config: &Config,
    work: impl AsyncFnOnce(&dyn Store, &dyn Clock) -> Result<T>,
) -> Result<T> {
    on(Database::open(config, DatabaseOptions::default()), work)
}

/// PostgreSQL itself tells what is not there.
fn must_be_there(config: &Config) -> Result<()> {
    let path = database_path(config);
    if !Database::is_shared(config) && !path.try_exists()? {
        bail!("there is no database at {}: nothing was served from this data path yet", path.display());
    }
    Ok(())
}

fn on<T>(
    opening: impl Future<Output = Result<Database, DatabaseError>>,
    work: impl AsyncFnOnce(&dyn Store, &dyn Clock) -> Result<T>,
) -> Result<T> {
    running::block_on(async {
        let database = opening.await?;
        let outcome = work(&*database.store(), &*database.clock()).await;
        database.close().await;
        outcome
    })
}
