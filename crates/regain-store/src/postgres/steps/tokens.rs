//! Steps that use tokens up. A token is marked, never removed, so that it cannot come back to life.
//!
//! The token's account is locked first: whatever voids its tokens, or ends what they are for, is before or after.

use deadpool_postgres::Object;
use regain_core::store::{CompleteReset, Confirmation};
use regain_core::{AccountId, Purpose, Timestamp, TokenHash};

use super::parts::{NoticeColumns, audit, end_letters, post_notice};
use super::trip::{in_one_trip, only};
use crate::postgres::error::StepError;
use crate::postgres::rows::get;

/// Uses a reset token up and sets the password.
pub(crate) async fn complete_reset(
    client: &Object,
    reset: &CompleteReset,
    now: Timestamp,
) -> Result<Option<AccountId>, StepError> {
    let hash = reset.token.0.as_slice();
    let purpose = Purpose::Reset.as_str();
    let notice = NoticeColumns::of(reset.notice.as_ref());
    let rows = in_one_trip(
        client,
        &[
            (LOCK_OWNER, &[&hash, &purpose]),
            (
                COMPLETE_RESET,
                &[
                    &hash,
                    &purpose,
                    &now.as_millis(),
                    &reset.new.as_str(),
                    &notice.id,
                    &notice.ip,
                    &notice.agent,
                    &notice.deadline,
                ],
            ),
        ],
    )
    .await?;
    rows.first().map(|row| get::<String>(row, 0).map(AccountId::from_stored)).transpose()
}

/// Uses a confirmation token up and marks its account confirmed.
pub(crate) async fn confirm_email(
    client: &Object,
    hash: &TokenHash,
    now: Timestamp,
) -> Result<Confirmation, StepError> {
    let hash = hash.0.as_slice();
    let purpose = Purpose::Confirm.as_str();
    let rows = in_one_trip(
        client,
        &[(LOCK_OWNER, &[&hash, &purpose]), (CONFIRM_EMAIL, &[&hash, &purpose, &now.as_millis()])],
    )
    .await?;
    let row = only(&rows)?;
    if let Some(account) = get::<Option<String>>(row, 0)? {
        return Ok(Confirmation::Confirmed(AccountId::from_stored(account)));
    }
    Ok(match get::<Option<bool>>(row, 1)? {
        Some(true) => Confirmation::Already,
        Some(false) => Confirmation::Refused,
        None => Confirmation::Unknown,
    })
}

/// Locks the account of a token that may be good. A token never gets another account.
pub(super) const LOCK_OWNER: &str = "SELECT 1 FROM accounts
     WHERE id = (SELECT account FROM tokens WHERE hash = $1 AND purpose = $2 AND used IS NULL) FOR NO KEY UPDATE";

/// Marks a token used, where it is good in this moment.
macro_rules! consume {
    () => {
        "consumed AS (
             UPDATE tokens SET used = $3
             WHERE hash = $1 AND purpose = $2 AND used IS NULL AND expires > $3
               AND EXISTS (SELECT FROM accounts a
                           WHERE a.id = tokens.account AND a.name_key = tokens.name_key AND NOT a.is_disabled)
             RETURNING account)"
    };
}

/// A statement may change a row once: the token itself is left to the first part.
pub(super) const COMPLETE_RESET: &str = concat!(
    "WITH ",
    consume!(),
    ", owner AS (
         UPDATE accounts SET password = $4, generation = generation + 1, kept_session = NULL FROM consumed
         WHERE accounts.id = consumed.account
         RETURNING accounts.id, name_key, address IS NOT NULL AS has_address
     ), voided AS (
         UPDATE tokens SET used = $3 FROM owner
         WHERE tokens.account = owner.id AND tokens.used IS NULL AND tokens.purpose = 'reset' AND tokens.hash <> $1
     ), ",
    end_letters!("'reset'" at "$3"),
    ", ",
    post_notice!("$5", "$6", "$7", "$8" at "$3" if "TRUE"),
    ", ",
    audit!("'password_reset'" of "owner" at "$3"),
    " SELECT id FROM owner"
);

/// Answers also how the token stood before: whether it was used, and its account is confirmed.
pub(super) const CONFIRM_EMAIL: &str = concat!(
    "WITH ",
    consume!(),
    ", owner AS (
         UPDATE accounts SET is_confirmed = true FROM consumed
         WHERE accounts.id = consumed.account
         RETURNING accounts.id, name_key
     ), ",
    end_letters!("'confirm'" at "$3"),
    ", ",
    audit!("'email_confirmed'" of "owner" at "$3"),
    " SELECT (SELECT id FROM owner),
             (SELECT t.used IS NOT NULL AND EXISTS (
                  SELECT FROM accounts a
                  WHERE a.id = t.account AND a.name_key = t.name_key AND a.is_confirmed AND NOT a.is_disabled)
              FROM tokens t WHERE t.hash = $1 AND t.purpose = $2)"
);
