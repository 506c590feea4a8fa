//! The values of the placeholders, and how each is written so that it stays plain text wherever it stands.

use std::net::IpAddr;
use std::time::Duration;

use regain_core::caller::is_invisible;
use regain_core::{Address, UserAgent};

use super::{Part, Placeholder};
use crate::escape::push_html;
use crate::mail::agent;

/// What is put in place of the placeholders. No `Debug`: it holds a token.
pub struct Values<'v> {
    /// 64 hex digits; empty for a mail without a link.
    pub token: &'v str,
    /// What links begin with, without a slash at its end; empty where no template uses it.
    pub base_url: &'v str,
    /// Who asked.
    pub ip: Option<IpAddr>,
    /// Whom the mail is for.
    pub email: &'v Address,
    /// The application.
    pub app_name: &'v str,
    /// How long a link is good.
    pub expires_in: Duration,
    /// What asked.
    pub agent: Option<&'v UserAgent>,
}

impl Values<'_> {
    pub(super) fn write(&self, placeholder: Placeholder, part: Part, out: &mut String) {
        match placeholder {
            Placeholder::Token => write_clean(self.token, part, out),
            Placeholder::BaseUrl => write_clean(self.base_url, part, out),
            Placeholder::Ip => match self.ip {
                Some(ip) => write_clean(&ip.to_canonical().to_string(), part, out),
                None => out.push_str("an unknown address"),
            },
            Placeholder::Email => write_clean(&harmless(self.email), part, out),
            Placeholder::AppName => write_clean(self.app_name, part, out),
            Placeholder::ExpiresIn => out.push_str(&spoken(self.expires_in)),
            Placeholder::UserAgent => out.push_str(agent::spoken(self.agent)),
        }
    }
}

/// Writes a value without control, direction and hidden characters, escaped in HTML.
fn write_clean(value: &str, part: Part, out: &mut String) {
    // Tokens, links, addresses: nothing in them is hidden or has a meaning in HTML.
    if value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" -._/:@+=?,;()".contains(&byte)) {
        return out.push_str(value);
    }
    for c in value.chars().filter(|c| !is_invisible(*c)) {
        match part {
            Part::Html => push_html(c, out),
            Part::Subject | Part::Text => out.push(c),
        }
    }
}

/// The address, but for a local part that mail programs might take for a web address (`evil.example/x@...`):
/// whoever registered somebody else's address chose it.
fn harmless(address: &Address) -> String {
    if address.as_str().contains(['/', '?', '#']) {
        format!("...@{}", address.domain())
    } else {
        address.as_str().to_owned()
    }
}

/// A duration in the largest unit that fits without a rest; a day is spoken as hours.
fn spoken(duration: Duration) -> String {
    const UNITS: [(u64, u64, &str); 4] =
        [(86_400, 2, "day"), (3_600, 1, "hour"), (60, 1, "minute"), (1, 0, "second")];
    let seconds = duration.as_secs();
    UNITS
        .into_iter()
        .find(|(unit, least, _)| seconds.is_multiple_of(*unit) && seconds / unit >= *least)
        .map(|(unit, _, name)| match seconds / unit {
            1 => format!("1 {name}"),
            count => format!("{count} {name}s"),
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_spoken_as_people_do() {
        for (seconds, words) in [
            (3_600, "1 hour"),
            (86_400, "24 hours"),
            (172_800, "2 days"),
            (31 * 86_400, "31 days"),
            (5_400, "90 minutes"),
            (60, "1 minute"),
            (61, "61 seconds"),
            (1, "1 second"),
            (0, "0 seconds"),
        ] {
            assert_eq!(spoken(Duration::from_secs(seconds)), words);
        }
    }
}
