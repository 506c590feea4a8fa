//! What the URL limits: the rate, the time of a message, the queue, time-outs, the source address.

use regain_smtp::testing::Behaviour;
use regain_smtp::{Cause, Phase};

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn the_rate_holds_over_all_connections_and_for_fresh_ones() {
    for features in [Features::default(), plain_features()] {
        let server = ScriptedServer::with(features).await;
        // Slow to greet and quick later: what waited for a connection must not come in a heap.
        server.on(Phase::Greeting, Behaviour::Delay(Duration::from_millis(50)));
        let url = format!("{}?rateLimit=5&rateDelta=200&maxConnections=4&maxMessages=4", server.url());
        let outcomes = send_together(&pool_at(&server, &url, deadlines()), 40).await;
        assert!(outcomes.iter().all(|outcome| outcome.is_ok()), "{outcomes:?}");
        let times = server.times(Phase::Mail);
        assert_eq!(times.len(), 40);
        for window in times.windows(6) {
            assert!(window[5] - window[0] >= Duration::from_millis(200), "{window:?}");
        }
    }
}

#[tokio::test]
async fn a_message_that_no_relay_has_seen_does_not_count_for_the_rate() {
    let server = ScriptedServer::start().await;
    server.on_next(20, Phase::Greeting, Behaviour::Close);
    let url = format!("{}?rateLimit=1&rateDelta=600000", server.url());
    // So that a message that has to wait fails.
    let pool = pool_at(&server, &url, Deadlines { message: Some(Duration::from_secs(20)), ..deadlines() });
    for _ in 0..20 {
        assert_eq!(send(&pool).await.expect_err("closed").phase(), Phase::Greeting);
    }
    send(&pool).await.expect("accepted");
}

#[tokio::test]
async fn who_waits_for_the_rate_holds_neither_a_place_nor_a_connection_for_ever() {
    let server = ScriptedServer::start().await;
    let url = format!("{}?rateLimit=1&rateDelta=600000&maxConnections=1", server.url());
    let quick = Deadlines { idle: Duration::from_millis(50), ..deadlines() };
    let pool = pool_at(&server, &url, quick);
    send(&pool).await.expect("accepted");
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { send(&pool).await }
    });
    server.wait_until_idle().await;
    assert!(server.connections()[0].text().ends_with("QUIT\r\n"));
    waiting.abort();
    assert!(waiting.await.expect_err("aborted").is_cancelled());
    // The worker is free again: this does not wait behind the one that is gone.
    pool.check().await.expect("reachable");
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { send(&pool).await }
    });
    tokio::task::yield_now().await;
    pool.close(Duration::from_secs(20)).await;
    assert_eq!(waiting.await.expect("no panic").expect_err("closed").cause(), &Cause::PoolClosed);
}

#[tokio::test]
async fn a_message_has_one_deadline_from_the_call_to_its_outcome() {
    for (features, phase) in [
        (Features::default(), Phase::Greeting),
        (Features::default(), Phase::Mail),
        (plain_features(), Phase::Data),
        (Features::default(), Phase::FinalDot),
    ] {
        let server = ScriptedServer::with(features).await;
        server.on_next(1, phase, Behaviour::Silence);
        let within = Duration::from_secs(2);
        let pool = narrow(&server, Deadlines { message: Some(within), ..deadlines() });
        let begun = std::time::Instant::now();
        let (at_work, waiting) = tokio::join!(send_numbered(pool.clone(), 0), send_numbered(pool.clone(), 1));
        assert!(begun.elapsed() >= within);
        let error = at_work.expect_err("silence");
        assert_eq!((error.phase(), error.cause(), error.code()), (phase, &Cause::TimedOut, "ETIMEDOUT"));
        assert_eq!(waiting.expect_err("too late").cause(), &Cause::TimedOut);
        send_numbered(pool, 2).await.expect("accepted");
        assert_eq!(numbers(&server.messages()), [2]);
    }
}

