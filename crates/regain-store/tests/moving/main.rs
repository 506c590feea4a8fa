//! From a file to PostgreSQL: nothing is lost, nothing is mixed, and half of it is never served.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may fail by panicking")]

mod refused;
mod resumed;
mod scene;

use std::ops::ControlFlow;

use regain_core::{KeyMode, Store as _};
use regain_store::moving::{MoveError, Phase, Progress};
use regain_store::{PostgresOptions, PostgresStore, SqliteStore};

use scene::{Scene, moved, without_own_meta};

#[tokio::test]
async fn everything_arrives_as_it_was() {
    let scene = Scene::filled().await;
    let before = scene.in_file();
    let mut told: Vec<Progress> = Vec::new();
    let report = scene.move_while(|progress| {
        told.push(progress);
        ControlFlow::Continue(())
    });
    let report = report.await.unwrap();
    assert_eq!(scene.in_database().await, {
        let mut expected = moved(without_own_meta(before.clone()));
        let id = scene.in_file()["meta"].iter().find(|row| row["key"].as_deref() == Some("move_id")).cloned();
        let mut mark = id.unwrap();
        mark.insert("key".to_owned(), Some("moved_from".to_owned()));
        expected.get_mut("meta").unwrap().push(mark);
        expected
    });
    let rows: Vec<(&str, u64)> = report.tables.iter().map(|sum| (sum.table, sum.rows)).collect();
    assert_eq!(
        rows,
        [
            ("meta", 2),
            ("accounts", 7),
            ("deleted_accounts", 4),
            ("letters", 8),
            ("tokens", 4),
            ("revoked_sessions", 4),
            ("audit", 4),
        ]
    );
    assert_eq!((report.given_back, report.was_begun), (2, false));
    let letters: Vec<(u64, u64)> =
        told.iter().filter(|p| p.table == "letters").map(|p| (p.rows, p.of)).collect();
    assert_eq!(letters, [(3, 8), (6, 8), (8, 8)]);
    // The file is left as it is, but for its name.
    assert_eq!(without_own_meta(scene.in_file()), without_own_meta(before));
}

#[tokio::test]
async fn the_database_can_be_served_and_goes_on_where_the_file_ended() {
    let scene = Scene::filled().await;
    scene.move_all().await.unwrap();
    let store = PostgresStore::open(&scene.settings(), PostgresOptions::default()).await.unwrap();
    assert_eq!(store.key_mode(), KeyMode::Exact);
    store.close().await;
    assert_eq!(scene.ask("SELECT sum(open)::bigint FROM outbox").await, 3);
    let next = "INSERT INTO audit (at, event, account) VALUES (0, 'e', 'a') RETURNING id";
    assert_eq!(scene.ask(next).await, 702);
    // Statistics are there before the first request.
    let analyzed = "SELECT count(DISTINCT tablename) FROM pg_stats WHERE schemaname = 'regain'
                    AND tablename IN ('accounts', 'letters', 'tokens')";
    assert_eq!(scene.ask(analyzed).await, 3);
}

#[tokio::test]
async fn a_file_without_rows_is_moved_too() {
    let scene = Scene::empty(KeyMode::Folded).await;
    let report = scene.move_all().await.unwrap();
    assert_eq!(report.tables.iter().map(|sum| sum.rows).collect::<Vec<_>>(), [1, 0, 0, 0, 0, 0, 0]);
    let next = "INSERT INTO audit (at, event, account) VALUES (0, 'e', 'a') RETURNING id";
    assert_eq!(scene.ask(next).await, 1);
}

#[tokio::test]
async fn names_are_compared_as_in_the_file_even_where_the_database_was_made_before() {
    let scene = Scene::filled().await;
    let options = PostgresOptions { key_mode_if_new: KeyMode::Folded, ..PostgresOptions::default() };
    PostgresStore::open(&scene.settings(), options.clone()).await.unwrap().close().await;
    scene.move_all().await.unwrap();
    let store = PostgresStore::open(&scene.settings(), options).await.unwrap();
    assert_eq!(store.key_mode(), KeyMode::Exact);
}

#[tokio::test]
async fn a_file_of_an_older_version_is_brought_up_to_date_first() {
    let scene = Scene::filled().await;
    scene.change_file(
        "DELETE FROM migrations WHERE number = 4;
         DROP INDEX letters_waiting;
         CREATE INDEX letters_waiting ON letters (due) WHERE state = 'waiting';",
    );
    assert_eq!(SqliteStore::pending_migrations(&scene.file()).unwrap(), 1);
    scene.move_all().await.unwrap();
    assert_eq!(SqliteStore::pending_migrations(&scene.file()).unwrap(), 0);
    assert_eq!(without_own_meta(scene.in_database().await), moved(without_own_meta(scene.in_file())));
}

#[tokio::test]
async fn nobody_writes_to_the_file_meanwhile() {
    let scene = Scene::filled().await;
    let mut attempts = 0;
    let report = scene.move_while(|progress| {
        if progress.phase == Phase::Copying {
            let beside = rusqlite::Connection::open(scene.file()).unwrap();
            beside.busy_timeout(std::time::Duration::ZERO).unwrap();
            let error = beside.execute("UPDATE accounts SET created = 1", ()).unwrap_err();
            assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy), "{error}");
            attempts += 1;
        }
        ControlFlow::Continue(())
    });
    report.await.unwrap();
    assert!(attempts > 5);
    scene.change_file("UPDATE accounts SET created = 1");
}

#[tokio::test]
async fn what_postgresql_cannot_hold_is_named_without_showing_it_and_found() {
    let scene = Scene::filled().await;
    scene.change_file("UPDATE accounts SET name = 'an' || char(0) || 'ton' WHERE id = '9'");
    let error = scene.move_all().await.unwrap_err();
    assert!(matches!(error, MoveError::Unstorable { table: "accounts", column: "name", .. }), "{error}");
    let told = error.to_string();
    assert!(!told.contains("ton") && !told.contains("an\0"), "{told}");
    let (_, sql) = told.split_once("(SELECT").unwrap();
    let (sql, _) = sql.split_once(" finds").unwrap();
    let file = rusqlite::Connection::open(scene.file()).unwrap();
    let found: String = file.query_row(&format!("SELECT{sql}"), (), |row| row.get(0)).unwrap();
    assert_eq!(found, "9");
    // Corrected, it goes on.
    scene.change_file("UPDATE accounts SET name = 'anton' WHERE id = '9'");
    assert!(scene.move_all().await.unwrap().was_begun);
    assert_eq!(without_own_meta(scene.in_database().await), moved(without_own_meta(scene.in_file())));
}
