//! How PostgreSQL means to run the steps, without knowing the values: by index, whether it knows of many rows, of few or
//! nothing yet, since a plan is kept while a table grows.

use deadpool_postgres::Object;
use regain_core::store::{AccountFilter, LetterFilter};
use regain_core::{LetterId, LetterState, NameKey, Purpose, Timestamp};
use tokio::sync::OnceCell;

use super::find::Search;
use super::{accounts, claim, courier, manage, operator, post, put, read, stats, tokens};
use crate::postgres::{PostgresOptions, PostgresStore};
use crate::testing::Cluster;

const MANY: &str = include_str!("many.sql");

/// A connection to a database with many rows of each kind, which these tests share.
async fn many() -> (PostgresStore, Object) {
    static URL: OnceCell<String> = OnceCell::const_new();
    let fill = || async {
        let url = Cluster::shared().fresh_database().await;
        let store = PostgresStore::open(&url.parse().unwrap(), PostgresOptions::default()).await.unwrap();
        store.connections.get().await.unwrap().batch_execute(MANY).await.unwrap();
        url
    };
    let settings = URL.get_or_init(fill).await.parse().unwrap();
    let store = PostgresStore::open(&settings, PostgresOptions::default()).await.unwrap();
    let client = store.connections.get().await.unwrap();
    (store, client)
}

/// A connection to a database as it is made, and then `sql`.
async fn fresh(sql: &str) -> (PostgresStore, Object) {
    let url = Cluster::shared().fresh_database().await;
    let store = PostgresStore::open(&url.parse().unwrap(), PostgresOptions::default()).await.unwrap();
    let client = store.connections.get().await.unwrap();
    client.batch_execute(sql).await.unwrap();
    (store, client)
}

