//! Clauses on which letters a claim takes: both ends of the queue, the mail budget, letters that crash.
#![expect(clippy::expect_used, reason = "for tests")]
#![expect(missing_docs, reason = "the names say it")]

use std::sync::Arc;
use std::time::Duration;

use crate::letter::{ClaimedLetter, LetterState, Purpose};
use crate::outbox::budget::MailBudget;
use crate::outbox::{backoff, crashes};
use crate::store::{ClaimOrder, Closed, Outcome, Posted, Store};
use crate::testing::contract::fixture::{ANN, Fixture, HOUR, MINUTE, later, sent};

const SECOND: Duration = Duration::from_secs(1);

/// Accounts `a0@example.org` and so on, each with a letter, a second apart.
async fn with_letters(store: Arc<dyn Store>, purposes: &[Purpose]) -> Fixture {
    let f = Fixture::new(store);
    for (i, purpose) in purposes.iter().enumerate() {
        f.account(&name(i)).await;
        assert_eq!(f.post(*purpose, &name(i)).await, Posted::Posted);
        f.clock.advance(SECOND);
    }
    f
}

fn name(i: usize) -> String {
    format!("a{i}@example.org")
}

fn names(letters: &[ClaimedLetter]) -> Vec<&str> {
    letters.iter().map(|claimed| claimed.account.name.as_str()).collect()
}

pub async fn the_newest_letters_are_claimed_beside_the_oldest(store: Arc<dyn Store>) {
    let f = with_letters(store, &[Purpose::Confirm; 8]).await;
    let order = |limit, newest| ClaimOrder { limit, newest, ..f.order() };
    let mut first = f.claim_by(order(4, 2)).await.letters;
    first.sort_by(|one, other| one.account.name.cmp(&other.account.name));
    assert_eq!(names(&first), ["a0@example.org", "a1@example.org", "a6@example.org", "a7@example.org"]);
    assert_eq!(names(&f.claim_by(order(1, 1)).await.letters), ["a5@example.org"]);
    assert_eq!(names(&f.claim_by(order(1, 0)).await.letters), ["a2@example.org"]);
    assert_eq!(f.claim_by(order(10, 5)).await.letters.len(), 2, "there is no end of more");
}

pub async fn an_old_letter_that_comes_due_again_is_not_among_the_newest(store: Arc<dyn Store>) {
    let f = with_letters(store, &[Purpose::Confirm; 4]).await;
    let old = f.claim(1).await.remove(0);
    assert!(f.settle(&old, later(f.now())).await);
    let newest = f.claim_by(ClaimOrder { limit: 1, newest: 1, ..f.order() }).await.letters;
    assert_eq!(names(&newest), ["a3@example.org"]);
}

pub async fn letters_that_nobody_gets_keep_nobody_waiting_who_asks_now(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    for i in 0..600 {
        assert_eq!(f.post(Purpose::Reset, &format!("nobody{i}@example.org")).await, Posted::Posted);
    }
    f.clock.advance(SECOND);
    assert_eq!(f.post(Purpose::Reset, ANN).await, Posted::Posted);
    let claimed = f.claim_by(ClaimOrder { newest: 5, ..f.order() }).await.letters;
    assert_eq!(names(&claimed), [ANN]);
}

pub async fn the_mail_budget_holds_back_what_is_beyond_it(store: Arc<dyn Store>) {
    let f = with_letters(store, &[Purpose::Reset; 7]).await;
    let budget = Some(MailBudget { per_hour: 4 });
    let order = |f: &Fixture| ClaimOrder { budget, ..f.order() };
    let batch = f.claim_by(order(&f)).await;
    assert_eq!((batch.letters.len(), batch.put_off, batch.is_budget_spent), (4, 3, false));
    for claimed in &batch.letters[..3] {
        assert!(f.settle(claimed, sent()).await);
    }
    assert!(f.settle(&batch.letters[3], later(f.now())).await);
    let again = f.claim_by(order(&f)).await.letters;
    assert_eq!(names(&again), ["a3@example.org"], "what was not sent has not been spent");
    assert!(f.settle(&again[0], sent()).await);

    let (mut since, mut is_spent) = (Duration::ZERO, false);
    while since < HOUR - MINUTE {
        let batch = f.claim_by(order(&f)).await;
        assert_eq!(batch.letters.len(), 0, "after {since:?}");
        is_spent |= batch.is_budget_spent;
        f.clock.advance(MINUTE);
        since += MINUTE;
    }
    assert!(is_spent);
    let letter = f.store.letters(f.newest(1)).await.expect("a step").remove(0);
    assert_eq!((letter.state, letter.attempts), (LetterState::Waiting, 0), "put off, and charged nothing");
    assert!(letter.due <= f.now() + backoff::LONGEST);
    // The letters were good for an hour; those that can still go do.
    f.clock.advance(SECOND * 50);
    let mut late = 0;
    for _ in 0..30 {
        late += f.claim_by(order(&f)).await.letters.len();
        f.clock.advance(SECOND);
    }
    assert!(late <= 3, "{late}");
}

