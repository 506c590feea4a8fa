//! Steps on accounts and sessions.

use std::time::Duration;

use deadpool_postgres::Object;
use regain_core::account::NewAccount;
use regain_core::letter::NewLetter;
use regain_core::store::{PasswordChange, Registered};
use regain_core::{AccountId, Address, PasswordHash, SessionId, Timestamp, UserAgent};

use super::parts::{
    LOCK_ACCOUNT, LOCK_NAMES, NoticeColumns, audit, end_letters, forget_dropped, held, post_notice,
    session_holds,
};
use super::trip::{in_one_trip, only};
use crate::postgres::error::StepError;
use crate::postgres::rows::get;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Adds an account and its letter, or nothing where the name is taken.
pub(crate) async fn register(
    client: &Object,
    new: &NewAccount,
    letter: Option<&NewLetter>,
    now: Timestamp,
) -> Result<Registered, StepError> {
    let (id, key, now) = (new.id.as_str(), new.name.key().as_str(), now.as_millis());
    let address = new.name.address().map(Address::as_str);
    let letter_id = letter.map(|letter| letter.id.as_bytes().as_slice());
    let purpose = letter.map(|letter| letter.purpose.as_str());
    let letter_key = letter.map(|letter| letter.name_key.as_str());
    let ip = letter.and_then(|letter| letter.ip).map(|ip| ip.to_string());
    let agent = letter.and_then(|letter| letter.agent.as_ref()).map(UserAgent::as_str);
    let posted = letter.map(|letter| letter.posted.as_millis());
    let deadline = letter.map(|letter| letter.deadline.as_millis());
    // The same work whether the name is taken or not: where both get the same answer, time must not tell.
    let rows = in_one_trip(
        client,
        &[
            (LOCK_NAMES, &[&vec![key]]),
            (ADD, &[&id, &new.name.as_str(), &key, &address, &new.password.as_str(), &now]),
            (
                REGISTER,
                &[&id, &key, &now, &letter_id, &purpose, &letter_key, &ip, &agent, &posted, &deadline],
            ),
        ],
    )
    .await?;
    Ok(if get(only(&rows)?, 0)? { Registered::Created } else { Registered::NameTaken })
}

const ADD: &str = "INSERT INTO accounts (id, name, name_key, address, password, created)
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name_key) DO NOTHING";

/// The identity is a new one, so an account of it is the one just added.
pub(super) const REGISTER: &str = concat!(
    "WITH added AS (
         SELECT id FROM accounts WHERE id = $1
     ), named AS (
         SELECT id FROM accounts WHERE name_key = $2
     ), ",
    forget_dropped!("ARRAY[$2]" if "EXISTS (SELECT FROM added)"),
    ", posted AS (
         INSERT INTO letters (id, purpose, name_key, account, ip, agent, posted, deadline, due)
         SELECT $4::bytea, $5::text, $6::text, id, $7::text, $8::text, $9::bigint, $10::bigint, $9::bigint
         FROM added WHERE $4::bytea IS NOT NULL
     ), ",
    audit!("CASE WHEN id = $1 THEN 'registered' ELSE 'registered_again' END" of "named" at "$3"),
    " SELECT EXISTS (SELECT FROM added)"
);

/// Replaces a hash, where it is still the old one.
pub(crate) async fn rehash(
    client: &Object,
    id: &AccountId,
    old: &PasswordHash,
    new: &PasswordHash,
) -> Result<bool, StepError> {
    let update =
        client.prepare_cached("UPDATE accounts SET password = $3 WHERE id = $1 AND password = $2").await?;
    let changed = client.execute(&update, &[&id.as_str(), &old.as_str(), &new.as_str()]).await?;
    Ok(changed > 0)
}

/// Sets a password, where the session that asks for it still holds.
pub(crate) async fn change_password(
    client: &Object,
    change: &PasswordChange,
    now: Timestamp,
) -> Result<bool, StepError> {
    let id = change.account.as_str();
    let (session, generation) = held(change.by.as_ref());
    let notice = NoticeColumns::of(change.notice.as_ref());
    let (since, now) = (now.minus(DAY).as_millis(), now.as_millis());
    let notices = i64::from(change.notices_if_unconfirmed);
    let rows = in_one_trip(
        client,
        &[
            (LOCK_ACCOUNT, &[&id]),
            (
                CHANGE_PASSWORD,
                &[
                    &id,
                    &change.new.as_str(),
                    &session,
                    &generation,
                    &now,
                    &notice.id,
                    &notice.ip,
                    &notice.agent,
                    &notice.deadline,
                    &since,
                    &notices,
                ],
            ),
        ],
    )
    .await?;
    Ok(!rows.is_empty())
}

/// Notices of a day are counted in two halves, so that each has its index. A letter never ends before it was posted. What a
/// clock that was wrong has posted more than a day ahead is as if it were not there.
pub(super) const CHANGE_PASSWORD: &str = concat!(
    "WITH owner AS (
         UPDATE accounts SET password = $2, generation = generation + 1, kept_session = $3
         WHERE id = $1 AND NOT is_disabled AND ($3::bytea IS NULL OR (",
    session_holds!("$3" of "$4"),
    "))
         RETURNING id, name_key, address IS NOT NULL AS has_address, is_confirmed
     ), voided AS (
         UPDATE tokens SET used = $5 FROM owner
         WHERE tokens.account = owner.id AND tokens.used IS NULL AND tokens.purpose = 'reset'
     ), ",
    end_letters!("'reset'" at "$5"),
    ", ",
    post_notice!("$6", "$7", "$8", "$9" at "$5" if "(is_confirmed OR $11::bigint > (
         SELECT count(*) FROM letters
         WHERE purpose = 'password_changed' AND name_key = owner.name_key AND ended IS NULL AND posted > $10
           AND posted <= 2 * $5 - $10
     ) + (
         SELECT count(*) FROM letters
         WHERE purpose = 'password_changed' AND name_key = owner.name_key AND ended > $10 AND posted > $10
           AND posted <= 2 * $5 - $10))"),
    ", ",
    audit!("'password_changed'" of "owner" at "$5"),
    " SELECT 1 FROM owner"
);

/// Remembers that a session was revoked.
pub(crate) async fn revoke(
    client: &Object,
    session: &SessionId,
    account: &AccountId,
    expires: Timestamp,
    now: Timestamp,
) -> Result<(), StepError> {
    let revoke = client.prepare_cached(REVOKE).await?;
    let session = session.0.as_slice();
    client.execute(&revoke, &[&session, &account.as_str(), &expires.as_millis(), &now.as_millis()]).await?;
    Ok(())
}

const REVOKE: &str = concat!(
    "WITH revoked AS (
         INSERT INTO revoked_sessions (session, account, expires) VALUES ($1, $2, $3)
         ON CONFLICT (session) DO NOTHING RETURNING account AS id
     ), ",
    audit!("'session_revoked'" of "revoked" at "$4"),
    " SELECT 1"
);
