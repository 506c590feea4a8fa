//! `regain users`: the accounts for the operator's eyes and hands, beside a running server or without one.
//!
//! It opens the database without the lock of the data path: every step is one the store allows to several processes. It
//! never shows a hash, but in an export; names are masked unless they are asked for.

mod change;
mod create;
mod export;
mod import;
mod list;
mod password;
mod target;
mod view;

use anyhow::Result;
use clap::Subcommand;

use crate::{logging, output};

/// Look at accounts, make and change them, bring them in from elsewhere or take them out.
#[derive(Subcommand)]
pub(crate) enum Users {
    Import(import::Import),
    Export(export::Export),
    List(list::List),
    Show(list::Show),
    Create(create::Create),
    SetPassword(password::SetPassword),
    /// Let nobody use an account until it is enabled again.
    ///
    /// Its sessions end and its reset links die. From outside it looks like an account with another password.
    Disable(change::One),
    /// Let an account that was disabled be used again.
    ///
    /// Sessions and links from before stay ended.
    Enable(change::One),
    /// Let an account act for all others.
    ///
    /// It must have a password, and not an empty one.
    GrantAdmin(change::One),
    /// Let an account act for itself alone.
    RevokeAdmin(change::One),
    Delete(change::Delete),
}

impl Users {
    pub(crate) fn run(&self) -> Result<()> {
        logging::start()?;
        let said = match self {
            // Writes to stdout itself.
            Self::Export(command) => return command.run(),
            Self::Import(command) => command.run(),
            Self::List(command) => command.run(),
            Self::Show(command) => command.run(),
            Self::Create(command) => command.run(),
            Self::SetPassword(command) => command.run(),
            Self::Disable(one) => one.set_disabled(true),
            Self::Enable(one) => one.set_disabled(false),
            Self::GrantAdmin(one) => one.set_admin(true),
            Self::RevokeAdmin(one) => one.set_admin(false),
            Self::Delete(command) => command.run(),
        }?;
        Ok(output::say(&said)?)
    }
}