pub async fn claims_that_fill_the_budget_hold_others_for_seconds_alone(store: Arc<dyn Store>) {
    let f = with_letters(store, &[Purpose::Reset; 6]).await;
    let budget = Some(MailBudget { per_hour: 3 });
    let first = f.claim_by(ClaimOrder { budget, limit: 3, ..f.order() }).await.letters;
    assert_eq!(f.claim_by(ClaimOrder { budget, ..f.order() }).await.put_off, 3);
    for claimed in &first {
        assert!(f.settle(claimed, later(f.now() + MINUTE)).await);
    }
    f.clock.advance(SECOND * 3);
    assert_eq!(f.claim_by(ClaimOrder { budget, ..f.order() }).await.letters.len(), 3, "nothing was spent");
}

pub async fn resets_do_not_wait_behind_others_for_the_budget(store: Arc<dyn Store>) {
    let mut purposes = [Purpose::Confirm; 30];
    (24..30).for_each(|at| purposes[at] = Purpose::Reset);
    let f = with_letters(store, &purposes).await;
    let budget = Some(MailBudget { per_hour: 4 });
    let order = |f: &Fixture| ClaimOrder { budget, limit: 30, ..f.order() };
    let sent_at = f.now();
    for claimed in f.claim_by(order(&f)).await.letters {
        assert!(f.settle(&claimed, sent()).await);
    }
    f.clock.advance(HOUR - MINUTE);
    for i in 24..30 {
        f.post(Purpose::Reset, &name(i)).await;
    }
    f.claim_by(order(&f)).await;
    f.clock.advance((sent_at + HOUR).since(f.now()) + SECOND * 2);
    let claimed = f.claim_by(order(&f)).await.letters;
    let resets = claimed.iter().filter(|c| c.letter.purpose == Purpose::Reset).count();
    assert!(resets >= 1, "of {} letters none is a reset", claimed.len());
}

pub async fn what_the_budget_held_back_goes_once_the_hour_is_over(store: Arc<dyn Store>) {
    let f = with_letters(store, &[Purpose::Reset; 2]).await;
    let budget = Some(MailBudget { per_hour: 1 });
    let first = f.claim_by(ClaimOrder { budget, ..f.order() }).await.letters.remove(0);
    assert!(f.settle(&first, sent()).await);
    // Asked for again, it is good for longer.
    f.clock.advance(HOUR - MINUTE);
    assert_eq!(f.post(Purpose::Reset, &name(1)).await, Posted::Merged);
    assert!(f.claim_by(ClaimOrder { budget, ..f.order() }).await.letters.is_empty());
    f.clock.advance(MINUTE + SECOND);
    let due = f.store.next_due().await.expect("a step").expect("a letter");
    f.clock.advance(due.since(f.now()));
    assert!(f.now() <= first.letter.posted + HOUR + backoff::LONGEST, "it does not wait for long");
    assert_eq!(names(&f.claim_by(ClaimOrder { budget, ..f.order() }).await.letters), ["a1@example.org"]);
}

pub async fn mails_that_a_wrong_clock_has_sent_far_ahead_cost_no_budget(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    for i in 0..3 {
        f.account(&name(i)).await;
    }
    let now = f.now();
    let order = |f: &Fixture| ClaimOrder { budget: Some(MailBudget { per_hour: 1 }), ..f.order() };
    f.clock.advance(HOUR * 2);
    f.mailed(Purpose::Reset, &name(0)).await;
    f.clock.set(now);
    f.post(Purpose::Reset, &name(1)).await;
    let claimed = f.claim_by(order(&f)).await.letters;
    assert_eq!(names(&claimed), ["a1@example.org"]);
    f.clock.advance(MINUTE * 7);
    assert!(f.settle(&claimed[0], sent()).await);
    f.clock.set(now);
    f.post(Purpose::Reset, &name(2)).await;
    assert!(
        f.claim_by(order(&f)).await.is_budget_spent,
        "by a mail of the last hour, whatever the clock says"
    );
}

