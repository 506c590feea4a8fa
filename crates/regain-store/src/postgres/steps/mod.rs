//! Each whole step of the port as SQL: one statement, or what runs inside one transaction.
//!
//! Locks are taken in this order, so that steps seldom wait in a circle: advisory locks by their number, accounts by
//! identity, letters by identity, tokens. PostgreSQL ends those that do, and they are done again.

pub(crate) mod accounts;
mod changes;
pub(crate) mod claim;
pub(crate) mod courier;
pub(crate) mod post;
mod spent;
