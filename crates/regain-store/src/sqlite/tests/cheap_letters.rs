//! What makes a mail cheap to write down (migration 0005), and what must hold in spite of it.

use regain_core::store::{Retention, TokenStanding};
use regain_core::testing::contract::fixture::{ANN, DAY, Fixture, HOUR, MINUTE, later, token_of};
use regain_core::{LetterState, Purpose, TokenHash};
use rusqlite::Connection;

use super::{Options, Scene, SqliteStore};
use crate::sqlite::migrate::{MIGRATIONS, sha256};

async fn standing(f: &Fixture, token: TokenHash) -> TokenStanding {
    f.store.token(&token, Purpose::Reset, f.now()).await.unwrap()
}

async fn purge(f: &Fixture) {
    f.store.purge(Retention::default(), 100, f.now()).await.unwrap();
}

/// Ann's letter is mailed, the relay's answer is lost, and an operator drops it.
async fn mailed_and_dropped(f: &Fixture) -> TokenHash {
    f.post(Purpose::Reset, ANN).await;
    let claimed = f.claim_one().await;
    f.arm(&claimed).await;
    assert!(f.settle(&claimed, later(f.now() + MINUTE)).await);
    assert!(f.store.drop_letter(claimed.letter.id, f.now()).await.unwrap());
    token_of(claimed.letter.id)
}

#[tokio::test]
async fn a_change_of_password_voids_the_token_of_a_letter_that_was_dropped_long_ago() {
    for time in [MINUTE * 50, HOUR * 2] {
        let scene = Scene::new();
        let f = scene.fixture();
        let account = f.account(ANN).await;
        let token = mailed_and_dropped(&f).await;
        f.clock.advance(time);
        purge(&f).await;
        // A clock that was wrong may be set right again.
        f.clock.set(f.now().minus(time));
        assert_eq!(standing(&f, token).await, TokenStanding::Good);
        assert!(f.store.change_password(f.change(&account.id, "new"), f.now()).await.unwrap());
        assert_eq!(standing(&f, token).await, TokenStanding::Spent);
        // Nobody needs the letter any more.
        f.clock.advance(MINUTE * 6);
        purge(&f).await;
        let dropped = |letter: &regain_core::Letter| letter.state == LetterState::Dropped;
        assert!(!f.store.letters(f.newest(10)).await.unwrap().iter().any(dropped));
    }
}

#[tokio::test]
async fn a_letter_that_was_sent_stays_while_its_token_is_good() {
    let scene = Scene::new();
    let f = scene.fixture();
    f.account(ANN).await;
    f.post(Purpose::Reset, ANN).await;
    let claimed = f.claim_one().await;
    let mut arm = f.arming(&claimed);
    arm.expires = f.now() + DAY * 40;
    f.arm_as(arm).await;
    assert!(f.settle(&claimed, regain_core::testing::contract::fixture::sent()).await);
    f.clock.advance(DAY * 39);
    purge(&f).await;
    assert!(f.reload_if_there(claimed.letter.id).await.is_some());
    f.clock.advance(DAY);
    purge(&f).await;
    assert!(f.reload_if_there(claimed.letter.id).await.is_none());
}

#[tokio::test]
async fn open_letters_are_counted_whichever_way_they_end() {
    let scene = Scene::new();
    let f = scene.fixture();
    let count = "letters WHERE ended IS NULL";
    let check = async |what: &str| {
        let open = f.store.outbox_status().await.unwrap().open;
        assert_eq!(i64::try_from(open).unwrap(), scene.count(count), "{what}");
    };
    let account = f.account(ANN).await;
    mailed_and_dropped(&f).await;
    check("dropped").await;
    f.clock.advance(HOUR * 2);
    f.mailed(Purpose::Reset, ANN).await;
    check("sent").await;
    f.post(Purpose::Confirm, ANN).await;
    f.clock.advance(DAY * 10);
    f.claim(10).await;
    check("expired").await;
    f.post(Purpose::Reset, ANN).await;
    check("posted").await;
    f.store.change_password(f.change(&account.id, "new"), f.now()).await.unwrap();
    check("superseded").await;
    f.post(Purpose::Reset, ANN).await;
    f.claim(10).await;
    f.store.set_disabled(&account.id, true, f.now()).await.unwrap();
    check("disabled").await;
    f.store.set_disabled(&account.id, false, f.now()).await.unwrap();
    f.post(Purpose::Confirm, ANN).await;
    f.store.delete_account(&account.id, None, f.now()).await.unwrap();
    check("deleted").await;
    assert_eq!(f.store.outbox_status().await.unwrap().open, 0);
}

