//! The name of the header in which clients send their session token.

use axum::http::HeaderName;

/// Headers that say something else in every request, or that proxies and browsers take for themselves.
const TAKEN: [&str; 16] = [
    "connection",
    "cookie",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "origin",
    "referer",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "x-forwarded-for",
];
const TAKEN_BEGINNINGS: [&str; 4] = ["accept", "access-control-", "content-", "sec-"];

/// Reads the name of a header that may carry a token; the error reads on after the key.
pub(super) fn for_tokens(text: &str) -> Result<HeaderName, &'static str> {
    let name = HeaderName::from_bytes(text.as_bytes())
        .map_err(|_| "is no name of an HTTP header; write for example \"x-session-token\"")?;
    let is_taken = TAKEN.contains(&name.as_str())
        || TAKEN_BEGINNINGS.iter().any(|beginning| name.as_str().starts_with(beginning));
    if is_taken {
        return Err(
            "is a header that carries something else; write another, for example \"x-session-token\"",
        );
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_of_ones_own_may_carry_tokens() {
        for text in [
            "X-Session-Token",
            "authorization",
            "x-realm-access-token",
            "Proxy-Authorization",
            "a!#$%&'*+.^_`|~1",
        ] {
            assert_eq!(for_tokens(text).map(|name| name.to_string()), Ok(text.to_ascii_lowercase()));
        }
    }

    #[test]
    fn what_is_no_header_name_is_refused() {
        for text in ["", " x", "x y", "x:", "x\r\ny", "é", "x,y", "(x)", "x\0", &"x".repeat(70_000)] {
            assert!(for_tokens(text).is_err_and(|reason| reason.contains("no name")), "{text:?}");
        }
    }

    #[test]
    fn a_header_that_carries_something_else_is_refused() {
        for text in ["Cookie", "HOST", "Content-Type", "content-length", "Accept", "Sec-Fetch-Site", "Origin"]
        {
            assert!(for_tokens(text).is_err_and(|reason| reason.contains("something else")), "{text}");
        }
    }
}
