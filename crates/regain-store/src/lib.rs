//! Where Regain keeps what is durable: adapters of [`regain_core::Store`], the lock of the data path, and the way from one
//! adapter to the other.
//!
//! Nothing here knows HTTP or SMTP, and the rules about accounts live in `regain-core`: a step here is one
//! transaction whose conditions are in its SQL.

#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod columns;
mod data_lock;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod letters;
#[cfg(all(feature = "sqlite", feature = "postgres"))]
pub mod moving;
#[cfg(feature = "postgres")]
pub mod postgres;
#[cfg(feature = "sqlite")]
pub mod sqlite;
#[cfg(all(feature = "postgres", feature = "testing"))]
pub mod testing;

pub use data_lock::{DataLock, LockError};
#[cfg(feature = "postgres")]
pub use postgres::{
    DatabaseClock, PostgresError, PostgresOptions, PostgresSettings, PostgresStore, SettingsError,
};
#[cfg(feature = "sqlite")]
pub use sqlite::{OpenError, Options, SqliteStore};
