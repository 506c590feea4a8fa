//! Relays that have room for fewer connections than the URL allows.

use regain_smtp::testing::{Behaviour, ServerTls};
use regain_smtp::{Cause, Phase};

use super::*;

const TOO_MANY: &str = "421 4.7.0 too many connections";

fn with_login(server: &ScriptedServer) -> Pool {
    let scheme = server.url().split(':').next().expect("a scheme").to_owned();
    pool_at(server, &format!("{scheme}://u:p@127.0.0.1:{}", server.port()), deadlines())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_fails_because_the_relay_turns_further_connections_away() {
    let mut seen = 0;
    for tls in [ServerTls::None, ServerTls::Immediate] {
        for (room, phase) in [Phase::Greeting, Phase::Ehlo, Phase::Auth, Phase::Tls]
            .into_iter()
            .flat_map(|phase| [(1, phase), (2, phase)])
        {
            for behaviour in [Behaviour::reply_and_close(TOO_MANY), Behaviour::Close, Behaviour::Reset] {
                let says_no_smtp = matches!(behaviour, Behaviour::ReplyAndClose(_));
                if phase == Phase::Tls && (tls == ServerTls::None || says_no_smtp) {
                    continue;
                }
                let features = Features { tls, ..Features::default().with_login("u", "p") };
                let server = ScriptedServer::with(features).await;
                server.room_for(room, phase, behaviour.clone());
                let pool = with_login(&server);
                let outcomes = send_together(&pool, 20).await;
                assert!(outcomes.iter().all(Result::is_ok), "{phase} {behaviour:?}: {outcomes:?}");
                let connections = server.connections().len();
                assert!(connections <= 5, "{connections}");
                // It has learned.
                let outcomes = send_together(&pool, 20).await;
                assert!(outcomes.iter().all(Result::is_ok), "{phase} {behaviour:?}: {outcomes:?}");
                assert!(server.connections().len() <= 5, "{}", server.connections().len());
                let mut numbers = numbers(&server.messages());
                numbers.sort_unstable();
                assert_eq!(numbers, (0..40).map(|at| at / 2).collect::<Vec<_>>());
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 40);
}

#[tokio::test]
async fn a_message_whose_connection_was_turned_away_has_used_no_place_in_the_rate() {
    let server = ScriptedServer::start().await;
    server.room_for(1, Phase::Greeting, Behaviour::reply_and_close(TOO_MANY));
    let url = format!("{}?rateLimit=5&rateDelta=600000", server.url());
    let outcomes = send_together(&pool_at(&server, &url, deadlines()), 5).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

#[tokio::test]
async fn the_only_connection_that_is_turned_away_is_a_failure_and_teaches_nothing() {
    let server = ScriptedServer::start().await;
    server.on(Phase::Greeting, Behaviour::reply_and_close(TOO_MANY));
    let pool = pool(&server);
    for outcome in send_together(&pool, 20).await {
        let error = outcome.expect_err("turned away");
        assert_eq!(error.phase(), Phase::Greeting);
        assert!(matches!(error.cause(), Cause::Refused(reply) if reply.code() == 421), "{error}");
    }
    server.behave();
    server.on_next(4, Phase::FinalDot, Behaviour::Delay(Duration::from_secs(1)));
    let outcomes = send_together(&pool, 20).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    assert!(server.most_connections() >= 5, "{}", server.most_connections());
}

#[tokio::test]
async fn when_the_only_connection_with_room_ends_another_takes_its_place() {
    let server = ScriptedServer::start().await;
    server.room_for(1, Phase::Greeting, Behaviour::Close);
    let pool = pool(&server);
    assert!(send_together(&pool, 10).await.iter().all(Result::is_ok));
    server.on_next(1, Phase::FinalDot, Behaviour::Close);
    let outcomes = send_together(&pool, 10).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 1, "{outcomes:?}");
}
