//! `regain keys accept`: the way out for an operator who has lost the keys that a database was used with.

use anyhow::Result;
use clap::Args;
use regain::keys::{Keys, name_of};
use regain_core::OsRng;
use regain_core::keys::{KeyKind, KeyStanding};
use regain_store::DataLock;

use crate::commands::database::on_store_as_it_is;
use crate::settings::ConfigFile;

/// Put the keys of this configuration in force although the database remembers others.
///
/// For when the others are lost, or must not be taken any more: sessions that another signing key has signed end, unless
/// it is among keys.otherPublicKeys, and mails that wait for another attempt get new links where the token key is
/// another. Keys that are neither configured nor under the data path are made. To change keys while sessions go on, change the
/// configuration in place of this: see docs/configuration.md. Stop all processes over the database first; one that runs with
/// the other keys would go on with them, say so in /health, and be refused at its next start.
#[derive(Args)]
#[command(after_help = "Example:\n  regain keys accept --config /etc/regain/regain.toml")]
pub(crate) struct Accept {
    #[command(flatten)]
    config: ConfigFile,
}

impl Accept {
    pub(super) fn run(&self) -> Result<String> {
        let config = self.config.load()?;
        on_store_as_it_is(&config, async |store, clock| {
            // A server that runs here has read its keys; others must not appear under it.
            let _lock = DataLock::acquire(&config.data_path)?;
            let (keys, agreement) = Keys::accept(&config, store, &OsRng, clock.now()).await?;
            let offer = keys.offer();
            let tell = |kind: KeyKind| {
                let own = offer.of(kind).current.map(|key| key.to_string()).unwrap_or_default();
                let end = match agreement.of(kind) {
                    KeyStanding::Replaced { from } => format!("is in force in place of {from}"),
                    KeyStanding::First => "is the first that this database remembers".to_owned(),
                    _ => "was in force already".to_owned(),
                };
                format!("the {} {own} {end}", name_of(kind))
            };
            Ok(KeyKind::ALL.map(tell).join("\n"))
        })
    }
}
