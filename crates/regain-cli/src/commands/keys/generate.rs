//! `regain keys generate`: fresh keys, for the configuration of processes that share a database.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use regain::keys::{FreshKey, name_of, write_fresh_keys};
use regain_core::OsRng;
use regain_core::keys::KeyKind;

/// Make fresh keys: what derives the tokens of links, and what signs sessions.
///
/// For several processes over one database, which need the same keys: configure them as keys.tokenKey and keys.signingKey.
/// One process needs none of this: it makes its own under the data path. Without --token and --signing both are made. They are
/// printed, the token key (64 hex digits) first, then the signing key (PEM); whoever reads them takes over accounts, so rather
/// write them to files with --out. Nothing that is in force is changed.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  regain keys generate --out /etc/regain\n  regain keys generate --token\n  \
    regain keys generate --signing > auth.key"
)]
pub(crate) struct Generate {
    /// Make a token key
    #[arg(long)]
    token: bool,
    /// Make a signing key (RSA, 2048 bits)
    #[arg(long)]
    signing: bool,
    /// Write token.key, auth.key and auth.pub into this directory, for their owner alone (0600), and print fingerprints
    /// in place of keys; a file that is there is never overwritten
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Generate {
    pub(super) fn run(&self) -> Result<String> {
        let is_wanted = |kind: &KeyKind| match kind {
            KeyKind::Token => self.token || !self.signing,
            KeyKind::Signing => self.signing || !self.token,
        };
        let kinds = KeyKind::ALL.into_iter().filter(is_wanted);
        let fresh = kinds.map(|kind| FreshKey::generate(kind, &OsRng)).collect::<Result<Vec<_>, _>>()?;
        let Some(directory) = &self.out else {
            return Ok(fresh.iter().map(|key| key.expose().trim_end()).collect::<Vec<_>>().join("\n"));
        };
        let files = write_fresh_keys(directory, &fresh)?;
        let mut told: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        told.extend(fresh.iter().map(|key| format!("{} {}", name_of(key.kind()), key.fingerprint())));
        Ok(told.join("\n"))
    }
}
