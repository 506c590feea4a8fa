//! Names, the key they are compared by, and the address in them. The one place where names are folded.

use std::fmt;

/// The longest name and the longest address, in bytes (RFC 5321, 4.5.3.1.3).
pub const MAX_BYTES: usize = 254;
const MAX_LOCAL_BYTES: usize = 64;
/// What the key of a name of `realm` begins with.
const REALM_MARK: &str = "realm\u{1f}";

/// Whether names that differ by ASCII case are the same. Fixed when a database is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyMode {
    /// They are the same.
    #[default]
    Folded,
    /// They are different, as in ROS; for imported data only.
    Exact,
}

/// The provider that a name is of, in ROS's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Provider {
    /// Names that sign in with a password.
    Password,
    /// Names that administrators give to accounts nobody signs in to, such as those of an application's servers.
    Realm,
}

impl Provider {
    /// As it stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Realm => "realm",
        }
    }

    /// The provider of that word, which is written exactly so.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Password, Self::Realm].into_iter().find(|provider| provider.as_str() == word)
    }
}

/// A name as the client sent it (`provider_id`, `username`), with its key and, where it is one, its address.
#[derive(Clone)]
pub struct Name {
    text: String,
    key: NameKey,
    address: Option<Address>,
}

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Longer than 254 bytes.
    #[error("must not be longer than 254 bytes")]
    TooLong,
    /// Holds NUL, a line break or another control character.
    #[error("must not contain control characters")]
    ControlCharacter,
}

impl Name {
    /// Parses a name. Anything but control characters is taken; only a text that is exactly one mailbox has an address.
    ///
    /// # Errors
    /// Where the text is too long or has control characters (601 on the wire).
    pub fn parse(text: &str, mode: KeyMode) -> Result<Self, InvalidName> {
        if text.len() > MAX_BYTES {
            return Err(InvalidName::TooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidName::ControlCharacter);
        }
        let address = Address::parse(text);
        let canonical = address.as_ref().map_or(text, Address::as_str);
        let key = match mode {
            KeyMode::Folded => canonical.to_ascii_lowercase(),
            KeyMode::Exact => canonical.to_owned(),
        };
        Ok(Self { text: text.to_owned(), key: NameKey(key), address })
    }

    /// Parses a name of any provider. One of `realm` is compared as it stands and is never an address.
    ///
    /// # Errors
    /// As [`Name::parse`].
    pub fn of(provider: Provider, text: &str, mode: KeyMode) -> Result<Self, InvalidName> {
        match provider {
            Provider::Password => Self::parse(text, mode),
            Provider::Realm => Self::parse(text, mode).map(|name| Self {
                key: NameKey::of_realm(text),
                address: None,
                ..name
            }),
        }
    }

    pub(crate) fn builtin_admin() -> Self {
        let text = crate::account::BUILTIN_ADMIN;
        Self { text: text.to_owned(), key: NameKey::of_realm(text), address: None }
    }

    /// As it was sent.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it is compared by.
    pub fn key(&self) -> &NameKey {
        &self.key
    }

    /// Where mail for it goes.
    pub fn address(&self) -> Option<&Address> {
        self.address.as_ref()
    }
}

/// The form of a name that is compared, byte by byte. No `Debug`: it usually is a mail address.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameKey(String);

impl NameKey {
    /// Takes a key that a store holds.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// No name has a control character, so a name of `realm` never equals one that can sign in or be mailed to.
    fn of_realm(text: &str) -> Self {
        Self(format!("{REALM_MARK}{text}"))
    }

    /// The provider that the name is of.
    pub fn provider(&self) -> Provider {
        if self.0.starts_with(REALM_MARK) { Provider::Realm } else { Provider::Password }
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Exactly one mailbox: a dot-atom, `@`, a domain as A-labels. No quotes, comments, literals or display names.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    text: String,
    at: usize,
}

impl Address {
    /// Parses an address; `None` where it is anything but exactly one plain mailbox.
    ///
    /// A domain that IDNA would map beyond ASCII case (full-width letters, soft hyphens, ...) is refused, since
    /// a text that looks like another's address must never become it (CVE-2019-19844, CVE-2023-7028).
    pub fn parse(text: &str) -> Option<Self> {
        let (local, domain) = text.rsplit_once('@')?;
        if text.len() > MAX_BYTES || !is_local_part(local) {
            return None;
        }
        let domain = a_label(domain)?;
        let text = format!("{local}@{domain}");
        (text.len() <= MAX_BYTES).then_some(Self { text, at: local.len() })
    }

    /// Takes an address that a store holds; `None` where it is none.
    pub fn from_stored(text: &str) -> Option<Self> {
        Self::parse(text)
    }

    /// `local@domain`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part after the `@`, as A-labels in lower case.
    pub fn domain(&self) -> &str {
        &self.text[self.at + 1..]
    }
}

/// Shows the domain alone: enough to debug with, and nobody's address.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "…@{}", self.domain())
    }
}

