//! What a failed delivery usually comes from, and what to do: the one table for `check` and `mail test`.

use std::io::ErrorKind;

use regain::mail::smtp::{Fault, fault};
use regain_core::mailer::LaterKind;
use regain_smtp::{Cause, Phase, Reply, SendError, Settings};

/// A sentence or two for the operator. Quotes nothing of the relay's words but the names in its certificate.
pub(super) fn likely_cause(error: &SendError, settings: &Settings) -> String {
    if error.reply().is_some_and(|reply| reply.code() == 421) {
        return "The relay has had enough of us for the moment: too many connections or too much mail. maxConnections and \
                rateLimit in the URL lower what Regain asks of it."
            .to_owned();
    }
    match (error.phase(), error.cause()) {
        (Phase::Resolve, _) => format!(
            "{} has no address here: is it misspelt? Does this machine reach a DNS server (/etc/resolv.conf)?",
            settings.host()
        ),
        (Phase::Connect, Cause::Io(ErrorKind::ConnectionRefused)) => format!(
            "Nothing listens on port {}: 587 is usual for smtp:, 465 for smtps:, 25 between servers.",
            settings.port()
        ),
        (Phase::Connect, _) => blocked(settings.port()),
        (Phase::Greeting, cause) => greeting(cause, settings),
        (Phase::Tls, Cause::Tls(text)) => tls(text, settings),
        (Phase::Tls, _) if settings.secure() => clear_text_first(settings),
        (_, Cause::TlsUnavailable) => {
            "Write smtps: with the port that speaks TLS, or, in a network that you trust, add requireTLS=false.".to_owned()
        }
        (_, Cause::AuthUnavailable) => {
            "Relays often offer the login only with TLS; or this one needs none: then leave user:password@ out.".to_owned()
        }
        (_, Cause::TooLarge { limit }) => too_large(Some(*limit)),
        (_, Cause::Unsupported(what)) => {
            format!("Only a relay with {what} takes this mail: is there another one, or an address in ASCII?")
        }
        (Phase::Rcpt, Cause::InvalidEnvelope(_)) => "Is the recipient's address right?".to_owned(),
        (_, Cause::InvalidEnvelope(_)) => "Is the address in `from` right?".to_owned(),
        (phase, Cause::Refused(reply)) => refused(phase, reply, settings),
        (_, Cause::TimedOut) => "The relay is overloaded, or something in between swallows its answers.".to_owned(),
        (_, Cause::Protocol(_)) => "Is it an SMTP server?".to_owned(),
        _ => "The relay's own log says more.".to_owned(),
    }
}

/// What the server does after such a failure of a letter; continues "Regain would". `who` is the relay.
pub(super) fn consequence(fault: Fault, who: &str) -> String {
    match fault {
        Fault::Relay { permanent: true } => format!(
            "pause {who} until its configuration is mended, and try it with one letter from time to time; no letter is given \
             up for it"
        ),
        Fault::Relay { permanent: false } => {
            format!("let {who} rest and try it again by itself; no letter is given up for it")
        }
        Fault::Later(_) => "try this letter again by itself, until its deadline".to_owned(),
        Fault::Never => "give this letter up as dead; the others go on".to_owned(),
    }
}

fn blocked(port: u16) -> String {
    let usual = [(587, "smtp:"), (465, "smtps:"), (2525, "smtp:")];
    let others: Vec<String> = usual
        .iter()
        .filter(|(other, _)| *other != port)
        .map(|(port, scheme)| format!("{port} ({scheme})"))
        .collect();
    format!(
        "Nothing answers on port {port}: a firewall may be in between, and many hosting providers block 25, 465 and 587 \
         until one asks. Try port {}, if the relay has them.",
        others.join(" or ")
    )
}

fn greeting(cause: &Cause, settings: &Settings) -> String {
    match cause {
        Cause::Refused(_) => {
            "The relay turns this machine away: is its address allowed there, or on a blocklist?"
        }
        _ if !settings.secure() && settings.port() == 465 => {
            "On port 465 TLS is spoken from the start: write smtps:."
        }
        _ => {
            "Is it an SMTP server, and does that port begin in clear text? If TLS comes first, write smtps:."
        }
    }
    .to_owned()
}

/// By rustls' own words, which name what it compared.
fn tls(text: &str, settings: &Settings) -> String {
    let lower = text.to_ascii_lowercase();
    let says = |part: &str| lower.contains(part);
    if says("not valid for name") || says("notvalidforname") {
        return format!(
            "The certificate is not trusted for {}: it is for {}. Write a name that it is for as the host, or add \
             tls.servername=NAME.",
            settings.servername().unwrap_or(settings.host()),
            names_in(text).unwrap_or_else(|| "another name".to_owned())
        );
    }
    if says("not valid yet") || says("notvalidyet") {
        return "The certificate is not trusted yet: its time has not begun. Is this machine's clock right?"
            .to_owned();
    }
    if says("expired") {
        return "The certificate is not trusted any more: it has run out. Whoever runs the relay must renew it; if it was \
                renewed, is this machine's clock right?"
            .to_owned();
    }
    if says("certificate") {
        return "The certificate is not trusted: it is signed by itself, or by an authority that this system does not know. \
                Add tls.ca=/path/to/ca.pem to the URL, or install the authority on this system."
            .to_owned();
    }
    if settings.secure() {
        return clear_text_first(settings);
    }
    "The relay offers STARTTLS, but TLS does not come about: does it know TLS 1.2 or 1.3?".to_owned()
}

