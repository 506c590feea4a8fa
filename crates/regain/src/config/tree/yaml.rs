//! The YAML front end: text to [`Node`]s. Plain values mean what the core schema of YAML 1.2 says.
//!
//! Must not expand, construct or guess: aliases (with which a few lines become gigabytes), tags and further
//! documents are refused, and `no`, `on` and `1_000` are text.

use std::collections::HashSet;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, StrInput};

use super::{Entry, Node, SyntaxError, Value};

/// No configuration is nested deeper, and reading takes one stack frame a level.
const DEEPEST: usize = 64;

/// Reads a YAML stream with at most one document, whose top level is a mapping. One without any content is empty, as
/// in TOML.
pub(super) fn read(text: &str) -> Result<Node, Vec<SyntaxError>> {
    let mut reader = Reader { parser: Parser::new_from_str(text), refused: Vec::new() };
    let outcome = reader.stream();
    let mut errors = reader.refused;
    match outcome {
        Ok(node) if errors.is_empty() => return Ok(node),
        Ok(_) => {}
        Err(error) => errors.push(error),
    }
    Err(errors)
}

struct Reader<'t> {
    parser: Parser<'t, StrInput<'t>>,
    /// What is YAML and yet not read here; reading goes on, so that all of it is reported at once.
    refused: Vec<SyntaxError>,
}

impl<'t> Reader<'t> {
    fn stream(&mut self) -> Result<Node, SyntaxError> {
        let mut root = None;
        loop {
            let (event, mark) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(_) if root.is_some() => {
                    return Err(error(mark, "a second document begins here; the file must hold one"));
                }
                Event::DocumentStart(_) => {
                    let (event, mark) = self.next()?;
                    root = Some(self.node(event, mark, 1)?);
                }
                _ => {}
            }
        }
        match root {
            None | Some(Node { value: Value::Other(EMPTY), .. }) => {
                Ok(Node { value: Value::Table(Vec::new()), line: 1 })
            }
            Some(node @ Node { value: Value::Table(_), .. }) => Ok(node),
            Some(Node { line, .. }) => {
                let reason = "the file must hold keys with their values: key: value".to_owned();
                Err(SyntaxError { line, column: 1, reason })
            }
        }
    }

    /// The value that begins with this event.
    fn node(&mut self, event: Event<'t>, mark: Marker, depth: usize) -> Result<Node, SyntaxError> {
        if depth > DEEPEST {
            return Err(error(mark, format!("nested deeper than {DEEPEST} levels")));
        }
        let value = match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_properties(mark, anchor, tag.is_some());
                if style == ScalarStyle::Plain { plain(&text) } else { Value::Text(text.into_owned()) }
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_properties(mark, anchor, tag.is_some());
                self.sequence(depth)?
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_properties(mark, anchor, tag.is_some());
                self.mapping(depth)?
            }
            _ => {
                self.refused.push(error(mark, ALIASES));
                Value::Other("an alias")
            }
        };
        Ok(Node { value, line: mark.line() })
    }

    fn sequence(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::Array(items)),
                (event, mark) => items.push(self.node(event, mark, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, depth: usize) -> Result<Value, SyntaxError> {
        let mut seen = HashSet::new();
        let mut entries = Vec::new();
        loop {
            let (event, mark) = self.next()?;
            if event == Event::MappingEnd {
                return Ok(Value::Table(entries));
            }
            let key = self.key(event, mark, depth)?;
            let (event, at) = self.next()?;
            let node = self.node(event, at, depth + 1)?;
            let Some(key) = key else { continue };
            if !seen.insert(key.clone()) {
                self.refused.push(error(mark, "this key stands twice in its table"));
            }
            entries.push(Entry { key, line: mark.line(), node });
        }
    }

    /// A key, as it is written: `true` and `1` are names here. `None` where it is none, which is then reported.
    fn key(&mut self, event: Event<'t>, mark: Marker, depth: usize) -> Result<Option<String>, SyntaxError> {
        if let Event::Scalar(text, _, anchor, tag) = event {
            self.refuse_properties(mark, anchor, tag.is_some());
            return Ok(Some(text.into_owned()));
        }
        let is_alias = matches!(event, Event::Alias(_));
        self.node(event, mark, depth + 1)?;
        if !is_alias {
            self.refused.push(error(mark, "a key must be one word, not a list or table"));
        }
        Ok(None)
    }

    fn refuse_properties(&mut self, mark: Marker, anchor: usize, has_tag: bool) {
        // The parser counts anchors from 1.
        if anchor != 0 {
            self.refused.push(error(mark, ALIASES));
        }
        if has_tag {
            self.refused.push(error(mark, "tags (!name) are not read here; leave the tag out"));
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Marker), SyntaxError> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, span.start)),
            Some(Err(why)) => Err(syntax_error(&why)),
            // The stream's end is an event, and nobody asks for more after it.
            None => Ok((Event::StreamEnd, Marker::default())),
        }
    }
}

