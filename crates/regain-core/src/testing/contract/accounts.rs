//! Clauses on accounts and sessions.
#![expect(clippy::expect_used, reason = "for tests")]
#![expect(missing_docs, reason = "the names say it")]

use std::sync::Arc;

use crate::account::Generation;
use crate::letter::Purpose;
use crate::store::{HeldSession, LetterFilter, PasswordChange, Posted, Registered, Store};
use crate::testing::contract::fixture::{ANN, DAY, Fixture, HOUR, hash, new_account, sent, session};

fn notices() -> LetterFilter {
    LetterFilter { purpose: Some(Purpose::PasswordChanged), limit: 100, ..LetterFilter::default() }
}

pub async fn a_name_is_registered_once(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let account = f.account("Ann@Example.org").await;
    assert_eq!(account.name, "Ann@Example.org");
    assert_eq!(account.name_key.as_str(), ANN);
    assert_eq!(account.address.as_ref().map(|a| a.as_str()), Some("Ann@example.org"));
    assert_eq!(account.generation, Generation(0));
    assert!(!account.is_admin && !account.is_confirmed && !account.is_disabled);
    let again = f.store.register(new_account("ANN@example.org"), None, f.now()).await.expect("a step");
    assert_eq!(again, Registered::NameTaken);
    assert_eq!(f.load(ANN).await.id, account.id);
    assert!(
        f.store.account_by_id(&account.id).await.expect("a step").is_some_and(|a| a.name == account.name)
    );
    assert!(f.store.account_by_id(&new_account(ANN).id).await.expect("a step").is_none());
}

pub async fn fifty_registrations_of_one_name_make_one_account(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (store, letter, now) = (f.store.clone(), f.letter(Purpose::Confirm, ANN), f.now());
            tokio::spawn(
                async move { store.register(new_account(ANN), Some(letter), now).await.expect("a step") },
            )
        })
        .collect();
    let mut created = 0;
    for task in tasks {
        created += usize::from(task.await.expect("a task") == Registered::Created);
    }
    assert_eq!(created, 1);
    assert_eq!(f.claim(10).await.len(), 1, "letters of the losers are not posted");
}

pub async fn registering_posts_its_letter_or_nothing(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let letter = f.letter(Purpose::Confirm, ANN);
    let id = letter.id;
    let account = new_account(ANN);
    let account_id = account.id.clone();
    f.store.register(account, Some(letter), f.now()).await.expect("a step");
    let claimed = f.claim_one().await;
    assert_eq!((claimed.letter.id, &claimed.account.id), (id, &account_id));
    let second = f.letter(Purpose::Confirm, ANN);
    let second_id = second.id;
    f.store.register(new_account(ANN), Some(second), f.now()).await.expect("a step");
    assert!(f.store.letter(second_id).await.expect("a step").is_none());
}

pub async fn registering_forgets_letters_dropped_for_want_of_the_account(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    f.post(Purpose::Reset, ANN).await;
    assert!(f.claim(10).await.is_empty());
    assert_eq!(f.post(Purpose::Reset, ANN).await, Posted::Swallowed);
    f.account(ANN).await;
    assert_eq!(f.post(Purpose::Reset, ANN).await, Posted::Posted, "its owner is not kept waiting for it");
}

pub async fn a_rehash_needs_the_hash_it_was_made_from(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let account = f.account(ANN).await;
    assert!(f.store.rehash(&account.id, &hash("hash"), &hash("better")).await.expect("a step"));
    assert!(!f.store.rehash(&account.id, &hash("hash"), &hash("stale")).await.expect("a step"));
    let after = f.load(ANN).await;
    assert!(after.password == Some(hash("better")));
    assert_eq!(after.generation, Generation(0), "a rehash ends no session");
}

