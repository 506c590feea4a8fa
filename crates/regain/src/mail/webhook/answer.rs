//! Whose fault an answer says it is: the one table from HTTP status codes to what happens next (design, section 8).
//!
//! | status | is |
//! | --- | --- |
//! | 2xx | accepted |
//! | 400 | later, and like a refusal by policy: receivers answer it to a signature that they cannot verify, too, so that three recipient domains in a row are the webhook's fault |
//! | 413, 422 | never |
//! | 408, 409, 425, 500 | later: the letter may be what caused it |
//! | 429, 502 to 504 and other 5xx | the webhook's: it rests, for as long as its `Retry-After` asks for |
//! | 501, 505, 511 | configuration |
//! | 3xx, all other 4xx (401, 402, 403, 404, 405, 410, 415, ...) | configuration |
//!
//! In doubt it is the webhook's fault and no letter is charged: the breaker notices when a fault follows one letter.

use axum::http::StatusCode;
use jiff::fmt::rfc2822;
use regain_core::Timestamp;
use regain_core::caller::is_invisible;
use regain_core::mailer::LaterKind;
use regain_core::outbox::backoff;

use super::hide::Hider;
use crate::mail::smtp::scrub::{Scrubber, cut};

/// An answer, as far as it is of interest.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The header `Retry-After`.
    pub(super) retry_after: Option<String>,
    /// The beginning of the body; empty where it is a page for people.
    pub(super) text: String,
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The webhook has taken responsibility.
    Accepted,
    /// It is at fault and will recover.
    Rest,
    /// It is at fault until an operator helps.
    Misconfigured,
    /// This letter again later.
    Later(LaterKind),
    /// This letter never.
    Never,
}

/// What must not be kept of an answer's words.
pub(super) struct Secrets<'s> {
    /// Of the parcel.
    pub(super) parcel: Scrubber,
    /// Of the webhook.
    pub(super) webhook: &'s Hider,
}

pub(super) fn verdict(answer: &Answer) -> Verdict {
    match answer.status.as_u16() {
        200..=299 => Verdict::Accepted,
        400 => Verdict::Later(LaterKind::Policy),
        413 | 422 => Verdict::Never,
        408 | 409 | 425 | 500 => Verdict::Later(LaterKind::Other),
        501 | 505 | 511 => Verdict::Misconfigured,
        429 | 502.. => Verdict::Rest,
        _ => Verdict::Misconfigured,
    }
}

impl Answer {
    /// What the operator reads: the code, its name and, scrubbed, what was said.
    pub(super) fn words(&self, secrets: &Secrets) -> String {
        let visible: String = self.text.chars().map(|c| if is_invisible(c) { ' ' } else { c }).collect();
        let text = cut(secrets.webhook.hide(&secrets.parcel.hide(&visible)));
        if text.is_empty() { self.status_line() } else { format!("{}: {text}", self.status_line()) }
    }

    /// Why it was not accepted, without what was said.
    pub(super) fn reason(&self) -> String {
        let advice = match self.status.as_u16() {
            300..=399 => " (redirects are not followed: write the final address into webhook.url)",
            400..=401 => " (does the receiver know the secret?)",
            _ => "",
        };
        format!("webhook: {}{advice}", self.status_line())
    }

    /// Why it was not accepted, with what was said: all that tells an operator why nobody's mail is taken.
    pub(super) fn complaint(&self, secrets: &Secrets) -> String {
        let text = self.words(secrets);
        match text.strip_prefix(&self.status_line()) {
            Some(said) => format!("{}{said}", self.reason()),
            None => self.reason(),
        }
    }

    /// Until when it wants to be left alone, at most as long as a letter waits; `None` where it does not say.
    pub(super) fn retry_after(&self, now: Timestamp) -> Option<Timestamp> {
        let text = self.retry_after.as_deref()?.trim();
        let until = match text.parse::<u64>() {
            Ok(seconds) => now + std::time::Duration::from_secs(seconds),
            // More seconds than we can count.
            Err(_) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                now + backoff::LONGEST
            }
            Err(_) => {
                let zoned = rfc2822::parse(text).ok()?;
                Timestamp::from_millis(zoned.timestamp().as_millisecond())
            }
        };
        (until > now).then(|| until.min(now + backoff::LONGEST))
    }

    fn status_line(&self) -> String {
        // Our own words for it: the server's are anybody's.
        match self.status.canonical_reason() {
            Some(name) => format!("{} {name}", self.status.as_u16()),
            None => self.status.as_u16().to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answer(status: u16) -> Answer {
        Answer { status: StatusCode::from_u16(status).unwrap(), retry_after: None, text: String::new() }
    }

    #[test]
    fn every_status_has_its_verdict() {
        let expect = |verdict_expected: Verdict, statuses: &[u16]| {
            for status in statuses {
                assert_eq!(verdict(&answer(*status)), verdict_expected, "{status}");
            }
        };
        expect(Verdict::Accepted, &[200, 201, 202, 204, 299]);
        expect(Verdict::Never, &[413, 422]);
        expect(Verdict::Later(LaterKind::Policy), &[400]);
        expect(Verdict::Later(LaterKind::Other), &[408, 409, 425, 500]);
        expect(Verdict::Rest, &[429, 502, 503, 504, 507, 520, 524, 529, 530, 599, 999]);
        expect(
            Verdict::Misconfigured,
            &[
                300, 301, 302, 303, 304, 307, 308, 401, 402, 403, 404, 405, 406, 407, 410, 411, 415, 421,
                426, 431, 451,
            ],
        );
        expect(Verdict::Misconfigured, &[501, 505, 511, 100, 199]);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_within_the_longest_wait() {
        let now = Timestamp::from_millis(784_111_767_000); // 1994-11-06 08:49:27
        let after = |text: &str| {
            let answer = Answer { retry_after: Some(text.to_owned()), ..answer(429) };
            answer.retry_after(now).map(|until| until.since(now).as_secs())
        };
        assert_eq!(after("7"), Some(7));
        assert_eq!(after(" 7 "), Some(7));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(10));
        assert_eq!(after("86400"), Some(600));
        assert_eq!(after("18446744073709551615"), Some(600));
        assert_eq!(after("99999999999999999999999"), Some(600));
        assert_eq!(after("Sat, 06 Nov 2094 08:49:37 GMT"), Some(600));
        for text in ["0", "-5", "soon", "", "Sun, 06 Nov 1994 08:49:27 GMT", "Sat, 05 Nov 1994 08:49:37 GMT"]
        {
            assert_eq!(after(text), None, "{text}");
        }
        assert_eq!(answer(429).retry_after(now), None);
        assert!(Duration::from_secs(600) == backoff::LONGEST);
    }
}
