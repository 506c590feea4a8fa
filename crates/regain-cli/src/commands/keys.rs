//! `regain keys`: the keys under the data path for the operator's hands. Never prints one.

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use regain::admin_token;
use regain::keys::Keys as KeyFiles;
use regain_core::OsRng;

use super::database::on_store;
use crate::settings::ConfigFile;
use crate::{logging, output};

/// Make keys anew.
#[derive(Subcommand)]
pub(crate) enum Keys {
    /// Make a new administrator's token; the one before ends at once.
    ///
    /// It is written to keys/admin.json under the data path, where tools made for ROS look for it, readable for its owner
    /// alone. It acts for the built-in administrator and does not expire. A running server takes it at once.
    #[command(after_help = "Example:\n  regain keys admin-token --config /etc/regain/regain.toml")]
    AdminToken(AdminToken),
}

#[derive(Args)]
pub(crate) struct AdminToken {
    #[command(flatten)]
    config: ConfigFile,
}

impl Keys {
    pub(crate) fn run(&self) -> Result<()> {
        logging::start()?;
        let Self::AdminToken(command) = self;
        Ok(output::say(&command.run()?)?)
    }
}

impl AdminToken {
    fn run(&self) -> Result<String> {
        let config = self.config.load()?;
        if !config.write_admin_token_to_json {
            bail!("writeAdminTokenToJson is false: no administrator's token is taken, so none is made");
        }
        on_store(&config, async |store, clock| {
            // A running server signs and checks with the key it has read: another one must not appear under it.
            let missing = KeyFiles::look(&config.data_path)?;
            if let Some(path) = missing.first() {
                bail!("{} is not there: `regain serve` makes it at its next start", path.display());
            }
            let keys = KeyFiles::open(&config.data_path, false, &OsRng)?;
            let now = clock.now();
            admin_token::reissue(&config.data_path, &keys.signing, store, &OsRng, now).await?;
            let path = admin_token::path(&config.data_path);
            Ok(format!("a new administrator's token is in {}; the one before has ended", path.display()))
        })
    }
}