#[tokio::test]
async fn a_queue_that_is_full_takes_no_more() {
    let server = ScriptedServer::start().await;
    server.on(Phase::Greeting, Behaviour::Silence);
    let pool = narrow(&server, deadlines());
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..=Pool::LONGEST_QUEUE {
        let pool = pool.clone();
        waiting.spawn(async move { send(&pool).await });
    }
    server.wait_for_phase(Phase::Greeting, 1).await;
    let error = send(&pool).await.expect_err("full");
    assert_eq!((error.cause(), error.code(), error.permanent()), (&Cause::QueueFull, "ECONNECTION", false));
    // Those whose callers are gone do not count.
    waiting.shutdown().await;
    let queued = tokio::time::timeout(Duration::from_millis(1), send(&pool)).await;
    assert!(queued.is_err(), "it waits");
}

#[tokio::test]
async fn the_time_outs_of_the_url_hold() {
    for (options, phase) in [
        ("greetingTimeout=1000", Phase::Greeting),
        ("socketTimeout=1000", Phase::Greeting),
        ("socketTimeout=1000", Phase::Ehlo),
        ("socketTimeout=1000", Phase::Mail),
        ("socketTimeout=1000", Phase::FinalDot),
        ("connectionTimeout=1000", Phase::Ehlo),
    ] {
        let server = ScriptedServer::start().await;
        server.on(phase, Behaviour::Silence);
        let pool = pool_at(&server, &format!("{}?{options}", server.url()), deadlines());
        let error = send(&pool).await.expect_err("silence");
        assert_eq!((error.phase(), error.code()), (phase, "ETIMEDOUT"), "{options}");
    }
    // Of no effect once the connection can be used.
    let server = ScriptedServer::start().await;
    server.on(Phase::FinalDot, Behaviour::Delay(Duration::from_millis(4000)));
    let url = format!("{}?connectionTimeout=3000&greetingTimeout=3000", server.url());
    send(&pool_at(&server, &url, deadlines())).await.expect("accepted");
}

#[tokio::test]
async fn the_source_address_is_the_one_in_the_url() {
    let server = ScriptedServer::start().await;
    let from =
        |address: &str| pool_at(&server, &format!("{}?localAddress={address}", server.url()), deadlines());
    send(&from("127.0.0.5")).await.expect("accepted");
    assert_eq!(server.connections()[0].peer.ip().to_string(), "127.0.0.5");
    for address in ["::1", "192.0.2.1"] {
        let error = send(&from(address)).await.expect_err("no such address here");
        assert_eq!((error.phase(), error.code()), (Phase::Connect, "ESOCKET"), "{address}");
    }
    assert_eq!(server.connections().len(), 1);
}

#[tokio::test]
async fn authmethod_forces_the_mechanism_and_nothing_else_is_tried() {
    let offered = ["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2"].map(str::to_owned).to_vec();
    for mechanism in ["PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2"] {
        let features = Features { mechanisms: offered.clone(), ..Features::default().with_login("u", "p") };
        let server = ScriptedServer::with(features).await;
        let url = format!("smtp://u:p@127.0.0.1:{}?authMethod={mechanism}", server.port());
        send(&pool_at(&server, &url, deadlines())).await.expect("accepted");
        let said = server.connections()[0].text();
        assert!(said.contains(&format!("AUTH {mechanism}")) && said.matches("AUTH ").count() == 1, "{said}");
    }
    let features = Features { mechanisms: Vec::new(), ..Features::default().with_login("u", "p") };
    let server = ScriptedServer::with(features).await;
    let url = format!("smtp://u:p@127.0.0.1:{}?authMethod=PLAIN", server.port());
    let error = send(&pool_at(&server, &url, deadlines())).await.expect_err("no AUTH");
    assert_eq!((error.cause(), error.code()), (&Cause::AuthUnavailable, "EAUTH"));
}
