//! The routes, and what every request goes through on its way: headers, the last-resort handler, the request line.
//!
//! What a path names is decided in [`super::place`].

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use futures_util::FutureExt;

use super::error::{Cause, Problem};
#[cfg(feature = "openapi")]
use super::openapi;
use super::place::Place;
use super::{Site, api, headers, health, pages};

/// Where our routes begin. Paths spelt otherwise reach us through the fallback.
const ROUTES: &[&str] = &[
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
    #[cfg(feature = "openapi")]
    "/openapi.json",
];

/// The router of a site, to be served by [`super::server::serve`] or merged **at the root** of another router: clients
/// of ROS replace the whole path of the server's address, so it cannot live under a prefix.
///
/// The client's address is taken from [`axum::extract::ConnectInfo`]. The fallback serves other spellings of the paths
/// (`/AUTH`) and answers everything else with a JSON 404; an application with a fallback of its own calls
/// [`axum::Router::reset_fallback`] on this router first.
pub fn router(site: Arc<Site>) -> axum::Router {
    let routes = ROUTES.iter().fold(axum::Router::new(), |router, path| router.route(path, any(answer)));
    routes.fallback(answer).with_state(site)
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
        Place::Health => match *request.method() {
            Method::GET | Method::HEAD => health::answer(site.health.status()),
            Method::OPTIONS => api::preflight(&request),
            _ => Problem::not_found().into_response(),
        },
        Place::ResetPassword => pages::reset_password::answer(site, request).await,
        Place::ConfirmEmail => pages::confirm_email::answer(site, request).await,
        Place::Style => pages::style(request.method()),
        #[cfg(feature = "openapi")]
        Place::OpenApi => openapi::answer(site, &request),
        Place::Unknown => Problem::not_found().into_response(),
        _ => api::answer(site, place, request).await.unwrap_or_else(IntoResponse::into_response),
    }
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
