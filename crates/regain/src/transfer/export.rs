//! The inverse of an import: every account as a line, in the order of the name keys.

use std::io::{self, Write};

use regain_core::store::AccountFilter;
use regain_core::{Store, StoreError};

use super::record;

/// So many accounts are read in one step.
const PAGE: usize = 1_000;

/// Why not all was written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// What it is written to is full or closed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes all accounts, with their hashes, and answers how many. Blocks on `out`, which is flushed at the end.
///
/// Accounts that are made or deleted meanwhile may be in it or not; every line is an account as it was at one moment.
///
/// # Errors
/// See [`ExportError`].
pub async fn export(store: &dyn Store, out: &mut dyn Write) -> Result<u64, ExportError> {
    let mut count = 0;
    let mut after = None;
    loop {
        let page = store.accounts(AccountFilter { after, limit: PAGE, ..AccountFilter::default() }).await?;
        for account in &page {
            writeln!(out, "{}", record::line_of(account).map_err(io::Error::from)?)?;
        }
        count += page.len() as u64;
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.name_key.clone()),
            _ => break,
        }
    }
    out.flush()?;
    Ok(count)
}
