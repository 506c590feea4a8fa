//! Owns the options behind the `?`: which there are, what values they take, and what to write instead of
//! those that are refused. It must not decide what an option does.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use rustls::pki_types::ServerName;

use super::SettingsError;

/// More connections than this to one relay are a typing mistake.
const MOST_CONNECTIONS: usize = 1000;

/// The options as written; `None` where the URL does not say.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) pool: Option<bool>,
    pub(super) max_connections: Option<usize>,
    pub(super) require_tls: Option<bool>,
    pub(super) ignore_tls: Option<bool>,
    pub(super) reject_unauthorized: Option<bool>,
    pub(super) servername: Option<String>,
    pub(super) name: Option<String>,
}

const POOL: &str = "pool";
const MAX_CONNECTIONS: &str = "maxConnections";
const REQUIRE_TLS: &str = "requireTLS";
const IGNORE_TLS: &str = "ignoreTLS";
const REJECT_UNAUTHORIZED: &str = "tls.rejectUnauthorized";
const SERVERNAME: &str = "tls.servername";
const NAME: &str = "name";

const SUPPORTED: [&str; 7] =
    [POOL, MAX_CONNECTIONS, REQUIRE_TLS, IGNORE_TLS, REJECT_UNAUTHORIZED, SERVERNAME, NAME];

/// Options that nodemailer knows, each with what to write instead.
const UNSUPPORTED: [(&str, &str); 36] = [
    ("secure", "write `smtps:` for TLS from the first byte, `smtp:` for STARTTLS"),
    ("host", "write the host behind the `//`"),
    ("port", "write the port behind the host, host:port"),
    ("auth", "write user:password@ before the host"),
    ("user", "write user:password@ before the host"),
    ("pass", "write user:password@ before the host"),
    ("opportunisticTLS", "write `requireTLS=false` to use STARTTLS only where it is offered"),
    ("maxMessages", "leave it out, a connection is renewed after 100 messages"),
    ("rateLimit", "leave it out and lower `maxConnections`"),
    ("rateDelta", "leave it out and lower `maxConnections`"),
    ("maxRequeues", "leave it out, letters are retried until their deadline"),
    ("idleTimeout", "leave it out, idle connections are closed after some seconds"),
    ("connectionTimeout", "leave it out, connecting takes 10 seconds at most"),
    ("greetingTimeout", "leave it out, the greeting is awaited for 30 seconds"),
    ("socketTimeout", "leave it out, every command has its own deadline"),
    ("dnsTimeout", "leave it out, connecting takes 10 seconds at most"),
    ("authMethod", "leave it out, PLAIN or LOGIN is used as the relay offers"),
    ("service", "write the host of the service, for example smtps://user:password@smtp.gmail.com"),
    ("servername", "write `tls.servername`"),
    ("localAddress", "leave it out, the system chooses the source address"),
    ("logger", "leave it out, mail is never logged"),
    ("debug", "leave it out, mail is never logged"),
    ("transactionLog", "leave it out, mail is never logged"),
    ("proxy", "connect without a proxy"),
    ("lmtp", "write the address of an SMTP server"),
    ("dkim", "sign at the relay"),
    ("url", "write the inner URL itself"),
    ("socket", "write host and port"),
    ("connection", "write host and port"),
    ("sendmail", "write the address of an SMTP server"),
    ("streamTransport", "write the address of an SMTP server"),
    ("jsonTransport", "write the address of an SMTP server"),
    ("SES", "write the address of the SMTP interface"),
    ("tls", "write `tls.servername` or `tls.rejectUnauthorized`"),
    ("tls.port", "write the port behind the host, host:port"),
    ("direct", "write the relay's host"),
];

