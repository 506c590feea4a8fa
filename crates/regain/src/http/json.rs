//! Strict JSON: what two parsers could read differently is refused (ASVS 1.5.2, 15.3.7).
//!
//! Duplicate keys anywhere, bytes behind the value, a byte order mark, lone surrogates, invalid UTF-8 and more than
//! 128 levels are errors. Only objects and arrays are taken at the top, as in ROS. Unknown keys are left unread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::body;
use super::error::Problem;

/// Parameters by name.
#[derive(Default)]
pub(super) struct Object(BTreeMap<String, Json>);

/// A value; of numbers and arrays only that they are there matters here.
enum Json {
    Null,
    Bool(bool),
    Number,
    Text(String),
    Array,
    Object(Object),
}

/// Whether the media type decides that a body is JSON.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Labelled {
    /// Only `application/json` is; anything else counts as an empty body, as in ROS.
    AsJson,
    /// Whatever it is called: realm-js 2.19 signs out with `text/plain`.
    Anyhow,
}

/// Reads the body of a request as an object.
pub(super) async fn read(parts: &Parts, content: Body, labelled: Labelled) -> Result<Object, Problem> {
    if labelled == Labelled::AsJson {
        let Some((media_type, charset)) = body::media_type(&parts.headers) else {
            return Ok(Object::default());
        };
        if media_type != "application/json" {
            return Ok(Object::default());
        }
        body::check_charset(charset.as_deref())?;
    }
    parse(&body::read(parts, content).await?)
}

/// Parses a body. An empty one is an object without parameters, and so is an array.
pub(super) fn parse(bytes: &[u8]) -> Result<Object, Problem> {
    if bytes.is_empty() {
        return Ok(Object::default());
    }
    let repeated = RefCell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let parsed = Seed(&repeated).deserialize(&mut deserializer);
    let parsed = parsed.and_then(|json| deserializer.end().map(|()| json));
    match parsed {
        Ok(Json::Object(object)) => Ok(object),
        Ok(Json::Array) => Ok(Object::default()),
        Ok(_) => Err(malformed("The request body must be a JSON object".to_owned())),
        Err(error) => Err(match repeated.take() {
            Some(key) => Problem::invalid(key, "The parameter is given more than once."),
            // Never the parser's own text: it may quote what was sent.
            None => malformed(format!(
                "The request body is not valid JSON (line {}, column {})",
                error.line(),
                error.column()
            )),
        }),
    }
}

impl Object {
    /// A string; `None` where it is absent or null.
    pub(super) fn text(&mut self, key: &str, name: &'static str) -> Result<Option<String>, Problem> {
        match self.0.remove(key) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(_) => Err(wrong_type(name, "a string")),
        }
    }

    /// A string; `None` where it is absent, null or empty.
    pub(super) fn filled(&mut self, key: &str, name: &'static str) -> Result<Option<String>, Problem> {
        Ok(self.text(key, name)?.filter(|text| !text.is_empty()))
    }

    /// A truth value: `None` where it is absent, `Some(None)` where it is null.
    pub(super) fn flag(&mut self, name: &'static str) -> Result<Option<Option<bool>>, Problem> {
        match self.0.remove(name) {
            None => Ok(None),
            Some(Json::Null) => Ok(Some(None)),
            Some(Json::Bool(value)) => Ok(Some(Some(value))),
            Some(_) => Err(wrong_type(name, "true or false")),
        }
    }

    /// An object; `None` where it is absent or null.
    pub(super) fn object(&mut self, name: &'static str) -> Result<Option<Object>, Problem> {
        match self.0.remove(name) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::Object(object)) => Ok(Some(object)),
            Some(_) => Err(wrong_type(name, "an object")),
        }
    }

    /// An object of strings; without entries where it is absent or null.
    pub(super) fn texts(&mut self, name: &'static str) -> Result<Vec<(String, String)>, Problem> {
        let text = |(key, value)| match value {
            Json::Text(text) => Ok((key, text)),
            _ => Err(wrong_type(name, "an object of strings")),
        };
        self.object(name)?.unwrap_or_default().0.into_iter().map(text).collect()
    }
}

fn wrong_type(name: &'static str, wanted: &str) -> Problem {
    Problem::invalid(name, format!("Parameter '{name}' must be {wanted}."))
}

fn malformed(title: String) -> Problem {
    Problem::plain(StatusCode::BAD_REQUEST, title)
}

/// Builds a [`Json`] and remembers the first key that comes twice in one object.
#[derive(Clone, Copy)]
struct Seed<'a>(&'a RefCell<Option<String>>);

/// A key is shown back to whoever sent it, but not at any length.
const LONGEST_SHOWN_KEY: usize = 64;

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

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Number)
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
        let mut object = BTreeMap::new();
        while let Some(key) = entries.next_key::<String>()? {
            if object.contains_key(&key) {
                *self.0.borrow_mut() = Some(key.chars().take(LONGEST_SHOWN_KEY).collect());
                return Err(A::Error::custom("duplicate key"));
            }
            let value = entries.next_value_seed(self)?;
            object.insert(key, value);
        }
        Ok(Json::Object(Object(object)))
    }
}

#[cfg(test)]
mod tests;
