//! What processes on one PostgreSQL database share, and what requests that come together share.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use regain_core::letter::{LetterId, NewLetter, Purpose};
use regain_core::outbox::repeats::Repeats;
use regain_core::store::Posted;
use regain_core::{Clock, KeyMode, Limits, Name, OsRng, Store, StoreError};
use regain_store::testing::Cluster;
use regain_store::{PostgresOptions, PostgresSettings, PostgresStore};
use tokio::time::timeout;

/// On a machine that is slow and busy with others as well.
const SOON: Duration = Duration::from_secs(60);

async fn two() -> (Arc<PostgresStore>, Arc<PostgresStore>, PostgresSettings) {
    let settings: PostgresSettings = Cluster::shared().fresh_database().await.parse().unwrap();
    let open = async || Arc::new(PostgresStore::open(&settings, PostgresOptions::default()).await.unwrap());
    (open().await, open().await, settings.clone())
}

fn letter(store: &PostgresStore, name: &str) -> NewLetter {
    let now = store.clock().now();
    NewLetter {
        id: LetterId::new(now, &OsRng).unwrap(),
        purpose: Purpose::Reset,
        name_key: Name::parse(name, KeyMode::Folded).unwrap().key().clone(),
        ip: None,
        agent: None,
        posted: now,
        deadline: now + Duration::from_secs(3600),
    }
}

async fn post(store: &PostgresStore, letter: NewLetter) -> Result<Posted, StoreError> {
    store.post(letter, Repeats::under(&Limits::default()), store.clock().now()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_wakes_the_others_and_not_oneself() {
    let (one, other, _) = two().await;
    post(&one, letter(&one, "ann@example.org")).await.unwrap();
    timeout(SOON, other.posted_elsewhere()).await.expect("a word of the post");
    assert!(timeout(Duration::from_millis(300), one.posted_elsewhere()).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_listener_comes_back_and_says_so() {
    let (one, other, settings) = two().await;
    let database = settings.to_string();
    let name = database.rsplit('/').next().unwrap();
    let listeners = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                     WHERE datname = current_database() AND pid <> pg_backend_pid()";
    Cluster::shared().run(name, listeners).await;
    // A word at the new connection: something may have been missed.
    timeout(SOON, other.posted_elsewhere()).await.expect("a new connection");
    timeout(SOON, one.posted_elsewhere()).await.expect("a new connection");
    let posted = async { while post(&one, letter(&one, "ann@example.org")).await.is_err() {} };
    timeout(SOON, posted).await.expect("connections that work");
    timeout(SOON, other.posted_elsewhere()).await.expect("a word of the post");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_come_together_share_commits() {
    let (store, other, _) = two().await;
    let names: Vec<String> = (0..400).map(|number| format!("n{number}@example.org")).collect();
    let posted = join_all(names.iter().map(|name| post(&store, letter(&store, name)))).await;
    assert!(posted.into_iter().all(|posted| posted.unwrap() == Posted::Posted));
    assert!(store.post_commits() < 100, "{} commits", store.post_commits());
    assert_eq!(other.outbox_status().await.unwrap().open, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_does_in_sql_is_counted_too() {
    let (store, _, settings) = two().await;
    post(&store, letter(&store, "ann@example.org")).await.unwrap();
    let database = settings.to_string();
    let name = database.rsplit('/').next().unwrap();
    // As psql does it: without our schema in the search path.
    Cluster::shared().run(name, "UPDATE regain.letters SET state = 'dropped', ended = posted").await;
    assert_eq!(store.outbox_status().await.unwrap().open, 0);
    Cluster::shared().run(name, "DELETE FROM regain.letters").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_request_does_not_harm_those_that_share_its_transaction() {
    let (store, _, _) = two().await;
    let first = letter(&store, "first@example.org");
    post(&store, first.clone()).await.unwrap();
    let mut letters: Vec<NewLetter> =
        (0..50).map(|number| letter(&store, &format!("n{number}@example.org"))).collect();
    // An identity that is taken: the database refuses it.
    letters[25].id = first.id;
    let posted = join_all(letters.into_iter().map(|letter| post(&store, letter))).await;
    for (number, posted) in posted.into_iter().enumerate() {
        match posted {
            Ok(posted) => assert!(number != 25 && posted == Posted::Posted),
            Err(error) => {
                assert!(number == 25 && matches!(error, StoreError::Broken(_)), "{number}: {error}")
            }
        }
    }
    assert_eq!(store.outbox_status().await.unwrap().open, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_for_one_name_at_several_processes_post_one_letter() {
    let (one, other, _) = two().await;
    for round in 0..20 {
        let name = format!("round{round}@example.org");
        let posts = (0..40).map(|number| {
            let store = if number % 2 == 0 { &one } else { &other };
            post(store, letter(store, &name))
        });
        let posted: Vec<Posted> = join_all(posts).await.into_iter().map(Result::unwrap).collect();
        assert_eq!(posted.iter().filter(|posted| **posted == Posted::Posted).count(), 1, "{posted:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_gone_is_unavailable_in_time_and_comes_back() {
    let cluster = Cluster::start(&["fsync=off"]);
    let store = PostgresStore::open(&cluster.settings("postgres"), PostgresOptions::default()).await.unwrap();
    post(&store, letter(&store, "before@example.org")).await.unwrap();
    cluster.freeze();
    let begun = Instant::now();
    let error = post(&store, letter(&store, "while@example.org")).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    // The request is answered by its own clock, at the moment at which the step is given up.
    let noticed = async {
        while !store.is_failing() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(SOON, noticed).await.expect("a store that says so");
    cluster.thaw();
    let posted = async { while post(&store, letter(&store, "after@example.org")).await.is_err() {} };
    timeout(SOON, posted).await.expect("a database that is back");
    assert!(!store.is_failing());
}
