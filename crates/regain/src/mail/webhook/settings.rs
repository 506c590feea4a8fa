//! Where a webhook is, how it is signed, and what it is given besides.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use url::Url;

use super::secret::{SecretError, SigningSecret};
use crate::config::address;

/// How long a delivery may take.
pub(crate) const TIMEOUTS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(300);
/// How many connections may be open at once.
pub(crate) const CONNECTIONS: RangeInclusive<usize> = 1..=100;
/// How many secrets sign at once while one takes another's place.
pub(crate) const MOST_SECRETS: usize = 4;
/// How many headers an operator may add.
pub(crate) const MOST_HEADERS: usize = 16;
const LONGEST_HEADER: usize = 4_096;

/// Headers that say how the message is framed, or what we say ourselves.
const TAKEN: [&str; 12] = [
    "accept-encoding",
    "connection",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-type",
    "content-length",
];
const TAKEN_BEGINNINGS: [&str; 2] = ["webhook-", "content-"];

/// A webhook that takes mails. `Debug` shows neither path, query, secrets nor the values of headers.
#[derive(Clone)]
pub struct WebhookSettings {
    url: Url,
    uri: Uri,
    secrets: Vec<SigningSecret>,
    headers: HeaderMap,
    timeout: Duration,
    max_connections: usize,
}

/// Why a webhook cannot be this; reads on after the key's name and quotes no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// The address.
    #[error(
        "{0}; write for example \"https://mail.example.org/regain\" (a login goes into headers, as Authorization)"
    )]
    Url(&'static str),
    /// A secret.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The list of secrets.
    #[error("must be a secret, or a list of 1 to 4 secrets that all sign")]
    Secrets,
    /// A header.
    #[error("{0}")]
    Header(&'static str),
}

impl WebhookSettings {
    /// A webhook at `url`, signed with `secret` (`whsec_...`): 30 seconds for a delivery, 5 connections.
    ///
    /// # Errors
    /// When either is none, or the address is `http:` beyond this machine.
    pub fn new(url: &str, secret: &str) -> Result<Self, WebhookError> {
        Self::at(url, vec![SigningSecret::parse(secret)?])
    }

    /// A webhook at `url` that several secrets sign, so that a receiver may know any one of them.
    ///
    /// # Errors
    /// See [`WebhookSettings::new`].
    pub fn at(url: &str, secrets: Vec<SigningSecret>) -> Result<Self, WebhookError> {
        if !(1..=MOST_SECRETS).contains(&secrets.len()) {
            return Err(WebhookError::Secrets);
        }
        let (url, uri) = parse(url)?;
        Ok(Self {
            url,
            uri,
            secrets,
            headers: HeaderMap::new(),
            timeout: Duration::from_secs(30),
            max_connections: 5,
        })
    }

    /// Adds a header to each request, such as `Authorization`. Its value is a secret to us.
    ///
    /// # Errors
    /// When it is no header, one that we write ourselves, a second one of that name, or one too many.
    pub fn with_header(mut self, name: &str, value: &str) -> Result<Self, WebhookError> {
        let name = header_name(name)?;
        if self.headers.contains_key(&name) {
            return Err(WebhookError::Header("is written twice"));
        }
        if self.headers.len() >= MOST_HEADERS {
            return Err(WebhookError::Header("is one header too many: 16 may be added"));
        }
        self.headers.insert(name, header_value(value)?);
        Ok(self)
    }

    /// How long a delivery may take, from connecting to the answer, within 1 second and 5 minutes.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout: timeout.clamp(*TIMEOUTS.start(), *TIMEOUTS.end()), ..self }
    }

    /// How many connections may be open at once, and so how many deliveries go on: 1 to 100.
    #[must_use]
    pub fn with_max_connections(self, max_connections: usize) -> Self {
        let max_connections = max_connections.clamp(*CONNECTIONS.start(), *CONNECTIONS.end());
        Self { max_connections, ..self }
    }

    /// How long a delivery may take.
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How many connections may be open at once.
    pub fn max_connections(&self) -> usize {
        self.max_connections
    }

    /// The host, in ASCII form.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }

    /// The address as it can be shown: of many services the path alone is the secret.
    pub fn redacted(&self) -> String {
        let origin = self.url.origin().ascii_serialization();
        if self.url.path() == "/" && self.url.query().is_none() { origin } else { format!("{origin}/***") }
    }

    /// How many secrets sign.
    pub fn secret_count(&self) -> usize {
        self.secrets.len()
    }

    /// The names of the headers that were added.
    pub fn header_names(&self) -> impl Iterator<Item = &str> {
        self.headers.keys().map(HeaderName::as_str)
    }

    pub(super) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    pub(super) fn secrets(&self) -> &[SigningSecret] {
        &self.secrets
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }
}

impl fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookSettings")
            .field("url", &self.redacted())
            .field("secrets", &self.secrets.len())
            .field("headers", &self.headers.keys().collect::<Vec<_>>())
            .field("timeout", &self.timeout)
            .field("max_connections", &self.max_connections)
            .finish()
    }
}

