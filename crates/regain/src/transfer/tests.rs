//! Importing and exporting over a store in memory: what is taken, what is named, what is left as it was.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use regain_core::store::AccountFilter;
use regain_core::testing::MemoryStore;
use regain_core::{AccountId, KeyMode, OsRng, Rng, Store, SystemClock};
use tempfile::TempDir;

use super::*;

/// PBKDF2-HMAC-SHA-512 over the empty password, one round: `hashlib.pbkdf2_hmac("sha512", b"", b"salt of 16 bytes", 1, 64)`.
const EMPTY: &str = r#"{"salt":"c2FsdCBvZiAxNiBieXRlcw==","iterations":1,"keyLength":64,"digest":"sha512","hash":"6TU1qjod40yovr5tj6zTEO76GZpsR925c3/C2Jr6/At4Y188x3W9plaEXscS8d0t+IFhBM6zzMohJ9/r3emDWA=="}"#;
const BCRYPT: &str = "$2b$04$CUV6WyGlole4O.J2rIKFQ.VhaBTrue17MpTo.vDSnj4i24Ozl5QD2";

/// A store, a directory, and files in it.
struct Desk {
    store: MemoryStore,
    directory: TempDir,
    rng: Arc<dyn Rng>,
}

impl Desk {
    fn new() -> Self {
        Self { store: MemoryStore::default(), directory: tempfile::tempdir().unwrap(), rng: Arc::new(OsRng) }
    }

    fn file(&self, lines: &[&str]) -> ImportFile {
        ImportFile::open(&self.path(lines)).unwrap()
    }

    fn path(&self, lines: &[&str]) -> PathBuf {
        let path = self.directory.path().join("accounts.jsonl");
        fs::write(&path, lines.join("\n")).unwrap();
        path
    }

    async fn check(&self, file: &ImportFile) -> Result<Checked, ImportError> {
        check(file, KeyMode::Folded, Some(&self.store), &self.rng, &mut |_| {}).await
    }

    async fn write(&self, file: &ImportFile, checked: &Checked) -> Result<Written, ImportError> {
        write(file, checked, &self.store, &SystemClock::start(), &*self.rng, &mut |_| {}).await
    }

    async fn import(&self, lines: &[&str]) -> Written {
        let file = self.file(lines);
        let checked = self.check(&file).await.unwrap();
        self.write(&file, &checked).await.unwrap()
    }

    /// What is told of these lines, all of which are wrong or not.
    async fn told(&self, lines: &[&str]) -> Vec<String> {
        match self.check(&self.file(lines)).await {
            Err(ImportError::Wrong(mistakes)) => {
                mistakes.iter().map(|(line, mistake)| format!("{line}: {mistake}")).collect()
            }
            Ok(_) => Vec::new(),
            Err(error) => panic!("{error}"),
        }
    }

    async fn export(&self) -> String {
        let mut out = Vec::new();
        export(&self.store, &mut out).await.unwrap();
        String::from_utf8(out).unwrap()
    }
}

