//! Where a PostgreSQL database is and how it is spoken to: a URL as libpq takes it, checked whole before anything connects.
//!
//! See <https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING>.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

/// The options that are taken: those of libpq that the client library knows, and `sslrootcert`.
const KNOWN: &[&str] = &[
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "load_balance_hosts",
    "options",
    "password",
    "port",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// A server that does not answer within this is given up for the next.
const CONNECT: Duration = Duration::from_secs(3);
/// The first connection, all servers and the greeting included, takes a process no longer.
const START: Duration = Duration::from_secs(30);
/// What it may take beside reaching the servers, where somebody waits for it.
const GREETING: Duration = Duration::from_secs(2);
/// A connection whose data nobody acknowledges for so long is closed.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);
/// A connection that has been silent for so long is asked whether it is still there.
const SILENT: Duration = Duration::from_secs(30);

/// Where a PostgreSQL database is, who connects and how. Holds a password: `Debug` and `Display` show the URL without it.
#[derive(Clone)]
pub struct PostgresSettings {
    pub(crate) config: Config,
    pub(crate) roots: Roots,
    /// The URL, with `***` in place of a password.
    shown: String,
    /// Whether the password did not stand in the URL.
    is_password_apart: bool,
    /// Which server is tried first: the last that worked, for all who use these settings, so that one that hangs costs a
    /// process its time once.
    pub(super) first: Arc<AtomicUsize>,
}

/// Which certificates a server's may come from.
#[derive(Clone, PartialEq)]
pub(crate) enum Roots {
    /// Those of the operating system.
    System,
    /// Those in this PEM file.
    File(PathBuf),
}

/// Why a database URL cannot be used. Never shows a value that may be secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// It does not begin as such a URL does.
    #[error("it must begin with postgres:// or postgresql://")]
    Scheme,
    /// An option that is not supported.
    #[error("the option {0} is not supported; supported are {known}", known = KNOWN.join(", "))]
    Unknown(String),
    /// An option is there twice.
    #[error("the option {0} is given twice")]
    Twice(String),
    /// A value that the option does not take.
    #[error("{option}: {reason}")]
    Value {
        /// Which option.
        option: &'static str,
        /// What is wrong with it, and what to write.
        reason: &'static str,
    },
    /// An `@` in an option would be taken for the end of the user and the password.
    #[error("an @ behind the question mark must be written %40")]
    At,
    /// A second `@` before the options: what is behind the first one would be taken for the server, and be asked of the DNS.
    #[error(
        "only one @ may stand before the question mark: in the user, the password and the name it is written %40"
    )]
    SecondAt,
    /// The client library refuses it.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
}

impl FromStr for PostgresSettings {
    type Err = SettingsError;

    /// Reads `postgres://user:password@host1:5432,host2/database?option=value`.
    ///
    /// Where nothing else is said, a server over the network must show a certificate for its name (`sslmode=require`), one on
    /// this machine need not (`disable`); the session must be able to write; connecting takes 3 s at most.
    fn from_str(url: &str) -> Result<Self, SettingsError> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(SettingsError::Scheme);
        }
        if has_at_in_option(url) {
            return Err(SettingsError::At);
        }
        let (base, query) = apart(url);
        if base.bytes().filter(|byte| *byte == b'@').count() > 1 {
            return Err(SettingsError::SecondAt);
        }
        let mut given = Given::default();
        let mut rest = Vec::new();
        for option in query.split('&').filter(|option| !option.is_empty()) {
            if given.take(option)? {
                rest.push(option);
            }
        }
        let clean = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
        let mut config: Config = clean.parse().map_err(|error: tokio_postgres::Error| unreadable(&error))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            return Err(SettingsError::Value { option: "host", reason: "no server is named" });
        }
        if config.get_user().is_none() {
            return Err(SettingsError::Value {
                option: "user",
                reason: "nobody is named: write postgres://USER@…",
            });
        }
        if config.get_target_session_attrs() == TargetSessionAttrs::ReadOnly {
            return Err(SettingsError::Value {
                option: "target_session_attrs",
                reason: "Regain writes: leave it out, or write read-write",
            });
        }
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        config.ssl_mode(given.ssl_mode.unwrap_or_else(|| default_mode(&config)));
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNACKNOWLEDGED);
        }
        if !given.has_idle {
            config.keepalives_idle(SILENT);
        }
        if config.get_application_name().is_none() {
            config.application_name("regain");
        }
        Ok(Self {
            config,
            roots: given.roots.map_or(Roots::System, Roots::File),
            shown: shown(base, query),
            is_password_apart: false,
            first: Arc::default(),
        })
    }
}

impl PostgresSettings {
    /// The same, with this password in place of the URL's.
    #[must_use]
    pub fn with_password(mut self, password: &str) -> Self {
        self.config.password(password);
        self.is_password_apart = true;
        self
    }

    /// Whether there is a password that the URL had not, so that nothing stands for it where the URL is shown.
    pub fn has_password_apart(&self) -> bool {
        self.is_password_apart
    }

