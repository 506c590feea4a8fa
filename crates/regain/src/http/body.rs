//! Reading request bodies: bounded in size and in time, whatever `Content-Length` says.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt;

use super::encoding::Encoding;
use super::error::Problem;

/// The longest body, in bytes, as it comes and unpacked (`jsonBodyLimit` of ROS).
pub(super) const LONGEST: usize = 102_400;

/// How long a body may take as a whole, where the server in front has not said otherwise by an extension.
#[derive(Clone, Copy, Debug)]
pub(super) struct BodyDeadline(pub(super) Duration);

impl Default for BodyDeadline {
    fn default() -> Self {
        Self(Duration::from_secs(30))
    }
}

/// Reads a whole body, unpacked where it comes compressed.
pub(super) async fn read(parts: &Parts, body: Body) -> Result<Bytes, Problem> {
    let encoding = Encoding::of(&parts.headers)?;
    // One that announces too much is refused unread, before a client that asks gets its "100 Continue".
    if body.size_hint().lower() > LONGEST as u64 {
        return Err(too_large());
    }
    let deadline = parts.extensions.get::<BodyDeadline>().copied().unwrap_or_default();
    match tokio::time::timeout(deadline.0, collect(body)).await {
        Ok(result) => encoding.decode(result?),
        Err(_) => Err(Problem::plain(StatusCode::REQUEST_TIMEOUT, "request timeout")),
    }
}

/// The media type in lower case without parameters, and the `charset` parameter as it stands.
pub(super) fn media_type(headers: &HeaderMap) -> Option<(String, Option<String>)> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let mut parts = value.split(';');
    let media_type = parts.next()?.trim().to_ascii_lowercase();
    let charset = parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"').to_owned())
    });
    Some((media_type, charset))
}

/// Refuses text in anything but UTF-8.
pub(super) fn check_charset(charset: Option<&str>) -> Result<(), Problem> {
    match charset.filter(|charset| !charset.eq_ignore_ascii_case("utf-8")) {
        None => Ok(()),
        Some(other) => {
            let shown: String = other.to_ascii_uppercase().chars().take(40).collect();
            let title = format!("unsupported charset \"{shown}\"");
            Err(Problem::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, title))
        }
    }
}

async fn collect(mut body: Body) -> Result<Bytes, Problem> {
    let Some(first) = next(&mut body).await? else { return Ok(Bytes::new()) };
    if first.len() > LONGEST {
        return Err(too_large());
    }
    // Nearly every body comes in one piece, which is then not copied.
    if body.is_end_stream() {
        return Ok(first);
    }
    let mut all = first.to_vec();
    while let Some(more) = next(&mut body).await? {
        if all.len() + more.len() > LONGEST {
            return Err(too_large());
        }
        all.extend_from_slice(&more);
    }
    Ok(all.into())
}

async fn next(body: &mut Body) -> Result<Option<Bytes>, Problem> {
    while let Some(frame) = body.frame().await {
        // The client hung up or broke the framing; it may never see this.
        let frame = frame.map_err(|_| Problem::plain(StatusCode::BAD_REQUEST, "request aborted"))?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// What is said to a body that is longer than [`LONGEST`].
pub(super) fn too_large() -> Problem {
    Problem::plain(StatusCode::PAYLOAD_TOO_LARGE, "request entity too large")
}
