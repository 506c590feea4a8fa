//! Clauses on claiming, arming and settling.
#![expect(clippy::expect_used, reason = "for tests")]
#![expect(missing_docs, reason = "the names say it")]

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::letter::{LetterState, Purpose};
use crate::outbox::courier::LEASE;
use crate::outbox::held;
use crate::store::{Arm, Armed, Confirmation, LetterFilter, Outcome, Posted, Store, TokenStanding};
use crate::testing::contract::fixture::{ANN, Fixture, HOUR, MINUTE, later, sent, token_of};
use crate::token::TokenKeyId;

const SECOND: Duration = Duration::from_secs(1);

async fn with_letter(store: Arc<dyn Store>) -> Fixture {
    let f = Fixture::new(store);
    f.account(ANN).await;
    assert_eq!(f.post(Purpose::Reset, ANN).await, Posted::Posted);
    f
}

async fn only_letter(f: &Fixture) -> crate::letter::Letter {
    let all = LetterFilter { limit: 2, ..LetterFilter::default() };
    let mut letters = f.store.letters(all).await.expect("a step");
    assert_eq!(letters.len(), 1);
    letters.remove(0)
}

pub async fn a_letter_is_claimed_once(store: Arc<dyn Store>) {
    let f = with_letter(store).await;
    assert_eq!(f.claim(10).await.len(), 1);
    assert!(f.claim(10).await.is_empty());
    assert_eq!(only_letter(&f).await.state, LetterState::Claimed);
}

pub async fn two_couriers_share_a_queue_without_overlap(store: Arc<dyn Store>) {
    let f = Arc::new(Fixture::new(store));
    for i in 0..40 {
        let name = format!("a{i}@example.org");
        f.account(&name).await;
        f.post(Purpose::Reset, &name).await;
    }
    let courier = |f: Arc<Fixture>| async move {
        let mut mine = Vec::new();
        loop {
            let claimed = f.claim(3).await;
            if claimed.is_empty() {
                return mine;
            }
            mine.extend(claimed.into_iter().map(|c| c.letter.id));
        }
    };
    let (one, two) = (tokio::spawn(courier(f.clone())), tokio::spawn(courier(f.clone())));
    let mut all = one.await.expect("a task");
    all.extend(two.await.expect("a task"));
    assert_eq!(all.len(), 40);
    assert_eq!(all.iter().collect::<HashSet<_>>().len(), 40);
}

pub async fn a_claim_brings_the_account_along(store: Arc<dyn Store>) {
    let f = with_letter(store).await;
    let claimed = f.claim_one().await;
    assert_eq!(claimed.account.id, f.load(ANN).await.id);
    assert_eq!(claimed.letter.account.as_ref(), Some(&claimed.account.id));
    assert_eq!(claimed.account.address.as_ref().map(|a| a.as_str()), Some(ANN));
    assert_eq!(claimed.letter.ip.map(|ip| ip.to_string()).as_deref(), Some("192.0.2.1"));
}

pub async fn a_letter_without_an_account_is_dropped(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.post(Purpose::Reset, ANN).await;
    assert!(f.claim(10).await.is_empty());
    let letter = only_letter(&f).await;
    assert_eq!((letter.state, letter.ended), (LetterState::Dropped, Some(f.now())));
}

pub async fn closing_does_not_starve_a_claim(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    for i in 0..50 {
        f.post(Purpose::Reset, &format!("nobody{i}@example.org")).await;
    }
    f.account(ANN).await;
    f.clock.advance(SECOND);
    f.post(Purpose::Reset, ANN).await;
    assert_eq!(f.claim(1).await.len(), 1);
    assert_eq!(f.store.outbox_status().await.expect("a step").open, 1);
}

pub async fn a_letter_past_its_deadline_expires(store: Arc<dyn Store>) {
    let f = with_letter(store).await;
    f.clock.advance(HOUR);
    let claimed = f.claim_one().await;
    assert!(f.settle(&claimed, later(f.now() + SECOND)).await);
    f.clock.advance(SECOND);
    assert!(f.claim(10).await.is_empty());
    assert_eq!(only_letter(&f).await.state, LetterState::Expired);
}

pub async fn a_confirmation_of_a_confirmed_address_is_superseded(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    let token = f.mailed(Purpose::Confirm, ANN).await;
    f.clock.advance(MINUTE);
    f.post(Purpose::Confirm, ANN).await;
    let waiting = f.claim_one().await;
    assert!(f.settle(&waiting, later(f.now())).await);
    let confirmed = f.store.confirm_email(&token, f.now()).await.expect("a step");
    assert!(matches!(confirmed, Confirmation::Confirmed(_)));
    assert_eq!(f.reload(waiting.letter.id).await.state, LetterState::Superseded);
    f.clock.advance(MINUTE);
    f.post(Purpose::Confirm, ANN).await;
    assert!(f.claim(10).await.is_empty());
    assert_eq!(f.store.outbox_status().await.expect("a step").open, 0);
}

