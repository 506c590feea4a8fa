//! `GET /health`: whether requests should come here.

use std::borrow::Cow;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::error::Problem;
use super::headers;
use super::metrics::CourierMetrics;

/// How the process is, seen from outside. It never tells anything of one account or address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HealthStatus {
    /// All is well: 200.
    Ok,
    /// Requests are served, but something needs the operator: 200, with these words, in which nothing is variable but the number
    /// of a relay.
    Degraded(Cow<'static, str>),
    /// Not ready yet: 503.
    Starting,
    /// On the way out: 503.
    Stopping,
    /// Requests would be accepted and their mails never sent: 503.
    CourierDead,
}

/// Who knows how the process is. Asked at each request, so it must answer from memory.
pub trait Health: Send + Sync + 'static {
    /// How it is now.
    fn status(&self) -> HealthStatus;

    /// What the courier has done, and how its relays do; `None` where none runs.
    fn courier(&self) -> Option<CourierMetrics> {
        None
    }
}

pub(super) fn answer(status: HealthStatus) -> Response {
    #[derive(Serialize)]
    struct Wire {
        version: &'static str,
        status: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<Cow<'static, str>>,
    }
    let (status, reason) = match status {
        HealthStatus::Ok => ("ok", None),
        HealthStatus::Degraded(reason) => ("degraded", Some(reason)),
        HealthStatus::Starting | HealthStatus::Stopping | HealthStatus::CourierDead => {
            return Problem::unavailable_for_now().into_response();
        }
    };
    let wire = Wire { version: env!("CARGO_PKG_VERSION"), status, reason };
    match serde_json::to_vec(&wire) {
        Ok(body) => headers::json(StatusCode::OK, body),
        Err(error) => Problem::internal(error.to_string()).into_response(),
    }
}
