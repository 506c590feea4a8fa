//! Messages that are taken back when they have not begun in time.

use regain_smtp::testing::Behaviour;
use regain_smtp::{Cause, Phase};

use super::*;

const SHORT: Duration = Duration::from_millis(700);
const LONG: Duration = Duration::from_secs(600);

async fn within(pool: &Pool, number: usize, begin_within: Duration) -> Result<Accepted, SendError> {
    let to = format!("{number}@example.org");
    let text = format!("To: {to}\r\n\r\nDear {number}\r\n");
    pool.send_within(Envelope { to, ..envelope() }, message(&text), begin_within).await
}

fn is_not_begun(outcome: &Result<Accepted, SendError>) -> bool {
    outcome.as_ref().is_err_and(|error| {
        assert!(!error.permanent() && !error.may_have_been_accepted());
        (error.phase(), error.cause(), error.code()) == (Phase::Connect, &Cause::NotBegun, "ECONNECTION")
    })
}

async fn all_within(pool: &Pool, count: usize, begin_within: Duration) -> Vec<Result<Accepted, SendError>> {
    let sending: Vec<_> = (0..count)
        .map(|number| {
            let pool = pool.clone();
            tokio::spawn(async move { within(&pool, number, begin_within).await })
        })
        .collect();
    let mut outcomes = Vec::new();
    for one in sending {
        outcomes.push(one.await.expect("no panic"));
    }
    outcomes
}

/// Whatever was told not to have begun, nothing of it was said in any connection.
fn said_of(server: &ScriptedServer, number: usize) -> bool {
    server.connections().iter().any(|one| one.text().contains(&format!("<{number}@example.org>")))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_the_rate_is_taken_back_in_time_and_its_place_is_there_for_another() {
    for features in [Features::default(), plain_features()] {
        let server = ScriptedServer::with(features).await;
        let delta = Duration::from_secs(6);
        let url = format!("{}?rateLimit=1&rateDelta=6000", server.url());
        let pool = pool_at(&server, &url, deadlines());
        let begun = std::time::Instant::now();
        let outcomes = all_within(&pool, 12, SHORT).await;
        assert!(begun.elapsed() >= SHORT);
        let accepted: Vec<_> = (0..12).filter(|&number| outcomes[number].is_ok()).collect();
        assert_eq!(accepted.len(), 1, "{outcomes:?}");
        for (number, outcome) in outcomes.iter().enumerate() {
            assert!(outcome.is_ok() || is_not_begun(outcome), "{outcome:?}");
            assert_eq!(said_of(&server, number), outcome.is_ok());
        }
        // The next place in the rate goes to who comes now, and none of the others leaves late.
        within(&pool, 12, LONG).await.expect("accepted");
        let times = server.times(Phase::Mail);
        assert_eq!(times.len(), 2);
        assert!(times[1] - times[0] >= delta && times[1] - times[0] < 2 * delta, "{times:?}");
        assert_eq!(numbers(&server.messages()), [accepted[0], 12]);
    }
}

#[tokio::test]
async fn what_waits_for_a_busy_connection_is_taken_back_and_what_has_begun_is_not() {
    for features in [Features::default(), plain_features()] {
        let server = ScriptedServer::with(features).await;
        server.on_next(1, Phase::FinalDot, Behaviour::Delay(Duration::from_secs(3)));
        let pool = narrow(&server, deadlines());
        let slow = tokio::spawn({
            let pool = pool.clone();
            async move { within(&pool, 0, SHORT).await }
        });
        server.wait_for_phase(Phase::FinalDot, 1).await;
        let late = within(&pool, 1, SHORT).await;
        assert!(is_not_begun(&late), "{late:?}");
        slow.await.expect("no panic").expect("its MAIL had left in time");
        within(&pool, 2, SHORT).await.expect("accepted");
        assert_eq!(numbers(&server.messages()), [0, 2]);
        assert!(!said_of(&server, 1));
    }
}

#[tokio::test]
async fn a_message_whose_envelope_went_ahead_has_begun_until_it_has_to_begin_anew() {
    let server = ScriptedServer::start().await;
    server.on_next(1, Phase::Greeting, Behaviour::Delay(Duration::from_millis(100)));
    // Longer than anybody may take to begin, and shorter than anybody waits behind a dot.
    server.on_next(1, Phase::FinalDot, Behaviour::Delay(Duration::from_millis(1300)));
    let outcomes = all_within(&narrow(&server, deadlines()), 2, SHORT).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    // The dot before it takes longer than anybody waits behind one: it goes back into the queue.
    server.on_next(1, Phase::FinalDot, Behaviour::Silence);
    let pool = narrow(&server, deadlines());
    let begun = std::time::Instant::now();
    let first = tokio::spawn({
        let pool = pool.clone();
        async move { within(&pool, 2, SHORT).await }
    });
    let second = tokio::spawn(async move { within(&pool, 3, SHORT).await });
    let second = second.await.expect("no panic");
    assert!(is_not_begun(&second), "{second:?}");
    assert!(begun.elapsed() >= Duration::from_secs(2));
    first.abort();
    assert_eq!(server.messages().len(), 2);
}

#[tokio::test]
async fn the_message_that_a_connection_is_opened_for_has_begun_and_those_behind_it_have_not() {
    let server = ScriptedServer::start().await;
    server.on_next(1, Phase::Greeting, Behaviour::Delay(Duration::from_secs(3)));
    // Two messages in all have a place in the rate, and neither is one that was taken back.
    let url = format!("{}?maxConnections=1&rateLimit=2&rateDelta=600000", server.url());
    let pool = pool_at(&server, &url, deadlines());
    let outcomes = all_within(&pool, 3, SHORT).await;
    assert_eq!(outcomes.iter().filter(|outcome| is_not_begun(outcome)).count(), 2, "{outcomes:?}");
    within(&pool, 3, LONG).await.expect("accepted");
    assert_eq!(server.messages().len(), 2);
    assert_eq!(server.connections().len(), 1);
    assert_eq!((0..3).filter(|number| said_of(&server, *number)).count(), 1);
}

#[tokio::test]
async fn a_connection_that_fails_after_the_time_is_told_all_the_same() {
    let server = ScriptedServer::start().await;
    server.on_next(1, Phase::Greeting, Behaviour::Silence);
    let pool = pool_at(&server, &server.url(), hasty());
    let error = within(&pool, 0, Duration::from_millis(50)).await.expect_err("it never greets");
    assert_eq!((error.phase(), error.cause()), (Phase::Greeting, &Cause::TimedOut));
}

#[tokio::test]
async fn a_connection_that_fails_within_the_time_is_told() {
    let server = ScriptedServer::start().await;
    server.on_next(1, Phase::Greeting, Behaviour::reply_and_close("554 5.7.1 blocked"));
    let pool = pool(&server);
    assert_eq!(within(&pool, 0, LONG).await.expect_err("refused").phase(), Phase::Greeting);
    within(&pool, 2, Duration::MAX).await.expect("accepted");
    assert_eq!(numbers(&server.messages()), [2]);
}
