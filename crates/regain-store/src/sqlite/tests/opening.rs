//! Opening, migrating, and refusing what cannot be trusted.

use std::sync::{Arc, Barrier};

use regain_core::{KeyMode, Purpose, Store};
use tempfile::TempDir;

use super::{Options, Scene, SqliteStore};
use crate::sqlite::OpenError;
use crate::sqlite::migrate::{MIGRATIONS, sha256};

/// Released migrations, by the SHA-256 of their text. A line is added with each; none ever changes.
const RELEASED: &[(&str, &str)] = &[
    ("0001_schema", "732a27a009555023916fed49b136e2c98e7734044c0a1dbf6fefd855d7597ff6"),
    ("0002_deleted_accounts", "c2054a40c500b15a0a75c0121926521a91dcf0b7913a5281b5ed8e2b42e4c59a"),
    ("0003_crashes", "936475ad9d4aec4ec005ddac0e8e46a4008e18a47c1a4d5ebaf1035006d046a1"),
    ("0004_waiting_by_purpose", "8b4597c21113dc882599b49e5d58044e706375fd62a16060aba51f52a1db5967"),
    ("0005_cheaper_letters", "78d6d439350014ee855ab186473a72412b1f21f0e4fa0a631522360ae925805f"),
    ("0006_plans_without_statistics", "17e43de6d24da16d8b10e54f482851264abf8112981a8f9ed449b6df6deb2e2a"),
];

#[test]
fn a_released_migration_never_changes() {
    let known: Vec<(&str, String)> = MIGRATIONS
        .iter()
        .map(|m| (m.name, sha256(m.sql).iter().map(|byte| format!("{byte:02x}")).collect()))
        .collect();
    let released: Vec<(&str, String)> =
        RELEASED.iter().map(|(name, hash)| (*name, (*hash).to_owned())).collect();
    assert_eq!(known, released);
}

#[test]
fn migrations_are_numbered_without_gaps() {
    for (number, migration) in (1..).zip(MIGRATIONS) {
        assert!(migration.name.starts_with(&format!("{number:04}_")), "{}", migration.name);
    }
}

#[tokio::test]
async fn a_database_is_durable_and_checked_by_its_types() {
    let scene = Scene::new();
    let pragma = |name: &'static str| {
        let store = Arc::clone(&scene.store);
        async move {
            let sql = format!("PRAGMA {name}");
            let read = move |c: &rusqlite::Connection| {
                c.query_row(&sql, (), |row| row.get::<_, rusqlite::types::Value>(0))
            };
            format!("{:?}", store.writer.run(read).await.unwrap())
        }
    };
    assert_eq!(pragma("journal_mode").await, r#"Text("wal")"#);
    assert_eq!(pragma("synchronous").await, "Integer(2)");
    assert_eq!(pragma("foreign_keys").await, "Integer(1)");
    assert_eq!(pragma("trusted_schema").await, "Integer(0)");
    assert_eq!(
        scene.count("pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%' AND NOT strict"),
        0
    );
}

#[cfg(unix)]
#[tokio::test]
async fn the_database_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = TempDir::new().unwrap();
    let below = dir.path().join("new/data");
    let _store = SqliteStore::open(&below.join("regain.db"), Options::default()).unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&below), 0o700);
    for file in ["regain.db", "regain.db-wal", "regain.db-shm"] {
        assert_eq!(mode(&below.join(file)), 0o600, "{file}");
    }
}

#[tokio::test]
async fn opening_again_changes_nothing_and_keeps_the_key_mode() {
    let scene = Scene::with(Options { key_mode_if_new: KeyMode::Exact, ..Options::default() });
    scene.fixture().post(Purpose::Reset, "ann@example.org").await;
    let schema = |scene: &Scene| -> (String, i64) {
        scene
            .outside()
            .query_row(
                "SELECT group_concat(sql), (SELECT count(*) FROM migrations) FROM sqlite_schema",
                (),
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .unwrap()
    };
    let before = schema(&scene);
    scene.store.close().await;
    let again = SqliteStore::open(&scene.path(), Options::default()).unwrap();
    assert_eq!(again.key_mode(), KeyMode::Exact);
    assert_eq!(schema(&scene), before);
    assert_eq!(again.outbox_status().await.unwrap().open, 1);
}

#[test]
fn many_that_open_a_new_database_at_once_all_succeed() {
    let dir = TempDir::new().unwrap();
    for round in 0..5 {
        let path = dir.path().join(format!("{round}.db"));
        let barrier = Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    barrier.wait();
                    SqliteStore::open(&path, Options::default()).unwrap();
                });
            }
        });
    }
}

