//! `regain outbox`: the queue of mails for the operator's eyes and hands, beside a running server or without one.
//!
//! It opens the database without the lock of the data path: every step is one the store allows to several processes,
//! and a courier looks for changes of others. It never shows a token; a letter holds none.

mod view;

use anyhow::{Result, bail};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use regain::Config;
use regain_core::store::{LetterFilter, Retried};
use regain_core::{Clock, LetterId, LetterState, OsRng, Purpose, Store, SystemClock};
use regain_store::SqliteStore;

use super::database::on_store;
use crate::settings::ConfigFile;
use crate::{logging, output};
use view::Form;

/// Look at the mails that are owed, send them again, or drop them.
#[derive(Subcommand)]
pub(crate) enum Outbox {
    /// List letters, newest first.
    #[command(
        after_help = "Examples:\n  regain outbox list --state dead\n  regain outbox list --purpose reset --limit 10 \
        --json\n  regain outbox list --before 019ab1c2-... (the next page: the last id of this one)"
    )]
    List(List),
    /// Show one letter.
    Show(Show),
    /// Send a letter again.
    ///
    /// A letter that waits is tried now. In place of a closed one a new letter is posted, with a new token and a new
    /// deadline; `replaces` links the two. A running server notices within a second.
    Retry(One),
    /// Close a letter that waits, so that it is never sent.
    Drop(One),
}

#[derive(Args)]
pub(crate) struct List {
    /// Letters of this state only
    #[arg(long, value_parser = states())]
    state: Option<LetterState>,
    /// Letters of this purpose only
    #[arg(long, value_parser = purposes())]
    purpose: Option<Purpose>,
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

#[derive(Args)]
pub(crate) struct Show {
    /// The letter
    #[arg(value_parser = letter_id)]
    id: LetterId,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    config: ConfigFile,
}

#[derive(Args)]
pub(crate) struct One {
    /// The letter
    #[arg(value_parser = letter_id)]
    id: LetterId,
    #[command(flatten)]
    config: ConfigFile,
}

impl Outbox {
    pub(crate) fn run(&self) -> Result<()> {
        logging::start()?;
        let said = match self {
            Self::List(list) => on_store(&list.config.load()?, async |store| list.run(store).await),
            Self::Show(show) => on_store(&show.config.load()?, async |store| show.run(store).await),
            Self::Retry(one) => {
                let config = one.config.load()?;
                on_store(&config, async |store| retry(store, one.id, &config).await)
            }
            Self::Drop(one) => on_store(&one.config.load()?, async |store| drop_letter(store, one.id).await),
        }?;
        Ok(output::say(&said)?)
    }
}

impl List {
    async fn run(&self, store: &SqliteStore) -> Result<String> {
        let filter = LetterFilter {
            state: self.state,
            purpose: self.purpose,
            before: self.before,
            limit: usize::from(self.limit),
        };
        self.form.list(&store.letters(filter).await?)
    }
}

impl Show {
    async fn run(&self, store: &SqliteStore) -> Result<String> {
        match store.letter(self.id).await? {
            Some(letter) => self.form.one(&letter),
            None => bail!("there is no letter {}", self.id),
        }
    }
}

async fn retry(store: &SqliteStore, id: LetterId, config: &Config) -> Result<String> {
    let Some(letter) = store.letter(id).await? else { bail!("there is no letter {id}") };
    let now = SystemClock::start().now();
    let replacement = LetterId::new(now, &OsRng)?;
    let lifetime = config.policy().lifetime(letter.purpose);
    match store.retry(id, replacement, lifetime, now).await? {
        Retried::Hastened => Ok(format!("letter {id} is tried now")),
        Retried::Replaced => {
            Ok(format!("letter {replacement} was posted in place of {id}, which is {}", letter.state))
        }
        Retried::BeingDelivered => bail!("letter {id} is being delivered at this moment"),
        Retried::Unknown => bail!("there is no letter {id}"),
    }
}

async fn drop_letter(store: &SqliteStore, id: LetterId) -> Result<String> {
    if store.drop_letter(id, SystemClock::start().now()).await? {
        return Ok(format!("letter {id} is dropped"));
    }
    match store.letter(id).await?.map(|letter| letter.state) {
        None => bail!("there is no letter {id}"),
        Some(LetterState::Claimed) => bail!("letter {id} is being delivered at this moment"),
        Some(state) => bail!("letter {id} does not wait any more: it is {state}"),
    }
}

fn letter_id(text: &str) -> Result<LetterId, &'static str> {
    LetterId::parse(text).ok_or("is no id of a letter, such as 019ab1c2-d3e4-7f56-8a9b-0c1d2e3f4a5b")
}

fn states() -> impl TypedValueParser<Value = LetterState> {
    PossibleValuesParser::new(LetterState::ALL.map(LetterState::as_str))
        .try_map(|word| LetterState::from_word(&word).ok_or("is no state"))
}

fn purposes() -> impl TypedValueParser<Value = Purpose> {
    PossibleValuesParser::new(Purpose::ALL.map(Purpose::as_str))
        .try_map(|word| Purpose::from_word(&word).ok_or("is no purpose"))
}
