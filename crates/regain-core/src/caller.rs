//! Who is asking: what a flow may know of the client behind a request.

use std::net::IpAddr;

/// The client behind a request.
#[derive(Clone)]
pub struct Caller {
    /// The peer, or the hop that a trusted proxy vouches for.
    pub ip: IpAddr,
    /// The browser or program, for the "who asked" line of a mail.
    pub agent: Option<UserAgent>,
}

/// The longest agent that is kept, in characters.
const LONGEST: usize = 200;

/// What a client calls itself: at most 200 characters, without control and direction characters.
#[derive(Clone, PartialEq, Eq)]
pub struct UserAgent(String);

impl UserAgent {
    /// Takes a header's text, cut and cleaned; `None` where nothing printable is left.
    pub fn parse(text: &str) -> Option<Self> {
        // Nearly every one, each time it is read back.
        if text.len() <= LONGEST && text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            let text = text.trim();
            return (!text.is_empty()).then(|| Self(text.to_owned()));
        }
        let clean: String = text.chars().filter(|c| !is_invisible(*c)).take(LONGEST).collect();
        let clean = clean.trim();
        (!clean.is_empty()).then(|| Self(clean.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control characters, and those that change the direction or hide text around them.
pub fn is_invisible(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_cut_and_cleaned() {
        let long = format!("Moz\r\n\u{202e}illa {}", "x".repeat(500));
        let agent = UserAgent::parse(&long).unwrap();
        assert!(agent.as_str().starts_with("Mozilla x"));
        assert_eq!(agent.as_str().len(), 200);
        assert!(UserAgent::parse("\r\n \u{200b}").is_none());
        // Those that are plain go another way.
        for (text, kept) in [
            (" a b ", Some("a b")),
            ("a\tb", Some("ab")),
            ("  ", None),
            ("", None),
            ("\u{e9} ", Some("\u{e9}")),
        ] {
            assert_eq!(UserAgent::parse(text).as_ref().map(UserAgent::as_str), kept, "{text:?}");
        }
        assert_eq!(UserAgent::parse(&"x".repeat(201)).unwrap().as_str(), "x".repeat(200));
    }
}
