//! The JSON API under `/auth`: one file for each route, each parsing strictly and calling its flow.

mod account;
mod auth;
mod change_password;
mod credentials;
mod delete_account;
mod find_account;
mod providers;
mod put_account;
mod revoke;
mod update_account;
mod user_token;

#[cfg(feature = "openapi")]
pub(super) use update_account::unknown_action;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use regain_core::{AccountId, Provider};

use super::error::Problem;
use super::json::{self, Labelled};
use super::place::Place;
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
            check_provider(*provider)?;
            update_account::post(site, client::caller(site, &parts), body).await
        }
        (Place::Account(provider), &Method::PUT) => {
            let body = json::read(&parts, body, Labelled::AsJson).await?;
            let by = credentials::require(site, &parts.headers).await?;
            change_password::put(site, client::caller(site, &parts), &by, *provider, body).await
        }
        (Place::Revoke, &Method::POST) => {
            let body = json::read(&parts, body, Labelled::Anyhow).await?;
            let by = credentials::require(site, &parts.headers).await?;
            revoke::post(site, &by, body).await
        }
        (Place::User(id), &Method::GET | &Method::HEAD) => {
            let by = credentials::require(site, &parts.headers).await?;
            find_account::by_id(site, &by, id).await
        }
        (Place::NamedUser(provider, name), &Method::GET | &Method::HEAD) => {
            let by = credentials::require(site, &parts.headers).await?;
            find_account::by_name(site, &by, *provider, name).await
        }
        (Place::Users, &Method::PUT) => {
            let body = json::read(&parts, body, Labelled::AsJson).await?;
            let by = credentials::require(site, &parts.headers).await?;
            put_account::put(site, &by, body).await
        }
        (Place::User(id) | Place::OlderUser(id), &Method::DELETE) => {
            let by = credentials::require(site, &parts.headers).await?;
            delete_account::delete(site, &by, id).await
        }
        (Place::Providers, &Method::GET | &Method::HEAD) => {
            let by = credentials::require(site, &parts.headers).await?;
            providers::list(site, &by)
        }
        (Place::Providers, &Method::POST) | (Place::Provider, &Method::DELETE) => {
            json::read(&parts, body, Labelled::AsJson).await?;
            let by = credentials::require(site, &parts.headers).await?;
            Err(providers::change(&by))
        }
        (Place::Undecodable(raw), _) => {
            credentials::check(site, &parts.headers).await?;
            Err(Problem::plain(StatusCode::BAD_REQUEST, format!("Failed to decode param '{raw}'")))
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

/// Refuses every provider whose accounts have nothing to update.
fn check_provider(provider: Option<Provider>) -> Result<(), Problem> {
    match provider {
        Some(Provider::Password) => Ok(()),
        Some(Provider::Realm) => {
            let reason = "Accounts of the provider 'realm' have no password and no email address.";
            Err(Problem::invalid("provider", reason))
        }
        None => Err(unknown_provider()),
    }
}

pub(super) fn unknown_provider() -> Problem {
    Problem::invalid("provider", "This server has no such provider; it has 'password' and 'realm'.")
}

/// The identity that a request names. What cannot be one is asked for as the empty one, which no account has: a store
/// never gets to see it.
fn account_id(text: &str) -> AccountId {
    let builtin = || Some(AccountId::from_stored(text)).filter(AccountId::is_builtin_admin);
    AccountId::parse(text).or_else(builtin).unwrap_or_else(|| AccountId::from_stored(""))
}

#[cfg(test)]
mod tests;
