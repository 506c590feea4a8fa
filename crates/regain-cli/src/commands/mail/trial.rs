//! `regain mail test`: a real mail, over each relay, step by step.
//!
//! Invariant: neither the password nor what the relay says at the login is shown.

use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use regain::Config;
use regain::app::test_mail;
use regain::mail::Composed;
use regain::mail::smtp::fault;
use regain_core::{Address, Clock, KeyMode, LetterId, Name, OsRng, SystemClock, Timestamp};
use regain_smtp::{Deadlines, Envelope, Phase, SendError, Settings, Step, TrustRoots, trial};
use serde_json::{Value, json};

use super::certificate::days_left;
use super::webhook;
use crate::commands::diagnosis::{consequence, likely_cause};
use crate::output::{self, printable};
use crate::settings::ConfigFile;
use crate::{logging, running};

/// Send a test mail over each relay, or to the webhook, and show how far it comes.
///
/// The mail is composed, signed and sent as all mails of this configuration are, past the queue and without a link. Every
/// step is shown as it is taken, with what the relay said. Where one fails, it says what that usually comes from and what to
/// do. The exit code is 1 where any relay has not accepted it. A webhook is posted a mail of type mail.test, signed like
/// all others.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  regain mail test you@example.org\n  regain mail test you@example.org --relay 2 --json"
)]
pub(crate) struct Test {
    /// Whom the mail goes to
    #[arg(value_name = "ADDRESS")]
    address: String,
    /// Only over this relay of connectionString, counted from 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    relay: Option<u16>,
    /// JSON: accepted, and relays: [{number, relay, accepted, reply, steps: [{step, text}], failed: {phase, error, code,
    /// reply, advice, consequence} or null}], or webhook: {webhook, accepted, reply, failed: {error, reply, consequence} or
    /// null}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigFile,
}

/// An operator is watching.
fn deadlines() -> Deadlines {
    let short = Duration::from_secs(15);
    Deadlines { greeting: short, command: short, final_dot: Duration::from_secs(120), ..Deadlines::default() }
}

impl Test {
    pub(super) fn run(&self) -> Result<ExitCode> {
        logging::start()?;
        let config = self.config.load()?;
        let to = self.recipient()?;
        let now = SystemClock::start().now();
        if let Some(webhook) = config.email().and_then(|email| email.webhook.as_ref()) {
            if self.relay.is_some() {
                bail!("mails leave by a webhook, and --relay chooses among relays: leave it out");
            }
            return webhook::run(&config, webhook, &to, now, self.json);
        }
        let relays = self.relays(&config)?;
        let mut outcomes = Vec::new();
        for (number, settings) in relays {
            // One letter, one Message-ID: over several relays the same mail arrives several times, and each is to be seen.
            let mail = test_mail(&config, &to, LetterId::new(now, &OsRng)?, now)?;
            let told = Told { number, settings, json: self.json, now };
            outcomes.push(running::block_on(told.deliver(mail))?);
        }
        let accepted = outcomes.iter().all(|outcome| outcome["accepted"] == true);
        if self.json {
            output::say(&output::pretty(&json!({ "accepted": accepted, "relays": outcomes }))?)?;
        } else {
            output::say(&verdict(&outcomes, &config))?;
        }
        Ok(if accepted { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn recipient(&self) -> Result<Address> {
        let name = Name::parse(&self.address, KeyMode::Folded).ok();
        match name.as_ref().and_then(Name::address) {
            Some(address) => Ok(address.clone()),
            None => {
                bail!("{} is no address that Regain sends to: write local@domain", printable(&self.address))
            }
        }
    }

    fn relays<'c>(&self, config: &'c Config) -> Result<Vec<(usize, &'c Settings)>> {
        let Some(email) = config.email() else { bail!("there is no emailHandlerConfig, so no mail is sent") };
        let all: Vec<_> = email.relays.iter().enumerate().map(|(at, relay)| (at + 1, relay)).collect();
        let count = all.len();
        let wanted = self.relay.map(usize::from);
        let chosen: Vec<_> =
            all.into_iter().filter(|(n, _)| wanted.is_none_or(|wanted| wanted == *n)).collect();
        if chosen.is_empty() {
            bail!("connectionString has no relay {}: --relay takes 1 to {count}", wanted.unwrap_or_default());
        }
        Ok(chosen)
    }
}

/// What came of all of it, in one line.
fn verdict(outcomes: &[Value], config: &Config) -> String {
    let numbers = |accepted: bool, and: &str| {
        let of = outcomes.iter().filter(|outcome| outcome["accepted"] == accepted);
        let numbers: Vec<String> = of.map(|outcome| outcome["number"].to_string()).collect();
        (!numbers.is_empty()).then(|| format!("accepted by relay {}", numbers.join(and)))
    };
    let signers = config.email().map(|email| email.signers()).unwrap_or_default();
    let names: Vec<String> =
        signers.iter().map(|signer| format!("{} ({})", signer.domain(), signer.selector())).collect();
    let signed = if names.is_empty() {
        "not signed here (emailHandlerConfig.dkim)".to_owned()
    } else {
        format!("signed for {}", names.join(" and "))
    };
    let told = [
        numbers(true, " and "),
        numbers(false, " or ").map(|refused| format!("not {refused}")),
        Some(signed),
    ];
    told.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// One relay's trial, and how it is told.
struct Told<'s> {
    number: usize,
    settings: &'s Settings,
    json: bool,
    now: Timestamp,
}

impl Told<'_> {
    async fn deliver(&self, mail: Composed) -> Result<Value> {
        let envelope = Envelope { from: mail.envelope_from, to: mail.envelope_to };
        let relay = self.settings.redacted();
        self.say(&format!("relay {}: {relay}", self.number));
        let seen =
            Rc::new(RefCell::new(Seen { json: self.json, now: self.now, steps: Vec::new(), is_over: false }));
        let watched = Rc::clone(&seen);
        let message: Arc<[u8]> = mail.raw;
        let outcome =
            trial(self.settings, deadlines(), &TrustRoots::System, Some((envelope, message)), move |step| {
                watched.borrow_mut().take(step);
            })
            .await;
        let (reply, failed) = match outcome {
            Ok(Ok(accepted)) => (accepted.map(|accepted| words(&accepted.reply)), None),
            Ok(Err(error)) => (None, Some(self.failure(&error))),
            Err(error) => (None, Some(self.refused_here(&error))),
        };
        let steps = std::mem::take(&mut seen.borrow_mut().steps);
        Ok(json!({
            "number": self.number,
            "relay": relay,
            "accepted": failed.is_none(),
            "reply": reply,
            "steps": steps,
            "failed": failed,
        }))
    }

    fn failure(&self, error: &SendError) -> Value {
        let advice = likely_cause(error, self.settings);
        let reply = error.reply().map(words);
        self.say(&format!("  {:<9} {}", "FAILED", printable(&error.to_string())));
        if let Some(reply) = &reply {
            self.say(&format!("  {:<9} {}", "it said", printable(reply)));
        }
        self.say(&format!("  {:<9} {}", "so", printable(&advice)));
        let consequence = consequence(fault(error.phase(), error.cause()), "this relay");
        self.say(&format!("  {:<9} would {consequence}", "Regain"));
        json!({
            "phase": phase_word(error.phase()),
            "error": error.to_string(),
            "code": error.code(),
            "reply": reply,
            "advice": advice,
            "consequence": consequence,
        })
    }

    fn refused_here(&self, error: &regain_smtp::StartError) -> Value {
        self.say(&format!("  {:<9} {error}", "FAILED"));
        json!({ "phase": null, "error": error.to_string(), "code": null, "reply": null, "advice": null,
            "consequence": null })
    }

    fn say(&self, line: &str) {
        if !self.json {
            // Whoever has closed stdout sees nothing more; the exit code still tells.
            let _ = output::say(line);
        }
    }
}

/// The steps so far.
struct Seen {
    json: bool,
    now: Timestamp,
    steps: Vec<Value>,
    is_over: bool,
}

impl Seen {
    fn take(&mut self, step: &Step) {
        let Some((word, text)) = self.told(step).filter(|_| !self.is_over) else { return };
        if !self.json {
            // As above.
            let _ = output::say(&format!("  {word:<9} {}", printable(&text)));
        }
        self.steps.push(json!({ "step": word, "text": text }));
    }

