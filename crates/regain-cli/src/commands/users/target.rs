//! Which account is meant: by name or by identity, and never by guessing.

use anyhow::{Result, bail};
use clap::Args;
use regain_core::{Account, AccountId, Name, Provider, Store};

/// The account that a command is about.
#[derive(Args)]
pub(super) struct Target {
    /// The account: its name or its id
    #[arg(value_name = "NAME_OR_ID")]
    text: String,
    /// Take NAME_OR_ID for an id, also where another account has it as its name
    #[arg(long)]
    by_id: bool,
}

impl Target {
    /// The account; an error where there is none, or where it could be another.
    pub(super) async fn find(&self, store: &dyn Store) -> Result<Account> {
        find(store, &self.text, self.by_id).await
    }
}

/// The one account of that name or identity.
pub(super) async fn find(store: &dyn Store, text: &str, by_id: bool) -> Result<Account> {
    let mut found: Vec<Account> = Vec::new();
    if !by_id {
        for provider in [Provider::Password, Provider::Realm] {
            if let Ok(name) = Name::of(provider, text, store.key_mode()) {
                found.extend(store.account_by_name(name.key()).await?);
            }
        }
    }
    if let Some(id) = AccountId::parse(text) {
        let account = store.account_by_id(&id).await?;
        found.extend(account.filter(|account| found.iter().all(|other| other.id != account.id)));
    }
    match found.pop() {
        None => bail!("there is no account of this {}", if by_id { "id" } else { "name or id" }),
        Some(account) if found.is_empty() => Ok(account),
        Some(last) => {
            let ids: Vec<&str> = found.iter().chain([&last]).map(|account| account.id.as_str()).collect();
            bail!("this means more than one account: say which with --by-id and one of {}", ids.join(", "))
        }
    }
}
