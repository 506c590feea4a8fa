//! The keys that are there, before any is made.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regain_core::keys::{KeyKind, OfferedKeys};
use regain_core::{
    KeyAgreement, KeyIntent, KeyOffer, PublicKey, Rng, SigningKey, SigningKeys, Store, Timestamp, TokenKey,
    TokenKeys,
};

use super::files::write_missing;
use super::{
    Keys, KeysError, agree, parse_signing_key, parse_token_key, public_key_pem, read, signing_key_pem,
    token_key_text, write_new,
};
use crate::config::{Config, ConfiguredKey};

pub(super) const SIGNING: &str = "auth.key";
pub(super) const PUBLIC: &str = "auth.pub";
pub(super) const TOKEN: &str = "token.key";

/// The keys that are configured, or under the data path. Making none, it can be looked at beside a running process.
pub struct FoundKeys {
    signing: Option<Arc<SigningKey>>,
    other_public: Vec<PublicKey>,
    token: Option<TokenKey>,
    other_tokens: Vec<TokenKey>,
    folder: PathBuf,
    sources: Sources,
}

/// Where the keys that are worked with come from, for people.
#[derive(Clone)]
pub(super) struct Sources {
    token: String,
    signing: String,
}

impl Sources {
    pub(super) fn of(&self, kind: KeyKind) -> &str {
        match kind {
            KeyKind::Token => &self.token,
            KeyKind::Signing => &self.signing,
        }
    }
}

impl FoundKeys {
    /// Reads the keys that are there and makes none.
    ///
    /// # Errors
    /// When a file cannot be read, or holds no key.
    pub fn look(config: &Config) -> Result<Self, KeysError> {
        let (settings, folder) = (&config.keys, config.data_path.join("keys"));
        let (signing_file, token_file) = (folder.join(SIGNING), folder.join(TOKEN));
        let sources = Sources {
            token: source("keys.tokenKey", settings.token_key.as_ref(), &token_file),
            signing: source("keys.signingKey", settings.signing_key.as_ref(), &signing_file),
        };
        let signing = match &settings.signing_key {
            Some(configured) => Some(configured.key.clone()),
            None => parsed(&signing_file, parse_signing_key)?.map(Arc::new),
        };
        let token = match &settings.token_key {
            Some(configured) => Some(configured.key.clone()),
            None => parsed(&token_file, parse_token_key)?,
        };
        let other_public = settings.other_public_keys.iter().map(|other| other.key.clone()).collect();
        let other_tokens = settings.other_token_keys.iter().map(|other| other.key.clone()).collect();
        Ok(Self { signing, other_public, token, other_tokens, folder, sources })
    }

    /// The files that would be made.
    pub fn missing(&self) -> Vec<PathBuf> {
        let files = [(self.signing.is_none(), SIGNING), (self.token.is_none(), TOKEN)];
        files.iter().filter(|(is_missing, _)| *is_missing).map(|(_, name)| self.folder.join(name)).collect()
    }

    /// All keys by their fingerprints.
    pub fn offer(&self) -> KeyOffer {
        let token = OfferedKeys {
            current: self.token.as_ref().map(TokenKey::fingerprint),
            others: self.other_tokens.iter().map(TokenKey::fingerprint).collect(),
        };
        let signing = OfferedKeys {
            current: self.signing.as_ref().map(|key| key.public_key().fingerprint()),
            others: self.other_public.iter().map(PublicKey::fingerprint).collect(),
        };
        KeyOffer { token, signing }
    }

    /// Where the key of that kind is, or would be made.
    pub fn source(&self, kind: KeyKind) -> &str {
        self.sources.of(kind)
    }

    pub(super) fn sources(&self) -> &Sources {
        &self.sources
    }

    /// Asks the database what would come of a start with these keys; changes nothing.
    ///
    /// # Errors
    /// [`KeysError::Disagree`] where it would be refused, and where the database cannot be asked.
    pub async fn must_agree(&self, store: &dyn Store, now: Timestamp) -> Result<KeyAgreement, KeysError> {
        agree::agree(self.offer(), KeyIntent::Ask, &self.sources, store, now).await
    }

    /// Says in an operator's words what a store's answer to [`FoundKeys::offer`] means.
    ///
    /// # Errors
    /// [`KeysError::Disagree`] where a start would be refused.
    pub fn judged(&self, agreement: &KeyAgreement) -> Result<(), KeysError> {
        agree::judged(&self.offer(), agreement, &self.sources)
    }

    /// The keys that sign and check sessions, where the one that signs is there.
    pub fn signing(&self) -> Option<SigningKeys> {
        Some(SigningKeys::new(self.signing.clone()?, self.other_public.clone()))
    }

    /// Makes the keys that are missing, and writes the public half of the signing key down. Where another process on the same
    /// data path has made one since the look, that one counts.
    pub(super) fn make_missing(self, rng: &dyn Rng) -> Result<Keys, KeysError> {
        let io = |error| KeysError::Io { path: self.folder.clone(), error };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(io)?;
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700)).map_err(io)?;
        let signing = match self.signing {
            Some(key) => key,
            None => {
                let key = SigningKey::generate()?;
                let path = self.folder.join(SIGNING);
                write_missing(&path, &signing_key_pem(&key)?)?;
                Arc::new(parsed(&path, parse_signing_key)?.unwrap_or(key))
            }
        };
        publish(signing.public_key(), &self.folder)?;
        let token = match self.token {
            Some(key) => key,
            None => {
                let key = TokenKey::random(rng)?;
                let path = self.folder.join(TOKEN);
                write_missing(&path, &token_key_text(&key))?;
                parsed(&path, parse_token_key)?.unwrap_or(key)
            }
        };
        Ok(Keys {
            signing: SigningKeys::new(signing, self.other_public),
            token: TokenKeys::new(token, self.other_tokens),
        })
    }
}

fn source<K>(setting: &str, configured: Option<&ConfiguredKey<K>>, file: &Path) -> String {
    match configured {
        Some(ConfiguredKey { file: Some(file), .. }) => format!("{setting}, {}", file.display()),
        Some(_) => setting.to_owned(),
        None => file.display().to_string(),
    }
}

fn parsed<K>(path: &Path, parse: impl Fn(&str) -> Result<K, String>) -> Result<Option<K>, KeysError> {
    let unusable = |reason| KeysError::Unusable { path: path.to_owned(), reason };
    read(path)?.map(|text| parse(&text).map_err(unusable)).transpose()
}

/// Writes the public key, where it is not there or is another's.
fn publish(key: &PublicKey, folder: &Path) -> Result<(), KeysError> {
    let public = public_key_pem(key);
    let path = folder.join(PUBLIC);
    if read(&path)?.is_none_or(|kept| *kept != *public) {
        write_new(&path, &public)?;
    }
    Ok(())
}
