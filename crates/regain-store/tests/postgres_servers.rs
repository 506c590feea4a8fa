//! Servers that hang, and servers that take no writes any more: nobody waits for them longer than need be.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may fail by panicking")]

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use regain_core::letter::{LetterId, NewLetter, Purpose};
use regain_core::outbox::repeats::Repeats;
use regain_core::store::Posted;
use regain_core::{Clock, KeyMode, Limits, Name, OsRng, Store, StoreError};
use regain_store::testing::Cluster;
use regain_store::{PostgresOptions, PostgresStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

async fn open(url: &str, options: PostgresOptions) -> PostgresStore {
    PostgresStore::open(&url.parse().unwrap(), options).await.unwrap()
}

async fn post(store: &PostgresStore, name: &str) -> Result<Posted, StoreError> {
    let now = store.clock().now();
    let letter = NewLetter {
        id: LetterId::new(now, &OsRng).unwrap(),
        purpose: Purpose::Reset,
        name_key: Name::parse(name, KeyMode::Folded).unwrap().key().clone(),
        ip: None,
        agent: None,
        posted: now,
        deadline: now + Duration::from_secs(3600),
    };
    store.post(letter, Repeats::under(&Limits::default()), now).await
}

/// On a machine that is slow and busy with others as well.
const SOON: Duration = Duration::from_secs(60);

/// Posts until it works, for a while.
async fn comes_back(store: &PostgresStore) {
    let posted = async { while post(store, "again@example.org").await.is_err() {} };
    timeout(SOON, posted).await.expect("a database that is back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_does_not_keep_anybody_from_the_next_one() {
    let database = Cluster::shared().fresh_database().await;
    // Takes connections and never says a word.
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = database
        .replace("127.0.0.1", &format!("127.0.0.1:{},127.0.0.1", silent.local_addr().unwrap().port()));
    let store = open(&format!("{url}?connect_timeout=3"), PostgresOptions::default()).await;
    post(&store, "first@example.org").await.unwrap();
    silent.set_nonblocking(true).unwrap();
    assert!(silent.accept().is_ok(), "it is the first of them");
    while silent.accept().is_ok() {}
    // New connections, at once: the one that worked is the first to be asked.
    for outcome in join_all((0..10).map(|_| store.outbox_status())).await {
        outcome.unwrap();
    }
    assert!(silent.accept().is_err(), "the silent one was asked again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_costs_a_command_its_time_once() {
    let database = Cluster::shared().fresh_database().await;
    let silent = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = database
        .replace("127.0.0.1", &format!("127.0.0.1:{},127.0.0.1", silent.local_addr().unwrap().port()));
    let settings = url.parse().unwrap();
    PostgresStore::pending_migrations(&settings).await.unwrap();
    let store = PostgresStore::open(&settings, PostgresOptions::default()).await.unwrap();
    store.outbox_status().await.unwrap();
    silent.set_nonblocking(true).unwrap();
    assert_eq!(std::iter::from_fn(|| silent.accept().ok()).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_fails_is_told_with_its_cause() {
    let cluster = Cluster::start(&["fsync=off"]);
    let store = open(&cluster.url("postgres"), PostgresOptions::default()).await;
    drop(cluster);
    let told = store.outbox_status().await.unwrap_err().to_string();
    assert!(told.contains("error connecting to server: Connection refused"), "{told}");
}

/// A store whose role is no superuser, and the names of its database and of the role.
async fn of_a_role() -> (PostgresStore, String, String) {
    let url = Cluster::shared().fresh_database().await;
    let name = url.rsplit('/').next().unwrap().to_owned();
    let role = format!("role_of_{name}");
    let made = format!("CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {name} TO {role}");
    Cluster::shared().run(&name, &made).await;
    let store = open(&url.replace("postgres@", &format!("{role}@")), PostgresOptions::default()).await;
    (store, name, role)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_operator_has_to_mend_in_the_database_is_told_as_its_fault() {
    let (store, name, role) = of_a_role().await;
    let run = async |sql: &str| Cluster::shared().run(&name, sql).await;
    let fails = async |with: &str| {
        let error = store.outbox_status().await.unwrap_err();
        assert!(matches!(&error, StoreError::Unavailable(why) if why.contains(with)), "{error}");
        assert!(store.is_failing());
    };
    let works = async || {
        store.outbox_status().await.unwrap();
        assert!(!store.is_failing());
    };
    works().await;
    run(&format!("ALTER SCHEMA regain OWNER TO postgres; REVOKE USAGE ON SCHEMA regain FROM {role}")).await;
    fails("42").await;
    run(&format!("GRANT USAGE ON SCHEMA regain TO {role}")).await;
    works().await;
    let end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = ";
    run(&format!("ALTER ROLE {role} NOLOGIN; {end}'{role}'")).await;
    // The first one may meet a connection that was ended.
    let _ = store.outbox_status().await;
    fails("28000").await;
    run(&format!("ALTER ROLE {role} LOGIN")).await;
    works().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_that_can_be_done_do_not_hide_that_others_cannot() {
    let (store, name, role) = of_a_role().await;
    let run = async |sql: &str| Cluster::shared().run(&name, sql).await;
    run(&format!("ALTER TABLE regain.letters OWNER TO postgres; GRANT SELECT ON regain.letters TO {role}"))
        .await;
    for _ in 0..3 {
        let error = post(&store, "ann@example.org").await.unwrap_err();
        assert!(matches!(&error, StoreError::Unavailable(why) if why.contains("42501")), "{error}");
        store.outbox_status().await.unwrap();
        assert!(store.is_failing());
    }
    run(&format!("ALTER TABLE regain.letters OWNER TO {role}")).await;
    store.outbox_status().await.unwrap();
    assert!(store.is_failing(), "nobody has tried yet");
    post(&store, "ann@example.org").await.unwrap();
    assert!(!store.is_failing());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_falls_silent_while_somebody_opens_it_is_given_up() {
    let url = Cluster::shared().fresh_database().await;
    open(&url, PostgresOptions::default()).await;
    let port = Cluster::shared().port();
    // Each falls silent a little later in the talk, the last ones not before all is said.
    let looks = (0..24).map(async |nth| {
        let line = line_that_ends_after(nth * 100, port).await;
        let url = url.replace(&format!(":{port}/"), &format!(":{line}/"));
        let settings = format!("{url}?connect_timeout=5").parse().unwrap();
        let options = PostgresOptions { is_awaited: true, ..PostgresOptions::default() };
        let looked = PostgresStore::pending_migrations(&settings).await;
        (looked.is_ok(), PostgresStore::open_as_it_is(&settings, options).await.is_ok())
    });
    let outcomes = timeout(Duration::from_secs(120), join_all(looks)).await.expect("nobody waits for ever");
    assert_eq!((outcomes[0], outcomes[23]), ((false, false), (true, true)));
}

/// A line to that port which hands on so many bytes of the server's on each connection, and no more.
async fn line_that_ends_after(bytes: usize, port: u16) -> u16 {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let near = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let server = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (from_server, mut to_server) = server.into_split();
                let mut said = from_server.take(bytes as u64);
                let _ = join(
                    tokio::io::copy(&mut from_client, &mut to_server),
                    tokio::io::copy(&mut said, &mut to_client),
                )
                .await;
            });
        }
    });
    near
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_never_set_up_is_given_up_in_time() {
    let database = Cluster::shared().fresh_database().await;
    let (port, swallows) = line_before(Cluster::shared().port()).await;
    let url = database.replace(&Cluster::shared().port().to_string(), &port.to_string());
    let patience = Duration::from_secs(2);
    let options = PostgresOptions { connections: 1, patience, ..PostgresOptions::default() };
    // Its connections are made when they are first needed: now.
    let store = open(&url, options).await;
    swallows.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        let read = timeout(SOON, store.outbox_status()).await.expect("an answer");
        assert!(matches!(read, Err(StoreError::Unavailable(_))));
        let posted = timeout(SOON, post(&store, "ann@example.org")).await.expect("an answer");
        assert!(matches!(posted, Err(StoreError::Unavailable(_))));
    }
    swallows.store(false, Ordering::Relaxed);
    comes_back(&store).await;
}

/// A line to that port. Where it swallows, it passes on what a new connection begins with, but not the setting up.
async fn line_before(port: u16) -> (u16, Arc<AtomicBool>) {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let near = listener.local_addr().unwrap().port();
    let swallows = Arc::new(AtomicBool::new(false));
    let does = swallows.clone();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.into_split();
            let swallows = does.clone();
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            tokio::spawn(async move {
                let mut bytes = vec![0; 1 << 16];
                while let Ok(count @ 1..) = from_client.read(&mut bytes).await {
                    let sent = bytes.get(..count).unwrap();
                    let is_setting_up = sent.windows(11).any(|word| word == b"search_path");
                    if swallows.load(Ordering::Relaxed) && is_setting_up {
                        continue;
                    }
                    to_server.write_all(sent).await.unwrap();
                }
            });
        }
    });
    (near, swallows)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_step_that_waits_in_vain_closes_all_connections_that_look_alive() {
    let cluster = Cluster::start(&["fsync=off"]);
    let options = PostgresOptions { patience: Duration::from_secs(5), ..PostgresOptions::default() };
    let store = open(&cluster.url("postgres"), options).await;
    for outcome in join_all((0..10).map(|_| store.outbox_status())).await {
        outcome.unwrap();
    }
    cluster.freeze();
    assert!(matches!(store.outbox_status().await, Err(StoreError::Unavailable(_))));
    // Those that were idle are gone: the next step finds none that hangs, and makes one as soon as that is possible.
    let begun = Instant::now();
    let next = store.outbox_status();
    let thaw = async {
        sleep(Duration::from_millis(500)).await;
        cluster.thaw();
    };
    let (next, ()) = tokio::join!(next, thaw);
    next.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(500), "it was done while the server hung");
    let (client, connection) =
        tokio_postgres::connect(&cluster.url("postgres"), tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'regain'";
    let few = async {
        // The one that listens, and one of the pool.
        while client.query_one(count, &[]).await.unwrap().get::<_, i64>(0) > 2 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, few).await.expect("the old connections are closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_made_read_only_takes_nothing_from_then_on() {
    let cluster = Cluster::start(&["fsync=off"]);
    let store = open(&cluster.url("postgres"), PostgresOptions::default()).await;
    post(&store, "before@example.org").await.unwrap();
    let set = async |value: &str| {
        // Two statements: this one cannot be in a transaction.
        let who_may = "SET default_transaction_read_only = off";
        let (client, connection) =
            tokio_postgres::connect(&cluster.url("postgres"), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(who_may).await.unwrap();
        let set = format!("ALTER SYSTEM SET default_transaction_read_only = {value}");
        client.batch_execute(&set).await.unwrap();
        client.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    };
    set("on").await;
    let refused = async {
        let mut number = 0;
        while post(&store, &format!("n{number}@example.org")).await.is_ok() {
            number += 1;
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(SOON, refused).await.expect("a server that refuses");
    for number in 0..20 {
        let refused = post(&store, &format!("late{number}@example.org")).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))));
    }
    assert!(store.is_failing());
    set("off").await;
    comes_back(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_wait_for_its_standby_is_cancelled_is_not_answered() {
    // Whatever the role is told otherwise.
    let cluster = Cluster::start(&["fsync=off", "client_min_messages=error"]);
    let options = PostgresOptions { patience: Duration::from_secs(40), ..PostgresOptions::default() };
    let store = open(&cluster.url("postgres"), options).await;
    post(&store, "before@example.org").await.unwrap();
    // There is no standby.
    cluster.run("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'").await;
    cluster.run("postgres", "SELECT pg_reload_conf()").await;
    let cancel = async {
        let (client, connection) =
            tokio_postgres::connect(&cluster.url("postgres"), tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        let cancel =
            "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        while client.query_one(cancel, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            sleep(Duration::from_millis(20)).await;
        }
        Instant::now()
    };
    let is_cancelled = AtomicBool::new(false);
    // Those that come before the setting is in force are done.
    let posts = async {
        for number in 0.. {
            let posted = post(&store, &format!("n{number}@example.org")).await;
            if posted.is_err() || is_cancelled.load(Ordering::Relaxed) {
                return (posted, Instant::now());
            }
        }
        unreachable!()
    };
    let cancel = async {
        let cancelled = cancel.await;
        is_cancelled.store(true, Ordering::Relaxed);
        cancelled
    };
    let ((posted, answered), cancelled) =
        timeout(SOON, join(posts, cancel)).await.expect("a commit that waits");
    assert!(matches!(posted, Err(StoreError::Unavailable(_))), "{posted:?}");
    assert!(
        answered.saturating_duration_since(cancelled) < Duration::from_secs(20),
        "it was the end of its patience"
    );
    cluster.run("postgres", "ALTER SYSTEM RESET synchronous_standby_names").await;
    cluster.run("postgres", "SELECT pg_reload_conf()").await;
    comes_back(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_pile_up_behind_a_lock_are_answered_in_time() {
    let database = Cluster::shared().fresh_database().await;
    let patience = Duration::from_secs(10);
    let store = open(&database, PostgresOptions { patience, ..PostgresOptions::default() }).await;
    let (client, connection) = tokio_postgres::connect(&database, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("BEGIN; LOCK TABLE regain.letters").await.unwrap();
    let (watch, connection) = tokio_postgres::connect(&database, tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    // Nobody tells when a statement begins to wait, so it is asked for.
    let groups_wait = async |count: i64| {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while watch.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) < count {
            sleep(Duration::from_millis(5)).await;
        }
    };
    // Some are under way when the next ones come, and have to be done once more, each alone.
    let posts = (0..12).map(|number: u32| {
        let (store, groups_wait) = (&store, &groups_wait);
        async move {
            timeout(patience - Duration::from_secs(1), groups_wait(i64::from(number / 4)))
                .await
                .expect("groups that wait");
            let begun = Instant::now();
            let posted = post(store, &format!("n{number}@example.org")).await;
            (posted, begun.elapsed())
        }
    });
    for (posted, took) in join_all(posts).await {
        assert!(matches!(posted, Err(StoreError::Unavailable(_))), "{posted:?}");
        assert!(took < patience * 18 / 10, "it waited for its patience twice: {took:?}");
    }
    client.batch_execute("ROLLBACK").await.unwrap();
    comes_back(&store).await;
}