/// A dot-atom (RFC 5322, 3.2.3), beyond ASCII letters and digits only (RFC 6531).
fn is_local_part(local: &str) -> bool {
    let is_atext = |c: char| {
        if c.is_ascii() {
            c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
        } else {
            c.is_alphanumeric()
        }
    };
    // What looks like an encoded word (RFC 2047) would be read as another address by who shows the header.
    (1..=MAX_LOCAL_BYTES).contains(&local.len())
        && !local.contains("=?")
        && local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// The domain in A-labels, where getting there changes nothing but ASCII case.
fn a_label(domain: &str) -> Option<String> {
    let lower = domain.to_ascii_lowercase();
    let ascii = idna::domain_to_ascii_strict(&lower).ok()?;
    let last = ascii.rsplit('.').next()?;
    if last.is_empty() || last.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let unchanged = lower.split('.').zip(ascii.split('.')).all(|(typed, mapped)| {
        typed == mapped || {
            let (unicode, result) = idna::domain_to_unicode(mapped);
            result.is_ok() && unicode == typed
        }
    });
    (unchanged && lower.split('.').count() == ascii.split('.').count()).then_some(ascii)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(text: &str) -> String {
        Name::parse(text, KeyMode::Folded).unwrap().key().as_str().to_owned()
    }

    fn address(text: &str) -> Option<String> {
        Address::parse(text).map(|a| a.as_str().to_owned())
    }

    #[test]
    fn ascii_case_is_folded_and_idn_becomes_an_a_label() {
        assert_eq!(key("Ann@Example.ORG"), "ann@example.org");
        assert_eq!(key("Ann@jõgeva.ee"), "ann@xn--jgeva-dua.ee");
        assert_eq!(key("ann@XN--jgeva-dua.ee"), "ann@xn--jgeva-dua.ee");
        assert_eq!(address("Ann@Example.ORG").as_deref(), Some("Ann@example.org"));
        assert_eq!(key("Ann Smith"), "ann smith");
        assert_eq!(Name::parse("Ann@X.org", KeyMode::Exact).unwrap().key().as_str(), "Ann@x.org");
    }

    #[test]
    fn look_alikes_of_an_address_are_not_that_address() {
        for look_alike in [
            "mi\u{212a}e@example.org",
            "mıke@example.org",
            "MİKE@example.org",
            "mike@ⓔxample.org",
            "mike@exam\u{ad}ple.org",
            "mike＠example.org",
            "mike@example.org.",
            "mike@ｅxample.org",
            "mike@example\u{3002}org",
            "mike@EXÄMPLE.org",
            " mike@example.org",
            "mike @example.org",
        ] {
            assert_ne!(key(look_alike), "mike@example.org", "{look_alike}");
        }
        assert_eq!(address("mike@EXÄMPLE.org"), None);
        assert_eq!(address("mike@example.org."), None);
    }

    #[test]
    fn only_exactly_one_plain_mailbox_is_an_address() {
        for bad in [
            "",
            "@",
            "a@",
            "@b.org",
            "a",
            "v@x.org,a@x.org",
            "v@x.org a@x.org",
            "\"a b\"@x.org",
            "a@x.org(c)",
            "<a@x.org>",
            "a@[127.0.0.1]",
            "a@127.0.0.1",
            "a..b@x.org",
            ".a@x.org",
            "a.@x.org",
            "a@x_y.org",
            "a@-x.org",
            "a@x..org",
            "a@b@c.org",
            "Ann <a@x.org>",
            "list:a@x.org;",
            "a\u{202e}@x.org",
            "=?utf-8?q?a?=b@[x]",
            "=?utf-8?q?victim?=@x.org",
        ] {
            assert_eq!(address(bad), None, "{bad}");
        }
        assert!(address(&format!("{}@x.org", "a".repeat(64))).is_some());
        assert!(address(&format!("{}@x.org", "a".repeat(65))).is_none());
        assert!(address("a+b@localhost").is_some());
        assert!(address("%TOKEN%@x.org").is_some());
    }

    #[test]
    fn control_characters_and_long_texts_are_no_names() {
        for bad in ["a\0b", "a\nb@x.org", "a\rb", "a\tb", "a\u{85}b"] {
            assert_eq!(Name::parse(bad, KeyMode::Folded).err(), Some(InvalidName::ControlCharacter));
        }
        assert_eq!(Name::parse(&"x".repeat(255), KeyMode::Folded).err(), Some(InvalidName::TooLong));
        assert!(Name::parse("%TOKEN%", KeyMode::Folded).is_ok_and(|n| n.address().is_none()));
    }

    #[test]
    fn a_name_of_realm_is_apart_from_every_name_that_signs_in() {
        let realm = Name::of(Provider::Realm, "Ann@Example.org", KeyMode::Folded).unwrap();
        assert_eq!((realm.as_str(), realm.address()), ("Ann@Example.org", None));
        assert_eq!(realm.key().provider(), Provider::Realm);
        let password = Name::of(Provider::Password, "Ann@Example.org", KeyMode::Folded).unwrap();
        assert_eq!(password.key().provider(), Provider::Password);
        assert!(realm.key() != password.key());
        assert!(Name::parse(realm.key().as_str(), KeyMode::Folded).is_err());
        assert!(Name::of(Provider::Realm, "a\nb", KeyMode::Folded).is_err());
    }

    proptest! {
        #[test]
        fn a_key_is_its_own_key(text in "\\PC{0,40}") {
            if let Ok(name) = Name::parse(&text, KeyMode::Folded) {
                let again = Name::parse(name.key().as_str(), KeyMode::Folded).unwrap();
                prop_assert!(again.key() == name.key());
            }
        }

        #[test]
        fn an_address_is_bounded_and_has_one_at(local in "[a-zäK.+]{1,10}", domain in "\\PC{1,20}") {
            if let Some(a) = Address::parse(&format!("{local}@{domain}")) {
                prop_assert!(a.as_str().len() <= MAX_BYTES);
                prop_assert_eq!(a.as_str().matches('@').count(), 1);
                prop_assert!(a.domain().is_ascii());
            }
        }
    }
}
