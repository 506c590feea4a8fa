//! The hosted pages: plain HTML made on the server, complete without JavaScript.
//!
//! GET and HEAD change nothing here: scanners follow every link of a mail. Only a person's click on a button does.

pub(super) mod confirm_email;
mod fields;
mod html;
mod origin;
mod page;
pub(super) mod reset_password;

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::error::Problem;

/// Root-relative, as all our addresses in pages.
const STYLE: &str = include_str!("style.css");

/// The name of the query's parameter; in forms it is [`REDIRECT_FIELD`]. Both are ROS's.
const REDIRECT_QUERY: &str = "redirectUrl";
const REDIRECT_FIELD: &str = "redirect-url";

/// Answers a request for the style of the pages.
pub(super) fn style(method: &Method) -> Response {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Problem::not_found().into_response();
    }
    let mut response = Response::new(Body::from(STYLE));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    response
}

/// What an OPTIONS request to a page is told. There is no CORS here.
fn options() -> Response {
    let mut response = StatusCode::OK.into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET,HEAD,POST"));
    response
}

#[cfg(test)]
mod tests;
