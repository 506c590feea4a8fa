//! The routes, and what every request goes through on its way: headers, the last-resort handler, the request line.
//!
//! Paths match whatever their case, with or without one slash at the end, as in ROS. They are decoded once, and only
//! in the part that names a provider.

use std::borrow::Cow;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::FutureExt;
use percent_encoding::percent_decode_str;

use super::error::{Cause, Problem};
use super::{Site, api, headers, health, pages};

/// Where our routes begin. Paths spelt otherwise reach us through the fallback.
const ROUTES: [&str; 10] = [
    "/auth",
    "/auth/",
    "/auth/{*rest}",
    "/health",
    "/health/",
    "/reset-password",
    "/reset-password/",
    "/confirm-email",
    "/confirm-email/",
    "/password-auth-ui-styles.css",
];

/// The router of a site, to be served by [`super::server::serve`] or merged **at the root** of another router: clients
/// of ROS replace the whole path of the server's address, so it cannot live under a prefix.
///
/// The client's address is taken from [`axum::extract::ConnectInfo`]. The fallback serves other spellings of the paths
/// (`/AUTH`) and answers everything else with a JSON 404; an application with a fallback of its own calls
/// [`axum::Router::reset_fallback`] on this router first.
pub fn router(site: Arc<Site>) -> axum::Router {
    let routes = ROUTES.into_iter().fold(axum::Router::new(), |router, path| router.route(path, any(answer)));
    routes.fallback(answer).with_state(site)
}

/// What a path names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// `/auth`
    Auth,
    /// `/auth/revoke`
    Revoke,
    /// `/auth/:provider/updateAccount`
    UpdateAccount(Provider),
    /// `/auth/:provider`
    Account(Provider),
    /// Anything else under `/auth`.
    UnderAuth,
    /// `/health`
    Health,
    /// `/reset-password`
    ResetPassword,
    /// `/confirm-email`
    ConfirmEmail,
    /// The style of the pages.
    Style,
    /// Nothing of ours.
    Unknown,
}

/// The provider that a path names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Provider {
    Password,
    Other,
    /// With a percent sign that escapes nothing.
    Undecodable(String),
}

async fn answer(State(site): State<Arc<Site>>, request: Request) -> Response {
    let place = Place::of(request.uri().path());
    let observed = Observed::begin(&request);
    let answered = AssertUnwindSafe(respond(&site, &place, request)).catch_unwind().await;
    let mut response = answered.unwrap_or_else(|_| Problem::internal("a handler panicked").into_response());
    if place.is_api() {
        headers::finish_api(response.headers_mut());
    } else {
        headers::finish_page(response.headers_mut());
    }
    if site.settings.https {
        headers::finish_https(response.headers_mut());
    }
    observed.end(&place, &mut response);
    response
}

async fn respond(site: &Site, place: &Place, request: Request) -> Response {
    // Whoever is in front may have believed the other one (RFC 9112, 3.2).
    if request.headers().get_all(header::HOST).iter().nth(1).is_some() {
        return Problem::plain(StatusCode::BAD_REQUEST, "Bad Request").into_response();
    }
    match place {
        Place::Auth | Place::Revoke | Place::UpdateAccount(_) | Place::Account(_) | Place::UnderAuth => {
            api::answer(site, place, request).await.unwrap_or_else(IntoResponse::into_response)
        }
        Place::Health => match *request.method() {
            Method::GET | Method::HEAD => health::answer(site.health.status()),
            Method::OPTIONS => api::preflight(&request),
            _ => Problem::not_found().into_response(),
        },
        Place::ResetPassword => pages::reset_password::answer(site, request).await,
        Place::ConfirmEmail => pages::confirm_email::answer(site, request).await,
        Place::Style => pages::style(request.method()),
        Place::Unknown => Problem::not_found().into_response(),
    }
}

impl Place {
    pub(super) fn of(path: &str) -> Self {
        let Some(path) = path.strip_prefix('/') else { return Self::Unknown };
        let path = path.strip_suffix('/').unwrap_or(path);
        let (first, rest) = match path.split_once('/') {
            Some((first, rest)) => (first, Some(rest)),
            None => (path, None),
        };
        let is = |name: &str| first.eq_ignore_ascii_case(name);
        match rest {
            Some(rest) if is("auth") => Self::under_auth(rest),
            Some(_) => Self::Unknown,
            None if is("auth") => Self::Auth,
            None if is("health") => Self::Health,
            None if is("reset-password") => Self::ResetPassword,
            None if is("confirm-email") => Self::ConfirmEmail,
            None if is("password-auth-ui-styles.css") => Self::Style,
            None => Self::Unknown,
        }
    }

