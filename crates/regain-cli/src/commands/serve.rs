//! `regain serve`: the real thing. Must never have anything of `regain dev`.

use anyhow::Result;
use clap::Args;
use regain::app::{Database, Role};
use regain::{Config, Delivery};

use super::check::relay::{RESERVED, is_example};
use crate::exit::misconfigured;
use crate::privacy::{Exposed, exposed};
use crate::settings::{ConfigFile, environment};
use crate::{logging, running};

/// Serve the API and the pages, and deliver mail through the relay.
///
/// Prints one line on stdout when it is ready; logs go to stderr. SIGTERM and SIGINT (Ctrl+C) end it gracefully:
/// requests and deliveries under way are finished, and mail that still waits goes out at the next start. A second
/// signal ends it at once; nothing that was acknowledged is lost by that either.
#[derive(Args)]
#[command(after_help = "Examples:\n  regain serve\n  regain serve --config /etc/regain/regain.toml\n  \
    REGAIN_PORT=8080 REGAIN_LOG=debug regain serve\n  regain serve --no-courier")]
pub(crate) struct Serve {
    /// Deliver no mail: `regain courier` does, beside this. Needs a database in PostgreSQL
    #[arg(long)]
    no_courier: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl Serve {
    pub(crate) fn run(&self) -> Result<()> {
        let config = begin(&self.config)?;
        if self.no_courier {
            must_be_shared(&config, "--no-courier")?;
        }
        let role = if self.no_courier { Role::Server } else { Role::Both };
        running::block_on(running::serve(config, Delivery::Relay, role, None, |address| {
            Ok(format!("regain is listening on {}", running::url_of(address)))
        }))
    }
}

/// Starts the log, loads the configuration, and warns of what an operator should look at.
pub(super) fn begin(file: &ConfigFile) -> Result<Config> {
    logging::start()?;
    let config = file.load()?;
    tracing::info!(
        config = %file.source(),
        data = %config.data_path.display(),
        database = %Database::place_of(&config),
        "starting"
    );
    for warning in config.warnings() {
        tracing::warn!("{warning}");
    }
    for Exposed::Writable(text) | Exposed::Readable(text) in exposed(&config, file.path(), &environment()) {
        tracing::warn!("{text}");
    }
    if config.email().is_some_and(|email| email.relays.iter().any(|relay| is_example(relay.host()))) {
        tracing::warn!("connectionString leads to {RESERVED}, so mails wait: write your relay into it");
    }
    if config.email().is_none() {
        tracing::warn!("no emailHandlerConfig: no mail is sent, and requests for mail are answered with 501");
    }
    Ok(config)
}

/// A database in a file is one process's alone.
pub(super) fn must_be_shared(config: &Config, what: &str) -> Result<()> {
    if Database::is_shared(config) {
        return Ok(());
    }
    Err(misconfigured(format!(
        "{what} is for several processes over one database: set `database` to the URL of one in PostgreSQL; with a \
         database in a file, `regain serve` does it all"
    )))
}
