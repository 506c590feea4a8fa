//! What the tests are told with.

use std::fmt::Write;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use regain_core::store::{CompleteReset, LetterFilter, PutAccount, TokenStanding};
use regain_core::testing::contract::fixture::{Fixture, HOUR, hash, parse, session};
use regain_core::{Account, AccountId, LetterId, Metadata, OsRng, Purpose, StoreError, TokenHash};
use regain_store::PostgresOptions;
use regain_store::PostgresStore;
use regain_store::testing::Cluster;
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

pub(crate) const ROUNDS: usize = 20;

/// Two processes on one database, and a third connection that does by hand what another process would.
pub(crate) struct Scene {
    pub(crate) stores: [Arc<PostgresStore>; 2],
    pub(crate) f: Fixture,
    pub(crate) other: Client,
    watch: Client,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let url = Cluster::shared().fresh_database().await;
        let settings = url.parse().unwrap();
        let options = || PostgresOptions { connections: 20, ..PostgresOptions::default() };
        let one = Arc::new(PostgresStore::open(&settings, options()).await.unwrap());
        let two = Arc::new(PostgresStore::open(&settings, options()).await.unwrap());
        let f = Fixture::new(one.clone());
        Self { stores: [one, two], f, other: connect(&url).await, watch: connect(&url).await }
    }

    /// Does a step many times at once, by turns in both processes.
    pub(crate) async fn at_once<
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    >(
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
    pub(crate) async fn between<
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    >(
        &self,
        before: &str,
        step: impl FnOnce(Arc<PostgresStore>) -> F,
        after: &str,
    ) -> T {
        self.held(before, step, async { self.other.batch_execute(after).await.unwrap() }).await.0
    }

    /// Holds a step by what another process has done in a transaction, and lets it go on when what comes meanwhile is over.
    pub(crate) async fn held<
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
        M,
    >(
        &self,
        by: &str,
        step: impl FnOnce(Arc<PostgresStore>) -> F,
        meanwhile: impl Future<Output = M>,
    ) -> (T, M) {
        self.other.batch_execute(&format!("BEGIN; {by}")).await.unwrap();
        let step = tokio::spawn(step(self.stores[0].clone()));
        self.until_waiting(1).await;
        assert!(!step.is_finished(), "the step does not wait");
        let meanwhile = meanwhile.await;
        self.other.batch_execute("COMMIT").await.unwrap();
        (step.await.unwrap().unwrap(), meanwhile)
    }

    /// Waits until so many steps wait for others.
    pub(crate) async fn until_waiting(&self, steps: i64) {
        let since = Instant::now();
        while self
            .count("pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
            .await
            < steps
        {
            assert!(since.elapsed() < Duration::from_secs(60), "the step does not wait");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub(crate) async fn count(&self, what: &str) -> i64 {
        self.watch.query_one(&format!("SELECT count(*) FROM {what}"), &[]).await.unwrap().get(0)
    }

    /// What a courier does to arm a token, and the token's hash.
    pub(crate) fn arming(&self, purpose: Purpose, account: &Account) -> (String, TokenHash) {
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

    pub(crate) async fn armed(&self, purpose: Purpose, account: &Account) -> TokenHash {
        let (sql, hash) = self.arming(purpose, account);
        self.other.batch_execute(&sql).await.unwrap();
        hash
    }

    pub(crate) async fn standing(&self, token: TokenHash) -> TokenStanding {
        self.f.store.token(&token, Purpose::Reset, self.f.now()).await.unwrap()
    }

    pub(crate) fn new_id(&self) -> LetterId {
        LetterId::new(self.f.now(), &OsRng).unwrap()
    }

    pub(crate) fn reset(&self, token: TokenHash) -> CompleteReset {
        CompleteReset { token, new: hash("new"), notice: Some(self.f.notice()) }
    }

    pub(crate) fn put(&self, name: &str, id_if_new: AccountId) -> PutAccount {
        PutAccount {
            name: parse(name),
            id: None,
            id_if_new,
            is_admin: None,
            is_confirmed: None,
            metadata: Metadata::default(),
        }
    }

    pub(crate) async fn posted(&self, purpose: Purpose, name: &str) -> LetterId {
        self.f.post(purpose, name).await;
        let of_name = LetterFilter {
            name: Some(parse(name).key().clone()),
            purpose: Some(purpose),
            ..self.f.newest(1)
        };
        self.f.store.letters(of_name).await.unwrap().remove(0).id
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client.batch_execute("SET search_path = regain").await.unwrap();
    client
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold("\\x".to_owned(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(crate) fn random_id() -> AccountId {
    AccountId::random(&OsRng).unwrap()
}

/// How many of them are this one.
pub(crate) fn how_many<T: PartialEq>(all: &[T], one: &T) -> usize {
    all.iter().filter(|each| *each == one).count()
}
