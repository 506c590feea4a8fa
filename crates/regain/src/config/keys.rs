//! The keys that are configured, in place of those under the data path.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use regain_core::{PublicKey, SigningKey, TokenKey};

/// The keys of a process, for those that share a database. What is left out is a file under the data path.
#[derive(Clone, Default)]
pub struct KeysConfig {
    /// Derives the tokens of links.
    pub token_key: Option<ConfiguredKey<TokenKey>>,
    /// Other token keys: earlier ones, or one that is to come.
    pub other_token_keys: Vec<ConfiguredKey<TokenKey>>,
    /// Signs sessions.
    pub signing_key: Option<ConfiguredKey<Arc<SigningKey>>>,
    /// The public halves of other signing keys, whose sessions are taken as well: earlier ones, or one that is to come.
    pub other_public_keys: Vec<ConfiguredKey<PublicKey>>,
}

/// A key, and the file that it was read from, if it was.
#[derive(Clone)]
pub struct ConfiguredKey<K> {
    /// The key.
    pub key: K,
    /// Where it was read from; a secret one must be private.
    pub file: Option<PathBuf>,
}

impl<K> From<K> for ConfiguredKey<K> {
    /// A key from Rust.
    fn from(key: K) -> Self {
        Self { key, file: None }
    }
}

impl KeysConfig {
    /// The files that hold secret keys.
    pub fn secret_files(&self) -> impl Iterator<Item = &PathBuf> {
        let tokens = self.token_key.iter().chain(&self.other_token_keys).map(|key| &key.file);
        tokens.chain(self.signing_key.iter().map(|key| &key.file)).flatten()
    }

    /// The files that hold public keys: whoever may write to them signs in as anybody.
    pub fn public_files(&self) -> impl Iterator<Item = &PathBuf> {
        self.other_public_keys.iter().filter_map(|key| key.file.as_ref())
    }

    /// Whether a key is in use and among the others as well. `auth.pub` under the data path is such a one soon: it is of the
    /// key in use, whichever that is.
    pub fn knows_its_own_key_as_another(&self) -> bool {
        let token = self.token_key.as_ref().map(|key| key.key.fingerprint());
        let signing = self.signing_key.as_ref().map(|key| key.key.public_key().fingerprint());
        self.other_token_keys.iter().any(|other| Some(other.key.fingerprint()) == token)
            || self.other_public_keys.iter().any(|other| Some(other.key.fingerprint()) == signing)
    }

    /// Whether a secret key stands in the settings themselves.
    pub fn has_secret(&self) -> bool {
        let mut tokens = self.token_key.iter().chain(&self.other_token_keys);
        tokens.any(|key| key.file.is_none()) || self.signing_key.iter().any(|key| key.file.is_none())
    }
}

impl fmt::Debug for KeysConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeysConfig([redacted])")
    }
}
