//! Steps on letters, beside couriers and each other.

use std::sync::Arc;

use regain_core::limits::Limits;
use regain_core::outbox::repeats::Repeats;
use regain_core::store::{Deleted, Posted, Retention, Retried, TokenStanding};
use regain_core::testing::contract::fixture::{ANN, DAY, HOUR};
use regain_core::{LetterState, Purpose, Store};
use regain_store::PostgresStore;

use crate::scene::{ROUNDS, Scene, hex, how_many};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_is_replaced_once() {
    let scene = Scene::new().await;
    let now = scene.f.now();
    let id = scene.posted(Purpose::Reset, ANN).await;
    assert!(scene.f.store.drop_letter(id, now).await.unwrap());
    let all = scene
        .at_once(20, |store, _| {
            let new = scene.new_id();
            async move { store.retry(id, LetterState::Dropped, new, HOUR, now).await }
        })
        .await;
    assert_eq!(how_many(&all, &Retried::Replaced), 1);
    // Identities of one millisecond have no order.
    let letters = scene.f.store.letters(scene.f.newest(9)).await.unwrap();
    assert_eq!(letters.len(), 2);
    let by = letters.iter().find(|letter| letter.replaces == Some(id)).unwrap().id;
    assert_eq!(how_many(&all, &Retried::AlreadyReplaced(by)), 19);

    let id = scene.posted(Purpose::Reset, "bob@example.org").await;
    assert!(scene.f.store.drop_letter(id, now).await.unwrap());
    let (by, new) = (scene.new_id(), scene.new_id());
    let which = hex(id.as_bytes());
    let lock = format!("SELECT 1 FROM letters WHERE id = '{which}' FOR UPDATE");
    let replace = format!(
        "INSERT INTO letters (id, purpose, name_key, posted, deadline, due, replaces)
         SELECT '{}', purpose, name_key, posted, deadline, due, id FROM letters WHERE id = '{which}'",
        hex(by.as_bytes())
    );
    let retry =
        |s: Arc<PostgresStore>| async move { s.retry(id, LetterState::Dropped, new, HOUR, now).await };
    assert_eq!(scene.between(&lock, retry, &replace).await, Retried::AlreadyReplaced(by));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_leaves_a_letter_to_the_courier_that_took_it_at_the_same_moment() {
    let scene = Scene::new().await;
    let now = scene.f.now();
    let id = scene.posted(Purpose::Reset, ANN).await;
    let which = hex(id.as_bytes());
    let claim = format!("UPDATE letters SET state = 'claimed', claim = id, lease = 0 WHERE id = '{which}'");
    let give_back =
        format!("UPDATE letters SET state = 'waiting', claim = NULL, lease = NULL WHERE id = '{which}'");
    assert!(!scene.between(&claim, |s| async move { s.drop_letter(id, now).await }, "").await);
    scene.other.batch_execute(&give_back).await.unwrap();
    let new = scene.new_id();
    let retry =
        |s: Arc<PostgresStore>| async move { s.retry(id, LetterState::Waiting, new, HOUR, now).await };
    assert_eq!(scene.between(&claim, retry, "").await, Retried::BeingDelivered);
    let settle = format!(
        "UPDATE letters SET state = 'sent', ended = 0, claim = NULL, lease = NULL WHERE id = '{which}'"
    );
    assert_eq!(scene.between(&settle, retry, "").await, Retried::ClosedMeanwhile);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_meets_a_letter_as_it_expires_posts_another() {
    let scene = Scene::new().await;
    let repeats = Repeats::under(&Limits::default());
    let old = scene.posted(Purpose::Reset, ANN).await;
    scene.f.clock.advance(HOUR * 2);
    let now = scene.f.now();
    let letter = scene.f.letter(Purpose::Reset, ANN);
    let expire =
        format!("UPDATE letters SET state = 'expired', ended = {} WHERE ended IS NULL", now.as_millis());
    let posted = scene.between(&expire, |s| async move { s.post(letter, repeats, now).await }, "").await;
    assert_eq!(posted, Posted::Posted);
    assert_eq!(scene.f.reload(old).await.repeats, 0);
    assert_eq!(scene.f.store.outbox_status().await.unwrap().open, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_waits_for_another_process_does_not_keep_others_waiting() {
    let scene = Scene::new().await;
    let repeats = Repeats::under(&Limits::default());
    let now = scene.f.now();
    scene.posted(Purpose::Reset, ANN).await;
    let repeated = scene.f.letter(Purpose::Reset, ANN);
    let others = async {
        for name in ["a@example.org", "b@example.org", "c@example.org"] {
            let letter = scene.f.letter(Purpose::Reset, name);
            assert_eq!(scene.f.store.post(letter, repeats, now).await.unwrap(), Posted::Posted);
        }
    };
    let hold = "SELECT 1 FROM letters FOR UPDATE";
    let (repeated, ()) =
        scene.held(hold, |store| async move { store.post(repeated, repeats, now).await }, others).await;
    assert_eq!(repeated, Posted::Merged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clearing_away_does_not_wait_for_others() {
    let scene = Scene::new().await;
    for name in ["a@example.org", "b@example.org", "c@example.org"] {
        let id = scene.posted(Purpose::Reset, name).await;
        assert!(scene.f.store.drop_letter(id, scene.f.now()).await.unwrap());
    }
    scene.f.clock.advance(DAY);
    scene.other.batch_execute("BEGIN; SELECT 1 FROM letters LIMIT 1 FOR UPDATE").await.unwrap();
    let purge = || async { scene.f.store.purge(Retention::default(), 100, scene.f.now()).await.unwrap() };
    assert_eq!(purge().await, 2);
    scene.other.batch_execute("COMMIT").await.unwrap();
    assert_eq!(purge().await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_goes_to_an_account_that_was_deleted_beside_a_reset() {
    let scene = Scene::new().await;
    let now = scene.f.now();
    let mut resets = 0;
    for _ in 0..ROUNDS {
        let ann = scene.f.account(ANN).await;
        let token = scene.armed(Purpose::Reset, &ann).await;
        scene.f.post(Purpose::Reset, ANN).await;
        let [one, two] = scene.stores.clone();
        let (id, reset) = (ann.id.clone(), scene.reset(token));
        let deleting = tokio::spawn(async move { one.delete_account(&id, None, now).await });
        let resetting = tokio::spawn(async move { two.complete_reset(reset, now).await });
        assert_eq!(deleting.await.unwrap().unwrap(), Deleted::Deleted);
        resets += usize::from(resetting.await.unwrap().unwrap().is_some());
        assert_eq!(scene.count("letters WHERE ended IS NULL").await, 0);
        assert_eq!(scene.standing(token).await, TokenStanding::Spent);
        assert_eq!(scene.f.store.outbox_status().await.unwrap().open, 0);
    }
    assert_eq!(scene.count("audit WHERE event = 'password_reset'").await, resets as i64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_to_an_unconfirmed_address_are_limited_across_processes() {
    let scene = Scene::new().await;
    let now = scene.f.now();
    let ann = scene.f.account(ANN).await;
    let changes: Vec<_> = (0..20).map(|_| scene.f.notice()).collect();
    let all = scene
        .at_once(20, |store, i| {
            let mut change = scene.f.change(&ann.id, "new");
            change.notice = Some(changes[i].clone());
            async move { store.change_password(change, now).await }
        })
        .await;
    assert_eq!(how_many(&all, &true), 20);
    assert_eq!(scene.count("letters WHERE purpose = 'password_changed'").await, 5);
    assert_eq!(scene.count("outbox WHERE (SELECT sum(open) FROM outbox) = 5").await, 32);
}
