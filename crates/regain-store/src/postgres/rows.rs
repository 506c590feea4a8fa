//! From rows to the types of the core. A value that is none of theirs is an error of that row.

use regain_core::token::TokenKeyId;
use regain_core::{
    Account, AccountId, Address, Generation, Letter, LetterId, LetterState, Metadata, NameKey, PasswordHash,
    Purpose, SessionId, Timestamp, UserAgent,
};
use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::error::StepError;

pub(crate) use crate::columns::{ACCOUNT_WIDTH, LETTER_WIDTH, account_columns, letter_columns};

/// Reads a letter, from the row's first column on. A client's address that is none is left out: the mail can do without.
pub(crate) fn letter(row: &Row) -> Result<Letter, StepError> {
    let ip: Option<&str> = get(row, 4)?;
    let agent: Option<&str> = get(row, 5)?;
    Ok(Letter {
        id: LetterId::from_bytes(bytes(row, 0)?),
        purpose: purpose(row, 1)?,
        name_key: NameKey::from_stored(get::<String>(row, 2)?),
        account: get::<Option<String>>(row, 3)?.map(AccountId::from_stored),
        ip: ip.and_then(|ip| ip.parse().ok()),
        agent: agent.and_then(UserAgent::parse),
        posted: time(row, 6)?,
        deadline: time(row, 7)?,
        due: time(row, 8)?,
        attempts: small(row, 9)?,
        crashes: small(row, 17)?,
        repeats: small(row, 10)?,
        state: LetterState::from_word(get(row, 11)?).ok_or_else(|| unreadable(11))?,
        ended: get::<Option<i64>>(row, 12)?.map(Timestamp::from_millis),
        last_error: get(row, 13)?,
        relay_reply: get(row, 14)?,
        token_key: optional_bytes(row, 15)?.map(TokenKeyId),
        replaces: optional_bytes(row, 16)?.map(LetterId::from_bytes),
    })
}

/// Reads an account, from column `at` on.
pub(crate) fn account(row: &Row, at: usize) -> Result<Account, StepError> {
    let address: Option<&str> = get(row, at + 3)?;
    Ok(Account {
        id: AccountId::from_stored(get::<String>(row, at)?),
        name: get(row, at + 1)?,
        name_key: NameKey::from_stored(get::<String>(row, at + 2)?),
        address: address.and_then(Address::from_stored),
        password: get::<Option<String>>(row, at + 4)?.map(PasswordHash::from_stored),
        generation: Generation(small(row, at + 5)?),
        kept_session: optional_bytes(row, at + 6)?.map(SessionId),
        is_admin: get(row, at + 7)?,
        is_confirmed: get(row, at + 8)?,
        is_disabled: get(row, at + 9)?,
        metadata: Metadata::from_stored(get(row, at + 10)?).ok_or_else(|| unreadable(at + 10))?,
        created: time(row, at + 11)?,
    })
}

/// Reads a value.
pub(crate) fn get<'a, T: FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, StepError> {
    row.try_get(at).map_err(|_| unreadable(at))
}

/// Reads a point in time.
pub(crate) fn time(row: &Row, at: usize) -> Result<Timestamp, StepError> {
    get(row, at).map(Timestamp::from_millis)
}

/// Reads a purpose.
pub(crate) fn purpose(row: &Row, at: usize) -> Result<Purpose, StepError> {
    Purpose::from_word(get(row, at)?).ok_or_else(|| unreadable(at))
}

/// Reads an identity, a hash or the like, whose length is fixed.
pub(crate) fn bytes<const N: usize>(row: &Row, at: usize) -> Result<[u8; N], StepError> {
    get::<&[u8]>(row, at)?.try_into().map_err(|_| unreadable(at))
}

/// The same, where there may be none.
pub(crate) fn optional_bytes<const N: usize>(row: &Row, at: usize) -> Result<Option<[u8; N]>, StepError> {
    get::<Option<&[u8]>>(row, at)?.map(|value| value.try_into().map_err(|_| unreadable(at))).transpose()
}

/// Reads a number that the core keeps in 32 bits.
pub(crate) fn small(row: &Row, at: usize) -> Result<u32, StepError> {
    u32::try_from(get::<i64>(row, at)?).map_err(|_| unreadable(at))
}

/// Reads a count.
pub(crate) fn count(row: &Row, at: usize) -> Result<u64, StepError> {
    u64::try_from(get::<i64>(row, at)?).map_err(|_| unreadable(at))
}

fn unreadable(column: usize) -> StepError {
    StepError::Row(format!("column {column}"))
}
