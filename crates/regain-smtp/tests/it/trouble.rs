//! Domains at which the relay hangs, and mail to all others meanwhile.

use regain_smtp::testing::Behaviour;
use regain_smtp::{Cause, Phase};
use tokio::task::JoinHandle;

use super::*;

/// On a machine that is slow and busy with others as well.
const SOON: Duration = Duration::from_secs(60);

type Sending = JoinHandle<Result<Accepted, SendError>>;

async fn send_to(pool: Pool, domain: &'static str) -> Result<Accepted, SendError> {
    pool.send(Envelope { to: format!("ada@{domain}"), ..envelope() }, message("hello")).await
}

/// Hands over so many messages and lets them come to the pool, in this order.
async fn begin(pool: &Pool, domain: &'static str, count: usize) -> Vec<Sending> {
    let sending = (0..count).map(|_| tokio::spawn(send_to(pool.clone(), domain))).collect();
    tokio::task::yield_now().await;
    sending
}

/// Fails where a message has to wait for one that hangs.
async fn is_accepted_at_once(pool: &Pool, domain: &'static str) {
    let outcome = tokio::time::timeout(SOON, send_to(pool.clone(), domain)).await;
    outcome.expect("nothing holds it up").expect("accepted");
}

/// How many messages to this domain have come to the server in whole.
fn received(server: &ScriptedServer, domain: &str) -> usize {
    server.received().iter().filter(|one| one.to == [format!("ada@{domain}")]).count()
}

/// Lets time pass for deadlines and rules, not for the sockets.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// Deadlines that wake nobody up.
fn patient() -> Deadlines {
    let hour = Duration::from_secs(3600);
    Deadlines { command: hour, final_dot: hour, idle: hour, ..deadlines() }
}

#[tokio::test]
async fn a_domain_that_hangs_leaves_a_connection_for_all_others() {
    for features in [Features::default(), plain_features()] {
        for phase in [Phase::Rcpt, Phase::FinalDot] {
            let server = ScriptedServer::with(features.clone()).await;
            server.on_next(4, phase, Behaviour::Silence);
            let pool = pool(&server);
            let _hanging = begin(&pool, "slow.example", 5).await;
            server.wait_for_phase(phase, 4).await;
            // What was answered to others does not let the fifth in.
            for _ in 0..5 {
                is_accepted_at_once(&pool, "sound.example").await;
                is_accepted_at_once(&pool, "other.example").await;
            }
            assert_eq!((server.messages().len(), received(&server, "sound.example")), (10, 5));
            assert_eq!(server.connections().len(), 5);
        }
    }
}

#[tokio::test]
async fn domains_that_hung_all_at_once_have_half_of_the_connections_from_then_on() {
    let domains = ["a.example", "b.example", "c.example", "d.example", "e.example"];
    let server = ScriptedServer::start().await;
    server.on_next(5, Phase::FinalDot, Behaviour::Silence);
    let pool = pool(&server);
    let mut hanging = Vec::new();
    for domain in domains {
        hanging.extend(begin(&pool, domain, 1).await);
    }
    server.wait_for_phase(Phase::FinalDot, 5).await;
    // Nobody could know, so this one waits until they time out.
    let waiting = begin(&pool, "sound.example", 1).await;
    pass(deadlines().final_dot).await;
    for one in waiting {
        one.await.expect("no panic").expect("accepted");
    }
    for one in hanging {
        assert_eq!(one.await.expect("no panic").expect_err("silence").cause(), &Cause::TimedOut);
    }

    server.on_next(2, Phase::FinalDot, Behaviour::Silence);
    let mut again = Vec::new();
    for domain in domains {
        again.extend(begin(&pool, domain, 1).await);
    }
    server.wait_for_phase(Phase::FinalDot, 5 + 1 + 2).await;
    for _ in 0..3 {
        is_accepted_at_once(&pool, "sound.example").await;
    }
    assert_eq!(domains.map(|domain| received(&server, domain)), [2, 2, 1, 1, 1]);
    // They go as soon as half of the connections are free.
    pass(deadlines().final_dot).await;
    for one in again.split_off(2) {
        one.await.expect("no panic").expect("accepted");
    }
    for one in again {
        assert_eq!(one.await.expect("no panic").expect_err("silence").cause(), &Cause::TimedOut);
    }
}

#[tokio::test]
async fn a_domain_is_out_of_trouble_after_ten_minutes_and_who_waits_for_that_is_not_forgotten() {
    let server = ScriptedServer::start().await;
    server.on(Phase::FinalDot, Behaviour::Silence);
    let pool = pool_at(&server, &server.url(), patient());
    let _hanging = begin(&pool, "slow.example", 2).await;
    server.wait_for_phase(Phase::FinalDot, 2).await;
    pass(Duration::from_secs(11)).await;
    let _waiting = begin(&pool, "slow.example", 4).await;
    server.behave();
    is_accepted_at_once(&pool, "sound.example").await;
    assert_eq!(received(&server, "slow.example"), 2);
    server.on(Phase::FinalDot, Behaviour::Silence);
    pass(Duration::from_secs(600)).await;
    server.wait_for_phase(Phase::FinalDot, 3 + 2).await;
    server.behave();
    is_accepted_at_once(&pool, "sound.example").await;
    assert_eq!(received(&server, "slow.example"), 4, "the last connection stays free");
}

