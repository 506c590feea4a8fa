//! Owns the options behind the `?`: which there are and how they are cut out of the query. It must not decide what
//! an option does.

use std::borrow::Cow;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::refused::refuse;
use super::services::Service;
use super::{AuthMethod, Host, SettingsError, TlsCa, TlsVersion, value};

/// The options as written; `None` where the URL does not say, or says zero.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) pool: Option<bool>,
    pub(super) max_connections: Option<NonZeroU32>,
    pub(super) max_messages: Option<NonZeroU32>,
    pub(super) rate_limit: Option<NonZeroU32>,
    pub(super) rate_delta: Option<Duration>,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) require_tls: Option<bool>,
    pub(super) ignore_tls: Option<bool>,
    pub(super) opportunistic_tls: Option<bool>,
    pub(super) reject_unauthorized: Option<bool>,
    pub(super) servername: Option<String>,
    pub(super) ca: Option<TlsCa>,
    pub(super) min_version: Option<TlsVersion>,
    pub(super) name: Option<String>,
    pub(super) local_address: Option<IpAddr>,
    pub(super) connection_timeout: Option<Duration>,
    pub(super) greeting_timeout: Option<Duration>,
    pub(super) socket_timeout: Option<Duration>,
    pub(super) dns_timeout: Option<Duration>,
    pub(super) auth_method: Option<AuthMethod>,
    pub(super) service: Option<&'static Service>,
}

/// What options may say in place of the URL's first half; none of it may contradict that.
#[derive(Default)]
pub(super) struct Place {
    pub(super) host: Option<Host>,
    pub(super) port: Option<u16>,
    pub(super) secure: Option<bool>,
}

pub(super) const HOST: &str = "host";
pub(super) const PORT: &str = "port";
pub(super) const SECURE: &str = "secure";
const POOL: &str = "pool";
const MAX_CONNECTIONS: &str = "maxConnections";
const MAX_MESSAGES: &str = "maxMessages";
const RATE_LIMIT: &str = "rateLimit";
const RATE_DELTA: &str = "rateDelta";
const IDLE_TIMEOUT: &str = "idleTimeout";
const REQUIRE_TLS: &str = "requireTLS";
const IGNORE_TLS: &str = "ignoreTLS";
const OPPORTUNISTIC_TLS: &str = "opportunisticTLS";
const REJECT_UNAUTHORIZED: &str = "tls.rejectUnauthorized";
const SERVERNAME: &str = "tls.servername";
const CA: &str = "tls.ca";
const MIN_VERSION: &str = "tls.minVersion";
const NAME: &str = "name";
const LOCAL_ADDRESS: &str = "localAddress";
const CONNECTION_TIMEOUT: &str = "connectionTimeout";
const GREETING_TIMEOUT: &str = "greetingTimeout";
const SOCKET_TIMEOUT: &str = "socketTimeout";
const DNS_TIMEOUT: &str = "dnsTimeout";
const AUTH_METHOD: &str = "authMethod";
const SERVICE: &str = "service";

/// nodemailer's other name for `tls.servername`.
const SERVERNAME_ALIAS: &str = "servername";

pub(super) const SUPPORTED: [&str; 24] = [
    HOST,
    PORT,
    SECURE,
    POOL,
    MAX_CONNECTIONS,
    MAX_MESSAGES,
    RATE_LIMIT,
    RATE_DELTA,
    IDLE_TIMEOUT,
    REQUIRE_TLS,
    IGNORE_TLS,
    OPPORTUNISTIC_TLS,
    REJECT_UNAUTHORIZED,
    SERVERNAME,
    CA,
    MIN_VERSION,
    NAME,
    LOCAL_ADDRESS,
    CONNECTION_TIMEOUT,
    GREETING_TIMEOUT,
    SOCKET_TIMEOUT,
    DNS_TIMEOUT,
    AUTH_METHOD,
    SERVICE,
];

/// Reads the query (without the `?`). Keys and values are percent-decoded, `+` is a space.
pub(super) fn parse(query: &str) -> Result<(Options, Place), SettingsError> {
    let mut values = Values::cut(query)?;
    let place = Place {
        host: values.take(HOST, |_, text| Host::parse_option(text))?,
        port: values.take(PORT, port)?.flatten(),
        secure: values.take(SECURE, value::boolean)?,
    };
    let options = Options {
        pool: values.take(POOL, value::boolean)?,
        max_connections: values.take(MAX_CONNECTIONS, connections)?.flatten(),
        max_messages: values.take(MAX_MESSAGES, messages)?.flatten(),
        rate_limit: values.take(RATE_LIMIT, messages)?.flatten(),
        rate_delta: values.take(RATE_DELTA, value::milliseconds)?.flatten(),
        idle_timeout: values.take(IDLE_TIMEOUT, value::milliseconds)?.flatten(),
        require_tls: values.take(REQUIRE_TLS, value::boolean)?,
        ignore_tls: values.take(IGNORE_TLS, value::boolean)?,
        opportunistic_tls: values.take(OPPORTUNISTIC_TLS, value::boolean)?,
        reject_unauthorized: values.take(REJECT_UNAUTHORIZED, reject_unauthorized)?,
        servername: values.take(SERVERNAME, value::server_name)?,
        ca: values.take(CA, value::authorities)?,
        min_version: values.take(MIN_VERSION, value::tls_version)?,
        name: values.take(NAME, value::ehlo_name)?,
        local_address: values.take(LOCAL_ADDRESS, value::address)?,
        connection_timeout: values.take(CONNECTION_TIMEOUT, value::milliseconds)?.flatten(),
        greeting_timeout: values.take(GREETING_TIMEOUT, value::milliseconds)?.flatten(),
        socket_timeout: values.take(SOCKET_TIMEOUT, value::milliseconds)?.flatten(),
        dns_timeout: values.take(DNS_TIMEOUT, value::milliseconds)?.flatten(),
        auth_method: values.take(AUTH_METHOD, value::auth_method)?,
        service: values.take(SERVICE, value::service)?,
    };
    Ok((options, place))
}

