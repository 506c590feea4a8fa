//! Owns the form in which a message crosses the wire: CRLF lines, dots doubled, ended by a lone dot. It must
//! not look at what the lines say.

/// What ends a message.
pub(super) const FINAL_DOT: &[u8] = b".\r\n";

/// Writes the message as it follows the 354 reply, final dot included, into `wire`, in place of what is there. Every
/// line break, also a lone CR or LF, becomes CRLF, so that no server can see the end of the message where another
/// sees none (RFC 5321 section 4.1.1.4, CVE-2023-51764).
pub(super) fn encode(message: &[u8], wire: &mut Vec<u8>) {
    wire.clear();
    wire.reserve(message.len() + message.len() / 32 + 16);
    let mut rest = message;
    while !rest.is_empty() {
        let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        let (line, behind) = rest.split_at(end);
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line);
        wire.extend_from_slice(b"\r\n");
        rest = behind.strip_prefix(b"\r\n").or_else(|| behind.get(1..)).unwrap_or_default();
    }
    wire.extend_from_slice(FINAL_DOT);
}

/// The header of a message in the form for the wire: all up to the first empty line.
pub(super) fn header(wire_form: &[u8]) -> &[u8] {
    let end = wire_form.windows(4).position(|four| four == b"\r\n\r\n");
    &wire_form[..end.unwrap_or(wire_form.len())]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encoded(message: &[u8]) -> Vec<u8> {
        let mut wire = b"what was there".to_vec();
        encode(message, &mut wire);
        wire
    }

    #[test]
    fn every_line_break_is_crlf_and_every_leading_dot_is_doubled() {
        for (message, wire) in [
            (&b""[..], &b".\r\n"[..]),
            (b"a", b"a\r\n.\r\n"),
            (b"a\r\n", b"a\r\n.\r\n"),
            (b".", b"..\r\n.\r\n"),
            (b"a\n.\nb", b"a\r\n..\r\nb\r\n.\r\n"),
            (b"a\r.\rb", b"a\r\n..\r\nb\r\n.\r\n"),
            (b"a\r\n.\r\nb\r\n", b"a\r\n..\r\nb\r\n.\r\n"),
            (b"a\n\r\n\r.x", b"a\r\n\r\n\r\n..x\r\n.\r\n"),
            (b"\r\r\n", b"\r\n\r\n.\r\n"),
        ] {
            assert_eq!(encoded(message).as_slice(), wire, "{message:?}");
        }
    }

    proptest! {
        #[test]
        fn only_the_last_dot_stands_alone(message in "[a.\r\n]{0,60}") {
            let wire = encoded(message.as_bytes());
            let body = wire.strip_suffix(b".\r\n").expect("the final dot");
            let text = String::from_utf8(body.to_vec()).expect("ASCII");
            let bare = text.replace("\r\n", "");
            prop_assert!(!bare.contains(['\r', '\n']));
            prop_assert!(text.is_empty() || text.ends_with("\r\n"));
            for line in text.split("\r\n") {
                prop_assert!(!line.starts_with('.') || line.starts_with(".."));
            }
        }
    }
}
