//! Steps on accounts and sessions.

use deadpool_postgres::Transaction;
use regain_core::{AccountId, PasswordHash};

use crate::postgres::error::StepError;

/// Replaces a hash, where it is still the old one.
pub(crate) async fn rehash(
    t: &Transaction<'_>,
    id: &AccountId,
    old: &PasswordHash,
    new: &PasswordHash,
) -> Result<bool, StepError> {
    let update =
        t.prepare_cached("UPDATE accounts SET password = $3 WHERE id = $1 AND password = $2").await?;
    let changed = t.execute(&update, &[&id.as_str(), &old.as_str(), &new.as_str()]).await?;
    Ok(changed > 0)
}
