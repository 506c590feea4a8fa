//! The session that a request presents: which header holds it, and whether it holds.

use axum::http::{HeaderMap, HeaderName, header};
use regain_core::flows::session::{self, AuthenticateError, Authenticated};

use super::super::Site;
use super::super::error::{Kind, Problem};

/// The other header of ROS.
const ACCESS_TOKEN: HeaderName = HeaderName::from_static("x-realm-access-token");

/// Refuses a request with a bad session. One without any passes, at no cost.
pub(super) async fn check(site: &Site, headers: &HeaderMap) -> Result<(), Problem> {
    presented(site, headers).await.map(|_| ())
}

/// Refuses a request without a good session.
pub(super) async fn require(site: &Site, headers: &HeaderMap) -> Result<Authenticated, Problem> {
    presented(site, headers).await?.ok_or_else(|| Problem::of(Kind::InvalidCredentials))
}

async fn presented(site: &Site, headers: &HeaderMap) -> Result<Option<Authenticated>, Problem> {
    let names =
        [site.settings.authorization_header.as_ref(), Some(&header::AUTHORIZATION), Some(&ACCESS_TOKEN)];
    // An empty header counts as none.
    let mut sent = names
        .into_iter()
        .flatten()
        .filter_map(|name| headers.get(name).filter(|value| !value.as_bytes().trim_ascii().is_empty()));
    let Some(value) = sent.next() else { return Ok(None) };
    let text = value.to_str().map_err(|_| AuthenticateError::Invalid)?;
    Ok(Some(session::authenticate(&site.service, bare(text)).await?))
}

/// The token without the word `Bearer`, which ROS does not know but many clients write.
fn bare(text: &str) -> &str {
    let text = text.trim();
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim_start(),
        _ => text,
    }
}