pub async fn a_share_of_the_mail_budget_is_for_resets(store: Arc<dyn Store>) {
    let mut purposes = [Purpose::Confirm; 12];
    purposes[11] = Purpose::Reset;
    let f = with_letters(store, &purposes).await;
    let budget = Some(MailBudget { per_hour: 8 });
    let batch = f.claim_by(ClaimOrder { budget, limit: 20, ..f.order() }).await;
    let resets = batch.letters.iter().filter(|c| c.letter.purpose == Purpose::Reset).count();
    assert_eq!(
        (batch.letters.len(), resets, batch.put_off),
        (7, 1, 5),
        "six others, and the reset behind them"
    );
}

pub async fn a_letter_without_an_account_costs_no_budget(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    for i in 0..5 {
        f.post(Purpose::Reset, &name(i)).await;
    }
    f.account(ANN).await;
    f.post(Purpose::Reset, ANN).await;
    let budget = Some(MailBudget { per_hour: 1 });
    let batch = f.claim_by(ClaimOrder { budget, ..f.order() }).await;
    assert_eq!((names(&batch.letters), batch.closed.dropped), (vec![ANN], 5));
    f.post(Purpose::Reset, "nobody@example.org").await;
    let spent = f.claim_by(ClaimOrder { budget, ..f.order() }).await;
    assert_eq!((spent.closed.dropped, spent.put_off), (1, 0), "closed all the same");
}

pub async fn a_claim_counts_what_it_closes(store: Arc<dyn Store>) {
    let f = with_letters(store, &[Purpose::Reset; 3]).await;
    let claimed = f.claim(3).await;
    assert!(f.settle(&claimed[0], later(f.now())).await);
    assert!(f.settle(&claimed[1], Outcome::Released { error: Some("connect: refused".to_owned()) }).await);
    assert!(f.settle(&claimed[2], Outcome::Released { error: None }).await);
    f.clock.advance(HOUR * 2);
    f.post(Purpose::Reset, "nobody@example.org").await;
    let closed = f.claim_by(f.order()).await.closed;
    let expected = Closed {
        dropped: 1,
        expired_put_off: 1,
        expired_by_relay: 1,
        expired_unattempted: 1,
        ..Closed::default()
    };
    assert_eq!((closed, closed.total()), (expected, 4));
}

pub async fn a_letter_that_is_there_at_every_crash_waits_longer_and_is_dead_in_the_end(
    store: Arc<dyn Store>,
) {
    let f = with_letters(store, &[Purpose::Confirm; 1]).await;
    let mut waited = Duration::ZERO;
    for crash in 1..=crashes::MOST {
        let claimed = f.claim_one().await;
        assert_eq!((claimed.letter.crashes, claimed.letter.attempts), (crash - 1, 0));
        assert_eq!(f.free_all_claims().await, 1);
        let Some(due) = f.store.next_due().await.expect("a step") else { break };
        if crash <= 2 {
            assert!(due <= f.now(), "the first crashes cost it no time");
        }
        waited += due.since(f.now());
        f.clock.advance(due.since(f.now()));
    }
    assert!(waited > MINUTE * 5, "{waited:?}");
    let letter = f.store.letters(f.newest(1)).await.expect("a step").remove(0);
    assert_eq!((letter.state, letter.attempts), (LetterState::Dead, 0));
    assert_eq!(letter.last_error.as_deref(), Some(crashes::REASON));
}

pub async fn a_letter_that_came_back_has_no_crashes(store: Arc<dyn Store>) {
    let f = with_letters(store, &[Purpose::Confirm; 1]).await;
    for _ in 0..2 {
        f.claim_one().await;
        f.free_all_claims().await;
    }
    let claimed = f.claim_one().await;
    assert!(f.settle(&claimed, Outcome::Released { error: None }).await);
    assert_eq!(f.claim_one().await.letter.crashes, 0);
    f.clock.advance(MINUTE);
    let batch = f.claim_by(f.order()).await;
    assert_eq!((batch.reclaimed, batch.letters[0].letter.crashes), (1, 1), "a lease that ran out is a crash");
}
