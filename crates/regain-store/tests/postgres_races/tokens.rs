//! Steps that use tokens up or void them.

use regain_core::store::{CompleteReset, Confirmation, Deleted, HeldSession, TokenStanding};
use regain_core::testing::contract::fixture::{ANN, session};
use regain_core::{Generation, Purpose, Store};

use crate::scene::{ROUNDS, Scene, hex, how_many};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_is_used_once() {
    let scene = Scene::new().await;
    let now = scene.f.now();
    let ann = scene.f.account(ANN).await;
    for _ in 0..ROUNDS {
        let token = scene.armed(Purpose::Reset, &ann).await;
        let notices: Vec<_> = (0..20).map(|_| scene.f.notice()).collect();
        let all = scene
            .at_once(20, |store, i| {
                let reset = CompleteReset { notice: Some(notices[i].clone()), ..scene.reset(token) };
                async move { store.complete_reset(reset, now).await }
            })
            .await;
        assert_eq!(how_many(&all, &Some(ann.id.clone())), 1);
        let token = scene.armed(Purpose::Confirm, &ann).await;
        let all = scene.at_once(20, |store, _| async move { store.confirm_email(&token, now).await }).await;
        assert_eq!(how_many(&all, &Confirmation::Confirmed(ann.id.clone())), 1);
        assert_eq!(how_many(&all, &Confirmation::Already), 19);
    }
    assert_eq!(scene.f.load(ANN).await.generation, Generation(ROUNDS as u32));
    assert_eq!(scene.count("letters WHERE purpose = 'password_changed'").await, ROUNDS as i64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_armed_at_the_same_moment_is_void_all_the_same() {
    let scene = Scene::new().await;
    let now = scene.f.now();
    let ann = scene.f.account(ANN).await;
    let id = || ann.id.clone();

    let (arming, token) = scene.arming(Purpose::Reset, &ann);
    let change = scene.f.change(&ann.id, "new");
    assert!(scene.between(&arming, |s| async move { s.change_password(change, now).await }, "").await);
    assert_eq!(scene.standing(token).await, TokenStanding::Spent, "after a change of password");

    let used = scene.armed(Purpose::Reset, &ann).await;
    let (arming, token) = scene.arming(Purpose::Reset, &ann);
    let reset = scene.reset(used);
    let done = scene.between(&arming, |s| async move { s.complete_reset(reset, now).await }, "").await;
    assert_eq!(done, Some(id()));
    assert_eq!(scene.standing(token).await, TokenStanding::Spent, "after another reset");

    let (arming, token) = scene.arming(Purpose::Reset, &ann);
    let one = id();
    assert!(scene.between(&arming, |s| async move { s.set_disabled(&one, true, now).await }, "").await);
    assert!(scene.f.store.set_disabled(&ann.id, false, now).await.unwrap());
    assert_eq!(scene.standing(token).await, TokenStanding::Spent, "after disabling and enabling");

    let (arming, _) = scene.arming(Purpose::Reset, &ann);
    let one = id();
    let done = scene.between(&arming, |s| async move { s.delete_account(&one, None, now).await }, "").await;
    assert_eq!(done, Deleted::Deleted);
    assert_eq!(scene.count("tokens WHERE used IS NULL").await, 0, "after deleting");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_while_its_step_waits_does_nothing() {
    let scene = Scene::new().await;
    let now = scene.f.now();
    let ann = scene.f.account(ANN).await;
    let by = HeldSession { session: session(), generation: ann.generation };
    let lock = format!("SELECT 1 FROM accounts WHERE id = '{}' FOR UPDATE", ann.id.as_str());
    let revoke =
        format!("INSERT INTO revoked_sessions VALUES ('{}', '{}', 0)", hex(&by.session.0), ann.id.as_str());
    let mut change = scene.f.change(&ann.id, "new");
    change.by = Some(by);
    assert!(!scene.between(&lock, |s| async move { s.change_password(change, now).await }, &revoke).await);
    let by = Some(HeldSession { session: session(), generation: ann.generation });
    let raise = format!("UPDATE accounts SET generation = generation + 1 WHERE id = '{}'", ann.id.as_str());
    let id = ann.id.clone();
    let done = scene.between(&lock, |s| async move { s.delete_account(&id, by, now).await }, &raise).await;
    assert_eq!(done, Deleted::SessionEnded);
    assert_eq!(scene.f.load(ANN).await.password.unwrap().as_str(), "hash");
}