fn parse(text: &str) -> Result<(Url, Uri), WebhookError> {
    let url = address::parse(text).map_err(WebhookError::Url)?;
    if !address::is_web(&url) {
        return Err(WebhookError::Url("is not https:"));
    }
    if address::is_insecure(&url) {
        return Err(WebhookError::Url(
            "is http: beyond this machine, where the links in mails could be read on their way",
        ));
    }
    if url.fragment().is_some() {
        return Err(WebhookError::Url("has a fragment, which is not sent"));
    }
    let odd = "holds characters that have to be percent-encoded";
    let uri = url.as_str().parse().map_err(|_| WebhookError::Url(odd))?;
    Ok((url, uri))
}

fn header_name(text: &str) -> Result<HeaderName, WebhookError> {
    let name = HeaderName::from_bytes(text.as_bytes())
        .map_err(|_| WebhookError::Header("is no name of an HTTP header"))?;
    let is_taken = TAKEN.contains(&name.as_str())
        || TAKEN_BEGINNINGS.iter().any(|beginning| name.as_str().starts_with(beginning));
    if is_taken {
        return Err(WebhookError::Header("is a header that Regain writes itself; leave it out"));
    }
    Ok(name)
}

fn header_value(text: &str) -> Result<HeaderValue, WebhookError> {
    let is_plain = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    let error =
        WebhookError::Header("must be one line of 1 to 4,096 ASCII characters, without spaces around it");
    if text.is_empty() || text.len() > LONGEST_HEADER || text.trim() != text || !text.bytes().all(is_plain) {
        return Err(error);
    }
    let mut value = HeaderValue::from_str(text).map_err(|_| error)?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn at(url: &str) -> Result<WebhookSettings, WebhookError> {
        WebhookSettings::new(url, SECRET)
    }

    #[test]
    fn a_webhook_is_https_or_on_this_machine() {
        for url in [
            "https://mail.example.org/regain",
            "https://mail.example.org:8443/a?key=b",
            "http://localhost:3000/",
            "http://127.0.0.1",
            "http://[::1]:3000/x",
            "HTTPS://B\u{fc}cher.example/x",
        ] {
            assert!(at(url).is_ok(), "{url}");
        }
        for url in [
            "",
            "mail.example.org",
            "http://mail.example.org/x",
            "http://10.0.0.1/x",
            "myapp://x",
            "https://u:hunter2@mail.example.org/x",
            "https://mail.example.org/x#y",
            "https:///x",
            "https://mail.example.org/ x",
        ] {
            let error = at(url).map(|_| ()).expect_err(url).to_string();
            assert!(error.contains("write for example") && !error.contains("hunter2"), "{error}");
        }
        assert_eq!(at("https://B\u{fc}cher.example/x").unwrap().host(), "xn--bcher-kva.example");
        assert_eq!(at("https://mail.example.org").unwrap().port(), 443);
    }

    #[test]
    fn nothing_secret_is_shown() {
        let webhook = at("https://hook.example.org/hunter2path?key=hunter2query").unwrap();
        let webhook = webhook.with_header("Authorization", "Bearer hunter2header").unwrap();
        let shown = format!("{webhook:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("MfKQ"), "{shown}");
        assert!(shown.contains("https://hook.example.org/***") && shown.contains("authorization"), "{shown}");
        assert_eq!(at("https://hook.example.org").unwrap().redacted(), "https://hook.example.org");
    }

    #[test]
    fn headers_of_ones_own_are_checked() {
        let webhook = || at("https://mail.example.org/x").unwrap();
        for (name, value) in [
            ("Host", "x"),
            ("Content-Type", "x"),
            ("content-length", "1"),
            ("Transfer-Encoding", "chunked"),
            ("Webhook-Id", "x"),
            ("x y", "x"),
            ("", "x"),
            ("x", ""),
            ("x", " y"),
            ("x", "a\r\nb: c"),
            ("x", "\u{e9}"),
        ] {
            assert!(webhook().with_header(name, value).is_err(), "{name}: {value}");
        }
        let twice = webhook().with_header("X-Key", "a").unwrap().with_header("x-key", "b");
        assert!(twice.is_err());
        let mut many = webhook();
        for number in 0..MOST_HEADERS {
            many = many.with_header(&format!("x-{number}"), "y").unwrap();
        }
        assert!(many.with_header("x-more", "y").is_err());
    }

    #[test]
    fn times_and_connections_are_bounded() {
        let webhook = at("https://mail.example.org/x").unwrap();
        assert_eq!((webhook.timeout().as_secs(), webhook.max_connections()), (30, 5));
        let webhook = webhook.with_timeout(Duration::ZERO).with_max_connections(1_000);
        assert_eq!((webhook.timeout().as_secs(), webhook.max_connections()), (1, 100));
        assert!(WebhookSettings::at("https://mail.example.org", Vec::new()).is_err());
    }
}
