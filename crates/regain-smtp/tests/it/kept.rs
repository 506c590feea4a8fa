//! Kept connections: how many, how long, and what a dead one costs.

use regain_smtp::testing::{Behaviour, ServerTls};
use regain_smtp::{Cause, Phase};

use super::*;

#[tokio::test]
async fn one_connection_serves_message_after_message_and_is_renewed_after_a_hundred() {
    let server = ScriptedServer::start().await;
    let pool = pool(&server);
    for _ in 0..205 {
        send(&pool).await.expect("accepted");
    }
    assert_eq!(server.connections().len(), 3);
    assert_eq!(server.messages().iter().filter(|message| message.connection == 0).count(), 100);
    assert!(server.connections()[0].text().ends_with("QUIT\r\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_sends_one_after_the_other_needs_one_connection() {
    let server = ScriptedServer::start().await;
    let pool = pool(&server);
    server.on_next(20, Phase::Rcpt, Behaviour::reply("550 5.1.1 no such user"));
    for _ in 0..20 {
        send(&pool).await.expect_err("refused");
    }
    for _ in 0..50 {
        send(&pool).await.expect("accepted");
    }
    assert_eq!(server.connections().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_never_more_connections_than_the_url_allows() {
    for (options, most) in [("", 5), ("?maxConnections=2", 2)] {
        let server = ScriptedServer::start().await;
        // Those that are first wait until the others are there.
        server.on_next(most, Phase::FinalDot, Behaviour::Delay(Duration::from_secs(1)));
        let pool = pool_at(&server, &format!("{}{options}", server.url()), deadlines());
        let sending: Vec<_> = (0..60)
            .map(|_| {
                let pool = pool.clone();
                tokio::spawn(async move { send(&pool).await })
            })
            .collect();
        for one in sending {
            one.await.expect("no panic").expect("accepted");
        }
        assert_eq!(server.messages().len(), 60);
        assert_eq!(server.most_connections(), most);
    }
}

#[tokio::test]
async fn a_connection_that_died_while_idle_costs_the_message_nothing() {
    for features in [Features::default(), plain_features(), Features::tls(ServerTls::StartTls)] {
        let server = ScriptedServer::with(features).await;
        server.on(Phase::FinalDot, Behaviour::reply_and_close("250 2.0.0 accepted, and goodbye"));
        let pool = pool(&server);
        for _ in 0..50 {
            send(&pool).await.expect("accepted");
        }
        assert_eq!(server.received().len(), 50);
    }
}

#[tokio::test]
async fn a_kept_connection_that_says_goodbye_at_the_next_mail_costs_the_message_nothing() {
    let server = ScriptedServer::start().await;
    let pool = pool(&server);
    send(&pool).await.expect("accepted");
    server.on_next(1, Phase::Mail, Behaviour::reply_and_close("421 4.4.2 idle for too long"));
    send(&pool).await.expect("accepted");
    server.on_next(1, Phase::Data, Behaviour::Close);
    send(&pool).await.expect("accepted");
    assert_eq!((server.messages().len(), server.connections().len()), (3, 3));
}

#[tokio::test]
async fn a_message_whose_body_has_left_is_never_sent_again_by_itself() {
    let server = ScriptedServer::start().await;
    let pool = pool(&server);
    send(&pool).await.expect("accepted");
    server.on_next(1, Phase::FinalDot, Behaviour::Close);
    let error = send(&pool).await.expect_err("unknown outcome");
    assert_eq!((error.phase(), error.cause()), (Phase::FinalDot, &Cause::Closed));
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn a_message_that_was_cut_off_before_its_final_dot_was_not_taken_and_counts_for_nothing() {
    // Far more than the buffers of a connection hold, so that it cannot have left.
    let large = message(&format!("{}\r\n", "x".repeat(990)).repeat(30_000));
    let cut = Behaviour::reply_and_close("354 go ahead, and goodbye");
    let server =
        ScriptedServer::with(Features { extensions: vec!["PIPELINING".into()], ..Features::default() }).await;
    server.on_next(1, Phase::Data, cut.clone());
    let first = pool(&server).send(envelope(), Arc::clone(&large)).await.expect_err("cut off");
    assert_eq!((first.phase(), first.may_have_been_accepted()), (Phase::Data, false));
    assert_eq!((first.cause(), first.code()), (&Cause::Closed, "ECONNECTION"));

    let kept = pool(&server);
    send(&kept).await.expect("accepted");
    server.on_next(1, Phase::Data, cut);
    kept.send(envelope(), Arc::clone(&large)).await.expect("accepted over a new connection");
    assert_eq!(server.received().len(), 2);
    assert_eq!(server.messages()[1].data.len(), large.len());
}

#[tokio::test]
async fn words_that_nobody_asked_for_are_not_taken_for_the_reply_to_the_next_message() {
    let server = ScriptedServer::start().await;
    let pool = pool(&server);
    server.on_next(
        1,
        Phase::FinalDot,
        Behaviour::reply("250 accepted\r\n250 one\r\n250 two\r\n354 three\r\n250 four"),
    );
    send(&pool).await.expect("accepted");
    send(&pool).await.expect("accepted");
    let messages = server.messages();
    assert_eq!(messages.len(), 2);
    assert_ne!(messages[0].connection, messages[1].connection);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_touch_the_dialogue() {
    for phase in [Phase::Greeting, Phase::Rcpt, Phase::FinalDot] {
        let server = ScriptedServer::start().await;
        server.on_next(1, phase, Behaviour::Delay(Duration::from_secs(3)));
        let pool = pool_at(&server, &format!("{}?maxConnections=1", server.url()), deadlines());
        let caller = tokio::spawn({
            let pool = pool.clone();
            async move { send(&pool).await }
        });
        server.wait_for_phase(phase, 1).await;
        caller.abort();
        assert!(caller.await.expect_err("aborted").is_cancelled());
        server.wait_for_messages(1).await;
        send(&pool).await.expect("accepted");
        assert_eq!(server.connections().len(), 1, "the connection is as good as before ({phase})");
    }
}

#[tokio::test]
async fn a_message_whose_caller_left_the_queue_is_not_sent() {
    let server = ScriptedServer::start().await;
    server.on_next(1, Phase::FinalDot, Behaviour::Delay(Duration::from_secs(3)));
    let pool = pool_at(&server, &format!("{}?maxConnections=1", server.url()), deadlines());
    let first = tokio::spawn({
        let pool = pool.clone();
        async move { send(&pool).await }
    });
    server.wait_for_phase(Phase::FinalDot, 1).await;
    let queued =
        tokio::time::timeout(Duration::from_millis(1), pool.send(envelope(), message("never"))).await;
    assert!(queued.is_err(), "it waits behind the first");
    first.await.expect("no panic").expect("accepted");
    send(&pool).await.expect("accepted");
    assert!(server.received().iter().all(|message| message.text() != "never\r\n"));
    assert_eq!(server.received().len(), 2);
}

#[tokio::test]
async fn an_idle_connection_is_closed_with_quit() {
    let server = ScriptedServer::start().await;
    let pool = pool_at(&server, &server.url(), Deadlines { idle: Duration::from_millis(50), ..deadlines() });
    send(&pool).await.expect("accepted");
    server.wait_until_idle().await;
    assert!(server.connections()[0].text().ends_with("QUIT\r\n"));
    send(&pool).await.expect("accepted");
    assert_eq!(server.connections().len(), 2);
}

#[tokio::test]
async fn closing_lets_dialogues_finish_and_refuses_what_comes_later() {
    let server = ScriptedServer::start().await;
    server.on_next(1, Phase::FinalDot, Behaviour::Delay(Duration::from_secs(3)));
    let pool = pool_at(&server, &format!("{}?maxConnections=1", server.url()), deadlines());
    let busy = tokio::spawn({
        let pool = pool.clone();
        async move { send(&pool).await }
    });
    server.wait_for_phase(Phase::FinalDot, 1).await;
    let queued = tokio::spawn({
        let pool = pool.clone();
        async move { send(&pool).await }
    });
    tokio::task::yield_now().await;
    pool.close(Duration::from_secs(20)).await;
    busy.await.expect("no panic").expect("accepted");
    assert_eq!(queued.await.expect("no panic").expect_err("closed").cause(), &Cause::PoolClosed);
    assert_eq!(send(&pool).await.expect_err("closed").cause(), &Cause::PoolClosed);
    server.wait_until_idle().await;
    assert!(server.connections()[0].text().ends_with("QUIT\r\n"));
}

#[tokio::test]
async fn closing_cuts_what_does_not_finish_in_time() {
    let server = ScriptedServer::start().await;
    server.on(Phase::FinalDot, Behaviour::Silence);
    let pool = pool(&server);
    let hanging = tokio::spawn({
        let pool = pool.clone();
        async move { send(&pool).await }
    });
    server.wait_for_phase(Phase::FinalDot, 1).await;
    pool.close(Duration::from_millis(50)).await;
    let error = hanging.await.expect("no panic").expect_err("cut");
    assert_eq!((error.phase(), error.cause()), (Phase::FinalDot, &Cause::Closed));
    server.wait_until_idle().await;
}

#[tokio::test]
async fn a_relay_that_is_down_fails_each_message_and_works_again_when_it_is_up() {
    let server = ScriptedServer::start().await;
    server.on(Phase::Greeting, Behaviour::reply_and_close("421 4.3.2 overloaded"));
    let pool = pool_at(&server, &format!("{}?maxConnections=2", server.url()), deadlines());
    for _ in 0..20 {
        assert_eq!(send(&pool).await.expect_err("down").phase(), Phase::Greeting);
    }
    server.behave();
    send(&pool).await.expect("accepted");
}
