//! Which letters are meant, for the commands that look at or change several.

use anyhow::{Result, anyhow, bail};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use regain_core::store::LetterFilter;
use regain_core::{
    AccountId, Clock, LetterState, Name, NameKey, Provider, Purpose, RelayCode, Store, SystemClock,
};

use super::when::When;

/// The filters. Together they narrow each other down.
#[derive(Args)]
pub(super) struct Search {
    /// Letters of this state only
    #[arg(long, value_parser = states())]
    pub(super) state: Option<LetterState>,
    /// Letters of this purpose only
    #[arg(long, value_parser = purposes())]
    purpose: Option<Purpose>,
    /// Letters posted then or later only: 1h (an hour ago), 7d, 2026-11-20 (UTC), 2026-11-20T08:00:00Z
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    since: Option<When>,
    /// Letters posted before then only
    #[arg(long, value_name = "TIME", value_parser = When::parse)]
    until: Option<When>,
    /// Letters to which a relay last gave this code only: 550, or 5.1.1
    #[arg(long, value_name = "CODE")]
    code: Option<RelayCode>,
    /// Letters for this name only
    #[arg(long, value_name = "NAME", conflicts_with = "account")]
    name: Option<String>,
    /// Letters for the name of this account only
    #[arg(long, value_name = "ID")]
    account: Option<String>,
}

impl Search {
    /// The filter that this means now, without a limit.
    pub(super) async fn filter(&self, store: &dyn Store) -> Result<LetterFilter> {
        let now = SystemClock::start().now();
        Ok(LetterFilter {
            state: self.state,
            purpose: self.purpose,
            name: self.name_key(store).await?,
            from: self.since.map(|when| when.before(now)),
            until: self.until.map(|when| when.before(now)),
            code: self.code,
            before: None,
            limit: 0,
        })
    }

    async fn name_key(&self, store: &dyn Store) -> Result<Option<NameKey>> {
        if let Some(name) = &self.name {
            // Letters outlive their accounts, and may be for a name that no account ever had.
            let name = Name::of(Provider::Password, name, store.key_mode())
                .map_err(|error| anyhow!("--name can be no account's name: {error}"))?;
            return Ok(Some(name.key().clone()));
        }
        let Some(text) = &self.account else { return Ok(None) };
        let account = match AccountId::parse(text) {
            Some(id) => store.account_by_id(&id).await?,
            None => None,
        };
        match account {
            Some(account) => Ok(Some(account.name_key)),
            None => bail!("there is no account of this id; letters of a deleted account are found by --name"),
        }
    }
}

fn states() -> impl TypedValueParser<Value = LetterState> {
    PossibleValuesParser::new(LetterState::ALL.map(LetterState::as_str))
        .try_map(|word| LetterState::from_word(&word).ok_or("is no state"))
}

fn purposes() -> impl TypedValueParser<Value = Purpose> {
    PossibleValuesParser::new(Purpose::ALL.map(Purpose::as_str))
        .try_map(|word| Purpose::from_word(&word).ok_or("is no purpose"))
}
