//! `regain serve`: the real thing. Must never have anything of `regain dev`.

use anyhow::Result;
use clap::Args;
use regain::Delivery;

use super::check::relay::is_example;
use crate::privacy::{Exposed, exposed};
use crate::settings::ConfigFile;
use crate::{logging, running};

/// Serve the API and the pages, and deliver mail through the relay.
///
/// Prints one line on stdout when it is ready; logs go to stderr. SIGTERM and SIGINT (Ctrl+C) end it gracefully:
/// requests and deliveries under way are finished, and mail that still waits goes out at the next start. A second
/// signal ends it at once; nothing that was acknowledged is lost by that either.
#[derive(Args)]
#[command(after_help = "Examples:\n  regain serve\n  regain serve --config /etc/regain/regain.toml\n  \
    REGAIN_PORT=8080 REGAIN_LOG=debug regain serve")]
pub(crate) struct Serve {
    #[command(flatten)]
    config: ConfigFile,
}

impl Serve {
    pub(crate) fn run(&self) -> Result<()> {
        logging::start()?;
        let config = self.config.load()?;
        tracing::info!(config = %self.config.source(), data = %config.data_path.display(), "starting");
        for warning in config.warnings() {
            tracing::warn!("{warning}");
        }
        for Exposed::Writable(text) | Exposed::Readable(text) in exposed(&config, self.config.path()) {
            tracing::warn!("{text}");
        }
        if config.email().is_some_and(|email| email.relays.iter().any(|relay| is_example(relay.host()))) {
            tracing::warn!("connectionString is still the example, so mails wait: write your relay into it");
        }
        if config.email().is_none() {
            tracing::warn!(
                "no emailHandlerConfig: no mail is sent, and requests for mail are answered with 501"
            );
        }
        running::block_on(running::serve(config, Delivery::Relay, None, |address| {
            Ok(format!("regain is listening on {}", running::url_of(address)))
        }))
    }
}
