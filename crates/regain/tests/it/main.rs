//! Stories told through the HTTP router, a real SQLite file and a scripted SMTP server, on a clock that stands still
//! until it is told.

#![expect(unreachable_pub, reason = "a test binary has no outside")]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a panic is a failed test")]

mod administrators;
mod app;
mod email_handler;
mod embed;
mod relay_faults;
mod strangers;
