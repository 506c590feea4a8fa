//! Reads typed values out of a tree of nodes and the environment, and collects every mistake on the way.
//!
//! The keys that are asked for are the keys that there are: what nobody asked for is unknown, in the file and
//! in the environment. So no second list of keys has to agree with the code that reads them.

mod found;
mod parts;
mod section;
mod suggest;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

pub(super) use found::Found;
pub(super) use section::{Advice, Section};

use super::environment::{Environment, NoValue, PREFIX};
use super::mistake::{Mistake, Mistakes, Place};
use super::tree::Node;

/// What one reading of a configuration knows and collects.
pub(super) struct Context<'e> {
    file: Arc<str>,
    /// Paths written in the file are relative to this; paths in variables are the process's own.
    folder: PathBuf,
    environment: &'e Environment,
    notes: RefCell<Notes>,
}

#[derive(Default)]
struct Notes {
    mistakes: Vec<Mistake>,
    used: BTreeSet<String>,
    /// Each key that was asked for, by its variable.
    asked: BTreeMap<String, String>,
    top_level: Vec<&'static str>,
}

impl<'e> Context<'e> {
    pub(super) fn new(file: &str, folder: PathBuf, environment: &'e Environment) -> Self {
        Self { file: file.into(), folder, environment, notes: RefCell::default() }
    }

    /// The whole configuration: the file's tree, or only the environment.
    pub(super) fn root<'a>(&'a self, tree: Option<&'a Node>) -> Section<'a> {
        let place = tree.map_or(Place::Code, |node| self.line(node.line));
        Section::new(self, tree, place, KeyPath::default())
    }

    /// Records a mistake.
    pub(super) fn add(&self, mistake: Mistake) {
        self.notes.borrow_mut().mistakes.push(mistake);
    }

    /// Ends the reading: what is left in the environment is unknown; fails where there was any mistake.
    pub(super) fn finish(self) -> Result<(), Mistakes> {
        let Notes { mut mistakes, used, asked, .. } = self.notes.into_inner();
        for variable in self.environment.overrides().filter(|name| !used.contains(*name)) {
            let reason = match suggest::nearest(variable, asked.keys().map(String::as_str)) {
                Some(nearest) => format!("is not a setting; did you mean {nearest}?"),
                None => "is not a setting; REGAIN_ is followed by the key's path in upper snake case, \
                         __ between levels"
                    .to_owned(),
            };
            // Escaped, since the name may be anything.
            let variable = variable.escape_debug().to_string().into();
            mistakes.push(Mistake::new(Place::Environment { variable }, "", reason));
        }
        Mistakes::none_of(mistakes)
    }

    /// Each key that was asked for, as `authProviders[0].type`.
    #[cfg(test)]
    pub(super) fn asked(&self) -> Vec<String> {
        self.notes.borrow().asked.values().cloned().collect()
    }

    fn line(&self, line: usize) -> Place {
        Place::File { file: Arc::clone(&self.file), line }
    }

    /// The value of a variable, which is then no stranger.
    fn variable(&self, name: &str) -> Result<&'e str, NoValue> {
        if self.environment.has(name) {
            self.notes.borrow_mut().used.insert(name.to_owned());
        }
        self.environment.value(name)
    }
}

/// The path of a key, in both of its spellings.
#[derive(Clone)]
pub(super) struct KeyPath {
    /// `limits.perClient`, `authProviders[0]`.
    shown: String,
    /// `REGAIN_LIMITS__PER_CLIENT`, `REGAIN_AUTH_PROVIDERS__0`.
    variable: String,
}

impl Default for KeyPath {
    fn default() -> Self {
        Self { shown: String::new(), variable: PREFIX.to_owned() }
    }
}

impl KeyPath {
    fn key(&self, key: &str) -> Self {
        let mut variable = if self.shown.is_empty() {
            format!("{}_", self.variable)
        } else {
            format!("{}__", self.variable)
        };
        for letter in key.chars() {
            if letter.is_ascii_uppercase() {
                variable.push('_');
            }
            variable.push(letter.to_ascii_uppercase());
        }
        let dot = if self.shown.is_empty() { "" } else { "." };
        Self { shown: format!("{}{dot}{key}", self.shown), variable }
    }

    fn index(&self, index: usize) -> Self {
        Self { shown: format!("{}[{index}]", self.shown), variable: format!("{}__{index}", self.variable) }
    }
}
