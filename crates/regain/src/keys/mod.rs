//! The keys that a process works with: those that are configured, and for what is not, files under the data path, made at
//! the first start and read at every other. Files 0600, folder 0700.
//!
//! `keys/auth.key` signs sessions (PKCS#8 PEM), `keys/auth.pub` checks them (SubjectPublicKeyInfo PEM, as in ROS),
//! `keys/token.key` derives the tokens of links (64 hex digits). The database remembers which keys are in force, so that
//! no process works with others.

mod agree;
mod error;
mod files;
mod found;
mod fresh;
mod text;

use regain_core::{KeyAgreement, KeyIntent, KeyOffer, Rng, SigningKeys, Store, Timestamp, TokenKeys};

use crate::config::Config;

pub use error::{Disagreement, KeysError, name_of};
pub(crate) use files::{read, write_new};
pub use found::FoundKeys;
pub use fresh::{FreshKey, write_fresh_keys};
pub use text::{
    parse_public_key, parse_signing_key, parse_token_key, public_key_pem, signing_key_pem, token_key_text,
};

/// What a process signs and checks sessions with, and derives tokens with.
pub struct Keys {
    /// Sign sessions, and check them.
    pub signing: SigningKeys,
    /// Derive tokens.
    pub token: TokenKeys,
}

impl Keys {
    /// Reads the keys, makes those that are neither configured nor under the data path, and agrees with the database. Where
    /// the database remembers a key, none is made in its place.
    ///
    /// # Errors
    /// When a file cannot be read or written, or holds no key: a broken key is never replaced, since that would end all
    /// sessions. [`KeysError::Disagree`] where other processes work with other keys; then none is made.
    pub async fn open(
        config: &Config,
        store: &dyn Store,
        rng: &dyn Rng,
        now: Timestamp,
    ) -> Result<Self, KeysError> {
        let found = FoundKeys::look(config)?;
        found.must_agree(store, now).await?;
        let sources = found.sources().clone();
        let keys = found.make_missing(rng)?;
        let agreement = agree::agree(keys.offer(), KeyIntent::Agree, &sources, store, now).await?;
        agree::log(&agreement);
        Ok(keys)
    }

    /// Puts the keys that are configured or under the data path in force, whatever the database remembers, and makes those
    /// that are missing. For an operator who has lost the others, while no process runs.
    ///
    /// # Errors
    /// When a file cannot be read or written, or holds no key, or the database fails.
    pub async fn accept(
        config: &Config,
        store: &dyn Store,
        rng: &dyn Rng,
        now: Timestamp,
    ) -> Result<(Self, KeyAgreement), KeysError> {
        let found = FoundKeys::look(config)?;
        let sources = found.sources().clone();
        let keys = found.make_missing(rng)?;
        let agreement = agree::agree(keys.offer(), KeyIntent::Replace, &sources, store, now).await?;
        Ok((keys, agreement))
    }

    /// What the keys are called among processes.
    pub fn offer(&self) -> KeyOffer {
        KeyOffer { token: self.token.offered(), signing: self.signing.offered() }
    }
}

#[cfg(test)]
mod tests;
