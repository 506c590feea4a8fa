//! The configuration file as a tree of values that know where they stand, whatever the format.
//!
//! One front end for each format (`toml`, `yaml`, `json`) makes the same [`Node`]s. Nothing here knows a key of
//! the configuration: meaning is the reader's. Nodes hold secrets and therefore have no `Debug`.

mod json;
mod toml;
mod yaml;

use std::path::Path;

/// A value and the line on which it starts, from 1.
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) line: usize,
}

/// What a node holds.
pub(super) enum Value {
    Bool(bool),
    Integer(i64),
    Text(String),
    Array(Vec<Node>),
    Table(Vec<Entry>),
    /// A value of a kind that no key takes (a date, `null`, a fraction), in words for a message.
    Other(&'static str),
}

impl Value {
    /// What this is, in words that end "..., not ___".
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "true or false",
            Self::Integer(_) => "a number",
            Self::Text(_) => "text",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(kind) => kind,
        }
    }
}

/// One key of a table. Invariant: a table's keys differ; the front ends refuse duplicates.
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) line: usize,
    pub(super) node: Node,
}

/// Why a text is not in its format at all. The reason never quotes the text: it may hold a secret.
pub(super) struct SyntaxError {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) reason: String,
}

/// The formats that a configuration file can have.
#[derive(Clone, Copy)]
pub(super) enum Format {
    Toml,
    Yaml,
    Json,
}

impl Format {
    /// Chooses by the file's ending; the error says which endings there are.
    pub(super) fn of(path: &Path) -> Result<Self, &'static str> {
        let ending = path.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
        match ending.as_deref() {
            Some("toml") => Ok(Self::Toml),
            Some("yaml" | "yml") => Ok(Self::Yaml),
            Some("json") => Ok(Self::Json),
            _ => Err("the file's ending says its format: use .toml, .yaml, .yml or .json"),
        }
    }

    /// Reads a whole file; its top level is a table.
    pub(super) fn read(self, text: &str) -> Result<Node, Vec<SyntaxError>> {
        match self {
            Self::Toml => toml::read(text),
            Self::Yaml => yaml::read(text),
            Self::Json => json::read(text),
        }
    }
}

/// Turns byte offsets into lines and columns.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let after_breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(after_breaks).collect() }
    }

    /// Line and column (in characters) of a byte offset; an offset beyond the end is the end.
    fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.as_bytes().get(start..offset.min(self.text.len())).unwrap_or_default();
        // Continuation bytes of UTF-8 start no character.
        (line, before.iter().filter(|byte| **byte & 0xC0 != 0x80).count() + 1)
    }

    fn node(&self, offset: usize, value: Value) -> Node {
        Node { value, line: self.position(offset).0 }
    }

    fn error(&self, offset: usize, reason: impl Into<String>) -> SyntaxError {
        let (line, column) = self.position(offset);
        SyntaxError { line, column, reason: reason.into() }
    }
}

#[cfg(test)]
mod tests;
