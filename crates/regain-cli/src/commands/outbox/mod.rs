//! `regain outbox`: the queue of mails for the operator's eyes and hands, beside a running server or without one.
//!
//! It opens the database without the lock of the data path: every step is one the store allows to several processes,
//! and a courier looks for changes of others. It never shows a token; a letter holds none. It never migrates a database.

mod change;
mod list;
mod search;
mod stats;
mod view;
mod when;

use anyhow::Result;
use clap::Subcommand;
use regain_core::LetterId;

use crate::{logging, output};

/// Look at the mails that are owed, send them again, or drop them.
#[derive(Subcommand)]
#[command(after_help = "Examples:\n  regain outbox stats\n  regain outbox list --state dead --since 1d\n  \
    regain outbox show 019ab1c2-d3e4-7f56-8a9b-0c1d2e3f4a5b\n  regain outbox retry --state dead --code 550 --since 2h")]
pub(crate) enum Outbox {
    List(list::List),
    Show(list::Show),
    Stats(stats::Stats),
    Retry(change::Retry),
    Drop(change::Drop),
}

impl Outbox {
    pub(crate) fn run(&self) -> Result<()> {
        logging::start()?;
        let said = match self {
            Self::List(command) => command.run(),
            Self::Show(command) => command.run(),
            Self::Stats(command) => command.run(),
            Self::Retry(command) => command.run(),
            Self::Drop(command) => command.run(),
        }?;
        Ok(output::say(&said)?)
    }
}

fn letter_id(text: &str) -> Result<LetterId, &'static str> {
    LetterId::parse(text).ok_or("is no id of a letter, such as 019ab1c2-d3e4-7f56-8a9b-0c1d2e3f4a5b")
}
