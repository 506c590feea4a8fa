//! The TOML front end: text to [`Node`]s. Grammar is the `toml` crate's; meaning is the reader's.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Entry, Lines, Node, SyntaxError, Value};

/// Reads a TOML document; all of its syntax errors are reported.
pub(super) fn read(text: &str) -> Result<Node, Vec<SyntaxError>> {
    let lines = Lines::of(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(lines.node(0, table(&lines, document.into_inner())));
    }
    let at = |error: &toml::de::Error| error.span().map_or(0, |span| span.start);
    Err(errors.iter().map(|error| lines.error(at(error), error.message())).collect())
}

fn node(lines: &Lines<'_>, spanned: Spanned<DeValue<'_>>) -> Node {
    let start = spanned.span().start;
    let value = match spanned.into_inner() {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Other("a number that large"),
        },
        DeValue::Float(_) => Value::Other("a number with a fraction"),
        DeValue::Boolean(truth) => Value::Bool(truth),
        DeValue::Datetime(_) => Value::Other("a date or time of day"),
        DeValue::Array(items) => Value::Array(items.into_iter().map(|item| node(lines, item)).collect()),
        DeValue::Table(entries) => table(lines, entries),
    };
    lines.node(start, value)
}

fn table(lines: &Lines<'_>, table: DeTable<'_>) -> Value {
    let mut entries: Vec<Entry> = table
        .into_iter()
        .map(|(key, value)| {
            let (line, _) = lines.position(key.span().start);
            Entry { key: key.into_inner().into_owned(), line, node: node(lines, value) }
        })
        .collect();
    // The crate sorts by name; messages come in the order of the file.
    entries.sort_by_key(|entry| entry.line);
    Value::Table(entries)
}