#[tokio::test]
async fn a_line_with_a_name_alone_is_an_account_without_a_password() {
    let desk = Desk::new();
    let written = desk.import(&[r#"{"provider_id":"Ann@Example.org"}"#]).await;
    assert_eq!((written.added, written.already_there), (1, 0));
    let all = desk.store.accounts(AccountFilter { limit: 9, ..AccountFilter::default() }).await.unwrap();
    let [ann] = &all[..] else { panic!("{} accounts", all.len()) };
    assert_eq!((ann.name.as_str(), ann.name_key.as_str()), ("Ann@Example.org", "ann@example.org"));
    assert_eq!(ann.id.as_str().len(), 32);
    assert!(ann.password.is_none() && !ann.is_admin && !ann.is_confirmed && !ann.is_disabled);
}

#[tokio::test]
async fn an_export_is_imported_and_exported_again_to_the_same_bytes() {
    let lines = [
        r#"{"user_id":"a1","provider":"password","provider_id":"Ann@Example.org","is_admin":true,"is_disabled":false,"isEmailConfirmed":true,"metadata":{"a":"","key":"\"ü\"\n"},"password":"HASH"}"#,
        r#"{"user_id":"b2","provider":"password","provider_id":"bob","is_admin":false,"is_disabled":true,"isEmailConfirmed":false,"metadata":{},"password":null,"generation":3}"#,
        r#"{"user_id":"c3","provider":"realm","provider_id":"Server 1","is_admin":true,"is_disabled":false,"isEmailConfirmed":false,"metadata":{},"password":null}"#,
    ]
    .map(|line| line.replace("HASH", BCRYPT));
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let first = Desk::new();
    assert_eq!(first.import(&lines).await.added, 3);
    let exported = first.export().await;
    assert_eq!(exported, lines.join("\n") + "\n");
    let second = Desk::new();
    second.import(&exported.lines().collect::<Vec<_>>()).await;
    assert_eq!(second.export().await, exported);
}

#[tokio::test]
async fn an_export_of_several_pages_has_every_account_once() {
    let desk = Desk::new();
    let lines: Vec<String> =
        (0..2_000).map(|i| format!(r#"{{"provider_id":"u{i:04}@example.org"}}"#)).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert_eq!(desk.import(&lines).await.added, 2_000);
    let exported = desk.export().await;
    let names: std::collections::BTreeSet<_> =
        exported.lines().filter_map(|line| line.split('"').find(|part| part.contains('@'))).collect();
    assert_eq!((exported.lines().count(), names.len()), (2_000, 2_000));
    // Begun anew, with identities that are made or kept, it changes nothing.
    let again = desk.import(&lines).await;
    assert_eq!((again.added, again.already_there), (0, 2_000));
    let again = desk.import(&exported.lines().collect::<Vec<_>>()).await;
    assert_eq!((again.added, again.already_there), (0, 2_000));
    assert_eq!(desk.export().await, exported);
}

#[tokio::test]
async fn every_bad_line_is_named_with_its_number_and_its_reason() {
    let long_name = "x".repeat(255);
    let long_value = "x".repeat(8_193);
    let cases: &[(&str, &str)] = &[
        ("{", "it is not valid JSON (column 1)"),
        (r#"{"provider_id":"a"} x"#, "it is not valid JSON"),
        (r#"{"provider_id":"\ud800"}"#, "it is not valid JSON"),
        ("[]", "it is not a JSON object"),
        ("{}", "provider_id is missing"),
        (r#"{"provider_id":null}"#, "provider_id is missing"),
        (r#"{"provider_id":""}"#, "provider_id must not be empty"),
        (r#"{"provider_id":1}"#, "provider_id must be a text"),
        (r#"{"provider_id":"a\u0000b"}"#, "provider_id must not contain control characters"),
        (&format!(r#"{{"provider_id":"{long_name}"}}"#), "provider_id must not be longer than 254 bytes"),
        (r#"{"provider_id":"a","providerId":"a"}"#, "the key \"providerId\" is not known"),
        (r#"{"provider_id":"a","provider_id":"b"}"#, "the key \"provider_id\" comes twice"),
        (r#"{"provider_id":"a","metadata":{"k":"1","k":"2"}}"#, "the key \"k\" comes twice"),
        (r#"{"provider_id":"a","user_id":"a b"}"#, "user_id must be 1 to 128"),
        (r#"{"provider_id":"a","user_id":"__admin"}"#, "user_id must be 1 to 128"),
        (r#"{"provider_id":"a","user_id":7}"#, "user_id must be a text"),
        (r#"{"provider_id":"a","provider":"debug"}"#, "provider must be \"password\" or \"realm\""),
        (r#"{"provider_id":"a","is_admin":"yes"}"#, "is_admin must be true or false"),
        (r#"{"provider_id":"a","is_disabled":1}"#, "is_disabled must be true or false"),
        (r#"{"provider_id":"a","metadata":{"k":1}}"#, "metadata must be an object of texts"),
        (r#"{"provider_id":"a","metadata":[]}"#, "metadata must be an object of texts"),
        (&format!(r#"{{"provider_id":"a","metadata":{{"k":"{long_value}"}}}}"#), "metadata has a value"),
        (
            r#"{"provider_id":"a","isEmailConfirmed":true,"metadata":{"isEmailConfirmed":"false"}}"#,
            "isEmailConfirmed is one thing and another in metadata",
        ),
        (r#"{"provider_id":"a","password":"correct horse"}"#, "password: it is not a password hash"),
        (r#"{"provider_id":"a","password":7}"#, "password must be a hash as text"),
        (r#"{"provider_id":"a","password":{"salt":"AA=="}}"#, "password.iterations is missing"),
        (
            r#"{"provider_id":"a","password":{"salt":"","iterations":1.5,"keyLength":1,"digest":"","hash":""}}"#,
            "password.iterations must be a whole number",
        ),
        (
            &format!(r#"{{"provider_id":"a","provider":"realm","password":"{BCRYPT}"}}"#),
            "password must be left out",
        ),
        (&format!(r#"{{"provider_id":"a","is_admin":true,"password":{EMPTY}}}"#), "an empty password"),
    ];
    let desk = Desk::new();
    // Between good ones, so that the numbers are worth something.
    let lines = cases.iter().flat_map(|(line, _)| [*line, ""]).collect::<Vec<_>>();
    let told = desk.told(&lines).await;
    assert_eq!(told.len(), cases.len(), "{told:#?}");
    for (i, (told, (line, reason))) in told.iter().zip(cases).enumerate() {
        assert!(told.starts_with(&format!("{}: ", i * 2 + 1)) && told.contains(reason), "{line}: {told}");
        assert!(!told.contains("correct horse"), "{told}");
    }
    assert_eq!(desk.export().await, "");
}

#[tokio::test]
async fn an_empty_password_is_an_administrators_mistake_alone() {
    let desk = Desk::new();
    let line = format!(r#"{{"provider_id":"a","is_admin":false,"password":{EMPTY}}}"#);
    assert_eq!(desk.told(&[&line]).await, Vec::<String>::new());
}

#[tokio::test]
async fn names_and_identities_that_come_twice_are_named_with_the_first_line() {
    let desk = Desk::new();
    let lines = [
        r#"{"provider_id":"ann@example.org","user_id":"a"}"#,
        r#"{"provider_id":"bob","user_id":"a"}"#,
        r#"{"provider_id":"Ann@example.org"}"#,
        r#"{"provider_id":"ann@example.org"}"#,
        r#"{"provider_id":"ann@example.org","provider":"realm"}"#,
    ];
    let told = desk.told(&lines).await;
    assert_eq!(told[0], "2: user_id is the same as in line 1");
    assert!(told[1].starts_with("3: provider_id differs from that of line 1 by case alone"), "{told:?}");
    assert_eq!(told[2], "4: provider_id is the same as in line 1");
    assert_eq!(told.len(), 3);
    let file = desk.file(&[lines[0], lines[2]]);
    let checked = check(&file, KeyMode::Exact, None, &desk.rng, &mut |_| {}).await.unwrap();
    assert_eq!(checked.accounts, 2);
}

#[tokio::test]
async fn of_many_mistakes_the_first_thousand_are_named_and_all_are_counted() {
    let desk = Desk::new();
    let many: Vec<String> = (0..1_500).map(|i| format!(r#"{{"provider_id":"u{i}"}}"#)).collect();
    let lines: Vec<&str> = many.iter().chain(&many).map(String::as_str).collect();
    let Err(ImportError::Wrong(mistakes)) = desk.check(&desk.file(&lines)).await else {
        panic!("nothing is wrong")
    };
    assert_eq!((mistakes.iter().count(), mistakes.more(), mistakes.count()), (1_000, 500, 1_500));
}

#[tokio::test]
async fn the_builtin_administrator_is_left_out() {
    let desk = Desk::new();
    let lines = [
        r#"{"user_id":"__admin","provider":"realm","provider_id":"__admin","is_admin":true}"#,
        r#"{"provider_id":"ann","password":null}"#,
    ];
    let checked = desk.check(&desk.file(&lines)).await.unwrap();
    assert_eq!((checked.accounts, checked.skipped, checked.without_password), (1, 1, 1));
    assert_eq!(desk.import(&lines).await.added, 1);
}

#[tokio::test]
async fn what_is_there_stays_as_it_is_and_what_clashes_is_named() {
    let desk = Desk::new();
    desk.import(&[r#"{"provider_id":"ann","user_id":"a"}"#]).await;
    let again = [r#"{"provider_id":"Ann","is_admin":true}"#, r#"{"provider_id":"bob","user_id":"b"}"#];
    let checked = desk.check(&desk.file(&again)).await.unwrap();
    assert_eq!((checked.accounts, checked.already_there), (2, 1));
    let written = desk.import(&again).await;
    assert_eq!((written.added, written.already_there), (1, 1));
    assert!(!desk.export().await.contains("true"));
    let clashes = [r#"{"provider_id":"ann","user_id":"x"}"#, r#"{"provider_id":"cleo","user_id":"a"}"#];
    assert_eq!(
        desk.told(&clashes).await,
        [
            "1: an account with another user_id has this provider_id already",
            "2: an account with another provider_id has this user_id already"
        ]
    );
}

#[tokio::test]
async fn an_account_that_comes_in_between_is_told_and_the_others_are_added() {
    let desk = Desk::new();
    let lines = [r#"{"provider_id":"ann","user_id":"a"}"#, r#"{"provider_id":"bob","user_id":"b"}"#];
    let file = desk.file(&lines);
    let checked = desk.check(&file).await.unwrap();
    let other = Desk { store: desk.store, ..Desk::new() };
    other.import(&[r#"{"provider_id":"ann","user_id":"x"}"#]).await;
    let written = other.write(&file, &checked).await.unwrap();
    assert_eq!(written.added, 1);
    let conflicts: Vec<_> = written.conflicts.iter().collect();
    assert_eq!(conflicts, [(1, &Mistake::NameTaken)]);
}

#[tokio::test]
async fn a_file_that_changes_is_not_imported() {
    let desk = Desk::new();
    let path = desk.path(&[r#"{"provider_id":"ann"}"#, ""]);
    let file = ImportFile::open(&path).unwrap();
    let checked = desk.check(&file).await.unwrap();
    let mut changed = fs::OpenOptions::new().append(true).open(&path).unwrap();
    changed.write_all(b"{\"provider_id\":\"bob\"}\n").unwrap();
    assert!(matches!(desk.write(&file, &checked).await, Err(ImportError::Changed)));
    assert!(matches!(desk.check(&file).await, Err(ImportError::Changed)));
    assert_eq!(desk.export().await, "");
}

#[tokio::test]
async fn every_account_that_is_taken_is_exported_in_a_line_that_is_taken() {
    let desk = Desk::new();
    // A line break takes two bytes as JSON, and 16 of these are just within the bound.
    let value = "\\n".repeat(4_084);
    let entries: Vec<String> = (0..16).map(|i| format!(r#""{i:02}":"{value}""#)).collect();
    let id = "i".repeat(128);
    let name = "\\\\".repeat(254);
    let line = format!(r#"{{"provider_id":"{name}","user_id":"{id}","metadata":{{{}}}}}"#, entries.join(","));
    assert_eq!(desk.import(&[&line]).await.added, 1);
    let exported = desk.export().await;
    assert!(exported.len() < MAX_LINE_BYTES);
    assert_eq!(Desk::new().import(&[exported.trim_end()]).await.added, 1);
    let more = line.replace(r#""metadata":{"#, &format!(r#""metadata":{{"99":"{value}","#));
    assert_eq!(desk.told(&[&more]).await, ["1: metadata must not have more than 131072 bytes as JSON"]);
    assert!(AccountId::parse(&id).is_some());
}

#[test]
fn what_cannot_be_read_twice_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(ImportFile::open(directory.path()), Err(ImportError::NotAFile)));
    assert!(matches!(ImportFile::open(&directory.path().join("none")), Err(ImportError::Io(_))));
}
