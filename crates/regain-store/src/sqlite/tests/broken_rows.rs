//! Rows that no version writes, and purposes of later versions: they hold up nobody.

use std::time::Duration;

use regain_core::keys::OfferedKeys;
use regain_core::outbox::backoff;
use regain_core::{KeyFingerprint, KeyIntent, KeyOffer, LetterState, Purpose, Store, StoreError};

use super::Scene;

/// Breaks rows as a failing disk or a hand would.
fn break_rows(scene: &Scene, sql: &str) {
    scene
        .outside()
        .execute_batch(&format!("PRAGMA ignore_check_constraints = ON; PRAGMA trusted_schema = ON; {sql}"))
        .unwrap();
}

#[tokio::test]
async fn a_letter_that_cannot_be_read_dies_alone_and_says_why() {
    let scene = Scene::new();
    let f = scene.fixture();
    for name in ["a@example.org", "b@example.org", "c@example.org", "d@example.org"] {
        f.account(name).await;
        f.post(Purpose::Reset, name).await;
        // Identities of one millisecond have no order.
        f.clock.advance(std::time::Duration::from_millis(1));
    }
    break_rows(&scene, "UPDATE accounts SET metadata = '[1]' WHERE name_key = 'a@example.org'");
    break_rows(&scene, "UPDATE letters SET attempts = -1 WHERE name_key = 'b@example.org'");
    break_rows(&scene, "UPDATE letters SET ip = 'nowhere' WHERE name_key = 'c@example.org'");
    let batch = f.claim_by(f.order()).await;
    let claimed: Vec<&str> = batch.letters.iter().map(|c| c.letter.name_key.as_str()).collect();
    assert_eq!(claimed, ["c@example.org", "d@example.org"]);
    assert_eq!(batch.letters[0].letter.ip, None);
    assert_eq!((batch.closed.unreadable, batch.closed.total()), (2, 2));
    // The letter itself can be read, its account cannot; the other one is left out of the list.
    let listed = f.store.letters(f.newest(10)).await.unwrap();
    assert_eq!(listed.len(), 3);
    let dead = listed.iter().find(|l| l.state == LetterState::Dead).unwrap();
    assert_eq!(dead.name_key.as_str(), "a@example.org");
    assert!(dead.last_error.as_deref().unwrap().contains("column"), "{:?}", dead.last_error);
    assert_eq!(f.store.outbox_status().await.unwrap().dead, 2);
}

#[tokio::test]
async fn a_letter_of_an_unknown_purpose_is_held_whatever_its_deadline() {
    let scene = Scene::new();
    let f = scene.fixture();
    for name in ["a@example.org", "b@example.org"] {
        f.account(name).await;
        f.post(Purpose::Reset, name).await;
    }
    break_rows(&scene, "UPDATE letters SET purpose = 'carrier_pigeon' WHERE name_key = 'a@example.org'");
    let batch = f.claim_by(f.order()).await;
    assert_eq!(batch.letters.len(), 1);
    assert_eq!(batch.closed.total(), 0);
    assert!(f.claim(10).await.is_empty());
    for _ in 0..3 {
        f.clock.advance(backoff::LONGEST + Duration::from_secs(3600));
        // Nor does it keep the courier busy: it is looked at again after the longest wait.
        f.claim(10).await;
        assert!(f.store.next_due().await.unwrap().unwrap() > f.now());
    }
    assert_eq!(f.store.outbox_status().await.unwrap().open, 1);
    break_rows(&scene, "UPDATE letters SET purpose = 'reset', deadline = deadline + 999999999, due = 0");
    assert_eq!(f.claim(10).await.len(), 1, "a version that knows it takes it");
}

#[tokio::test]
async fn what_is_remembered_of_the_keys_is_not_guessed_where_it_cannot_be_read() {
    let scene = Scene::new();
    let keys = OfferedKeys { current: Some(KeyFingerprint::of(b"a")), others: Vec::new() };
    let offer = KeyOffer { token: keys.clone(), signing: keys };
    let agree = async |intent| scene.store.agree_on_keys(offer.clone(), intent, scene.fixture().now()).await;
    agree(KeyIntent::Agree).await.unwrap();
    break_rows(&scene, "UPDATE meta SET value = 'x' WHERE key = 'signing_key'");
    for intent in [KeyIntent::Ask, KeyIntent::Agree] {
        assert!(matches!(agree(intent).await, Err(StoreError::Broken(_))), "{intent:?}");
    }
}
