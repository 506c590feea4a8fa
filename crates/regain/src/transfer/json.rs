//! One line as a JSON object, read strictly: a key that comes twice in one object is an error, whatever is under it.
//!
//! The values are kept until they are taken, so that what is left over can be named. Never repeats a value: what the
//! parser would say may quote it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::record::Mistake;

/// Values by key.
pub(super) struct Object {
    /// What its keys are told with in front: `password.` in the object under `password`.
    within: &'static str,
    values: BTreeMap<String, Json>,
}

/// A value; of other numbers than whole ones and of arrays only that they are there matters.
pub(super) enum Json {
    Null,
    Bool(bool),
    Whole(u64),
    Number,
    Text(String),
    Array,
    Object(BTreeMap<String, Json>),
}

/// Reads a line.
pub(super) fn parse(line: &str) -> Result<Object, Mistake> {
    let repeated = RefCell::new(None);
    let mut deserializer = serde_json::Deserializer::from_str(line);
    let parsed = Seed(&repeated).deserialize(&mut deserializer);
    match parsed.and_then(|json| deserializer.end().map(|()| json)) {
        Ok(Json::Object(values)) => Ok(Object { within: "", values }),
        Ok(_) => Err(Mistake::NotAnObject),
        Err(error) => {
            Err(repeated.take().map_or(Mistake::NotJson { column: error.column() }, Mistake::RepeatedKey))
        }
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
        match self.take(key) {
            None => Err(self.missing(key)),
            Some(Json::Whole(number)) => {
                u32::try_from(number).map_err(|_| self.wrong(key, "a number below 4294967296"))
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
    pub(super) fn within(within: &'static str, values: BTreeMap<String, Json>) -> Self {
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

/// A key is shown to whoever wrote it, but not at any length.
fn shown(key: &str) -> String {
    const LONGEST: usize = 64;
    key.chars().take(LONGEST).collect()
}

/// Builds a [`Json`] and remembers the first key that comes twice in one object.
#[derive(Clone, Copy)]
struct Seed<'a>(&'a RefCell<Option<String>>);

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Whole(value))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        while items.next_element_seed(self)?.is_some() {}
        Ok(Json::Array)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut values = BTreeMap::new();
        while let Some(key) = entries.next_key::<String>()? {
            if values.contains_key(&key) {
                *self.0.borrow_mut() = Some(shown(&key));
                return Err(A::Error::custom("duplicate key"));
            }
            let value = entries.next_value_seed(self)?;
            values.insert(key, value);
        }
        Ok(Json::Object(values))
    }
}
