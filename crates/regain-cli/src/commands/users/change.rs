//! `regain users disable`, `enable`, `grant-admin`, `revoke-admin` and `delete`.

use anyhow::{Result, bail};
use clap::Args;
use regain_core::hashing::Verdict;
use regain_core::store::Deleted;
use regain_core::{Account, Password};

use super::password::pool;
use super::target::Target;
use crate::commands::asking::is_meant;
use crate::commands::database::on_store;
use crate::output::{masked, printable};
use crate::settings::ConfigFile;

/// A command about one account that needs nothing else.
#[derive(Args)]
pub(crate) struct One {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    config: ConfigFile,
}

/// Delete an account.
///
/// Its sessions end, for good, and links on their way to it are good for nothing. Its name can be registered again.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  regain users delete ann@example.org\n  regain users delete 9f83c1... --yes"
)]
pub(crate) struct Delete {
    #[command(flatten)]
    target: Target,
    /// Do not ask whether it is meant; needed where there is no terminal to ask on
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl One {
    pub(super) fn set_disabled(&self, is_disabled: bool) -> Result<String> {
        on_store(&self.config.load()?, async |store, clock| {
            let account = self.target.find(store).await?;
            if !store.set_disabled(&account.id, is_disabled, clock.now()).await? {
                bail!("account {} was deleted meanwhile", account.id);
            }
            let word = if is_disabled { "disabled" } else { "enabled" };
            let already = if account.is_disabled == is_disabled { " already" } else { "" };
            Ok(format!("account {} is {word}{already}", account.id))
        })
    }

    pub(super) fn set_admin(&self, is_admin: bool) -> Result<String> {
        on_store(&self.config.load()?, async |store, clock| {
            let account = self.target.find(store).await?;
            if is_admin {
                check_password(&account).await?;
            }
            if !store.set_admin(&account.id, is_admin, clock.now()).await? {
                bail!("account {} was deleted meanwhile", account.id);
            }
            let what = if is_admin { "is an administrator's" } else { "is no administrator's" };
            let already = if account.is_admin == is_admin { " already" } else { "" };
            Ok(format!("account {} {what}{already}", account.id))
        })
    }
}

/// An administrator has a password that somebody has chosen: ROS makes one with an empty password.
async fn check_password(account: &Account) -> Result<()> {
    let Some(hash) = &account.password else {
        bail!("account {} has no password: set one first", account.id)
    };
    let empty = Password::parse("")?;
    if pool()?.verify(&empty, Some(hash)).await? != Verdict::Wrong {
        bail!("account {} has an empty password: set another first", account.id);
    }
    Ok(())
}

impl Delete {
    pub(super) fn run(&self) -> Result<String> {
        on_store(&self.config.load()?, async |store, clock| {
            let account = self.target.find(store).await?;
            let question = format!("Delete account {} ({})", account.id, printable(&masked(&account.name)));
            if !self.yes && !is_meant(&question)? {
                bail!("nothing was deleted");
            }
            match store.delete_account(&account.id, None, clock.now()).await? {
                Deleted::Deleted => Ok(format!("account {} is deleted", account.id)),
                Deleted::Unknown | Deleted::SessionEnded => {
                    bail!("account {} was deleted meanwhile", account.id)
                }
            }
        })
    }
}
