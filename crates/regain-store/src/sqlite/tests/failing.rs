//! A full disk, and another process that holds the database: nothing is promised, nothing is half done, and it passes.

use std::time::{Duration, Instant};

use regain_core::outbox::repeats::Repeats;
use regain_core::store::Registered;
use regain_core::testing::contract::fixture::new_account;
use regain_core::{Limits, Purpose, Store, StoreError};

use super::{Options, Scene, hand_over};

async fn limit_pages(scene: &Scene, pages: i64) {
    let limit = move |c: &rusqlite::Connection| {
        c.query_row(&format!("PRAGMA max_page_count = {pages}"), (), |_| Ok(()))
    };
    scene.store.writer.run(limit).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_unavailable_and_passes_without_a_restart() {
    let scene = Scene::new();
    let fixture = scene.fixture();
    let repeats = Repeats::under(&Limits::default());
    limit_pages(&scene, 1).await;
    let mut posted = 0;
    let failure = loop {
        let name = format!("{posted}{}@example.org", "x".repeat(50));
        match scene.store.post(fixture.letter(Purpose::Reset, &name), repeats, fixture.now()).await {
            Ok(_) => posted += 1,
            Err(error) => break error,
        }
        assert!(posted < 10_000, "the disk never got full");
    };
    assert!(matches!(&failure, StoreError::Unavailable(why) if why.contains("full")), "{failure}");
    assert!(scene.store.is_failing());
    scene.store.changed_elsewhere().await.unwrap();
    assert!(scene.store.is_failing(), "a step that only looks does not show that writing works");

    // A group as well: each is answered, none is acknowledged and lost, reads go on.
    let held = scene.hold();
    let steps = hand_over((0..64).map(|n| {
        let name = format!("group{n}{}@example.org", "x".repeat(40));
        scene.store.post(fixture.letter(Purpose::Reset, &name), repeats, fixture.now())
    }))
    .await;
    held.release().await;
    let mut refused = 0;
    for step in steps {
        match step.await {
            Ok(_) => posted += 1,
            Err(StoreError::Unavailable(_)) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert!(refused > 0);
    assert_eq!(scene.count("letters"), posted);
    assert_eq!(i64::try_from(scene.store.outbox_status().await.unwrap().open).unwrap(), posted);

    limit_pages(&scene, 1_000_000).await;
    fixture.account("ann@example.org").await;
    assert!(!scene.store.is_failing());
    let check: String = scene.outside().query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_transaction_is_gone_every_step_of_the_group_fails() {
    let scene = Scene::new();
    let writer = &scene.store.writer;
    let held = scene.hold();
    // What SQLite itself does on some errors.
    let statements = [
        "INSERT INTO meta VALUES ('before', '')",
        "ROLLBACK; INSERT INTO meta VALUES ('null', NULL)",
        "INSERT INTO meta VALUES ('after', '')",
    ];
    let steps = hand_over(statements.map(|sql| writer.run(|c| c.execute_batch(sql)))).await;
    let mut outcomes = Vec::new();
    held.release.send(()).unwrap();
    for step in steps {
        outcomes.push(step.await);
    }
    assert!(
        outcomes
            .iter()
            .all(|o| matches!(o, Err(StoreError::Unavailable(why)) if why.contains("SQLite 1299"))),
        "{outcomes:?}"
    );
    assert_eq!(scene.count("meta WHERE value = ''"), 0);
    writer.run(|c| c.execute_batch("INSERT INTO meta VALUES ('later', '')")).await.unwrap();
    assert_eq!(scene.count("meta WHERE value = ''"), 1);
}

#[tokio::test]
async fn while_another_process_holds_the_database_steps_are_unavailable_and_reads_work() {
    let busy_timeout = Duration::from_millis(300);
    let scene = Scene::with(Options { busy_timeout, ..Options::default() });
    let fixture = scene.fixture();
    let ann = fixture.account("ann@example.org").await;
    let outside = scene.outside();
    outside.execute_batch("BEGIN EXCLUSIVE").unwrap();

    let begun = Instant::now();
    let letter = fixture.letter(Purpose::Confirm, "bob@example.org");
    let failed =
        scene.store.register(new_account("bob@example.org"), Some(letter), fixture.now()).await.unwrap_err();
    assert!(matches!(&failed, StoreError::Unavailable(why) if why.contains("locked")), "{failed}");
    assert!(begun.elapsed() >= busy_timeout, "it waited for the other");
    assert!(fixture.load("ann@example.org").await.id == ann.id);

    outside.execute_batch("ROLLBACK").unwrap();
    assert_eq!((scene.count("accounts"), scene.count("letters")), (1, 0));
    let again = scene.store.register(new_account("bob@example.org"), None, fixture.now()).await.unwrap();
    assert_eq!(again, Registered::Created);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_wait_no_longer_than_the_busy_timeout() {
    let busy_timeout = Duration::from_millis(100);
    let scene = Scene::with(Options { busy_timeout, readers: 1, ..Options::default() });
    let (release, released) = std::sync::mpsc::channel::<()>();
    let first = hand_over([scene.store.readers.run(move |_| {
        released.recv().unwrap();
        Ok(())
    })])
    .await;
    let refused = scene.store.next_due().await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))));
    // The first reader's caller goes away, and its connection comes back all the same.
    drop(first);
    release.send(()).unwrap();
    assert_eq!(scene.store.readers.run(|_| Ok(7)).await.unwrap(), 7);
}

#[tokio::test]
async fn a_read_that_panics_gives_its_connection_back() {
    let scene = Scene::with(Options { readers: 1, ..Options::default() });
    let failed = scene.store.readers.run(|_| -> rusqlite::Result<()> { panic!("on purpose") }).await;
    assert!(matches!(failed, Err(StoreError::Broken(_))));
    assert_eq!(scene.store.next_due().await.unwrap(), None);
}
