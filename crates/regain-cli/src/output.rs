//! What people and programs read: lines on stdout, complaints on stderr, text made safe for a terminal.

use std::io::{self, Write};
use std::time::Duration;

use regain_core::Timestamp;
use regain_core::caller::is_invisible;
use serde::Serialize;

/// Writes `text` and a line break to stdout.
///
/// # Errors
/// When stdout is closed or full.
pub(crate) fn say(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Writes `text` and a line break to stderr.
pub(crate) fn complain(text: &str) {
    // Where stderr is closed nobody is there to be told.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Text from outside as one line that cannot move the cursor, colour the screen or turn the reading direction.
pub(crate) fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_invisible(c) { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    safe
}

/// JSON for people and programs, in which the same is escaped: it can only stand in strings, where an escape means the same.
///
/// # Errors
/// When the value cannot be written as JSON.
pub(crate) fn pretty(value: &impl Serialize) -> serde_json::Result<String> {
    let json = serde_json::to_string_pretty(value)?;
    let mut safe = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && is_invisible(c) {
            let mut units = [0; 2];
            safe.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            safe.push(c);
        }
    }
    Ok(safe)
}

/// A name or address of which only its owner's friends know whose it is: `a…@example.org`.
pub(crate) fn masked(name: &str) -> String {
    let (local, domain) = match name.rsplit_once('@') {
        Some((local, domain)) => (local, format!("@{domain}")),
        None => (name, String::new()),
    };
    let first: String = local.chars().take(1).collect();
    format!("{first}…{domain}")
}

/// Columns, each as wide as its widest cell; the last one is not padded.
pub(crate) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let lines = rows.iter().map(|row| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// RFC 3339 in UTC, to the millisecond. A number that is no time of a calendar is shown as it is.
pub(crate) fn time(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.as_millis())
        .map_or_else(|_| at.to_string(), |time| format!("{time:.3}"))
}

/// The same, to the second.
pub(crate) fn seconds(at: Timestamp) -> String {
    jiff::Timestamp::from_second(at.as_secs()).map_or_else(|_| at.to_string(), |time| time.to_string())
}

/// A number with its thousands apart: `1,234`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How long ago something was, in its two largest units: `3 h 12 min`.
pub(crate) fn age(time: Duration) -> String {
    let seconds = time.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339_in_utc() {
        let at = Timestamp::from_millis(1_795_000_000_120);
        assert_eq!(time(at), "2026-11-18T11:06:40.120Z");
        assert_eq!(seconds(at), "2026-11-18T11:06:40Z");
        assert_eq!(time(Timestamp::from_millis(i64::MAX)), format!("{} ms", i64::MAX));
    }

    #[test]
    fn an_address_keeps_its_first_letter_and_its_domain() {
        assert_eq!(masked("ann@example.org"), "a…@example.org");
        assert_eq!(masked("élan@example.org"), "é…@example.org");
        assert_eq!(masked("ann"), "a…");
        assert_eq!(masked(""), "…");
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(printable("550 no\r\n\u{1b}[31muser"), "550 no\\r\\n\\u{1b}[31muser");
        assert_eq!(printable("a\u{202e}b\u{9b}c"), "a\\u{202e}b\\u{9b}c");
        assert_eq!(printable("Grüße 🦀"), "Grüße 🦀");
        assert_eq!(printable("a\u{200b}b\u{61c}c"), "a\\u{200b}b\\u{61c}c");
    }

    #[test]
    fn json_is_escaped_and_means_the_same() {
        let value = serde_json::json!({"name": "a\u{9b}b\u{202e}c\u{e0041}d\n🦀"});
        let json = pretty(&value).unwrap();
        assert_eq!(json, "{\n  \"name\": \"a\\u009bb\\u202ec\\udb40\\udc41d\\n🦀\"\n}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), value);
    }

    #[test]
    fn numbers_and_ages_are_readable() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        let ages = [0, 59, 61, 3_600, 90_000, 8_640_000].map(|seconds| age(Duration::from_secs(seconds)));
        assert_eq!(ages, ["0 s", "59 s", "1 min 1 s", "1 h 0 min", "1 d 1 h", "100 d 0 h"]);
    }

    #[test]
    fn columns_line_up_by_characters() {
        let rows = [["é…".to_owned(), "x".to_owned()], ["abc".to_owned(), String::new()]];
        assert_eq!(table(&rows), "é…   x\nabc");
    }
}
