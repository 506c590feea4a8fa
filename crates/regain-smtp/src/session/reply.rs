//! Owns the reading of one SMTP reply (RFC 5321 section 4.2) out of a buffer. It must not do I/O.

use std::fmt;

/// All lines of one reply together may be this long; the longest honest one is an EHLO reply of some hundred.
pub(crate) const LONGEST_REPLY: usize = 16 * 1024;

/// How much of the text is kept for an operator to read, in characters.
const LONGEST_TEXT: usize = 512;

/// What a relay answered. `Debug` shows the codes only, because the text often quotes an address.
#[derive(Clone, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    enhanced: Option<EnhancedCode>,
    text: String,
}

impl Reply {
    /// The three digits, 200 to 599.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The enhanced status code (RFC 3463), where the reply begins with one of the same class.
    pub fn enhanced(&self) -> Option<EnhancedCode> {
        self.enhanced
    }

    /// The words behind the codes, lines joined by a space, without control characters, 512 characters at most.
    /// They often quote the recipient's address, so they must not be logged.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The codes alone, `550 5.1.1`.
    pub fn codes(&self) -> String {
        self.enhanced.map_or_else(|| self.code.to_string(), |enhanced| format!("{} {enhanced}", self.code))
    }

    /// The same reply with its text withheld, for text that repeats a secret.
    pub(crate) fn without_text(self) -> Self {
        Self { text: String::new(), ..self }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({})", self.codes())
    }
}

/// An enhanced status code such as `5.1.1` (RFC 3463).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EnhancedCode {
    /// 2 success, 4 try later, 5 never.
    pub class: u8,
    /// 1 address, 2 mailbox, 3 mail system, 4 network, 5 protocol, 6 content, 7 policy.
    pub subject: u16,
    /// What of the subject.
    pub detail: u16,
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// A reply line by line, as EHLO needs it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lines {
    pub(crate) code: u16,
    pub(crate) lines: Vec<String>,
    /// Whether the text is not for people to read.
    pub(crate) repeats_login: bool,
}

impl Lines {
    pub(crate) fn into_reply(self) -> Reply {
        let enhanced =
            self.lines.first().and_then(|line| split_enhanced(self.code, line)).map(|(code, _)| code);
        let mut text = String::new();
        let mut room = LONGEST_TEXT;
        for line in &self.lines {
            let words = split_enhanced(self.code, line).map_or(line.as_str(), |(_, words)| words).trim();
            if !text.is_empty() && room > 0 && !words.is_empty() {
                text.push(' ');
                room -= 1;
            }
            for character in words.chars().take(room) {
                text.push(if character.is_control() { ' ' } else { character });
                room -= 1;
            }
        }
        let reply = Reply { code: self.code, enhanced, text };
        if self.repeats_login { reply.without_text() } else { reply }
    }
}

/// Takes one reply from the front of `bytes`: `Ok(None)` while it is incomplete, else the reply and how many
/// bytes it took.
pub(crate) fn take(bytes: &[u8]) -> Result<Option<(Lines, usize)>, &'static str> {
    let mut lines = Vec::new();
    let mut code = None;
    let mut taken = 0;
    while let Some(length) = bytes[taken..].iter().position(|&byte| byte == b'\n') {
        let line = &bytes[taken..taken + length];
        taken += length + 1;
        if taken > LONGEST_REPLY {
            return Err("its reply is too long");
        }
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let (number, last, text) = split_line(line)?;
        if *code.get_or_insert(number) != number {
            return Err("the lines of its reply have different codes");
        }
        lines.push(String::from_utf8_lossy(text).into_owned());
        if last {
            return Ok(Some((Lines { code: number, lines, repeats_login: false }, taken)));
        }
    }
    if bytes.len() >= LONGEST_REPLY { Err("its reply is too long") } else { Ok(None) }
}

