//! Clauses on what operators see and do, and on retention.
#![expect(clippy::expect_used, reason = "for tests")]
#![expect(missing_docs, reason = "the names say it")]

use std::sync::Arc;
use std::time::Duration;

use crate::letter::{LetterId, LetterState, Purpose};
use crate::outbox::budget::MailBudget;
use crate::outbox::stats::{LetterCount, OutboxGauges, OutboxStats};
use crate::relay_code::RelayCode;
use crate::rng::OsRng;
use crate::store::{
    ClaimOrder, LetterFilter, OutboxStatus, Outcome, Retention, Retried, Store, TokenStanding,
};
use crate::testing::contract::fixture::{ANN, DAY, Fixture, HOUR, MINUTE, later, parse, sent};

const EVERYTHING: LetterFilter = LetterFilter {
    state: None,
    purpose: None,
    name: None,
    from: None,
    until: None,
    code: None,
    before: None,
    limit: 100,
};

fn dead() -> Outcome {
    Outcome::Dead { error: "rcpt: 550".to_owned(), reply: Some("550 5.1.1 no such user".to_owned()) }
}

async fn retry(f: &Fixture, id: LetterId, replacement: LetterId) -> Retried {
    let seen = f.reload_if_there(id).await.map_or(LetterState::Waiting, |letter| letter.state);
    f.store.retry(id, seen, replacement, HOUR, f.now()).await.expect("a step")
}

pub async fn a_letter_that_was_sent_since_it_was_seen_is_not_sent_again(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    f.post(Purpose::Reset, ANN).await;
    let claimed = f.claim_one().await;
    assert!(f.settle(&claimed, sent()).await);
    let new = LetterId::new(f.now(), &OsRng).expect("randomness");
    let retried =
        f.store.retry(claimed.letter.id, LetterState::Waiting, new, HOUR, f.now()).await.expect("a step");
    assert_eq!(retried, Retried::ClosedMeanwhile);
    assert!(f.claim(10).await.is_empty());
}

pub async fn letters_are_listed_newest_first_and_by_page(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    for i in 0..5 {
        f.post(Purpose::Reset, &format!("a{i}@example.org")).await;
        f.clock.advance(Duration::from_millis(1));
    }
    f.post(Purpose::Confirm, ANN).await;
    let list = |filter| async { f.store.letters(filter).await.expect("a step") };
    let names = |letters: &[crate::letter::Letter]| -> Vec<String> {
        letters.iter().map(|l| l.name_key.as_str().split('@').next().unwrap_or_default().to_owned()).collect()
    };
    let page = list(LetterFilter { purpose: Some(Purpose::Reset), limit: 2, ..EVERYTHING }).await;
    assert_eq!(names(&page), ["a4", "a3"]);
    let next =
        list(LetterFilter { purpose: Some(Purpose::Reset), before: Some(page[1].id), ..EVERYTHING }).await;
    assert_eq!(names(&next), ["a2", "a1", "a0"]);
    assert!(list(LetterFilter { state: Some(LetterState::Sent), ..EVERYTHING }).await.is_empty());
    assert_eq!(list(LetterFilter { state: Some(LetterState::Waiting), ..EVERYTHING }).await.len(), 6);
}

