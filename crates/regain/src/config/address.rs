//! Rules that every URL of the configuration and every redirect obeys before it is looked at closer.
//!
//! One parser (the `url` crate) decides; what parsers are known to read differently is refused before it.

use std::net::IpAddr;

use url::{Host, Url};

/// Longer URLs are refused unread.
const LONGEST: usize = 2_048;

/// Schemes that run script, read files, or name no app: never a link base, never a redirect.
const NEVER: [&str; 12] = [
    "about",
    "blob",
    "data",
    "file",
    "filesystem",
    "ftp",
    "javascript",
    "mailto",
    "vbscript",
    "view-source",
    "ws",
    "wss",
];

/// Parses a URL of the form `scheme://...` whose scheme may be used; the error reads on after "is" or a key.
///
/// Refused are control characters, spaces and backslashes (which browsers strip or turn into slashes),
/// a user or password, percent signs in the host, and anything longer than 2,048 bytes.
pub(crate) fn parse(text: &str) -> Result<Url, &'static str> {
    if text.len() > LONGEST {
        return Err("is longer than 2,048 bytes");
    }
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '\\' | '"' | '<' | '>')) {
        return Err("holds a space, control character, quote, angle bracket or backslash");
    }
    // Read before parsing, since `https:evil`, `//evil` and `https:///evil` are all mended into URLs.
    let (scheme, rest) = text.split_once("://").ok_or("is no URL of the form scheme://...")?;
    let first = scheme.bytes().next();
    let in_scheme = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    if !first.is_some_and(|byte| byte.is_ascii_alphabetic()) || !scheme.bytes().all(in_scheme) {
        return Err("is no URL of the form scheme://...");
    }
    if NEVER.iter().any(|never| scheme.eq_ignore_ascii_case(never)) {
        return Err("has a scheme that is never allowed; write https:// or your app's own scheme");
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("holds a user name or password; leave it out");
    }
    if authority.contains('%') {
        return Err("has a percent sign in its host");
    }
    let url = Url::parse(text).map_err(|_| "is no URL of the form scheme://...")?;
    if is_web(&url) && authority.is_empty() {
        return Err("has no host");
    }
    Ok(url)
}

/// Whether this is `https:` or `http:`, as opposed to an app's own scheme.
pub(crate) fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "https" | "http")
}

/// Whether this is `http:` to another machine, where anybody between can read it.
pub(crate) fn is_insecure(url: &Url) -> bool {
    url.scheme() == "http" && !is_loopback(url)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).to_canonical().is_loopback(),
        None => false,
    }
}
