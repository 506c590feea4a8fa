//! From rows to the types of the core. A value that is none of theirs is an error of that row.

use regain_core::token::TokenKeyId;
use regain_core::{
    Account, AccountId, Address, Generation, Letter, LetterId, LetterState, Metadata, NameKey, PasswordHash,
    Purpose, SessionId, Timestamp, UserAgent,
};
use rusqlite::types::Type;
use rusqlite::{Error, Row};

pub(crate) use crate::columns::{ACCOUNT_WIDTH, LETTER_WIDTH, account_columns, letter_columns};

/// Reads a letter, from the row's first column on. A client's address that is none is left out: the mail can do without.
pub(crate) fn letter(row: &Row<'_>) -> rusqlite::Result<Letter> {
    let ip = row.get_ref(4)?.as_str_or_null()?;
    let agent = row.get_ref(5)?.as_str_or_null()?;
    Ok(Letter {
        id: LetterId::from_bytes(row.get(0)?),
        purpose: purpose(row, 1)?,
        name_key: NameKey::from_stored(row.get::<_, String>(2)?),
        account: row.get::<_, Option<String>>(3)?.map(AccountId::from_stored),
        ip: ip.and_then(|ip| ip.parse().ok()),
        agent: agent.and_then(UserAgent::parse),
        posted: time(row, 6)?,
        deadline: time(row, 7)?,
        due: time(row, 8)?,
        attempts: row.get(9)?,
        crashes: row.get(17)?,
        repeats: row.get(10)?,
        state: LetterState::from_word(row.get_ref(11)?.as_str()?).ok_or_else(|| unreadable(11))?,
        ended: row.get::<_, Option<i64>>(12)?.map(Timestamp::from_millis),
        last_error: row.get(13)?,
        relay_reply: row.get(14)?,
        token_key: row.get::<_, Option<[u8; 8]>>(15)?.map(TokenKeyId),
        replaces: row.get::<_, Option<[u8; 16]>>(16)?.map(LetterId::from_bytes),
    })
}

/// Reads an account, from column `at` on.
pub(crate) fn account(row: &Row<'_>, at: usize) -> rusqlite::Result<Account> {
    let address = row.get_ref(at + 3)?.as_str_or_null()?;
    Ok(Account {
        id: AccountId::from_stored(row.get::<_, String>(at)?),
        name: row.get(at + 1)?,
        name_key: NameKey::from_stored(row.get::<_, String>(at + 2)?),
        address: address.and_then(Address::from_stored),
        password: row.get::<_, Option<String>>(at + 4)?.map(PasswordHash::from_stored),
        generation: Generation(row.get(at + 5)?),
        kept_session: row.get::<_, Option<[u8; 32]>>(at + 6)?.map(SessionId),
        is_admin: row.get(at + 7)?,
        is_confirmed: row.get(at + 8)?,
        is_disabled: row.get(at + 9)?,
        metadata: Metadata::from_stored(row.get_ref(at + 10)?.as_str()?)
            .ok_or_else(|| unreadable(at + 10))?,
        created: time(row, at + 11)?,
    })
}

/// Reads a point in time.
pub(crate) fn time(row: &Row<'_>, at: usize) -> rusqlite::Result<Timestamp> {
    row.get(at).map(Timestamp::from_millis)
}

/// Reads a purpose.
pub(crate) fn purpose(row: &Row<'_>, at: usize) -> rusqlite::Result<Purpose> {
    Purpose::from_word(row.get_ref(at)?.as_str()?).ok_or_else(|| unreadable(at))
}

fn unreadable(column: usize) -> Error {
    Error::InvalidColumnType(column, String::new(), Type::Text)
}
