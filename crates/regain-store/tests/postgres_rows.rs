//! What stands in the rows of a PostgreSQL database: the audit trail, rows that no version writes, and text that it cannot
//! keep.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

use std::sync::Arc;
use std::time::Duration;

use regain_core::account::NewAccount;
use regain_core::testing::contract::fixture::{ANN, Fixture, HOUR, hash, new_account};
use regain_core::{LetterId, LetterState, NameKey, OsRng, Purpose, StoreError};
use regain_store::testing::Cluster;
use regain_store::{PostgresOptions, PostgresStore};
use tokio_postgres::{Client, NoTls};

struct Scene {
    f: Fixture,
    outside: Client,
}

impl Scene {
    /// A store with one connection, so that the next step meets what the last one left behind.
    async fn new() -> Self {
        let url = Cluster::shared().fresh_database().await;
        let options = PostgresOptions { connections: 1, ..PostgresOptions::default() };
        let store = PostgresStore::open(&url.parse().unwrap(), options).await.unwrap();
        let (outside, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        outside.batch_execute("SET search_path = regain").await.unwrap();
        Self { f: Fixture::new(Arc::new(store)), outside }
    }

    async fn count(&self, table: &str) -> i64 {
        self.outside.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await.unwrap().get(0)
    }
}

#[tokio::test]
async fn what_owners_and_operators_do_is_written_down_without_addresses() {
    let scene = Scene::new().await;
    let Scene { f, outside } = &scene;
    let store = &f.store;
    let ann = f.account(ANN).await.id;
    store.register(new_account(ANN), None, f.now()).await.unwrap();
    f.post(Purpose::Reset, ANN).await;
    let letter = store.letters(f.newest(1)).await.unwrap().remove(0).id;
    let new = || LetterId::new(f.now(), &OsRng).unwrap();
    store.retry(letter, LetterState::Waiting, new(), HOUR, f.now()).await.unwrap();
    store.drop_letter(letter, f.now()).await.unwrap();
    store.retry(letter, LetterState::Dropped, new(), HOUR, f.now()).await.unwrap();
    store.change_password(f.change(&ann, "new"), f.now()).await.unwrap();
    for is_so in [true, false] {
        store.set_admin(&ann, is_so, f.now()).await.unwrap();
        store.set_disabled(&ann, is_so, f.now()).await.unwrap();
    }
    store.delete_account(&ann, None, f.now()).await.unwrap();
    let rows = outside.query("SELECT event FROM audit ORDER BY id", &[]).await.unwrap();
    let events: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(
        events,
        [
            "registered",
            "registered_again",
            "letter_hastened",
            "letter_dropped",
            "letter_replaced",
            "password_changed",
            "admin_granted",
            "account_disabled",
            "admin_revoked",
            "account_enabled",
            "account_deleted"
        ]
    );
    assert_eq!(scene.count("audit WHERE account LIKE '%@%'").await, 0);
    assert_eq!(scene.count("audit WHERE account IS NULL AND letter IS NOT NULL").await, 3);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_is_an_error_of_that_row() {
    let scene = Scene::new().await;
    let Scene { f, outside } = &scene;
    for name in ["a@example.org", "b@example.org", "c@example.org"] {
        f.account(name).await;
        f.post(Purpose::Reset, name).await;
        // Identities of one millisecond have no order.
        f.clock.advance(Duration::from_millis(1));
    }
    outside
        .batch_execute(
            "ALTER TABLE letters DROP CONSTRAINT letters_attempts_check;
             UPDATE accounts SET metadata = '[1]' WHERE name_key = 'a@example.org';
             UPDATE letters SET attempts = -1 WHERE name_key = 'b@example.org';
             UPDATE letters SET ip = 'nowhere' WHERE name_key = 'c@example.org'",
        )
        .await
        .unwrap();
    let key = |name: &str| NameKey::from_stored(name);
    let broken = f.store.account_by_name(&key("a@example.org")).await;
    let Err(StoreError::Broken(words)) = broken else { panic!("metadata that is none") };
    assert!(words.contains("column 10") && !words.contains("[1]"), "{words}");
    assert!(f.store.account_by_name(&key("b@example.org")).await.unwrap().is_some());
    let listed = f.store.letters(f.newest(10)).await.unwrap();
    let names: Vec<&str> = listed.iter().map(|letter| letter.name_key.as_str()).collect();
    assert_eq!(names, ["c@example.org", "a@example.org"], "the other one is left out");
    assert_eq!(listed[0].ip, None);
    assert_eq!(f.store.count_letters(f.newest(10)).await.unwrap(), 3);
}

#[tokio::test]
async fn text_that_cannot_be_kept_breaks_its_step_alone() {
    let scene = Scene::new().await;
    let f = &scene.f;
    let ann = NewAccount { password: hash("a\0b"), ..new_account(ANN) };
    let letter = f.letter(Purpose::Confirm, ANN);
    let broken = f.store.register(ann, Some(letter), f.now()).await;
    assert!(matches!(broken, Err(StoreError::Broken(_))));
    assert!(matches!(
        f.store.account_by_name(&NameKey::from_stored("a\0")).await,
        Err(StoreError::Broken(_))
    ));
    let ann = f.account(ANN).await;
    let mut change = f.change(&ann.id, "a\0b");
    change.notice = Some(f.notice());
    assert!(matches!(f.store.change_password(change, f.now()).await, Err(StoreError::Broken(_))));
    assert_eq!(f.load(ANN).await.password.unwrap().as_str(), "hash");
    assert_eq!((scene.count("letters").await, scene.count("audit").await), (0, 1));
}
