//! What may be kept of a receiver's words, besides what every relay's are scrubbed of: nothing of the webhook's path and
//! query, of the headers that an operator added, of the secrets.
//!
//! Frameworks quote the request target where they know no route, and proxies quote a login that they refuse. They write
//! it as JSON, percent-encoded or in entities, so that both sides are compared in plain form.

use std::collections::HashSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::plain::{self, Piece, plain};
use super::settings::WebhookSettings;

/// A part of a path or of a header's value that is shorter is a word of its own (`hooks`, `Bearer`).
const TELLING: usize = 8;
/// Of what is as long or longer, this many bytes in a row are hidden, since receivers cut what they quote.
const RUN: usize = 12;
const HIDDEN: &str = "[hidden]";

/// Knows what to hide for one webhook. No `Debug`: it holds secrets.
pub(super) struct Hider {
    /// All runs of what is long.
    runs: HashSet<[u8; RUN]>,
    /// What is too short for a run, whole.
    short: Vec<Vec<u8>>,
}

impl Hider {
    pub(super) fn of(settings: &WebhookSettings) -> Self {
        let mut hider = Self { runs: HashSet::new(), short: Vec::new() };
        hider.learn_target(settings.uri().path(), settings.uri().query());
        for value in settings.headers().values() {
            hider.learn_header(&String::from_utf8_lossy(value.as_bytes()));
        }
        for secret in settings.secrets() {
            for form in secret.forms() {
                hider.learn_bytes(&form);
            }
        }
        hider
    }

    /// The text with every telling part replaced.
    pub(super) fn hide(&self, text: &str) -> String {
        let pieces = plain(text.as_bytes());
        let bytes = plain::bytes(&pieces);
        let mut kept = String::new();
        let mut at = 0;
        for (start, end) in self.found(&bytes, &pieces) {
            // Nothing between two findings: they are one.
            if start > at || kept.is_empty() {
                kept.push_str(text.get(at..start).unwrap_or_default());
                kept.push_str(HIDDEN);
            }
            at = at.max(end);
        }
        kept.push_str(text.get(at..).unwrap_or_default());
        kept
    }

    /// Where something telling stands in the text that `pieces` came of, in order.
    fn found(&self, bytes: &[u8], pieces: &[Piece]) -> Vec<(usize, usize)> {
        let mut ranges = Vec::new();
        for start in 0..bytes.len() {
            let rest = &bytes[start..];
            let is_run = rest.first_chunk::<RUN>().is_some_and(|run| self.runs.contains(run));
            let run = is_run.then_some(RUN);
            let whole = self.short.iter().filter(|short| stands_at(bytes, start, short)).map(Vec::len);
            if let Some(length) = whole.chain(run).max() {
                ranges.push((pieces[start].start, pieces[start + length - 1].end));
            }
        }
        ranges
    }

    /// The path, also without what a proxy or a router took off its front, and the query.
    fn learn_target(&mut self, path: &str, query: Option<&str>) {
        let path = path.trim_end_matches('/');
        for (at, _) in path.match_indices('/') {
            self.learn(&path[at..]);
            if let Some(query) = query {
                self.learn(&format!("{}?{query}", &path[at..]));
            }
        }
        self.learn_parts(path, &['/']);
        let Some(query) = query else { return };
        self.learn(query);
        for pair in query.split('&') {
            match pair.split_once('=') {
                Some((_, value)) if !value.is_empty() => self.learn(value),
                _ => self.learn(pair.trim_end_matches('=')),
            }
        }
    }

    /// A value, what follows its scheme (`Bearer ...`), its longer parts, and the login that `Basic` hides.
    fn learn_header(&mut self, value: &str) {
        self.learn(value);
        self.learn_parts(value, &[' ', ';', ',', '=']);
        let Some((scheme, credentials)) = value.split_once(' ') else { return };
        self.learn(credentials);
        if scheme.eq_ignore_ascii_case("basic")
            && let Ok(login) = STANDARD.decode(credentials.trim())
        {
            self.learn_bytes(&login);
            if let Some(colon) = login.iter().position(|byte| *byte == b':') {
                self.learn_bytes(&login[colon + 1..]);
            }
        }
    }

    fn learn_parts(&mut self, text: &str, separators: &[char]) {
        for part in text.split(separators).filter(|part| part.len() >= TELLING) {
            self.learn(part);
        }
    }

    fn learn(&mut self, text: &str) {
        self.learn_bytes(text.as_bytes());
    }

    fn learn_bytes(&mut self, bytes: &[u8]) {
        let bytes = plain::bytes(&plain(bytes));
        if bytes.len() >= RUN {
            self.runs.extend(bytes.array_windows::<RUN>());
        } else if bytes.iter().any(|byte| is_of_word(*byte)) && !self.short.contains(&bytes) {
            self.short.push(bytes);
        }
    }
}