pub async fn letters_are_found_by_name_time_and_code(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let begin = f.now();
    let ends = [
        ("a1@example.org", dead()),
        (
            "a2@example.org",
            Outcome::Dead { error: "the relay refused with 552 5.3.4".to_owned(), reply: None },
        ),
        ("a3@example.org", Outcome::Dead { error: "no token".to_owned(), reply: None }),
        ("a4@example.org", later(begin + DAY)),
        ("a5@example.org", Outcome::Dead { error: "x".to_owned(), reply: Some("5501 5.1.10".to_owned()) }),
    ];
    for (name, end) in ends {
        f.account(name).await;
        f.post(Purpose::Reset, name).await;
        // Identities of one millisecond have no order.
        f.clock.advance(Duration::from_millis(1));
        f.post(Purpose::Confirm, name).await;
        for letter in f.claim(2).await {
            let outcome =
                if letter.letter.purpose == Purpose::Reset { end.clone() } else { later(begin + DAY) };
            assert!(f.settle(&letter, outcome).await);
        }
        f.clock.advance(MINUTE);
    }
    let names = |filter: LetterFilter| async {
        let letters = f.store.letters(filter.clone()).await.expect("a step");
        let count = f.store.count_letters(filter).await.expect("a step");
        assert_eq!(count, letters.len() as u64);
        letters.iter().map(|l| l.name_key.as_str()[..2].to_owned()).collect::<Vec<_>>()
    };
    let all = LetterFilter { purpose: Some(Purpose::Reset), ..EVERYTHING };
    let code = |code: &str| Some(code.parse().expect("a code"));
    assert_eq!(names(LetterFilter { code: code("550"), ..all.clone() }).await, ["a1"]);
    assert_eq!(names(LetterFilter { code: code("5.1.1"), ..all.clone() }).await, ["a1"]);
    assert_eq!(names(LetterFilter { code: code("5.3.4"), ..all.clone() }).await, ["a2"]);
    assert_eq!(names(LetterFilter { code: code("552"), ..all.clone() }).await, ["a2"]);
    assert_eq!(names(LetterFilter { code: code("451"), ..EVERYTHING }).await.len(), 6);
    let waiting = Some(LetterState::Waiting);
    assert_eq!(names(LetterFilter { state: waiting, code: code("4.7.1"), ..all.clone() }).await, ["a4"]);

    let (from, until) = (Some(begin + MINUTE), Some(begin + MINUTE * 3));
    assert_eq!(
        names(LetterFilter { from, until, ..all.clone() }).await,
        ["a3", "a2"],
        "until is not included"
    );
    assert_eq!(names(LetterFilter { until: from, ..all.clone() }).await, ["a1"]);
    let dead = Some(LetterState::Dead);
    assert_eq!(names(LetterFilter { state: dead, from, ..all.clone() }).await, ["a5", "a3", "a2"]);
    assert_eq!(names(LetterFilter { state: dead, limit: 2, ..EVERYTHING }).await, ["a5", "a3"]);

    let a1 = Some(parse("a1@example.org").key().clone());
    assert_eq!(names(LetterFilter { name: a1.clone(), ..EVERYTHING }).await, ["a1", "a1"]);
    assert_eq!(names(LetterFilter { name: a1.clone(), state: dead, ..EVERYTHING }).await, ["a1"]);
    assert_eq!(names(LetterFilter { name: a1.clone(), from, ..EVERYTHING }).await, Vec::<String>::new());
    let newest =
        f.store.letters(LetterFilter { name: a1.clone(), limit: 1, ..EVERYTHING }).await.expect("a step");
    assert_eq!(newest[0].purpose, Purpose::Confirm, "the newest is the first");
    let before = Some(newest[0].id);
    let next = f.store.letters(LetterFilter { name: a1, before, ..EVERYTHING }).await.expect("a step");
    assert_eq!(next.iter().map(|l| l.purpose).collect::<Vec<_>>(), [Purpose::Reset]);
}

