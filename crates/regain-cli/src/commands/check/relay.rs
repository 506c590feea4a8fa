//! Whether the relay would take mail: a session as far as the login, and what a failure usually comes from.

use std::time::Duration;

use regain::Config;
use regain_smtp::{Deadlines, Pool, Settings, TrustRoots};

use super::Finding;
use crate::commands::diagnosis::likely_cause;

const SUBJECT: &str = "relay";
/// What it means that all went well.
const SO_FAR: &str = "(as far as the login; `regain mail test` goes on)";

/// Long enough for a slow relay; an operator is watching.
const GREETING: Duration = Duration::from_secs(15);

/// Connects to each relay, says EHLO, changes to TLS, logs in, says QUIT.
pub(super) async fn findings(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let relays = config.email().map_or(&[][..], |email| &email.relays);
    for (index, relay) in relays.iter().enumerate() {
        findings.push(finding(index + 1, relay).await);
    }
    findings
}

/// `number` is what log and metrics call it.
async fn finding(number: usize, settings: &Settings) -> Finding {
    let relay = format!("{number}, {}", settings.redacted());
    if is_example(settings.host()) {
        let text = format!("{relay} is at {RESERVED}: write your relay into connectionString");
        return Finding::problem(SUBJECT, text);
    }
    let deadlines = Deadlines { greeting: GREETING, ..Deadlines::default() };
    let pool = match Pool::start(settings.clone(), deadlines, TrustRoots::System) {
        Ok(pool) => pool,
        Err(error) => return Finding::problem(SUBJECT, format!("{relay}: {error}")),
    };
    let outcome = pool.check().await;
    pool.close(Duration::from_secs(1)).await;
    match outcome {
        Ok(()) if settings.user().is_some() => {
            Finding::ok(SUBJECT, format!("{relay}: the login works {SO_FAR}"))
        }
        Ok(()) => Finding::ok(SUBJECT, format!("{relay}: it answers; no login is set {SO_FAR}")),
        Err(error) => {
            let cause = likely_cause(&error, settings);
            Finding::problem(SUBJECT, format!("{relay}: {error}. {cause}"))
        }
    }
}

/// What such a domain is.
pub(in crate::commands) const RESERVED: &str = "a domain that is kept for examples (RFC 2606)";

/// Whether a domain is one of those that documentation uses (RFC 2606), or below one.
pub(in crate::commands) fn is_example(domain: &str) -> bool {
    let domain = domain.strip_suffix('.').unwrap_or(domain).to_ascii_lowercase();
    ["example.com", "example.org", "example.net"].iter().any(|example| {
        domain.strip_suffix(example).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_domains_of_documentation_are_examples() {
        assert!(is_example("smtp.example.com") && is_example("example.org"));
        assert!(is_example("a.b.Example.NET") && is_example("example.com."));
        for other in
            ["myexample.com", "example.community", "example.com.attacker.test", "example", "localhost", ""]
        {
            assert!(!is_example(other), "{other}");
        }
    }
}
