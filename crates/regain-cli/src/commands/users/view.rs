//! How an account is shown, to people and to programs. Decides nothing about accounts, and never sees a hash but for its scheme.

use anyhow::Result;
use clap::Args;
use regain_core::{Account, PasswordHash};
use serde_json::{Map, Value, json};

use crate::output::{self, masked, printable, seconds, table};

/// The options of the commands that show accounts.
#[derive(Args)]
pub(super) struct Form {
    /// JSON: id, provider, name, isAdmin, isDisabled, isEmailConfirmed, passwordScheme, created; `show` adds generation
    /// and metadata
    #[arg(long)]
    json: bool,
    /// Show names and metadata in full; without it, of a name all but the first letter and the domain is left out
    #[arg(long)]
    reveal: bool,
}

impl Form {
    /// Several accounts: a table, or an array.
    pub(super) fn list(&self, accounts: &[Account]) -> Result<String> {
        if self.json {
            let all: Vec<Value> = accounts.iter().map(|account| self.json_of(account)).collect();
            return Ok(output::pretty(&all)?);
        }
        if accounts.is_empty() {
            return Ok("no accounts".to_owned());
        }
        let header = ["id", "provider", "name", "is", "password", "created"].map(str::to_owned);
        let rows = accounts.iter().map(|account| {
            [
                account.id.to_string(),
                account.provider().as_str().to_owned(),
                printable(&self.name(account)),
                flags(account),
                scheme(account).unwrap_or("none").to_owned(),
                seconds(account.created),
            ]
        });
        Ok(table(&std::iter::once(header).chain(rows).collect::<Vec<_>>()))
    }

    /// One account: a line for each thing known of it, or an object.
    pub(super) fn one(&self, account: &Account) -> Result<String> {
        let mut value = self.json_of(account);
        value["generation"] = json!(account.generation.0);
        value["metadata"] = Value::Object(self.metadata(account));
        if self.json {
            return Ok(output::pretty(&value)?);
        }
        let rows: Vec<[String; 2]> = value
            .as_object()
            .into_iter()
            .flatten()
            .map(|(key, value)| {
                let text = match value {
                    Value::Null => "none".to_owned(),
                    Value::String(text) => printable(text),
                    other => printable(&other.to_string()),
                };
                [key.clone(), text]
            })
            .collect();
        Ok(table(&rows))
    }

    fn json_of(&self, account: &Account) -> Value {
        json!({
            "id": account.id.as_str(),
            "provider": account.provider().as_str(),
            "name": self.name(account),
            "isAdmin": account.is_admin,
            "isDisabled": account.is_disabled,
            "isEmailConfirmed": account.is_confirmed,
            "passwordScheme": scheme(account),
            "created": seconds(account.created),
        })
    }

    fn name(&self, account: &Account) -> String {
        if self.reveal { account.name.clone() } else { masked(&account.name) }
    }

    /// Values may be anything, addresses too.
    fn metadata(&self, account: &Account) -> Map<String, Value> {
        let shown = |value: &str| if self.reveal { value.to_owned() } else { "…".to_owned() };
        account.metadata.iter().map(|(key, value)| (key.to_owned(), Value::String(shown(value)))).collect()
    }
}

fn flags(account: &Account) -> String {
    let all =
        [(account.is_admin, "admin"), (account.is_disabled, "disabled"), (account.is_confirmed, "confirmed")];
    let flags: Vec<&str> = all.into_iter().filter_map(|(is_set, word)| is_set.then_some(word)).collect();
    flags.join(", ")
}

fn scheme(account: &Account) -> Option<&'static str> {
    account.password.as_ref().map(PasswordHash::scheme)
}
