//! Owns what a sender's address may be: a dot-atom in ASCII, an `@`, a domain or a domain literal.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::SenderError;

/// Longest address, longest local part, in bytes (RFC 5321 section 4.5.3.1 with erratum 1690 of RFC 3696).
const LONGEST_ADDRESS: usize = 254;
const LONGEST_LOCAL: usize = 64;

/// Checks an address and takes its domain to lower-case A-labels.
pub(super) fn parse(text: &str) -> Result<String, SenderError> {
    let Some((local, domain)) = text.split_once('@') else { return Err(SenderError::NoAddress) };
    if domain.contains('@') {
        return Err(refused("it has more than one `@`"));
    }
    if local.is_empty() || domain.is_empty() {
        return Err(refused("nothing stands before or behind the `@`"));
    }
    check_local(local)?;
    let domain = match domain.strip_prefix('[').and_then(|inside| inside.strip_suffix(']')) {
        Some(inside) => literal(inside)?,
        None => self::domain(domain)?,
    };
    let address = format!("{local}@{domain}");
    if address.len() > LONGEST_ADDRESS {
        return Err(refused("it is longer than 254 bytes"));
    }
    Ok(address)
}

fn refused(reason: &'static str) -> SenderError {
    SenderError::Address { reason }
}

fn check_local(local: &str) -> Result<(), SenderError> {
    if !local.is_ascii() {
        return Err(refused("letters beyond ASCII before the `@` need SMTPUTF8, which is not supported"));
    }
    if local.len() > LONGEST_LOCAL {
        return Err(refused("more than 64 bytes stand before the `@`"));
    }
    // RFC 5322 section 3.2.3, atext.
    let atext = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    if local.split('.').any(|atom| atom.is_empty() || !atom.bytes().all(atext)) {
        return Err(refused(
            "before the `@` only letters, digits, single dots and !#$%&'*+-/=?^_`{|}~ may stand",
        ));
    }
    Ok(())
}

fn domain(text: &str) -> Result<String, SenderError> {
    let invalid = || refused("behind the `@` must stand a domain name");
    let ascii = idna::domain_to_ascii_strict(text).map_err(|_| invalid())?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let fits = |label: &str| !label.is_empty() && label.len() <= 63 && label.bytes().all(plain);
    if ascii.split('.').all(fits) { Ok(ascii) } else { Err(invalid()) }
}

fn literal(inside: &str) -> Result<String, SenderError> {
    let invalid = || refused("the brackets behind the `@` do not hold an IP address");
    match inside.get(..5).filter(|tag| tag.eq_ignore_ascii_case("ipv6:")) {
        Some(tag) => {
            let address: Ipv6Addr = inside[tag.len()..].parse().map_err(|_| invalid())?;
            Ok(format!("[ipv6:{address}]"))
        }
        None => inside.parse::<Ipv4Addr>().map(|address| format!("[{address}]")).map_err(|_| invalid()),
    }
}
