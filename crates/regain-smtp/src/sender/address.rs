//! Owns what a sender's address may be: a dot-atom, an `@`, a domain or a domain literal. A dot-atom beyond ASCII is
//! one of SMTPUTF8 (RFC 6531, RFC 6532 section 3.2).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::SenderError;

/// Longest address, longest local part, in bytes (RFC 5321 section 4.5.3.1 with erratum 1690 of RFC 3696).
const LONGEST_ADDRESS: usize = 254;
const LONGEST_LOCAL: usize = 64;

/// An address that was checked.
pub(super) struct Address {
    /// `local@domain`. The domain is in lower-case A-labels; behind a local part beyond ASCII, which needs SMTPUTF8 in
    /// any case, it is in U-labels.
    pub(super) text: String,
    /// The domain as DNS knows it, in A-labels.
    pub(super) domain: String,
}

pub(super) fn parse(text: &str) -> Result<Address, SenderError> {
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
    let shown = if local.is_ascii() { domain.clone() } else { idna::domain_to_unicode(&domain).0 };
    let text = format!("{local}@{shown}");
    if text.len() > LONGEST_ADDRESS {
        return Err(refused("it is longer than 254 bytes"));
    }
    Ok(Address { text, domain })
}

fn refused(reason: &'static str) -> SenderError {
    SenderError::Address { reason }
}

fn check_local(local: &str) -> Result<(), SenderError> {
    if local.len() > LONGEST_LOCAL {
        return Err(refused("more than 64 bytes stand before the `@`"));
    }
    if local.starts_with('"') {
        return Err(refused("a part in quotes before the `@` is not supported, no relay needs one"));
    }
    // RFC 5322 section 3.2.3, atext; RFC 6532 adds everything beyond ASCII, of which nobody sees white space and what
    // does not show.
    let atext = |letter: char| {
        letter.is_ascii_alphanumeric()
            || "!#$%&'*+-/=?^_`{|}~".contains(letter)
            || !(letter.is_ascii() || letter.is_whitespace() || letter.is_control() || is_invisible(letter))
    };
    if local.split('.').any(|atom| atom.is_empty() || !atom.chars().all(atext)) {
        return Err(refused(
            "before the `@` only letters, digits, single dots and !#$%&'*+-/=?^_`{|}~ may stand",
        ));
    }
    Ok(())
}

/// Marks of direction and joiners, which make two addresses look like one, and what stands for no character.
fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff0}'..='\u{fffd}' | '\u{e0000}'..='\u{e0fff}')
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
    // Kept as written but for upper case, as in nodemailer.
    let lower = inside.to_ascii_lowercase();
    let valid = match lower.strip_prefix("ipv6:") {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => lower.parse::<Ipv4Addr>().is_ok(),
    };
    if valid { Ok(format!("[{lower}]")) } else { Err(invalid()) }
}
