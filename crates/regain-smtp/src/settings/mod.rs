//! Owns the meaning of a connection URL (`smtp://user:password@host:port/?option=value`).
//!
//! It follows nodemailer where nodemailer has one clear reading and refuses where it guesses. It must not
//! open connections, and no error that leaves here contains a part of the URL that may be a password.

mod access;
mod authority;
mod error;
mod host;
mod kinds;
mod query;
mod refused;
mod services;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

pub use error::SettingsError;
pub use kinds::{AuthMethod, StartTls, TlsCa, TlsVersion};

use authority::Authority;
use host::Host;
use query::Options;
use services::Service;

/// The port of TLS from the first byte, and that of submission with STARTTLS (RFC 8314).
const PORT_TLS: u16 = 465;
const PORT_SUBMISSION: u16 = 587;

/// A URL longer than this is refused before anything else looks at it.
const LONGEST_URL: usize = 8 * 1024;

/// What a connection URL means: the relay, the login, and the rules for TLS.
///
/// `Debug` shows the URL with the password replaced.
#[derive(Clone)]
pub struct Settings {
    secure: bool,
    host: Host,
    port: u16,
    login: Option<Login>,
    options: Options,
}

/// User and password as they go into the login, already decoded.
#[derive(Clone)]
struct Login {
    user: String,
    password: Zeroizing<String>,
}

impl Settings {
    /// Reads a connection URL. Every refusal says which part or option is wrong and what to write instead.
    pub fn parse(url: &str) -> Result<Self, SettingsError> {
        if url.len() > LONGEST_URL {
            return Err(SettingsError::TooLong { limit: LONGEST_URL });
        }
        let (secure, rest) = split_scheme(url)?;
        if url.chars().any(char::is_control) {
            return Err(SettingsError::ControlCharacter { place: "the URL" });
        }
        let rest = rest.trim_end_matches(' ');
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        // With a third slash, or with only one, the host would count as a path and be lost.
        if rest.starts_with('/') || rest.starts_with('\\') && !rest.contains('@') {
            return Err(SettingsError::HostInPath);
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, tail) = rest.split_at(end);
        // A password with a raw `/`, `?` or `#` ends the authority early, so that its first half would be
        // taken for the port and its second half for an option.
        if has_stray_at(tail) {
            return Err(SettingsError::UnescapedLogin);
        }
        let Authority { host, port, login } = Authority::parse(authority)?;
        let before_fragment = tail.split('#').next().unwrap_or_default();
        let query = before_fragment.split_once('?').map_or("", |(_, query)| query);
        let (options, place) = query::parse(query)?;
        if place.secure.is_some_and(|said| said != secure) {
            return Err(SettingsError::Scheme);
        }
        let settings = Self {
            secure,
            host: one_of(query::HOST, host, place.host)?.unwrap_or_else(Host::localhost),
            port: one_of(query::PORT, port, place.port)?.unwrap_or(default_port(secure)),
            login,
            options,
        };
        Ok(match settings.options.service {
            Some(service) => settings.with_preset(service, port.or(place.port)),
            None => settings,
        })
    }

    /// Puts a service's own values over those of the URL, as nodemailer does; login, pool and certificates stay the
    /// URL's. Where nodemailer would then speak less TLS than the URL asks for or the port stands for, Regain does not:
    /// 465 is TLS from the first byte, and everything else STARTTLS.
    fn with_preset(mut self, service: &Service, own_port: Option<u16>) -> Self {
        let asked_for_tls = self.secure;
        if let Some(host) = service.host {
            self.host = Host::name(host);
        }
        self.secure = match (service.secure, service.port) {
            (Some(secure), _) => secure,
            (None, Some(port)) => port == PORT_TLS,
            (None, None) => self.secure || own_port == Some(PORT_TLS),
        };
        self.port = service.port.or(own_port).unwrap_or(default_port(self.secure));
        let options = &mut self.options;
        options.auth_method = service.auth_method.or(options.auth_method);
        options.require_tls = service.require_tls.or(options.require_tls);
        options.ignore_tls = service.ignore_tls.or(options.ignore_tls);
        if asked_for_tls && !self.secure && self.starttls() != StartTls::Required {
            self.options.require_tls = Some(true);
        }
        self
    }

    /// The URL in one normal form, with `***` for the password.
    pub fn redacted(&self) -> String {
        let scheme = if self.secure { "smtps" } else { "smtp" };
        let login = self.login.as_ref().map_or_else(String::new, |login| {
            if login.password.is_empty() {
                // A user without a password is no login; more often it is a key in the wrong place.
                return "***@".to_owned();
            }
            // Some relays take one secret as both.
            if login.user == *login.password {
                return "***:***@".to_owned();
            }
            format!("{}:***@", utf8_percent_encode(&login.user, USER))
        });
        let host = self.host.in_url();
        let query: Vec<String> = self
            .options
            .written()
            .into_iter()
            .map(|(key, value)| format!("{key}={}", utf8_percent_encode(&value, VALUE)))
            .collect();
        let query = if query.is_empty() { String::new() } else { format!("/?{}", query.join("&")) };
        format!("{scheme}://{login}{host}:{}{query}", self.port)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Settings").field(&self.redacted()).finish()
    }
}

const USER: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
const VALUE: &AsciiSet = &CONTROLS.add(b' ').add(b'&').add(b'+').add(b'%').add(b'#').add(b'@');

fn split_scheme(url: &str) -> Result<(bool, &str), SettingsError> {
    let Some((scheme, rest)) = url.split_once(':') else { return Err(SettingsError::NotAUrl) };
    if scheme.eq_ignore_ascii_case("smtp") {
        Ok((false, rest))
    } else if scheme.eq_ignore_ascii_case("smtps") {
        Ok((true, rest))
    } else if scheme.eq_ignore_ascii_case("direct") {
        Err(SettingsError::Direct)
    } else {
        Err(SettingsError::NotAUrl)
    }
}

/// An `@` has no place behind the host but in `service=me@gmail.com`.
fn has_stray_at(tail: &str) -> bool {
    tail.split(['?', '&', '#']).any(|part| part.contains('@') && !part.starts_with("service="))
}

/// What the URL and an option say of the same thing.
fn one_of<T: PartialEq>(
    option: &'static str,
    url: Option<T>,
    said: Option<T>,
) -> Result<Option<T>, SettingsError> {
    match (url, said) {
        (Some(url), Some(said)) if url != said => Err(SettingsError::Repeated { option }),
        (url, said) => Ok(url.or(said)),
    }
}

fn default_port(secure: bool) -> u16 {
    if secure { PORT_TLS } else { PORT_SUBMISSION }
}
