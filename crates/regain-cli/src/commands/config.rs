//! `regain config`: the settings in force.

use anyhow::Result;
use clap::Subcommand;

use crate::output;
use crate::settings::ConfigFile;

/// Look at the configuration.
#[derive(Subcommand)]
pub(crate) enum Config {
    /// Show the settings in force: the file, the environment over it, and the defaults.
    ///
    /// The output is TOML. Secrets are shown as ***, so the relay's password has to be filled in before it can be
    /// used as a configuration.
    #[command(
        after_help = "Examples:\n  regain config show\n  REGAIN_PORT=8080 regain config show --config site.json"
    )]
    Show {
        #[command(flatten)]
        config: ConfigFile,
    },
}

impl Config {
    pub(crate) fn run(&self) -> Result<()> {
        let Self::Show { config } = self;
        let settings = config.load()?;
        for warning in settings.warnings() {
            output::complain(&format!("regain: warning: {warning}"));
        }
        Ok(output::say(regain::config::show(&settings).trim_end())?)
    }
}
