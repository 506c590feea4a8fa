//! `regain keys`: the keys of this process for the operator's hands. Prints none but a fresh one.

mod accept;
mod admin_token;
mod generate;
mod show;

use anyhow::Result;
use clap::Subcommand;

use crate::{logging, output};

pub(super) use show::words;

/// Make keys, and see which are in force.
#[derive(Subcommand)]
pub(crate) enum Keys {
    Generate(generate::Generate),
    Show(show::Show),
    Accept(accept::Accept),
    AdminToken(admin_token::AdminToken),
}

impl Keys {
    pub(crate) fn run(&self) -> Result<()> {
        logging::start()?;
        let told = match self {
            Self::Generate(command) => command.run()?,
            Self::Show(command) => command.run()?,
            Self::Accept(command) => command.run()?,
            Self::AdminToken(command) => command.run()?,
        };
        Ok(output::say(&told)?)
    }
}
