//! Owns what counts as a host: a name in A-labels, an IPv4 address in any notation that has one reading, a
//! bracketed IPv6 address. It must not resolve names.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use percent_encoding::percent_decode_str;

use super::SettingsError;

/// A checked host, normalised as a browser would.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Host {
    Name(String),
    Address { ip: IpAddr, text: String },
}

impl Host {
    pub(super) fn localhost() -> Self {
        Self::name("localhost")
    }

    /// A host name that is known to be one.
    pub(super) fn name(name: &str) -> Self {
        Self::Name(name.to_owned())
    }

    /// The value of an option, where an IPv6 address may stand without brackets.
    pub(super) fn parse_option(text: &str) -> Result<Self, SettingsError> {
        let inside = text.strip_prefix('[').and_then(|behind| behind.strip_suffix(']')).unwrap_or(text);
        match inside.parse::<Ipv6Addr>() {
            Ok(ip) => Ok(Self::address(ip.into())),
            Err(_) => Self::parse(text),
        }
    }

    /// `text` is the host as written; an opening bracket, whose closing one is gone, marks IPv6.
    pub(super) fn parse(text: &str) -> Result<Self, SettingsError> {
        if let Some(inside) = text.strip_prefix('[') {
            let ip: Ipv6Addr =
                inside.parse().map_err(|_| refused("the brackets do not hold an IPv6 address"))?;
            return Ok(Self::address(ip.into()));
        }
        let decoded = percent_decode_str(text)
            .decode_utf8()
            .map_err(|_| refused("its percent-encoding is not UTF-8"))?;
        if decoded.chars().any(char::is_control) {
            return Err(SettingsError::ControlCharacter { place: "the host" });
        }
        let name = to_ascii(&decoded)?;
        match parse_ipv4(&name)? {
            Some(ip) => Ok(Self::address(ip.into())),
            None => check_name(&name).map(|()| Self::Name(name)),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Name(name) => name,
            Self::Address { text, .. } => text,
        }
    }

    pub(super) fn in_url(&self) -> Cow<'_, str> {
        match self {
            Self::Address { ip: IpAddr::V6(_), text } => Cow::Owned(format!("[{text}]")),
            other => Cow::Borrowed(other.as_str()),
        }
    }

    /// `localhost`, 127/8 and `::1`: what never leaves the machine.
    pub(super) fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name == "localhost",
            Self::Address { ip, .. } => ip.is_loopback(),
        }
    }

    fn address(ip: IpAddr) -> Self {
        let text = match ip {
            // Rust alone would write the end in decimal.
            IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
                let [.., high, low] = v6.segments();
                format!("::ffff:{high:x}:{low:x}")
            }
            other => other.to_string(),
        };
        Self::Address { ip, text }
    }
}

fn refused(reason: &'static str) -> SettingsError {
    SettingsError::Host { reason }
}

/// Maps a domain to lower-case A-labels, as browsers do.
fn to_ascii(name: &str) -> Result<String, SettingsError> {
    idna::domain_to_ascii(name).map_err(|_| refused("it is not a domain name that DNS could know"))
}

fn check_name(name: &str) -> Result<(), SettingsError> {
    let labels = name.strip_suffix('.').unwrap_or(name);
    if labels.len() > 253 || labels.split('.').any(|label| label.is_empty() || label.len() > 63) {
        return Err(refused("a name has labels of 1 to 63 characters between its dots, 253 in all"));
    }
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !name.bytes().all(plain) {
        return Err(refused("a name has letters, digits, hyphens and dots only"));
    }
    Ok(())
}

/// Reads an IPv4 address the way browsers do (`127.1`, `0x7f.1`, `2130706433`). `None`: it is a name, its
/// last label is not a number. Parts with leading zeros are octal to some programs and decimal to others.
fn parse_ipv4(name: &str) -> Result<Option<Ipv4Addr>, SettingsError> {
    let parts: Vec<&str> = name.strip_suffix('.').unwrap_or(name).split('.').collect();
    let numeric = |part: &str| {
        let hex = part.strip_prefix("0x").is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()));
        hex || (!part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if !parts.last().is_some_and(|last| numeric(last)) {
        return Ok(None);
    }
    let unclear = || refused("it ends like an IPv4 address but is none: write four numbers from 0 to 255");
    if parts.len() > 4 {
        return Err(unclear());
    }
    let mut numbers = Vec::with_capacity(4);
    for part in &parts {
        numbers.push(parse_part(part)?.ok_or_else(unclear)?);
    }
    let last = numbers.pop().ok_or_else(unclear)?;
    let room = 8 * (4 - u32::try_from(numbers.len()).unwrap_or(4));
    if numbers.iter().any(|&number| number > 255) || last >= 1u64 << room {
        return Err(unclear());
    }
    let high = numbers.iter().zip([24u32, 16, 8]).fold(0u64, |sum, (number, shift)| sum | number << shift);
    Ok(u32::try_from(high | last).ok().map(Ipv4Addr::from))
}

fn parse_part(part: &str) -> Result<Option<u64>, SettingsError> {
    if let Some(hex) = part.strip_prefix("0x") {
        return Ok(if hex.is_empty() { Some(0) } else { u64::from_str_radix(hex, 16).ok() });
    }
    if part.len() > 1 && part.starts_with('0') {
        return Err(refused("an IPv4 address with leading zeros has two readings: leave the zeros out"));
    }
    Ok(part.parse().ok())
}
