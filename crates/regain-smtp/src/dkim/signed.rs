//! Owns which header fields of a message are signed.

use super::DkimError;

/// What is signed unless something else is said: who a message is from and to, what it is, what a mail program shows of
/// it (RFC 6376 section 5.4.1). Not what relays add or rewrite, such as `Received` and `Return-Path`.
const USUAL: [&str; 16] = [
    "from",
    "sender",
    "reply-to",
    "to",
    "cc",
    "subject",
    "date",
    "message-id",
    "in-reply-to",
    "references",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "auto-submitted",
    "list-unsubscribe",
    "list-unsubscribe-post",
];

/// The names of the header fields that are signed where they stand in a message. [`Default`] suits any message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DkimFields(Vec<String>);

impl Default for DkimFields {
    fn default() -> Self {
        Self(USUAL.map(str::to_owned).into())
    }
}

impl DkimFields {
    /// These and no others, in this order.
    ///
    /// # Errors
    /// [`DkimError::FieldName`], [`DkimError::WithoutFrom`].
    pub fn only<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<Self, DkimError> {
        Self(read(names)?).with_from()
    }

    /// All but these, such as those that a relay is known to rewrite.
    ///
    /// # Errors
    /// [`DkimError::FieldName`], [`DkimError::WithoutFrom`].
    pub fn without<'n>(mut self, names: impl IntoIterator<Item = &'n str>) -> Result<Self, DkimError> {
        let skipped = read(names)?;
        self.0.retain(|name| !skipped.contains(name));
        self.with_from()
    }

    /// The names, in lower case.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    fn with_from(self) -> Result<Self, DkimError> {
        if self.0.iter().any(|name| name == "from") { Ok(self) } else { Err(DkimError::WithoutFrom) }
    }
}

fn read<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<Vec<String>, DkimError> {
    let mut read: Vec<String> = Vec::new();
    for name in names {
        // RFC 5322 section 2.2; a semicolon would end the tag in which the name is listed.
        let is_good = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b':' | b';');
        if name.is_empty() || !name.bytes().all(is_good) {
            return Err(DkimError::FieldName);
        }
        let name = name.to_ascii_lowercase();
        if !read.contains(&name) {
            read.push(name);
        }
    }
    Ok(read)
}
