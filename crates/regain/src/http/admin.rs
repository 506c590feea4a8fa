//! The admin listener: metrics and health, for the operator alone.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use regain_core::outbox::budget::MailBudget;
use regain_core::{Service, StoreError};

use super::health::{self, Health};
use super::metrics::Told;

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
    match admin.told().await {
        Ok(told) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], told.text())
            .into_response(),
        Err(error) => {
            tracing::warn!(%error, "metrics could not be read");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

impl Admin {
    async fn told(&self) -> Result<Told, StoreError> {
        let Service { store, policy, .. } = &*self.service;
        let now = self.service.now();
        Ok(Told {
            now,
            health: self.health.status(),
            outbox: store.outbox_status().await?,
            gauges: store.outbox_gauges(now).await?,
            budget: policy.limits.mail_per_hour.map(|per_hour| MailBudget { per_hour }),
            courier: self.health.courier(),
        })
    }
}
