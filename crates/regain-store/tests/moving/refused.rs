//! What is no empty database, and who is in the way.

use regain_core::KeyMode;
use regain_store::moving::MoveError;
use regain_store::{DataLock, PostgresOptions, PostgresStore};

use crate::scene::Scene;

#[tokio::test]
async fn a_database_with_anything_in_it_is_refused_and_left_alone() {
    let rows = [
        ("accounts", "INSERT INTO accounts (id, name, name_key, created) VALUES ('x', 'x', 'x', 1)"),
        ("deleted_accounts", "INSERT INTO deleted_accounts (id, generation) VALUES ('x', 1)"),
        ("audit", "INSERT INTO audit (at, event, account) VALUES (1, 'x', 'x')"),
        ("meta", "INSERT INTO meta (key, value) VALUES ('fingerprint', 'another')"),
        ("meta", "INSERT INTO meta (key, value) VALUES ('another', 'x')"),
    ];
    for (filled, sql) in rows {
        let scene = Scene::filled().await;
        PostgresStore::open(&scene.settings(), PostgresOptions::default()).await.unwrap().close().await;
        scene.change_database(sql).await;
        let before = scene.in_database().await;
        let error = scene.move_all().await.unwrap_err();
        assert!(matches!(error, MoveError::NotEmpty { table, .. } if table == filled), "{error}");
        let has_nobody = error.to_string().contains("no account and no letter");
        assert_eq!(has_nobody, ["audit", "meta"].contains(&filled), "{error}");
        assert_eq!(scene.in_database().await, before);
        PostgresStore::open(&scene.settings(), PostgresOptions::default()).await.unwrap().close().await;
    }
}

#[tokio::test]
async fn what_the_file_says_about_itself_too_may_be_there() {
    let scene = Scene::filled().await;
    PostgresStore::open(&scene.settings(), PostgresOptions::default()).await.unwrap().close().await;
    let known = r#"INSERT INTO meta (key, value) VALUES ('fingerprint', 'a "quoted" \ word')"#;
    scene.change_database(known).await;
    scene.move_all().await.unwrap();
}

#[tokio::test]
async fn half_of_another_file_is_refused() {
    let scene = Scene::filled().await;
    scene.move_batches(2).await;
    let before = scene.in_database().await;
    let scene = scene.with_file_of(Scene::filled().await);
    let error = scene.move_all().await.unwrap_err();
    assert!(matches!(error, MoveError::OtherSource(_)), "{error}");
    assert_eq!(scene.in_database().await, before);
}

#[tokio::test]
async fn what_was_moved_is_not_moved_again() {
    let scene = Scene::filled().await;
    scene.move_all().await.unwrap();
    scene.change_database("DELETE FROM accounts WHERE id = 'a'").await;
    let before = scene.in_database().await;
    let error = scene.move_all().await.unwrap_err();
    assert!(matches!(error, MoveError::Done(_)), "{error}");
    let scene = scene.with_file_of(Scene::filled().await);
    let error = scene.move_all().await.unwrap_err();
    assert!(matches!(error, MoveError::NotEmpty { table: "accounts", .. }), "{error}");
    assert_eq!(scene.in_database().await, before);
}

#[tokio::test]
async fn a_process_on_the_database_is_in_the_way() {
    let scene = Scene::filled().await;
    let store = PostgresStore::open(&scene.settings(), PostgresOptions::default()).await.unwrap();
    let error = scene.move_all().await.unwrap_err();
    assert!(matches!(error, MoveError::Served(_)), "{error}");
    assert_eq!(scene.ask("SELECT count(*) FROM meta WHERE key = 'moving'").await, 0);
    store.close().await;
    drop(store);
    scene.move_all().await.unwrap();
}

#[tokio::test]
async fn a_server_on_the_data_path_is_in_the_way() {
    let scene = Scene::filled().await;
    let lock = DataLock::acquire(scene.file().parent().unwrap()).unwrap();
    let error = scene.move_all().await.unwrap_err();
    assert!(matches!(error, MoveError::Lock(_)), "{error}");
    assert!(error.to_string().contains("another process is running on the data path"), "{error}");
    drop(lock);
    scene.move_all().await.unwrap();
}

#[tokio::test]
async fn where_there_is_no_file_none_is_made() {
    let scene = Scene::empty(KeyMode::Exact).await;
    std::fs::remove_file(scene.file()).unwrap();
    let error = scene.move_all().await.unwrap_err();
    assert!(matches!(error, MoveError::NoSource(_)), "{error}");
    assert!(!scene.file().exists());
}