pub async fn the_stats_count_by_purpose_state_and_code(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let stats = || async { f.store.outbox_stats(f.now()).await.expect("a step") };
    assert_eq!(stats().await, OutboxStats::default());
    for name in ["a1", "a2", "a3", "a4", "a5", "a6", "a7"] {
        f.account(&format!("{name}@example.org")).await;
    }
    // Sent a day ago, and just now.
    f.mailed(Purpose::Reset, "a1@example.org").await;
    f.clock.advance(DAY);
    f.mailed(Purpose::Confirm, "a1@example.org").await;
    f.clock.advance(HOUR);
    f.mailed(Purpose::Reset, "a2@example.org").await;
    let said = |reply: Option<&str>| Outcome::Dead { error: "x".to_owned(), reply: reply.map(str::to_owned) };
    for (name, end) in [
        ("a3@example.org", said(Some("550 5.1.1 no"))),
        ("a4@example.org", said(Some("550 5.7.1 no"))),
        ("a5@example.org", said(None)),
        ("a6@example.org", later(f.now() + MINUTE)),
    ] {
        f.post(Purpose::Reset, name).await;
        let claimed = f.claim_one().await;
        assert!(f.settle(&claimed, end).await);
    }
    let oldest = f.now();
    f.post(Purpose::Reset, "a7@example.org").await;
    let held = f.claim_one().await;
    f.clock.advance(Duration::from_millis(1));
    f.post(Purpose::Confirm, "a7@example.org").await;
    let count = |purpose, state, count| LetterCount { purpose, state, count };
    let expected = OutboxStats {
        counts: vec![
            count(Purpose::Reset, LetterState::Waiting, 1),
            count(Purpose::Reset, LetterState::Claimed, 1),
            count(Purpose::Reset, LetterState::Sent, 2),
            count(Purpose::Reset, LetterState::Dead, 3),
            count(Purpose::Confirm, LetterState::Waiting, 1),
            count(Purpose::Confirm, LetterState::Sent, 1),
        ],
        oldest: Some(oldest),
        due: 1,
        put_off: 1,
        sent_last_hour: 1,
        sent_last_day: 2,
        dead_by_code: vec![(Some(RelayCode::Reply(550)), 2), (None, 1)],
    };
    assert_eq!(stats().await, expected);
    let gauges = OutboxGauges {
        waiting: [1, 1, 0],
        due: 1,
        put_off: 1,
        first_due: Some(f.now()),
        claimed: 1,
        sent_last_hour: 1,
    };
    assert_eq!(f.store.outbox_gauges(f.now()).await.expect("a step"), gauges);
    assert_eq!((expected.open(), expected.in_state(LetterState::Dead)), (3, 3));
    assert!(f.settle(&held, sent()).await);
    assert_eq!(stats().await.sent_last_hour, 2);
}

pub async fn a_letter_that_only_relays_hold_up_is_late_since_it_was_posted(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    let late_since = || async { f.store.outbox_gauges(f.now()).await.expect("a step").first_due };
    let given_back = || Outcome::Released { error: Some("connect: refused".to_owned()) };
    f.post(Purpose::Reset, ANN).await;
    let posted = f.now();
    let claimed = f.claim_one().await;
    assert_eq!(late_since().await, None, "it is on its way");
    f.clock.advance(MINUTE);
    assert!(f.settle(&claimed, given_back()).await);
    f.clock.advance(MINUTE);
    assert_eq!(late_since().await, Some(posted));
    let claimed = f.claim_one().await;
    assert_eq!(late_since().await, Some(posted), "also while it is tried again");
    let due = f.now() + MINUTE;
    assert!(f.settle(&claimed, later(due)).await);
    assert_eq!(late_since().await, Some(due), "its recipient's server puts it off");
    f.clock.advance(MINUTE * 2);
    for _ in 0..3 {
        let claimed = f.claim_one().await;
        assert_eq!(late_since().await, Some(due), "since it was due, while it is tried again");
        f.clock.advance(MINUTE);
        assert!(f.settle(&claimed, given_back()).await);
        assert_eq!(late_since().await, Some(due), "a relay's fault does not make it young");
    }
    let claimed = f.claim_by(ClaimOrder { budget: Some(MailBudget { per_hour: 1 }), ..f.order() }).await;
    assert!(f.settle(&claimed.letters[0], sent()).await);

    f.post(Purpose::Confirm, ANN).await;
    let asked = f.now();
    let held = f.claim_by(ClaimOrder { budget: Some(MailBudget { per_hour: 1 }), ..f.order() }).await;
    assert!(held.letters.is_empty(), "the budget holds it");
    f.clock.advance(MINUTE * 30);
    assert!(late_since().await.is_some_and(|since| since > asked), "since it is due");
}

