//! The admin listener: metrics and health, for the operator alone.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use regain_core::outbox::budget::MailBudget;
use regain_core::{Service, StoreError};

use super::health::{self, Health};
use super::metrics::{OutboxTold, Told};

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
    let text = admin.told().await.text();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

impl Admin {
    /// Where the database cannot be read, what the process knows of itself: that is when somebody looks.
    async fn told(&self) -> Told {
        let read = self.read().await;
        if let Err(error) = &read {
            tracing::warn!(%error, "the metrics lack what is read from the database");
        }
        Told {
            health: self.health.status(),
            outbox: read.ok(),
            budget: self.service.policy.limits.mail_per_hour.map(|per_hour| MailBudget { per_hour }),
            courier: self.health.courier(),
        }
    }

    async fn read(&self) -> Result<OutboxTold, StoreError> {
        let (store, now) = (&self.service.store, self.service.now());
        Ok(OutboxTold { now, status: store.outbox_status().await?, gauges: store.outbox_gauges(now).await? })
    }
}