pub async fn a_change_of_password_raises_the_generation_and_keeps_one_session(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let account = f.account(ANN).await;
    let mine = session();
    let by = Some(HeldSession { session: mine, generation: Generation(0) });
    let change = PasswordChange { by, ..f.change(&account.id, "new") };
    assert!(f.store.change_password(change, f.now()).await.expect("a step"));
    let after = f.load(ANN).await;
    assert!(after.password == Some(hash("new")));
    assert_eq!((after.generation, after.kept_session), (Generation(1), Some(mine)));
    assert!(f.store.change_password(f.change(&account.id, "by admin"), f.now()).await.expect("a step"));
    let after = f.load(ANN).await;
    assert_eq!((after.generation, after.kept_session), (Generation(2), None));
    assert_eq!(f.store.letters(notices()).await.expect("a step").len(), 2);
    assert!(!f.store.change_password(f.change(&new_account(ANN).id, "x"), f.now()).await.expect("a step"));
}

pub async fn a_change_asked_for_by_an_ended_session_changes_nothing(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let account = f.account(ANN).await;
    let token = f.mailed(Purpose::Reset, ANN).await;
    let held = HeldSession { session: session(), generation: Generation(0) };
    assert!(f.reset(token, "owner's").await);
    let change = PasswordChange { by: Some(held), ..f.change(&account.id, "thief's") };
    assert!(!f.store.change_password(change, f.now()).await.expect("a step"));
    let after = f.load(ANN).await;
    assert!(after.password == Some(hash("owner's")));
    assert_eq!(f.store.letters(notices()).await.expect("a step").len(), 1);
}

pub async fn the_kept_session_may_change_the_password_again(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let account = f.account(ANN).await;
    let held = HeldSession { session: session(), generation: Generation(0) };
    for new in ["one", "two"] {
        let change = PasswordChange { by: Some(held), ..f.change(&account.id, new) };
        assert!(f.store.change_password(change, f.now()).await.expect("a step"));
    }
    assert!(f.load(ANN).await.password == Some(hash("two")));
}

pub async fn notices_to_an_unconfirmed_address_are_limited(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let account = f.account(ANN).await;
    for _ in 0..8 {
        assert!(f.store.change_password(f.change(&account.id, "x"), f.now()).await.expect("a step"));
    }
    assert_eq!(f.store.letters(notices()).await.expect("a step").len(), 5);
    f.clock.advance(HOUR * 25);
    assert!(f.store.change_password(f.change(&account.id, "x"), f.now()).await.expect("a step"));
    assert_eq!(f.store.letters(notices()).await.expect("a step").len(), 6);
}

pub async fn notices_that_a_wrong_clock_has_posted_far_ahead_count_for_nothing(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let (account, now) = (f.account(ANN).await, f.now());
    let change = async || {
        assert!(f.store.change_password(f.change(&account.id, "x"), f.now()).await.expect("a step"));
        f.store.letters(notices()).await.expect("a step").len()
    };
    f.clock.advance(DAY * 2);
    for _ in 0..5 {
        change().await;
    }
    for claimed in f.claim(3).await {
        assert!(f.settle(&claimed, sent()).await);
    }
    assert_eq!(change().await, 5);
    f.clock.set(now);
    assert_eq!(change().await, 6);
    f.clock.advance(DAY + HOUR);
    assert_eq!(
        change().await,
        6,
        "those of a few hours ahead were posted of late, by a clock that was set back"
    );
}

pub async fn a_name_that_is_no_address_gets_no_notice(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let account = f.account("ann").await;
    assert!(account.address.is_none());
    assert!(f.store.change_password(f.change(&account.id, "x"), f.now()).await.expect("a step"));
    assert!(f.store.letters(notices()).await.expect("a step").is_empty());
}

pub async fn a_revoked_session_is_told_apart(store: Arc<dyn Store>) {
    let f = Fixture::new(store);
    let account = f.account(ANN).await;
    let (one, other) = (session(), session());
    for _ in 0..2 {
        f.store.revoke(&one, &account.id, f.now() + HOUR, f.now()).await.expect("revoking twice is fine");
    }
    for (session, expected) in [(one, true), (other, false)] {
        let (found, is_revoked) =
            f.store.session(&account.id, &session).await.expect("a step").expect("an account");
        assert_eq!((found.id, is_revoked), (account.id.clone(), expected));
    }
    assert!(f.store.session(&new_account(ANN).id, &one).await.expect("a step").is_none());
}