#[test]
fn writing_a_letter_makes_no_table_in_memory() {
    let c = Connection::open_in_memory().unwrap();
    for migration in MIGRATIONS {
        c.execute_batch(migration.sql).unwrap();
    }
    for sql in [
        "INSERT INTO letters (id, purpose, name_key, posted, deadline, due) VALUES (?1, ?2, ?3, ?4, ?4, ?4)",
        "UPDATE letters SET state = ?2, claim = ?3, lease = ?4, ended = ?5 WHERE id = ?1",
    ] {
        let mut explained = c.prepare(&format!("EXPLAIN {sql}")).unwrap();
        let nothing = vec![rusqlite::types::Null; explained.parameter_count()];
        let steps = explained.query_map(rusqlite::params_from_iter(nothing), |row| row.get(1)).unwrap();
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        assert!(steps.iter().any(|step| step == "TypeCheck"), "{steps:?}");
        assert!(!steps.iter().any(|step| step.contains("Ephemeral")), "{sql}: {steps:?}");
    }
}

#[tokio::test]
async fn a_database_from_before_keeps_its_letters_and_its_checks_and_loses_what_nobody_would_find() {
    let scene = Scene::new();
    let path = scene.dir.path().join("old.db");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(
        "CREATE TABLE migrations (number INTEGER PRIMARY KEY NOT NULL, name TEXT NOT NULL, sha256 BLOB NOT NULL,
                                  applied INTEGER NOT NULL) STRICT",
    )
    .unwrap();
    for (number, migration) in (1..).zip(&MIGRATIONS[..4]) {
        old.execute_batch(migration.sql).unwrap();
        old.execute(
            "INSERT INTO migrations VALUES (?1, ?2, ?3, 0)",
            (number, migration.name, sha256(migration.sql)),
        )
        .unwrap();
    }
    old.execute_batch(
        "INSERT INTO meta (key, value) VALUES ('key_mode', 'folded');
         INSERT INTO letters (id, purpose, name_key, posted, deadline, due)
         VALUES (x'00000000000000000000000000000001', 'reset', 'ann@example.org', 1, 1, 1);
         INSERT INTO tokens (letter, hash, purpose, account, name_key, expires)
         VALUES (x'00000000000000000000000000000001', x'0000000000000000000000000000000000000000000000000000000000000001', 'reset', 'a', 'ann@example.org', 9000000000000),
                (x'00000000000000000000000000000002', x'0000000000000000000000000000000000000000000000000000000000000002', 'reset', 'a', 'ann@example.org', 9000000000000);",
    )
    .unwrap();
    old.close().unwrap();
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    let c = Connection::open(&path).unwrap();
    let one = |sql: &str| c.query_row(sql, (), |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(one("SELECT open FROM outbox"), 1);
    assert_eq!(one("SELECT used IS NULL FROM tokens WHERE letter = x'00000000000000000000000000000001'"), 1);
    assert_eq!(one("SELECT used IS NULL FROM tokens WHERE letter = x'00000000000000000000000000000002'"), 0);
    let whole: String = c.query_row("PRAGMA integrity_check", (), |row| row.get(0)).unwrap();
    assert_eq!(whole, "ok");
    for wrong in
        ["state = 'lost'", "purpose = 'advert'", "state = 'sent'", "state = 'claimed'", "attempts = -1"]
    {
        let refused = c.execute(&format!("UPDATE letters SET {wrong}"), ()).unwrap_err();
        assert_eq!(refused.sqlite_error_code(), Some(rusqlite::ErrorCode::ConstraintViolation), "{wrong}");
    }
    for state in LetterState::ALL.into_iter().filter(|state| state.is_closed()) {
        c.execute("UPDATE letters SET state = ?1, ended = 1", [state.as_str()]).unwrap();
    }
    for purpose in Purpose::ALL {
        c.execute("UPDATE letters SET purpose = ?1", [purpose.as_str()]).unwrap();
    }
    drop(store);
}
