//! Owns what may stand between `<` and `>` in MAIL and RCPT. Anything that could be read as more than one
//! address, or as another command, is refused before a byte is sent.

use std::fmt;

use crate::{Cause, Phase, SendError};

/// A path may be 256 octets long with its brackets (RFC 5321 section 4.5.3.1.3).
const LONGEST_ADDRESS: usize = 254;

/// Whom a message comes from and whom it is for, as said to the relay. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The sender's address, `local@domain`, in ASCII.
    pub from: String,
    /// The recipient's address, `local@domain`, in ASCII.
    pub to: String,
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope").finish_non_exhaustive()
    }
}

impl Envelope {
    pub(crate) fn check(&self) -> Result<(), SendError> {
        for (phase, address) in [(Phase::Mail, &self.from), (Phase::Rcpt, &self.to)] {
            check(address).map_err(|reason| SendError::new(phase, Cause::InvalidEnvelope(reason)))?;
        }
        Ok(())
    }
}

fn check(address: &str) -> Result<(), &'static str> {
    if address.len() > LONGEST_ADDRESS {
        return Err("it is longer than 254 bytes");
    }
    if !address.is_ascii() {
        return Err("letters beyond ASCII need SMTPUTF8, which is not supported");
    }
    if !address.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>')) {
        return Err("it contains a space, a bracket or a control character");
    }
    match address.rsplit_once('@') {
        Some((local, domain)) if !local.is_empty() && !domain.is_empty() => Ok(()),
        _ => Err("it is not of the form local@domain"),
    }
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
            "a@b\u{10d}\u{10a}",
            "ä@b.co",
        ] {
            let to = Envelope { from: "a@b.co".into(), to: address.into() };
            assert_eq!(to.check().expect_err(address).phase(), Phase::Rcpt);
            let from = Envelope { from: address.into(), to: "a@b.co".into() };
            let error = from.check().expect_err(address);
            assert_eq!((error.phase(), error.code()), (Phase::Mail, "EENVELOPE"));
        }
        let long = Envelope { from: "a@b.co".into(), to: format!("{}@b.co", "a".repeat(254)) };
        assert!(long.check().is_err());
        assert!(Envelope { from: "a@b.co".into(), to: "o'x+y@[192.0.2.1]".into() }.check().is_ok());
    }
}
