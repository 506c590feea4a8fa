//! Owns what may stand between `<` and `>` in MAIL and RCPT. Anything that could be read as more than one
//! address, or as another command, is refused before a byte is sent.

use std::fmt;

use crate::{Cause, Phase, SendError};

/// A path may be 256 octets long with its brackets (RFC 5321 section 4.5.3.1.3).
const LONGEST_ADDRESS: usize = 254;

/// Whom a message comes from and whom it is for, as said to the relay. `Debug` shows neither.
///
/// A domain beyond ASCII goes out in A-labels. A local part beyond ASCII needs a relay that offers SMTPUTF8
/// (RFC 6531); at any other the message is refused with [`Cause::Unsupported`] before MAIL is said.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The sender's address, `local@domain`.
    pub from: String,
    /// The recipient's address, `local@domain`.
    pub to: String,
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope").finish_non_exhaustive()
    }
}

impl Envelope {
    /// Checks both addresses and brings them into the form in which they go out.
    pub(crate) fn paths(&self) -> Result<Paths, SendError> {
        let [from, to] = [(Phase::Mail, &self.from), (Phase::Rcpt, &self.to)]
            .map(|(phase, address)| path(address).map_err(|why| refused(phase, why)));
        Ok(Paths { from: from?, to: to? })
    }
}

fn refused(phase: Phase, reason: &'static str) -> SendError {
    SendError::new(phase, Cause::InvalidEnvelope(reason))
}

/// An envelope that was checked: its addresses can stand in a command as they are.
pub(crate) struct Paths {
    pub(super) from: String,
    pub(super) to: String,
}

impl Paths {
    /// The phase that would say an address beyond ASCII first; `None` where SMTPUTF8 is not needed.
    pub(super) fn international(&self) -> Option<Phase> {
        let first = [(Phase::Mail, &self.from), (Phase::Rcpt, &self.to)];
        first.into_iter().find(|(_, path)| !path.is_ascii()).map(|(phase, _)| phase)
    }
}

fn path(address: &str) -> Result<String, &'static str> {
    if address.len() > LONGEST_ADDRESS {
        return Err("it is longer than 254 bytes");
    }
    let unfit = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>');
    if address.contains(unfit) {
        return Err("it contains a space, a bracket or a control character");
    }
    let (local, domain) = match address.rsplit_once('@') {
        Some((local, domain)) if !local.is_empty() && !domain.is_empty() => (local, domain),
        _ => return Err("it is not of the form local@domain"),
    };
    if domain.is_ascii() {
        return Ok(address.to_owned());
    }
    // The strict mapping, because a full-width bracket would otherwise become one that ends the path.
    let ascii = idna::domain_to_ascii_strict(domain)
        .map_err(|_| "its domain is not a domain name that DNS could know")?;
    let path = if local.is_ascii() {
        format!("{local}@{ascii}")
    } else {
        format!("{local}@{}", idna::domain_to_unicode(&ascii).0)
    };
    if path.len() > LONGEST_ADDRESS { Err("it is longer than 254 bytes") } else { Ok(path) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_could_become_a_command_is_refused() {
        for address in [
            "",
            "@",
            "a@",
            "@b",
            "a",
            "a@b\r\nRCPT TO:<x@y>",
            "a@b\n",
            "a@b\0",
            "a b@c",
            "<a@b>",
            "a@b>",
            "a\u{85}b@c.co",
            "a\u{2028}b@c.co",
            "a@b\u{a0}.co",
            "a@b\u{ff1e}.co",
            "a@ä\u{ff20}b.co",
            "a@ä..co",
        ] {
            let to = Envelope { from: "a@b.co".into(), to: address.into() };
            assert_eq!(to.paths().err().expect(address).phase(), Phase::Rcpt);
            let from = Envelope { from: address.into(), to: "a@b.co".into() };
            let error = from.paths().err().expect(address);
            assert_eq!((error.phase(), error.code()), (Phase::Mail, "EENVELOPE"));
        }
        let long = Envelope { from: "a@b.co".into(), to: format!("{}@b.co", "a".repeat(254)) };
        assert!(long.paths().is_err());
    }

    #[test]
    fn a_domain_goes_out_in_ascii_unless_the_local_part_cannot() {
        for (written, sent) in [
            ("o'x+y@[192.0.2.1]", "o'x+y@[192.0.2.1]"),
            ("Ada@Example.org", "Ada@Example.org"),
            ("ada@JÕGEVA.ee", "ada@xn--jgeva-dua.ee"),
            ("ада@Jõgeva.ee", "ада@jõgeva.ee"),
            ("ада@example.org", "ада@example.org"),
        ] {
            assert_eq!(path(written).as_deref(), Ok(sent));
        }
        let to = Envelope { from: "a@b.co".into(), to: "ä@b.co".into() };
        assert_eq!(to.paths().expect("valid").international(), Some(Phase::Rcpt));
        let both = Envelope { from: "ö@b.co".into(), ..to };
        assert_eq!(both.paths().expect("valid").international(), Some(Phase::Mail));
        let neither = Envelope { from: "a@ä.co".into(), to: "a@b.co".into() };
        assert_eq!(neither.paths().expect("valid").international(), None);
    }
}
