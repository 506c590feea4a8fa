//! Relays that refuse, fall silent, drop the connection or do not keep to SMTP: each at every phase.

use regain_smtp::testing::Behaviour;
use regain_smtp::{Cause, Phase};

use super::*;

const PHASES: [Phase; 6] =
    [Phase::Greeting, Phase::Ehlo, Phase::Mail, Phase::Rcpt, Phase::Data, Phase::FinalDot];

/// Every phase, with and without pipelining, all at once because some of them wait for a deadline.
async fn at_each_phase(behaviour: Behaviour, check: fn(Phase, &SendError)) {
    let mut cases = tokio::task::JoinSet::new();
    for features in [Features::default(), plain_features()] {
        for phase in PHASES {
            let (features, behaviour) = (features.clone(), behaviour.clone());
            cases.spawn(async move {
                let server = ScriptedServer::with(features).await;
                server.on(phase, behaviour);
                let pool = pool_at(&server, &server.url(), hasty());
                let error = send(&pool).await.expect_err("it misbehaves");
                assert_eq!(error.phase(), phase, "{error:?}");
                check(phase, &error);
                assert!(phase == Phase::FinalDot || server.received().is_empty());
                server.behave();
                send(&pool).await.expect("the next one goes through");
            });
        }
    }
    while let Some(case) = cases.join_next().await {
        case.expect("no panic");
    }
}

#[tokio::test]
async fn a_refusal_comes_back_with_its_phase_and_codes() {
    at_each_phase(Behaviour::reply("451 4.7.1 later"), |_, error| {
        assert_eq!(error.reply().map(|reply| reply.codes()).as_deref(), Some("451 4.7.1"));
    })
    .await;
    at_each_phase(Behaviour::reply("421 4.3.2 closing"), |_, error| {
        assert_eq!(error.reply().map(|reply| reply.codes()).as_deref(), Some("421 4.3.2"));
    })
    .await;
    at_each_phase(Behaviour::reply_and_close("421 4.3.2 closing"), |_, error| {
        assert_eq!(error.reply().map(|reply| reply.code()), Some(421));
    })
    .await;
}

#[tokio::test]
async fn errors_have_the_names_that_nodemailer_gives_them() {
    for (phase, code) in [
        (Phase::Greeting, "EPROTOCOL"),
        (Phase::Mail, "EENVELOPE"),
        (Phase::Rcpt, "EENVELOPE"),
        (Phase::Data, "EENVELOPE"),
        (Phase::FinalDot, "EMESSAGE"),
    ] {
        let server = ScriptedServer::start().await;
        server.on(phase, Behaviour::reply("550 5.1.1 no"));
        assert_eq!(send(&pool(&server)).await.expect_err("refused").code(), code);
    }
    let port = ScriptedServer::start().await.port();
    let server = ScriptedServer::start().await;
    let error = send(&pool_at(&server, &format!("smtp://127.0.0.1:{port}"), deadlines()))
        .await
        .expect_err("nobody there");
    assert_eq!((error.phase(), error.code()), (Phase::Connect, "ESOCKET"));
}

#[tokio::test]
async fn silence_ends_with_a_deadline() {
    at_each_phase(Behaviour::Silence, |_, error| assert_eq!(error.cause(), &Cause::TimedOut)).await;
}

#[tokio::test]
async fn a_reply_that_comes_byte_by_byte_gains_no_time() {
    let slow = Behaviour::Trickle("220 a very slow relay indeed".into(), Duration::from_millis(200));
    at_each_phase(slow, |_, error| assert_eq!(error.cause(), &Cause::TimedOut)).await;
}

#[tokio::test]
async fn a_dropped_connection_is_told_from_a_refusal() {
    at_each_phase(Behaviour::Close, |_, error| {
        assert_eq!((error.cause(), error.code()), (&Cause::Closed, "ECONNECTION"));
    })
    .await;
}

