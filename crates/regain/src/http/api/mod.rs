//! The JSON API under `/auth`: one file for each route, each parsing strictly and calling its flow.

mod auth;
mod change_password;
mod credentials;
mod revoke;
mod update_account;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;

use super::error::Problem;
use super::json::{self, Labelled};
use super::router::{Place, Provider};
use super::{Site, client};

/// Answers a request to anything under `/auth`.
///
/// The order is that of ROS: the body is parsed, then the session checked, then the route asked.
pub(super) async fn answer(site: &Site, place: &Place, request: Request) -> Result<Response, Problem> {
    if request.method() == Method::OPTIONS {
        return Ok(preflight(&request));
    }
    let (parts, body) = request.into_parts();
    match (place, &parts.method) {
        (Place::Auth, &Method::POST) => {
            let body = json::read(&parts, body, Labelled::AsJson).await?;
            credentials::check(site, &parts.headers).await?;
            auth::post(site, client::caller(site, &parts), body).await
        }
        (Place::UpdateAccount(provider), &Method::POST) => {
            let body = json::read(&parts, body, Labelled::AsJson).await?;
            credentials::check(site, &parts.headers).await?;
            provider.check()?;
            update_account::post(site, client::caller(site, &parts), body).await
        }
        (Place::Account(provider), &Method::PUT) => {
            let body = json::read(&parts, body, Labelled::AsJson).await?;
            let by = credentials::require(site, &parts.headers).await?;
            change_password::put(site, client::caller(site, &parts), &by, provider, body).await
        }
        (Place::Revoke, &Method::POST) => {
            let body = json::read(&parts, body, Labelled::Anyhow).await?;
            let by = credentials::require(site, &parts.headers).await?;
            revoke::post(site, &by, body).await
        }
        _ => {
            credentials::check(site, &parts.headers).await?;
            Err(Problem::not_found())
        }
    }
}

/// What a browser asks before it sends another site's request: everything is allowed, see [`super::headers`].
pub(super) fn preflight(request: &Request) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    let methods = HeaderValue::from_static("GET,HEAD,PUT,PATCH,POST,DELETE");
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
    headers.insert(header::VARY, HeaderValue::from_static("Access-Control-Request-Headers"));
    if let Some(wanted) = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
    }
    response
}

impl Provider {
    /// Refuses every provider but `password`.
    fn check(&self) -> Result<(), Problem> {
        match self {
            Self::Password => Ok(()),
            Self::Other => Err(unknown_provider()),
            Self::Undecodable(raw) => {
                let title = format!("Failed to decode param '{raw}'");
                Err(Problem::plain(StatusCode::BAD_REQUEST, title))
            }
        }
    }
}

fn unknown_provider() -> Problem {
    Problem::invalid("provider", "This server has no such provider; it has 'password'.")
}

#[cfg(test)]
mod tests;
