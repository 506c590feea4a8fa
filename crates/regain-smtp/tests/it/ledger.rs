//! What the pool says of each message is compared with what the server took, over many random faults.

use std::collections::HashMap;

use regain_smtp::Phase;
use regain_smtp::testing::{Behaviour, ServerTls};

use super::*;

/// A small generator of numbers, so that a run can be repeated by its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    fn phase(&mut self) -> Phase {
        [Phase::Greeting, Phase::Ehlo, Phase::Mail, Phase::Rcpt, Phase::Data, Phase::FinalDot][self.roll(6)]
    }

    fn behaviour(&mut self) -> Behaviour {
        match self.roll(9) {
            0 => Behaviour::Close,
            1 => Behaviour::Reset,
            2 => Behaviour::Silence,
            3 => Behaviour::Forget,
            4 => Behaviour::Delay(Duration::from_millis(30)),
            5 => Behaviour::reply_and_close("421 4.3.2 closing"),
            6 => Behaviour::reply("451 4.3.0 later"),
            7 => Behaviour::reply("550 5.7.1 never"),
            _ => Behaviour::reply("503 5.5.1 bad sequence"),
        }
    }
}

const MESSAGES: usize = 300;

async fn play(seed: u64, features: Features) {
    let server = Arc::new(ScriptedServer::with(features).await);
    let short = Duration::from_millis(300);
    let quick = Deadlines { greeting: short, command: short, final_dot: short, quit: short, ..deadlines() };
    let pool = pool_at(&server, &format!("{}?maxConnections=3&maxMessages=20", server.url()), quick);
    let mut dice = Dice(seed);
    let mut callers = Vec::new();
    for number in 0..MESSAGES {
        callers.push(tokio::spawn(send_numbered(pool.clone(), number)));
        match dice.roll(8) {
            0..3 => server.on_after(dice.roll(4), dice.phase(), dice.behaviour()),
            // Lets the others run a while, so that callers go away and faults strike at every point.
            3 => {
                for _ in 0..dice.roll(30) {
                    tokio::task::yield_now().await;
                }
                callers[dice.roll(number + 1)].abort();
            }
            4..6 => tokio::task::yield_now().await,
            _ => {}
        }
    }
    let mut outcomes = HashMap::new();
    for (number, caller) in callers.into_iter().enumerate() {
        match caller.await {
            Ok(outcome) => drop(outcomes.insert(number, outcome)),
            Err(gone) => assert!(gone.is_cancelled(), "{gone}"),
        }
    }
    pool.close(Duration::from_secs(20)).await;

    let mut copies = [0; MESSAGES];
    numbers(&server.messages()).into_iter().for_each(|number| copies[number] += 1);
    let mut whole = [0; MESSAGES];
    let addressed: Vec<_> = server.received().into_iter().filter(|one| !one.to.is_empty()).collect();
    numbers(&addressed).into_iter().for_each(|number| whole[number] += 1);
    for number in 0..MESSAGES {
        assert!(whole[number] <= 1, "seed {seed}: {number} left twice by itself");
        match outcomes.get(&number) {
            Some(Ok(_)) => assert_eq!(copies[number], 1, "seed {seed}: {number} was accepted"),
            Some(Err(error)) if error.may_have_been_accepted() => {}
            Some(Err(error)) => {
                assert_eq!(copies[number], 0, "seed {seed}: {number} failed with {error}");
                let refused_at_the_dot = error.phase() == Phase::FinalDot;
                assert!(
                    refused_at_the_dot || whole[number] == 0,
                    "seed {seed}: {number} failed with {error}"
                );
            }
            None => {}
        }
    }
    let taken = copies.iter().sum::<i32>();
    assert!(taken > 50, "seed {seed}: the faults left only {taken}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_pool_says_of_a_message_is_true_under_random_faults() {
    let mut runs = tokio::task::JoinSet::new();
    for seed in 0..12 {
        let features = match seed % 3 {
            0 => Features::default(),
            1 => plain_features(),
            _ => Features::tls(ServerTls::StartTls),
        };
        runs.spawn(play(seed, features));
    }
    while let Some(run) = runs.join_next().await {
        run.expect("no panic");
    }
}

#[tokio::test]
async fn a_caller_that_goes_away_at_any_point_harms_no_other_message() {
    let phases = [Phase::Greeting, Phase::Ehlo, Phase::Mail, Phase::Rcpt, Phase::Data, Phase::FinalDot];
    for features in [Features::default(), plain_features()] {
        for (phase, others) in phases.into_iter().flat_map(|phase| [(phase, 0), (phase, 4)]) {
            let server = ScriptedServer::with(features.clone()).await;
            server.on_next(1, phase, Behaviour::Delay(Duration::from_millis(100)));
            let pool = narrow(&server, deadlines());
            let leaving = tokio::spawn(send_numbered(pool.clone(), 99));
            let staying = tokio::spawn({
                let pool = pool.clone();
                async move { send_together(&pool, others).await }
            });
            server.wait_for_phase(phase, 1).await;
            leaving.abort();
            assert!(leaving.await.expect_err("aborted").is_cancelled());
            assert!(staying.await.expect("no panic").iter().all(|outcome| outcome.is_ok()));
            send_numbered(pool, 98).await.expect("accepted");
            let expected: Vec<usize> = [99].into_iter().chain(0..others).chain([98]).collect();
            assert_eq!(numbers(&server.messages()), expected, "{phase}");
            assert_eq!(server.connections().len(), 1, "the connection is as good as before ({phase})");
        }
    }
}
