//! Owns which ways to log in there are, which is preferred, and the arithmetic of CRAM-MD5. It must not talk.

use hmac::{Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use zeroize::Zeroizing;

use crate::AuthMethod;

/// In the order of preference: one round trip before two; CRAM-MD5 late, because a relay that offers it must keep the
/// password in a form as good as clear; XOAUTH2 last, because it wants a token where all others want a password.
const PREFERRED: [AuthMethod; 4] =
    [AuthMethod::Plain, AuthMethod::Login, AuthMethod::CramMd5, AuthMethod::XOAuth2];

/// The mechanisms that a relay offers and this client knows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::session) struct Mechanisms(Vec<AuthMethod>);

impl Mechanisms {
    /// Notes a word of an AUTH line, in any letter case; unknown ones are passed over.
    pub(in crate::session) fn add(&mut self, word: &str) {
        self.0.extend(PREFERRED.iter().find(|method| word.eq_ignore_ascii_case(method.as_str())));
    }

    /// The one to use. The order in which the relay lists them does not matter.
    pub(super) fn best(&self) -> Option<AuthMethod> {
        PREFERRED.into_iter().find(|method| self.0.contains(method))
    }
}

/// HMAC-MD5 (RFC 2104) in lower-case hex.
pub(crate) fn hmac_md5(password: &str, challenge: &[u8]) -> Zeroizing<String> {
    use std::fmt::Write as _;

    let mut hex = Zeroizing::new(String::with_capacity(32));
    // A key of any length will do, so the error cannot happen.
    let Ok(mut mac) = Hmac::<Md5>::new_from_slice(password.as_bytes()) else { return hex };
    mac.update(challenge);
    for byte in mac.finalize().into_bytes() {
        let _infallible = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_md5_is_that_of_the_rfc() {
        // RFC 2195, section 2.
        let challenge = b"<1896.697170952@postoffice.reston.mci.net>";
        assert_eq!(*hmac_md5("tanstaaftanstaaf", challenge), "b913a602c7eda7a495b4e6e7334d3890");
        // RFC 2202, section 2, case 2.
        assert_eq!(*hmac_md5("Jefe", b"what do ya want for nothing?"), "750c783e6ab0b503eaa86e310a5db738");
    }

    #[test]
    fn the_relays_order_does_not_matter_and_what_is_unknown_is_passed_over() {
        let best = |line: &str| {
            let mut mechanisms = Mechanisms::default();
            line.split(' ').for_each(|word| mechanisms.add(word));
            mechanisms.best()
        };
        assert_eq!(best("XOAUTH2 CRAM-MD5 LOGIN PLAIN"), Some(AuthMethod::Plain));
        assert_eq!(best("NTLM xoauth2 cram-md5 login"), Some(AuthMethod::Login));
        assert_eq!(best("XOAUTH2 CRAM-MD5"), Some(AuthMethod::CramMd5));
        assert_eq!(best("XOAUTH2"), Some(AuthMethod::XOAuth2));
        assert_eq!(best("GSSAPI NTLM"), None);
    }
}
