//! Steps that meet each other, of two processes on one PostgreSQL database: one of them is first, as on SQLite.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::fmt::Write;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use regain_core::letter::NewLetter;
use regain_core::store::{
    Added, CompleteReset, Confirmation, Deleted, HeldSession, LetterFilter, Put, PutAccount, Registered,
    Retention, Retried, TokenStanding,
};
use regain_core::testing::contract::fixture::{ANN, DAY, Fixture, HOUR, hash, new_account, parse, session};
use regain_core::{
    Account, AccountId, AccountRecord, Generation, LetterId, LetterState, Metadata, OsRng, Purpose, Store,
    StoreError, TokenHash,
};
use regain_store::testing::Cluster;
use regain_store::{PostgresOptions, PostgresStore};
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

const ROUNDS: usize = 20;

/// Two processes on one database, and a third connection that does by hand what another process would.
struct Scene {
    stores: [Arc<PostgresStore>; 2],
    f: Fixture,
    other: Client,
    watch: Client,
}

impl Scene {
    async fn new() -> Self {
        let url = Cluster::shared().fresh_database().await;
        let settings = url.parse().unwrap();
        let options = || PostgresOptions { connections: 20, ..PostgresOptions::default() };
        let one = Arc::new(PostgresStore::open(&settings, options()).await.unwrap());
        let two = Arc::new(PostgresStore::open(&settings, options()).await.unwrap());
        let f = Fixture::new(one.clone());
        Self { stores: [one, two], f, other: connect(&url).await, watch: connect(&url).await }
    }

    /// Does a step many times at once, by turns in both processes.
    async fn at_once<T: Send + 'static, F: Future<Output = Result<T, StoreError>> + Send + 'static>(
        &self,
        times: usize,
        step: impl Fn(Arc<PostgresStore>, usize) -> F,
    ) -> Vec<T> {
        let mut tasks = JoinSet::new();
        for i in 0..times {
            tasks.spawn(step(self.stores[i % 2].clone(), i));
        }
        tasks.join_all().await.into_iter().map(Result::unwrap).collect()
    }

    /// Begins a step while another process is in the midst of a transaction, and lets that one go on only when the step
    /// waits for it.
    async fn between<T: Send + 'static, F: Future<Output = Result<T, StoreError>> + Send + 'static>(
        &self,
        before: &str,
        step: impl FnOnce(Arc<PostgresStore>) -> F,
        after: &str,
    ) -> T {
        self.other.batch_execute(&format!("BEGIN; {before}")).await.unwrap();
        let step = tokio::spawn(step(self.stores[0].clone()));
        let since = Instant::now();
        while self
            .count("pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
            .await
            == 0
        {
            assert!(
                since.elapsed() < Duration::from_secs(3) && !step.is_finished(),
                "the step does not wait"
            );
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        self.other.batch_execute(&format!("{after}; COMMIT")).await.unwrap();
        step.await.unwrap().unwrap()
    }

    async fn count(&self, what: &str) -> i64 {
        self.watch.query_one(&format!("SELECT count(*) FROM {what}"), &[]).await.unwrap().get(0)
    }

    /// What a courier does to arm a token, and the token's hash.
    fn arming(&self, purpose: Purpose, account: &Account) -> (String, TokenHash) {
        let letter = self.new_id();
        let hash = TokenHash(session().0);
        let sql = format!(
            "SELECT 1 FROM accounts WHERE id = '{id}' AND NOT is_disabled FOR SHARE;
             INSERT INTO tokens (letter, hash, purpose, account, name_key, expires)
             VALUES ('{letter}', '{hash}', '{purpose}', '{id}', '{name}', {expires});",
            id = account.id.as_str(),
            letter = hex(letter.as_bytes()),
            hash = hex(&hash.0),
            purpose = purpose.as_str(),
            name = account.name_key.as_str(),
            expires = (self.f.now() + HOUR).as_millis(),
        );
        (sql, hash)
    }

    async fn armed(&self, purpose: Purpose, account: &Account) -> TokenHash {
        let (sql, hash) = self.arming(purpose, account);
        self.other.batch_execute(&sql).await.unwrap();
        hash
    }

    async fn standing(&self, token: TokenHash) -> TokenStanding {
        self.f.store.token(&token, Purpose::Reset, self.f.now()).await.unwrap()
    }

    fn new_id(&self) -> LetterId {
        LetterId::new(self.f.now(), &OsRng).unwrap()
    }

    fn reset(&self, token: TokenHash) -> CompleteReset {
        CompleteReset { token, new: hash("new"), notice: Some(self.f.notice()) }
    }

    fn put(&self, name: &str, id_if_new: AccountId) -> PutAccount {
        PutAccount {
            name: parse(name),
            id: None,
            id_if_new,
            is_admin: None,
            is_confirmed: None,
            metadata: Metadata::default(),
        }
    }

    async fn posted(&self, purpose: Purpose, name: &str) -> LetterId {
        self.f.post(purpose, name).await;
        let of_name = LetterFilter { name: Some(parse(name).key().clone()), ..self.f.newest(1) };
        self.f.store.letters(of_name).await.unwrap().remove(0).id
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("SET search_path = regain").await.unwrap();
    client
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("\\x".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn random_id() -> AccountId {
    AccountId::random(&OsRng).unwrap()
}

fn how_many<T: PartialEq>(all: &[T], one: &T) -> usize {
    all.iter().filter(|each| *each == one).count()
}

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
async fn a_letter_that_is_dropped_while_its_account_comes_is_forgotten() {
    let scene = Scene::new().await;
    let now = scene.f.now();
    let drop =
        "UPDATE letters SET state = 'dropped', ended = 0, claim = NULL, lease = NULL WHERE ended IS NULL";
    let hold = "SELECT 1 FROM letters WHERE ended IS NULL FOR UPDATE";
    scene.posted(Purpose::Reset, ANN).await;
    let ann = new_account(ANN);
    let id = ann.id.clone();
    let done = scene.between(hold, |s| async move { s.register(ann, None, now).await }, drop).await;
    assert_eq!((done, scene.count("letters").await), (Registered::Created, 0));

    scene.f.store.set_disabled(&id, true, now).await.unwrap();
    scene.posted(Purpose::Reset, ANN).await;
    assert!(scene.between(hold, |s| async move { s.set_disabled(&id, false, now).await }, drop).await);
    assert_eq!(scene.count("letters").await, 0);

    let (name, put) = ("bob@example.org", scene.put("bob@example.org", random_id()));
    scene.posted(Purpose::Reset, name).await;
    let made = scene.between(hold, |s| async move { s.put_account(put, now).await }, drop).await;
    assert!(matches!(made, Put::Created(_)));
    assert_eq!(scene.count("letters").await, 0);
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
