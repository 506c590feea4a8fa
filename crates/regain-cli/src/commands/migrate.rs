//! `regain migrate`: the schema, apart from any start.

use anyhow::Result;
use clap::Args;
use regain::app::{Database, DatabaseOptions};

use crate::settings::ConfigFile;
use crate::{output, running};

/// Bring the database's schema up to date.
///
/// A server does so itself when it starts; this is for those who want it done before, or by another user of PostgreSQL.
#[derive(Args)]
#[command(after_help = "Examples:\n  regain migrate\n  regain migrate --config /etc/regain/regain.toml")]
pub(crate) struct Migrate {
    #[command(flatten)]
    config: ConfigFile,
}

impl Migrate {
    pub(crate) fn run(&self) -> Result<()> {
        let config = self.config.load()?;
        let told = running::block_on(async {
            let pending = Database::pending_migrations(&config).await?;
            let database = Database::open(&config, DatabaseOptions::default()).await?;
            let place = database.place();
            database.close().await;
            Ok(match pending {
                None => format!("{place} was made"),
                Some(0) => format!("{place} has the schema of this version already"),
                Some(1) => format!("{place}: 1 migration was applied"),
                Some(count) => format!("{place}: {count} migrations were applied"),
            })
        })?;
        Ok(output::say(&told)?)
    }
}
