//! Strict JSON: what two parsers could read differently is refused (ASVS 1.5.2, 15.3.7).
//!
//! Duplicate keys anywhere, bytes behind the value, a byte order mark, lone surrogates, invalid UTF-8 and more than
//! 128 levels are errors. No error repeats a value.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A value. Of other numbers than whole ones, and of arrays, only that they are there matters to anybody here.
pub(crate) enum Json {
    Null,
    Bool(bool),
    Whole(u64),
    Number,
    Text(String),
    Array,
    Object(Entries),
}

/// Values by key.
pub(crate) type Entries = BTreeMap<String, Json>;

/// Why a text is not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotStrict {
    /// A key stands twice in one object. It is cut to a length that can be shown.
    Repeated(String),
    /// It is no JSON; line and column, from 1.
    Malformed { line: usize, column: usize },
}

/// Parses one value and nothing behind it.
pub(crate) fn parse(bytes: &[u8]) -> Result<Json, NotStrict> {
    let repeated = RefCell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = Seed(&repeated).deserialize(&mut deserializer);
    parsed.and_then(|json| deserializer.end().map(|()| json)).map_err(|error| {
        // Never the parser's own text: it may quote what was sent.
        let malformed = NotStrict::Malformed { line: error.line(), column: error.column() };
        repeated.take().map_or(malformed, NotStrict::Repeated)
    })
}

/// A key as it is shown back to whoever wrote it: not at any length.
pub(crate) fn shown(key: &str) -> String {
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
        let mut object = Entries::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                *self.0.borrow_mut() = Some(shown(&key));
                return Err(A::Error::custom("duplicate key"));
            }
            let value = entries.next_value_seed(self)?;
            object.insert(key, value);
        }
        Ok(Json::Object(object))
    }
}