fn split_line(line: &[u8]) -> Result<(u16, bool, &[u8]), &'static str> {
    let [a @ b'2'..=b'5', b @ b'0'..=b'9', c @ b'0'..=b'9', rest @ ..] = line else {
        return Err("its reply does not begin with a code");
    };
    let digit = |byte: &u8| u16::from(byte - b'0');
    let code = 100 * digit(a) + 10 * digit(b) + digit(c);
    match rest {
        [] => Ok((code, true, rest)),
        [b' ', text @ ..] => Ok((code, true, text)),
        [b'-', text @ ..] => Ok((code, false, text)),
        _ => Err("its reply does not begin with a code"),
    }
}

fn split_enhanced(code: u16, line: &str) -> Option<(EnhancedCode, &str)> {
    let (first, words) = line.split_once(' ').unwrap_or((line, ""));
    let mut numbers = first.split('.').map(|number| {
        let digits = (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
        if digits { number.parse::<u16>().ok() } else { None }
    });
    let (class, subject, detail) = (numbers.next()??, numbers.next()??, numbers.next()??);
    if numbers.next().is_some() || class != code / 100 {
        return None;
    }
    Some((EnhancedCode { class: u8::try_from(class).ok()?, subject, detail }, words))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn reply(bytes: &[u8]) -> Reply {
        let (lines, taken) = take(bytes).expect("valid").expect("complete");
        assert_eq!(taken, bytes.len());
        lines.into_reply()
    }

    #[test]
    fn codes_and_text_are_taken_apart() {
        let one = reply(b"550 5.1.1 <x@y>: no such user\r\n");
        assert_eq!((one.code(), one.text(), one.codes().as_str()), (550, "<x@y>: no such user", "550 5.1.1"));
        assert_eq!(one.enhanced(), Some(EnhancedCode { class: 5, subject: 1, detail: 1 }));
        let many = reply(b"421-4.7.0 come\r\n421 4.7.0 back later\r\n");
        assert_eq!((many.code(), many.text()), (421, "come back later"));
        assert_eq!(reply(b"250\r\n").text(), "");
        assert_eq!(reply(b"250 2.0.0\n").enhanced().map(|code| code.class), Some(2));
        assert_eq!(reply(b"250 5.0.0 odd\r\n").enhanced(), None);
        assert_eq!(reply(b"250 1.2 3\r\n").text(), "1.2 3");
    }

    #[test]
    fn the_text_is_bounded_and_without_control_characters() {
        let mut bytes = b"550 a\x1b[31m\x07".to_vec();
        bytes.extend(std::iter::repeat_n(b'x', 5000));
        bytes.extend(b"\r\n");
        let text = reply(&bytes).text().to_owned();
        assert_eq!(text.chars().count(), LONGEST_TEXT);
        assert!(text.starts_with("a [31m x"));
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        for bytes in [
            &b"hello\r\n"[..],
            b"\r\n",
            b"25\r\n",
            b"2500 x\r\n",
            b"150 x\r\n",
            b"650 x\r\n",
            b"250-a\r\n251 b\r\n",
            b"250_x\r\n",
            b"HTTP/1.1 400\r\n",
        ] {
            assert!(take(bytes).is_err(), "{bytes:?}");
        }
        assert!(take(&[b'2'; LONGEST_REPLY]).is_err());
        assert!(take(&b"250-x\r\n".repeat(LONGEST_REPLY / 7 + 1)).is_err());
    }

    proptest! {
        #[test]
        fn nothing_that_comes_in_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(Some((lines, taken))) = take(&bytes) {
                prop_assert!(taken <= bytes.len());
                prop_assert!(!lines.into_reply().text().chars().any(char::is_control));
            }
        }

        #[test]
        fn a_reply_is_incomplete_until_its_last_byte(texts in prop::collection::vec("[ -~]{0,20}", 1..5)) {
            let last = texts.len() - 1;
            let bytes: String = texts.iter().enumerate()
                .map(|(at, text)| format!("250{}{text}\r\n", if at == last { ' ' } else { '-' })).collect();
            for end in 0..bytes.len() {
                prop_assert_eq!(take(&bytes.as_bytes()[..end]), Ok(None));
            }
            let (lines, taken) = take(bytes.as_bytes()).expect("valid").expect("complete");
            prop_assert_eq!((lines.lines, taken), (texts, bytes.len()));
        }
    }
}
