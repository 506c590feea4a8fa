//! `regain outbox retry` and `drop`: one letter, or all that a search finds. Each letter is a step of its own, and audited.

use anyhow::{Result, bail};
use clap::Args;
use clap::error::ErrorKind;
use futures_util::future::join_all;
use regain::Config;
use regain_core::outbox::budget;
use regain_core::store::{LetterFilter, Retried};
use regain_core::{Clock, Letter, LetterId, LetterState, OsRng, Store};

use super::letter_id;
use super::search::Search;
use crate::commands::asking::is_meant;
use crate::commands::database::on_store_as_it_is;
use crate::output::grouped;
use crate::settings::ConfigFile;

/// So many letters are read at once, and so many steps wait for one commit.
const PAGE: usize = 200;
/// More letters than there can be.
const ALL: usize = i32::MAX as usize;

/// Send letters again: one, or all that --state and the other filters find.
///
/// Several at once must be waiting, dead or expired; a letter that is named by its id may also be sent, dropped or superseded.
/// A letter that waits is tried now. In place of a closed one a new letter is posted, with a new token and a new deadline, once only;
/// `replaces` links the two. A running server notices within a second. Of several letters only those are sent again that
/// no newer letter of the same purpose and name has made needless: so a second run sends nobody a second mail.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  regain outbox retry 019ab1c2-...\n  regain outbox retry --state dead --code 550 --since 2h\n  \
    regain outbox retry --state expired --since 1d --purpose confirm --yes"
)]
pub(crate) struct Retry {
    #[command(flatten)]
    which: Which,
}

/// Close letters that wait, so that they are never sent: one, or all that --state waiting and the other filters find.
///
/// The only state that can be dropped is waiting: a letter that is claimed is being delivered at this moment, and all others
/// are closed already.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  regain outbox drop 019ab1c2-...\n  regain outbox drop --state waiting --until 2d --yes"
)]
pub(crate) struct Drop {
    #[command(flatten)]
    which: Which,
}

/// One letter or several.
#[derive(Args)]
struct Which {
    /// The letter
    #[arg(value_parser = letter_id, conflicts_with_all = ["state", "purpose", "since", "until", "code", "name", "account"])]
    id: Option<LetterId>,
    #[command(flatten)]
    search: Search,
    /// Do not ask whether several are meant; needed where there is no terminal to ask on
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl Retry {
    pub(super) fn run(&self) -> Result<String> {
        self.which.are_named()?;
        let config = self.which.config.load()?;
        on_store_as_it_is(&config, async |store, clock| match self.which.id {
            Some(id) => retry_one((store, clock), id, &config).await,
            None => {
                self.which.must_be(&[LetterState::Waiting, LetterState::Dead, LetterState::Expired])?;
                self.which
                    .change(store, "Send", "again", async |letter| {
                        retry((store, clock), letter, &config).await
                    })
                    .await
            }
        })
    }
}

impl Drop {
    pub(super) fn run(&self) -> Result<String> {
        self.which.are_named()?;
        on_store_as_it_is(&self.which.config.load()?, async |store, clock| match self.which.id {
            Some(id) => drop_one((store, clock), id).await,
            None => {
                self.which.must_be(&[LetterState::Waiting])?;
                let drop = async |letter: &Letter| {
                    let dropped = store.drop_letter(letter.id, clock.now()).await?;
                    Ok(if dropped { Changed::Dropped } else { Changed::OtherState })
                };
                self.which.change(store, "Drop", "for good", drop).await
            }
        })
    }
}

/// What came of one letter of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Changed {
    Replaced,
    Hastened,
    HeldByBudget,
    AlreadyReplaced,
    Dropped,
    /// A newer letter of the same purpose and name makes it needless.
    Outdated,
    BeingDelivered,
    /// Meanwhile it is closed, or gone.
    OtherState,
}

impl Changed {
    const ALL: [(Self, &'static str); 8] = [
        (Self::Replaced, "replaced by a new letter"),
        (Self::Hastened, "tried now"),
        (
            Self::HeldByBudget,
            "tried now, but held by the mail budget (limits.mailPerHour) as long as that is spent",
        ),
        (Self::AlreadyReplaced, "left alone: replaced before"),
        (Self::Dropped, "dropped"),
        (Self::Outdated, "left alone: a newer letter of the same purpose and name is there"),
        (Self::BeingDelivered, "left alone: being delivered at this moment"),
        (Self::OtherState, "left alone: not in that state any more"),
    ];
}

impl Which {
    fn are_named(&self) -> Result<(), clap::Error> {
        if self.id.is_some() || self.search.state.is_some() {
            return Ok(());
        }
        Err(clap::Error::raw(
            ErrorKind::MissingRequiredArgument,
            "name one letter by its id, or several by --state STATE and other filters; see --help\n",
        ))
    }

    fn must_be(&self, states: &[LetterState]) -> Result<()> {
        match self.search.state {
            Some(state) if !states.contains(&state) => {
                let words: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
                bail!("several letters at once must be {}; name a {state} one by its id", words.join(", "))
            }
            _ => Ok(()),
        }
    }

