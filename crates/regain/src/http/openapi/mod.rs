//! `GET /openapi.json`: what Regain serves to clients, as an OpenAPI 3.1 document.
//!
//! One file for each group of routes says what a reader wants to know of them. Limits come from the constants that are
//! in force, and errors from [`super::error`], so that they cannot differ from what is sent; the tests send every
//! example and walk every route. No rule of a route belongs here.

mod account;
mod answers;
mod operations;
mod pages;
mod parts;
mod providers;
mod samples;
mod schemas;
mod sessions;
mod users;

use std::sync::OnceLock;

use axum::body::Bytes;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use regain_core::Policy;
use utoipa::openapi::path::PathsBuilder;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};

use super::error::Problem;
use super::{Site, api, headers};

const ABOUT: &str = include_str!("about.md");

/// The groups of routes, in the order in which they are told.
const GROUPS: [(&str, &str); 6] = [
    (sessions::GROUP, "Registering, signing in and out, and tokens for other services."),
    (account::GROUP, "Links by mail, from an app, and a new password with a session in hand."),
    (users::GROUP, "Looking up, making, changing and deleting accounts, which the wire calls users."),
    (providers::GROUP, "What kinds of accounts there are. For administrators."),
    (
        pages::GROUP,
        "The pages that mailed links open in a browser. Plain HTML forms, complete without scripts.",
    ),
    (operations::GROUP, "Whether requests should come here, and this document."),
];

/// The document as it is sent, written at the first request.
#[derive(Default)]
pub(super) struct Written(OnceLock<Bytes>);

/// Answers a request to `/openapi.json`.
pub(super) fn answer(site: &Site, request: &Request) -> Response {
    match *request.method() {
        Method::GET | Method::HEAD => shown(site),
        Method::OPTIONS => api::preflight(request),
        _ => Problem::not_found().into_response(),
    }
}

fn shown(site: &Site) -> Response {
    let Written(written) = &site.openapi;
    if let Some(bytes) = written.get() {
        return headers::json(StatusCode::OK, bytes.clone());
    }
    match document(&site.service.policy).to_json() {
        Ok(json) => headers::json(StatusCode::OK, written.get_or_init(|| json.into()).clone()),
        Err(error) => Problem::internal(error.to_string()).into_response(),
    }
}

/// The document of a server with this policy.
fn document(policy: &Policy) -> OpenApi {
    let routes = [
        sessions::routes(policy),
        account::routes(policy),
        users::routes(),
        providers::routes(),
        pages::routes(policy),
        operations::routes(),
    ];
    let paths = routes.into_iter().flatten().fold(PathsBuilder::new().build(), |mut paths, route| {
        paths.add_path_operation(route.path, vec![route.method], route.operation);
        paths
    });
    let info = InfoBuilder::new()
        .title("Regain")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT.trim()))
        .license(Some(
            LicenseBuilder::new().name("MIT OR Apache-2.0").identifier(Some("MIT OR Apache-2.0")).build(),
        ))
        .build();
    let tags = GROUPS.map(|(name, about)| TagBuilder::new().name(name).description(Some(about)).build());
    OpenApiBuilder::new()
        .info(info)
        .paths(paths)
        .components(Some(schemas::components()))
        .tags(Some(tags))
        .build()
}

#[cfg(test)]
mod tests;
