//! Owns where the parts of a message begin and end: its header fields, each with its value, and its body.

use super::DkimError;

/// A message in parts.
pub(super) struct Parts<'m> {
    pub(super) fields: Vec<Field<'m>>,
    pub(super) body: &'m [u8],
}

/// A header field as it stands there; its value may be folded.
pub(super) struct Field<'m> {
    pub(super) name: &'m [u8],
    pub(super) value: &'m [u8],
}

impl Field<'_> {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

pub(super) fn parts(message: &[u8]) -> Result<Parts<'_>, DkimError> {
    let mut fields = Vec::new();
    let mut rest = message;
    while !rest.is_empty() {
        let start = rest;
        let (line, mut behind) = next_line(rest);
        if line.is_empty() {
            rest = behind;
            break;
        }
        // A value goes on in each line that begins with white space.
        while behind.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            behind = next_line(behind).1;
        }
        let whole = &start[..start.len() - behind.len()];
        let colon = line.iter().position(|byte| *byte == b':').filter(|at| *at > 0);
        let Some(colon) = colon else { return Err(DkimError::Message("has a header line that is no field")) };
        fields.push(Field { name: whole[..colon].trim_ascii_end(), value: &whole[colon + 1..] });
        rest = behind;
    }
    Ok(Parts { fields, body: rest })
}

/// The first line without its break, and what follows. CRLF, LF and CR alone are breaks.
pub(super) fn next_line(text: &[u8]) -> (&[u8], &[u8]) {
    let Some(end) = text.iter().position(|byte| matches!(byte, b'\r' | b'\n')) else { return (text, &[]) };
    let (line, rest) = text.split_at(end);
    let rest = rest.strip_prefix(b"\r\n").unwrap_or(&rest[1..]);
    (line, rest)
}
