//! Clauses on what operators see and do, and on retention.
#![expect(clippy::expect_used, reason = "for tests")]
#![expect(missing_docs, reason = "the names say it")]

use std::sync::Arc;
use std::time::Duration;

use crate::letter::{LetterId, LetterState, Purpose};
use crate::rng::OsRng;
use crate::store::{LetterFilter, OutboxStatus, Outcome, Retention, Retried, Store, TokenStanding};
use crate::testing::contract::fixture::{ANN, DAY, Fixture, HOUR, MINUTE, later};

const EVERYTHING: LetterFilter = LetterFilter { state: None, purpose: None, before: None, limit: 100 };

fn dead() -> Outcome {
    Outcome::Dead { error: "rcpt: 550".to_owned(), reply: Some("550 5.1.1 no such user".to_owned()) }
}

async fn retry(f: &Fixture, id: LetterId, replacement: LetterId) -> Retried {
    f.store.retry(id, replacement, HOUR, f.now()).await.expect("a step")
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
    assert_eq!(fresh.deadline, f.now() + HOUR);
    assert_eq!(f.reload(id).await.state, LetterState::Dead, "the old one stays as it was");
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
