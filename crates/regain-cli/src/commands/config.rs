//! `regain config`: the settings in force, and what may be set.

use anyhow::Result;
use clap::Subcommand;

use crate::output;
use crate::settings::{ConfigFile, environment};

/// Look at the configuration.
#[derive(Subcommand)]
pub(crate) enum Config {
    /// Show the settings in force: the file, the environment over it, and the defaults.
    ///
    /// The output is TOML. Its first line says which file was read, and which variables override it. A secret is shown as
    /// the file that it was read from, else as ***, which has to be filled in before this can be used as a configuration.
    #[command(
        after_help = "Examples:\n  regain config show\n  REGAIN_PORT=8080 regain config show --config site.json"
    )]
    Show {
        #[command(flatten)]
        config: ConfigFile,
    },
    /// Print a JSON Schema of the configuration, for editors.
    ///
    /// It knows every key, its type, range and default, and says what it is for. It is the same for TOML, YAML and
    /// JSON. What only the reader can know, such as whether a relay's address makes sense, `regain check` tells.
    #[command(
        after_help = "Example:\n  regain config schema > regain.schema.json\n\nThe first line of the configuration names \
        it to the editor:\n  regain.yaml  # yaml-language-server: $schema=./regain.schema.json\n  regain.toml  \
        #:schema ./regain.schema.json"
    )]
    Schema,
}

impl Config {
    pub(crate) fn run(&self) -> Result<()> {
        let Self::Show { config } = self else {
            return Ok(output::say(&regain::config::schema())?);
        };
        let settings = config.load()?;
        for warning in settings.warnings() {
            output::complain(&format!("regain: warning: {warning}"));
        }
        let environment = environment();
        let variables: Vec<_> = environment.overrides().collect();
        let over = match (config.path(), variables.is_empty()) {
            (Some(_), false) => format!(", overridden by {}", variables.join(", ")),
            (None, false) => format!(": {}", variables.join(", ")),
            (_, true) => String::new(),
        };
        let from = output::printable(&format!("{}{over}", config.source()));
        Ok(output::say(&format!("# {from}\n{}", regain::config::show(&settings).trim_end()))?)
    }
}
