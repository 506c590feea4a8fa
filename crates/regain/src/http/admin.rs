//! The admin listener: metrics for the operator, in the text format of Prometheus. Never anything of one account.

use std::fmt::Write;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use regain_core::Service;

use super::health::{self, Health, HealthStatus};

struct Admin {
    service: Arc<Service>,
    health: Arc<dyn Health>,
}

/// `/metrics` and `/health`, for a listener that only the operator reaches.
pub fn admin_router(service: Arc<Service>, health: Arc<dyn Health>) -> Router {
    let admin = Arc::new(Admin { service, health });
    Router::new().route("/metrics", get(metrics)).route("/health", get(health_of)).with_state(admin)
}

async fn health_of(State(admin): State<Arc<Admin>>) -> Response {
    health::answer(admin.health.status())
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    let outbox = match admin.service.store.outbox_status().await {
        Ok(outbox) => outbox,
        Err(error) => {
            tracing::warn!(%error, "metrics could not be read");
            return StatusCode::SERVICE_UNAVAILABLE.into_response();
        }
    };
    let oldest = outbox.oldest.map_or(0, |posted| admin.service.now().since(posted).as_secs());
    let status = admin.health.status();
    let mut text = String::new();
    let mut gauge = |name: &str, help: &str, value: u64| {
        // Writing into a String cannot fail.
        let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n");
    };
    gauge("regain_up", "Whether requests are served and letters delivered.", u64::from(is_up(status)));
    gauge(
        "regain_degraded",
        "Whether something needs the operator; see /health.",
        u64::from(matches!(status, HealthStatus::Degraded(_))),
    );
    gauge("regain_outbox_open", "Letters waiting or being delivered.", outbox.open);
    gauge("regain_outbox_oldest_seconds", "Age of the oldest of them.", oldest);
    gauge("regain_outbox_dead", "Letters that a relay refused for good, until they are purged.", outbox.dead);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

fn is_up(status: HealthStatus) -> bool {
    matches!(status, HealthStatus::Ok | HealthStatus::Degraded(_))
}
