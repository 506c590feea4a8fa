//! Whether a form was sent from our own page. No session is at stake, but another site shall not ask for mails.

use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};

use super::super::Site;
use super::super::error::Problem;

/// Refuses a submission from another site. Programs send no `Origin` and are let through.
pub(super) fn check(site: &Site, parts: &Parts) -> Result<(), Problem> {
    let mut origins = parts.headers.get_all(header::ORIGIN).iter();
    let is_foreign = match (origins.next(), origins.next()) {
        (Some(origin), None) => !origin.to_str().is_ok_and(|origin| is_ours(site, parts, origin)),
        // No browser sends two; whoever does means to have the wrong one read.
        (Some(_), Some(_)) => true,
        (None, _) => text(&parts.headers, "sec-fetch-site") == Some("cross-site"),
    };
    match is_foreign {
        true => Err(Problem::plain(StatusCode::FORBIDDEN, "This form was sent from another website.")),
        false => Ok(()),
    }
}

fn is_ours(site: &Site, parts: &Parts, origin: &str) -> bool {
    let host =
        text(&parts.headers, "host").or_else(|| parts.uri.authority().map(|authority| authority.as_str()));
    let same_host = |host: &str| {
        let of_origin = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
        of_origin.is_some_and(|of_origin| of_origin.eq_ignore_ascii_case(host))
    };
    host.is_some_and(same_host) || site.settings.origins.iter().any(|ours| ours.eq_ignore_ascii_case(origin))
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
