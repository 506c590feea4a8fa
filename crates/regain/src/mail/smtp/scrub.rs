//! What may be kept of a relay's words: no mail address, nothing of the token, no great length.
//!
//! Relays quote the recipient, and filters quote the link that they dislike; both end up in the outbox and in front
//! of an operator.

use regain_core::Parcel;
use zeroize::Zeroizing;

/// The longest text that is kept, in characters.
const LONGEST: usize = 300;
/// A word that holds as many digits of the token in a row is hidden. No queue id does by chance.
const TELLING: usize = 12;
/// A longer run of base64 is hidden: 32 bytes take 43. Queue ids are shorter.
const ENCODED: usize = 40;
const HIDDEN: &str = "[hidden]";

/// Knows what to hide for one parcel. No `Debug`: it holds a token.
pub(in crate::mail) struct Scrubber {
    local_part: String,
    token: Option<Zeroizing<String>>,
}

impl Scrubber {
    pub(in crate::mail) fn of(parcel: &Parcel) -> Self {
        let address = parcel.to.as_str().to_lowercase();
        let local_part = address.rsplit_once('@').map_or("", |(local, _)| local).to_owned();
        Self { local_part, token: parcel.token.as_ref().map(|token| token.expose()) }
    }

    /// The text with every telling word hidden, and cut.
    pub(in crate::mail) fn scrub(&self, text: &str) -> String {
        cut(self.hide(text))
    }

    /// The text with every telling word hidden, in full length: for who has more to hide before it is cut.
    pub(in crate::mail) fn hide(&self, text: &str) -> String {
        let words = text.split_whitespace().map(|word| if self.tells(word) { HIDDEN } else { word });
        let mut kept = String::new();
        for word in words {
            if !kept.is_empty() {
                kept.push(' ');
            }
            kept.push_str(word);
        }
        kept
    }

    fn tells(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        // Besides the address itself, its forms in a URL and in a bounce address (`ann=example.org`).
        let address_like = word.contains('@') || word.contains("%40") || word.contains("=40");
        address_like || self.names_recipient(&word) || self.holds_token(&word) || is_encoded(&word)
    }

    /// Whether the local part stands in the word, with no letter or digit next to it.
    fn names_recipient(&self, word: &str) -> bool {
        word.match_indices(&self.local_part).any(|(at, found)| {
            !word[..at].ends_with(char::is_alphanumeric)
                && !word[at + found.len()..].starts_with(char::is_alphanumeric)
        })
    }

    fn holds_token(&self, word: &str) -> bool {
        let Some(token) = &self.token else { return false };
        (0..=token.len().saturating_sub(TELLING))
            .filter_map(|start| token.get(start..start + TELLING))
            .any(|digits| word.contains(digits))
    }
}

/// As much of a text as is kept.
pub(in crate::mail) fn cut(text: String) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// Whether a word holds so long a run of base64 that it could be a token, a link or an address in disguise.
fn is_encoded(word: &str) -> bool {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/=-_".contains(c);
    word.split(|c| !is_base64(c)).any(|run| run.len() >= ENCODED)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regain_core::{Address, LetterId, Purpose, Timestamp, Token};

    use super::*;

    const TOKEN: &str = "005f77885fd1f45bf69fb72d7a82374d53609e5182d6a9b07355fa033cdd67d1";

    fn scrubber() -> Scrubber {
        Scrubber::of(&Parcel {
            letter: LetterId::from_bytes([1; 16]),
            purpose: Purpose::Reset,
            to: Address::parse("Ann.Smith@example.org").unwrap(),
            token: Token::parse(TOKEN),
            ip: None,
            agent: None,
            posted: Timestamp::from_millis(0),
        })
    }

    #[test]
    fn addresses_are_hidden_in_every_shape() {
        for (text, kept) in [
            ("<ann.smith@example.org>: Recipient address rejected", "[hidden] Recipient address rejected"),
            ("User ANN.SMITH unknown", "User [hidden] unknown"),
            ("no mailbox 'ann.smith' here", "no mailbox [hidden] here"),
            ("see https://relay.example/why?to=ann.smith%40example.org", "see [hidden]"),
            ("bounce+ann.smith=example.org refused", "[hidden] refused"),
            ("from root@relay.example denied", "from [hidden] denied"),
            ("Ok: queued as 4Bx9Qz1RzKz", "Ok: queued as 4Bx9Qz1RzKz"),
            (
                "see https://support.relay.example/mail/?p=NoSuchUser",
                "see https://support.relay.example/mail/?p=NoSuchUser",
            ),
        ] {
            assert_eq!(scrubber().scrub(text), kept);
        }
    }

    #[test]
    fn a_token_in_disguise_is_hidden() {
        // The token's 32 bytes, and its 64 digits, in base64.
        for disguise in
            ["AF93iF/R9Fv2n7cqgtdDdNU2CeUhgtapsHNV+gM8zWfR", "MDA1Zjc3ODg1ZmQxZjQ1YmY2OWZiNzJkN2E4MjM3NGQ1"]
        {
            assert_eq!(scrubber().scrub(&format!("554 refused: {disguise}")), "554 refused: [hidden]");
        }
        assert_eq!(
            scrubber().scrub("250 queued as 01a205a1-c5a3-7ed0-9c27-78eb01c9615d"),
            "250 queued as 01a205a1-c5a3-7ed0-9c27-78eb01c9615d"
        );
    }

    #[test]
    fn a_quoted_link_loses_its_token_even_when_cut_short() {
        for link in [
            format!("https://example.net/reset-password?token={TOKEN}"),
            format!("token={}", &TOKEN[..20]),
            TOKEN[30..50].to_uppercase(),
        ] {
            assert_eq!(
                scrubber().scrub(&format!("blocked: {link} is listed")),
                "blocked: [hidden] is listed"
            );
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        let text = "\u{e4}b ".repeat(1000);
        assert_eq!(scrubber().scrub(&text).chars().count(), LONGEST + 3);
    }

    proptest! {
        #[test]
        fn nothing_with_an_at_sign_is_ever_kept(text in "[a-z@<> .=%40\\PC]{0,100}") {
            prop_assert!(!scrubber().scrub(&text).contains('@'));
        }
    }
}
