//! Whether the relay would take mail: a session as far as the login, and what a failure usually comes from.

use std::io::ErrorKind;
use std::time::Duration;

use regain::Config;
use regain_smtp::{Cause, Deadlines, Phase, Pool, SendError, Settings, TrustRoots};

use super::Finding;

const SUBJECT: &str = "relay";

/// Long enough for a slow relay; an operator is watching.
const GREETING: Duration = Duration::from_secs(15);

/// Connects to each relay, says EHLO, changes to TLS, logs in, says QUIT.
pub(super) async fn findings(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for relay in config.email().map_or(&[][..], |email| &email.relays) {
        findings.push(finding(relay).await);
    }
    findings
}

async fn finding(settings: &Settings) -> Finding {
    let relay = settings.redacted();
    if is_example(settings.host()) {
        let text = format!("{relay} is still the example: write your relay into connectionString");
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
        Ok(()) if settings.user().is_some() => Finding::ok(SUBJECT, format!("{relay}: the login works")),
        Ok(()) => Finding::ok(SUBJECT, format!("{relay}: it answers; no login is set")),
        Err(error) => {
            let cause = likely_cause(&error, settings);
            Finding::problem(SUBJECT, format!("{relay}: {error}. {cause}"))
        }
    }
}

/// Whether a domain is one of those that documentation uses (RFC 2606).
pub(in crate::commands) fn is_example(domain: &str) -> bool {
    ["example.com", "example.org", "example.net"].iter().any(|example| {
        domain.strip_suffix(example).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

fn likely_cause(error: &SendError, settings: &Settings) -> &'static str {
    let speaks_tls_first = !settings.secure() && settings.port() == 465;
    match (error.phase(), error.cause()) {
        (Phase::Resolve, _) => "Is the host misspelt? Does this machine have DNS?",
        (Phase::Connect, Cause::Io(ErrorKind::ConnectionRefused)) => {
            "Nothing listens on that port: 587 is usual for smtp:, 465 for smtps:."
        }
        (Phase::Connect, _) => {
            "A firewall may be in between: many hosts block 25, 465 and 587 until one asks; 2525 is often open."
        }
        (Phase::Greeting, Cause::Refused(_)) => {
            "The relay turns this machine away: is its address allowed there?"
        }
        (Phase::Greeting, _) if speaks_tls_first => "On port 465 TLS is spoken from the start: write smtps:.",
        (Phase::Greeting, _) => {
            "Is it an SMTP server, and does that port begin in clear text? If TLS comes first, write smtps:."
        }
        (Phase::Tls, Cause::Tls(text)) if text.to_ascii_lowercase().contains("certificate") => {
            "The certificate is not trusted, has run out, or is for another name: use the name it is for (or \
             tls.servername=NAME), or install its authority on this system."
        }
        (Phase::Tls, _) if settings.secure() => {
            "Does that port speak TLS from the start? Port 587 does not: write smtp: there."
        }
        (_, Cause::TlsUnavailable) => {
            "Write smtps: with the port that speaks TLS, or, in a network that you trust, add requireTLS=false."
        }
        (_, Cause::AuthUnavailable) => {
            "Relays often offer the login only with TLS; or this one needs none: then leave user:password@ out."
        }
        (Phase::Auth, Cause::Refused(reply)) if reply.code() >= 500 => {
            "User or password is wrong, or the provider wants an app password. Special characters are percent-encoded: \
             %40 for @, %2F for /."
        }
        (Phase::Auth, Cause::Refused(_)) => "The relay cannot check logins at the moment: try again later.",
        (_, Cause::TimedOut) => "The relay is overloaded, or something in between swallows its answers.",
        (_, Cause::Protocol(_)) => "Is it an SMTP server?",
        _ => "The relay's own log says more.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_domains_of_documentation_are_examples() {
        assert!(is_example("smtp.example.com") && is_example("example.org"));
        assert!(!is_example("myexample.com") && !is_example("localhost"));
    }
}
