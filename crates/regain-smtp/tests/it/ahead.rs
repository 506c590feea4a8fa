//! The envelope of the next message behind the final dot of this one, and all that can go wrong between the two.

use regain_smtp::testing::{Behaviour, ServerTls};
use regain_smtp::{Cause, Phase};

use super::*;

const ENVELOPE: &str = "RCPT TO:<1@example.org>\r\nDATA\r\n";

#[tokio::test]
async fn the_next_envelope_leaves_before_the_reply_to_the_final_dot() {
    for features in [Features::default(), Features::tls(ServerTls::StartTls)] {
        let server = ScriptedServer::with(features).await;
        server.on(Phase::FinalDot, Behaviour::Silence);
        let pool = narrow(&server, deadlines());
        let sending = tokio::spawn(async move { send_together(&pool, 2).await });
        server.wait_for_text(0, |text| text.ends_with(ENVELOPE)).await;
        sending.abort();
    }
}

#[tokio::test]
async fn without_pipelining_every_command_waits_for_its_reply() {
    let server = ScriptedServer::with(plain_features()).await;
    server.on(Phase::FinalDot, Behaviour::Silence);
    let outcomes = send_together(&narrow(&server, hasty()), 2).await;
    assert!(outcomes.iter().all(|outcome| outcome.is_err()));
    assert!(server.connections()[0].text().ends_with("\r\n.\r\n"), "{}", server.connections()[0].text());
}

#[tokio::test]
async fn many_messages_over_one_connection_arrive_whole_and_in_order() {
    for features in [Features::default(), plain_features(), Features::tls(ServerTls::StartTls)] {
        let server = ScriptedServer::with(features).await;
        let outcomes = send_together(&narrow(&server, deadlines()), 90).await;
        assert!(outcomes.iter().all(|outcome| outcome.is_ok()));
        assert_eq!(numbers(&server.messages()), (0..90).collect::<Vec<_>>());
        assert_eq!(server.connections().len(), 1);
    }
}

#[tokio::test]
async fn a_refused_message_does_not_disturb_the_one_behind_it() {
    let server = ScriptedServer::start().await;
    server.on_next(1, Phase::FinalDot, Behaviour::reply("554 5.7.1 spam"));
    let outcomes = send_together(&narrow(&server, deadlines()), 3).await;
    let error = outcomes[0].as_ref().expect_err("refused");
    assert_eq!(
        (error.phase(), error.permanent(), error.may_have_been_accepted()),
        (Phase::FinalDot, true, false)
    );
    assert_eq!(numbers(&server.messages()), [1, 2]);
    assert!(!server.connections()[0].text().contains("RSET"));
    assert_eq!(server.connections().len(), 1);
}

#[tokio::test]
async fn a_connection_lost_at_the_final_dot_costs_the_message_behind_it_nothing() {
    for behaviour in [Behaviour::Close, Behaviour::Reset] {
        let server = ScriptedServer::start().await;
        server.on_next(1, Phase::FinalDot, behaviour);
        let outcomes = send_together(&narrow(&server, deadlines()), 2).await;
        let error = outcomes[0].as_ref().expect_err("nobody knows");
        assert_eq!((error.phase(), error.may_have_been_accepted()), (Phase::FinalDot, true));
        outcomes[1].as_ref().expect("accepted");
        assert_eq!(numbers(&server.received()), [0, 1]);
        assert_eq!(server.connections().len(), 2);
    }
}

#[tokio::test]
async fn a_goodbye_at_the_final_dot_costs_the_message_behind_it_nothing() {
    for behaviour in [Behaviour::reply_and_close("421 4.3.2 closing"), Behaviour::reply("421 4.3.2 closing")]
    {
        let server = ScriptedServer::start().await;
        server.on_next(1, Phase::FinalDot, behaviour);
        let outcomes = send_together(&narrow(&server, deadlines()), 2).await;
        let error = outcomes[0].as_ref().expect_err("refused");
        assert_eq!((error.phase(), error.reply().map(|reply| reply.code())), (Phase::FinalDot, Some(421)));
        assert_eq!(numbers(&server.messages()), [1]);
        assert_eq!(server.connections().len(), 2);
    }
}