/// What rustls lists behind "only valid for": `DnsName("a.test")` becomes `a.test`.
fn names_in(text: &str) -> Option<String> {
    let (_, list) = text.split_once("only valid for ")?;
    let names: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    if names.is_empty() { Some(list.to_owned()) } else { Some(names.join(", ")) }
}

fn clear_text_first(settings: &Settings) -> String {
    format!(
        "Does port {} speak TLS from the start? Ports 587 and 25 do not: write smtp: there, which changes to TLS by STARTTLS.",
        settings.port()
    )
}

fn too_large(limit: Option<u64>) -> String {
    let limit = limit.map(|limit| format!(" ({limit} bytes)")).unwrap_or_default();
    format!("The mail is larger than what the relay takes{limit}: shorten the templates.")
}

fn refused(phase: Phase, reply: &Reply, settings: &Settings) -> String {
    let words = reply.text().to_ascii_lowercase();
    let says = |part: &str| words.contains(part);
    let enhanced = reply.enhanced().map(|code| (code.class, code.subject, code.detail));
    let by_policy = fault(phase, &Cause::Refused(reply.clone())) == Fault::Later(LaterKind::Policy);
    let denied = by_policy || (reply.code() >= 500 && says("authenticat"));
    let has_login = settings.user().is_some();
    let text = match (phase, reply.code()) {
        (Phase::Ehlo, 500 | 502) => {
            "It does not speak ESMTP: is it the relay's port for mail (587 or 465), and does nothing in between, such as a \
             firewall that inspects SMTP, change what is said?"
        }
        (Phase::Ehlo, _) => {
            "The relay does not like how this machine introduces itself: add name=HOST.EXAMPLE to the URL."
        }
        (Phase::Auth, _) if says("starttls") => {
            "The relay wants TLS before the login: leave ignoreTLS and requireTLS=false out."
        }
        (Phase::Auth, 500..) => {
            "User or password is wrong, or the provider wants an app password (Google, Microsoft, Yahoo and others do, where \
             two factors are on). Special characters are percent-encoded: %40 for @, %2F for /."
        }
        (Phase::Auth, _) => "The relay cannot check logins at the moment: try again later.",
        (Phase::Mail | Phase::Rcpt, _) if says("starttls") => {
            "The relay wants TLS first: leave ignoreTLS and requireTLS=false out."
        }
        (Phase::Mail, 552) | (Phase::Rcpt | Phase::Data | Phase::FinalDot, 552) => return too_large(None),
        _ if matches!(enhanced, Some((5, 3, 4) | (5, 2, 3))) => return too_large(None),
        (Phase::Mail, 530) if !has_login => "The relay wants a login: write user:password@ before the host.",
        (Phase::Mail, 500..) => {
            "The relay does not take mail from this sender: `from` must be an address, or of a domain, that this login may \
             use; providers want it verified first."
        }
        (Phase::Mail, _) => {
            "The relay takes no mail from this sender at the moment: a limit of the provider, perhaps."
        }
        (Phase::Rcpt, _) if denied && !has_login => {
            "The relay does not deliver to other domains for this machine: write a login (user:password@), or let whoever runs \
             the relay allow this machine's address."
        }
        (Phase::Rcpt, _) if denied => {
            "The relay does not deliver this for us: the login may not send to other domains, or the account is still on \
             trial and sends to verified addresses only, or the relay blocks this recipient."
        }
        (Phase::Rcpt, 500..) => "The relay does not know this recipient: is the address right?",
        (Phase::Rcpt, _) => "Greylisting, a full mailbox or a limit: the relay would take it later.",
        (Phase::FinalDot, 500..) => {
            "The relay does not take this mail: its filter judges the content, or the sender by SPF, DKIM and DMARC; \
             `regain check` looks at those."
        }
        (Phase::Data, 500..) => {
            "The relay refuses before it has seen anything of the mail: does this login, or this machine, have the right to \
             send? The relay's own log says more."
        }
        (Phase::Data | Phase::FinalDot, _) => "The relay cannot take mail at the moment.",
        _ => "The relay's own log says more.",
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_in_a_certificate_are_told() {
        let settings = Settings::parse("smtps://smtp.example.net").unwrap();
        let text = "invalid peer certificate: certificate not valid for name \"smtp.example.net\"; certificate is only valid \
                    for DnsName(\"a.test\") or DnsName(\"b.test\")";
        let told = tls(text, &settings);
        assert!(told.contains("for smtp.example.net") && told.contains("a.test, b.test"), "{told}");
        let expired = "invalid peer certificate: certificate expired: verification time 1 (UNIX), but certificate is not \
                       valid after 0 (1 seconds ago)";
        assert!(tls(expired, &settings).contains("run out"));
        assert!(tls("invalid peer certificate: UnknownIssuer", &settings).contains("tls.ca="));
        assert!(
            tls("received corrupt message of type InvalidContentType", &settings)
                .contains("write smtp: there")
        );
    }

    #[test]
    fn a_blocked_port_names_the_others() {
        assert!(blocked(587).contains("Try port 465 (smtps:) or 2525 (smtp:)"), "{}", blocked(587));
        assert!(blocked(25).contains("587 (smtp:) or 465"));
    }
}
