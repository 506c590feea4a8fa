//! A pool at work: at no moment does anybody wait who may go.

use crate::testing::{Behaviour, Features, ScriptedServer};

use super::*;

/// A small generator of numbers, so that a run can be repeated by its seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// Looks whether a worker is free, or could be, while a job waits that it may take.
fn nobody_waits_in_vain(pool: &Pool, seed: u64) {
    let mut guard = pool.shared.lists();
    let lists = &mut *guard;
    let now = Instant::now();
    let may_start = lists.live < lists.room.limit(now);
    if lists.idle.is_empty() && !(may_start && lists.waiting.len() > lists.finishing) {
        return;
    }
    lists.tick(now);
    let gate = lists.guard.gate(now);
    let forgotten =
        lists.waiting.iter().take(256).position(|job| gate.admits(job.domain()) && !job.is_abandoned());
    assert_eq!(forgotten, None, "seed {seed}");
}

async fn play(seed: u64) {
    let mut dice = Dice(seed);
    let extensions = if seed.is_multiple_of(2) { vec!["PIPELINING".into()] } else { vec!["HELP".into()] };
    let server = ScriptedServer::with(Features { extensions, ..Features::default() }).await;
    let short = Duration::from_millis(200);
    let idle = Duration::from_millis(40);
    let quick = Deadlines {
        greeting: short,
        command: short,
        final_dot: short,
        quit: short,
        idle,
        ..Deadlines::default()
    };
    let url = format!("{}?maxConnections={}&maxMessages=9", server.url(), 3 + dice.roll(4));
    let pool = Pool::start(Settings::parse(&url).expect("valid"), quick, TrustRoots::System).expect("usable");
    let mut callers = tokio::task::JoinSet::new();
    let mut handles = Vec::new();
    for _ in 0..250 {
        let to = format!("ada@{}.example", ["a", "a", "a", "b", "b", "c", "d"][dice.roll(7)]);
        let (pool_too, from) = (pool.clone(), "noreply@example.org".into());
        let text: Arc<[u8]> = b"hello".as_slice().into();
        handles.push(callers.spawn(async move { pool_too.send(Envelope { from, to }, text).await }));
        let phase = [Phase::Greeting, Phase::Mail, Phase::Rcpt, Phase::FinalDot][dice.roll(4)];
        match dice.roll(12) {
            0 => server.on_after(dice.roll(4), phase, Behaviour::Silence),
            1 => server.on_after(dice.roll(4), phase, Behaviour::Close),
            2 => server.on_after(dice.roll(4), phase, Behaviour::Delay(Duration::from_millis(30))),
            3 => server.on_after(dice.roll(4), phase, Behaviour::reply("451 4.3.0 later")),
            4 => handles[dice.roll(handles.len())].abort(),
            _ => {}
        }
        nobody_waits_in_vain(&pool, seed);
        for _ in 0..dice.roll(12) {
            tokio::task::yield_now().await;
            nobody_waits_in_vain(&pool, seed);
        }
    }
    server.behave();
    while let Some(one) = callers.join_next().await {
        assert!(one.is_ok() || one.is_err_and(|gone| gone.is_cancelled()));
        nobody_waits_in_vain(&pool, seed);
    }
    // A dialogue whose caller went away goes on to its end.
    pool.close(Duration::from_secs(20)).await;
    assert_eq!(pool.shared.lists().guard.at_work(), (0, 0), "seed {seed}");
}

#[tokio::test]
async fn nobody_waits_who_may_go_under_random_faults() {
    let mut runs = tokio::task::JoinSet::new();
    (0..12).for_each(|seed| drop(runs.spawn(play(seed))));
    while let Some(run) = runs.join_next().await {
        run.expect("no panic");
    }
}