#[tokio::test]
async fn when_mail_flows_again_those_that_waited_go_and_all_connections_are_used() {
    for features in [Features::default(), plain_features()] {
        let server = ScriptedServer::with(features).await;
        server.on_next(4, Phase::FinalDot, Behaviour::Delay(Duration::from_secs(1)));
        let pool = pool(&server);
        let sending = begin(&pool, "example.org", 30).await;
        for one in sending {
            one.await.expect("no panic").expect("accepted");
        }
        assert_eq!(server.most_connections(), 5);
    }
}

#[tokio::test]
async fn a_pool_of_two_connections_uses_both_for_whoever_comes() {
    let server = ScriptedServer::start().await;
    server.on_next(3, Phase::FinalDot, Behaviour::Silence);
    let quick = Deadlines { final_dot: Duration::from_secs(1), ..deadlines() };
    let pool = pool_at(&server, &format!("{}?maxConnections=2", server.url()), quick);
    for waits_for in [2, 3] {
        let hanging = begin(&pool, "slow.example", waits_for - server.times(Phase::FinalDot).len()).await;
        server.wait_for_phase(Phase::FinalDot, waits_for).await;
        for one in hanging {
            assert_eq!(one.await.expect("no panic").expect_err("silence").cause(), &Cause::TimedOut);
        }
    }
    server.on_next(2, Phase::FinalDot, Behaviour::Silence);
    let _both = begin(&pool, "slow.example", 2).await;
    server.wait_for_phase(Phase::FinalDot, 3 + 2).await;
}

/// A pool that has learned that its relay has room for one connection, and whose one message hangs since a while.
async fn hanging_in_the_only_room(server: &ScriptedServer) -> (Pool, Vec<Sending>) {
    server.room_for(1, Phase::Greeting, Behaviour::reply_and_close("421 4.7.0 too many connections"));
    let pool = pool_at(server, &server.url(), patient());
    assert!(send_together(&pool, 5).await.iter().all(Result::is_ok));
    server.on_next(1, Phase::FinalDot, Behaviour::Silence);
    let begun = server.times(Phase::FinalDot).len();
    let hanging = begin(&pool, "slow.example", 1).await;
    server.wait_for_phase(Phase::FinalDot, begun + 1).await;
    (pool, hanging)
}

#[tokio::test]
async fn where_all_connections_that_there_is_room_for_hang_the_relay_is_asked_for_one_more() {
    let server = ScriptedServer::start().await;
    let (pool, _hanging) = hanging_in_the_only_room(&server).await;
    let before = server.connections().len();
    // Too soon: it may just be slow.
    let waiting = begin(&pool, "sound.example", 1).await;
    tokio::task::yield_now().await;
    assert_eq!(server.connections().len(), before);
    server.behave();
    pass(Duration::from_secs(11)).await;
    for one in waiting {
        let outcome = tokio::time::timeout(SOON, one).await;
        outcome.expect("nothing holds it up").expect("no panic").expect("accepted");
    }
    // The room that was learned is not what there is.
    server.on_next(2, Phase::FinalDot, Behaviour::Silence);
    let _more = begin(&pool, "slow.example", 2).await;
    is_accepted_at_once(&pool, "sound.example").await;
}

#[tokio::test]
async fn where_the_only_connection_that_there_is_room_for_hangs_the_next_message_hears_of_it() {
    let server = ScriptedServer::start().await;
    let (pool, _hanging) = hanging_in_the_only_room(&server).await;
    pass(Duration::from_secs(11)).await;
    let before = server.connections().len();
    for tried in 1..4 {
        let outcome = tokio::time::timeout(SOON, send_to(pool.clone(), "sound.example"));
        let error = outcome.await.expect("nothing holds it up").expect_err("no room");
        assert!(matches!(error.cause(), Cause::Refused(reply) if reply.code() == 421), "{error}");
        assert_eq!(server.connections().len(), before + tried, "one is asked for at a time");
    }
}

#[tokio::test]
async fn what_would_wait_for_a_domain_that_hangs_is_held_back_at_once() {
    let within = async |pool: &Pool, domain: &str| {
        let to = Envelope { to: format!("ada@{domain}"), ..envelope() };
        pool.send_within(to, message("hello"), Duration::from_secs(600)).await
    };
    let server = ScriptedServer::start().await;
    server.on_next(2, Phase::FinalDot, Behaviour::Silence);
    let pool = pool_at(&server, &server.url(), patient());
    let hanging = begin(&pool, "slow.example", 2).await;
    server.wait_for_phase(Phase::FinalDot, 2).await;
    within(&pool, "slow.example").await.expect("nobody knows yet, and there are connections for it");
    pass(Duration::from_secs(11)).await;
    for _ in 0..3 {
        let error = within(&pool, "slow.example").await.expect_err("held back");
        assert_eq!((error.phase(), error.cause()), (Phase::Connect, &Cause::HeldBack));
        assert!(!error.permanent() && !error.may_have_been_accepted());
        within(&pool, "sound.example").await.expect("accepted");
    }
    assert_eq!((received(&server, "slow.example"), received(&server, "sound.example")), (3, 3));
    drop(hanging);
}
