//! HTTP: the JSON API of ROS's password provider, the hosted pages, and the accept loop.
//!
//! It turns requests into calls of the flows in `regain_core` and their results into answers. No rule about accounts,
//! passwords or mail belongs here. Start reading at [`router`]; [`server`] is for those who have no server of their own.

mod admin;
mod api;
mod body;
mod client;
mod encoding;
mod error;
mod exposition;
mod headers;
mod health;
mod json;
mod metrics;
#[cfg(feature = "openapi")]
mod openapi;
mod pages;
mod place;
mod router;
pub mod server;
#[cfg(test)]
mod testing;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::http::HeaderName;
use regain_core::Service;

use crate::config::{Network, RedirectAllowList};

pub use admin::admin_router;
pub use health::{Health, HealthStatus};
pub use metrics::CourierMetrics;
pub use router::router;

/// What all requests share.
pub struct Site {
    service: Arc<Service>,
    settings: SiteSettings,
    health: Arc<dyn Health>,
    warned_of_forwarded: AtomicBool,
    warned_of_no_peer: AtomicBool,
    #[cfg(feature = "openapi")]
    openapi: openapi::Written,
}

/// What the HTTP side needs of the configuration.
#[derive(Clone, Debug, Default)]
pub struct SiteSettings {
    /// What pages call the application.
    pub app_name: String,
    /// Origins that are ours besides the host of the request: those of `publicUrl` and `baseUrl`.
    pub origins: Vec<String>,
    /// Browsers reach us by `https:`, so they are told never to use anything else (RFC 6797).
    pub https: bool,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Where pages may redirect to.
    pub redirects: RedirectAllowList,
    /// A header that holds the session, looked at before `Authorization` (`authorizationHeaderName` of ROS).
    pub authorization_header: Option<HeaderName>,
    /// The configuration of the password provider, as administrators may see it: without a secret.
    pub provider_config: serde_json::Map<String, serde_json::Value>,
}

impl Site {
    /// A site over these flows.
    pub fn new(service: Arc<Service>, settings: SiteSettings, health: Arc<dyn Health>) -> Self {
        Self {
            service,
            settings,
            health,
            warned_of_forwarded: AtomicBool::new(false),
            warned_of_no_peer: AtomicBool::new(false),
            #[cfg(feature = "openapi")]
            openapi: openapi::Written::default(),
        }
    }
}
