//! What is written down of who did what.

use regain_core::keys::OfferedKeys;
use regain_core::store::LetterFilter;
use regain_core::testing::contract::fixture::{ANN, HOUR, new_account};
use regain_core::{KeyFingerprint, KeyIntent, KeyOffer, LetterId, LetterState, OsRng, Purpose, Store};

use super::Scene;

#[tokio::test]
async fn what_owners_and_operators_do_is_written_down_without_addresses() {
    let scene = Scene::new();
    let fixture = scene.fixture();
    fixture.account(ANN).await;
    scene.store.register(new_account(ANN), None, fixture.now()).await.unwrap();
    fixture.post(Purpose::Reset, ANN).await;
    let all = LetterFilter { limit: 1, ..LetterFilter::default() };
    let letter = scene.store.letters(all).await.unwrap().remove(0).id;
    let new = || LetterId::new(fixture.now(), &OsRng).unwrap();
    scene.store.retry(letter, LetterState::Waiting, new(), HOUR, fixture.now()).await.unwrap();
    scene.store.drop_letter(letter, fixture.now()).await.unwrap();
    scene.store.retry(letter, LetterState::Dropped, new(), HOUR, fixture.now()).await.unwrap();
    let token = fixture.deliver_one().await;
    assert!(fixture.reset(token, "new").await);
    let outside = scene.outside();
    let mut rows = outside.prepare("SELECT event, account, letter FROM audit ORDER BY id").unwrap();
    let events: Vec<String> = rows.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(
        events,
        [
            "registered",
            "registered_again",
            "letter_hastened",
            "letter_dropped",
            "letter_replaced",
            "password_reset"
        ]
    );
    assert_eq!(scene.count("audit WHERE account LIKE '%@%'"), 0);
}

#[tokio::test]
async fn it_is_written_down_when_keys_are_put_in_force_and_not_when_they_are_used() {
    let scene = Scene::new();
    let offer = |token, signing| {
        let key = |name: &str| Some(KeyFingerprint::of(name.as_bytes()));
        let known = ["a", "b"].map(|name| KeyFingerprint::of(name.as_bytes())).to_vec();
        KeyOffer {
            token: OfferedKeys { current: key(token), others: known.clone() },
            signing: OfferedKeys { current: key(signing), others: known },
        }
    };
    for (token, signing) in [("a", "a"), ("a", "a"), ("a", "b"), ("a", "b")] {
        let now = scene.fixture().now();
        scene.store.agree_on_keys(offer(token, signing), KeyIntent::Agree, now).await.unwrap();
    }
    let outside = scene.outside();
    let mut rows = outside.prepare("SELECT event FROM audit ORDER BY id").unwrap();
    let events: Vec<String> = rows.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(events, ["token_key_remembered", "signing_key_remembered", "signing_key_remembered"]);
}
