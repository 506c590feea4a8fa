//! `regain users create`.

use anyhow::{Result, bail};
use clap::Args;
use regain_core::store::Added;
use regain_core::{AccountId, AccountRecord, Name, OsRng};

use super::password::{ask, hashed};
use crate::commands::database::on_new_store;
use crate::settings::ConfigFile;

/// Make an account.
///
/// The password is read from stdin, or asked for twice on a terminal. No mail is sent: the account's owner asks for a
/// confirmation, or for a reset, as everybody does. The database is made where it is not there yet.
#[derive(Args)]
#[command(after_help = "Examples:\n  regain users create ann@example.org --confirmed\n  \
    regain users create root@example.org --admin\n  \
    regain users create bob@example.org --no-password     (Bob sets one with a reset)")]
pub(crate) struct Create {
    /// The name to sign in with, usually an address
    name: String,
    /// It may act for all other accounts
    #[arg(long)]
    admin: bool,
    /// Its id: 1 to 128 letters, digits or -_.!~*'() [default: a random one]
    #[arg(long, value_name = "ID", value_parser = account_id)]
    id: Option<AccountId>,
    /// Its address is known to be the owner's
    #[arg(long)]
    confirmed: bool,
    /// Nobody signs in until a password is set; not for administrators
    #[arg(long, conflicts_with = "admin")]
    no_password: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl Create {
    pub(super) fn run(&self) -> Result<String> {
        let config = self.config.load()?;
        if self.name.is_empty() {
            bail!("the name must not be empty");
        }
        on_new_store(&config, async |store, clock| {
            let name = match Name::parse(&self.name, store.key_mode()) {
                Ok(name) => name,
                Err(error) => bail!("the name {error}"),
            };
            // Told before a password is typed; what counts is the step below.
            if store.account_by_name(name.key()).await?.is_some() {
                bail!("there is an account of this name already");
            }
            let id = match &self.id {
                Some(id) => id.clone(),
                None => AccountId::random(&OsRng)?,
            };
            let password = match self.no_password {
                true => None,
                false => Some(hashed(&ask(&config.policy().password)?).await?),
            };
            let record = AccountRecord {
                password,
                is_admin: self.admin,
                is_confirmed: self.confirmed,
                ..AccountRecord::new(id.clone(), name)
            };
            match store.add_accounts(vec![record], clock.now()).await?[..] {
                [Added::Added] => Ok(format!("account {id} was made")),
                [Added::IdTaken] => bail!("there is an account of this id already"),
                _ => bail!("there is an account of this name already"),
            }
        })
    }
}

fn account_id(text: &str) -> Result<AccountId, &'static str> {
    AccountId::parse(text)
        .ok_or("must be 1 to 128 letters, digits or -_.!~*'(), and none that Regain uses itself")
}
