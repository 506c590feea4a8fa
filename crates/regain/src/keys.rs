//! The keys under the data path: made at the first start, read at every other. Files 0600, folder 0700.
//!
//! `keys/auth.key` signs sessions (PKCS#8 PEM), `keys/auth.pub` checks them (SubjectPublicKeyInfo PEM, as in ROS),
//! `keys/token.key` derives the tokens of links (64 hex digits). Whoever loses the last one loses no account; links
//! that are on their way are mailed anew.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use regain_core::rng::NoRandomness;
use regain_core::signing::SigningKeyError;
use regain_core::{Rng, SigningKey, Token, TokenKey};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use zeroize::Zeroizing;

/// What a process signs sessions and derives tokens with.
pub struct Keys {
    /// Signs sessions.
    pub signing: SigningKey,
    /// Derives tokens.
    pub token: TokenKey,
}

/// The keys cannot be had. Names the file; never shows a key.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// A file cannot be read or written.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds no key.
    #[error("{path}: {reason}", path = path.display())]
    Unusable {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: &'static str,
    },
    /// No key could be made.
    #[error(transparent)]
    NotMade(#[from] SigningKeyError),
    /// No key could be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl Keys {
    /// Reads the keys under `data_path`, making those that are not there. `is_new` says that there was no database: then a
    /// missing key is no loss.
    ///
    /// # Errors
    /// When a file cannot be read or written, or holds no key. A broken key is never replaced: that would end all sessions.
    pub fn open(data_path: &Path, is_new: bool, rng: &dyn Rng) -> Result<Self, KeysError> {
        let folder = data_path.join("keys");
        let io = |source| KeysError::Io { path: folder.clone(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(io)?;
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).map_err(io)?;
        let warn_of = |name: &str, what: &'static str| {
            if !is_new && !folder.join(name).exists() {
                tracing::warn!(key = name, "a key is gone and made anew: {what}");
            }
        };
        warn_of("auth.key", "all sessions end");
        warn_of("token.key", "links on their way are mailed anew, older ones are void");
        let signing = match read_signing_key(&folder)? {
            Some(key) => key,
            None => make_signing_key(&folder)?,
        };
        publish(&signing, &folder)?;
        let token = match read_token_key(&folder)? {
            Some(key) => key,
            None => make_token_key(&folder, rng)?,
        };
        Ok(Self { signing, token })
    }

    /// Reads the keys that are there and makes none. Answers which are not there.
    ///
    /// # Errors
    /// As [`Keys::open`].
    pub fn look(data_path: &Path) -> Result<Vec<PathBuf>, KeysError> {
        let folder = data_path.join("keys");
        read_signing_key(&folder)?;
        read_token_key(&folder)?;
        Ok(FILES.iter().map(|name| folder.join(name)).filter(|path| !path.exists()).collect())
    }
}

/// The keys that cannot be made again the same.
const FILES: [&str; 2] = ["auth.key", "token.key"];

fn read_signing_key(folder: &Path) -> Result<Option<SigningKey>, KeysError> {
    let path = folder.join("auth.key");
    let Some(pem) = read(&path)? else { return Ok(None) };
    let unusable = |reason| KeysError::Unusable { path: path.clone(), reason };
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes())
        .map_err(|_| unusable("is no private key in PKCS#8 PEM"))?;
    let key = SigningKey::from_pkcs8(der.secret_pkcs8_der());
    key.map(Some).map_err(|_| unusable("is no RSA private key of 2048 to 8192 bits"))
}

fn make_signing_key(folder: &Path) -> Result<SigningKey, KeysError> {
    let key = SigningKey::generate()?;
    write_new(&folder.join("auth.key"), &pem("PRIVATE KEY", &key.to_pkcs8()?))?;
    Ok(key)
}

/// Writes the public key, where it is not there or is another's.
fn publish(key: &SigningKey, folder: &Path) -> Result<(), KeysError> {
    let public = pem("PUBLIC KEY", &key.public_key()?);
    let path = folder.join("auth.pub");
    if read(&path)?.is_none_or(|kept| *kept != *public) {
        write_new(&path, &public)?;
    }
    Ok(())
}

