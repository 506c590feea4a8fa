//! `regain users list` and `show`.

use anyhow::Result;
use clap::Args;
use regain_core::store::AccountFilter;

use super::target::{Target, find};
use super::view::Form;
use crate::commands::database::on_store_to_read;
use crate::output::complain;
use crate::settings::ConfigFile;

/// List accounts in the order of their names.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  regain users list --admin\n  regain users list --unconfirmed --limit 1000 --json\n  \
    regain users list --after 9f83c1... (the next page: the last id of this one)"
)]
pub(crate) struct List {
    /// Administrators only
    #[arg(long)]
    admin: bool,
    /// Disabled accounts only
    #[arg(long)]
    disabled: bool,
    /// Accounts whose address is not confirmed only
    #[arg(long)]
    unconfirmed: bool,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=10_000), value_name = "N")]
    limit: u16,
    /// Accounts behind this one only
    #[arg(long, value_name = "NAME_OR_ID")]
    after: Option<String>,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    config: ConfigFile,
}

/// Show one account.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  regain users show ann@example.org\n  regain users show 9f83c1... --json --reveal"
)]
pub(crate) struct Show {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    form: Form,
    #[command(flatten)]
    config: ConfigFile,
}

impl List {
    pub(super) fn run(&self) -> Result<String> {
        on_store_to_read(&self.config.load()?, async |store, _| {
            let after = match &self.after {
                Some(text) => Some(find(store, text, false).await?.name_key),
                None => None,
            };
            let filter = AccountFilter {
                after,
                is_admin: self.admin.then_some(true),
                is_disabled: self.disabled.then_some(true),
                is_confirmed: self.unconfirmed.then_some(false),
                limit: usize::from(self.limit),
            };
            let accounts = store.accounts(filter).await?;
            if let Some(last) = accounts.last().filter(|_| accounts.len() == usize::from(self.limit)) {
                complain(&format!("regain: there may be more: go on with --after {}", last.id));
            }
            self.form.list(&accounts)
        })
    }
}

impl Show {
    pub(super) fn run(&self) -> Result<String> {
        on_store_to_read(&self.config.load()?, async |store, _| {
            self.form.one(&self.target.find(store).await?)
        })
    }
}
