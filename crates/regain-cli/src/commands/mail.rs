//! `regain mail`: what a connection string and a sender mean, what DNS has to say about signatures, and the test mail,
//! which alone opens a connection.
//!
//! Invariant: the password appears in the JSON that was asked for and nowhere else, in no error either.

mod certificate;
mod dkim_record;
mod trial;
mod webhook;

use std::io::Read;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Subcommand;
use regain_smtp::{Sender, Settings};
use serde_json::{Map, Value, json};

use self::dkim_record::DkimRecord;
use crate::output;

/// Look at mail settings, and try them.
#[derive(Subcommand)]
#[command(after_help = "Examples:\n  regain mail test you@example.org\n  \
    regain mail inspect 'smtps://user:password@smtp.example.com/?pool=true'\n  regain mail dkim-record")]
pub(crate) enum Mail {
    Test(trial::Test),
    /// Show what a connection string means.
    ///
    /// The string is read as nodemailer reads it; what nodemailer would have to guess is refused. Nothing is connected.
    ///
    /// The keys of --json are host, port, secure, user, pass, pool, maxConnections, maxMessages, rateLimit, rateDelta,
    /// requireTLS, ignoreTLS, tls.rejectUnauthorized, tls.servername, name, connectionTimeout, greetingTimeout,
    /// socketTimeout, starttls, opportunisticTLS, tls.ca, tls.minVersion, localAddress, dnsTimeout, idleTimeout, authMethod
    /// and service, in one flat object; times are in milliseconds. null is what the URL leaves out. The port, the first
    /// three time-outs and, with pool=true, the sizes of the pool are nodemailer's defaults where they are left out.
    /// requireTLS and ignoreTLS are the URL's own, or those of its service; starttls is what follows from all of it:
    /// required, optional or never. Regain keeps deadlines of its own, which are no longer than these defaults. pass is
    /// the password in clear; without --json it is not shown.
    #[command(after_help = INSPECT_EXAMPLES, override_usage = "regain mail inspect [OPTIONS] <URL>")]
    Inspect {
        /// One flat JSON object, with the password
        #[arg(long)]
        json: bool,
        /// The connection string; - reads it from stdin, where other users of this machine cannot see it
        #[arg(value_name = "URL", required = true, num_args = 1..)]
        url: Vec<String>,
    },
    /// Show what a sender (`from`) means: its names and addresses.
    ///
    /// The JSON form is {"addresses": [{"name", "address"}]}; a sender without a name has the name "".
    #[command(after_help = FROM_EXAMPLES)]
    InspectFrom {
        /// A JSON object
        #[arg(long)]
        json: bool,
        /// The sender; - reads it from stdin
        #[arg(value_name = "ADDRESS")]
        address: String,
    },
    DkimRecord(DkimRecord),
}

const INSPECT_EXAMPLES: &str = "Examples:\n  regain mail inspect 'smtps://user:password@smtp.example.com/?pool=true'\n  \
    regain mail inspect --json - < connection-string.txt";

const FROM_EXAMPLES: &str = "Examples:\n  regain mail inspect-from '\"Sender Name\" <sender@server.com>'\n  \
    regain mail inspect-from --json sender@server.com";

/// No connection string and no sender is as long as this.
const MOST_INPUT: u64 = 64 * 1024;

/// What nodemailer has where a URL is silent.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(120);
const GREETING_TIMEOUT: Duration = Duration::from_secs(30);
const SOCKET_TIMEOUT: Duration = Duration::from_secs(600);

