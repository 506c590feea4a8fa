//! What an administrator keeps with an account: texts by key. Only administrators and imports write it.

use std::collections::BTreeMap;

/// The key under which ROS shows whether the address is confirmed. It is an account's own flag, never kept here.
pub const CONFIRMED_KEY: &str = "isEmailConfirmed";

/// The most entries.
const MAX_ENTRIES: usize = 100;
/// The longest key, in bytes.
const MAX_KEY_BYTES: usize = 254;
/// The longest value, in bytes.
const MAX_VALUE_BYTES: usize = 8 * 1024;

/// Texts by key, in the order of the keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata(BTreeMap<String, String>);

/// Why metadata is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMetadata {
    /// Too many entries.
    #[error("must not have more than 100 entries")]
    TooMany,
    /// A key that is empty, too long, or has control characters.
    #[error("has a key that is empty, longer than 254 bytes or contains control characters")]
    Key,
    /// A value that is too long or has NUL in it.
    #[error("has a value that is longer than 8192 bytes or contains NUL")]
    Value,
    /// The confirmed flag is neither `"true"` nor `"false"`.
    #[error("must have \"true\" or \"false\" as isEmailConfirmed, or leave it out")]
    Confirmed,
}

impl Metadata {
    /// Takes entries from outside, and apart from them what they say of the confirmed flag (`None` where nothing).
    ///
    /// # Errors
    /// See [`InvalidMetadata`].
    pub fn parse(
        entries: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(Self, Option<bool>), InvalidMetadata> {
        let mut kept = BTreeMap::new();
        let mut is_confirmed = None;
        for (key, value) in entries {
            if key == CONFIRMED_KEY {
                is_confirmed = Some(value.parse().map_err(|_| InvalidMetadata::Confirmed)?);
                continue;
            }
            if key.is_empty() || key.len() > MAX_KEY_BYTES || key.chars().any(char::is_control) {
                return Err(InvalidMetadata::Key);
            }
            if value.len() > MAX_VALUE_BYTES || value.contains('\0') {
                return Err(InvalidMetadata::Value);
            }
            kept.insert(key, value);
            if kept.len() > MAX_ENTRIES {
                return Err(InvalidMetadata::TooMany);
            }
        }
        Ok((Self(kept), is_confirmed))
    }

    /// Takes the JSON object that a store holds; `None` where it is none of texts.
    pub fn from_stored(json: &str) -> Option<Self> {
        // Nearly every account's, and so worth no parser.
        if json == "{}" {
            return Some(Self::default());
        }
        serde_json::from_str(json).ok().map(Self)
    }

    /// As a JSON object, to be stored.
    pub fn to_stored(&self) -> String {
        // A map of texts can always be written.
        serde_json::to_string(&self.0).unwrap_or_else(|_| "{}".to_owned())
    }

    /// The entries, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(entries: &[(&str, &str)]) -> Result<(Metadata, Option<bool>), InvalidMetadata> {
        Metadata::parse(entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn what_is_taken_survives_being_stored() {
        let (metadata, is_confirmed) = parse(&[("b", "\"quoted\" ü\n"), ("a", "")]).unwrap();
        assert_eq!(is_confirmed, None);
        assert_eq!(metadata.iter().collect::<Vec<_>>(), [("a", ""), ("b", "\"quoted\" ü\n")]);
        assert_eq!(Metadata::from_stored(&metadata.to_stored()), Some(metadata));
        assert_eq!(Metadata::from_stored(&Metadata::default().to_stored()), Some(Metadata::default()));
        assert_eq!(Metadata::from_stored("{\"a\":1}"), None);
    }

    #[test]
    fn the_confirmed_flag_is_taken_out_and_read() {
        let (metadata, is_confirmed) = parse(&[("isEmailConfirmed", "true"), ("a", "b")]).unwrap();
        assert_eq!((metadata.iter().count(), is_confirmed), (1, Some(true)));
        assert_eq!(parse(&[("isEmailConfirmed", "false")]).unwrap().1, Some(false));
        assert_eq!(parse(&[("isEmailConfirmed", "yes")]), Err(InvalidMetadata::Confirmed));
    }

    #[test]
    fn it_is_bounded() {
        assert_eq!(parse(&[("", "x")]), Err(InvalidMetadata::Key));
        assert_eq!(parse(&[("a\nb", "x")]), Err(InvalidMetadata::Key));
        assert_eq!(parse(&[("a", "x\0")]), Err(InvalidMetadata::Value));
        assert_eq!(parse(&[("a", &"x".repeat(MAX_VALUE_BYTES + 1))]), Err(InvalidMetadata::Value));
        let many = (0..=MAX_ENTRIES).map(|i| (i.to_string(), String::new()));
        assert_eq!(Metadata::parse(many), Err(InvalidMetadata::TooMany));
    }
}
