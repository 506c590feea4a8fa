//! Email confirmation and password reset for applications: what the program `regain` runs, to be embedded.
//!
//! [`config`] holds the settings, [`app`] puts a whole [`Regain`] together, [`http`] is the JSON API of the Realm Object
//! Server's password provider and the hosted pages, [`mail`] composes and hands over, [`courier`] runs the delivery.
//! The rules themselves are in `regain-core`.
//!
//! The configuration reads like the one of the Realm Object Server:
//!
//! ```no_run
//! use regain::config::{ActionConfig, BaseUrl, EmailHandlerConfig, PasswordAuthProvider};
//! use regain::http::server;
//! use regain::{Config, Delivery, Regain};
//! use regain_smtp::{Sender, Settings};
//! use tokio_util::sync::CancellationToken;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let config = Config {
//!     app_name: "Notes".into(),
//!     auth_provider: PasswordAuthProvider {
//!         email_handler_config: Some(EmailHandlerConfig {
//!             base_url: Some(BaseUrl::parse("http://localhost:9080")?),
//!             reset_action_config: ActionConfig {
//!                 subject: Some("Forgot your password?".into()),
//!                 ..ActionConfig::default()
//!             },
//!             ..EmailHandlerConfig::new(
//!                 Settings::parse("smtp://smtp_username:smtp_password@smtp.example.com")?,
//!                 Sender::parse("foo@bar.com")?,
//!             )
//!         }),
//!     },
//!     ..Config::default()
//! };
//! let regain = Regain::open(&config, Delivery::Relay).await?;
//! let listener = server::listen(([127, 0, 0, 1], config.port).into())?;
//! let yours = axum::Router::new().route("/", axum::routing::get(async || "hello"));
//! // Until `stop` is cancelled. To serve it all yourself, merge `regain.router()` and run `regain.run_courier()`.
//! let stop = CancellationToken::new();
//! regain.serve(listener, Some(yours), stop).await;
//! # Ok(())
//! # }
//! ```

pub mod admin_token;
#[cfg(feature = "sqlite")]
pub mod app;
pub mod config;
pub mod courier;
pub mod dev;
mod escape;
pub mod http;
pub mod keys;
pub mod mail;
mod strict_json;
pub mod transfer;

#[cfg(feature = "sqlite")]
pub use app::{Delivery, Regain, StartError};
/// The attribute for implementations of this crate's traits, such as [`mail::EmailHandler`].
pub use async_trait::async_trait;
pub use config::Config;

/// The guide, compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/embedding.md")]
mod embedding {}