pub async fn a_waiting_letter_is_hastened_and_a_closed_one_replaced(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    f.post(Purpose::Reset, ANN).await;
    let new = || LetterId::new(f.now(), &OsRng).expect("randomness");
    let claimed = f.claim_one().await;
    let id = claimed.letter.id;
    assert_eq!(retry(&f, id, new()).await, Retried::BeingDelivered);
    assert!(f.settle(&claimed, later(f.now() + MINUTE)).await);
    assert_eq!(retry(&f, id, new()).await, Retried::Hastened);
    let claimed = f.claim_one().await;
    assert!(f.settle(&claimed, dead()).await);
    f.clock.advance(HOUR * 3);
    let replacement = new();
    assert_eq!(retry(&f, id, replacement).await, Retried::Replaced);
    let fresh = f.claim_one().await.letter;
    assert_eq!((fresh.id, fresh.replaces, fresh.attempts), (replacement, Some(id), 0));
    assert_eq!(retry(&f, id, new()).await, Retried::AlreadyReplaced(replacement));
    assert_eq!(fresh.deadline, f.now() + HOUR);
    assert_eq!(f.reload(id).await.state, LetterState::Dead, "the old one stays as it was");
    f.clock.advance(HOUR);
    assert_eq!(retry(&f, id, new()).await, Retried::AlreadyReplaced(replacement), "whatever became of it");
    assert_eq!(retry(&f, new(), new()).await, Retried::Unknown);
}

pub async fn only_a_waiting_letter_is_dropped(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    f.post(Purpose::Reset, ANN).await;
    let claimed = f.claim_one().await;
    let id = claimed.letter.id;
    assert!(!f.store.drop_letter(id, f.now()).await.expect("a step"));
    assert!(f.settle(&claimed, later(f.now())).await);
    assert!(f.store.drop_letter(id, f.now()).await.expect("a step"));
    assert_eq!(f.reload(id).await.state, LetterState::Dropped);
    assert!(f.claim(10).await.is_empty());
}

pub async fn the_status_counts_what_is_open_and_dead(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    assert_eq!(f.store.outbox_status().await.expect("a step"), OutboxStatus::default());
    f.account(ANN).await;
    f.account("bob@example.org").await;
    let oldest = f.now();
    f.post(Purpose::Reset, ANN).await;
    f.clock.advance(MINUTE);
    f.post(Purpose::Reset, "bob@example.org").await;
    let both = f.claim(2).await;
    let status = OutboxStatus { open: 2, oldest: Some(oldest), dead: 0 };
    assert_eq!(f.store.outbox_status().await.expect("a step"), status);
    assert!(f.settle(&both[0], dead()).await);
    let status = OutboxStatus { open: 1, oldest: Some(f.now()), dead: 1 };
    assert_eq!(f.store.outbox_status().await.expect("a step"), status);
}

pub async fn dropped_letters_go_after_minutes_and_others_after_weeks(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    f.post(Purpose::Reset, "nobody@example.org").await;
    assert!(f.claim(10).await.is_empty());
    f.mailed(Purpose::Reset, ANN).await;
    let purge = || async { f.store.purge(Retention::default(), 100, f.now()).await.expect("a step") };
    let count = || async { f.store.letters(EVERYTHING).await.expect("a step").len() };
    assert_eq!((purge().await, count().await), (0, 2));
    f.clock.advance(MINUTE * 5);
    assert_eq!((purge().await, count().await), (1, 1));
    f.clock.advance(DAY * 30);
    assert_eq!(purge().await, 1, "the letter; its token expired later");
    f.clock.advance(HOUR);
    assert_eq!((purge().await, count().await), (1, 0));
    f.post(Purpose::Reset, ANN).await;
    f.clock.advance(DAY * 400);
    purge().await;
    assert_eq!(count().await, 1, "an open letter is never purged");
}

pub async fn a_used_token_stays_while_its_letter_is_open(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    f.post(Purpose::Reset, ANN).await;
    let claimed = f.claim_one().await;
    f.arm(&claimed).await;
    f.clock.advance(DAY * 60);
    let token = crate::testing::contract::fixture::token_of(claimed.letter.id);
    f.store.purge(Retention::default(), 100, f.now()).await.expect("a step");
    let standing = f.store.token(&token, Purpose::Reset, f.now()).await.expect("a step");
    assert_eq!(standing, TokenStanding::Spent, "expired, but still known");
}
