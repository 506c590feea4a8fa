//! Steps that make accounts under identities that are given: whose they were before counts.

use std::collections::HashMap;

use deadpool_postgres::Transaction;
use regain_core::store::{Added, Put, PutAccount};
use regain_core::{AccountId, AccountRecord, Address, PasswordHash, Timestamp};

use super::parts::{LOCK_NAMES, audit, forget_dropped};
use crate::postgres::error::StepError;
use crate::postgres::rows::{account, account_columns, get};

/// Makes the account of a name, or changes what is kept with it.
pub(crate) async fn put_account(
    t: &Transaction<'_>,
    put: &PutAccount,
    now: Timestamp,
) -> Result<Put, StepError> {
    let new = AccountRecord {
        is_admin: put.is_admin.unwrap_or(false),
        is_confirmed: put.is_confirmed.unwrap_or(false),
        metadata: put.metadata.clone(),
        ..AccountRecord::new(put.id_if_new.clone(), put.name.clone())
    };
    let find = t.prepare_cached("SELECT id FROM accounts WHERE name_key = $1 FOR NO KEY UPDATE").await?;
    loop {
        if let Some(row) = t.query_opt(&find, &[&put.name.key().as_str()]).await? {
            let there = AccountId::from_stored(get::<String>(&row, 0)?);
            if put.id.as_ref().is_some_and(|id| *id != there) {
                return Ok(Put::OtherId);
            }
            return change(t, &there, put, now).await;
        }
        match add_accounts(t, std::slice::from_ref(&new), now).await?.first() {
            Some(Added::Added) => break,
            Some(Added::IdTaken) => return Ok(Put::OtherId),
            // Another has made it since the look.
            _ => {}
        }
    }
    let read =
        t.prepare_cached(concat!("SELECT ", account_columns!(), " FROM accounts a WHERE a.id = $1")).await?;
    Ok(Put::Created(account(&t.query_one(&read, &[&new.id.as_str()]).await?, 0)?))
}

async fn change(
    t: &Transaction<'_>,
    id: &AccountId,
    put: &PutAccount,
    now: Timestamp,
) -> Result<Put, StepError> {
    let update = t.prepare_cached(CHANGE).await?;
    let metadata = put.metadata.to_stored();
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 5] =
        [&id.as_str(), &put.is_admin, &put.is_confirmed, &metadata, &now.as_millis()];
    Ok(Put::Updated(account(&t.query_one(&update, &parameters).await?, 0)?))
}

const CHANGE: &str = concat!(
    "WITH changed AS (
         UPDATE accounts a SET is_admin = coalesce($2, is_admin), is_confirmed = coalesce($3, is_confirmed), metadata = $4
         WHERE id = $1 RETURNING ",
    account_columns!(),
    "), ",
    audit!("'account_changed'" of "changed" at "$5"),
    " SELECT * FROM changed"
);

/// Adds accounts, each where neither its identity nor its name is another's: one that comes before it here, too.
pub(crate) async fn add_accounts(
    t: &Transaction<'_>,
    new: &[AccountRecord],
    now: Timestamp,
) -> Result<Vec<Added>, StepError> {
    let lock = t.prepare_cached(LOCK_NAMES).await?;
    let keys: Vec<&str> = new.iter().map(|record| record.name.key().as_str()).collect();
    t.execute(&lock, &[&keys]).await?;
    let mut answers: Vec<Option<Added>> = vec![None; new.len()];
    loop {
        let missing: Vec<usize> = (0..new.len()).filter(|at| answers[*at].is_none()).collect();
        if missing.is_empty() {
            return Ok(answers.into_iter().flatten().collect());
        }
        let records: Vec<&AccountRecord> = missing.iter().map(|at| &new[*at]).collect();
        let added = insert(t, &records, now).await?;
        // What stood in the way of one may be gone by now: that one is tried again.
        for (at, answer) in missing.into_iter().zip(why_not(t, &records, &added).await?) {
            answers[at] = answer;
        }
    }
}

/// Inserts those that meet no other. Answers for each whether it did.
async fn insert(t: &Transaction<'_>, new: &[&AccountRecord], now: Timestamp) -> Result<Vec<bool>, StepError> {
    let insert = t.prepare_cached(INSERT).await?;
    let columns = Columns::of(new);
    let rows = t
        .query(
            &insert,
            &[
                &columns.id,
                &columns.name,
                &columns.name_key,
                &columns.address,
                &columns.password,
                &columns.is_admin,
                &columns.is_confirmed,
                &columns.is_disabled,
                &columns.metadata,
                &columns.generation,
                &now.as_millis(),
            ],
        )
        .await?;
    let mut places: HashMap<(&str, &str), usize> = HashMap::with_capacity(new.len());
    for (at, record) in new.iter().enumerate() {
        places.entry((record.id.as_str(), record.name.key().as_str())).or_insert(at);
    }
    let mut added = vec![false; new.len()];
    let (mut ids, mut keys) = (Vec::with_capacity(rows.len()), Vec::with_capacity(rows.len()));
    for row in &rows {
        let (id, key): (&str, &str) = (get(row, 0)?, get(row, 1)?);
        ids.push(id);
        keys.push(key);
        if let Some(at) = places.get(&(id, key)) {
            added[*at] = true;
        }
    }
    let settle = t.prepare_cached(SETTLE_IN).await?;
    t.execute(&settle, &[&ids, &keys, &now.as_millis()]).await?;
    Ok(added)
}