impl Mail {
    pub(crate) fn run(&self) -> Result<ExitCode> {
        match self {
            Self::Test(command) => return command.run(),
            Self::Inspect { json, url } => inspect(*json, url)?,
            Self::InspectFrom { json, address } => inspect_from(*json, address)?,
            Self::DkimRecord(record) => record.run()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn inspect(json: bool, url: &[String]) -> Result<()> {
    let [url] = url else {
        // Left to the parser of arguments, the message would quote the second half of a password.
        bail!("the connection string must be one argument: put it in single quotes");
    };
    let settings = Settings::parse(&given(url)?)?;
    let meaning = meaning(&settings);
    let text = if json { output::pretty(&meaning)? } else { for_people(&meaning) };
    Ok(output::say(&text)?)
}

fn inspect_from(json: bool, address: &str) -> Result<()> {
    let sender = Sender::parse(&given(address)?)?;
    let text = if json {
        let addresses: Vec<Value> = sender
            .mailboxes()
            .iter()
            .map(|mailbox| json!({ "name": mailbox.name(), "address": mailbox.address() }))
            .collect();
        output::pretty(&json!({ "addresses": addresses }))?
    } else {
        let header = ["name".to_owned(), "address".to_owned()];
        let rows = sender.mailboxes().iter().map(|mailbox| {
            let name = if mailbox.name().is_empty() { "-" } else { mailbox.name() };
            [output::printable(name), output::printable(mailbox.address())]
        });
        output::table(&std::iter::once(header).chain(rows).collect::<Vec<_>>())
    };
    Ok(output::say(&text)?)
}

/// The argument, or stdin without the line break at its end.
fn given(argument: &str) -> Result<String> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut text = String::new();
    std::io::stdin().lock().take(MOST_INPUT).read_to_string(&mut text).context("cannot read stdin")?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}

/// The keys in the order in which they are documented.
fn meaning(settings: &Settings) -> Map<String, Value> {
    let written = settings.written_options();
    let option = |name: &str| {
        let value = written.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_ref());
        match value {
            None => Value::Null,
            Some("true") => Value::Bool(true),
            Some("false") => Value::Bool(false),
            Some(text) => json!(text),
        }
    };
    let says = |name: &str| written.iter().any(|(key, _)| *key == name);
    let pooled = |name: &str, value: Value| if settings.pool() || says(name) { value } else { Value::Null };
    let time = |said: Option<Duration>, default: Option<Duration>| {
        json!(said.or(default).map(|time| time.as_millis()))
    };
    let pairs = [
        ("host", json!(settings.host())),
        ("port", json!(settings.port())),
        ("secure", json!(settings.secure())),
        ("user", json!(settings.user())),
        ("pass", json!(settings.expose_password())),
        ("pool", option("pool")),
        ("maxConnections", pooled("maxConnections", json!(settings.max_connections()))),
        ("maxMessages", pooled("maxMessages", json!(settings.max_messages()))),
        ("rateLimit", json!(settings.rate_limit())),
        ("rateDelta", pooled("rateDelta", time(Some(settings.rate_delta()), None))),
        ("requireTLS", option("requireTLS")),
        ("ignoreTLS", option("ignoreTLS")),
        ("tls.rejectUnauthorized", option("tls.rejectUnauthorized")),
        ("tls.servername", json!(settings.servername())),
        ("name", json!(settings.name())),
        ("connectionTimeout", time(settings.connection_timeout(), Some(CONNECTION_TIMEOUT))),
        ("greetingTimeout", time(settings.greeting_timeout(), Some(GREETING_TIMEOUT))),
        ("socketTimeout", time(settings.socket_timeout(), Some(SOCKET_TIMEOUT))),
        ("starttls", json!(settings.starttls().to_string())),
        ("opportunisticTLS", option("opportunisticTLS")),
        ("tls.ca", option("tls.ca")),
        ("tls.minVersion", option("tls.minVersion")),
        ("localAddress", option("localAddress")),
        ("dnsTimeout", time(settings.dns_timeout(), None)),
        ("idleTimeout", time(settings.idle_timeout(), None)),
        ("authMethod", option("authMethod")),
        ("service", option("service")),
    ];
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

fn for_people(meaning: &Map<String, Value>) -> String {
    let rows: Vec<[String; 2]> = meaning
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| {
            let text = match value {
                _ if key == "pass" => "(not shown)".to_owned(),
                Value::String(text) => output::printable(text),
                other => other.to_string(),
            };
            [key.clone(), text]
        })
        .collect();
    output::table(&rows)
}
