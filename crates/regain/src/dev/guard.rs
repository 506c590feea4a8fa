//! Who may see the pages of development: this machine, by a name of this machine.
//!
//! The peer alone does not say enough: a site that the developer visits can have its own name point to 127.0.0.1
//! (DNS rebinding), so the host that is asked for counts too. What came through a proxy came from elsewhere.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{ConnectInfo, Request};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderName, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::answer;

const REFUSAL: &str = "The pages of `regain dev` answer the machine that they run on alone, \
                       as http://localhost or http://127.0.0.1.\n";

const FORWARDED: [HeaderName; 3] = [
    header::FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
];

pub(super) async fn guard(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    if is_local(&parts) {
        next.run(Request::from_parts(parts, body)).await
    } else {
        answer::sentence(StatusCode::FORBIDDEN, REFUSAL)
    }
}

fn is_local(parts: &Parts) -> bool {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let Some(host) = host(parts) else { return false };
    peer.is_some_and(|ConnectInfo(peer)| peer.ip().to_canonical().is_loopback())
        && is_loopback(&host)
        && FORWARDED.iter().all(|name| !parts.headers.contains_key(name))
        && parts.headers.get_all(header::ORIGIN).iter().all(|origin| {
            origin.to_str().is_ok_and(|origin| origin.strip_prefix("http://") == Some(host.as_str()))
        })
}

/// The one host that is asked for; none where there are several.
fn host(parts: &Parts) -> Option<Authority> {
    let mut hosts = parts.headers.get_all(header::HOST).iter();
    let named = match (hosts.next(), hosts.next()) {
        (Some(host), None) => Authority::try_from(host.as_bytes()).ok()?,
        _ => return None,
    };
    match parts.uri.authority() {
        Some(asked) if *asked != named => None,
        _ => Some(named),
    }
}

fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host();
    let literal = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    !authority.as_str().contains('@')
        && (host.eq_ignore_ascii_case("localhost")
            || literal.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback()))
}