/// Whether `short` stands there; what is shorter than [`TELLING`] only with no letter or digit next to its own.
fn stands_at(bytes: &[u8], start: usize, short: &[u8]) -> bool {
    if !bytes[start..].starts_with(short) {
        return false;
    }
    let is_within = |outer: Option<&u8>, inner: Option<&u8>| {
        outer.is_some_and(|byte| is_of_word(*byte)) && inner.is_some_and(|byte| is_of_word(*byte))
    };
    short.len() >= TELLING
        || !(is_within(bytes[..start].last(), short.first())
            || is_within(bytes.get(start + short.len()), short.last()))
}

fn is_of_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn settings(url: &str) -> WebhookSettings {
        WebhookSettings::new(url, SECRET).unwrap()
    }

    fn hidden(url: &str, text: &str) -> String {
        Hider::of(&settings(url)).hide(text)
    }

    #[test]
    fn path_and_query_are_hidden_in_every_shape() {
        let url = "https://hook.example.org/hooks/T0K3NPATH?key=qsecret";
        for (text, kept) in [
            ("Route POST:/hooks/T0K3NPATH?key=qsecret not found", "Route POST:[hidden] not found"),
            (r#"{"path":"\/hooks\/T0K3NPATH?key=qsecret"}"#, r#"{"path":"[hidden]"}"#),
            (r#"{"path":"\u002fhooks\u002FT0K3NPATH"}"#, r#"{"path":"[hidden]"}"#),
            ("to=%2Fhooks%2fT0K3NPATH%3Fkey%3Dqsecret", "to=[hidden]"),
            ("to=%252Fhooks%252FT0K3NPATH", "to=[hidden]"),
            ("&#x2F;hooks&#47;T0K3NPATH", "[hidden]"),
            ("POST https://hook.example.org/hooks/t0k3npath/", "POST https://hook.example.org[hidden]/"),
            ("no channel T0K3NPATH", "no channel [hidden]"),
            ("no channel T%30K3NPATH.", "no channel [hidden]."),
            ("Cannot POST /T0K3NPATH", "Cannot POST [hidden]"),
            (r#"{"query":{"key":"qsecret"}}"#, r#"{"query":{"key":"[hidden]"}}"#),
            ("no hooks for this key: qsecretary", "no hooks for this key: qsecretary"),
            ("queued as 4Bx9Qz1RzKz", "queued as 4Bx9Qz1RzKz"),
            ("Stra\u{df}e%", "Stra\u{df}e%"),
            ("", ""),
        ] {
            assert_eq!(hidden(url, text), kept, "{text}");
        }
    }

    #[test]
    fn what_is_written_encoded_is_hidden_plain() {
        let url = "https://hook.example.org/a%20b/%C3%BCberraschung?to=k%26y+1&T0KEN&PIN=";
        for (text, kept) in [
            ("/a b/\u{fc}berraschung is unknown", "[hidden] is unknown"),
            (r"/a b/\u00fcberraschung is unknown", "[hidden] is unknown"),
            (r#""to": "k&y 1""#, r#""to": "[hidden]""#),
            ("to: k&amp;y 1", "to: [hidden]"),
            ("who is t0ken, what is pin?", "who is [hidden], what is [hidden]?"),
        ] {
            assert_eq!(hidden(url, text), kept, "{text}");
        }
        assert_eq!(hidden("https://hook.example.org/", "POST / and https://x"), "POST / and https://x");
        assert_eq!(hidden("https://hook.example.org/x", "text/xml, /x"), "text/xml, [hidden]");
    }

    #[test]
    fn headers_and_secrets_are_hidden_even_when_cut_short() {
        let settings = settings("https://hook.example.org/")
            .with_header("Authorization", "Basic YW5uOmh1bnRlcjI=")
            .and_then(|settings| settings.with_header("X-Key", "Token c0ffee"))
            .and_then(|settings| settings.with_header("Cookie", "id=0123456789abcdefghij; a=b"))
            .unwrap();
        let hider = Hider::of(&settings);
        for (text, kept) in [
            ("refused: Basic YW5uOmh1bnRlcjI=", "refused: [hidden]"),
            ("refused 'YW5uOmh1bnRlcjI'", "refused '[hidden]'"),
            ("no login ann:hunter2", "no login [hidden]"),
            ("wrong password hunter2", "wrong password [hidden]"),
            ("Token c0ffee is no Token", "[hidden] is no Token"),
            ("key 'C0FFEE' is unknown", "key '[hidden]' is unknown"),
            ("cookie 0123456789abcdef...", "cookie [hidden]..."),
            ("signed with whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw?", "signed with [hidden]?"),
            ("signed with MfKQ9r8GKYqrT..", "signed with [hidden].."),
            ("signed with 31f290f6bf06298aab4f08d43c3f", "signed with [hidden]"),
        ] {
            assert_eq!(hider.hide(text), kept, "{text}");
        }
    }
}
