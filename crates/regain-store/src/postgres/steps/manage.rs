//! Steps that administrators and operators take on accounts: delete, disable, and the administrator's token.

use deadpool_postgres::Object;
use regain_core::store::{AdminStanding, Deleted, HeldSession};
use regain_core::{AccountId, SessionId, Timestamp};

use super::parts::{LOCK_ACCOUNT, audit, end_letters, forget_dropped, held, name_lock, session_holds};
use super::trip::{in_one_trip, only};
use crate::postgres::error::StepError;
use crate::postgres::rows::get;

/// Removes an account, where the session that asks for it still holds. What was on its way to it ends.
pub(crate) async fn delete_account(
    client: &Object,
    id: &AccountId,
    by: Option<&HeldSession>,
    now: Timestamp,
) -> Result<Deleted, StepError> {
    let id = id.as_str();
    let (session, generation) = held(by);
    let rows = in_one_trip(
        client,
        &[(LOCK_TO_DELETE, &[&id]), (DELETE, &[&id, &session, &generation, &now.as_millis()])],
    )
    .await?;
    let row = only(&rows)?;
    Ok(match (get(row, 0)?, get(row, 1)?) {
        (true, _) => Deleted::Deleted,
        (false, true) => Deleted::SessionEnded,
        (false, false) => Deleted::Unknown,
    })
}

const LOCK_TO_DELETE: &str = "SELECT 1 FROM accounts WHERE id = $1 FOR UPDATE";

pub(super) const DELETE: &str = concat!(
    "WITH owner AS (
         DELETE FROM accounts WHERE id = $1 AND ($2::bytea IS NULL OR (NOT is_disabled AND ",
    session_holds!("$2" of "$3"),
    "))
         RETURNING id, name_key, generation
     ), remembered AS (
         INSERT INTO deleted_accounts (id, generation) SELECT id, generation FROM owner
         ON CONFLICT (id) DO UPDATE SET generation = greatest(deleted_accounts.generation, excluded.generation)
     ), voided AS (
         UPDATE tokens SET used = $4 FROM owner WHERE tokens.account = owner.id AND tokens.used IS NULL
     ), dropped AS (
         UPDATE letters
         SET state = 'dropped', ended = $4, claim = NULL, lease = NULL, last_error = 'the account was deleted'
         FROM owner
         WHERE letters.purpose IN ('reset', 'confirm', 'password_changed') AND letters.name_key = owner.name_key
           AND letters.ended IS NULL AND (letters.account IS NULL OR letters.account = owner.id)
     ), ",
    audit!("'account_deleted'" of "owner" at "$4"),
    " SELECT EXISTS (SELECT FROM owner), EXISTS (SELECT FROM accounts WHERE id = $1)"
);

/// Disables or enables an account.
pub(crate) async fn set_disabled(
    client: &Object,
    id: &AccountId,
    is_disabled: bool,
    now: Timestamp,
) -> Result<bool, StepError> {
    let id = id.as_str();
    let change = if is_disabled { DISABLE } else { ENABLE };
    let rows = in_one_trip(
        client,
        &[(LOCK_NAME_OF, &[&id]), (LOCK_ACCOUNT, &[&id]), (change, &[&id, &now.as_millis()])],
    )
    .await?;
    get(only(&rows)?, 0)
}

/// As [`LOCK_NAMES`](super::parts::LOCK_NAMES), of an account.
pub(super) const LOCK_NAME_OF: &str =
    concat!("SELECT pg_advisory_xact_lock(", name_lock!("name_key"), ") FROM accounts WHERE id = $1");

pub(super) const DISABLE: &str = concat!(
    "WITH owner AS (
         UPDATE accounts SET is_disabled = true, generation = generation + 1, kept_session = NULL
         WHERE id = $1 AND NOT is_disabled
         RETURNING id, name_key
     ), voided AS (
         UPDATE tokens SET used = $2 FROM owner WHERE tokens.account = owner.id AND tokens.used IS NULL
     ), ",
    end_letters!("'reset', 'confirm'" at "$2"),
    ", ",
    audit!("'account_disabled'" of "owner" at "$2"),
    " SELECT EXISTS (SELECT FROM accounts WHERE id = $1)"
);

pub(super) const ENABLE: &str = concat!(
    "WITH owner AS (
         UPDATE accounts SET is_disabled = false WHERE id = $1 AND is_disabled RETURNING id, name_key
     ), ",
    forget_dropped!("ARRAY(SELECT name_key FROM owner)" if "TRUE"),
    ", ",
    audit!("'account_enabled'" of "owner" at "$2"),
    " SELECT EXISTS (SELECT FROM accounts WHERE id = $1)"
);

/// Makes an account an administrator's, or not any more.
pub(crate) async fn set_admin(
    client: &Object,
    id: &AccountId,
    is_admin: bool,
    now: Timestamp,
) -> Result<bool, StepError> {
    let update = client.prepare_cached(SET_ADMIN).await?;
    let row = client.query_one(&update, &[&id.as_str(), &is_admin, &now.as_millis()]).await?;
    get(&row, 0)
}

const SET_ADMIN: &str = concat!(
    "WITH owner AS (
         UPDATE accounts SET is_admin = $2 WHERE id = $1 RETURNING id
     ), ",
    audit!("CASE WHEN $2 THEN 'admin_granted' ELSE 'admin_revoked' END" of "owner" at "$3"),
    " SELECT EXISTS (SELECT FROM owner)"
);

/// Puts an administrator's token in force.
pub(crate) async fn put_admin_token(
    client: &Object,
    id: &SessionId,
    replace: bool,
    now: Timestamp,
) -> Result<bool, StepError> {
    let id = id.0.as_slice();
    // Looked at in a second statement: the first cannot see what another has put while it waited.
    let rows =
        in_one_trip(client, &[(PUT_ADMIN_TOKEN, &[&id, &replace, &now.as_millis()]), (ADMIN_TOKEN, &[&id])])
            .await?;
    Ok(!rows.is_empty())
}

/// The account is whose the administrator's token is, for the audit trail.
const PUT_ADMIN_TOKEN: &str = concat!(
    "WITH put AS (
         INSERT INTO meta (key, value) VALUES ('admin_token', upper(encode($1, 'hex')))
         ON CONFLICT (key) DO UPDATE SET value = excluded.value WHERE $2 AND meta.value <> excluded.value
         RETURNING '__admin' AS id
     ), ",
    audit!("'admin_token_made'" of "put" at "$3"),
    " SELECT 1"
);

/// What is known of an administrator's token.
pub(crate) async fn admin_token(client: &Object, id: &SessionId) -> Result<AdminStanding, StepError> {
    let select = client.prepare_cached(ADMIN_TOKEN).await?;
    let row = client.query_opt(&select, &[&id.0.as_slice()]).await?;
    Ok(match row.map(|row| get(&row, 0)).transpose()? {
        None => AdminStanding::Unknown,
        Some(true) => AdminStanding::Revoked,
        Some(false) => AdminStanding::InForce,
    })
}

const ADMIN_TOKEN: &str = "SELECT EXISTS (SELECT FROM revoked_sessions WHERE session = $1)
     FROM meta WHERE key = 'admin_token' AND value = upper(encode($1, 'hex'))";