    /// How long the first connection may take: enough for each of its servers, and no longer where somebody waits for it.
    pub(crate) fn time_to_connect(&self, is_awaited: bool) -> Duration {
        let servers = self.config.get_hosts().len().max(self.config.get_hostaddrs().len());
        let each = self.config.get_connect_timeout().copied().unwrap_or(CONNECT);
        let all = each.saturating_mul(u32::try_from(servers).unwrap_or(u32::MAX)).saturating_add(GREETING);
        if is_awaited { all.min(START) } else { START }
    }

    /// Whether there is a password to show to the server.
    pub fn has_password(&self) -> bool {
        self.config.get_password().is_some()
    }
}

impl fmt::Display for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for PostgresSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PostgresSettings").field(&self.shown).finish()
    }
}

impl PartialEq for PostgresSettings {
    fn eq(&self, other: &Self) -> bool {
        self.config == other.config && self.roots == other.roots
    }
}

/// What is read here and not by the client library.
#[derive(Default)]
struct Given {
    seen: Vec<String>,
    ssl_mode: Option<SslMode>,
    roots: Option<PathBuf>,
    has_idle: bool,
}

impl Given {
    /// Reads one `key=value`. Answers whether the client library is to read it too.
    fn take(&mut self, option: &str) -> Result<bool, SettingsError> {
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        if !KNOWN.contains(&key) {
            // What is no word at all may be a piece of something secret.
            let is_word = option.contains('=')
                && key.len() <= 40
                && key.chars().all(|c| c.is_ascii_alphabetic() || c == '_');
            return Err(SettingsError::Unknown(if is_word {
                key.to_owned()
            } else {
                "of that name".to_owned()
            }));
        }
        if self.seen.iter().any(|seen| seen == key) && key != "host" && key != "hostaddr" && key != "port" {
            return Err(SettingsError::Twice(key.to_owned()));
        }
        self.seen.push(key.to_owned());
        match key {
            "sslmode" => self.ssl_mode = Some(mode(value)?),
            "sslrootcert" => self.roots = root_file(value)?,
            "keepalives_idle" => {
                self.has_idle = true;
                return Ok(true);
            }
            _ => return Ok(true),
        }
        Ok(false)
    }
}

/// Whether the first `@` stands in an option: then all before it, a password too, would be taken for who connects, and what is
/// behind it for the server. A question mark in a password has no option behind it.
fn has_at_in_option(url: &str) -> bool {
    let is_option = |option: &str| option.split_once('=').is_some_and(|(key, _)| KNOWN.contains(&key));
    url.split_once('@')
        .and_then(|(before, _)| before.split_once('?'))
        .is_some_and(|(_, query)| query.split('&').any(is_option))
}

/// The URL before its options, and these. A question mark before the `@` is of the password.
fn apart(url: &str) -> (&str, &str) {
    let behind_who = url.find('@').unwrap_or(0);
    match url[behind_who..].find('?') {
        Some(at) => (&url[..behind_who + at], &url[behind_who + at + 1..]),
        None => (url, ""),
    }
}

/// The URL without a password, wherever it stands in it.
fn shown(base: &str, query: &str) -> String {
    let (scheme, rest) = base.split_once("://").unwrap_or(("postgres", base));
    let base = match rest.rfind('@').map(|at| (&rest[..at], &rest[at..])) {
        Some((who, hosts)) => match who.split_once(':') {
            Some((user, _)) => format!("{scheme}://{user}:***{hosts}"),
            None => format!("{scheme}://{who}{hosts}"),
        },
        None => format!("{scheme}://{rest}"),
    };
    let hide = |option: &str| {
        if option.starts_with("password=") { "password=***".to_owned() } else { option.to_owned() }
    };
    let options: Vec<String> = query.split('&').filter(|option| !option.is_empty()).map(hide).collect();
    if options.is_empty() { base } else { format!("{base}?{}", options.join("&")) }
}

/// What is encrypted is verified too: `require` without that would only keep out those who listen, not those who answer.
fn mode(word: &str) -> Result<SslMode, SettingsError> {
    match word {
        "disable" => Ok(SslMode::Disable),
        "prefer" => Ok(SslMode::Prefer),
        "require" | "verify-full" => Ok(SslMode::Require),
        _ => Err(SettingsError::Value {
            option: "sslmode",
            reason: "write verify-full (or require, which verifies too), prefer, or disable",
        }),
    }
}

fn root_file(value: &str) -> Result<Option<PathBuf>, SettingsError> {
    let path = percent_decode_str(value)
        .decode_utf8()
        .map_err(|_| SettingsError::Value { option: "sslrootcert", reason: "it must be a path in UTF-8" })?;
    match path.as_ref() {
        "" => Err(SettingsError::Value {
            option: "sslrootcert",
            reason: "write the path of a PEM file, or system",
        }),
        "system" => Ok(None),
        path => Ok(Some(PathBuf::from(path))),
    }
}

/// A server on this machine needs no certificate: nobody is between.
fn default_mode(config: &Config) -> SslMode {
    let is_near = |host: &Host| match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    };
    let are_near = config.get_hosts().iter().all(is_near)
        && config.get_hostaddrs().iter().all(|address| address.is_loopback());
    if are_near { SslMode::Disable } else { SslMode::Require }
}

/// What the client library says, which names options but no values.
fn unreadable(error: &tokio_postgres::Error) -> SettingsError {
    let reason = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    SettingsError::Unreadable(reason)
}

#[cfg(test)]
mod tests;
