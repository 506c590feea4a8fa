//! Steps that meet each other, of two processes on one PostgreSQL database: one of them is first, as on SQLite.

#![expect(clippy::unwrap_used, reason = "a test may fail by panicking")]

mod accounts;
mod dropped;
mod letters;
mod scene;
mod tokens;