/// In their order: of two that meet here, the first is added.
const INSERT: &str = "INSERT INTO accounts
         (id, name, name_key, address, password, is_admin, is_confirmed, is_disabled, metadata, generation, created)
     SELECT id, name, name_key, address, password, is_admin, is_confirmed, is_disabled, metadata, generation, $11
     FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::boolean[],
                 $8::boolean[], $9::text[], $10::bigint[])
         WITH ORDINALITY
         AS new (id, name, name_key, address, password, is_admin, is_confirmed, is_disabled, metadata, generation, place)
     ORDER BY place
     ON CONFLICT DO NOTHING
     RETURNING id, name_key";

/// What follows once accounts are in. Only now is it certain that whoever had their identities is gone, and how far its
/// generation had come: the statement that adds them may have waited for the one that deletes it.
pub(super) const SETTLE_IN: &str = concat!(
    "WITH raised AS (
         UPDATE accounts SET generation = gone.generation + 1 FROM deleted_accounts gone
         WHERE accounts.id = ANY($1) AND gone.id = accounts.id AND accounts.generation <= gone.generation
     ), ",
    forget_dropped!("$2::text[]" if "TRUE"),
    ", ",
    audit!("'account_created'" of "unnest($1::text[]) id" at "$3"),
    " SELECT 1"
);

/// What came of each: of those that were not added, why; `None` where nothing stands in the way any more.
async fn why_not(
    t: &Transaction<'_>,
    new: &[&AccountRecord],
    added: &[bool],
) -> Result<Vec<Option<Added>>, StepError> {
    let refused: Vec<usize> = (0..new.len()).filter(|at| !added[*at]).collect();
    let mut answers: Vec<Option<Added>> = added.iter().map(|added| added.then_some(Added::Added)).collect();
    if refused.is_empty() {
        return Ok(answers);
    }
    let ids: Vec<&str> = refused.iter().map(|at| new[*at].id.as_str()).collect();
    let keys: Vec<&str> = refused.iter().map(|at| new[*at].name.key().as_str()).collect();
    let look = t.prepare_cached(WHY_NOT).await?;
    for (at, row) in refused.into_iter().zip(t.query(&look, &[&ids, &keys]).await?) {
        let owner: Option<&str> = get(&row, 0)?;
        answers[at] = match owner {
            Some(owner) if owner == new[at].id.as_str() => Some(Added::AlreadyThere),
            Some(_) => Some(Added::NameTaken),
            None => get::<bool>(&row, 1)?.then_some(Added::IdTaken),
        };
    }
    Ok(answers)
}

pub(super) const WHY_NOT: &str = "SELECT (SELECT id FROM accounts a WHERE a.name_key = refused.name_key),
            EXISTS (SELECT FROM accounts a WHERE a.id = refused.id)
     FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS refused (id, name_key, place) ORDER BY place";

/// Accounts, column by column.
#[derive(Default)]
struct Columns<'a> {
    id: Vec<&'a str>,
    name: Vec<&'a str>,
    name_key: Vec<&'a str>,
    address: Vec<Option<&'a str>>,
    password: Vec<Option<&'a str>>,
    is_admin: Vec<bool>,
    is_confirmed: Vec<bool>,
    is_disabled: Vec<bool>,
    metadata: Vec<String>,
    generation: Vec<i64>,
}

impl<'a> Columns<'a> {
    fn of(new: &[&'a AccountRecord]) -> Self {
        let mut columns = Self::default();
        for record in new {
            columns.id.push(record.id.as_str());
            columns.name.push(record.name.as_str());
            columns.name_key.push(record.name.key().as_str());
            columns.address.push(record.name.address().map(Address::as_str));
            columns.password.push(record.password.as_ref().map(PasswordHash::as_str));
            columns.is_admin.push(record.is_admin);
            columns.is_confirmed.push(record.is_confirmed);
            columns.is_disabled.push(record.is_disabled);
            columns.metadata.push(record.metadata.to_stored());
            columns.generation.push(i64::from(record.generation.0));
        }
        columns
    }
}
