//! Which keys the processes over this database have agreed on: two rows of `meta`, with fingerprints alone.

use std::collections::HashMap;

use regain_core::keys::{KeyAgreement, KeyIntent, KeyKind, KeyOffer, RememberedKeys, judge};
use regain_core::{AccountId, Timestamp};
use rusqlite::types::Type;
use rusqlite::{Connection, Error};

use super::audit;
use super::manage::BUILTIN_ADMIN;

/// Compares the keys of a process with those that are remembered; writes nothing.
pub(crate) fn ask(c: &Connection, offer: &KeyOffer, intent: KeyIntent) -> rusqlite::Result<KeyAgreement> {
    Ok(judged(c, offer, intent)?.0)
}

/// Compares the keys of a process with those that are remembered, and remembers what has changed.
pub(crate) fn agree(
    c: &Connection,
    offer: &KeyOffer,
    intent: KeyIntent,
    now: Timestamp,
) -> rusqlite::Result<KeyAgreement> {
    let (agreement, changes) = judged(c, offer, intent)?;
    if agreement.is_refused() {
        return Ok(agreement);
    }
    for (kind, after) in changes {
        c.prepare_cached(
            "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        )?
        .execute((kind.as_str(), after.to_string()))?;
        audit(c, &AccountId::from_stored(BUILTIN_ADMIN), &format!("{}_remembered", kind.as_str()), now)?;
    }
    Ok(agreement)
}

fn judged(
    c: &Connection,
    offer: &KeyOffer,
    intent: KeyIntent,
) -> rusqlite::Result<(KeyAgreement, Vec<(KeyKind, RememberedKeys)>)> {
    let mut remembered = remembered(c)?;
    let mut one = |kind| judge(remembered.remove(&kind).as_ref(), offer.of(kind), intent);
    let (token, token_after) = one(KeyKind::Token);
    let (signing, signing_after) = one(KeyKind::Signing);
    let changes = [(KeyKind::Token, token_after), (KeyKind::Signing, signing_after)];
    let changes = changes.into_iter().filter_map(|(kind, after)| Some((kind, after?))).collect();
    Ok((KeyAgreement { token, signing }, changes))
}

fn remembered(c: &Connection) -> rusqlite::Result<HashMap<KeyKind, RememberedKeys>> {
    let [token, signing] = KeyKind::ALL;
    let mut statement = c.prepare_cached("SELECT key, value FROM meta WHERE key IN (?1, ?2)")?;
    let rows = statement.query_map((token.as_str(), signing.as_str()), |row| {
        let kind = if row.get_ref(0)?.as_str()? == token.as_str() { token } else { signing };
        let unreadable = || Error::InvalidColumnType(1, String::new(), Type::Text);
        Ok((kind, RememberedKeys::from_stored(row.get_ref(1)?.as_str()?).ok_or_else(unreadable)?))
    })?;
    rows.collect()
}
