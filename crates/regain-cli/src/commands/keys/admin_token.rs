//! `regain keys admin-token`. Never prints the token.

use anyhow::{Result, bail};
use clap::Args;
use regain::admin_token;
use regain::keys::FoundKeys;
use regain_core::OsRng;

use crate::commands::database::on_store;
use crate::settings::ConfigFile;

/// Make a new administrator's token; the one before ends at once.
///
/// It is written to keys/admin.json under the data path, where tools made for ROS look for it, readable for its owner
/// alone. It acts for the built-in administrator and does not expire. A running server takes it at once.
#[derive(Args)]
#[command(after_help = "Example:\n  regain keys admin-token --config /etc/regain/regain.toml")]
pub(crate) struct AdminToken {
    #[command(flatten)]
    config: ConfigFile,
}

impl AdminToken {
    pub(super) fn run(&self) -> Result<String> {
        let config = self.config.load()?;
        if !config.write_admin_token_to_json {
            bail!("writeAdminTokenToJson is false: no administrator's token is taken, so none is made");
        }
        on_store(&config, async |store, clock| {
            // A running server signs and checks with the key it has read: another one must not appear under it.
            let found = FoundKeys::look(&config)?;
            let now = clock.now();
            found.must_agree(store, now).await?;
            let missing = found.missing();
            let signing = match (missing.first(), found.signing()) {
                (None, Some(signing)) => signing,
                (Some(path), _) => {
                    bail!("{} is not there: `regain serve` makes it at its next start", path.display())
                }
                (None, None) => bail!("there is no signing key"),
            };
            admin_token::reissue(&config.data_path, &signing, store, &OsRng, now).await?;
            let path = admin_token::path(&config.data_path);
            Ok(format!("a new administrator's token is in {}; the one before has ended", path.display()))
        })
    }
}
