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

/// What a client calls itself: at most 200 characters, without control and direction characters.
#[derive(Clone, PartialEq, Eq)]
pub struct UserAgent(String);

impl UserAgent {
    /// Takes a header's text, cut and cleaned; `None` where nothing printable is left.
    pub fn parse(text: &str) -> Option<Self> {
        let clean: String = text.chars().filter(|c| !is_invisible(*c)).take(200).collect();
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
    }
}
