//! A move that stopped goes on where it was, and notices what happened in between.

use regain_store::moving::MoveError;
use regain_store::{PostgresError, PostgresOptions, PostgresStore};

use crate::scene::{Scene, moved, without_own_meta};

/// Batches of three rows: 3 of accounts, 2 of deleted accounts, 3 of letters, 2 each of tokens, sessions and audit.
const BATCHES: usize = 14;

#[tokio::test]
async fn stopped_after_any_batch_it_goes_on_and_nothing_is_served_before_it_has_ended() {
    for batches in 1..=BATCHES {
        let scene = Scene::filled().await;
        scene.move_batches(batches).await;
        must_be_unfinished(&scene).await;
        assert!(scene.move_all().await.unwrap().was_begun);
        assert_eq!(without_own_meta(scene.in_database().await), moved(without_own_meta(scene.in_file())));
        assert_eq!(scene.ask("SELECT sum(open)::bigint FROM outbox").await, 3);
        PostgresStore::open(&scene.settings(), PostgresOptions::default()).await.unwrap().close().await;
    }
}

#[tokio::test]
async fn stopped_again_and_again_it_ends() {
    let scene = Scene::filled().await;
    for _ in 0..BATCHES {
        scene.move_batches(1).await;
    }
    scene.move_all().await.unwrap();
    assert_eq!(without_own_meta(scene.in_database().await), moved(without_own_meta(scene.in_file())));
}

#[tokio::test]
async fn rows_that_come_behind_are_moved_too() {
    let scene = Scene::filled().await;
    scene.move_batches(1).await;
    scene.change_file(
        "INSERT INTO audit (at, event, account) VALUES (1, 'e', 'a');
         INSERT INTO meta (key, value) VALUES ('later', 'x')",
    );
    scene.move_all().await.unwrap();
    assert_eq!(without_own_meta(scene.in_database().await), moved(without_own_meta(scene.in_file())));
}

#[tokio::test]
async fn a_row_that_is_missing_or_new_among_those_that_were_moved_is_noticed_at_once() {
    for sql in [
        "DELETE FROM accounts WHERE id = '10'",
        "INSERT INTO accounts (id, name, name_key, created) VALUES ('1', 'x', 'x', 1)",
    ] {
        let scene = Scene::filled().await;
        scene.move_batches(1).await;
        scene.change_file(sql);
        let error = scene.move_all().await.unwrap_err();
        assert!(matches!(error, MoveError::Changed { table: "accounts", .. }), "{error}");
        must_be_unfinished(&scene).await;
    }
}

#[tokio::test]
async fn a_row_that_differs_fails_the_comparison() {
    let in_file = [
        ("UPDATE accounts SET created = created + 1 WHERE id = '10'", "accounts"),
        ("UPDATE accounts SET address = '' WHERE id = '10'", "accounts"),
    ];
    for (sql, table) in in_file {
        let scene = Scene::filled().await;
        scene.move_batches(1).await;
        scene.change_file(sql);
        must_differ(&scene, table).await;
    }
    let in_database = [
        ("UPDATE accounts SET is_admin = NOT is_admin WHERE id = 'zz'", "accounts"),
        ("UPDATE meta SET value = 'other' WHERE key = 'added'", "meta"),
        ("DELETE FROM letters WHERE state = 'sent'", "letters"),
        ("UPDATE letters SET last_error = 'x' WHERE state = 'expired'", "letters"),
        ("UPDATE tokens SET hash = sha256(hash) WHERE used = 6", "tokens"),
        ("UPDATE revoked_sessions SET expires = expires + 1 WHERE account = 'gone'", "revoked_sessions"),
        ("UPDATE deleted_accounts SET generation = 2 WHERE id = 'ä'", "deleted_accounts"),
        ("UPDATE audit SET account = NULL WHERE id = 700", "audit"),
    ];
    for (sql, table) in in_database {
        let scene = Scene::filled().await;
        scene.move_batches(BATCHES).await;
        let extra = "INSERT INTO meta (key, value) VALUES ('added', 'x')";
        let sql = if table == "meta" { format!("{extra}; {sql}") } else { sql.to_owned() };
        scene.change_database(&sql).await;
        // A letter that is gone is noticed before anything is compared.
        match scene.move_all().await.unwrap_err() {
            MoveError::Changed { table: found, .. } => assert_eq!((found, table), ("letters", "letters")),
            MoveError::Differs { differences, .. } => {
                assert_eq!(
                    differences.iter().map(|(one, _)| one.table).collect::<Vec<_>>(),
                    [table],
                    "{sql}"
                );
            }
            error => panic!("{error}"),
        }
        must_be_unfinished(&scene).await;
    }
}

#[tokio::test]
async fn a_wrong_count_of_open_letters_is_noticed() {
    let scene = Scene::filled().await;
    scene.move_batches(BATCHES).await;
    scene.change_database("UPDATE outbox SET open = open + 1 WHERE shard = 3").await;
    let error = scene.move_all().await.unwrap_err();
    assert!(matches!(error, MoveError::Miscounted { counted: 4, open: 3, .. }), "{error}");
    must_be_unfinished(&scene).await;
}

async fn must_differ(scene: &Scene, table: &str) {
    // Once seen it is seen again: the mark stays.
    for _ in 0..2 {
        let error = scene.move_all().await.unwrap_err();
        let MoveError::Differs { differences, .. } = &error else { panic!("{error}") };
        assert_eq!(differences.iter().map(|(one, _)| one.table).collect::<Vec<_>>(), [table]);
        assert!(error.to_string().contains("rows on both sides, but not the same"), "{error}");
    }
    must_be_unfinished(scene).await;
}

async fn must_be_unfinished(scene: &Scene) {
    let options = PostgresOptions::default();
    let refused = PostgresStore::open(&scene.settings(), options.clone()).await.err().unwrap();
    assert!(matches!(refused, PostgresError::Unfinished(_)), "{refused}");
    let refused = PostgresStore::open_as_it_is(&scene.settings(), options).await.err().unwrap();
    assert!(matches!(refused, PostgresError::Unfinished(_)), "{refused}");
}
