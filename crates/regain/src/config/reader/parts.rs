//! A value that has parts: a table, a list, or a text of a mail that may stand in a file of its own.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::super::environment::{NoValue, Style};
use super::super::load::unreadable_for;
use super::super::mistake::{Mistake, Place};
use super::super::provider::TextAt;
use super::super::tree::{Entry, Node, Value};
use super::Section;
use super::found::{Found, Raw};
use super::section::printable;

/// A text that is larger is no template of a mail, and no key.
const LARGEST_TEXT: u64 = 262_144;

impl<'a> Found<'a> {
    /// A table.
    pub(in super::super) fn section(self) -> Option<Section<'a>> {
        match self.raw {
            Raw::Implied => Some(Section::new(self.context, None, self.place, self.path)),
            Raw::Node(node) if matches!(node.value, Value::Table(_)) => {
                Some(Section::new(self.context, Some(node), self.place, self.path))
            }
            Raw::Node(node) => {
                self.mistake(format!("must be a table, not {}", node.value.kind()));
                None
            }
            Raw::Spelled(_) => {
                self.mistake(format!("is a table; set its keys one by one, as {}__...", self.path.variable));
                None
            }
        }
    }

    /// The items of a list. One variable gives them all, with commas between; `..__0` gives one of them.
    pub(in super::super) fn items(&self) -> Option<Vec<Found<'a>>> {
        let nodes = match self.raw {
            Raw::Spelled(text) => return Some(self.split(text)),
            Raw::Implied => &[],
            Raw::Node(node) => match &node.value {
                Value::Array(items) => items.as_slice(),
                other => {
                    self.mistake(format!("must be a list, not {}", other.kind()));
                    return None;
                }
            },
        };
        let count = nodes.len().max(self.context.environment.items_below(&self.path.variable));
        Some((0..count).filter_map(|index| self.item(nodes.get(index), index)).collect())
    }

    /// The entries of a table whose keys are not ours to name. The environment has no part in it.
    pub(in super::super) fn entries(&self) -> Option<Vec<(&'a str, Found<'a>)>> {
        let entries = match self.raw {
            Raw::Node(Node { value: Value::Table(entries), .. }) => entries,
            Raw::Node(node) => {
                self.mistake(format!("must be a table, not {}", node.value.kind()));
                return None;
            }
            Raw::Spelled(_) | Raw::Implied => {
                self.mistake(
                    "is a table, which can be written in the file alone; let %%NAME%% stand in its values",
                );
                return None;
            }
        };
        let found = |entry: &'a Entry| {
            let path = self.path.key(&printable(&entry.key));
            let place = self.context.line(entry.line);
            (entry.key.as_str(), Found::new(self.context, Raw::Node(&entry.node), place, path))
        };
        Some(entries.iter().map(found).collect())
    }

    /// A text of a mail: text, or `{ file = "path" }`.
    pub(in super::super) fn template(self) -> Option<TextAt> {
        self.text_or_file(Style::Template, "a text, for example \"templates/reset.txt\"")
            .map(|(text, _)| text)
    }

    /// A key in PEM: text, or `{ file = "path" }`; with the file, where there is one.
    pub(in super::super) fn pem(self) -> Option<(TextAt, Option<PathBuf>)> {
        self.text_or_file(Style::Plain, "a key in PEM, for example \"dkim.pem\"")
    }

    /// A key: text, or `{ file = "path" }`; with the file, where there is one.
    pub(in super::super) fn key(self) -> Option<(TextAt, Option<PathBuf>)> {
        self.text_or_file(Style::Plain, "a key, for example \"token.key\"")
    }

    fn text_or_file(self, style: Style, example: &str) -> Option<(TextAt, Option<PathBuf>)> {
        if !self.is_table() {
            let text = self.text_in(style)?.into_owned();
            return Some((TextAt::new(text, self.place, self.path.shown), None));
        }
        let (context, place, key) = (self.context, self.place.clone(), self.path.shown.clone());
        let mut section = self.section()?;
        let file = section.find("file");
        if file.is_none() {
            section.missing("file", &format!("write the path of {example}"));
        }
        section.finish();
        let path = file?.path()?;
        match read_text(&path) {
            Ok(text) => Some((TextAt::new(text, place, format!("{key} ({path:?})")), Some(path))),
            Err(reason) => {
                context.add(Mistake::new(place, key, format!("{path:?} {reason}")));
                None
            }
        }
    }

    fn split(&self, text: &'a str) -> Vec<Found<'a>> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items
            .enumerate()
            .map(|(index, item)| {
                Found::new(self.context, Raw::Spelled(item), self.place.clone(), self.path.index(index))
            })
            .collect()
    }

    fn item(&self, node: Option<&'a Node>, index: usize) -> Option<Found<'a>> {
        let path = self.path.index(index);
        let in_environment = Place::Environment { variable: path.variable.as_str().into() };
        let (raw, place) = match (self.context.variable(&path.variable), node) {
            (Ok(text), _) => (Raw::Spelled(text), in_environment),
            (Err(NoValue::NotUtf8), _) => {
                self.context.add(Mistake::new(in_environment, path.shown, "is not UTF-8"));
                return None;
            }
            (Err(NoValue::Missing), Some(node)) => (Raw::Node(node), self.context.line(node.line)),
            (Err(NoValue::Missing), None) => (Raw::Implied, in_environment),
        };
        Some(Found::new(self.context, raw, place, path))
    }
}

/// Reads a file of text within bounds; the error reads on after the file's name.
fn read_text(path: &Path) -> Result<String, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {}", unreadable_for(&error));
    // Asked before opening, since opening a pipe would wait for its other end.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err("is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path)
        .map_err(unreadable)?
        .take(LARGEST_TEXT + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST_TEXT {
        return Err(format!("is larger than {LARGEST_TEXT} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}
