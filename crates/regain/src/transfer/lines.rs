//! Lines of a file, numbered from 1, each bounded. Knows nothing of what is in them.

use std::io::{self, BufRead};

use super::record::Mistake;

/// The longest line, in bytes without its break. Every account that Regain takes is exported in less.
pub const MAX_LINE_BYTES: usize = 256 * 1024;

/// Reads lines that end with LF or CRLF. A byte order mark at the beginning and empty lines are passed over.
pub(super) struct Lines<R> {
    source: R,
    buffer: Vec<u8>,
    number: u64,
    bytes: u64,
}

/// A line with something in it.
pub(super) struct Line<'a> {
    /// Counted from 1, as editors do.
    pub(super) number: u64,
    /// Its text.
    pub(super) text: Result<&'a str, Mistake>,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, buffer: Vec::new(), number: 0, bytes: 0 }
    }

    /// The next line that is not empty.
    pub(super) fn next(&mut self) -> io::Result<Option<Line<'_>>> {
        let is_too_long = loop {
            let Some(is_too_long) = self.fill()? else { return Ok(None) };
            if is_too_long || !self.buffer.trim_ascii().is_empty() {
                break is_too_long;
            }
        };
        let text = match std::str::from_utf8(&self.buffer) {
            _ if is_too_long => Err(Mistake::TooLong),
            Ok(text) => Ok(text),
            Err(_) => Err(Mistake::NotUtf8),
        };
        Ok(Some(Line { number: self.number, text }))
    }

    /// How many lines were read, the empty ones too.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// How many bytes were read.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Reads one line into the buffer, without its break. `None` at the end; `true` where it was too long to be kept.
    fn fill(&mut self) -> io::Result<Option<bool>> {
        self.buffer.clear();
        let mut begun = false;
        let mut is_too_long = false;
        loop {
            let available = self.source.fill_buf()?;
            if available.is_empty() {
                break;
            }
            begun = true;
            let (part, used, is_whole) = match available.iter().position(|byte| *byte == b'\n') {
                Some(at) => (&available[..at], at + 1, true),
                None => (available, available.len(), false),
            };
            // One more for the CR that may be before the break, three for a byte order mark.
            is_too_long = is_too_long || self.buffer.len() + part.len() > MAX_LINE_BYTES + 4;
            if !is_too_long {
                self.buffer.extend_from_slice(part);
            }
            self.source.consume(used);
            self.bytes += used as u64;
            if is_whole {
                break;
            }
        }
        if !begun {
            return Ok(None);
        }
        self.number += 1;
        if self.buffer.last() == Some(&b'\r') {
            self.buffer.pop();
        }
        const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
        if self.number == 1 && self.buffer.starts_with(BYTE_ORDER_MARK) {
            self.buffer.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(Some(is_too_long || self.buffer.len() > MAX_LINE_BYTES))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<(u64, Result<String, Mistake>)> {
        // A small buffer, so that lines come in parts.
        let mut lines = Lines::new(io::BufReader::with_capacity(3, bytes));
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push((line.number, line.text.map(str::to_owned)));
        }
        assert_eq!(lines.bytes(), bytes.len() as u64);
        all
    }

    #[test]
    fn breaks_marks_and_empty_lines_are_passed_over_and_numbers_stay_right() {
        let found = read("\u{feff}first\r\n\r\n  \nfourth\nlast".as_bytes());
        let expected = [(1, "first"), (4, "fourth"), (5, "last")];
        assert_eq!(found, expected.map(|(number, text)| (number, Ok(text.to_owned()))));
        assert_eq!(read(b""), []);
        assert_eq!(read(b"\n\r\n"), []);
    }

    #[test]
    fn a_line_that_is_too_long_or_not_utf_8_is_passed_over_whole() {
        let long = vec![b'x'; MAX_LINE_BYTES + 1];
        let bytes = [b"a\n", &long[..], b"\n\xff\nb\n", &long[1..], b"\r\n"].concat();
        let found = read(&bytes);
        assert_eq!(found[0], (1, Ok("a".to_owned())));
        assert_eq!(found[1], (2, Err(Mistake::TooLong)));
        assert_eq!(found[2], (3, Err(Mistake::NotUtf8)));
        assert_eq!(found[3], (4, Ok("b".to_owned())));
        assert_eq!(found[4].1.as_ref().map(String::len), Ok(MAX_LINE_BYTES));
    }
}
