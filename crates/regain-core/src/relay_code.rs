//! The code that a relay gave at a letter's last attempt, by which operators look for letters.

use std::fmt;
use std::str::FromStr;

use crate::letter::Letter;

/// What stands before the codes in the text of an error, where the letter keeps no reply of its own.
pub const REFUSED_WITH: &str = "refused with ";

/// A reply code (RFC 5321 section 4.2) or an enhanced status code (RFC 3463).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RelayCode {
    /// Three digits, 200 to 599.
    Reply(u16),
    /// Such as 5.1.1.
    Enhanced(u8, u16, u16),
}

/// The text is no code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write a reply code such as 550, or an enhanced one such as 5.1.1")]
pub struct NoRelayCode;

impl RelayCode {
    /// Whether these words of a letter, see [`RelayCode::words_of`], begin with this code.
    pub fn begins(self, words: &str) -> bool {
        match self {
            Self::Reply(_) => reply(words) == Some(self),
            Self::Enhanced(..) => enhanced(words) == Some(self),
        }
    }

    /// The reply code that words begin with.
    pub fn of(words: &str) -> Option<Self> {
        reply(words)
    }

    /// The part of a letter that begins with the relay's codes: its reply, else the error behind [`REFUSED_WITH`].
    pub fn words_of(letter: &Letter) -> Option<&str> {
        letter
            .relay_reply
            .as_deref()
            .or_else(|| Some(letter.last_error.as_deref()?.split_once(REFUSED_WITH)?.1))
    }
}

impl FromStr for RelayCode {
    type Err = NoRelayCode;

    fn from_str(text: &str) -> Result<Self, NoRelayCode> {
        let whole = |code: RelayCode| code.to_string() == text;
        // What is read with something behind it, as in `5505`, is not what was written.
        reply(text).or_else(|| three_numbers(text)).filter(|code| whole(*code)).ok_or(NoRelayCode)
    }
}

impl fmt::Display for RelayCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply(code) => write!(f, "{code}"),
            Self::Enhanced(class, subject, detail) => write!(f, "{class}.{subject}.{detail}"),
        }
    }
}

fn reply(words: &str) -> Option<RelayCode> {
    let code = first(words).filter(|word| word.len() == 3)?.parse().ok()?;
    (200..600).contains(&code).then_some(RelayCode::Reply(code))
}

fn enhanced(words: &str) -> Option<RelayCode> {
    reply(words)?;
    three_numbers(first(words.get(4..)?)?)
}

fn three_numbers(word: &str) -> Option<RelayCode> {
    let mut numbers = word.split('.');
    let (class, subject, detail) = (numbers.next()?, numbers.next()?, numbers.next()?);
    let is_class = matches!(class, "2" | "4" | "5") && numbers.next().is_none();
    is_class.then_some(RelayCode::Enhanced(class.parse().ok()?, subject.parse().ok()?, detail.parse().ok()?))
}

/// The first word, up to a space or a colon.
fn first(words: &str) -> Option<&str> {
    words.split([' ', ':']).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_read_as_it_is_written() {
        assert_eq!("550".parse(), Ok(RelayCode::Reply(550)));
        assert_eq!("5.7.26".parse(), Ok(RelayCode::Enhanced(5, 7, 26)));
        for text in
            ["", "55", "5505", "199", "600", "550 ", "5.1", "5.1.1.1", "3.1.1", "5.01.1", "+50", "550:"]
        {
            assert_eq!(text.parse::<RelayCode>(), Err(NoRelayCode), "{text}");
        }
    }

    #[test]
    fn words_begin_with_the_code_and_not_with_another_number() {
        let says = |code: &str, words: &str| code.parse::<RelayCode>().unwrap().begins(words);
        assert!(
            says("550", "550 5.1.1 no such user")
                && says("550", "550")
                && says("535", "535 5.7.8: 535 5.7.8 no")
        );
        assert!(says("5.1.1", "550 5.1.1 no such user") && says("5.7.8", "535 5.7.8: 535 5.7.8 no"));
        assert!(!says("5.1.1", "550 5.1.10 no") && !says("5.1.1", "5.1.1 no") && !says("5.1.1", "550"));
        assert!(!says("550", "5501 no") && !says("550", "no 550") && !says("550", "250 2.0.0 queued as 550"));
    }
}
