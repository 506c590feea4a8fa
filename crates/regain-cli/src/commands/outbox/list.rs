//! `regain outbox list` and `show`.

use anyhow::{Result, bail};
use clap::Args;
use regain_core::LetterId;
use regain_core::store::LetterFilter;

use super::letter_id;
use super::search::Search;
use super::view::Form;
use crate::commands::database::on_store_to_read;
use crate::output::{complain, grouped};
use crate::settings::ConfigFile;

/// Beyond so many it is only said that there are more.
const MOST_COUNTED: usize = 10_000;

/// List letters, newest first.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  regain outbox list --state dead --since 1d\n  regain outbox list --code 550 --limit 10 \
    --json\n  regain outbox list --name ann@example.org\n  regain outbox list --before 019ab1c2-... (the next page: the \
    last id of this one)"
)]
pub(crate) struct List {
    #[command(flatten)]
    search: Search,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=10_000), value_name = "N")]
    limit: u16,
    /// Letters older than this one only
    #[arg(long, value_name = "ID", value_parser = letter_id)]
    before: Option<LetterId>,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    config: ConfigFile,
}

/// Show one letter.
#[derive(Args)]
#[command(after_help = "Examples:\n  regain outbox show 019ab1c2-d3e4-7f56-8a9b-0c1d2e3f4a5b\n  \
    regain outbox show 019ab1c2-d3e4-7f56-8a9b-0c1d2e3f4a5b --reveal --json")]
pub(crate) struct Show {
    /// The letter
    #[arg(value_parser = letter_id)]
    id: LetterId,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    config: ConfigFile,
}

impl List {
    pub(super) fn run(&self) -> Result<String> {
        on_store_to_read(&self.config.load()?, async |store, _| {
            let limit = usize::from(self.limit);
            let filter = LetterFilter { before: self.before, limit, ..self.search.filter(store).await? };
            let letters = store.letters(filter.clone()).await?;
            if let Some(last) = letters.last().filter(|_| letters.len() == limit) {
                let rest = LetterFilter { before: Some(last.id), limit: MOST_COUNTED + 1, ..filter };
                let count = store.count_letters(rest).await?;
                let more = match usize::try_from(count) {
                    Ok(0) => None,
                    Ok(count) if count <= MOST_COUNTED => Some(grouped(count as u64)),
                    _ => Some(format!("more than {}", grouped(MOST_COUNTED as u64))),
                };
                if let Some(more) = more {
                    complain(&format!("regain: there are {more} more: go on with --before {}", last.id));
                }
            }
            self.form.list(&letters)
        })
    }
}

impl Show {
    pub(super) fn run(&self) -> Result<String> {
        on_store_to_read(&self.config.load()?, async |store, _| match store.letter(self.id).await? {
            Some(letter) => self.form.one(&letter),
            None => bail!("there is no letter {}", self.id),
        })
    }
}
