//! Steps share a transaction, and each still stands or falls alone.

use regain_core::store::Posted;
use regain_core::{Purpose, StoreError};
use rusqlite::Connection;

use super::{Options, Scene, hand_over};

fn add_meta(key: &'static str) -> impl Fn(&Connection) -> rusqlite::Result<()> + Send {
    move |c| c.execute("INSERT INTO meta (key, value) VALUES (?1, '')", [key]).map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_parallel_posts_share_one_transaction() {
    let scene = Scene::new();
    let fixture = scene.fixture();
    let names: Vec<String> = (0..64).map(|n| format!("{n}@example.org")).collect();
    let held = scene.hold();
    let posts = hand_over(names.iter().map(|name| fixture.post(Purpose::Reset, name))).await;
    let before = scene.store.commits();
    held.release().await;
    for post in posts {
        assert_eq!(post.await, Posted::Posted);
    }
    assert_eq!(scene.store.commits() - before, 2, "the held step and all posts");
    assert_eq!(scene.count("letters"), 64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_one_transaction_per_step_nothing_is_shared() {
    let scene = Scene::with(Options { one_transaction_per_step: true, ..Options::default() });
    let fixture = scene.fixture();
    let held = scene.hold();
    let posts = hand_over(["a@x.org", "b@x.org", "c@x.org"].map(|n| fixture.post(Purpose::Reset, n))).await;
    let before = scene.store.commits();
    held.release().await;
    for post in posts {
        assert_eq!(post.await, Posted::Posted);
    }
    assert_eq!(scene.store.commits() - before, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_step_in_a_group_fails_alone() {
    let scene = Scene::new();
    let writer = &scene.store.writer;
    let held = scene.hold();
    let steps = hand_over(["one", "one", "two"].map(|key| {
        writer.run(move |c| {
            // What a step wrote before it failed is undone with it.
            c.execute("INSERT INTO audit (at, account, event) VALUES (0, '', ?1)", [key])?;
            add_meta(key)(c)
        })
    }))
    .await;
    held.release().await;
    let mut outcomes = Vec::new();
    for step in steps {
        outcomes.push(step.await);
    }
    assert!(outcomes[0].is_ok() && outcomes[2].is_ok());
    let Err(StoreError::Broken(words)) = &outcomes[1] else { panic!("{:?}", outcomes[1]) };
    assert!(words.contains("SQLite 1555") && !words.contains("one"), "{words}");
    assert_eq!((scene.count("meta WHERE value = ''"), scene.count("audit")), (2, 2));
}

#[tokio::test]
async fn a_lone_failing_step_leaves_nothing_behind() {
    let scene = Scene::new();
    let failed = scene.store.writer.run(|c| add_meta("x")(c).and_then(|()| add_meta("x")(c))).await;
    assert!(matches!(failed, Err(StoreError::Broken(_))));
    assert_eq!(scene.count("meta WHERE value = ''"), 0);
    scene.store.writer.run(add_meta("x")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panicking_step_undoes_its_group_and_the_writer_goes_on() {
    let scene = Scene::new();
    let writer = &scene.store.writer;
    let held = scene.hold();
    let before = hand_over([writer.run(add_meta("before"))]).await;
    let panicking = hand_over([writer.run(|_| -> rusqlite::Result<()> { panic!("on purpose") })]).await;
    let after = hand_over([writer.run(add_meta("after"))]).await;
    held.release().await;
    for step in before.into_iter().chain(panicking).chain(after) {
        assert!(matches!(step.await, Err(StoreError::Unavailable(_))));
    }
    assert_eq!(scene.count("meta WHERE value = ''"), 0);
    writer.run(add_meta("later")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_went_away_does_not_matter() {
    let scene = Scene::new();
    let fixture = scene.fixture();
    let held = scene.hold();
    let mut posts = hand_over(["gone@x.org", "here@x.org"].map(|n| fixture.post(Purpose::Reset, n))).await;
    let here = posts.pop().unwrap();
    drop(posts);
    held.release().await;
    assert_eq!(here.await, Posted::Posted);
    assert_eq!(scene.count("letters"), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_fails_at_once() {
    let scene = Scene::with(Options { waiting_steps: 2, ..Options::default() });
    let writer = &scene.store.writer;
    let held = scene.hold();
    let waiting = hand_over(["a", "b"].map(|key| writer.run(add_meta(key)))).await;
    let refused = writer.run(add_meta("c")).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(why)) if why.contains("too many")));
    held.release().await;
    for step in waiting {
        step.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn closing_finishes_what_waits_and_refuses_what_comes_later() {
    let scene = Scene::new();
    let fixture = scene.fixture();
    let held = scene.hold();
    let post = hand_over([fixture.post(Purpose::Reset, "a@x.org")]).await.pop().unwrap();
    let mut closing = hand_over([scene.store.close()]).await;
    held.release().await;
    assert_eq!(post.await, Posted::Posted);
    closing.pop().unwrap().await;
    let refused = scene.store.writer.run(add_meta("x")).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))));
    let log = std::fs::metadata(scene.dir.path().join("regain.db-wal")).map_or(0, |m| m.len());
    assert_eq!(log, 0, "the log was moved into the database");
}
