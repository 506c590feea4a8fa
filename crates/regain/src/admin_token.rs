//! The administrator's token in `keys/admin.json`, where tools made for ROS look for it: `{"ADMIN_TOKEN":"..."}`.
//!
//! The token itself is in that file alone, for its owner's eyes. The store knows which one is in force, so that another one
//! ends it at once, whoever has a copy.

use std::path::{Path, PathBuf};

use regain_core::rng::NoRandomness;
use regain_core::session::{AdminToken, Kind};
use regain_core::signing::SigningKeyError;
use regain_core::{Rng, SessionId, SigningKeys, Store, StoreError, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::keys::{self, KeysError};

/// The administrator's token cannot be made or put in force.
#[derive(Debug, thiserror::Error)]
pub enum AdminTokenError {
    /// Its file cannot be read or written.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The store does not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be signed.
    #[error(transparent)]
    NotSigned(#[from] SigningKeyError),
    /// It cannot be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

#[derive(Serialize, Deserialize)]
struct Written {
    #[serde(rename = "ADMIN_TOKEN")]
    token: String,
}

/// Where the token is kept.
pub fn path(data_path: &Path) -> PathBuf {
    data_path.join("keys/admin.json")
}

/// Makes a token where there is none (of processes that share a database, the first does), and sees to it that the store knows the one that is there. A file that cannot be
/// used is told in the log and left alone: it stops nobody but the administrator.
///
/// # Errors
/// See [`AdminTokenError`].
pub async fn ensure(
    data_path: &Path,
    signing_keys: &SigningKeys,
    store: &dyn Store,
    is_shared: bool,
    rng: &dyn Rng,
    now: Timestamp,
) -> Result<(), AdminTokenError> {
    let there = match keys::read(&path(data_path)) {
        Ok(None) => return issue(data_path, signing_keys, store, !is_shared, rng, now).await,
        Ok(Some(text)) => identity(&text, signing_keys),
        Err(error) => {
            tracing::warn!(%error, "the administrator's token cannot be read");
            None
        }
    };
    let is_in_force = match there {
        Some(id) => store.put_admin_token(&id, false, now).await?,
        None => false,
    };
    if !is_in_force {
        tracing::warn!(
            "keys/admin.json holds no administrator's token that is in force; `regain keys admin-token` makes a new one"
        );
    }
    Ok(())
}

/// The identity of the token in a file; `None` where there is none that one of these keys has signed.
fn identity(text: &str, signing_keys: &SigningKeys) -> Option<SessionId> {
    let written: Written = serde_json::from_str(text).ok()?;
    let (claims, id) = signing_keys.read(&Zeroizing::new(written.token)).ok()?;
    (claims.kind == Kind::Admin).then_some(id)
}

/// Makes a token in place of the one before, which ends at once.
///
/// # Errors
/// See [`AdminTokenError`].
pub async fn reissue(
    data_path: &Path,
    signing_keys: &SigningKeys,
    store: &dyn Store,
    rng: &dyn Rng,
    now: Timestamp,
) -> Result<(), AdminTokenError> {
    issue(data_path, signing_keys, store, true, rng, now).await
}

/// Makes a token: with `replace` in place of the one before, else only where none is in force.
async fn issue(
    data_path: &Path,
    signing_keys: &SigningKeys,
    store: &dyn Store,
    replace: bool,
    rng: &dyn Rng,
    now: Timestamp,
) -> Result<(), AdminTokenError> {
    let signed = signing_keys.sign(&AdminToken::new(rng)?)?;
    let (_, id) = signing_keys.read(&signed.token).map_err(|_| SigningKeyError::NotMade)?;
    // The store first: were the process to end in between, the next start would find no file and make another.
    if !store.put_admin_token(&id, replace, now).await? {
        tracing::info!(
            "another process has made the administrator's token; `regain keys admin-token` makes one here, and ends that one"
        );
        return Ok(());
    }
    let written = Zeroizing::new(format!("{{\"ADMIN_TOKEN\":\"{}\"}}\n", *signed.token));
    Ok(keys::write_new(&path(data_path), &written)?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use regain_core::OsRng;
    use regain_core::store::AdminStanding;
    use regain_core::testing::MemoryStore;

    use super::*;
    use crate::config::Config;
    use crate::keys::Keys;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    async fn keys_in(data: &Path) -> Keys {
        let config = Config { data_path: data.to_owned(), ..Config::default() };
        Keys::open(&config, &MemoryStore::default(), &OsRng, NOW).await.unwrap()
    }

    async fn standing(keys: &Keys, store: &MemoryStore, file: &Path) -> AdminStanding {
        let written: Written = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
        let (claims, id) = keys.signing.read(&written.token).unwrap();
        assert_eq!(claims.kind, Kind::Admin);
        store.admin_token(&id).await.unwrap()
    }

    #[tokio::test]
    async fn a_token_is_made_once_for_its_owner_alone() {
        let data = tempfile::tempdir().unwrap();
        let (keys, store) = (keys_in(data.path()).await, MemoryStore::default());
        let ensure = || ensure(data.path(), &keys.signing, &store, false, &OsRng, NOW);
        ensure().await.unwrap();
        let file = path(data.path());
        let first = fs::read_to_string(&file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(standing(&keys, &store, &file).await, AdminStanding::InForce);
        ensure().await.unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), first);
    }

    #[tokio::test]
    async fn another_token_ends_the_one_before_and_so_does_removing_the_file() {
        let data = tempfile::tempdir().unwrap();
        let (keys, store) = (keys_in(data.path()).await, MemoryStore::default());
        ensure(data.path(), &keys.signing, &store, false, &OsRng, NOW).await.unwrap();
        let (file, old) = (path(data.path()), data.path().join("old.json"));
        fs::rename(&file, &old).unwrap();
        ensure(data.path(), &keys.signing, &store, false, &OsRng, NOW).await.unwrap();
        assert_eq!(standing(&keys, &store, &old).await, AdminStanding::Unknown);
        assert_eq!(standing(&keys, &store, &file).await, AdminStanding::InForce);
        // A copy of an older file does not come back into force by being put in place.
        fs::rename(&old, &file).unwrap();
        ensure(data.path(), &keys.signing, &store, false, &OsRng, NOW).await.unwrap();
        assert_eq!(standing(&keys, &store, &file).await, AdminStanding::Unknown);
    }

    #[tokio::test]
    async fn a_token_that_ros_made_is_taken_over_with_its_key() {
        let data = tempfile::tempdir().unwrap();
        let keys = keys_in(data.path()).await;
        ensure(data.path(), &keys.signing, &MemoryStore::default(), false, &OsRng, NOW).await.unwrap();
        let fresh = MemoryStore::default();
        ensure(data.path(), &keys.signing, &fresh, false, &OsRng, NOW).await.unwrap();
        assert_eq!(standing(&keys, &fresh, &path(data.path())).await, AdminStanding::InForce);
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_used_is_left_alone() {
        let data = tempfile::tempdir().unwrap();
        let (keys, store) = (keys_in(data.path()).await, MemoryStore::default());
        for text in [&b"nonsense"[..], b"{\"ADMIN_TOKEN\":\"a:b\"}", b"\xff"] {
            fs::write(path(data.path()), text).unwrap();
            ensure(data.path(), &keys.signing, &store, false, &OsRng, NOW).await.unwrap();
            assert_eq!(fs::read(path(data.path())).unwrap(), text);
        }
        fs::remove_file(path(data.path())).unwrap();
        fs::create_dir(path(data.path())).unwrap();
        ensure(data.path(), &keys.signing, &store, false, &OsRng, NOW).await.unwrap();
    }

    #[tokio::test]
    async fn of_processes_that_share_a_database_the_first_makes_one() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (keys, store) = (keys_in(one.path()).await, MemoryStore::default());
        for data in [&one, &other, &one] {
            ensure(data.path(), &keys.signing, &store, true, &OsRng, NOW).await.unwrap();
        }
        assert_eq!(standing(&keys, &store, &path(one.path())).await, AdminStanding::InForce);
        assert!(!path(other.path()).exists());
    }
}
