//! Steps that make accounts, or an administrator's token.

use regain_core::letter::NewLetter;
use regain_core::store::{Added, Put, Registered};
use regain_core::testing::contract::fixture::{ANN, Fixture, new_account, parse, session};
use regain_core::{AccountId, AccountRecord, Generation, Purpose, Store};

use crate::scene::{ROUNDS, Scene, how_many, random_id};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_registrations_makes_the_account_and_all_are_written_down() {
    let scene = Scene::new().await;
    let now = scene.f.now();
    for round in 0..ROUNDS {
        let name = format!("a{round}@example.org");
        let letter = |f: &Fixture| -> NewLetter { f.letter(Purpose::Confirm, &name) };
        let letters: Vec<NewLetter> = (0..20).map(|_| letter(&scene.f)).collect();
        let all = scene
            .at_once(20, |store, i| {
                let (account, letter) = (new_account(&name), letters[i].clone());
                async move { store.register(account, Some(letter), now).await }
            })
            .await;
        assert_eq!(how_many(&all, &Registered::Created), 1);
    }
    assert_eq!(scene.count("accounts").await, ROUNDS as i64);
    assert_eq!(scene.count("letters").await, ROUNDS as i64);
    assert_eq!(scene.count("audit WHERE event = 'registered'").await, ROUNDS as i64);
    assert_eq!(scene.count("audit WHERE event = 'registered_again'").await, 19 * ROUNDS as i64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_identity_that_is_free_since_this_moment_begins_above_whoever_had_it() {
    let scene = Scene::new().await;
    let now = scene.f.now();
    let delete = |id: &AccountId| {
        let id = id.as_str();
        format!(
            "DELETE FROM accounts WHERE id = '{id}';
             INSERT INTO deleted_accounts VALUES ('{id}', 7) ON CONFLICT (id) DO UPDATE SET generation = 7"
        )
    };
    let ann = scene.f.account(ANN).await;
    let put = scene.put("bob@example.org", ann.id.clone());
    let made = scene.between(&delete(&ann.id), |s| async move { s.put_account(put, now).await }, "").await;
    let Put::Created(bob) = made else { panic!("made anew") };
    assert_eq!((bob.id.clone(), bob.generation), (ann.id.clone(), Generation(8)));

    let record = AccountRecord::new(ann.id.clone(), parse("carol@example.org"));
    let added =
        scene.between(&delete(&ann.id), |s| async move { s.add_accounts(vec![record], now).await }, "").await;
    assert_eq!(added, [Added::Added]);
    assert_eq!(scene.f.load("carol@example.org").await.generation, Generation(8));
    // Where its deleter thinks better of it, it is another's.
    let put = scene.put("dora@example.org", ann.id.clone());
    let undo = "ROLLBACK; BEGIN";
    let made = scene.between(&delete(&ann.id), |s| async move { s.put_account(put, now).await }, undo).await;
    assert!(matches!(made, Put::OtherId));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_many_puts_makes_the_account_and_the_others_change_it() {
    let scene = Scene::new().await;
    let now = scene.f.now();
    for round in 0..ROUNDS {
        let name = format!("a{round}@example.org");
        let all = scene
            .at_once(10, |store, _| {
                let put = scene.put(&name, random_id());
                async move { store.put_account(put, now).await }
            })
            .await;
        let made = all.iter().filter(|put| matches!(put, Put::Created(_))).count();
        let changed = all.iter().filter(|put| matches!(put, Put::Updated(_))).count();
        assert_eq!((made, changed), (1, 9));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn imports_that_meet_in_a_circle_both_come_through() {
    let scene = Scene::new().await;
    let now = scene.f.now();
    for round in 0..3 {
        let name = |i: usize| parse(&format!("a{round}x{i}@example.org"));
        let all = scene
            .at_once(2, |store, which| {
                let mut records: Vec<_> =
                    (0..300).map(|i| AccountRecord::new(random_id(), name(i))).collect();
                if which == 1 {
                    records.reverse();
                }
                async move { store.add_accounts(records, now).await }
            })
            .await;
        let (added, taken) = all.concat().iter().fold((0, 0), |(added, taken), one| match one {
            Added::Added => (added + 1, taken),
            Added::NameTaken => (added, taken + 1),
            Added::AlreadyThere | Added::IdTaken => panic!("{one:?}"),
        });
        assert_eq!((added, taken), (300, 300));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_administrators_token_comes_first() {
    let scene = Scene::new().await;
    let now = scene.f.now();
    for _ in 0..ROUNDS {
        scene.other.batch_execute("DELETE FROM meta WHERE key = 'admin_token'").await.unwrap();
        let all = scene
            .at_once(10, |store, _| async move { store.put_admin_token(&session(), false, now).await })
            .await;
        assert_eq!(how_many(&all, &true), 1);
        scene.other.batch_execute("DELETE FROM meta WHERE key = 'admin_token'").await.unwrap();
        let same = session();
        let all =
            scene.at_once(10, |store, _| async move { store.put_admin_token(&same, false, now).await }).await;
        assert_eq!(how_many(&all, &true), 10, "all of them mean the one in force");
    }
}
