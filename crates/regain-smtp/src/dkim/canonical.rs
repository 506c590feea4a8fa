//! Owns the `relaxed` form of header fields and bodies (RFC 6376 sections 3.4.2 and 3.4.4).

use super::fields::{Field, next_line};

/// The body with white space reduced, without the empty lines at its end.
pub(super) fn body(mut body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 2);
    let mut empty_lines = 0;
    while !body.is_empty() {
        let (line, rest) = next_line(body);
        body = rest;
        if line.iter().all(is_space) {
            empty_lines += 1;
            continue;
        }
        for _ in 0..std::mem::take(&mut empty_lines) {
            out.extend_from_slice(b"\r\n");
        }
        if line.first().is_some_and(is_space) {
            out.push(b' ');
        }
        reduce(line, &mut out);
        out.extend_from_slice(b"\r\n");
    }
    out
}

/// The fields that `names` chooses, each with its line break: the last of several first, and nothing for a name that
/// has no field left (section 5.4.2).
pub(super) fn chosen(fields: &[Field<'_>], names: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let earlier = names[..index].iter().filter(|other| other == &name).count();
        if let Some(found) = fields.iter().rev().filter(|found| found.is(name)).nth(earlier) {
            field(found.name, found.value, &mut out);
            out.extend_from_slice(b"\r\n");
        }
    }
    out
}

/// One field, without a line break.
pub(super) fn field(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend(name.to_ascii_lowercase());
    out.push(b':');
    reduce(value, out);
}

/// Writes a text without white space at its ends, and one space for each run inside. Line breaks count as white space,
/// which unfolds a field.
fn reduce(text: &[u8], out: &mut Vec<u8>) {
    let mut words = text.split(is_space).filter(|word| !word.is_empty());
    out.extend_from_slice(words.next().unwrap_or_default());
    for word in words {
        out.push(b' ');
        out.extend_from_slice(word);
    }
}

fn is_space(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}