#[tokio::test]
async fn an_envelope_that_went_ahead_and_was_lost_is_sent_anew() {
    let lost = [
        Behaviour::Close,
        Behaviour::Reset,
        Behaviour::Silence,
        Behaviour::reply_and_close("421 4.4.2 enough for now"),
        Behaviour::reply_and_close("554 synchronization error"),
        Behaviour::reply("503 5.5.1 nested MAIL"),
        Behaviour::reply("500 5.5.2 what is this"),
        Behaviour::reply("HTTP/1.1 400"),
    ];
    for behaviour in lost {
        let server = ScriptedServer::start().await;
        server.on_after(1, Phase::Mail, behaviour.clone());
        let outcomes = send_together(&narrow(&server, hasty()), 3).await;
        assert!(outcomes.iter().all(|outcome| outcome.is_ok()), "{behaviour:?}: {outcomes:?}");
        assert_eq!(numbers(&server.received()), [0, 1, 2], "{behaviour:?}");
    }
    for phase in [Phase::Rcpt, Phase::Data] {
        let server = ScriptedServer::start().await;
        server.on_after(1, phase, Behaviour::Close);
        let outcomes = send_together(&narrow(&server, hasty()), 3).await;
        assert!(outcomes.iter().all(|outcome| outcome.is_ok()), "{phase}: {outcomes:?}");
        assert_eq!(numbers(&server.received()), [0, 1, 2], "{phase}");
    }
}

#[tokio::test]
async fn a_refused_message_whose_relay_still_holds_it_is_cleared_away_for_the_next() {
    let server = ScriptedServer::start().await;
    server.on_next(1, Phase::FinalDot, Behaviour::reply("451 4.3.0 later"));
    server.on_after(1, Phase::Mail, Behaviour::reply("503 5.5.1 nested MAIL"));
    let outcomes = send_together(&narrow(&server, deadlines()), 2).await;
    assert!(outcomes[0].is_err() && outcomes[1].is_ok(), "{outcomes:?}");
    assert!(server.connections()[0].text().contains("RSET\r\n"));
    assert_eq!((numbers(&server.messages()), server.connections().len()), (vec![1], 1));
}

#[tokio::test]
async fn a_recipient_refused_ahead_is_that_messages_own_fault() {
    for data in ["354 go ahead all the same", "554 5.5.1 no valid recipients"] {
        let server = ScriptedServer::start().await;
        server.on_after(1, Phase::Rcpt, Behaviour::reply("550 5.1.1 no such user"));
        server.on_after(1, Phase::Data, Behaviour::reply(data));
        let outcomes = send_together(&narrow(&server, deadlines()), 3).await;
        let error = outcomes[1].as_ref().expect_err("refused");
        assert_eq!((error.phase(), error.reply().map(|reply| reply.code())), (Phase::Rcpt, Some(550)));
        assert_eq!(numbers(&server.messages()), [0, 2]);
        assert_eq!(server.connections().len(), 1);
    }
}

#[tokio::test]
async fn a_sender_refused_ahead_is_told_as_such() {
    let server = ScriptedServer::start().await;
    server.on_after(1, Phase::Mail, Behaviour::reply("452 4.3.1 too many messages"));
    let outcomes = send_together(&narrow(&server, deadlines()), 3).await;
    let error = outcomes[1].as_ref().expect_err("refused");
    assert_eq!(
        (error.phase(), error.reply().map(|reply| reply.codes())),
        (Phase::Mail, Some("452 4.3.1".into()))
    );
    assert_eq!(numbers(&server.messages()), [0, 2]);
}

#[tokio::test]
async fn a_message_that_the_relay_cannot_take_is_not_sent_ahead() {
    let extensions = vec!["PIPELINING".into(), "SIZE 1000".into()];
    let server = ScriptedServer::with(Features { extensions, ..Features::default() }).await;
    let pool = narrow(&server, deadlines());
    let (first, large, last) = tokio::join!(
        send_numbered(pool.clone(), 0),
        pool.send(envelope(), message(&"x".repeat(2000))),
        send_numbered(pool.clone(), 1)
    );
    assert!(first.is_ok() && last.is_ok());
    assert_eq!(large.expect_err("too large").cause(), &Cause::TooLarge { limit: 1000 });
    assert_eq!((numbers(&server.messages()), server.connections().len()), (vec![0, 1], 1));
}