impl Options {
    /// The options that the URL names, each with its value in one normal form.
    pub(super) fn written(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        let all = [
            (POOL, boolean(self.pool)),
            (MAX_CONNECTIONS, text(self.max_connections)),
            (MAX_MESSAGES, text(self.max_messages)),
            (RATE_LIMIT, text(self.rate_limit)),
            (RATE_DELTA, milliseconds(self.rate_delta)),
            (IDLE_TIMEOUT, milliseconds(self.idle_timeout)),
            (REQUIRE_TLS, boolean(self.require_tls)),
            (IGNORE_TLS, boolean(self.ignore_tls)),
            (OPPORTUNISTIC_TLS, boolean(self.opportunistic_tls)),
            (REJECT_UNAUTHORIZED, boolean(self.reject_unauthorized)),
            (SERVERNAME, self.servername.as_deref().map(Cow::Borrowed)),
            (CA, self.ca.as_ref().map(authorities)),
            (MIN_VERSION, self.min_version.map(|version| version.as_str().into())),
            (NAME, self.name.as_deref().map(Cow::Borrowed)),
            (LOCAL_ADDRESS, text(self.local_address)),
            (CONNECTION_TIMEOUT, milliseconds(self.connection_timeout)),
            (GREETING_TIMEOUT, milliseconds(self.greeting_timeout)),
            (SOCKET_TIMEOUT, milliseconds(self.socket_timeout)),
            (DNS_TIMEOUT, milliseconds(self.dns_timeout)),
            (AUTH_METHOD, self.auth_method.map(|method| method.as_str().into())),
            (SERVICE, self.service.map(|service| service.name.into())),
        ];
        all.into_iter().filter_map(|(option, value)| Some((option, value?))).collect()
    }
}

/// The values of the options, each as written but decoded.
struct Values([Option<String>; SUPPORTED.len()]);

impl Values {
    fn cut(query: &str) -> Result<Self, SettingsError> {
        let mut values = Self(Default::default());
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let key = decode(key);
            no_control(&key, "an option's name")?;
            let key = if key == SERVERNAME_ALIAS { SERVERNAME } else { &key };
            let Some((option, place)) = SUPPORTED.iter().zip(&mut values.0).find(|(name, _)| **name == key)
            else {
                return Err(refuse(key));
            };
            let value = decode(value);
            // The text of certificates has lines.
            if *option != CA {
                no_control(&value, "an option's value")?;
            }
            if place.get_or_insert_with(|| value.clone()) != &value {
                return Err(SettingsError::Repeated { option });
            }
        }
        Ok(values)
    }

    fn take<T>(
        &mut self,
        option: &'static str,
        read: impl FnOnce(&'static str, &str) -> Result<T, SettingsError>,
    ) -> Result<Option<T>, SettingsError> {
        let place = SUPPORTED.iter().zip(&mut self.0).find(|(name, _)| **name == option);
        place.and_then(|(_, value)| value.take()).map(|value| read(option, &value)).transpose()
    }
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

fn no_control(text: &str, place: &'static str) -> Result<(), SettingsError> {
    if text.chars().any(char::is_control) { Err(SettingsError::ControlCharacter { place }) } else { Ok(()) }
}

fn connections(option: &'static str, text: &str) -> Result<Option<NonZeroU32>, SettingsError> {
    value::number(option, text, &value::CONNECTIONS)
}

fn messages(option: &'static str, text: &str) -> Result<Option<NonZeroU32>, SettingsError> {
    value::number(option, text, &value::MESSAGES)
}

fn port(option: &'static str, text: &str) -> Result<Option<u16>, SettingsError> {
    let number = value::number(option, text, &value::PORT)?;
    Ok(number.and_then(|number| u16::try_from(number.get()).ok()))
}

/// As in nodemailer, only the word switches the check off: a `0` is valid and keeps it on.
fn reject_unauthorized(option: &'static str, text: &str) -> Result<bool, SettingsError> {
    if text == "0" { Ok(true) } else { value::boolean(option, text) }
}

fn boolean(value: Option<bool>) -> Option<Cow<'static, str>> {
    value.map(|value| Cow::Borrowed(if value { "true" } else { "false" }))
}

fn text(value: Option<impl ToString>) -> Option<Cow<'static, str>> {
    value.map(|value| Cow::Owned(value.to_string()))
}

fn milliseconds(value: Option<Duration>) -> Option<Cow<'static, str>> {
    text(value.map(|value| value.as_millis()))
}

/// Certificates are no secret, but long: their text is not repeated.
fn authorities(ca: &TlsCa) -> Cow<'_, str> {
    match ca {
        TlsCa::File(path) => path.to_string_lossy(),
        TlsCa::Pem(_) => Cow::Borrowed("(certificates in PEM)"),
    }
}
