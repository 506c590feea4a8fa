//! The JSON front end: text to [`Node`]s. Strict RFC 8259 JSON, without comments, duplicate keys refused.

use std::collections::HashSet;

use jsonc_parser::ast::{Object, Value as Json};
use jsonc_parser::common::Ranged;
use jsonc_parser::errors::ParseError;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::{Entry, Lines, Node, SyntaxError, Value};

const STRICT: ParseOptions = ParseOptions {
    allow_comments: false,
    allow_loose_object_property_names: false,
    allow_trailing_commas: false,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

/// Reads a JSON text whose top level is an object.
pub(super) fn read(text: &str) -> Result<Node, Vec<SyntaxError>> {
    let lines = Lines::of(text);
    let parsed = parse_to_ast(text, &CollectOptions::default(), &STRICT)
        .map_err(|error| vec![syntax_error(&lines, &error)])?;
    let Some(Json::Object(object)) = parsed.value else {
        return Err(vec![lines.error(0, "the file must hold one object: { ... }")]);
    };
    let mut duplicates = Vec::new();
    let start = object.range.start;
    let value = table(&lines, object, &mut duplicates);
    if duplicates.is_empty() { Ok(lines.node(start, value)) } else { Err(duplicates) }
}

fn syntax_error(lines: &Lines<'_>, error: &ParseError) -> SyntaxError {
    // Only the kind: the rest of the message is a position that we count ourselves.
    lines.error(error.range().start, error.kind().to_string())
}

fn node(lines: &Lines<'_>, json: Json<'_>, duplicates: &mut Vec<SyntaxError>) -> Node {
    let start = json.range().start;
    let value = match json {
        Json::StringLit(text) => Value::Text(text.value.into_owned()),
        Json::NumberLit(number) => number_of(number.value),
        Json::BooleanLit(truth) => Value::Bool(truth.value),
        Json::NullKeyword(_) => Value::Other("null"),
        Json::Array(array) => {
            Value::Array(array.elements.into_iter().map(|item| node(lines, item, duplicates)).collect())
        }
        Json::Object(object) => table(lines, object, duplicates),
    };
    lines.node(start, value)
}

fn number_of(digits: &str) -> Value {
    match digits.parse() {
        Ok(number) => Value::Integer(number),
        Err(_) if digits.contains(['.', 'e', 'E']) => Value::Other("a number with a fraction or exponent"),
        Err(_) => Value::Other("a number that large"),
    }
}

fn table(lines: &Lines<'_>, object: Object<'_>, duplicates: &mut Vec<SyntaxError>) -> Value {
    let mut seen = HashSet::new();
    let mut entries = Vec::with_capacity(object.properties.len());
    for property in object.properties {
        let start = property.range.start;
        let key = property.name.into_string();
        if !seen.insert(key.clone()) {
            duplicates.push(lines.error(start, "this key stands twice in its object"));
        }
        let node = node(lines, property.value, duplicates);
        entries.push(Entry { key, line: lines.position(start).0, node });
    }
    Value::Table(entries)
}
