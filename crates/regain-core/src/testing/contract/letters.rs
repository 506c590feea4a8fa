//! Clauses on posting letters, and on requests that need none.
#![expect(clippy::expect_used, reason = "for tests")]
#![expect(missing_docs, reason = "the names say it")]

use std::sync::Arc;
use std::time::Duration;

use crate::letter::{LetterState, Purpose};
use crate::limits::Limits;
use crate::outbox::repeats::Repeats;
use crate::store::{LetterFilter, Posted, Store};
use crate::testing::contract::fixture::{ANN, Fixture, HOUR, MINUTE, sent};

const SECOND: Duration = Duration::from_secs(1);

pub async fn an_open_letter_takes_repeats(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    assert_eq!(f.post(Purpose::Reset, ANN).await, Posted::Posted);
    f.clock.advance(MINUTE * 10);
    assert_eq!(f.post(Purpose::Reset, ANN).await, Posted::Merged);
    let claimed = f.claim_one().await;
    assert_eq!(f.post(Purpose::Reset, ANN).await, Posted::Merged, "a claimed letter is open too");
    let letter = f.reload(claimed.letter.id).await;
    assert_eq!(letter.repeats, 2);
    assert_eq!(letter.deadline, f.now() + HOUR, "its deadline is extended");
    assert_eq!(letter.posted, f.now().minus(MINUTE * 10), "the mail's date stays");
}

pub async fn a_repeat_within_the_cooldown_is_swallowed(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    f.mailed(Purpose::Reset, ANN).await;
    f.clock.advance(SECOND * 59);
    assert_eq!(f.post(Purpose::Reset, ANN).await, Posted::Swallowed);
    let all = LetterFilter { limit: 10, ..LetterFilter::default() };
    let letters = f.store.letters(all).await.expect("a step");
    assert_eq!((letters.len(), letters[0].repeats), (1, 1), "counted on the letter it met");
    f.clock.advance(SECOND);
    assert_eq!(f.post(Purpose::Reset, ANN).await, Posted::Posted);
}

pub async fn a_letter_that_ended_while_the_clock_was_ahead_swallows_nothing(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    let right = f.now();
    f.clock.advance(HOUR * 2);
    f.mailed(Purpose::Reset, ANN).await;
    f.clock.set(right);
    assert_eq!(f.post(Purpose::Reset, ANN).await, Posted::Posted);
    f.deliver_one().await;
    assert_eq!(f.post(Purpose::Reset, ANN).await, Posted::Swallowed, "the one of now does");
    f.clock.advance(MINUTE);
    assert_eq!(f.post(Purpose::Reset, ANN).await, Posted::Posted);
}

pub async fn a_repeat_after_an_expired_letter_is_posted(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    f.post(Purpose::Reset, ANN).await;
    f.clock.advance(HOUR + SECOND);
    assert!(f.claim(10).await.is_empty());
    assert_eq!(f.post(Purpose::Reset, ANN).await, Posted::Posted);
}

pub async fn five_mails_a_day_while_the_last_link_is_good(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    let mut last = None;
    for _ in 0..5 {
        last = Some(f.mailed(Purpose::Reset, ANN).await);
        f.clock.advance(MINUTE);
    }
    for _ in 0..3 {
        assert_eq!(f.post(Purpose::Reset, ANN).await, Posted::Swallowed);
        f.clock.advance(MINUTE);
    }
    assert!(f.reset(last.expect("five mails"), "new").await, "the owner has a good link");
    f.deliver_one().await;
    assert_eq!(
        f.post(Purpose::Reset, ANN).await,
        Posted::Posted,
        "with the last link used the owner may ask again"
    );
    f.deliver_one().await;
    f.clock.advance(MINUTE);
    assert_eq!(f.post(Purpose::Reset, ANN).await, Posted::Swallowed);
    f.clock.advance(HOUR);
    assert_eq!(f.post(Purpose::Reset, ANN).await, Posted::Posted, "and with the last link expired");
}

pub async fn purposes_and_names_do_not_share_limits(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    f.mailed(Purpose::Reset, ANN).await;
    assert_eq!(f.post(Purpose::Confirm, ANN).await, Posted::Posted);
    assert_eq!(f.post(Purpose::Reset, "bob@example.org").await, Posted::Posted);
    assert_eq!(f.post(Purpose::Reset, "ANN@example.ORG").await, Posted::Swallowed, "spellings share one");
}

pub async fn without_limits_every_request_posts(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    let off = Repeats::under(&Limits { per_address: false, ..Limits::default() });
    for _ in 0..7 {
        assert_eq!(f.post_under(off, Purpose::Reset, ANN).await, Posted::Posted);
    }
    assert_eq!(f.claim(10).await.len(), 7);
}

pub async fn a_full_outbox_takes_nothing(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    let rules = Repeats::under(&Limits { waiting_letters: Some(2), ..Limits::default() });
    assert_eq!(f.post_under(rules, Purpose::Reset, ANN).await, Posted::Posted);
    assert_eq!(f.post_under(rules, Purpose::Reset, "b@example.org").await, Posted::Posted);
    for name in [ANN, "b@example.org", "c@example.org"] {
        assert_eq!(f.post_under(rules, Purpose::Reset, name).await, Posted::Full, "for everybody alike");
    }
    assert_eq!(f.store.outbox_status().await.expect("a step").open, 2);
}

pub async fn unknown_and_known_names_are_answered_alike(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    let mut answers = Vec::new();
    for _ in 0..20 {
        answers.push((f.post(Purpose::Reset, ANN).await, f.post(Purpose::Reset, "bob@example.org").await));
        for claimed in f.claim(10).await {
            f.arm(&claimed).await;
            f.settle(&claimed, sent()).await;
        }
        f.clock.advance(SECOND * 2);
    }
    assert!(answers.iter().all(|(known, unknown)| known == unknown), "{answers:?}");
    let dropped = LetterFilter { state: Some(LetterState::Dropped), limit: 10, ..LetterFilter::default() };
    let dropped = f.store.letters(dropped).await.expect("a step");
    assert_eq!((dropped.len(), dropped[0].repeats), (1, 19));
}
