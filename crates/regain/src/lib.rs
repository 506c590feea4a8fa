//! Email confirmation and password reset for applications: what the program `regain` runs, to be embedded.
//!
//! [`config`] holds the settings, [`app`] puts a whole [`Regain`] together, [`http`] is the JSON API of the Realm Object
//! Server's password provider and the hosted pages, [`mail`] composes and hands over, [`courier`] runs the delivery.
//! The rules themselves are in `regain-core`.

#[cfg(feature = "sqlite")]
pub mod app;
pub mod config;
pub mod courier;
pub mod dev;
pub mod http;
pub mod keys;
pub mod mail;

#[cfg(feature = "sqlite")]
pub use app::{Delivery, Regain, StartError};
pub use config::Config;
