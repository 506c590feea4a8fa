//! Whether two domains are of one organisation.
//!
//! The public suffix list would know; it is as large as the rest of this program. This is a rule of thumb in its place, for
//! advice alone: an organisation is the last two labels, or the last three where those before a country's two letters are a
//! usual word such as `co` or `com`.

/// What countries have below them for everybody.
const USUAL: [&str; 18] = [
    "ac", "co", "com", "edu", "gob", "gov", "go", "id", "ltd", "me", "mil", "ne", "net", "nom", "or", "org",
    "plc", "sch",
];

/// The organisation's domain of a host or domain.
pub(crate) fn organisation(domain: &str) -> String {
    let domain = domain.trim_end_matches('.').to_ascii_lowercase();
    let labels: Vec<&str> = domain.split('.').collect();
    let usual = match labels.as_slice() {
        [.., second, last] => last.len() == 2 && USUAL.contains(second),
        _ => false,
    };
    let kept = if usual { 3 } else { 2 };
    labels[labels.len().saturating_sub(kept)..].join(".")
}

/// Whether both are of one organisation.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    organisation(one) == organisation(other)
}

/// Whether a domain is of those that DNS knows nothing of (RFC 6761, RFC 6762), or a machine's bare name.
pub(crate) fn is_private(domain: &str) -> bool {
    let last = domain.trim_end_matches('.').rsplit('.').next().unwrap_or_default();
    let reserved = ["test", "example", "invalid", "localhost", "local", "internal"];
    !domain.contains('.') || reserved.iter().any(|name| last.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organisation_is_two_labels_or_three_below_a_usual_word() {
        for (domain, expected) in [
            ("example.org", "example.org"),
            ("Mail.App.Example.ORG.", "example.org"),
            ("a.example.co.uk", "example.co.uk"),
            ("a.example.com.au", "example.com.au"),
            ("co.uk", "co.uk"),
            ("go.dev", "go.dev"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(organisation(domain), expected);
        }
        assert!(is_same("app.example.org", "mail.example.org") && !is_same("example.org", "example.net"));
        assert!(!is_same("a.co.uk", "b.co.uk"));
        assert!(is_private("regain.test") && is_private("localhost") && !is_private("example.org"));
    }
}