pub async fn a_lease_that_ran_out_is_claimed_again(store: Arc<dyn Store>) {
    let f = with_letter(store).await;
    let first = f.claim_one().await;
    f.clock.advance(LEASE - SECOND);
    assert!(f.claim(10).await.is_empty());
    f.clock.advance(SECOND);
    let second = f.claim_one().await;
    assert_eq!(second.letter.id, first.letter.id);
    assert_eq!(second.letter.attempts, 0, "a crash is no attempt");
}

pub async fn a_renewed_lease_holds(store: Arc<dyn Store>) {
    let f = with_letter(store).await;
    let claimed = f.claim_one().await;
    f.clock.advance(SECOND * 20);
    assert_eq!(f.store.renew(claimed.claim, f.now() + LEASE).await.expect("a step"), 1);
    f.clock.advance(SECOND * 20);
    assert!(f.claim(10).await.is_empty());
    assert!(f.settle(&claimed, sent()).await);
    assert_eq!(f.store.renew(claimed.claim, f.now() + LEASE).await.expect("a step"), 0);
}

pub async fn settling_needs_the_current_claim(store: Arc<dyn Store>) {
    let f = with_letter(store).await;
    let first = f.claim_one().await;
    f.clock.advance(LEASE);
    let second = f.claim_one().await;
    assert!(!f.settle(&first, Outcome::Dead { error: "late".to_owned(), reply: None }).await);
    assert_eq!(f.reload(first.letter.id).await.state, LetterState::Claimed);
    assert!(f.settle(&second, sent()).await);
    assert!(!f.settle(&second, later(f.now())).await, "a closed letter stays closed");
    let letter = f.reload(first.letter.id).await;
    assert_eq!((letter.state, letter.attempts), (LetterState::Sent, 1));
    assert_eq!(letter.relay_reply.as_deref(), Some("250 2.0.0 taken"));
}

pub async fn a_released_letter_keeps_its_attempts(store: Arc<dyn Store>) {
    let f = with_letter(store).await;
    for _ in 0..5 {
        let claimed = f.claim_one().await;
        assert!(f.settle(&claimed, Outcome::Released { error: Some("connect: refused".to_owned()) }).await);
    }
    let letter = only_letter(&f).await;
    assert_eq!((letter.state, letter.attempts), (LetterState::Waiting, 0));
    assert_eq!(letter.last_error.as_deref(), Some("connect: refused"));
}

pub async fn a_letter_released_by_a_fault_goes_behind_those_that_wait(store: Arc<dyn Store>) {
    let f = with_letter(store).await;
    f.account("bob@example.org").await;
    f.clock.advance(SECOND);
    f.post(Purpose::Reset, "bob@example.org").await;
    f.clock.advance(SECOND);
    let first = f.claim(1).await.remove(0);
    assert!(f.settle(&first, Outcome::Released { error: None }).await);
    let again = f.claim(1).await.remove(0);
    assert_eq!(again.letter.id, first.letter.id, "given back unattempted, it keeps its place");
    assert!(f.settle(&again, Outcome::Released { error: Some("data: 554".to_owned()) }).await);
    let next = f.claim(1).await.remove(0);
    assert_ne!(next.letter.id, first.letter.id);
}

pub async fn a_letter_put_off_waits_until_it_is_due(store: Arc<dyn Store>) {
    let f = with_letter(store).await;
    let claimed = f.claim_one().await;
    assert!(f.settle(&claimed, later(f.now() + MINUTE)).await);
    f.clock.advance(MINUTE - SECOND);
    assert!(f.claim(10).await.is_empty());
    f.clock.advance(SECOND);
    let again = f.claim_one().await;
    assert_eq!(again.letter.attempts, 1);
    assert_eq!(again.letter.last_error.as_deref(), Some("rcpt: 451"));
    assert_eq!(again.letter.posted, claimed.letter.posted, "a copy is dated alike");
}

pub async fn a_letter_held_back_waits_and_is_charged_nothing(store: Arc<dyn Store>) {
    let f = with_letter(store).await;
    let posted = f.now();
    let claimed = f.claim_one().await;
    let held = Outcome::Held { due: f.now() + MINUTE, error: held::REASON.to_owned() };
    assert!(f.settle(&claimed, held.clone()).await);
    assert!(!f.settle(&claimed, held).await, "it needs the claim");
    let late_since = || async { f.store.outbox_gauges(f.now()).await.expect("a step").first_due };
    f.clock.advance(MINUTE - SECOND);
    assert!(f.claim(10).await.is_empty());
    assert_eq!(late_since().await, Some(posted), "it could go, were it not for its relay");
    f.clock.advance(SECOND);
    let again = f.claim_one().await;
    assert_eq!(late_since().await, Some(posted));
    assert_eq!((again.letter.attempts, again.letter.last_error.as_deref()), (0, Some(held::REASON)));
}

