//! `regain check`: everything that can be wrong before users find it, all of it at once.
//!
//! Works beside a running server: it takes no lock, makes no database and no key, and sends no mail. What it asks the network
//! is told in its help, and `--offline` leaves it out.

mod data;
mod domain;
pub(super) mod relay;
mod webhook;

use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use regain::Config;

use self::relay::{RESERVED, is_example};
use crate::privacy::{Exposed, exposed};
use crate::settings::{ConfigFile, environment};
use crate::{logging, output, running};

/// Find what is wrong before users do: configuration, texts, links, data path, database, relays, DNS.
///
/// Connects to each relay, with TLS and the login, or to the webhook, and sends nothing: `regain mail test` does. Asks DNS for SPF, DKIM and DMARC of the sender's domain;
/// that takes five seconds at most, and it is no problem if DNS does not answer. May be run while a server runs. Every finding
/// is a line: ok, note (worth a second look) or problem. The exit code is 1 where there is a problem.
#[derive(Args)]
#[command(after_help = "Examples:\n  regain check\n  regain check --config /etc/regain/regain.toml\n  \
    regain check --offline")]
pub(crate) struct Check {
    /// Ask nothing of the network: neither relays, nor the webhook, nor DNS
    #[arg(long)]
    offline: bool,
    /// Ask this DNS server (an address, perhaps with a port) in place of those of /etc/resolv.conf
    #[arg(long, value_name = "ADDRESS", value_parser = dns_server, conflicts_with = "offline")]
    dns_server: Option<SocketAddr>,
    #[command(flatten)]
    config: ConfigFile,
}

/// How something was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Ok,
    Note,
    Problem,
}

/// One line of the report.
#[derive(Debug)]
struct Finding {
    verdict: Verdict,
    subject: &'static str,
    text: String,
}

impl Finding {
    fn ok(subject: &'static str, text: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, subject, text: text.into() }
    }

    fn note(subject: &'static str, text: impl Into<String>) -> Self {
        Self { verdict: Verdict::Note, subject, text: text.into() }
    }

    fn problem(subject: &'static str, text: impl Into<String>) -> Self {
        Self { verdict: Verdict::Problem, subject, text: text.into() }
    }

    fn row(&self) -> [String; 3] {
        let verdict = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Note => "note",
            Verdict::Problem => "problem",
        };
        [verdict.to_owned(), self.subject.to_owned(), output::printable(&self.text)]
    }
}

impl Check {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        logging::start()?;
        // Nothing else can be looked at without it; its mistakes are told all at once.
        let config = self.config.load()?;
        let mut findings = self.of_configuration(&config);
        findings.extend(running::block_on(async { Ok(data::findings(&config, self.offline).await) })?);
        if self.offline {
            findings.extend(domain::keys(&config));
        } else {
            findings.extend(running::block_on(async {
                let mut found = relay::findings(&config).await;
                found.extend(webhook::findings(&config).await);
                found.extend(domain::findings(&config, self.dns_server).await);
                Ok(found)
            })?);
        }
        output::say(&output::table(&findings.iter().map(Finding::row).collect::<Vec<_>>()))?;
        let problems = findings.iter().filter(|finding| finding.verdict == Verdict::Problem).count();
        match problems {
            0 => return Ok(ExitCode::SUCCESS),
            1 => output::complain("regain: 1 problem"),
            _ => output::complain(&format!("regain: {problems} problems")),
        }
        Ok(ExitCode::FAILURE)
    }

    /// What loading has found well, and what is allowed but odd.
    fn of_configuration(&self, config: &Config) -> Vec<Finding> {
        let mut findings = vec![Finding::ok("configuration", self.config.source())];
        findings.extend(exposed(config, self.config.path(), &environment()).into_iter().map(|exposed| {
            match exposed {
                Exposed::Writable(text) => Finding::problem("privacy", text),
                Exposed::Readable(text) => Finding::note("privacy", text),
            }
        }));
        if let Some(email) = config.email() {
            // Loading refuses texts that break their rules.
            findings.push(Finding::ok("texts", "the mails can be composed"));
            let mut senders =
                email.from.iter().flat_map(|from| from.mailboxes()).map(|mailbox| mailbox.domain());
            if let Some(domain) = senders.find(|domain| is_example(domain)) {
                let text = format!(
                    "from is at {domain}, {RESERVED}: write your own address; SPF, DKIM and DMARC are looked for then"
                );
                findings.push(Finding::note("sender", text));
            }
        } else {
            findings.push(Finding::note(
                "mail",
                "no emailHandlerConfig: no mail is sent, and requests for mail are answered with 501",
            ));
        }
        if let Some(base) = config.link_base().filter(|_| config.email().is_some()) {
            let begin = format!("begin with {}", base.as_str());
            findings.push(if domain::host_of(base.as_str()).is_some_and(is_example) {
                Finding::note(
                    "links",
                    format!("{begin}, at {RESERVED}: write your own into publicUrl or baseUrl"),
                )
            } else {
                Finding::ok("links", begin)
            });
        }
        let warnings = config.warnings_by_subject().into_iter();
        findings.extend(warnings.map(|(subject, warning)| Finding::note(subject, warning)));
        findings.extend(domain::alignment(config));
        findings
    }
}

fn dns_server(text: &str) -> Result<SocketAddr, &'static str> {
    let with_port =
        text.parse().or_else(|_| text.parse().map(|address: IpAddr| SocketAddr::new(address, 53)));
    with_port.map_err(|_| "is no address: write 192.0.2.53, 192.0.2.53:5353 or [2001:db8::53]:53")
}
