//! Owns the TXT record with the public key: its name, its text, and whether a published one fits (RFC 6376 section 3.6.1).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::key::{DkimAlgorithm, DkimKey};

/// Of a name in DNS, without the dot at its end.
pub(super) const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;
/// Of one string of a TXT record (RFC 1035 section 3.3.14).
const LONGEST_STRING: usize = 255;

/// The record that lets others check the signatures of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DkimRecord {
    name: String,
    kind: &'static str,
    public: String,
}

/// Why a published record does not fit the key. It reads on after "the record".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublishedFault {
    /// It is something else than a key.
    #[error("is no DKIM key: it has no p= or is of another version")]
    NotAKey,
    /// An empty `p=` says that the key must not be used any more.
    #[error("is empty (p=), which says that the key was withdrawn")]
    Withdrawn,
    /// `k=` is another kind of key.
    #[error("is of another kind of key (k=)")]
    Kind,
    /// `p=` is another key.
    #[error("holds another key (p=)")]
    OtherKey,
    /// `h=` leaves SHA-256 out.
    #[error("does not allow sha256 (h=)")]
    Hash,
    /// `s=` is not for mail.
    #[error("is not for mail (s=)")]
    Service,
}

impl DkimRecord {
    pub(super) fn new(selector: &str, domain: &str, key: &DkimKey) -> Self {
        let kind = match key.algorithm() {
            DkimAlgorithm::RsaSha256 => "rsa",
            DkimAlgorithm::Ed25519Sha256 => "ed25519",
        };
        Self { name: name(selector, domain), kind, public: BASE64.encode(key.public()) }
    }

    /// Where it stands: `selector._domainkey.domain`, without a dot at its end.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its text: `v=DKIM1; k=rsa; p=...`.
    pub fn value(&self) -> String {
        format!("v=DKIM1; k={}; p={}", self.kind, self.public)
    }

    /// The text in strings of at most 255 characters, as a zone file needs it. Receivers join them again.
    pub fn strings(&self) -> Vec<String> {
        let value = self.value();
        // Nothing in it is beyond ASCII.
        value
            .as_bytes()
            .chunks(LONGEST_STRING)
            .map(|part| String::from_utf8_lossy(part).into_owned())
            .collect()
    }

    /// Whether a text that was found in DNS, its strings joined, lets others check this key's signatures.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn check(&self, published: &str) -> Result<(), PublishedFault> {
        let mut tags = Vec::new();
        for tag in published.split(';') {
            if let Some((name, value)) = tag.split_once('=') {
                let value: String = value.chars().filter(|c| !c.is_ascii_whitespace()).collect();
                tags.push((name.trim_ascii(), value));
            }
        }
        let tag = |wanted| tags.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value.as_str());
        let lists = |value: &str, word: &str| value.split(':').any(|item| item == word);
        let Some(public) = tag("p").filter(|_| tag("v").is_none_or(|version| version == "DKIM1")) else {
            return Err(PublishedFault::NotAKey);
        };
        if public.is_empty() {
            return Err(PublishedFault::Withdrawn);
        }
        if tag("k").unwrap_or("rsa") != self.kind {
            return Err(PublishedFault::Kind);
        }
        if public.trim_end_matches('=') != self.public.trim_end_matches('=') {
            return Err(PublishedFault::OtherKey);
        }
        if tag("h").is_some_and(|hashes| !lists(hashes, "sha256")) {
            return Err(PublishedFault::Hash);
        }
        if tag("s").is_some_and(|services| !lists(services, "*") && !lists(services, "email")) {
            return Err(PublishedFault::Service);
        }
        Ok(())
    }
}

pub(super) fn name(selector: &str, domain: &str) -> String {
    format!("{selector}._domainkey.{domain}")
}

/// A domain of at least two labels, as A-labels in lower case.
pub(super) fn domain(text: &str) -> Option<String> {
    let ascii = idna::domain_to_ascii_strict(text).ok()?;
    let is_name = ascii.contains('.') && ascii.split('.').all(|label| is_label(label, false));
    is_name.then_some(ascii)
}

/// A selector in lower case: labels with dots between (RFC 6376 section 3.1). Underscores are no letters of a host, but
/// of many selectors.
pub(super) fn selector(text: &str) -> Option<String> {
    text.split('.').all(|label| is_label(label, true)).then(|| text.to_ascii_lowercase())
}

fn is_label(label: &str, underscore: bool) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || underscore && byte == b'_';
    (1..=LONGEST_LABEL).contains(&label.len())
        && label.bytes().all(is_inner)
        && !label.starts_with('-')
        && !label.ends_with('-')
}
