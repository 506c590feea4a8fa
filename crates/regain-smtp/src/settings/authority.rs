//! Owns the part of the URL between `//` and the path: login, host and port. It must not put any of it into
//! an error.

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use super::{Host, Login, SettingsError};

/// `user:password@host:port`, taken apart and decoded.
pub(super) struct Authority {
    /// `None`: not written.
    pub(super) host: Option<Host>,
    pub(super) port: Option<u16>,
    pub(super) login: Option<Login>,
}

impl Authority {
    pub(super) fn parse(text: &str) -> Result<Self, SettingsError> {
        // The last `@` counts, so that one in the password does not move the host.
        let (userinfo, host_and_port) = match text.rsplit_once('@') {
            Some((userinfo, rest)) => (Some(userinfo), rest),
            None => (None, text),
        };
        let (host, port) = split_port(host_and_port)?;
        let login = match userinfo {
            Some(userinfo) => parse_login(userinfo)?,
            None => None,
        };
        let host = match host {
            "" if userinfo.is_some() => return Err(SettingsError::HostMissing),
            "" if port == Some("") => {
                return Err(SettingsError::Host {
                    reason: "nothing stands before the colon and nothing behind it",
                });
            }
            "" => None,
            host => Some(Host::parse(host)?),
        };
        Ok(Self { host, port: parse_port(port)?, login })
    }
}

fn parse_login(userinfo: &str) -> Result<Option<Login>, SettingsError> {
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let user = decode(user, "the user")?;
    let password = decode(password, "the password")?;
    if user.is_empty() && password.is_empty() {
        return Ok(None);
    }
    Ok(Some(Login { user: user.to_string(), password }))
}

/// Decodes a component as JavaScript's `decodeURIComponent` does, but a component with a malformed escape is
/// taken as it was written: a password with a stray `%` is a password with a stray `%`.
fn decode(text: &str, place: &'static str) -> Result<Zeroizing<String>, SettingsError> {
    let decoded = match percent_decode_str(text).decode_utf8() {
        Ok(decoded) if well_escaped(text) => Zeroizing::new(decoded.into_owned()),
        _ => Zeroizing::new(text.to_owned()),
    };
    if decoded.chars().any(char::is_control) {
        return Err(SettingsError::ControlCharacter { place });
    }
    Ok(decoded)
}

fn well_escaped(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let mut digits = after.bytes();
        matches!((digits.next(), digits.next()), (Some(a), Some(b)) if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())
    })
}

fn split_port(text: &str) -> Result<(&str, Option<&str>), SettingsError> {
    if text.starts_with('[') {
        let Some((inside, behind)) = text.split_once(']') else {
            return Err(SettingsError::Host { reason: "a bracket is open: write an IPv6 address as [::1]" });
        };
        let host = inside;
        return match behind.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if behind.is_empty() => Ok((host, None)),
            None => Err(SettingsError::Host { reason: "only a port may follow the closing bracket" }),
        };
    }
    match text.split_once(':') {
        Some((_, port)) if port.contains(':') => Err(SettingsError::Host {
            reason: "it has several colons: write an IPv6 address in brackets, [::1]",
        }),
        Some((host, port)) => Ok((host, Some(port))),
        None => Ok((text, None)),
    }
}

/// A missing, empty or zero port means the default one, as in nodemailer.
fn parse_port(text: Option<&str>) -> Result<Option<u16>, SettingsError> {
    match text {
        None | Some("") => Ok(None),
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            let port: u16 = digits.parse().map_err(|_| SettingsError::Port)?;
            Ok((port != 0).then_some(port))
        }
        Some(_) => Err(SettingsError::Port),
    }
}
