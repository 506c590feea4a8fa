//! Each whole step of the port as SQL: one statement, or what runs inside one transaction.
//!
//! Locks are taken in this order, so that steps seldom wait in a circle: advisory locks by their number, accounts by
//! identity, letters by identity, tokens. PostgreSQL ends those that do, and they are done again. A claim, which has letters in
//! its hands when it needs the locks of names, does not wait for those.
//!
//! A statement sees what was committed when it began, also where it then waits for a row. So whoever decides by more than the
//! row that it changes locks that first, in a statement of its own. An account's row is the lock of all that is its own: its
//! tokens, its letters, the notices that were posted to it.

pub(crate) mod accounts;
mod changes;
pub(crate) mod claim;
pub(crate) mod courier;
pub(crate) mod find;
pub(crate) mod keys;
pub(crate) mod manage;
pub(crate) mod operator;
mod parts;
pub(crate) mod post;
pub(crate) mod put;
pub(crate) mod read;
mod spent;
pub(crate) mod stats;
pub(crate) mod tokens;
mod trip;

#[cfg(test)]
mod plans;

/// A count for PostgreSQL, which knows signed ones only.
fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
