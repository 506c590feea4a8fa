//! The reads. Each is one statement, so that it sees one state of the database.

use std::fmt::Write;

use deadpool_postgres::Object;
use regain_core::store::{AccountFilter, OutboxStatus, TokenStanding};
use regain_core::{Account, AccountId, Letter, LetterId, NameKey, Purpose, SessionId, Timestamp, TokenHash};
use tokio_postgres::types::ToSql;

use super::count;
use crate::postgres::error::StepError;
use crate::postgres::rows::{self, ACCOUNT_WIDTH, account, account_columns, get, letter, letter_columns};

/// The account of a name.
pub(crate) async fn account_by_name(client: &Object, name: &NameKey) -> Result<Option<Account>, StepError> {
    one_account(client, ACCOUNT_BY_NAME, &name.as_str()).await
}

/// The account of an identity.
pub(crate) async fn account_by_id(client: &Object, id: &AccountId) -> Result<Option<Account>, StepError> {
    one_account(client, ACCOUNT_BY_ID, &id.as_str()).await
}

async fn one_account(
    client: &Object,
    sql: &str,
    parameter: &(dyn ToSql + Sync),
) -> Result<Option<Account>, StepError> {
    let select = client.prepare_cached(sql).await?;
    client.query_opt(&select, &[parameter]).await?.map(|row| account(&row, 0)).transpose()
}

pub(super) const ACCOUNT_BY_NAME: &str =
    concat!("SELECT ", account_columns!(), " FROM accounts a WHERE a.name_key = $1");
pub(super) const ACCOUNT_BY_ID: &str =
    concat!("SELECT ", account_columns!(), " FROM accounts a WHERE a.id = $1");

/// Accounts in the order of their name keys.
pub(crate) async fn accounts(client: &Object, filter: &AccountFilter) -> Result<Vec<Account>, StepError> {
    // No name is empty.
    let after = filter.after.as_ref().map_or("", NameKey::as_str);
    client.query(&list_of(filter), &[&after]).await?.iter().map(|row| account(row, 0)).collect()
}

/// What is not asked for does not stand in it, nor is the limit a parameter: the planner looks at both.
pub(super) fn list_of(filter: &AccountFilter) -> String {
    let mut sql = concat!("SELECT ", account_columns!(), " FROM accounts a WHERE a.name_key > $1").to_owned();
    for (column, wanted) in [
        ("is_admin", filter.is_admin),
        ("is_disabled", filter.is_disabled),
        ("is_confirmed", filter.is_confirmed),
    ] {
        let not = match wanted {
            None => continue,
            Some(true) => "",
            Some(false) => "NOT ",
        };
        // Writing into a String cannot fail.
        let _ = write!(sql, " AND {not}a.{column}");
    }
    let _ = write!(sql, " ORDER BY a.name_key LIMIT {}", count(filter.limit));
    sql
}

/// The account of a session, and whether that session was revoked.
pub(crate) async fn session(
    client: &Object,
    id: &AccountId,
    session: &SessionId,
) -> Result<Option<(Account, bool)>, StepError> {
    let select = client.prepare_cached(SESSION).await?;
    let row = client.query_opt(&select, &[&id.as_str(), &session.0.as_slice()]).await?;
    row.map(|row| Ok((account(&row, 0)?, get(&row, ACCOUNT_WIDTH)?))).transpose()
}

pub(super) const SESSION: &str = concat!(
    "SELECT ",
    account_columns!(),
    ", EXISTS (SELECT FROM revoked_sessions WHERE session = $2) FROM accounts a WHERE a.id = $1"
);

/// What is known of a token.
pub(crate) async fn token(
    client: &Object,
    hash: &TokenHash,
    purpose: Purpose,
    now: Timestamp,
) -> Result<TokenStanding, StepError> {
    let select = client.prepare_cached(TOKEN).await?;
    let row = client.query_opt(&select, &[&hash.0.as_slice(), &purpose.as_str(), &now.as_millis()]).await?;
    Ok(match row.map(|row| get(&row, 0)).transpose()? {
        Some(true) => TokenStanding::Good,
        Some(false) => TokenStanding::Spent,
        None => TokenStanding::Unknown,
    })
}

pub(super) const TOKEN: &str = "SELECT t.used IS NULL AND t.expires > $3 AND EXISTS (
         SELECT FROM accounts a
         WHERE a.id = t.account AND a.name_key = t.name_key AND NOT a.is_disabled)
     FROM tokens t WHERE t.hash = $1 AND t.purpose = $2";

/// Counts of the outbox.
pub(crate) async fn outbox_status(client: &Object) -> Result<OutboxStatus, StepError> {
    let select = client.prepare_cached(OUTBOX_STATUS).await?;
    let row = client.query_one(&select, &[]).await?;
    Ok(OutboxStatus {
        open: u64::try_from(get::<i64>(&row, 0)?).unwrap_or(0),
        oldest: get::<Option<i64>>(&row, 1)?.map(Timestamp::from_millis),
        dead: rows::count(&row, 2)?,
    })
}

pub(super) const OUTBOX_STATUS: &str = "SELECT (SELECT sum(open)::bigint FROM outbox),
            (SELECT min(posted) FROM letters WHERE ended IS NULL AND posted >= 0),
            (SELECT count(*) FROM letters WHERE state = 'dead' AND ended >= 0)";

/// One letter.
pub(crate) async fn one_letter(client: &Object, id: LetterId) -> Result<Option<Letter>, StepError> {
    let select = client.prepare_cached(ONE_LETTER).await?;
    client.query_opt(&select, &[&id.as_bytes().as_slice()]).await?.map(|row| letter(&row)).transpose()
}

pub(super) const ONE_LETTER: &str = concat!("SELECT ", letter_columns!(), " FROM letters l WHERE l.id = $1");
