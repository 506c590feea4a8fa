//! Clauses on tokens and what they are good for.
#![expect(clippy::expect_used, reason = "for tests")]
#![expect(missing_docs, reason = "the names say it")]

use std::sync::Arc;
use std::time::Duration;

use crate::account::Generation;
use crate::letter::{LetterState, Purpose};
use crate::store::{
    Armed, CompleteReset, Confirmation, HeldSession, LetterFilter, PasswordChange, Store, TokenStanding,
};
use crate::testing::contract::fixture::{ANN, Fixture, HOUR, MINUTE, hash, later, sent, session, token_of};
use crate::token::TokenHash;

const MILLISECOND: Duration = Duration::from_millis(1);

async fn standing(f: &Fixture, token: TokenHash) -> TokenStanding {
    f.store.token(&token, Purpose::Reset, f.now()).await.expect("a step")
}

async fn confirm(f: &Fixture, token: TokenHash) -> Confirmation {
    f.store.confirm_email(&token, f.now()).await.expect("a step")
}

pub async fn a_token_is_good_until_its_expiry(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    let token = f.mailed(Purpose::Reset, ANN).await;
    assert_eq!(standing(&f, token).await, TokenStanding::Good);
    assert_eq!(standing(&f, TokenHash([1; 32])).await, TokenStanding::Unknown);
    f.clock.advance(HOUR - MILLISECOND);
    assert_eq!(standing(&f, token).await, TokenStanding::Good);
    f.clock.advance(MILLISECOND);
    assert_eq!(standing(&f, token).await, TokenStanding::Spent);
    assert!(!f.reset(token, "late").await);
    assert!(f.load(ANN).await.password == Some(hash("hash")));
}

pub async fn a_token_is_bound_to_its_purpose(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    let reset = f.mailed(Purpose::Reset, ANN).await;
    let confirmation = f.mailed(Purpose::Confirm, ANN).await;
    assert_eq!(standing(&f, confirmation).await, TokenStanding::Unknown);
    assert!(!f.reset(confirmation, "x").await);
    assert_eq!(confirm(&f, reset).await, Confirmation::Unknown);
    assert_eq!(standing(&f, reset).await, TokenStanding::Good, "a wrong use consumes nothing");
    assert!(matches!(confirm(&f, confirmation).await, Confirmation::Confirmed(_)));
}

pub async fn a_reset_happens_once(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    let token = f.mailed(Purpose::Reset, ANN).await;
    assert!(f.reset(token, "new").await);
    assert!(!f.reset(token, "newer").await);
    assert_eq!(standing(&f, token).await, TokenStanding::Spent);
    let account = f.load(ANN).await;
    assert!(account.password == Some(hash("new")));
    assert_eq!(account.generation, Generation(1));
    assert!(!account.is_confirmed, "a reset confirms nothing");
}

pub async fn fifty_resets_with_one_token_have_one_winner(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    let token = f.mailed(Purpose::Reset, ANN).await;
    let tasks: Vec<_> = (0..50)
        .map(|i| {
            let (store, now) = (f.store.clone(), f.now());
            let reset = CompleteReset { token, new: hash(&format!("new {i}")), notice: Some(f.notice()) };
            tokio::spawn(
                async move { (i, store.complete_reset(reset, now).await.expect("a step").is_some()) },
            )
        })
        .collect();
    let mut winners = Vec::new();
    for task in tasks {
        let (i, won) = task.await.expect("a task");
        winners.extend(won.then_some(i));
    }
    assert_eq!(winners.len(), 1);
    let account = f.load(ANN).await;
    assert!(account.password == Some(hash(&format!("new {}", winners[0]))));
    assert_eq!(account.generation, Generation(1));
    assert_eq!(f.claim(100).await.len(), 1, "one notice");
}

pub async fn a_reset_voids_other_reset_tokens_but_no_confirmation(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    let first = f.mailed(Purpose::Reset, ANN).await;
    let confirmation = f.mailed(Purpose::Confirm, ANN).await;
    f.clock.advance(MINUTE * 2);
    let second = f.mailed(Purpose::Reset, ANN).await;
    assert_eq!(standing(&f, first).await, TokenStanding::Good, "a new link does not kill the old one");
    assert!(f.reset(second, "new").await);
    assert_eq!(standing(&f, first).await, TokenStanding::Spent);
    assert!(!f.reset(first, "newer").await);
    assert!(matches!(confirm(&f, confirmation).await, Confirmation::Confirmed(_)));
}

