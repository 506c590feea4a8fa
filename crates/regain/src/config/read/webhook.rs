//! The keys of `emailHandlerConfig.webhook`.

use super::super::reader::{Found, Section};
use super::time;
use crate::mail::WebhookSettings;
use crate::mail::webhook::{CONNECTIONS, MOST_SECRETS, SigningSecret, TIMEOUTS};

/// Reads the table; `None` where it is mistaken.
pub(super) fn read(mut section: Section<'_>) -> Option<WebhookSettings> {
    let url = section.find("url");
    if url.is_none() {
        section.missing(
            "url",
            "write where mails are posted to, for example \"https://mail.example.org/regain\"",
        );
    }
    let secret = section.find_nested("secret");
    if secret.is_none() {
        section.missing(
            "secret",
            "write what requests are signed with; make one with: echo \"whsec_$(openssl rand -base64 32)\"",
        );
    }
    let headers = section.find("headers");
    let timeout = time(&mut section, "timeout", TIMEOUTS);
    let connections = section.find("maxConnections").and_then(|found| found.integer(CONNECTIONS));
    section.finish();

    let secrets = secret.and_then(|found| secrets(&found));
    // With another's secrets, where ours are mistaken, so that a mistake in the address is told as well.
    let read_url = |found: &Found<'_>| {
        let signed_by = secrets.clone().unwrap_or_else(stand_in);
        found.parse(|text| WebhookSettings::at(text, signed_by))
    };
    let mut webhook = url.as_ref().and_then(read_url);
    for (name, found) in headers.iter().filter_map(Found::entries).flatten() {
        let Some(value) = found.text() else {
            webhook = None;
            continue;
        };
        webhook = webhook.and_then(|webhook| found.parse(|_| webhook.with_header(name, &value)));
    }
    if let Some(timeout) = timeout {
        webhook = webhook.map(|webhook| webhook.with_timeout(timeout));
    }
    if let Some(connections) = connections {
        webhook = webhook.map(|webhook| webhook.with_max_connections(connections));
    }
    webhook.filter(|_| secrets.is_some())
}

/// One secret, or several that all sign.
fn secrets(found: &Found<'_>) -> Option<Vec<SigningSecret>> {
    if !found.is_list() {
        return Some(vec![found.parse(SigningSecret::parse)?]);
    }
    let items = found.items()?;
    if items.is_empty() || items.len() > MOST_SECRETS {
        found.mistake(format!("must be a secret, or a list of 1 to {MOST_SECRETS} secrets that all sign"));
        return None;
    }
    let count = items.len();
    let read: Vec<_> = items.iter().filter_map(|item| item.parse(SigningSecret::parse)).collect();
    (read.len() == count).then_some(read)
}

fn stand_in() -> Vec<SigningSecret> {
    SigningSecret::parse(&format!("whsec_{}", "A".repeat(32))).into_iter().collect()
}
