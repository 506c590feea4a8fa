//! `regain courier`: the delivery alone, beside servers that do none.

use anyhow::Result;
use clap::Args;

use super::serve::{begin, must_be_shared};
use crate::running;
use crate::settings::ConfigFile;

/// Deliver mail, and serve nothing.
///
/// For those who want to run the delivery apart from `regain serve --no-courier`, over one database in PostgreSQL. As many as
/// you like may run. Metrics are served where adminAddress says. SIGTERM and SIGINT (Ctrl+C) end it gracefully.
#[derive(Args)]
#[command(after_help = "Examples:\n  regain courier\n  regain courier --config /etc/regain/regain.toml")]
pub(crate) struct Courier {
    #[command(flatten)]
    config: ConfigFile,
}

impl Courier {
    pub(crate) fn run(&self) -> Result<()> {
        let config = begin(&self.config)?;
        must_be_shared(&config, "regain courier")?;
        running::block_on(running::courier(config))
    }
}
