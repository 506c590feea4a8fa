//! One line as a JSON object, read strictly. The values are kept until they are taken, so that what is left over can be
//! named. Never repeats a value.

use super::record::Mistake;
use crate::strict_json::{self, Entries, Json, NotStrict, shown};

/// Values by key.
pub(super) struct Object {
    /// What its keys are told with in front: `password.` in the object under `password`.
    within: &'static str,
    values: Entries,
}

/// Reads a line.
pub(super) fn parse(line: &str) -> Result<Object, Mistake> {
    match strict_json::parse(line.as_bytes()) {
        Ok(Json::Object(values)) => Ok(Object { within: "", values }),
        Ok(_) => Err(Mistake::NotAnObject),
        Err(NotStrict::Repeated(key)) => Err(Mistake::RepeatedKey(key)),
        Err(NotStrict::Malformed { column, .. }) => Err(Mistake::NotJson { column }),
    }
}

impl Object {
    /// A value; `None` where it is absent or null.
    pub(super) fn take(&mut self, key: &str) -> Option<Json> {
        self.values.remove(key).filter(|json| !matches!(json, Json::Null))
    }

    /// A text; `None` where it is absent or null.
    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, Mistake> {
        match self.take(key) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(key, "a text")),
        }
    }

    /// A truth value; `None` where it is absent or null.
    pub(super) fn flag(&mut self, key: &str) -> Result<Option<bool>, Mistake> {
        match self.take(key) {
            None => Ok(None),
            Some(Json::Bool(value)) => Ok(Some(value)),
            Some(_) => Err(self.wrong(key, "true or false")),
        }
    }

    /// A text that must be there.
    pub(super) fn needed_text(&mut self, key: &str) -> Result<String, Mistake> {
        self.text(key)?.ok_or_else(|| self.missing(key))
    }

    /// A whole number that must be there.
    pub(super) fn needed_number(&mut self, key: &str) -> Result<u32, Mistake> {
        self.number(key)?.ok_or_else(|| self.missing(key))
    }

    /// A whole number; `None` where it is absent or null.
    pub(super) fn number(&mut self, key: &str) -> Result<Option<u32>, Mistake> {
        match self.take(key) {
            None => Ok(None),
            Some(Json::Whole(number)) => {
                u32::try_from(number).map(Some).map_err(|_| self.wrong(key, "a number below 4294967296"))
            }
            Some(_) => Err(self.wrong(key, "a whole number")),
        }
    }

    /// The texts of an object; none where it is absent or null.
    pub(super) fn texts(&mut self, key: &str) -> Result<Vec<(String, String)>, Mistake> {
        let wrong = self.wrong(key, "an object of texts");
        let entries = match self.take(key) {
            None => return Ok(Vec::new()),
            Some(Json::Object(entries)) => entries,
            Some(_) => return Err(wrong),
        };
        let texts = entries.into_iter().map(|(key, value)| match value {
            Json::Text(text) => Some((key, text)),
            _ => None,
        });
        texts.collect::<Option<_>>().ok_or(wrong)
    }

    /// Whether all was taken; the first key that was not is a mistake.
    pub(super) fn end(self) -> Result<(), Mistake> {
        match self.values.first_key_value() {
            None => Ok(()),
            Some((key, _)) => Err(Mistake::UnknownKey(self.named(key))),
        }
    }

    /// The object under `password`.
    pub(super) fn within(within: &'static str, values: Entries) -> Self {
        Self { within, values }
    }

    /// What is said of a value of another kind.
    pub(super) fn wrong(&self, key: &str, wanted: &'static str) -> Mistake {
        Mistake::WrongKind { key: self.named(key), wanted }
    }

    fn missing(&self, key: &str) -> Mistake {
        Mistake::Missing(self.named(key))
    }

    fn named(&self, key: &str) -> String {
        format!("{}{}", self.within, shown(key))
    }
}
