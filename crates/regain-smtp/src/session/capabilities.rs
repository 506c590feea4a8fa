//! Owns what a relay said it can do in its EHLO reply. It must not survive the change to TLS.

use super::auth::Mechanisms;
use super::reply::Lines;

/// The extensions that this client makes use of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Capabilities {
    pub(super) starttls: bool,
    pub(super) pipelining: bool,
    pub(super) eight_bit: bool,
    pub(super) utf8: bool,
    pub(super) size: Option<Size>,
    /// `None`: it has no login at all.
    pub(super) auth: Option<Mechanisms>,
}

/// SIZE (RFC 1870), with the largest message that the relay takes if it said so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) limit: Option<u64>,
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
                "SMTPUTF8" => capabilities.utf8 = true,
                "SIZE" => {
                    // Zero says that there is no fixed limit; so does anything that is no number.
                    let limit = words.next().and_then(|word| word.parse().ok()).filter(|&limit| limit > 0);
                    capabilities.size = Some(Size { limit });
                }
                "AUTH" => {
                    let mechanisms = capabilities.auth.get_or_insert_default();
                    words.for_each(|mechanism| mechanisms.add(mechanism));
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
        Capabilities::parse(&Lines { code: 250, lines, repeats_login: false })
    }

    fn mechanisms(words: &[&str]) -> Mechanisms {
        let mut mechanisms = Mechanisms::default();
        words.iter().for_each(|word| mechanisms.add(word));
        mechanisms
    }

    #[test]
    fn extensions_are_read_in_any_letter_case_and_the_greeting_is_none() {
        let read = parse(&[
            "STARTTLS",
            "pipelining",
            "Size 1000",
            "AUTH=LOGIN",
            "auth CRAM-MD5 plain",
            "8BITMIME",
            "smtputf8",
        ]);
        let all = Capabilities {
            starttls: false,
            pipelining: true,
            eight_bit: true,
            utf8: true,
            size: Some(Size { limit: Some(1000) }),
            auth: Some(mechanisms(&["LOGIN", "CRAM-MD5", "PLAIN"])),
        };
        assert_eq!(read, all);
        assert_eq!(parse(&["relay", "XSTARTTLS", ""]), Capabilities::default());
        assert_eq!(parse(&["relay", "AUTH NTLM"]).auth, Some(Mechanisms::default()));
    }

    #[test]
    fn a_size_without_a_limit_has_none() {
        for line in ["SIZE", "SIZE 0", "SIZE lots"] {
            assert_eq!(parse(&["relay", line]).size, Some(Size { limit: None }), "{line}");
        }
    }
}
