//! Texts in a form in which they can be compared, whoever has encoded them and how.

/// No text is encoded more often.
const LAYERS: usize = 4;
const ENTITIES: [(&[u8], u8); 6] = [
    (b"&amp;", b'&'),
    (b"&lt;", b'<'),
    (b"&gt;", b'>'),
    (b"&quot;", b'"'),
    (b"&apos;", b'\''),
    (b"&sol;", b'/'),
];

/// A byte of the plain form, and the bytes of the text that it came of: whole characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) byte: u8,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The plain form: percent-encoding, the escapes of JSON and the entities of HTML undone, also when they are nested; in
/// lower case, and with a space for `+`.
pub(super) fn plain(text: &[u8]) -> Vec<Piece> {
    let mut pieces = pieces(text);
    for _ in 0..LAYERS {
        let before = pieces.len();
        pieces = decoded(&pieces);
        if pieces.len() == before {
            break;
        }
    }
    for piece in &mut pieces {
        piece.byte = if piece.byte == b'+' { b' ' } else { piece.byte.to_ascii_lowercase() };
    }
    pieces
}

/// The plain form alone.
pub(super) fn bytes(pieces: &[Piece]) -> Vec<u8> {
    pieces.iter().map(|piece| piece.byte).collect()
}

fn pieces(text: &[u8]) -> Vec<Piece> {
    let is_boundary = |at: usize| text.get(at).is_none_or(|byte| byte & 0b1100_0000 != 0b1000_0000);
    let mut start = 0;
    let mut pieces = Vec::with_capacity(text.len());
    for (at, byte) in text.iter().enumerate() {
        if is_boundary(at) {
            start = at;
        }
        let end = (at + 1..=text.len()).find(|end| is_boundary(*end)).unwrap_or(text.len());
        pieces.push(Piece { byte: *byte, start, end });
    }
    pieces
}

/// One layer less.
fn decoded(pieces: &[Piece]) -> Vec<Piece> {
    let all = bytes(pieces);
    let mut plain = Vec::with_capacity(pieces.len());
    let mut at = 0;
    while let Some(piece) = pieces.get(at) {
        let Some((decoded, length)) = escape(&all[at..]) else {
            plain.push(*piece);
            at += 1;
            continue;
        };
        let (start, end) = (piece.start, pieces[at + length - 1].end);
        match decoded {
            Decoded::Byte(byte) => plain.push(Piece { byte, start, end }),
            Decoded::Char(c) => {
                let mut buffer = [0; 4];
                plain.extend(c.encode_utf8(&mut buffer).bytes().map(|byte| Piece { byte, start, end }));
            }
        }
        at += length;
    }
    plain
}

enum Decoded {
    Byte(u8),
    Char(char),
}

/// What is encoded at the beginning, and in how many bytes.
fn escape(text: &[u8]) -> Option<(Decoded, usize)> {
    match text {
        [b'%', digits @ ..] => Some((Decoded::Byte(u8::try_from(number(digits.get(..2)?, 16)?).ok()?), 3)),
        [b'\\', b'u', digits @ ..] => {
            Some((Decoded::Char(char::from_u32(number(digits.get(..4)?, 16)?)?), 6))
        }
        [b'\\', byte @ (b'/' | b'\\' | b'"' | b'\''), ..] => Some((Decoded::Byte(*byte), 2)),
        [b'&', b'#', rest @ ..] => {
            let length = rest.iter().take(9).position(|byte| *byte == b';')?;
            let code = match &rest[..length] {
                [b'x' | b'X', digits @ ..] => number(digits, 16)?,
                digits => number(digits, 10)?,
            };
            Some((Decoded::Char(char::from_u32(code)?), length + 3))
        }
        [b'&', ..] => {
            let (name, byte) = ENTITIES.iter().find(|(name, _)| text.starts_with(name))?;
            Some((Decoded::Byte(*byte), name.len()))
        }
        _ => None,
    }
}

fn number(digits: &[u8], radix: u32) -> Option<u32> {
    let digits = str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, radix).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        String::from_utf8_lossy(&bytes(&plain(text.as_bytes()))).into_owned()
    }

    #[test]
    fn every_encoding_is_undone() {
        for text in [
            "/A b",
            "%2fA%20b",
            r"\/a b",
            r"\u002Fa+b",
            "&#x2f;a&#32;b",
            "&#47;a b",
            "&sol;a b",
            "%252FA%2520b",
        ] {
            assert_eq!(shown(text), "/a b", "{text}");
        }
        for text in
            ["100%", "%zz", "%+1", r"a\", r"\u12", r"\ud800", "&", "&#;", "&#xZ;", "&nosuch;", "&#99999999;"]
        {
            assert_eq!(shown(text), text.to_lowercase().replace('+', " "), "{text}");
        }
    }

    proptest! {
        #[test]
        fn pieces_come_of_whole_characters_in_order(text in r"(\PC|%[0-9a-f]{2}|\\u00[0-9a-f]{2}|&#x[0-9a-f]{1,3};){0,40}") {
            let mut last = 0;
            for piece in plain(text.as_bytes()) {
                prop_assert!(text.is_char_boundary(piece.start) && text.is_char_boundary(piece.end));
                prop_assert!(piece.start < piece.end && piece.start >= last);
                last = piece.start;
            }
        }
    }
}