pub async fn a_letter_parked_by_a_wrong_clock_is_due(store: Arc<dyn Store>) {
    let f = with_letter(store).await;
    let claimed = f.claim_one().await;
    assert!(f.settle(&claimed, later(f.now() + HOUR)).await);
    assert_eq!(f.claim(10).await.len(), 1, "no letter waits longer than the longest backoff");
}

pub async fn freeing_all_claims_gives_them_back(store: Arc<dyn Store>) {
    let f = with_letter(store).await;
    let before = f.claim_one().await;
    assert_eq!(f.free_all_claims().await, 1);
    let after = f.claim_one().await;
    assert_eq!(after.letter.id, before.letter.id);
    assert!(!f.settle(&before, sent()).await);
}

pub async fn arming_needs_the_current_claim(store: Arc<dyn Store>) {
    let f = with_letter(store).await;
    let first = f.claim_one().await;
    f.clock.advance(LEASE);
    let second = f.claim_one().await;
    assert_eq!(f.arm(&first).await, Armed::Lost);
    let standing = f.store.token(&token_of(first.letter.id), Purpose::Reset, f.now()).await.expect("a step");
    assert_eq!(standing, TokenStanding::Unknown, "nothing was armed");
    assert_eq!(f.arm(&second).await, Armed::Armed);
}

pub async fn arming_again_extends_the_expiry(store: Arc<dyn Store>) {
    let f = with_letter(store).await;
    let first = f.claim_one().await;
    assert_eq!(f.arm(&first).await, Armed::Armed);
    f.clock.advance(MINUTE * 30);
    let second = f.claim_one().await;
    assert_eq!(f.arm(&second).await, Armed::Armed);
    f.clock.advance(MINUTE * 45);
    assert!(f.reset(token_of(first.letter.id), "new").await);
}

pub async fn a_used_token_is_not_armed_again(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    f.post(Purpose::Confirm, ANN).await;
    let first = f.claim_one().await;
    assert_eq!(f.arm(&first).await, Armed::Armed);
    f.clock.advance(LEASE);
    let second = f.claim_one().await;
    let confirmed = f.store.confirm_email(&token_of(first.letter.id), f.now()).await.expect("a step");
    assert!(matches!(confirmed, Confirmation::Confirmed(_)), "the first copy had arrived after all");
    assert!(matches!(f.arm(&second).await, Armed::Lost | Armed::Superseded));
    assert_eq!(f.reload(first.letter.id).await.state, LetterState::Superseded);
    let again = f.store.confirm_email(&token_of(first.letter.id), f.now()).await.expect("a step");
    assert_eq!(again, Confirmation::Already, "it does not come back to life");
}

pub async fn a_letter_armed_with_another_key_is_replaced(store: Arc<dyn Store>) {
    let f = with_letter(store).await;
    let first = f.claim_one().await;
    assert_eq!(f.arm(&first).await, Armed::Armed);
    assert!(f.settle(&first, later(f.now() + MINUTE)).await);
    f.clock.advance(MINUTE);
    let second = f.claim_one().await;
    assert_eq!(second.letter.token_key, Some(TokenKeyId([1; 8])));
    let arm = Arm { token_key: TokenKeyId([2; 8]), ..f.arming(&second) };
    let replacement = arm.replacement;
    assert_eq!(f.arm_as(arm).await, Armed::KeyGone);
    assert_eq!(f.reload(first.letter.id).await.state, LetterState::Superseded);
    let new = f.claim_one().await.letter;
    assert_eq!((new.id, new.replaces, new.attempts), (replacement, Some(first.letter.id), 0));
    assert_eq!((new.posted, new.deadline), (f.now(), first.letter.deadline));
}

pub async fn the_next_due_time_is_the_earliest_of_due_and_lease(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    assert_eq!(f.store.next_due().await.expect("a step"), None);
    f.account(ANN).await;
    f.account("bob@example.org").await;
    f.post(Purpose::Reset, ANN).await;
    assert_eq!(f.store.next_due().await.expect("a step"), Some(f.now()));
    let ann = f.claim_one().await;
    assert_eq!(f.store.next_due().await.expect("a step"), Some(f.now() + LEASE));
    f.post(Purpose::Reset, "bob@example.org").await;
    let bob = f.claim_one().await;
    assert!(f.settle(&bob, later(f.now() + SECOND * 7)).await);
    assert_eq!(f.store.next_due().await.expect("a step"), Some(f.now() + SECOND * 7));
    f.clock.advance(SECOND * 7);
    let bob = f.claim_one().await;
    assert!(f.settle(&bob, sent()).await && f.settle(&ann, sent()).await);
    assert_eq!(f.store.next_due().await.expect("a step"), None);
}