    fn told(&mut self, step: &Step) -> Option<(&'static str, String)> {
        match step {
            Step::Found(addresses) => {
                let addresses: Vec<String> = addresses.iter().map(|found| found.ip().to_string()).collect();
                Some((phase_word(Phase::Resolve), addresses.join(", ")))
            }
            Step::Connected(address) => Some((phase_word(Phase::Connect), address.to_string())),
            Step::Encrypted { version, cipher, certificate } => {
                let days = certificate.as_deref().and_then(|der| days_left(der, self.now));
                let days = days.map(|days| format!("; the certificate is good for {days} more days"));
                let version = version.replace("TLSv1_", "TLS 1.");
                Some((phase_word(Phase::Tls), format!("{version}, {cipher}{}", days.unwrap_or_default())))
            }
            // Questions during the login.
            Step::Replied { phase: Phase::Auth, code: 300..400, .. } => None,
            // What fails is told with its cause; what was pipelined behind it only follows from it.
            Step::Replied { code: 400.., phase, .. } => {
                self.is_over |= matches!(phase, Phase::Mail | Phase::Rcpt | Phase::Data);
                None
            }
            Step::Replied { phase: Phase::Ehlo, lines, .. } => {
                let offers: Vec<&str> =
                    lines.iter().skip(1).map(|line| line.trim()).filter(|line| !line.is_empty()).collect();
                let told = if offers.is_empty() { "no extensions".to_owned() } else { offers.join(", ") };
                Some((phase_word(Phase::Ehlo), told))
            }
            Step::Replied { phase, code, lines } => {
                Some((phase_word(*phase), format!("{code} {}", lines.join(" ")).trim_end().to_owned()))
            }
        }
    }
}

fn words(reply: &regain_smtp::Reply) -> String {
    format!("{} {}", reply.codes(), reply.text()).trim_end().to_owned()
}

/// A word for each phase, for people in a column and for programs.
fn phase_word(phase: Phase) -> &'static str {
    match phase {
        Phase::Resolve => "lookup",
        Phase::Connect => "connect",
        Phase::Greeting => "greeting",
        Phase::Ehlo => "ehlo",
        Phase::StartTls => "starttls",
        Phase::Tls => "tls",
        Phase::Auth => "login",
        Phase::Mail => "sender",
        Phase::Rcpt => "recipient",
        Phase::Data => "data",
        Phase::FinalDot => "message",
    }
}
