//! `regain mail dkim-record`: what to publish in DNS, so that others can check the signatures. Looks nothing up.

use anyhow::{Result, bail};
use clap::Args;
use regain_smtp::DkimSigner;
use serde_json::{Value, json};

use crate::output;
use crate::settings::ConfigFile;

/// Show the DNS record of each key that signs the mails (emailHandlerConfig.dkim).
///
/// Each is a TXT record. Most providers take name and value as they are; a zone file takes the line `zone`, in which the
/// value is cut into strings of at most 255 characters.
///
/// The JSON form is [{"name", "type", "value", "strings"}].
#[derive(Args)]
#[command(
    after_help = "Examples:\n  regain mail dkim-record\n  regain mail dkim-record --json --config site.toml"
)]
pub(crate) struct DkimRecord {
    /// A JSON list
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

impl DkimRecord {
    pub(crate) fn run(&self) -> Result<()> {
        let config = self.config.load()?;
        let signers = config.email().map(|email| email.signers()).unwrap_or_default();
        if signers.is_empty() && config.email().is_some_and(|email| email.webhook.is_some()) {
            bail!("mails leave by a webhook, so nothing here signs them: what sends them behind it does");
        }
        if signers.is_empty() {
            bail!("{} has no key that signs mails: write emailHandlerConfig.dkim", self.config.source());
        }
        let text = if self.json {
            output::pretty(&signers.iter().map(as_json).collect::<Vec<_>>())?
        } else {
            signers.iter().map(for_people).collect::<Vec<_>>().join("\n\n")
        };
        Ok(output::say(&text)?)
    }
}

fn as_json(signer: &DkimSigner) -> Value {
    let record = signer.record();
    json!({ "name": record.name(), "type": "TXT", "value": record.value(), "strings": record.strings() })
}

fn for_people(signer: &DkimSigner) -> String {
    let record = signer.record();
    let strings: Vec<String> = record.strings().iter().map(|string| format!("\"{string}\"")).collect();
    let zone = format!("{}. IN TXT ( {} )", record.name(), strings.join(" "));
    output::table(&[
        ["name".to_owned(), record.name().to_owned()],
        ["type".to_owned(), "TXT".to_owned()],
        ["value".to_owned(), record.value()],
        ["zone".to_owned(), zone],
    ])
}