/// A database of the first version, with one account.
fn of_the_first_version(path: &std::path::Path) {
    let old = rusqlite::Connection::open(path).unwrap();
    old.execute_batch(MIGRATIONS[0].sql).unwrap();
    old.execute_batch(
        "CREATE TABLE migrations (number INTEGER PRIMARY KEY NOT NULL, name TEXT NOT NULL, sha256 BLOB NOT NULL,
                                  applied INTEGER NOT NULL) STRICT;
         INSERT INTO meta (key, value) VALUES ('key_mode', 'folded');
         INSERT INTO accounts (id, name, name_key, address, password, created)
         VALUES ('9f83', 'Ann@example.org', 'ann@example.org', 'Ann@example.org', 'hash', 7);",
    )
    .unwrap();
    old.execute("INSERT INTO migrations VALUES (1, '0001_schema', ?1, 0)", [sha256(MIGRATIONS[0].sql)])
        .unwrap();
}

#[tokio::test]
async fn reading_and_changing_letters_leave_an_older_schema_alone() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("regain.db");
    of_the_first_version(&path);
    let before = std::fs::read(&path).unwrap();
    for refused in [
        SqliteStore::open_to_read(&path, &Options::default()).err().unwrap(),
        SqliteStore::open_as_it_is(&path, Options::default()).err().unwrap(),
    ] {
        assert!(matches!(refused, OpenError::Older { .. }), "{refused}");
        assert!(refused.to_string().contains("brought up to date when the server"), "{refused}");
    }
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert!(SqliteStore::open_to_read(&dir.path().join("none.db"), &Options::default()).is_err());
    assert!(!dir.path().join("none.db").exists());
}

#[tokio::test]
async fn what_was_opened_to_read_reads_beside_a_writer_and_writes_nothing() {
    let scene = Scene::with(Options { key_mode_if_new: KeyMode::Exact, ..Options::default() });
    let reading = SqliteStore::open_to_read(&scene.path(), &Options::default()).unwrap();
    assert_eq!(reading.key_mode(), KeyMode::Exact);
    scene.fixture().post(Purpose::Reset, "ann@example.org").await;
    assert_eq!(reading.outbox_stats(scene.fixture().now()).await.unwrap().open(), 1);
    let refused = reading.free_all_claims(scene.fixture().now()).await.err().unwrap();
    assert!(matches!(refused, regain_core::StoreError::Unavailable(_)), "{refused}");
    reading.close().await;
    assert_eq!(scene.store.outbox_status().await.unwrap().open, 1);
}

#[tokio::test]
async fn a_database_of_an_earlier_version_is_brought_up_to_date_with_what_is_in_it() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("regain.db");
    of_the_first_version(&path);
    assert_eq!(SqliteStore::pending_migrations(&path).unwrap(), MIGRATIONS.len() - 1);
    assert_eq!(
        SqliteStore::pending_migrations(&path).unwrap(),
        MIGRATIONS.len() - 1,
        "looking changes nothing"
    );
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    assert_eq!(SqliteStore::pending_migrations(&path).unwrap(), 0);
    let ann = store.account_by_id(&regain_core::AccountId::from_stored("9f83")).await.unwrap().unwrap();
    assert_eq!(
        (ann.name.as_str(), ann.created.as_millis(), ann.metadata.is_empty()),
        ("Ann@example.org", 7, true)
    );
}

#[test]
fn a_newer_schema_is_refused_with_its_number() {
    let scene = Scene::new();
    scene.outside().execute("INSERT INTO migrations VALUES (99, '0099_later', x'00', 0)", ()).unwrap();
    let refused = SqliteStore::open(&scene.path(), Options::default()).err().unwrap();
    assert!(matches!(refused, OpenError::Newer { found: 99, .. }), "{refused}");
    assert!(refused.to_string().contains("run a newer version"), "{refused}");
    let looked = SqliteStore::pending_migrations(&scene.path()).err().unwrap();
    assert!(matches!(looked, OpenError::Newer { found: 99, .. }), "{looked}");
}

#[test]
fn an_altered_migration_and_a_foreign_database_are_refused() {
    let scene = Scene::new();
    scene.outside().execute("UPDATE migrations SET sha256 = x'00'", ()).unwrap();
    let refused = SqliteStore::open(&scene.path(), Options::default()).err().unwrap();
    assert!(matches!(refused, OpenError::Altered { number: 1, .. }), "{refused}");

    let foreign = scene.dir.path().join("foreign.db");
    rusqlite::Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    let refused = SqliteStore::open(&foreign, Options::default()).err().unwrap();
    assert!(matches!(refused, OpenError::Foreign(_)), "{refused}");

    let text = scene.dir.path().join("text.db");
    std::fs::write(&text, "no database at all, but long enough to be taken for one".repeat(100)).unwrap();
    let refused = SqliteStore::open(&text, Options::default()).err().unwrap();
    assert!(matches!(refused, OpenError::Unusable { .. }), "{refused}");
}
