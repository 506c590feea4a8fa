//! Bodies of requests as parameters. Only objects and arrays are taken at the top, as in ROS; unknown keys are left unread.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::request::Parts;

use super::body;
use super::error::Problem;
use crate::strict_json::{self, Entries, Json, NotStrict};

/// Parameters by name.
#[derive(Default)]
pub(super) struct Object(Entries);

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
    match strict_json::parse(bytes) {
        Ok(Json::Object(entries)) => Ok(Object(entries)),
        Ok(Json::Array) => Ok(Object::default()),
        Ok(_) => Err(malformed("The request body must be a JSON object".to_owned())),
        Err(NotStrict::Repeated(key)) => Err(Problem::invalid(key, "The parameter is given more than once.")),
        Err(NotStrict::Malformed { line, column }) => {
            Err(malformed(format!("The request body is not valid JSON (line {line}, column {column})")))
        }
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
            Some(Json::Object(entries)) => Ok(Some(Object(entries))),
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

#[cfg(test)]
mod tests;