    fn under_auth(rest: &str) -> Self {
        match rest.split_once('/') {
            None if rest.eq_ignore_ascii_case("revoke") => Self::Revoke,
            None if ["", "users", "providers"].iter().any(|taken| rest.eq_ignore_ascii_case(taken)) => {
                Self::UnderAuth
            }
            None => Self::Account(Provider::of(rest)),
            Some((provider, action))
                if action.eq_ignore_ascii_case("updateAccount") && !provider.is_empty() =>
            {
                Self::UpdateAccount(Provider::of(provider))
            }
            Some(_) => Self::UnderAuth,
        }
    }

    fn is_api(&self) -> bool {
        !matches!(self, Self::ResetPassword | Self::ConfirmEmail | Self::Style | Self::Unknown)
    }

    /// For the log: a path itself could hold a name.
    fn template(&self) -> &'static str {
        match self {
            Self::Auth => "/auth",
            Self::Revoke => "/auth/revoke",
            Self::UpdateAccount(_) => "/auth/:provider/updateAccount",
            Self::Account(_) => "/auth/:provider",
            Self::UnderAuth => "/auth/*",
            Self::Health => "/health",
            Self::ResetPassword => "/reset-password",
            Self::ConfirmEmail => "/confirm-email",
            Self::Style => "/password-auth-ui-styles.css",
            Self::Unknown => "*",
        }
    }
}

impl Provider {
    fn of(raw: &str) -> Self {
        match decode(raw) {
            Some(name) if name.eq_ignore_ascii_case("password") => Self::Password,
            Some(_) => Self::Other,
            None => Self::Undecodable(raw.chars().take(64).collect()),
        }
    }
}

/// A part of a path, decoded once; `None` where a percent sign escapes nothing, or no UTF-8 comes out.
fn decode(raw: &str) -> Option<Cow<'_, str>> {
    let is_escape = |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if !raw.split('%').skip(1).all(is_escape) {
        return None;
    }
    percent_decode_str(raw).decode_utf8().ok()
}

/// Counts the requests of this process, so that a log line and an answer can be put together.
static REQUESTS: AtomicU64 = AtomicU64::new(1);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the log says of a request: never a query, a name, an address, or anything of a body.
struct Observed {
    id: u64,
    line: Option<(Method, Instant)>,
}

impl Observed {
    fn begin(request: &Request) -> Self {
        let is_wanted = tracing::enabled!(tracing::Level::DEBUG);
        let line = is_wanted.then(|| (request.method().clone(), Instant::now()));
        Self { id: REQUESTS.fetch_add(1, Ordering::Relaxed), line }
    }

    fn end(self, place: &Place, response: &mut Response) {
        let (id, path, status) = (self.id, place.template(), response.status().as_u16());
        if response.status().is_server_error() {
            response.headers_mut().insert(REQUEST_ID, HeaderValue::from(id));
        }
        if let Some(Cause(cause)) = response.extensions_mut().remove::<Cause>() {
            tracing::error!(
                event = "request_failed",
                request.id = id,
                path,
                status,
                cause,
                "a request failed"
            );
        }
        if let Some((method, begun)) = self.line {
            let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            tracing::debug!(event = "request", request.id = id, %method, path, status, micros, "answered");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_match_whatever_their_case_and_with_one_slash_at_the_end() {
        for (path, place) in [
            ("/auth", Place::Auth),
            ("/AUTH/", Place::Auth),
            ("/Auth/Revoke/", Place::Revoke),
            ("/auth/password", Place::Account(Provider::Password)),
            ("/auth/PASSWORD/updateaccount", Place::UpdateAccount(Provider::Password)),
            ("/auth/p%61ssword/updateAccount/", Place::UpdateAccount(Provider::Password)),
            ("/auth/p%2561ssword/updateAccount", Place::UpdateAccount(Provider::Other)),
            ("/auth/google/updateAccount", Place::UpdateAccount(Provider::Other)),
            ("/auth/100%/updateAccount", Place::UpdateAccount(Provider::Undecodable("100%".to_owned()))),
            ("/auth/%ff", Place::Account(Provider::Undecodable("%ff".to_owned()))),
            ("/auth/users", Place::UnderAuth),
            ("/auth/users/1", Place::UnderAuth),
            ("/auth//updateAccount", Place::UnderAuth),
            ("/auth/password/updateAccount/x", Place::UnderAuth),
            ("/Health/", Place::Health),
            ("/Reset-Password/", Place::ResetPassword),
            ("/confirm-email", Place::ConfirmEmail),
            ("/auth//", Place::UnderAuth),
            ("//auth", Place::Unknown),
            ("/health//", Place::Unknown),
            ("/reset-password/x", Place::Unknown),
            ("/%61uth", Place::Unknown),
            ("/confirm-email;x", Place::Unknown),
            ("/", Place::Unknown),
            ("", Place::Unknown),
            ("*", Place::Unknown),
        ] {
            assert_eq!(Place::of(path), place, "{path}");
        }
    }
}
