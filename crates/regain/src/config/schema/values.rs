//! The kinds of values, each as a piece of JSON Schema.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::span;

/// What `%%NAME%%` is. The value is the environment's, so nothing more is known about it.
const VARIABLE: &str = "%%[A-Za-z_][A-Za-z0-9_]*%%";

/// A text in which a variable stands; it may become a number, `true` or `false`.
pub(super) fn from_environment() -> Value {
    json!({
        "description": "Text in which %%NAME%% takes the value of the environment variable NAME.",
        "type": "string",
        "pattern": VARIABLE,
    })
}

/// A table of these keys and no others.
pub(super) fn object(description: &str, properties: Value) -> Value {
    json!({
        "description": description,
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

/// The same table, in which these keys must be.
pub(super) fn required(table: Value, keys: &[&str]) -> Value {
    with(table, "required", json!(keys))
}

/// The same table, in which all keys of exactly one of these sets must be.
pub(super) fn one_of(table: Value, sets: &[&[&str]]) -> Value {
    with(table, "oneOf", sets.iter().map(|keys| json!({ "required": keys })).collect())
}

/// A text of this pattern.
pub(super) fn text(description: &str, pattern: &str, default: Option<&str>) -> Value {
    let text = json!({ "description": description, "type": "string", "pattern": or_variable(pattern) });
    match default {
        Some(default) => with(text, "default", json!(default)),
        None => text,
    }
}

/// A list of texts of this pattern, empty by default.
pub(super) fn texts(description: &str, pattern: &str) -> Value {
    let item = json!({ "type": "string", "pattern": or_variable(pattern) });
    with(json!({ "description": description, "type": "array", "items": item }), "default", json!([]))
}

/// A text of this pattern, or a list of up to `most` of them.
pub(super) fn one_or_more(description: &str, pattern: &str, most: usize) -> Value {
    let one = json!({ "type": "string", "pattern": or_variable(pattern) });
    let list = json!({ "type": "array", "items": one, "minItems": 1, "maxItems": most });
    json!({ "description": description, "anyOf": [one, list] })
}

/// `true` or `false`.
pub(super) fn boolean(description: &str, default: bool) -> Value {
    any_of(description, &[json!({ "type": "boolean" })], json!(default))
}

/// A whole number.
pub(super) fn integer<N: Copy + Into<Value>>(
    description: &str,
    range: RangeInclusive<N>,
    default: N,
) -> Value {
    any_of(description, &[number(range)], default.into())
}

/// A limit: a whole number, `false` for none, or `true` for the default.
pub(super) fn switch<N: Copy + Into<Value>>(
    description: &str,
    range: RangeInclusive<N>,
    default: Option<N>,
) -> Value {
    let default = default.map_or(json!(false), Into::into);
    any_of(description, &[number(range), json!({ "type": "boolean" })], default)
}

/// A time: seconds, or text with a unit.
pub(super) fn time(description: &str, range: RangeInclusive<Duration>, default: Duration) -> Value {
    let text = json!({ "type": "string", "pattern": "^[0-9]+[dhms]?$" });
    let seconds = number(range.start().as_secs()..=range.end().as_secs());
    let (least, most) = (span::show(*range.start()), span::show(*range.end()));
    let description = format!(
        "{description} From {least} to {most}: a number of seconds, or text such as \"90d\", \"1h\", \"15m\" or \"30s\"."
    );
    any_of(&description, &[seconds, text], json!(span::show(default)))
}

fn number<N: Copy + Into<Value>>(range: RangeInclusive<N>) -> Value {
    let (least, most): (Value, Value) = ((*range.start()).into(), (*range.end()).into());
    json!({ "type": "integer", "minimum": least, "maximum": most })
}

fn any_of(description: &str, kinds: &[Value], default: Value) -> Value {
    let mut kinds = kinds.to_vec();
    kinds.push(json!({ "$ref": "#/$defs/fromEnvironment" }));
    with(json!({ "description": description, "anyOf": kinds }), "default", default)
}

fn with(mut schema: Value, keyword: &str, value: Value) -> Value {
    if let Some(schema) = schema.as_object_mut() {
        schema.insert(keyword.to_owned(), value);
    }
    schema
}

fn or_variable(pattern: &str) -> String {
    format!("{pattern}|{VARIABLE}")
}
