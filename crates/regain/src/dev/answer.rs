//! The answers' kinds and their headers.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;

/// Our own pages: scripts and style from files of ours, and nothing inline, since subjects and addresses are hostile.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; frame-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// A mail's own HTML: no script, no form, nothing from elsewhere, an origin of its own. Links may open a new tab, and
/// that tab is free of the sandbox, or the page behind the link could not send its form.
const MAIL_POLICY: HeaderValue = HeaderValue::from_static(
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; \
     img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'",
);

/// An answer of that media type.
pub(super) fn of(media_type: &'static str, body: impl Into<Body>) -> Response {
    with_policy(media_type, PAGE_POLICY, body)
}

/// A page of ours.
pub(super) fn page(html: String) -> Response {
    of("text/html; charset=utf-8", html)
}

/// The HTML of a mail, to be shown in a frame.
pub(super) fn mail(html: String) -> Response {
    with_policy("text/html; charset=utf-8", MAIL_POLICY, html)
}

/// Nothing to say, with that status.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = of("text/plain; charset=utf-8", Body::empty());
    *response.status_mut() = status;
    response
}

/// A sentence, with that status.
pub(super) fn sentence(status: StatusCode, text: &'static str) -> Response {
    let mut response = of("text/plain; charset=utf-8", text);
    *response.status_mut() = status;
    response
}

fn with_policy(media_type: &'static str, policy: HeaderValue, body: impl Into<Body>) -> Response {
    const HEADERS: [(HeaderName, &str); 4] = [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
