//! `regain keys show`: fingerprints, never a key.

use anyhow::Result;
use clap::Args;
use regain::Config;
use regain::app::{Database, database_path};
use regain::keys::{FoundKeys, name_of};
use regain_core::keys::{KeyKind, KeyStanding};
use regain_core::{KeyAgreement, KeyIntent, KeyOffer};

use crate::commands::database::on_store_to_read;
use crate::output;
use crate::settings::ConfigFile;

/// Show which keys this configuration works with, by their fingerprints, and what the database says of them.
///
/// A fingerprint is no secret: for a signing key it is the first 16 hex digits of SHA-256 over the public half (`openssl pkey
/// -pubin -in auth.pub -outform DER | sha256sum`). Processes over one database must have the same keys in use, or know
/// each other's. Changes nothing, and may be run while a server runs.
#[derive(Args)]
#[command(after_help = "Example:\n  regain keys show --config /etc/regain/regain.toml")]
pub(crate) struct Show {
    #[command(flatten)]
    config: ConfigFile,
}

impl Show {
    pub(super) fn run(&self) -> Result<String> {
        let config = self.config.load()?;
        let found = FoundKeys::look(&config)?;
        let offer = found.offer();
        let agreement = asked(&config, &offer)?;
        let mut rows = Vec::new();
        for kind in KeyKind::ALL {
            let keys = offer.of(kind);
            let name = name_of(kind).to_owned();
            let current = keys.current.map_or_else(|| "none".to_owned(), |key| key.to_string());
            let standing = match &agreement {
                Some(agreement) => words(agreement.of(kind)),
                None => "there is no database yet".to_owned(),
            };
            rows.push([name.clone(), current, "in use".to_owned(), found.source(kind).to_owned(), standing]);
            for (at, key) in keys.others.iter().enumerate() {
                let setting = match kind {
                    KeyKind::Token => "otherTokenKeys",
                    KeyKind::Signing => "otherPublicKeys",
                };
                let source = format!("keys.{setting}[{at}]");
                rows.push([name.clone(), key.to_string(), "taken".to_owned(), source, String::new()]);
            }
        }
        Ok(output::table(&rows))
    }
}

/// What the database says of the keys; `None` where there is none yet.
///
/// # Errors
/// When the database cannot be read, or has not the schema of this version.
fn asked(config: &Config, offer: &KeyOffer) -> Result<Option<KeyAgreement>> {
    if !Database::is_shared(config) && !database_path(config).try_exists()? {
        return Ok(None);
    }
    on_store_to_read(config, async |store, clock| {
        Ok(Some(store.agree_on_keys(offer.clone(), KeyIntent::Ask, clock.now()).await?))
    })
}

/// How a key stands to the database, for people.
pub(in crate::commands) fn words(standing: KeyStanding) -> String {
    match standing {
        KeyStanding::First => {
            "the database remembers none yet, and will this one from the next start on".to_owned()
        }
        KeyStanding::Same => "in force in the database".to_owned(),
        KeyStanding::Turned { from } => format!("takes the place of {from} at the next start"),
        KeyStanding::Behind { in_force } => format!("was in force before; {in_force} is now"),
        KeyStanding::Unknown { in_force } => format!("refused: {in_force} is in force, and not known here"),
        KeyStanding::Ended { in_force } => format!("refused: its time is over; {in_force} is in force"),
        KeyStanding::Replaced { from } => format!("in force in place of {from}"),
    }
}
