//! What is wrong in a configuration: where, which key, why, and what to write instead.
//!
//! Invariant: no message shows a value from the file or the environment, since any of them may be a
//! secret (a connection string in the wrong place); the line says where to look. The one exception is the path
//! of a template that cannot be read.

use std::fmt;
use std::sync::Arc;

/// Where a setting was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In the configuration file, at a line (from 1).
    File {
        /// The file as it was named to us.
        file: Arc<str>,
        /// The line, from 1.
        line: usize,
    },
    /// In this environment variable.
    Environment {
        /// The variable's name.
        variable: Arc<str>,
    },
    /// In Rust, by whoever embeds Regain.
    Code,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file, line } => write!(f, "{file}:{line}"),
            Self::Environment { variable } => write!(f, "environment variable {variable}"),
            Self::Code => f.write_str("configuration"),
        }
    }
}

/// One thing that is wrong.
///
/// Shown as `regain.toml:12: authProviders[0].emailHandlerConfig.from: is missing; write ...`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    place: Place,
    key: String,
    reason: String,
}

impl Mistake {
    /// `key` is the full path of the setting, or empty when the file as a whole is meant; `reason` reads
    /// on after it, says what to write instead and quotes no value.
    pub fn new(place: Place, key: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { place, key: key.into(), reason: reason.into() }
    }

    /// Where it stands.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The full path of the setting, such as `authProviders[0].emailHandlerConfig.from`.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What is wrong, and what to write instead.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.reason)
    }
}

/// All that is wrong in a configuration, one a line, in the order of the file, then of the environment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.lines())]
pub struct Mistakes(Vec<Mistake>);

impl Mistakes {
    /// `Ok` where there are none.
    pub(super) fn none_of(mistakes: Vec<Mistake>) -> Result<(), Self> {
        if mistakes.is_empty() { Ok(()) } else { Err(Self::of(mistakes)) }
    }

    /// These, of which the caller has at least one.
    pub(super) fn of(mut mistakes: Vec<Mistake>) -> Self {
        mistakes.sort_by_key(|mistake| match &mistake.place {
            Place::File { line, .. } => *line,
            Place::Environment { .. } | Place::Code => usize::MAX,
        });
        Self(mistakes)
    }

    /// The mistakes, of which there is at least one.
    pub fn iter(&self) -> impl Iterator<Item = &Mistake> {
        self.0.iter()
    }

    fn lines(&self) -> String {
        self.0.iter().map(Mistake::to_string).collect::<Vec<_>>().join("\n")
    }
}
