//! `baseUrl` and `publicUrl`: what links begin with.

use std::fmt;

use super::address;

/// The value of `%BASE_URL%`: `https://accounts.example.org`, or a deep link such as `myapp://update-account`.
///
/// All slashes at its end are cut, as ROS does, so that `{base}/reset-password?token=...` is a link.
/// It has no user, query or fragment. The host of a web address is in ASCII form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    text: String,
    origin: Option<String>,
    insecure: bool,
}

/// Why a text is no [`BaseUrl`]; reads on after the key's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; write for example \"https://accounts.example.org\"")]
pub struct BaseUrlError {
    reason: &'static str,
}

impl BaseUrl {
    /// Parses `https://`, `http://` (see [`Self::is_insecure`]) or an app's own scheme.
    pub fn parse(text: &str) -> Result<Self, BaseUrlError> {
        let url = address::parse(text).map_err(|reason| BaseUrlError { reason })?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(BaseUrlError { reason: "has a query or fragment; leave it out" });
        }
        let is_web = address::is_web(&url);
        // An app compares its links as text, so its scheme stays as written; web hosts need their ASCII form.
        let whole = if is_web { url.as_str() } else { text };
        if !whole.is_ascii() {
            return Err(BaseUrlError { reason: "holds characters outside ASCII" });
        }
        Ok(Self {
            text: whole.trim_end_matches('/').to_owned(),
            origin: is_web.then(|| url.origin().ascii_serialization()),
            insecure: address::is_insecure(&url),
        })
    }

    /// What links begin with where nothing is configured: this machine, by the port that we listen on.
    pub(super) fn of_this_machine(port: u16) -> Self {
        let text = format!("http://localhost:{port}");
        Self { origin: Some(text.clone()), text, insecure: false }
    }

    /// The text without slashes at its end.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The origin (`https://accounts.example.org`, as in an `Origin` header), or `None` for an app's own scheme.
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// Whether this is `https:` or `http:`, as opposed to an app's own scheme.
    pub fn is_web(&self) -> bool {
        self.origin.is_some()
    }

    /// Whether links would travel in the clear: `http:` beyond this machine (ASVS 12.2.1).
    pub fn is_insecure(&self) -> bool {
        self.insecure
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn base(text: &str) -> String {
        BaseUrl::parse(text).unwrap().as_str().to_owned()
    }

    #[test]
    fn all_slashes_at_the_end_are_cut() {
        assert_eq!(base("myapp://update-account/"), "myapp://update-account");
        assert_eq!(base("http://localhost:9080"), "http://localhost:9080");
        assert_eq!(base("https://example.org///"), "https://example.org");
        assert_eq!(base("https://example.org/accounts//"), "https://example.org/accounts");
        assert_eq!(base("myapp://"), "myapp:");
        assert_eq!(base("MyApp://Update"), "MyApp://Update");
    }

    #[test]
    fn a_web_address_is_in_its_ascii_form() {
        assert_eq!(base("HTTPS://B\u{fc}cher.example:443/"), "https://xn--bcher-kva.example");
        assert_eq!(
            BaseUrl::parse("https://example.org:8443/x").unwrap().origin(),
            Some("https://example.org:8443")
        );
        assert_eq!(BaseUrl::parse("myapp://x").unwrap().origin(), None);
    }

    #[test]
    fn only_http_beyond_this_machine_is_insecure() {
        let insecure = |text| BaseUrl::parse(text).unwrap().is_insecure();
        for text in
            ["http://example.org", "http://10.0.0.1", "http://localhost.example.org", "http://[2001:db8::1]"]
        {
            assert!(insecure(text), "{text}");
        }
        for text in [
            "http://localhost:9080",
            "http://127.0.0.1",
            "http://127.9.9.9",
            "http://[::1]:1",
            "https://a.org",
            "my://x",
        ] {
            assert!(!insecure(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_link_base_is_refused() {
        for text in [
            "",
            "/",
            "example.org",
            "//example.org",
            "https:example.org",
            "https://",
            "https:///x",
            "https://u@example.org",
            "https://u:p@example.org",
            "https://example.org?x=1",
            "https://example.org#x",
            "https://example.org/?",
            "javascript://x",
            "JavaScript://x",
            "data://x",
            "file:///etc",
            "mailto:x@example.org",
            "ftp://example.org",
            "https://exa mple.org",
            " https://example.org",
            "https://example.org\\x",
            "https://example.org\n",
            "https://ex%61mple.org",
            "myapp://b\u{fc}cher",
            "myapp:update",
            "1app://x",
            "https://a\"b",
        ] {
            assert!(BaseUrl::parse(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_refusal_shows_no_password() {
        assert!(
            !BaseUrl::parse("https://u:hunter2@example.org").unwrap_err().to_string().contains("hunter2")
        );
    }

    proptest! {
        #[test]
        fn what_is_taken_can_begin_a_link(text in "(https?|myapp|file)://[a-z.@:%#?/\\\\ \u{e9}0-9]{0,12}/{0,2}|\\PC{0,20}") {
            if let Ok(base) = BaseUrl::parse(&text) {
                let link = format!("{base}/reset-password?token=t");
                prop_assert!(link.bytes().all(|byte| byte.is_ascii_graphic()), "{}", link);
                prop_assert!(!base.as_str().ends_with('/') && !base.as_str().contains(['?', '#']));
                let parsed = url::Url::parse(&link).unwrap();
                prop_assert_eq!(parsed.query(), Some("token=t"));
                prop_assert!(parsed.path().ends_with("/reset-password") || parsed.host_str() == Some("reset-password"));
            }
        }
    }
}
