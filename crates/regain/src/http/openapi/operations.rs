//! `/health` and `/openapi.json`.

use serde_json::json;
use utoipa::openapi::HttpMethod;

use super::answers::Answers;
use super::parts::{Heading, Route};
use super::schemas;

pub(super) const GROUP: &str = "Operations";

pub(super) fn routes() -> Vec<Route> {
    vec![health(), document()]
}

fn health() -> Route {
    let heading = Heading {
        group: GROUP,
        id: "health",
        summary: "Whether requests should come here",
        about: "Tells nothing of any one account or address.",
    };
    let version = env!("CARGO_PKG_VERSION");
    let reason = "the relay takes no mail";
    let answers = Answers::new()
        .success(
            "Requests are served.",
            schemas::HEALTH,
            &[
                ("ok", "All is well", json!({"version": version, "status": "ok"})),
                (
                    "degraded",
                    "Something needs the operator",
                    json!({"version": version, "status": "degraded", "reason": reason}),
                ),
            ],
        )
        .build();
    Route {
        path: "/health",
        method: HttpMethod::Get,
        operation: heading.operation().responses(answers).build(),
    }
}

fn document() -> Route {
    let heading = Heading {
        group: GROUP,
        id: "openapi",
        summary: "This document",
        about: "OpenAPI 3.1, as this server is configured: the least length of passwords is in it.",
    };
    let answers = Answers::new().success("The document.", schemas::DOCUMENT, &[]).build();
    Route {
        path: "/openapi.json",
        method: HttpMethod::Get,
        operation: heading.operation().responses(answers).build(),
    }
}
