//! Letters without an account, beside the step that adds or enables it: forgotten, or kept for it.

use std::future::Future;
use std::sync::Arc;

use regain_core::store::{Added, ClaimOrder, Posted, Put, Registered};
use regain_core::testing::contract::fixture::{ANN, MINUTE, new_account, parse};
use regain_core::{AccountRecord, Purpose, Store, StoreError};
use regain_store::PostgresStore;
use tokio::task::JoinSet;

use crate::scene::{Scene, hex, how_many, random_id};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_is_dropped_while_its_account_comes_is_forgotten() {
    let scene = Scene::new().await;
    let now = scene.f.now();
    let ann = new_account(ANN);
    let id = ann.id.clone();
    let registered = scene.while_dropping(ANN, |s| async move { s.register(ann, None, now).await }).await;
    assert_eq!(registered, Registered::Created);

    scene.f.store.set_disabled(&id, true, now).await.unwrap();
    assert!(scene.while_dropping(ANN, |s| async move { s.set_disabled(&id, false, now).await }).await);

    let (bob, carol) = ("bob@example.org", "carol@example.org");
    let put = scene.put(bob, random_id());
    let made = scene.while_dropping(bob, |s| async move { s.put_account(put, now).await }).await;
    assert!(matches!(made, Put::Created(_)));

    let records = vec![AccountRecord::new(random_id(), parse(carol))];
    let added = scene.while_dropping(carol, |s| async move { s.add_accounts(records, now).await }).await;
    assert_eq!(added, [Added::Added]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_comes_while_its_account_does_is_for_it() {
    let scene = Scene::new().await;
    let now = scene.f.now();
    scene.while_forgetting(ANN, |s| async move { s.register(new_account(ANN), None, now).await }).await;

    let (bob, carol, dora) = ("bob@example.org", "carol@example.org", "dora@example.org");
    let id = scene.f.account(dora).await.id;
    scene.f.store.set_disabled(&id, true, now).await.unwrap();
    scene.while_forgetting(dora, |s| async move { s.set_disabled(&id, false, now).await }).await;

    let put = scene.put(bob, random_id());
    scene.while_forgetting(bob, |s| async move { s.put_account(put, now).await }).await;

    let records = vec![AccountRecord::new(random_id(), parse(carol))];
    scene.while_forgetting(carol, |s| async move { s.add_accounts(records, now).await }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_whose_account_comes_while_a_courier_looks_at_it_is_not_dropped() {
    let scene = Scene::new().await;
    let (now, order) = (scene.f.now(), scene.f.order());
    let id = scene.posted(Purpose::Reset, ANN).await;
    // The courier asks for the lock of a name once it has found no account. PostgreSQL prefers this function to its own, whose
    // second parameter is wider.
    let gate = "CREATE FUNCTION hashtextextended(text, integer) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN
                    PERFORM pg_advisory_xact_lock_shared(1);
                    RETURN hashtextextended($1, $2::bigint);
                END $$";
    scene.other.batch_execute(gate).await.unwrap();
    let add = format!(
        "INSERT INTO accounts (id, name, name_key, address, created) VALUES ('ann', '{ANN}', '{ANN}', '{ANN}', 0)"
    );
    let closed = "SELECT pg_advisory_xact_lock(1)";
    let claimed = scene.between(closed, |s| async move { s.claim(order, now).await }, &add).await;
    assert_eq!(claimed.closed.dropped, 0);
    assert_eq!(scene.f.claim_one().await.letter.id, id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_whose_accounts_are_on_their_way_keep_no_courier() {
    let scene = Scene::new().await;
    let now = scene.f.now();
    let name = |i: usize| format!("a{i}@example.org");
    let records: Vec<_> = (0..100).map(|i| AccountRecord::new(random_id(), parse(&name(i)))).collect();
    for i in 0..100 {
        assert_eq!(scene.f.post(Purpose::Reset, &name(i)).await, Posted::Posted);
    }
    scene.f.account(ANN).await;
    scene.f.clock.advance(MINUTE);
    let newest = scene.posted(Purpose::Reset, ANN).await;
    let taken = "INSERT INTO accounts (id, name, name_key, created)
                 VALUES ('a50', 'a50@example.org', 'a50@example.org', 0)";
    let order = ClaimOrder { limit: 2, newest: 1, ..scene.f.order() };
    let (added, claimed) = scene
        .held(taken, |s| async move { s.add_accounts(records, now).await }, async {
            scene.stores[1].claim(order, scene.f.now()).await.unwrap()
        })
        .await;
    assert_eq!(how_many(&added, &Added::Added), 99);
    assert_eq!((claimed.closed.dropped, claimed.letters.len()), (0, 1));
    assert_eq!(claimed.letters[0].letter.id, newest);
}

impl Scene {
    /// Does a step that adds or enables the account of a letter which a courier is about to have dropped.
    async fn while_dropping<T: Send + 'static, F: Future<Output = Result<T, StoreError>> + Send + 'static>(
        &self,
        name: &str,
        step: impl FnOnce(Arc<PostgresStore>) -> F,
    ) -> T {
        let id = self.posted(Purpose::Reset, name).await;
        let (order, now) = (self.f.order(), self.f.now());
        let count = "SELECT 1 FROM outbox FOR UPDATE";
        let mut steps = JoinSet::new();
        let (claimed, ()) = self
            .held(count, |s| async move { s.claim(order, now).await }, async {
                steps.spawn(step(self.stores[1].clone()));
                self.until_waiting(2).await;
            })
            .await;
        assert_eq!(claimed.closed.dropped, 1);
        let done = steps.join_next().await.unwrap().unwrap().unwrap();
        assert!(self.f.reload_if_there(id).await.is_none());
        done
    }

    /// Does a step that adds or enables an account, and lets a letter for it come, and a courier find that, while the step
    /// has begun to forget an older one.
    async fn while_forgetting<
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    >(
        &self,
        name: &str,
        step: impl FnOnce(Arc<PostgresStore>) -> F,
    ) {
        let old = self.posted(Purpose::Reset, name).await;
        assert!(self.f.claim(10).await.is_empty());
        let which = format!("SELECT 1 FROM letters WHERE id = '{}' FOR UPDATE", hex(old.as_bytes()));
        let (_, new) = self
            .held(&which, step, async {
                let new = self.posted(Purpose::Confirm, name).await;
                assert!(self.stores[1].claim(self.f.order(), self.f.now()).await.unwrap().letters.is_empty());
                new
            })
            .await;
        assert!(self.f.reload_if_there(old).await.is_none());
        assert_eq!(self.f.post(Purpose::Confirm, name).await, Posted::Merged);
        assert_eq!(self.f.claim_one().await.letter.id, new);
    }
}
