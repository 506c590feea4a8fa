//! One table of the configuration while it is read.

use super::super::environment::NoValue;
use super::super::mistake::{Mistake, Place};
use super::super::tree::{Entry, Node, Value};
use super::found::{Found, Raw};
use super::{Context, KeyPath, suggest};

/// What to do instead of writing a key that is not one.
pub(in super::super) type Advice = &'static [(&'static str, &'static str)];

/// A table, of which keys are asked one by one; [`Section::finish`] reports those that nobody asked for.
pub(in super::super) struct Section<'a> {
    context: &'a Context<'a>,
    entries: &'a [Entry],
    place: Place,
    path: KeyPath,
    asked: Vec<&'static str>,
}

impl<'a> Section<'a> {
    pub(super) fn new(context: &'a Context<'a>, node: Option<&'a Node>, place: Place, path: KeyPath) -> Self {
        let entries = match node.map(|node| &node.value) {
            Some(Value::Table(entries)) => entries.as_slice(),
            _ => &[],
        };
        Self { context, entries, place, path, asked: Vec::new() }
    }

    /// A key with one value: the environment's, else the file's. `None` where neither has it.
    pub(in super::super) fn find(&mut self, key: &'static str) -> Option<Found<'a>> {
        let path = self.ask(key);
        let place = Place::Environment { variable: path.variable.as_str().into() };
        match self.context.variable(&path.variable) {
            Ok(text) => return Some(Found::new(self.context, Raw::Spelled(text), place, path)),
            Err(NoValue::NotUtf8) => {
                self.context.add(Mistake::new(place, path.shown, "is not UTF-8"));
                return None;
            }
            Err(NoValue::Missing) => {}
        }
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(Found::new(self.context, Raw::Node(&entry.node), self.context.line(entry.line), path))
    }

    /// A key that may be a table or a list, parts of which the environment can give or change.
    pub(in super::super) fn find_nested(&mut self, key: &'static str) -> Option<Found<'a>> {
        let found = self.find(key);
        let path = self.path.key(key);
        if !self.context.environment.has_below(&path.variable) || found.as_ref().is_some_and(Found::has_parts)
        {
            return found;
        }
        let place = Place::Environment { variable: path.variable.as_str().into() };
        Some(Found::new(self.context, Raw::Implied, place, path))
    }

    /// A table whose keys are asked for in any case; empty where neither the file nor the environment has it.
    pub(in super::super) fn nested(&mut self, key: &'static str) -> Found<'a> {
        self.find_nested(key)
            .unwrap_or_else(|| Found::new(self.context, Raw::Implied, self.place.clone(), self.path.key(key)))
    }

    /// A table: there if the file has it, or if the environment has a part of it.
    pub(in super::super) fn section(&mut self, key: &'static str) -> Option<Section<'a>> {
        self.find_nested(key)?.section()
    }

    /// Reports that a key that must be there is not.
    pub(in super::super) fn missing(&self, key: &str, advice: &str) {
        let reason = format!("is missing; {advice}");
        self.context.add(Mistake::new(self.place.clone(), self.path.key(key).shown, reason));
    }

    /// Reports a mistake that was found in a value of this table.
    pub(in super::super) fn report(&self, mistake: Mistake) {
        self.context.add(mistake);
    }

    /// Reports each key that nobody asked for.
    pub(in super::super) fn finish(self) {
        self.finish_with(&[]);
    }

    /// Reports each key that nobody asked for, with the advice there is for some.
    pub(in super::super) fn finish_with(self, advice: Advice) {
        if self.path.shown.is_empty() {
            self.context.notes.borrow_mut().top_level.clone_from(&self.asked);
        }
        for entry in self.entries.iter().filter(|entry| !self.asked.contains(&entry.key.as_str())) {
            let place = self.context.line(entry.line);
            let key = self.path.key(&printable(&entry.key)).shown;
            self.context.add(Mistake::new(place, key, self.why_unknown(&entry.key, advice)));
        }
    }

    fn ask(&mut self, key: &'static str) -> KeyPath {
        let path = self.path.key(key);
        self.asked.push(key);
        self.context.notes.borrow_mut().asked.insert(path.variable.clone(), path.shown.clone());
        path
    }

    fn why_unknown(&self, key: &str, advice: Advice) -> String {
        if let Some((_, reason)) = advice.iter().find(|(advised, _)| *advised == key) {
            return (*reason).to_owned();
        }
        // In TOML whatever stands below a [table] belongs to it, and in YAML a space does it: easily overlooked.
        if self.context.notes.borrow().top_level.contains(&key) {
            return format!(
                "is not a key of this table; {key} belongs at the top (in TOML above the first [table], in YAML \
                 without indentation)"
            );
        }
        match suggest::nearest(key, self.asked.iter().copied()) {
            Some(nearest) => format!("is not a key; did you mean \"{nearest}\"?"),
            None => format!("is not a key; the keys here are {}", self.asked.join(", ")),
        }
    }
}

/// A key as it can be shown: a key with unusual characters may be a value that went astray.
pub(super) fn printable(key: &str) -> String {
    let usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if key.len() <= 64 && key.chars().all(usual) { key.to_owned() } else { "(unusual key)".to_owned() }
}
