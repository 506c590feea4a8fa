//! Owns what a relay said it can do in its EHLO reply. It must not survive the change to TLS.

use super::reply::Lines;

/// The extensions that this client makes use of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Capabilities {
    pub(super) starttls: bool,
    pub(super) pipelining: bool,
    pub(super) eight_bit: bool,
    pub(super) size: bool,
    pub(super) auth_plain: bool,
    pub(super) auth_login: bool,
}

impl Capabilities {
    /// Reads an EHLO reply, whose first line only greets.
    pub(super) fn parse(reply: &Lines) -> Self {
        let mut capabilities = Self::default();
        for line in reply.lines.iter().skip(1) {
            // Old servers write `AUTH=PLAIN LOGIN`.
            let mut words = line.split([' ', '=']).filter(|word| !word.is_empty());
            match words.next().unwrap_or_default().to_ascii_uppercase().as_str() {
                "STARTTLS" => capabilities.starttls = true,
                "PIPELINING" => capabilities.pipelining = true,
                "8BITMIME" => capabilities.eight_bit = true,
                "SIZE" => capabilities.size = true,
                "AUTH" => {
                    for mechanism in words {
                        capabilities.auth_plain |= mechanism.eq_ignore_ascii_case("PLAIN");
                        capabilities.auth_login |= mechanism.eq_ignore_ascii_case("LOGIN");
                    }
                }
                _ => {}
            }
        }
        capabilities
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(lines: &[&str]) -> Capabilities {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        Capabilities::parse(&Lines { code: 250, lines })
    }

    #[test]
    fn extensions_are_read_in_any_letter_case_and_the_greeting_is_none() {
        let read =
            parse(&["STARTTLS", "pipelining", "Size 1000", "AUTH=LOGIN", "auth CRAM-MD5 plain", "8BITMIME"]);
        let all = Capabilities {
            starttls: false,
            pipelining: true,
            eight_bit: true,
            size: true,
            auth_plain: true,
            auth_login: true,
        };
        assert_eq!(read, all);
        assert_eq!(parse(&["relay", "AUTH XOAUTH2", "XSTARTTLS", ""]), Capabilities::default());
    }
}