#[tokio::test]
async fn what_is_no_smtp_is_named_so() {
    let endless = format!("250-{}", "x".repeat(100_000));
    for text in ["HTTP/1.1 400 Bad Request", "99", "334 and now?", &endless, &"250-x\r\n".repeat(20_000)] {
        at_each_phase(Behaviour::reply(text), |phase, error| {
            assert!(matches!(error.cause(), Cause::Protocol(_)), "{phase}: {error:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_reply_without_end_is_cut_off() {
    let megabytes = format!("{}250 at last", "250-go on\r\n".repeat(1_000_000));
    for behaviour in [
        Behaviour::Endless("220-welcome\r\n".into()),
        Behaviour::Endless("250-".into()),
        Behaviour::Reply(megabytes),
    ] {
        at_each_phase(behaviour, |phase, error| {
            assert!(matches!(error.cause(), Cause::Protocol(_)), "{phase}: {error:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn a_relay_that_speaks_unasked_is_left_before_its_words_are_taken_for_a_reply() {
    for phase in [Phase::Greeting, Phase::Ehlo] {
        let server = ScriptedServer::with(plain_features()).await;
        server.on(phase, Behaviour::Endless("250 welcome\r\n220 welcome\r\n".into()));
        if phase == Phase::Greeting {
            server.on(phase, Behaviour::Endless("220 welcome\r\n".into()));
        }
        let error = send(&pool_at(&server, &server.url(), deadlines())).await.expect_err("it babbles");
        assert_eq!(error.cause(), &Cause::Protocol("it spoke unasked"));
        assert!(!server.connections()[0].text().contains("MAIL"));
    }
    let server = ScriptedServer::start().await;
    server.on(Phase::Data, Behaviour::reply("354 go ahead\r\n250 taken already"));
    let error = send(&pool(&server)).await.expect_err("it answers ahead");
    assert_eq!((error.phase(), error.may_have_been_accepted()), (Phase::Data, false));
    assert!(server.received().is_empty());
}

#[tokio::test]
async fn a_reset_connection_is_told_from_a_refusal() {
    at_each_phase(Behaviour::Reset, |phase, error| {
        assert_eq!((error.cause(), error.code()), (&Cause::Closed, "ECONNECTION"));
        assert_eq!(error.may_have_been_accepted(), phase == Phase::FinalDot);
    })
    .await;
}

#[tokio::test]
async fn a_refused_recipient_keeps_the_connection_even_if_data_is_taken() {
    for features in [Features::default(), plain_features()] {
        let server = ScriptedServer::with(features).await;
        let pool = pool(&server);
        server.on_next(1, Phase::Rcpt, Behaviour::reply("550 5.1.1 no such user"));
        server.on_next(1, Phase::Data, Behaviour::reply("354 go ahead all the same"));
        let error = send(&pool).await.expect_err("refused");
        assert_eq!((error.phase(), error.reply().map(|reply| reply.code())), (Phase::Rcpt, Some(550)));
        server.behave();
        send(&pool).await.expect("accepted");
        assert_eq!(server.connections().len(), 1, "RSET, not a new connection");
        assert_eq!(server.messages().len(), 1);
        assert!(server.connections()[0].text().contains("RSET\r\n"));
    }
}

#[tokio::test]
async fn a_refusal_at_the_final_dot_keeps_the_connection() {
    let server = ScriptedServer::start().await;
    let pool = pool(&server);
    server.on_next(1, Phase::FinalDot, Behaviour::reply("554 5.7.1 spam"));
    assert_eq!(send(&pool).await.expect_err("refused").phase(), Phase::FinalDot);
    send(&pool).await.expect("accepted");
    assert_eq!(server.connections().len(), 1);
}

#[tokio::test]
async fn the_text_of_an_error_never_shows_what_the_relay_quotes() {
    let server = ScriptedServer::start().await;
    server.on(Phase::Rcpt, Behaviour::reply("550 5.1.1 <ada@example.org>: unknown"));
    let error = send(&pool(&server)).await.expect_err("refused");
    assert_eq!(error.to_string(), "naming the recipient (RCPT TO): the relay refused with 550 5.1.1");
    assert!(!format!("{error:?} {:?}", envelope()).contains("ada"), "{error:?}");
    assert_eq!(error.reply().map(|reply| reply.text()), Some("<ada@example.org>: unknown"));
}