#[tokio::test]
async fn a_relay_that_throws_away_what_comes_early_gets_messages_one_by_one() {
    let server = ScriptedServer::start().await;
    server.on(Phase::FinalDot, Behaviour::Forget);
    let outcomes = send_together(&narrow(&server, hasty()), 20).await;
    assert!(outcomes.iter().all(|outcome| outcome.is_ok()), "{outcomes:?}");
    assert_eq!(numbers(&server.received()), (0..20).collect::<Vec<_>>());
    assert_eq!(server.connections().len(), 4, "three envelopes were lost, and then it is learnt");
}

#[tokio::test]
async fn a_caller_that_goes_away_with_its_envelope_ahead_harms_nobody() {
    let server = ScriptedServer::start().await;
    server.on_next(1, Phase::FinalDot, Behaviour::Delay(Duration::from_secs(1)));
    let pool = narrow(&server, deadlines());
    let first = tokio::spawn(send_numbered(pool.clone(), 0));
    let leaving = tokio::spawn(send_numbered(pool.clone(), 1));
    let last = tokio::spawn(send_numbered(pool.clone(), 2));
    server.wait_for_text(0, |text| text.ends_with(ENVELOPE)).await;
    leaving.abort();
    assert!(leaving.await.expect_err("aborted").is_cancelled());
    first.await.expect("no panic").expect("accepted");
    last.await.expect("no panic").expect("accepted");
    assert_eq!(numbers(&server.messages()), [0, 1, 2], "a lone dot would have sent an empty message");
    assert_eq!(server.connections().len(), 1);
}

#[tokio::test]
async fn a_message_behind_one_that_takes_long_goes_another_way() {
    let server = ScriptedServer::start().await;
    let pool = pool_at(
        &server,
        &format!("{}?maxConnections=2", server.url()),
        Deadlines { final_dot: Duration::from_secs(12), ..deadlines() },
    );
    server.on_next(1, Phase::FinalDot, Behaviour::Silence);
    let slow = tokio::spawn(send_numbered(pool.clone(), 0));
    server.wait_for_phase(Phase::Greeting, 1).await;
    let others = tokio::spawn(async move { send_together(&pool, 10).await });
    let outcomes = others.await.expect("no panic");
    assert!(outcomes.iter().all(|outcome| outcome.is_ok()), "{outcomes:?}");
    assert!(!slow.is_finished(), "nobody waited for it");
    assert_eq!(slow.await.expect("no panic").expect_err("silence").cause(), &Cause::TimedOut);
}

#[tokio::test]
async fn a_connection_takes_no_more_messages_than_the_url_allows() {
    let server = ScriptedServer::start().await;
    let url = format!("{}?maxConnections=1&maxMessages=3", server.url());
    let outcomes = send_together(&pool_at(&server, &url, deadlines()), 10).await;
    assert!(outcomes.iter().all(|outcome| outcome.is_ok()));
    let connections = server.connections();
    assert_eq!(connections.len(), 4);
    for connection in &connections[..3] {
        assert_eq!(connection.text().matches("MAIL FROM").count(), 3);
        assert!(connection.text().ends_with("QUIT\r\n"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_closes_after_each_mail_costs_no_message_anything() {
    for features in [Features::default(), plain_features()] {
        let server = ScriptedServer::with(features).await;
        server.on(Phase::FinalDot, Behaviour::reply_and_close("250 2.0.0 accepted, and goodbye"));
        let outcomes = send_together(&pool(&server), 1000).await;
        assert!(outcomes.iter().all(|outcome| outcome.is_ok()));
        let mut sent = numbers(&server.received());
        sent.sort_unstable();
        assert_eq!(sent, (0..1000).collect::<Vec<_>>());
    }
}
