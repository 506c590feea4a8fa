//! What DNS says of the sender's domain: SPF, DKIM, DMARC; and whether links lead to the sender's own domain.
//!
//! DNS that does not answer is no problem of the configuration: it is told, and nothing waits for it long.

use std::net::{IpAddr, SocketAddr};

use regain::Config;
use regain_smtp::DkimRecord;

use super::Finding;
use crate::dns::dmarc::Dmarc;
use crate::dns::organisation::{is_private, is_same, organisation};
use crate::dns::spf::{self, MOST_LOOKUPS, Outcome, Spf};
use crate::dns::{Dns, Silent, dmarc, excerpt};

const SPF: &str = "spf";
const DKIM: &str = "dkim";
const DMARC: &str = "dmarc";
const DNS: &str = "dns";

/// Whether links lead to the sender's organisation, and all senders are of one. Asks nobody.
pub(super) fn alignment(config: &Config) -> Vec<Finding> {
    let Some(from) = config.email().and_then(|email| email.from.as_ref()) else { return Vec::new() };
    let sender = from.envelope().domain();
    let mut findings = Vec::new();
    if let Some(other) = from.mailboxes().iter().find(|mailbox| !is_same(mailbox.domain(), sender)) {
        let text = format!(
            "from has {} besides {sender}: receivers check only one of them (DMARC), and may refuse the mail",
            other.domain()
        );
        findings.push(Finding::note(DMARC, text));
    }
    let base = config.link_base().filter(|base| base.is_web());
    if let Some(host) = base.as_ref().and_then(|base| host_of(base.as_str())).filter(|host| is_name(host))
        && !is_same(host, sender)
    {
        let text = format!(
            "lead to {host}, but mails are from {sender}: filters and careful readers take that for phishing; let links \
             begin with a host of {}",
            organisation(sender)
        );
        findings.push(Finding::note("links", text));
    }
    findings
}

/// The host of `scheme://host:port/path`; the configuration has checked the rest.
pub(super) fn host_of(url: &str) -> Option<&str> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    if authority.starts_with('[') {
        authority.split_inclusive(']').next()
    } else {
        authority.split(':').next()
    }
}

/// Neither this machine nor an address.
fn is_name(host: &str) -> bool {
    !host.eq_ignore_ascii_case("localhost") && !host.starts_with('[') && host.parse::<IpAddr>().is_err()
}

/// The keys that sign, where DNS is not asked for them.
pub(super) fn keys(config: &Config) -> Vec<Finding> {
    let signers = config.email().map(|email| email.signers()).unwrap_or_default();
    let told = signers.iter().map(|signer| {
        let name = signer.record().name().to_owned();
        Finding::ok(DKIM, format!("the key loads; its record is at {name}: see `regain mail dkim-record`"))
    });
    told.collect()
}

/// What DNS says. `server` is asked in place of the system's resolvers.
pub(super) async fn findings(config: &Config, server: Option<SocketAddr>) -> Vec<Finding> {
    let Some(email) = config.email() else { return Vec::new() };
    let Some(sender) = email.from.as_ref().map(|from| from.envelope().domain()) else { return Vec::new() };
    if super::relay::is_example(sender) {
        // That `from` is the example is told where it is looked at.
        return keys(config);
    }
    if server.is_none() && is_private(sender) {
        let text = format!("{sender} is no public domain, so SPF, DKIM and DMARC are not looked for");
        return keys(config).into_iter().chain([Finding::note(DNS, text)]).collect();
    }
    let dns = Dns::new(server);
    let mut report = Report::default();
    let mut relays = Vec::new();
    for relay in &email.relays {
        // Nothing is said of a relay whose addresses are not known.
        relays.extend(public_addresses(&dns, relay.host()).await.unwrap_or_default());
    }
    report.take("SPF", spf::find(&dns, sender, &relays).await.map(|found| spf_findings(found, sender)));
    for signer in email.signers() {
        report.take("DKIM", dkim(&dns, &signer.record()).await.map(|finding| vec![finding]));
    }
    report.take("DMARC", dmarc::find(&dns, sender).await.map(|found| vec![dmarc_finding(found, sender)]));
    report.finish(sender)
}

/// What was found, and what was not answered.
#[derive(Default)]
struct Report {
    findings: Vec<Finding>,
    unanswered: Vec<&'static str>,
}

impl Report {
    fn take(&mut self, what: &'static str, found: Result<Vec<Finding>, Silent>) {
        match found {
            Ok(found) => self.findings.extend(found),
            Err(Silent) if self.unanswered.contains(&what) => {}
            Err(Silent) => self.unanswered.push(what),
        }
    }

    fn finish(mut self, sender: &str) -> Vec<Finding> {
        if !self.unanswered.is_empty() {
            let text =
                format!("does not answer what was asked for {} of {sender}", self.unanswered.join(", "));
            self.findings.push(Finding::note(DNS, text));
        }
        self.findings
    }
}

