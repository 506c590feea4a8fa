//! Two processes on one database: the command line beside a server.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use regain_core::outbox::repeats::Repeats;
use regain_core::store::Posted;
use regain_core::testing::contract::fixture::Fixture;
use regain_core::{Limits, Purpose, Store};
use tokio::task::JoinSet;

use super::{Options, Scene, SqliteStore};

/// A second store on the database of `scene`.
fn beside(scene: &Scene) -> Arc<SqliteStore> {
    Arc::new(SqliteStore::open(&scene.path(), Options::default()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_resets_with_one_token_from_two_processes_have_one_winner() {
    let scene = Scene::new();
    let stores = [Arc::clone(&scene.store), beside(&scene)];
    let fixture = scene.fixture();
    fixture.account("ann@example.org").await;
    let token = fixture.mailed(Purpose::Reset, "ann@example.org").await;
    let mut resets = JoinSet::new();
    for n in 0..50 {
        let fixture = Fixture::new(Arc::clone(&stores[n % 2]) as Arc<dyn Store>);
        resets.spawn(async move { fixture.reset(token, &format!("hash {n}")).await.then_some(n) });
    }
    let winners: Vec<usize> = resets.join_all().await.into_iter().flatten().collect();
    assert_eq!(winners.len(), 1);
    let account = fixture.load("ann@example.org").await;
    assert_eq!(account.password.unwrap().as_str(), format!("hash {}", winners[0]));
    assert_eq!(account.generation.0, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_writes_between_what_a_step_reads_and_what_it_writes() {
    let scene = Scene::new();
    let outside = scene.outside();
    outside.busy_timeout(Duration::ZERO).unwrap();
    let write = || outside.execute("UPDATE outbox SET open = open", ());
    // The step that is held has not written anything yet.
    let held = scene.hold();
    let refused = write().unwrap_err();
    assert_eq!(refused.sqlite_error_code(), Some(rusqlite::ErrorCode::DatabaseBusy));
    held.release().await;
    write().unwrap();
}

#[tokio::test]
async fn the_limit_of_the_outbox_holds_across_processes() {
    let scene = Scene::new();
    let other = Fixture::new(beside(&scene));
    let fixture = scene.fixture();
    let repeats = Repeats { max_open: Some(2), ..Repeats::under(&Limits::default()) };
    assert_eq!(fixture.post_under(repeats, Purpose::Reset, "a@x.org").await, Posted::Posted);
    assert_eq!(other.post_under(repeats, Purpose::Reset, "b@x.org").await, Posted::Posted);
    assert_eq!(fixture.post_under(repeats, Purpose::Reset, "c@x.org").await, Posted::Full);
    // Nobody has these names: the claim closes both, and there is room at once.
    assert!(other.claim(10).await.is_empty());
    assert_eq!(fixture.post_under(repeats, Purpose::Reset, "c@x.org").await, Posted::Posted);
}

#[tokio::test]
async fn what_another_process_wrote_is_noticed_once() {
    let scene = Scene::new();
    assert!(!scene.store.changed_elsewhere().await.unwrap());
    scene.fixture().post(Purpose::Reset, "ann@example.org").await;
    assert!(!scene.store.changed_elsewhere().await.unwrap(), "what it wrote itself does not count");
    // Kept open: a process that goes moves the log into the database, which may count as well.
    let other = beside(&scene);
    Fixture::new(Arc::clone(&other) as Arc<dyn Store>).post(Purpose::Reset, "bob@example.org").await;
    assert!(scene.store.changed_elsewhere().await.unwrap());
    assert!(!scene.store.changed_elsewhere().await.unwrap());
}

#[tokio::test]
async fn a_copy_of_the_files_holds_all_that_was_answered() {
    let scene = Scene::new();
    let fixture = scene.fixture();
    for n in 1..=20 {
        assert_eq!(fixture.post(Purpose::Reset, &format!("{n}@example.org")).await, Posted::Posted);
        // As after a power cut: the database and its log, without the shared memory.
        let copy = tempfile::tempdir().unwrap();
        for file in ["regain.db", "regain.db-wal"] {
            std::fs::copy(scene.dir.path().join(file), copy.path().join(file)).unwrap();
        }
        let restored = SqliteStore::open(&copy.path().join("regain.db"), Options::default()).unwrap();
        assert_eq!(restored.outbox_status().await.unwrap().open, n);
    }
}

/// SQLite's own waiting looks every 100 ms before long, and finds one such moment in ten.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_writes_batch_after_batch_keeps_a_step_waiting_for_a_few_of_them() {
    let scene = Scene::new();
    let fixture = scene.fixture();
    let (begun, batches) = mpsc::channel();
    let outside = scene.outside();
    let writing = std::thread::spawn(move || {
        loop {
            outside.execute_batch("BEGIN IMMEDIATE; UPDATE outbox SET open = open").unwrap();
            let is_watched = begun.send(()).is_ok();
            std::thread::sleep(Duration::from_millis(150));
            outside.execute_batch("COMMIT").unwrap();
            if !is_watched {
                return;
            }
            // As an import rests.
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    let mut waited = Vec::new();
    for n in 0..12 {
        batches.recv().unwrap();
        fixture.post(Purpose::Reset, &format!("{n}@example.org")).await;
        waited.push(1 + batches.try_iter().count());
    }
    drop(batches);
    writing.join().unwrap();
    assert!(waited.iter().all(|batches| *batches <= 3), "{waited:?}");
}
