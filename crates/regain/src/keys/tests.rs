//! Keys under the data path and from the configuration, and what the database says of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use regain_core::testing::MemoryStore;
use regain_core::{OsRng, SigningKey, TokenKey};

use super::*;
use crate::config::KeysConfig;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn config(data: &Path) -> Config {
    Config { data_path: data.to_owned(), ..Config::default() }
}

async fn open(config: &Config, store: &MemoryStore) -> Result<Keys, KeysError> {
    Keys::open(config, store, &OsRng, NOW).await
}

#[tokio::test]
async fn keys_are_made_once_and_found_again() {
    let (data, store) = (tempfile::tempdir().unwrap(), MemoryStore::default());
    let first = open(&config(data.path()), &store).await.unwrap();
    let second = open(&config(data.path()), &store).await.unwrap();
    assert_eq!(first.offer(), second.offer());
    for (file, mode) in
        [("keys", 0o700), ("keys/auth.key", 0o600), ("keys/auth.pub", 0o600), ("keys/token.key", 0o600)]
    {
        let permissions = fs::metadata(data.path().join(file)).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, mode, "{file}");
    }
}

#[test]
fn processes_that_start_at_once_on_one_data_path_have_the_same_keys() {
    let data = tempfile::tempdir().unwrap();
    let looks: Vec<_> = (0..6).map(|_| FoundKeys::look(&config(data.path())).unwrap()).collect();
    let offers: Vec<KeyOffer> = std::thread::scope(|scope| {
        let make = |found: FoundKeys| scope.spawn(|| found.make_missing(&OsRng).unwrap().offer());
        let starts: Vec<_> = looks.into_iter().map(make).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    let kept = FoundKeys::look(&config(data.path())).unwrap().offer();
    assert!(offers.iter().all(|offer| *offer == kept));
    let files = fs::read_dir(data.path().join("keys")).unwrap().count();
    assert_eq!(files, 3, "auth.key, auth.pub and token.key");
}

#[tokio::test]
async fn a_look_makes_nothing_and_names_what_is_not_there() {
    let (data, store) = (tempfile::tempdir().unwrap(), MemoryStore::default());
    let missing = || FoundKeys::look(&config(data.path())).unwrap().missing();
    assert_eq!(missing().len(), 2);
    assert!(!data.path().join("keys").exists());
    open(&config(data.path()), &store).await.unwrap();
    assert!(missing().is_empty());
    fs::remove_file(data.path().join("keys/token.key")).unwrap();
    assert_eq!(missing(), [data.path().join("keys/token.key")]);
}

#[tokio::test]
async fn openssl_reads_what_is_written() {
    let (data, store) = (tempfile::tempdir().unwrap(), MemoryStore::default());
    open(&config(data.path()), &store).await.unwrap();
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

#[tokio::test]
async fn a_broken_key_is_named_and_left_alone() {
    for file in ["auth.key", "token.key"] {
        let (data, store) = (tempfile::tempdir().unwrap(), MemoryStore::default());
        open(&config(data.path()), &store).await.unwrap();
        let path = data.path().join("keys").join(file);
        fs::write(&path, "nonsense").unwrap();
        let error = open(&config(data.path()), &store).await.err().unwrap().to_string();
        assert!(error.contains(file), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "nonsense");
        assert!(FoundKeys::look(&config(data.path())).is_err());
    }
}

#[tokio::test]
async fn configured_keys_are_worked_with_and_no_others_are_made() {
    let (data, store) = (tempfile::tempdir().unwrap(), MemoryStore::default());
    let (token, signing) = (TokenKey::random(&OsRng).unwrap(), SigningKey::generate().unwrap());
    let keys = KeysConfig {
        token_key: Some(token.clone().into()),
        signing_key: Some(Arc::new(signing).into()),
        ..KeysConfig::default()
    };
    let configured = Config { keys, ..config(data.path()) };
    let opened = open(&configured, &store).await.unwrap();
    assert_eq!(opened.token.offered().current, Some(token.fingerprint()));
    let mut files: Vec<_> =
        fs::read_dir(data.path().join("keys")).unwrap().map(|file| file.unwrap().file_name()).collect();
    files.sort();
    assert_eq!(files, ["auth.pub"], "services find the public half where it always is");
    assert_eq!(
        FoundKeys::look(&configured).unwrap().source(regain_core::keys::KeyKind::Token),
        "keys.tokenKey"
    );
}

#[tokio::test]
async fn where_a_key_is_lost_none_is_made_before_the_operator_says_so() {
    let (data, store) = (tempfile::tempdir().unwrap(), MemoryStore::default());
    let before = open(&config(data.path()), &store).await.unwrap();
    fs::remove_file(data.path().join("keys/auth.key")).unwrap();
    let error = open(&config(data.path()), &store).await.err().unwrap();
    let in_force = before.signing.offered().current.unwrap();
    let KeysError::Disagree(refused) = &error else { panic!("{error}") };
    assert_eq!((refused.len(), refused[0].own, refused[0].in_force), (1, None, in_force));
    for part in ["keys/auth.key is not there", &in_force.to_string(), "keys.signingKey", "regain keys accept"]
    {
        assert!(error.to_string().contains(part), "{part} in {error}");
    }
    assert!(!data.path().join("keys/auth.key").exists());
    let (after, agreement) = Keys::accept(&config(data.path()), &store, &OsRng, NOW).await.unwrap();
    assert_eq!(agreement.signing, regain_core::keys::KeyStanding::Replaced { from: in_force });
    assert_eq!(open(&config(data.path()), &store).await.unwrap().offer(), after.offer());
    assert_eq!(after.token.offered(), before.token.offered());
}