/// The addresses of a relay that receivers of mail may see; none of a relay in this network, which they do not.
async fn public_addresses(dns: &Dns, host: &str) -> Result<Vec<IpAddr>, Silent> {
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let found = match literal {
        Ok(address) => vec![address],
        // A bare name is of this network.
        Err(_) if !host.contains('.') => Vec::new(),
        Err(_) => dns.addresses(host).await?,
    };
    let is_public = |address: &IpAddr| match address.to_canonical() {
        IpAddr::V4(four) => !(four.is_private() || four.is_loopback() || four.is_link_local()),
        IpAddr::V6(six) => !(six.is_loopback() || six.is_unique_local() || six.is_unicast_link_local()),
    };
    Ok(found.into_iter().filter(is_public).collect())
}

fn spf_findings(spf: Spf, sender: &str) -> Vec<Finding> {
    let found = match spf {
        Spf::Missing => {
            let text = format!(
                "{sender} has no record, so many receivers distrust its mail: publish what your provider tells, such as \
                 \"v=spf1 include:spf.PROVIDER ~all\" as TXT"
            );
            return vec![Finding::note(SPF, text)];
        }
        Spf::Broken(why) => {
            let text = format!("{why}: receivers take that for an error, and SPF for failed");
            return vec![Finding::problem(SPF, text)];
        }
        Spf::Found(found) => found,
    };
    let mut findings = Vec::new();
    if found.allows_all {
        let text =
            format!("{sender} lets everybody send in its name (+all): end the record with ~all or -all");
        findings.push(Finding::note(SPF, text));
    }
    if found.lookups > MOST_LOOKUPS {
        let text = format!(
            "the record of {sender} takes {} look-ups, more than the {MOST_LOOKUPS} that receivers do: they take it for an \
             error; leave includes out that are not needed",
            found.lookups
        );
        findings.push(Finding::note(SPF, text));
    }
    let (passing, others): (Vec<_>, Vec<_>) =
        found.results.iter().partition(|(_, outcome)| *outcome == Outcome::Pass);
    if !others.is_empty() && !found.allows_all {
        let list: Vec<String> =
            others.iter().map(|(address, outcome)| format!("{address} ({})", outcome.as_str())).collect();
        let text = format!(
            "the record of {sender} does not name the relay's {}: well if the relay sends from other addresses that it \
             does name, else add it",
            list.join(", ")
        );
        findings.push(Finding::note(SPF, text));
    }
    if findings.is_empty() {
        let list: Vec<String> = passing.iter().map(|(address, _)| address.to_string()).collect();
        let relays = if list.is_empty() {
            String::new()
        } else {
            format!("; lets the relay's {} send", list.join(", "))
        };
        findings.push(Finding::ok(SPF, format!("{sender}: {}{relays}", excerpt(&found.record))));
    }
    findings
}

fn dmarc_finding(found: Dmarc, sender: &str) -> Finding {
    match found {
        Dmarc::Missing => Finding::note(
            DMARC,
            format!(
                "{sender} has no policy: publish \"v=DMARC1; p=none; rua=mailto:REPORTS@YOURS\" at _dmarc.{sender} as TXT, \
                 and tighten it once the reports show that your mail passes"
            ),
        ),
        Dmarc::Several(at) => Finding::problem(
            DMARC,
            format!("_dmarc.{at} has several policies, so receivers take none: keep one"),
        ),
        Dmarc::Broken(at) => Finding::problem(
            DMARC,
            format!("_dmarc.{at} has no p=none, p=quarantine or p=reject, so receivers take it for none"),
        ),
        Dmarc::Policy { domain, policy, reports } => {
            let more = if policy == "none" { ", so receivers only watch" } else { "" };
            let reports = if reports { "" } else { "; without rua= nobody tells you what fails" };
            Finding::ok(DMARC, format!("_dmarc.{domain}: p={policy}{more}{reports}"))
        }
    }
}

/// Whether others can check our signatures: the record that they look for, and what it must hold.
async fn dkim(dns: &Dns, record: &DkimRecord) -> Result<Finding, Silent> {
    let name = record.name();
    let texts = dns.texts(name).await?;
    let publish = || format!("publish \"{}\" there as TXT", record.value());
    Ok(match texts.as_slice() {
        [] => Finding::problem(
            DKIM,
            format!("there is no record at {name}, so nobody can check our signatures: {}", publish()),
        ),
        [one] => match record.check(one) {
            Ok(()) => Finding::ok(DKIM, format!("{name} holds our key")),
            Err(fault) => Finding::problem(DKIM, format!("the record at {name} {fault}: {}", publish())),
        },
        _ => Finding::problem(DKIM, format!("there are several records at {name}: keep the one of our key")),
    })
}