    /// Does `one` to each letter that is found, newest first, and says what came of it.
    async fn change(
        &self,
        store: &dyn Store,
        verb: &str,
        how: &str,
        one: impl AsyncFn(&Letter) -> Result<Changed>,
    ) -> Result<String> {
        let mut filter = LetterFilter { limit: ALL, ..self.search.filter(store).await? };
        let count = match store.count_letters(filter.clone()).await? {
            0 => return Ok("no letters".to_owned()),
            1 => "1 letter".to_owned(),
            count => format!("{} letters", grouped(count)),
        };
        if !self.yes && !is_meant(&format!("{verb} {count} {how}"))? {
            bail!("nothing was changed");
        }
        filter.limit = PAGE;
        let mut tally = [0; Changed::ALL.len()];
        loop {
            let page = store.letters(filter.clone()).await?;
            let Some(last) = page.last() else { break };
            filter.before = Some(last.id);
            for changed in join_all(page.iter().map(|letter| one(letter))).await {
                let changed = changed?;
                for ((kind, _), count) in Changed::ALL.iter().zip(&mut tally) {
                    *count += u64::from(*kind == changed);
                }
            }
        }
        let lines = Changed::ALL.iter().zip(tally).filter(|(_, count)| *count > 0);
        let lines: Vec<String> =
            lines.map(|((_, words), count)| format!("{} {words}", grouped(count))).collect();
        Ok(lines.join("\n"))
    }
}

/// A database, and the time that all who use it agree on.
type Opened<'a> = (&'a dyn Store, &'a dyn Clock);

async fn retry((store, clock): Opened<'_>, letter: &Letter, config: &Config) -> Result<Changed> {
    if letter.state.is_closed() {
        let newest = LetterFilter {
            purpose: Some(letter.purpose),
            name: Some(letter.name_key.clone()),
            limit: 1,
            ..LetterFilter::default()
        };
        if store.letters(newest).await?.first().is_some_and(|newest| newest.id != letter.id) {
            return Ok(Changed::Outdated);
        }
    }
    let (retried, _) = post_again((store, clock), letter, config).await?;
    Ok(match retried {
        Retried::Replaced => Changed::Replaced,
        Retried::Hastened if is_held_by_budget(letter, config) => Changed::HeldByBudget,
        Retried::Hastened => Changed::Hastened,
        Retried::AlreadyReplaced(_) => Changed::AlreadyReplaced,
        Retried::BeingDelivered => Changed::BeingDelivered,
        Retried::ClosedMeanwhile | Retried::Unknown => Changed::OtherState,
    })
}

/// Whether it is the mail budget that the letter waits for. Being due, it is held again as long as the budget is spent.
fn is_held_by_budget(letter: &Letter, config: &Config) -> bool {
    config.limits.mail_per_hour.is_some() && letter.last_error.as_deref() == Some(budget::REASON)
}

/// Answers with the id of the letter that takes its place, if it is replaced.
async fn post_again(
    (store, clock): Opened<'_>,
    letter: &Letter,
    config: &Config,
) -> Result<(Retried, LetterId)> {
    let now = clock.now();
    let replacement = LetterId::new(now, &OsRng)?;
    let lifetime = config.policy().lifetime(letter.purpose);
    Ok((store.retry(letter.id, letter.state, replacement, lifetime, now).await?, replacement))
}

async fn retry_one((store, clock): Opened<'_>, id: LetterId, config: &Config) -> Result<String> {
    let Some(letter) = store.letter(id).await? else { bail!("there is no letter {id}") };
    match post_again((store, clock), &letter, config).await? {
        (Retried::Hastened, _) if is_held_by_budget(&letter, config) => Ok(format!(
            "letter {id} is tried now, but it waits for the mail budget (limits.mailPerHour) as long as that is spent; \
             `regain outbox stats` shows it"
        )),
        (Retried::Hastened, _) => Ok(format!("letter {id} is tried now")),
        (Retried::AlreadyReplaced(by), _) => {
            let state = store.letter(by).await?.map(|by| format!(", which is {}", by.state));
            bail!("letter {id} is already replaced by {by}{}: nothing was posted", state.unwrap_or_default())
        }
        (Retried::Replaced, replacement) => {
            Ok(format!("letter {replacement} was posted in place of {id}, which is {}", letter.state))
        }
        (Retried::BeingDelivered, _) => bail!("letter {id} is being delivered at this moment"),
        (Retried::ClosedMeanwhile, _) => bail!("letter {id} has just come to its end; look at it again"),
        (Retried::Unknown, _) => bail!("there is no letter {id}"),
    }
}

async fn drop_one((store, clock): Opened<'_>, id: LetterId) -> Result<String> {
    if store.drop_letter(id, clock.now()).await? {
        return Ok(format!("letter {id} is dropped"));
    }
    match store.letter(id).await?.map(|letter| letter.state) {
        None => bail!("there is no letter {id}"),
        Some(LetterState::Claimed) => bail!("letter {id} is being delivered at this moment"),
        Some(state) => bail!("letter {id} does not wait any more: it is {state}"),
    }
}