pub async fn a_reset_ends_reset_letters_waiting_and_claimed(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    f.account("bob@example.org").await;
    let token = f.mailed(Purpose::Reset, ANN).await;
    f.clock.advance(MINUTE * 2);
    f.post(Purpose::Reset, "bob@example.org").await;
    f.post(Purpose::Confirm, ANN).await;
    f.post(Purpose::Reset, ANN).await;
    let claimed = f.claim(10).await;
    assert_eq!(claimed.len(), 3);
    let reset =
        claimed.iter().find(|c| c.letter.purpose == Purpose::Reset && c.letter.name_key.as_str() == ANN);
    let reset = reset.expect("the letter");
    assert_eq!(f.arm(reset).await, Armed::Armed);
    assert!(f.reset(token, "new").await);
    assert_eq!(f.reload(reset.letter.id).await.state, LetterState::Superseded);
    assert!(!f.settle(reset, later(f.now())).await, "a letter that was ended stays ended");
    assert_eq!(standing(&f, token_of(reset.letter.id)).await, TokenStanding::Spent);
    for other in claimed.iter().filter(|c| c.letter.id != reset.letter.id) {
        assert!(f.settle(other, sent()).await);
    }
}

pub async fn a_reset_clears_the_kept_session_and_posts_a_notice(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let account = f.account(ANN).await;
    let held = HeldSession { session: session(), generation: Generation(0) };
    let change = PasswordChange { by: Some(held), notice: None, ..f.change(&account.id, "x") };
    assert!(f.store.change_password(change, f.now()).await.expect("a step"));
    let token = f.mailed(Purpose::Reset, ANN).await;
    assert!(f.reset(token, "new").await);
    let after = f.load(ANN).await;
    assert_eq!((after.generation, after.kept_session), (Generation(2), None));
    let notice = f.claim_one().await;
    assert_eq!(notice.letter.purpose, Purpose::PasswordChanged);
    assert_eq!(notice.account.id, account.id);
    assert_eq!(f.arm(&notice).await, Armed::Armed);
}

pub async fn a_change_of_password_voids_reset_tokens(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let account = f.account(ANN).await;
    let token = f.mailed(Purpose::Reset, ANN).await;
    f.clock.advance(MINUTE * 2);
    f.post(Purpose::Reset, ANN).await;
    assert!(f.store.change_password(f.change(&account.id, "new"), f.now()).await.expect("a step"));
    assert!(!f.reset(token, "thief's").await);
    let open = LetterFilter {
        state: Some(LetterState::Waiting),
        purpose: Some(Purpose::Reset),
        limit: 10,
        ..LetterFilter::default()
    };
    assert!(f.store.letters(open).await.expect("a step").is_empty());
}

pub async fn a_confirmation_changes_the_flag_alone_and_is_recognised_again(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let account = f.account(ANN).await;
    let reset = f.mailed(Purpose::Reset, ANN).await;
    let token = f.mailed(Purpose::Confirm, ANN).await;
    assert_eq!(confirm(&f, token).await, Confirmation::Confirmed(account.id.clone()));
    assert_eq!(confirm(&f, token).await, Confirmation::Already);
    f.clock.advance(HOUR * 2);
    assert_eq!(confirm(&f, token).await, Confirmation::Already);
    let after = f.load(ANN).await;
    assert!(after.is_confirmed && after.password == account.password);
    assert_eq!(after.generation, Generation(0));
    assert_eq!(confirm(&f, TokenHash([1; 32])).await, Confirmation::Unknown);
    assert_eq!(standing(&f, reset).await, TokenStanding::Spent, "only time has passed");
}

pub async fn an_expired_confirmation_is_refused(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.account(ANN).await;
    let token = f.mailed(Purpose::Confirm, ANN).await;
    f.clock.advance(HOUR);
    assert_eq!(confirm(&f, token).await, Confirmation::Refused);
    assert!(!f.load(ANN).await.is_confirmed);
}
