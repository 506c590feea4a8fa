//! Owns how the value of an option is read: as nodemailer reads it where it has one clear meaning. It must not know
//! what the option does. No refusal repeats the value.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};

use super::services::{self, Service};
use super::{AuthMethod, SettingsError, TlsCa, TlsVersion};

/// What a number may be at most, and the words for it.
pub(super) struct Limit {
    most: u32,
    expected: &'static str,
}

/// More connections than this to one relay are a typing mistake.
pub(super) const CONNECTIONS: Limit = Limit { most: 1_000, expected: "takes a whole number from 1 to 1000" };
/// Messages, of one connection or in one step of time.
pub(super) const MESSAGES: Limit =
    Limit { most: 1_000_000, expected: "takes a whole number from 1 to 1000000" };
/// The longest time that Node has timers for.
pub(super) const MILLISECONDS: Limit = Limit {
    most: i32::MAX.unsigned_abs(),
    expected: "takes a whole number of milliseconds from 1 to 2147483647",
};
pub(super) const PORT: Limit = Limit { most: 65_535, expected: "takes a whole number from 1 to 65535" };

pub(super) fn boolean(option: &'static str, value: &str) -> Result<bool, SettingsError> {
    match value {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(SettingsError::Value { option, expected: "takes `true` or `false`" }),
    }
}

/// A number as JavaScript's `Number` reads it (`10`, `0x10`, `1e1`). `None`: zero, which means the default.
pub(super) fn number(
    option: &'static str,
    value: &str,
    limit: &Limit,
) -> Result<Option<NonZeroU32>, SettingsError> {
    let refused = SettingsError::Value { option, expected: limit.expected };
    match whole(value.trim_matches(' ')).filter(|&number| number <= limit.most) {
        Some(number) => Ok(NonZeroU32::new(number)),
        None => Err(refused),
    }
}

pub(super) fn milliseconds(option: &'static str, value: &str) -> Result<Option<Duration>, SettingsError> {
    let number = number(option, value, &MILLISECONDS)?;
    Ok(number.map(|number| Duration::from_millis(number.get().into())))
}

pub(super) fn server_name(option: &'static str, value: &str) -> Result<String, SettingsError> {
    let refused = || SettingsError::Value { option, expected: "takes a host name or an IP address" };
    if let Ok(ip) = value.parse::<IpAddr>() {
        return Ok(ip.to_string());
    }
    let name = idna::domain_to_ascii(value).map_err(|_| refused())?;
    ServerName::try_from(name.as_str()).map_err(|_| refused())?;
    Ok(name)
}

/// The EHLO name goes out as written, so it must not be able to end the line or to look like two words.
pub(super) fn ehlo_name(option: &'static str, value: &str) -> Result<String, SettingsError> {
    if value.is_empty() || value.len() > 255 || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        let expected = "takes the domain name of this machine, without spaces, in ASCII";
        return Err(SettingsError::Value { option, expected });
    }
    Ok(value.to_owned())
}

pub(super) fn address(option: &'static str, value: &str) -> Result<IpAddr, SettingsError> {
    value
        .parse()
        .map_err(|_| SettingsError::Value { option, expected: "takes an IP address of this machine" })
}

pub(super) fn auth_method(option: &'static str, value: &str) -> Result<AuthMethod, SettingsError> {
    let name = value.trim_matches(' ');
    let known = AuthMethod::ALL.into_iter().find(|method| method.as_str().eq_ignore_ascii_case(name));
    known.ok_or(SettingsError::Value { option, expected: "takes PLAIN, LOGIN, CRAM-MD5 or XOAUTH2" })
}

pub(super) fn tls_version(option: &'static str, value: &str) -> Result<TlsVersion, SettingsError> {
    match value {
        "TLSv1.2" => Ok(TlsVersion::Tls12),
        "TLSv1.3" => Ok(TlsVersion::Tls13),
        "TLSv1" | "TLSv1.1" => Err(SettingsError::Value {
            option,
            expected: "takes TLSv1.2 or TLSv1.3, older versions are broken and not supported",
        }),
        _ => Err(SettingsError::Value { option, expected: "takes TLSv1.2 or TLSv1.3" }),
    }
}

/// nodemailer takes the certificates themselves; a URL has more room for the path of their file.
pub(super) fn authorities(option: &'static str, value: &str) -> Result<TlsCa, SettingsError> {
    let refused = |expected| SettingsError::Value { option, expected };
    if value.trim_start().starts_with("-----BEGIN") {
        return if holds_certificates(value) {
            Ok(TlsCa::Pem(value.to_owned()))
        } else {
            Err(refused(
                "holds no certificates in PEM: write %0A for a line break and %2B for a plus, or the path of a file",
            ))
        };
    }
    if value.is_empty() || value.chars().any(char::is_control) {
        return Err(refused("takes the path of a file of certificates in PEM, or their text"));
    }
    Ok(TlsCa::File(value.into()))
}

fn holds_certificates(pem: &str) -> bool {
    // A space was a plus before the query was decoded, and without it the rest is another certificate.
    let whole = pem.lines().all(|line| line.starts_with("-----") || !line.trim_end().contains(' '));
    let mut store = RootCertStore::empty();
    let good = CertificateDer::pem_slice_iter(pem.as_bytes())
        .all(|certificate| certificate.is_ok_and(|certificate| store.add(certificate).is_ok()));
    whole && good && !store.is_empty()
}

pub(super) fn service(_option: &'static str, value: &str) -> Result<&'static Service, SettingsError> {
    services::find(value)
        .ok_or_else(|| SettingsError::UnknownService { suggestion: services::nearest(value) })
}

fn whole(text: &str) -> Option<u32> {
    for (prefixes, radix) in [(["0x", "0X"], 16), (["0o", "0O"], 8), (["0b", "0B"], 2)] {
        if let Some(digits) = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)) {
            // A sign here would be Rust's idea of a number, and not JavaScript's.
            let plain = digits.chars().all(|digit| digit.is_digit(radix));
            return u32::from_str_radix(digits, radix).ok().filter(|_| plain);
        }
    }
    // Kept out: `inf`, `NaN` and whatever else Rust calls a number.
    if !text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-')) {
        return None;
    }
    let number: f64 = text.parse().ok()?;
    let fits = number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number);
    fits.then_some(number as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_javascript_that_are_whole_and_not_negative() {
        for (text, expected) in [
            ("0", 0),
            ("-0", 0),
            ("10", 10),
            ("007", 7),
            ("+5", 5),
            ("5.", 5),
            ("5.0", 5),
            ("1e3", 1000),
            ("1E+3", 1000),
            (".5e1", 5),
            ("0x10", 16),
            ("0XfF", 255),
            ("0o17", 15),
            ("0b101", 5),
            ("4294967295", u32::MAX),
        ] {
            assert_eq!(whole(text), Some(expected), "{text}");
        }
        for text in [
            "",
            " ",
            "-1",
            "1.5",
            "abc",
            "5s",
            "Infinity",
            "inf",
            "NaN",
            "1e99",
            "4294967296",
            "0x",
            "0x+5",
            "0x-5",
            "1_000",
            "1e",
            "e1",
            "--1",
            "٣",
        ] {
            assert_eq!(whole(text), None, "{text}");
        }
    }
}
