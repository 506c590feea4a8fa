//! The program from outside: what is typed, what is printed, what the exit code is.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a panic is a failed test")]

mod check;
mod completions;
mod config;
mod dkim;
mod dns;
mod hanging;
mod harness;
mod import;
mod inspect;
mod keys;
mod mail_test;
mod metrics;
mod outbox;
mod postgres;
mod serving;
mod to_postgres;
mod users;
mod webhook;