const ALIASES: &str = "anchors (&name) and aliases (*name) are not read here; write the value out";

/// What a key without a value holds.
const EMPTY: &str = "empty";

/// The meaning of a value without quotes (YAML 1.2.2, section 10.3.2).
fn plain(text: &str) -> Value {
    match text {
        "" => Value::Other(EMPTY),
        "null" | "Null" | "NULL" | "~" => Value::Other("null"),
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => Value::Other("no number"),
        _ => number(text).unwrap_or_else(|| Value::Text(text.to_owned())),
    }
}

fn number(text: &str) -> Option<Value> {
    let integer = |number: Result<i64, _>| number.map_or(Value::Other("a number that large"), Value::Integer);
    if let Some(digits) = text.strip_prefix("0x").filter(|digits| all(digits, u8::is_ascii_hexdigit)) {
        return Some(integer(i64::from_str_radix(digits, 16)));
    }
    if let Some(digits) =
        text.strip_prefix("0o").filter(|digits| all(digits, |digit| matches!(digit, b'0'..=b'7')))
    {
        return Some(integer(i64::from_str_radix(digits, 8)));
    }
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if all(digits, u8::is_ascii_digit) {
        // YAML 1.1 reads 010 as eight, and 1.2 as ten: the other formats refuse it, too.
        let is_ambiguous = digits.len() > 1 && digits.starts_with('0');
        return Some(if is_ambiguous {
            Value::Other("a number with a leading zero")
        } else {
            integer(text.parse())
        });
    }
    if matches!(digits, ".inf" | ".Inf" | ".INF") {
        return Some(Value::Other("infinity"));
    }
    is_fraction(digits).then_some(Value::Other("a number with a fraction or exponent"))
}

/// `1.5`, `.5`, `1.`, each perhaps with an exponent such as `e-3`; the sign is gone already.
fn is_fraction(text: &str) -> bool {
    let (mantissa, exponent) = text.split_once(['e', 'E']).map_or((text, None), |(m, e)| (m, Some(e)));
    let (whole, part) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent = exponent.map(|exponent| exponent.strip_prefix(['-', '+']).unwrap_or(exponent));
    digits(whole)
        && digits(part)
        && !(whole.is_empty() && part.is_empty())
        && exponent.is_none_or(|exponent| all(exponent, u8::is_ascii_digit))
}

/// Whether there are digits, and nothing else.
fn all(digits: &str, is_digit: impl Fn(&u8) -> bool) -> bool {
    !digits.is_empty() && digits.as_bytes().iter().all(is_digit)
}

fn syntax_error(why: &ScanError) -> SyntaxError {
    let reason = match why.info() {
        // The only message that quotes the text, and the one that `subject: %APP_NAME%` gives.
        info if info.starts_with("unexpected character") => {
            "unexpected character; text that begins with a sign such as % needs quotes"
        }
        // What the sender `"Sender Name" sender@server.com` gives, which has to be pasted with quotes around it.
        info if info.starts_with("invalid trailing content") => {
            "text goes on behind its closing quote; put the whole in single quotes"
        }
        info if info.contains("unknown anchor") => ALIASES,
        info => info,
    };
    error(*why.marker(), reason)
}

fn error(mark: Marker, reason: impl Into<String>) -> SyntaxError {
    SyntaxError { line: mark.line().max(1), column: mark.col() + 1, reason: reason.into() }
}

#[cfg(test)]
mod tests;