fn read_token_key(folder: &Path) -> Result<Option<TokenKey>, KeysError> {
    let path = folder.join("token.key");
    let Some(text) = read(&path)? else { return Ok(None) };
    // A key is written as a token is: 32 bytes in hex.
    let bytes = Token::parse(text.trim_end()).map(|token| token.to_bytes());
    let reason = "does not hold 64 lower-case hex digits";
    bytes.map(|bytes| Some(TokenKey::from_bytes(bytes))).ok_or(KeysError::Unusable { path, reason })
}

fn make_token_key(folder: &Path, rng: &dyn Rng) -> Result<TokenKey, KeysError> {
    let key = TokenKey::random(rng)?;
    let hex = key.expose().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    write_new(&folder.join("token.key"), &Zeroizing::new(hex + "\n"))?;
    Ok(key)
}

pub(crate) fn read(path: &Path) -> Result<Option<Zeroizing<String>>, KeysError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KeysError::Io { path: path.to_owned(), source }),
    }
}

/// Writes a file so that it is there whole, or not at all, whenever the power goes.
pub(crate) fn write_new(path: &Path, text: &str) -> Result<(), KeysError> {
    let write = || {
        let part = path.with_extension("part");
        // One that a crash has left may have any mode.
        match fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&part, path)?;
        path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    };
    write().map_err(|source| KeysError::Io { path: path.to_owned(), source })
}

fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let base64 = Zeroizing::new(BASE64.encode(der));
    let mut text = Zeroizing::new(format!("-----BEGIN {label}-----\n"));
    for line in base64.as_bytes().chunks(64) {
        text.extend(line.iter().copied().map(char::from));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use regain_core::OsRng;

    use super::*;

    #[test]
    fn keys_are_made_once_and_found_again() {
        let data = tempfile::tempdir().unwrap();
        let first = Keys::open(data.path(), true, &OsRng).unwrap();
        let second = Keys::open(data.path(), true, &OsRng).unwrap();
        assert_eq!(first.token.id(), second.token.id());
        assert_eq!(first.signing.public_key().unwrap(), second.signing.public_key().unwrap());
        for (file, mode) in
            [("keys", 0o700), ("keys/auth.key", 0o600), ("keys/auth.pub", 0o600), ("keys/token.key", 0o600)]
        {
            let permissions = fs::metadata(data.path().join(file)).unwrap().permissions();
            assert_eq!(permissions.mode() & 0o777, mode, "{file}");
        }
    }

    #[test]
    fn a_file_that_a_crash_has_left_does_not_lend_its_mode() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().join("some.key");
        let part = path.with_extension("part");
        fs::write(&part, "half").unwrap();
        fs::set_permissions(&part, fs::Permissions::from_mode(0o666)).unwrap();
        write_new(&path, "whole").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
    }

    #[test]
    fn a_look_makes_nothing_and_names_what_is_not_there() {
        let data = tempfile::tempdir().unwrap();
        assert_eq!(Keys::look(data.path()).unwrap().len(), 2);
        assert!(!data.path().join("keys").exists());
        Keys::open(data.path(), true, &OsRng).unwrap();
        assert!(Keys::look(data.path()).unwrap().is_empty());
        fs::remove_file(data.path().join("keys/token.key")).unwrap();
        assert_eq!(Keys::look(data.path()).unwrap(), [data.path().join("keys/token.key")]);
    }

    #[test]
    fn openssl_reads_what_is_written() {
        let data = tempfile::tempdir().unwrap();
        Keys::open(data.path(), true, &OsRng).unwrap();
        let public = std::process::Command::new("openssl")
            .args(["pkey", "-pubout", "-in"])
            .arg(data.path().join("keys/auth.key"))
            .output()
            .expect("openssl is there");
        assert_eq!(
            String::from_utf8(public.stdout).unwrap(),
            fs::read_to_string(data.path().join("keys/auth.pub")).unwrap()
        );
    }

    #[test]
    fn a_broken_key_is_named_and_left_alone() {
        for file in ["auth.key", "token.key"] {
            let data = tempfile::tempdir().unwrap();
            Keys::open(data.path(), true, &OsRng).unwrap();
            let path = data.path().join("keys").join(file);
            fs::write(&path, "nonsense").unwrap();
            let error = Keys::open(data.path(), true, &OsRng).err().unwrap().to_string();
            assert!(error.contains(file), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), "nonsense");
            assert!(Keys::look(data.path()).is_err());
        }
    }
}