/// A plan for whatever values.
async fn plan(client: &Object, sql: &str) -> String {
    let parameters = client.prepare(sql).await.unwrap().params().len();
    let values = vec!["NULL"; parameters].join(", ");
    let values = if parameters > 0 { format!("({values})") } else { values };
    let explain = format!(
        "SET plan_cache_mode = force_generic_plan; PREPARE probe AS {sql};
         EXPLAIN (COSTS OFF) EXECUTE probe {values}; DEALLOCATE probe"
    );
    let rows = client.simple_query(&explain).await.unwrap();
    let lines = rows.iter().filter_map(|row| match row {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0),
        _ => None,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Whether a table that grows is read from its beginning to its end.
fn reads_all(plan: &str) -> bool {
    ["accounts", "letters", "tokens", "revoked_sessions", "deleted_accounts", "audit"]
        .iter()
        .any(|table| plan.contains(&format!("Seq Scan on {table}")))
}

/// Steps and reads of few rows, and by which indexes they are to find them.
const STEPS: &[(&str, &str, &[&str])] = &[
    ("post", post::WRITE, &["letters_open", "letters_closed", "tokens_pkey"]),
    ("claim of the oldest", claim::OLDEST, &["letters_waiting", "letters_claimed", "accounts_name_key_key"]),
    ("claim of the newest", claim::NEWEST, &["letters_oldest", "letters_pkey", "accounts_name_key_key"]),
    ("arm", courier::ARM, &["letters_pkey", "accounts_"]),
    ("look for late accounts", claim::LATE, &["accounts_name_key_key"]),
    ("settle", courier::SETTLE, &["letters_pkey"]),
    ("register", accounts::REGISTER, &["accounts_pkey", "accounts_name_key_key", "letters_closed"]),
    ("lock of an account's name", manage::LOCK_NAME_OF, &["accounts_pkey"]),
    (
        "change",
        accounts::CHANGE_PASSWORD,
        &["accounts_pkey", "tokens_unused", "letters_open", "letters_closed"],
    ),
    ("lock of a token's owner", tokens::LOCK_OWNER, &["tokens_hash_key", "accounts_pkey"]),
    ("reset", tokens::COMPLETE_RESET, &["tokens_hash_key", "accounts_pkey", "tokens_unused", "letters_open"]),
    ("confirm", tokens::CONFIRM_EMAIL, &["tokens_hash_key", "accounts_pkey", "letters_open"]),
    ("delete", manage::DELETE, &["accounts_pkey", "tokens_unused", "letters_open"]),
    ("disable", manage::DISABLE, &["accounts_pkey", "tokens_unused", "letters_open"]),
    ("enable", manage::ENABLE, &["accounts_pkey", "letters_closed"]),
    ("settle in", put::SETTLE_IN, &["accounts_pkey", "deleted_accounts_pkey", "letters_closed"]),
    ("why not", put::WHY_NOT, &["accounts_name_key_key", "accounts_pkey"]),
    ("by name", read::ACCOUNT_BY_NAME, &["accounts_name_key_key"]),
    ("by id", read::ACCOUNT_BY_ID, &["accounts_pkey"]),
    ("session", read::SESSION, &["accounts_pkey", "revoked_sessions_pkey"]),
    ("token", read::TOKEN, &["tokens_hash_key", "accounts_"]),
    ("letter", read::ONE_LETTER, &["letters_pkey"]),
    ("status", read::OUTBOX_STATUS, &["letters_oldest", "letters_"]),
    ("gauges", stats::GAUGES, &["letters_waiting", "letters_oldest", "letters_claimed", "letters_ended"]),
    ("open", stats::OPEN, &["letters_oldest", "letters_waiting", "letters_claimed"]),
    ("sent", stats::SENT, &["letters_ended"]),
    ("codes", stats::DEAD_BY_CODE, &["letters_ended"]),
    ("replaced", operator::REPLACED_BY, &["letters_open", "letters_closed"]),
    ("purge of letters", operator::PURGE_LETTERS, &["letters_ended", "letters_pkey"]),
    ("purge of tokens", operator::PURGE_TOKENS, &["tokens_expires", "tokens_pkey", "letters_"]),
    ("purge of sessions", operator::PURGE_SESSIONS, &["revoked_sessions_expires"]),
    ("purge of audit", operator::PURGE_AUDIT, &["audit_at"]),
];

#[tokio::test]
async fn steps_and_reads_find_their_rows_by_index() {
    let few = MANY.replace("000) ", ") ");
    assert_ne!(few, MANY);
    for (known, (_store, client)) in
        [("many", many().await), ("few", fresh(&few).await), ("nothing", fresh("").await)]
    {
        let mut bad = Vec::new();
        for (name, sql, indexes) in STEPS {
            let plan = plan(&client, sql).await;
            if reads_all(&plan) || !indexes.iter().all(|index| plan.contains(index)) {
                bad.push(format!("{name} by {indexes:?}:\n{plan}"));
            }
        }
        assert!(bad.is_empty(), "{known} rows known:\n{}", bad.join("\n\n"));
    }
}

#[tokio::test]
async fn lists_are_read_in_their_order_or_from_few_rows() {
    let (_store, client) = many().await;
    let now = Timestamp::from_millis(1_795_000_000_000);
    let page = LetterFilter { limit: 50, ..LetterFilter::default() };
    let of = |state| LetterFilter { state: Some(state), ..page.clone() };
    let named = Some(NameKey::from_stored("a77@example.org".to_owned()));
    let before = Some(LetterId::from_bytes([1; 16]));
    // In order: no sort. Of few: sorted, and so never the whole table in the order of the list.
    let lists = [
        (page.clone(), "letters_pkey", false),
        (LetterFilter { before, ..page.clone() }, "letters_pkey", false),
        (LetterFilter { from: Some(now), until: Some(now), ..page.clone() }, "letters_pkey", false),
        (LetterFilter { purpose: Some(Purpose::Confirm), ..page.clone() }, "letters_pkey", false),
        (of(LetterState::Sent), "letters_pkey", false),
        (of(LetterState::Dead), "letters_failed", false),
        (of(LetterState::Expired), "letters_failed", false),
        (of(LetterState::Superseded), "letters_failed", false),
        (of(LetterState::Dropped), "letters_ended", true),
        (of(LetterState::Waiting), "letters_waiting", true),
        (of(LetterState::Claimed), "letters_claimed", true),
        (LetterFilter { name: named, ..page.clone() }, "letters_open", true),
    ];
    for (filter, index, sorts) in lists {
        let plan = plan(&client, &Search::of(&filter).sql("l.*", filter.limit)).await;
        assert!(
            plan.contains(index) && plan.contains("Sort") == sorts && !reads_all(&plan),
            "{index}:\n{plan}"
        );
    }
    let page = AccountFilter { limit: 50, ..AccountFilter::default() };
    let lists = [
        (page.clone(), "accounts_name_key_key"),
        (AccountFilter { is_confirmed: Some(false), ..page.clone() }, "accounts_name_key_key"),
        (AccountFilter { is_admin: Some(true), ..page.clone() }, "accounts_admins"),
        (
            AccountFilter { is_disabled: Some(true), is_admin: Some(false), ..page.clone() },
            "accounts_disabled",
        ),
    ];
    for (filter, index) in lists {
        let plan = plan(&client, &read::list_of(&filter)).await;
        assert!(plan.contains(index) && !reads_all(&plan), "{index}:\n{plan}");
    }
}

#[tokio::test]
async fn gauges_are_the_same_from_whichever_side_they_are_counted() {
    let (_store, client) = many().await;
    let row = "SELECT percentile_disc(0.3) WITHIN GROUP (ORDER BY due), count(*) FROM letters WHERE state = 'waiting'";
    let row = client.query_one(row, &[]).await.unwrap();
    let (now, waiting) = (Timestamp::from_millis(row.get(0)), row.get::<_, i64>(1) as u64);
    let counted =
        "SELECT count(*) FILTER (WHERE purpose = 'reset'), count(*) FILTER (WHERE purpose = 'confirm'),
                          count(*) FILTER (WHERE due > $1) FROM letters WHERE state = 'waiting'";
    let counted = client.query_one(counted, &[&now.as_millis()]).await.unwrap();
    let [resets, confirms, put_off] = [0, 1, 2].map(|at| counted.get::<_, i64>(at) as u64);
    let share = waiting * 3 / 10;
    // Enough for all that are put off; for those that are due alone; for neither.
    for few in [put_off, share + 1, share / 2].map(|few| few as usize) {
        let gauges = stats::gauges(&client, now, few).await.unwrap();
        assert_eq!(gauges.waiting, [resets, confirms, waiting - resets - confirms]);
        assert_eq!((gauges.due, gauges.put_off), (waiting - put_off, put_off), "{few}");
    }
    client
        .batch_execute("UPDATE letters SET state = 'sent', ended = 0 WHERE state = 'waiting'")
        .await
        .unwrap();
    client.batch_execute("DELETE FROM letters WHERE state = 'claimed'").await.unwrap();
    let gauges = stats::gauges(&client, now, 10).await.unwrap();
    assert_eq!((gauges.waiting, gauges.claimed), ([0; 3], 0));
}