impl Options {
    /// Reads the query (without the `?`). Keys and values are percent-decoded, `+` is a space.
    pub(super) fn parse(query: &str) -> Result<Self, SettingsError> {
        let mut values: [Option<String>; SUPPORTED.len()] = Default::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let key = decode(key, "an option's name")?;
            let Some(index) = SUPPORTED.iter().position(|&name| name == key) else {
                return Err(refuse(&key));
            };
            let option = SUPPORTED[index];
            let value = decode(value, "an option's value")?;
            match values.get_mut(index) {
                Some(seen @ None) => *seen = Some(value),
                Some(Some(seen)) if *seen == value => {}
                _ => return Err(SettingsError::Repeated { option }),
            }
        }
        let [pool, max_connections, require_tls, ignore_tls, reject_unauthorized, servername, name] = values;
        Ok(Self {
            pool: pool.map(|value| boolean(POOL, &value)).transpose()?,
            max_connections: max_connections.map(|value| count(&value)).transpose()?.flatten(),
            require_tls: require_tls.map(|value| boolean(REQUIRE_TLS, &value)).transpose()?,
            ignore_tls: ignore_tls.map(|value| boolean(IGNORE_TLS, &value)).transpose()?,
            // As in nodemailer, only the word switches the check off: a `0` is valid and keeps it on.
            reject_unauthorized: reject_unauthorized
                .map(|value| if value == "0" { Ok(true) } else { boolean(REJECT_UNAUTHORIZED, &value) })
                .transpose()?,
            servername: servername.map(|value| server_name(&value)).transpose()?,
            name: name.map(ehlo_name).transpose()?,
        })
    }

    /// The options that the URL names, each with its value in one normal form.
    pub(super) fn written(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        let boolean = |value: bool| Cow::Borrowed(if value { "true" } else { "false" });
        let mut all = Vec::new();
        all.extend(self.pool.map(|value| (POOL, boolean(value))));
        all.extend(self.max_connections.map(|value| (MAX_CONNECTIONS, Cow::Owned(value.to_string()))));
        all.extend(self.require_tls.map(|value| (REQUIRE_TLS, boolean(value))));
        all.extend(self.ignore_tls.map(|value| (IGNORE_TLS, boolean(value))));
        all.extend(self.reject_unauthorized.map(|value| (REJECT_UNAUTHORIZED, boolean(value))));
        all.extend(self.servername.as_deref().map(|value| (SERVERNAME, Cow::Borrowed(value))));
        all.extend(self.name.as_deref().map(|value| (NAME, Cow::Borrowed(value))));
        all
    }
}

fn decode(text: &str, place: &'static str) -> Result<String, SettingsError> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8_lossy().into_owned();
    if decoded.chars().any(char::is_control) {
        return Err(SettingsError::ControlCharacter { place });
    }
    Ok(decoded)
}

fn boolean(option: &'static str, value: &str) -> Result<bool, SettingsError> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(SettingsError::Value { option, expected: "takes `true` or `false`" }),
    }
}

/// A count as JavaScript's `Number` reads it (`10`, `0x10`, `1e1`); zero means the default.
fn count(value: &str) -> Result<Option<usize>, SettingsError> {
    let refused =
        || SettingsError::Value { option: MAX_CONNECTIONS, expected: "takes a whole number from 1 to 1000" };
    let number = match value.strip_prefix("0x").or_else(|| value.strip_prefix("0X")) {
        Some(hex) => usize::from_str_radix(hex, 16).map_err(|_| refused())?,
        None => {
            if !value.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E')) {
                return Err(refused());
            }
            let number: f64 = value.parse().map_err(|_| refused())?;
            (0..=MOST_CONNECTIONS).find(|&whole| whole as f64 == number).ok_or_else(refused)?
        }
    };
    if number > MOST_CONNECTIONS {
        return Err(refused());
    }
    Ok((number != 0).then_some(number))
}

fn server_name(value: &str) -> Result<String, SettingsError> {
    let refused =
        || SettingsError::Value { option: SERVERNAME, expected: "takes a host name or an IP address" };
    if let Ok(ip) = value.parse::<std::net::IpAddr>() {
        return Ok(ip.to_string());
    }
    let name = idna::domain_to_ascii(value).map_err(|_| refused())?;
    ServerName::try_from(name.as_str()).map_err(|_| refused())?;
    Ok(name)
}

/// The EHLO name goes out as written, so it must not be able to end the line or to look like two words.
fn ehlo_name(value: String) -> Result<String, SettingsError> {
    if value.is_empty() || value.len() > 255 || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        let expected = "takes the domain name of this machine, without spaces, in ASCII";
        return Err(SettingsError::Value { option: NAME, expected });
    }
    Ok(value)
}

fn refuse(key: &str) -> SettingsError {
    if let Some(&(option, instead)) = UNSUPPORTED.iter().find(|(option, _)| *option == key) {
        return SettingsError::UnsupportedOption { option, instead };
    }
    let like_an_option = key.starts_with(|first: char| first.is_ascii_alphabetic())
        && key.len() <= 40
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
    let option = like_an_option.then(|| key.to_owned());
    let suggestion = if like_an_option { closest(key) } else { None };
    SettingsError::UnknownOption { option, suggestion }
}

fn closest(key: &str) -> Option<&'static str> {
    let lower = key.to_ascii_lowercase();
    SUPPORTED
        .iter()
        .map(|&option| (strsim::damerau_levenshtein(&lower, &option.to_ascii_lowercase()), option))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, option)| *distance <= 2.min(option.len() / 3))
        .map(|(_, option)| option)
}
