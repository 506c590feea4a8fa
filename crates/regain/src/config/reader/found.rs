//! One value that was found, and its reading as a type. Each reading records its own mistakes.
//! Tables and lists are read in `parts.rs`.

use std::borrow::Cow;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::super::environment::{NoValue, Style, substitute};
use super::super::mistake::{Mistake, Place};
use super::super::span;
use super::super::tree::{Node, Value};
use super::{Context, KeyPath};

/// A value and where it stands.
pub(in super::super) struct Found<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) raw: Raw<'a>,
    pub(super) place: Place,
    pub(super) path: KeyPath,
}

/// Where the value comes from.
#[derive(Clone, Copy)]
pub(super) enum Raw<'a> {
    /// The environment, which knows only text.
    Spelled(&'a str),
    /// The file.
    Node(&'a Node),
    /// A table or list of which the environment has parts.
    Implied,
}

/// Texts that are meant as `true` or `false`.
const TRUTHS: [&str; 8] = ["true", "false", "yes", "no", "on", "off", "y", "n"];

/// A whole number of any width.
pub(in super::super) trait Number:
    TryFrom<i64> + FromStr + PartialOrd + Display + Copy
{
}
impl<N: TryFrom<i64> + FromStr + PartialOrd + Display + Copy> Number for N {}

/// One value, with the environment filled in.
enum Scalar<'a> {
    Bool(bool),
    Integer(i64),
    Text(Cow<'a, str>),
    /// Text that came from the environment, where `false` and `9080` have no other spelling.
    Spelled(Cow<'a, str>),
    Other(&'static str),
}

impl<'a> Found<'a> {
    pub(super) fn new(context: &'a Context<'a>, raw: Raw<'a>, place: Place, path: KeyPath) -> Self {
        Self { context, raw, place, path }
    }

    /// Whether this is a table or list of the file, or one whole value from the environment.
    pub(super) fn has_parts(&self) -> bool {
        match self.raw {
            Raw::Node(node) => matches!(node.value, Value::Table(_) | Value::Array(_)),
            Raw::Spelled(_) | Raw::Implied => true,
        }
    }

    /// Whether this is a table, rather than one value.
    pub(in super::super) fn is_table(&self) -> bool {
        match self.raw {
            Raw::Node(node) => matches!(node.value, Value::Table(_)),
            Raw::Implied => true,
            Raw::Spelled(_) => false,
        }
    }

    /// Whether this is a list, rather than one value or a table.
    pub(in super::super) fn is_list(&self) -> bool {
        match self.raw {
            Raw::Node(node) => matches!(node.value, Value::Array(_)),
            Raw::Implied => true,
            Raw::Spelled(_) => false,
        }
    }

    /// Records what is wrong with this value; the reason reads on after the key and quotes no value.
    pub(in super::super) fn mistake(&self, reason: impl Into<String>) {
        self.context.add(Mistake::new(self.place.clone(), self.path.shown.clone(), reason));
    }

    /// Text.
    pub(in super::super) fn text(&self) -> Option<Cow<'a, str>> {
        self.text_in(Style::Plain)
    }

    /// Text that a type parses; its error reads on after the key.
    pub(in super::super) fn parse<T, E: Display>(
        &self,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        parse(&self.text()?).map_err(|error| self.mistake(error.to_string())).ok()
    }

    /// `true` or `false`.
    pub(in super::super) fn boolean(&self) -> Option<bool> {
        match self.scalar(Style::Plain)? {
            Scalar::Bool(truth) => Some(truth),
            Scalar::Spelled(text) if text == "true" => Some(true),
            Scalar::Spelled(text) if text == "false" => Some(false),
            other => self.wrong_truth("true or false", &other),
        }
    }

    /// A whole number within bounds.
    pub(in super::super) fn integer<N: Number>(&self, range: RangeInclusive<N>) -> Option<N> {
        self.integer_or(range, "")
    }

    /// As [`Found::integer`]; `else_what` is what else may stand there.
    fn integer_or<N: Number>(&self, range: RangeInclusive<N>, else_what: &str) -> Option<N> {
        let number = match self.scalar(Style::Plain)? {
            Scalar::Integer(number) => N::try_from(number).ok(),
            Scalar::Spelled(text) => text.parse().ok(),
            other => return self.wrong_type(&expected_number(&range), &other),
        };
        let within = number.filter(|number| range.contains(number));
        if within.is_none() {
            self.mistake(format!("must be {}{else_what}", expected_number(&range)));
        }
        within
    }

    /// A whole number within bounds, or `false` for "off" (`Some(None)`); `true` is the usual number.
    pub(in super::super) fn switch<N: Number>(
        &self,
        range: RangeInclusive<N>,
        usual: Option<N>,
    ) -> Option<Option<N>> {
        match self.scalar(Style::Plain)? {
            Scalar::Bool(truth) => Some(usual.filter(|_| truth)),
            Scalar::Spelled(text) if text == "true" => Some(usual),
            Scalar::Spelled(text) if text == "false" => Some(None),
            Scalar::Integer(_) | Scalar::Spelled(_) => self.integer_or(range, ", or false").map(Some),
            other => self.wrong_truth(&format!("{}, or false", expected_number(&range)), &other),
        }
    }

    /// A time: a number of seconds, or a number with its unit.
    pub(in super::super) fn time(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let time = match self.scalar(Style::Plain)? {
            Scalar::Integer(seconds) => u64::try_from(seconds).ok().map(Duration::from_secs),
            Scalar::Text(text) | Scalar::Spelled(text) => {
                let time = span::parse(&text);
                if time.is_none() {
                    self.mistake(format!("must be {}", span::EXPECTED));
                    return None;
                }
                time
            }
            other => return self.wrong_type(span::EXPECTED, &other),
        };
        let within = time.filter(|time| range.contains(time));
        if within.is_none() {
            let (least, most) = (span::show(*range.start()), span::show(*range.end()));
            self.mistake(format!("must be from {least} to {most}"));
        }
        within
    }

    /// A path; one that stands in the file is relative to the file.
    pub(in super::super) fn path(&self) -> Option<PathBuf> {
        let text = self.text()?;
        if text.is_empty() || text.contains('\0') {
            self.mistake("must be a path");
            return None;
        }
        Some(self.resolved(&text))
    }

    pub(super) fn text_in(&self, style: Style) -> Option<Cow<'a, str>> {
        match self.scalar(style)? {
            Scalar::Text(text) | Scalar::Spelled(text) => Some(text),
            other => self.wrong_type("text in quotes", &other),
        }
    }

    fn scalar(&self, style: Style) -> Option<Scalar<'a>> {
        let node = match self.raw {
            Raw::Spelled(text) => return Some(Scalar::Spelled(Cow::Borrowed(text))),
            Raw::Implied => return Some(Scalar::Other("a table")),
            Raw::Node(node) => node,
        };
        match &node.value {
            Value::Bool(truth) => Some(Scalar::Bool(*truth)),
            Value::Integer(number) => Some(Scalar::Integer(*number)),
            Value::Text(text) => match self.filled_in(text, style)? {
                text @ Cow::Borrowed(_) => Some(Scalar::Text(text)),
                text @ Cow::Owned(_) => Some(Scalar::Spelled(text)),
            },
            other => Some(Scalar::Other(other.kind())),
        }
    }

    fn filled_in(&self, text: &'a str, style: Style) -> Option<Cow<'a, str>> {
        let value_of = |name: &str| {
            self.context.variable(name).map_err(|why| match why {
                NoValue::Missing => format!("names %%{name}%%, but the environment has no {name}"),
                NoValue::NotUtf8 => format!("names %%{name}%%, but the environment's {name} is not UTF-8"),
            })
        };
        substitute(text, style, value_of).map_err(|reason| self.mistake(reason)).ok()
    }

    fn resolved(&self, path: &str) -> PathBuf {
        match self.place {
            Place::File { .. } => self.context.folder.join(path),
            Place::Environment { .. } | Place::Code => PathBuf::from(path),
        }
    }

    /// Text where `true` or `false` may stand is likely to be a word that YAML 1.1 took for one of them.
    fn wrong_truth<T>(&self, expected: &str, found: &Scalar<'_>) -> Option<T> {
        match found {
            Scalar::Text(text) if TRUTHS.iter().any(|truth| text.eq_ignore_ascii_case(truth)) => {
                self.mistake(format!(
                    "must be {expected}, not text; yes, no, on and off are text, and so is what stands in quotes"
                ));
                None
            }
            other => self.wrong_type(expected, other),
        }
    }

    fn wrong_type<T>(&self, expected: &str, found: &Scalar<'_>) -> Option<T> {
        let kind = match found {
            Scalar::Bool(_) => "true or false",
            Scalar::Integer(_) => "a number",
            Scalar::Text(_) | Scalar::Spelled(_) => "text",
            Scalar::Other(kind) => kind,
        };
        self.mistake(format!("must be {expected}, not {kind}"));
        None
    }
}

fn expected_number<N: Display>(range: &RangeInclusive<N>) -> String {
    format!("a number from {} to {}", range.start(), range.end())
}
