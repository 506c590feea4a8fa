//! The rules, step by step and over random runs against a second, plainer statement of them.

use std::time::Duration;

use proptest::prelude::*;

use super::super::guard::End;
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// Lists with callers that wait, and a clock of their own.
struct Play {
    lists: Lists,
    outcomes: Vec<Outcome>,
    now: Instant,
}

impl Play {
    fn new(connections: usize) -> Self {
        Self { lists: Lists::new(connections), outcomes: Vec::new(), now: Instant::now() }
    }

    fn submit(&mut self, domain: &str) {
        let (job, outcome) = message_to(domain);
        self.lists.waiting.push_back(job);
        self.outcomes.push(outcome);
    }

    /// Puts a message to work that must be the next one, and says MAIL.
    fn works(&mut self, domain: &str) -> Work {
        let (job, mut work) = self.lists.take(self.now).expect("one that may go");
        assert!(is_to(&job, domain));
        self.lists.guard.begin(&mut work, self.now);
        std::mem::forget(job);
        work
    }

    fn submitted_works(&mut self, domain: &str) -> Work {
        self.submit(domain);
        self.works(domain)
    }

    fn nobody_may_go(&mut self) -> bool {
        self.lists.take(self.now).is_none()
    }

    fn end(&mut self, work: Work, end: End) {
        self.lists.guard.end(work, end, self.now);
    }

    fn is_in_trouble(&mut self, domain: &str) {
        let work = self.submitted_works(domain);
        self.end(work, End::TimedOut);
    }
}

#[test]
fn the_last_connection_is_for_a_domain_that_nobody_works_for() {
    let mut play = Play::new(5);
    let _hanging: Vec<_> = (0..4).map(|_| play.submitted_works("slow.example")).collect();
    play.submit("slow.example");
    assert!(play.nobody_may_go());
    for _ in 0..3 {
        // An answer to somebody else does not let the slow domain in.
        let other = play.submitted_works("other.example");
        play.end(other, End::Answered);
        assert!(play.nobody_may_go());
    }
}

#[test]
fn a_domain_to_which_mail_flows_may_have_them_all() {
    let mut play = Play::new(5);
    let mut works: Vec<_> = (0..4).map(|_| play.submitted_works("example.org")).collect();
    (0..5).for_each(|_| play.submit("example.org"));
    assert!(play.nobody_may_go());
    play.now += 3 * MS;
    play.end(works.remove(0), End::Answered);
    (0..2).for_each(|_| works.push(play.works("example.org")));
    assert_eq!(works.len(), 5);
    play.now += 250 * MS;
    play.end(works.remove(0), End::Otherwise);
    works.push(play.works("example.org"));
    play.now += MS;
    play.end(works.remove(0), End::Otherwise);
    assert!(play.nobody_may_go(), "no answer for longer than a quarter of a second");
    // Where messages take longer, answers count for longer.
    play.now += 2 * SECOND;
    play.end(works.remove(0), End::Answered);
    works.push(play.works("example.org"));
    play.now += 2 * SECOND;
    works.push(play.works("example.org"));
}

#[test]
fn domains_in_trouble_have_half_of_the_connections_and_ten_minutes() {
    let mut play = Play::new(5);
    play.is_in_trouble("slow.example");
    // This one drags, and is still at work.
    let dragging = play.submitted_works("drag.example");
    play.now += 10 * SECOND + MS;
    let slow = play.submitted_works("slow.example");
    play.submit("slow.example");
    play.submit("drag.example");
    assert!(play.nobody_may_go());
    let other = play.submitted_works("other.example");
    play.end(slow, End::Otherwise);
    let slow = play.works("slow.example");
    assert!(play.nobody_may_go());
    for work in [slow, other, dragging] {
        play.end(work, End::Answered);
    }
    let drag = play.works("drag.example");
    play.end(drag, End::Answered);

    play.now += 600 * SECOND - MS;
    for domain in ["slow.example", "drag.example"].repeat(2) {
        play.submit(domain);
    }
    let slow = play.works("slow.example");
    play.end(slow, End::Answered);
    let half = [play.works("drag.example"), play.works("slow.example")];
    // Only one of the two dragged in the last ten minutes.
    let more = play.works("drag.example");
    half.into_iter().chain([more]).for_each(|work| play.end(work, End::Answered));
    play.now += MS;
    let _most: Vec<_> = (0..4).map(|_| play.submitted_works("drag.example")).collect();
}

#[test]
fn of_domains_in_trouble_those_that_dragged_last_are_remembered() {
    let mut play = Play::new(4);
    for number in 0..257 {
        play.is_in_trouble(&format!("{number}.example"));
        play.now += MS;
    }
    let _half: Vec<_> = (1..3).map(|n| play.submitted_works(&format!("{n}.example"))).collect();
    play.submit("256.example");
    assert!(play.nobody_may_go());
    play.submitted_works("0.example");
}

#[test]
fn a_quick_answer_ends_the_trouble_of_its_domain() {
    let mut play = Play::new(5);
    play.is_in_trouble("slow.example");
    let work = play.submitted_works("slow.example");
    play.now += 3 * SECOND;
    play.end(work, End::Answered);
    let _half: Vec<_> = (0..2).map(|_| play.submitted_works("slow.example")).collect();
    play.submit("slow.example");
    assert!(play.nobody_may_go(), "three seconds are not quick");
    play.lists.waiting.clear();
    let mut play = Play::new(5);
    play.is_in_trouble("slow.example");
    let work = play.submitted_works("slow.example");
    play.end(work, End::Answered);
    (0..4).for_each(|_| drop(play.submitted_works("slow.example")));
}

