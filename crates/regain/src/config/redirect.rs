//! The allow-list of `redirectUrl`: where a page may send the browser when a flow has ended.
//!
//! Rules are parsed by the same parser as what is checked against them, and compared part by part, never as
//! text that merely begins alike (ASVS 3.7.2, RFC 9700 section 4.1).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::{Position, Url};

use super::address;

/// RFC 3986 section 2.3: these stand for themselves, everything else in a query value is encoded.
const QUERY_VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The redirects that are allowed; empty by default, which allows none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RedirectAllowList(Vec<RedirectRule>);

/// One entry: an origin allows its paths, a web address with a path allows that path and what is under it,
/// an app's own scheme (`myapp://`, `myapp://done`) what begins with it, up to a segment border.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectRule {
    url: Url,
}

/// Why a text is no [`RedirectRule`]; reads on after the key's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; write for example \"https://app.example.org\" or \"myapp://\"")]
pub struct RedirectRuleError {
    reason: &'static str,
}

/// An address that the allow-list allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectTarget {
    url: Url,
}

impl RedirectAllowList {
    /// A list of these rules.
    pub fn new(rules: impl IntoIterator<Item = RedirectRule>) -> Self {
        Self(rules.into_iter().collect())
    }

    /// The rules, in their order.
    pub fn rules(&self) -> &[RedirectRule] {
        &self.0
    }

    /// The address if a rule allows it. Ask when the page is shown and again when the redirect is sent.
    pub fn allows(&self, address: &str) -> Option<RedirectTarget> {
        let url = address::parse(address).ok()?;
        self.0.iter().any(|rule| rule.allows(&url)).then_some(RedirectTarget { url })
    }
}

impl RedirectRule {
    /// Parses an entry of `redirectUrls`.
    pub fn parse(text: &str) -> Result<Self, RedirectRuleError> {
        let refused = |reason| RedirectRuleError { reason };
        let mut url = address::parse(text).map_err(refused)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refused("has a query or fragment; leave it out"));
        }
        if address::is_insecure(&url) {
            return Err(refused("is http: beyond this machine"));
        }
        // Without slashes at the end, the border of a segment is what follows the rule's path.
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self { url })
    }

    /// The entry in its parsed form.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    fn allows(&self, target: &Url) -> bool {
        let rule = &self.url;
        if address::is_web(rule) {
            return rule.origin() == target.origin() && is_under(rule.path(), target.path());
        }
        if rule.scheme() != target.scheme() {
            return false;
        }
        let whole_scheme = !rule.has_host() && rule.path().is_empty();
        let same_host = rule.host() == target.host() && rule.port() == target.port();
        whole_scheme || (same_host && is_under(rule.path(), target.path()))
    }
}

impl RedirectTarget {
    /// The address in its parsed form.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    /// What `form-action` of a Content-Security-Policy must name for the redirect to be followed: the origin,
    /// or `myapp:` for an app's own scheme.
    pub fn origin_for_csp(&self) -> String {
        if address::is_web(&self.url) {
            self.url.origin().ascii_serialization()
        } else {
            format!("{}:", self.url.scheme())
        }
    }

    /// The address with these parameters added, behind a query that is there and before a fragment;
    /// names and values are percent-encoded as a whole.
    pub fn with_query(&self, parameters: &[(&str, &str)]) -> String {
        let mut address = self.url[..Position::AfterPath].to_owned();
        let own = self.url.query().filter(|query| !query.is_empty());
        let added = parameters.iter().map(|(name, value)| {
            format!("{}={}", utf8_percent_encode(name, QUERY_VALUE), utf8_percent_encode(value, QUERY_VALUE))
        });
        for (at, part) in own.map(str::to_owned).into_iter().chain(added).enumerate() {
            address.push(if at == 0 { '?' } else { '&' });
            address.push_str(&part);
        }
        if let Some(fragment) = self.url.fragment() {
            address.push('#');
            address.push_str(fragment);
        }
        address
    }
}

/// Whether a path is the rule's path or under it, segment by segment.
fn is_under(rule: &str, path: &str) -> bool {
    let rule = rule.trim_end_matches('/');
    if rule.is_empty() {
        return true;
    }
    // A server that decodes these before it resolves `..` would leave the rule's path.
    let lower = path.to_ascii_lowercase();
    // The last two are for servers that decode twice, and for those that cut parameters off `..;` first.
    if ["%2f", "%5c", "%2e", "%00", "%25", "..;", "..%3b"].iter().any(|hidden| lower.contains(hidden)) {
        return false;
    }
    path.strip_prefix(rule).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests;
