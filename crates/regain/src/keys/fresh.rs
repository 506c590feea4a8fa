//! Fresh keys for the configuration of processes that share a database. Puts none in force.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use regain_core::keys::KeyKind;
use regain_core::{KeyFingerprint, Rng, SigningKey, TokenKey};
use zeroize::Zeroizing;

use super::files::write_fresh;
use super::found::{PUBLIC, SIGNING, TOKEN};
use super::{KeysError, public_key_pem, signing_key_pem, token_key_text};

/// A key that nobody has yet.
pub struct FreshKey {
    kind: KeyKind,
    fingerprint: KeyFingerprint,
    text: Zeroizing<String>,
    /// The public half, where it has one.
    public: Option<Zeroizing<String>>,
}

impl FreshKey {
    /// Makes one. A signing key takes some tens of milliseconds of processor time.
    ///
    /// # Errors
    /// Where there is no randomness, or aws-lc cannot.
    pub fn generate(kind: KeyKind, rng: &dyn Rng) -> Result<Self, KeysError> {
        match kind {
            KeyKind::Token => {
                let key = TokenKey::random(rng)?;
                Ok(Self { kind, fingerprint: key.fingerprint(), text: token_key_text(&key), public: None })
            }
            KeyKind::Signing => {
                let key = SigningKey::generate()?;
                let public = key.public_key();
                let text = signing_key_pem(&key)?;
                Ok(Self {
                    kind,
                    fingerprint: public.fingerprint(),
                    text,
                    public: Some(public_key_pem(public)),
                })
            }
        }
    }

    /// Which kind it is of.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// What it is called among processes.
    pub fn fingerprint(&self) -> KeyFingerprint {
        self.fingerprint
    }

    /// The key itself: 64 hex digits or PKCS#8 PEM, and a line break.
    pub fn expose(&self) -> &str {
        &self.text
    }

    fn files(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let name = match self.kind {
            KeyKind::Token => TOKEN,
            KeyKind::Signing => SIGNING,
        };
        let public = self.public.iter().map(|text| (PUBLIC, text.as_str()));
        std::iter::once((name, self.text.as_str())).chain(public)
    }
}

/// Writes fresh keys into a directory, which is made where it is not there (mode 0700), each into a file for its owner alone
/// (0600): `token.key`, `auth.key` and `auth.pub`. Answers the files.
///
/// # Errors
/// Where one of the files is there, which is never overwritten: then none is written. Where they cannot be written.
pub fn write_fresh_keys(directory: &Path, keys: &[FreshKey]) -> Result<Vec<PathBuf>, KeysError> {
    let files: Vec<_> =
        keys.iter().flat_map(FreshKey::files).map(|(name, text)| (directory.join(name), text)).collect();
    // All or none: half of what was asked for would be mistaken for the whole.
    if let Some((path, _)) = files.iter().find(|(path, _)| path.symlink_metadata().is_ok()) {
        let reason = "is there already, and no key is ever overwritten";
        let error = io::Error::new(io::ErrorKind::AlreadyExists, reason);
        return Err(KeysError::Io { path: path.clone(), error });
    }
    let io = |error| KeysError::Io { path: directory.to_owned(), error };
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io)?;
    for (path, text) in &files {
        write_fresh(path, text)?;
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}