#[test]
fn with_two_connections_there_is_no_rule() {
    for connections in [1, 2] {
        let mut play = Play::new(connections);
        play.is_in_trouble("slow.example");
        (0..connections).for_each(|_| drop(play.submitted_works("slow.example")));
    }
}

#[test]
fn no_envelope_goes_ahead_behind_trouble_or_to_it() {
    let mut play = Play::new(4);
    play.is_in_trouble("slow.example");
    let slow = play.submitted_works("slow.example");
    let sound = play.submitted_works("sound.example");
    play.submit("slow.example");
    play.submit("other.example");
    assert!(play.lists.take_ahead(&slow, play.now).is_none());
    let (message, other) = play.lists.take_ahead(&sound, play.now).expect("one that is not in trouble");
    assert!(message.domain() == &Domain::of("other.example"));
    assert!(play.lists.take_ahead(&sound, play.now).is_none());
    assert_eq!(play.lists.waiting.len(), 1);
    play.end(sound, End::Answered);
    play.end(other, End::Otherwise);
}

#[test]
fn an_envelope_ahead_keeps_the_rule_of_the_last_connection() {
    let mut play = Play::new(3);
    let slow: Vec<_> = (0..2).map(|_| play.submitted_works("slow.example")).collect();
    let sound = play.submitted_works("sound.example");
    play.submit("slow.example");
    assert!(play.lists.take_ahead(&sound, play.now).is_none(), "it would have the last one after this");
    let (_message, _) = play.lists.take_ahead(&slow[0], play.now).expect("it goes when that is answered");
    play.submit("sound.example");
    assert!(play.lists.take_ahead(&sound, play.now).is_some());
}

#[test]
fn no_more_than_256_are_looked_at() {
    let mut play = Play::new(5);
    play.is_in_trouble("slow.example");
    let _half: Vec<_> = (0..2).map(|_| play.submitted_works("slow.example")).collect();
    (0..255).for_each(|_| play.submit("slow.example"));
    play.submit("other.example");
    play.submit("slow.example");
    play.submit("another.example");
    play.works("other.example");
    assert!(play.nobody_may_go());
    // Those whose callers have gone do not count.
    drop(play.outcomes.drain(3..4));
    play.works("another.example");
}

/// What a second look at a run remembers of a message at work.
struct Seen {
    domain: usize,
    begun: Instant,
    has_dragged: bool,
    work: Work,
}

const DOMAINS: [&str; 4] = ["a.example", "b.example", "c.example", "d.example"];

/// The rules in plain words: may a message to this domain take a connection that is free?
fn may_go(
    connections: usize,
    domain: usize,
    at_work: &[Seen],
    flows_until: &[Option<Instant>],
    dragged: &[Option<Instant>],
    now: Instant,
) -> bool {
    let troubled = |domain: usize| dragged[domain].is_some_and(|at| now < at + 600 * SECOND);
    let to_troubled = at_work.iter().filter(|one| troubled(one.domain)).count();
    if troubled(domain) && to_troubled >= connections / 2 {
        return false;
    }
    let is_last = at_work.len() == connections - 1;
    let flows = flows_until[domain].is_some_and(|until| now <= until);
    !is_last || flows || at_work.iter().all(|one| one.domain != domain)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_first_that_may_go_goes_and_nobody_else(
        connections in 3usize..7,
        steps in prop::collection::vec((0u8..8, 0usize..4, 0usize..100), 1..150),
    ) {
        let mut play = Play::new(connections);
        let mut at_work: Vec<Seen> = Vec::new();
        let mut waiting: Vec<usize> = Vec::new();
        let (mut flows_until, mut dragged) = ([None; 4], [None; 4]);
        for (kind, domain, number) in steps {
            match kind {
                0..4 => {
                    play.submit(DOMAINS[domain]);
                    waiting.push(domain);
                }
                4..7 if !at_work.is_empty() => {
                    let Seen { domain, begun, work, .. } = at_work.remove(number % at_work.len());
                    let took = play.now - begun;
                    let end = [End::Answered, End::Answered, End::TimedOut, End::Otherwise][number % 4];
                    if end == End::TimedOut || took > 10 * SECOND {
                        dragged[domain] = Some(play.now);
                    } else if end == End::Answered && took <= 2 * SECOND {
                        dragged[domain] = None;
                    }
                    if end == End::Answered {
                        flows_until[domain] = Some(play.now + took.clamp(250 * MS, 2 * SECOND));
                    }
                    play.end(work, end);
                }
                _ => play.now += [20 * MS, 300 * MS, 3 * SECOND, 11 * SECOND, 300 * SECOND][number % 5],
            }
            // A message that drags is known by it once, when it is first looked at.
            let now = play.now;
            for one in at_work.iter_mut().filter(|one| one.begun + 10 * SECOND < now) {
                if !std::mem::replace(&mut one.has_dragged, true) {
                    dragged[one.domain] = Some(now);
                }
            }
            play.lists.guard.tick(now);
            while at_work.len() < connections {
                let expected = waiting
                    .iter()
                    .position(|&domain| may_go(connections, domain, &at_work, &flows_until, &dragged, now));
                let taken = play.lists.take(now);
                prop_assert_eq!(taken.is_some(), expected.is_some());
                let (Some((job, mut work)), Some(at)) = (taken, expected) else { break };
                let domain = waiting.remove(at);
                prop_assert!(is_to(&job, DOMAINS[domain]));
                play.lists.guard.begin(&mut work, now);
                at_work.push(Seen { domain, begun: now, has_dragged: false, work });
            }
            if at_work.is_empty() {
                prop_assert!(waiting.is_empty(), "somebody waits although nobody is at work");
            }
        }
    }
}
