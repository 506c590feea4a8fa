//! The environment as the configuration sees it: overrides by `REGAIN_...`, and `%%NAME%%` inside a string.
//!
//! The variables are passed in and never read here. They hold secrets: no `Debug`.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsString;

/// What every override begins with.
pub(super) const PREFIX: &str = "REGAIN";

/// Names that begin like an override but are read elsewhere.
pub(super) const READ_ELSEWHERE: &[&str] = &[
    "REGAIN_LOG",
    #[cfg(debug_assertions)]
    regain_core::fail_point::VARIABLE,
];

/// No list of the configuration is longer than this by means of variables alone.
const MOST_ITEMS: usize = 64;

/// Environment variables by name.
#[derive(Clone, Default)]
pub struct Environment {
    /// `None` where the value is not UTF-8, which is a mistake only where the value is wanted.
    variables: BTreeMap<String, Option<String>>,
}

/// Why a variable has no value for us.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoValue {
    Missing,
    NotUtf8,
}

impl Environment {
    /// Takes the variables, such as those of `std::env::vars_os()`.
    pub fn new<N: Into<OsString>, V: Into<OsString>>(variables: impl IntoIterator<Item = (N, V)>) -> Self {
        let utf8 = |(name, value): (N, V)| {
            // A name that is not UTF-8 cannot be one that we ask for.
            let name = name.into().into_string().ok()?;
            Some((name, value.into().into_string().ok()))
        };
        Self { variables: variables.into_iter().filter_map(utf8).collect() }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.variables.contains_key(name)
    }

    pub(super) fn value(&self, name: &str) -> Result<&str, NoValue> {
        let value = self.variables.get(name).ok_or(NoValue::Missing)?;
        value.as_deref().ok_or(NoValue::NotUtf8)
    }

    /// Whether there are variables below this one, as `REGAIN_LIMITS__PER_CLIENT` is below `REGAIN_LIMITS`.
    pub(super) fn has_below(&self, name: &str) -> bool {
        self.below(name).next().is_some()
    }

    /// How many items a list has that variables such as `REGAIN_REDIRECT_URLS__0` make or change.
    pub(super) fn items_below(&self, name: &str) -> usize {
        let index = |rest: &str| rest.split("__").next()?.parse::<usize>().ok();
        let last = self.below(name).filter_map(index).filter(|index| *index < MOST_ITEMS).max();
        last.map_or(0, |last| last + 1)
    }

    /// The names of all variables that are meant as settings.
    pub fn overrides(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str).filter(|name| {
            let rest = name.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix('_'));
            rest.is_some() && !READ_ELSEWHERE.contains(name)
        })
    }

    fn below(&self, name: &str) -> impl Iterator<Item = &str> {
        self.variables.keys().filter_map(move |key| key.strip_prefix(name)?.strip_prefix("__"))
    }
}

/// How a string is searched for `%%NAME%%`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    /// Placeholders such as `%TOKEN%` are stepped over, so that two that touch (`%TOKEN%%IP%`) are no `%%IP%`.
    Template,
}

/// Replaces each `%%NAME%%` by the value that `value_of` gives, in one pass: values are never searched again.
/// Borrowed where there is none.
pub(super) fn substitute<'t, 'v, E>(
    text: &'t str,
    style: Style,
    mut value_of: impl FnMut(&str) -> Result<&'v str, E>,
) -> Result<Cow<'t, str>, E> {
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(percent) = text[at..].find('%').map(|found| at + found) {
        let rest = &text[percent..];
        if let Some(name) = name_between(rest, "%%") {
            out.push_str(&text[copied..percent]);
            out.push_str(value_of(name)?);
            at = percent + name.len() + 4;
            copied = at;
        } else if let Some(name) = name_between(rest, "%").filter(|_| style == Style::Template) {
            at = percent + name.len() + 2;
        } else {
            at = percent + 1;
        }
    }
    if copied == 0 {
        return Ok(Cow::Borrowed(text));
    }
    out.push_str(&text[copied..]);
    Ok(Cow::Owned(out))
}

fn name_between<'t>(text: &'t str, mark: &str) -> Option<&'t str> {
    let rest = text.strip_prefix(mark)?;
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_')?;
    let name = &rest[..end];
    let begins_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    (begins_well && rest[end..].starts_with(mark)).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(text: &str, style: Style) -> Result<String, String> {
        let value_of = |name: &str| match name {
            "PASS" => Ok("%%USER%% $1 p"),
            "USER" => Ok("u"),
            _ => Err(name.to_owned()),
        };
        substitute(text, style, value_of).map(Cow::into_owned)
    }

    #[test]
    fn a_name_between_double_percents_is_replaced_once() {
        assert_eq!(filled("smtp://%%USER%%:%%PASS%%@h", Style::Plain).unwrap(), "smtp://u:%%USER%% $1 p@h");
        assert_eq!(filled("%%USER%%%%USER%%", Style::Plain).unwrap(), "uu");
        assert_eq!(filled("%%NONE%%", Style::Plain).unwrap_err(), "NONE");
    }

    #[test]
    fn other_percents_stay() {
        for text in ["", "100%", "%%", "%%%%", "a%20b", "%% USER %%", "%%1X%%", "%USER%", "%%USER%", "%%é%%"]
        {
            assert_eq!(filled(text, Style::Plain).unwrap(), text);
            assert_eq!(filled(text, Style::Template).unwrap(), text);
        }
    }

    #[test]
    fn placeholders_of_a_template_that_touch_are_left_alone() {
        assert_eq!(filled("%TOKEN%%USER%%IP%", Style::Template).unwrap(), "%TOKEN%%USER%%IP%");
        assert_eq!(filled("%TOKEN%%%USER%%%IP%", Style::Template).unwrap(), "%TOKEN%u%IP%");
        assert_eq!(filled("p%2F%%USER%%", Style::Plain).unwrap(), "p%2Fu");
    }

    #[test]
    fn items_are_counted_by_the_highest_index() {
        let environment =
            Environment::new([("REGAIN_A__0", ""), ("REGAIN_A__2__X", ""), ("REGAIN_A__999999", "")]);
        assert_eq!(environment.items_below("REGAIN_A"), 3);
        assert_eq!(environment.items_below("REGAIN_B"), 0);
    }

    proptest! {
        #[test]
        fn any_text_is_searched_without_a_panic(text in "[%A-Cé_0]{0,30}") {
            for style in [Style::Plain, Style::Template] {
                let _ = substitute(&text, style, |_| Ok::<_, ()>("v"));
            }
        }
    }
}
