//! Whose fault a failed delivery is: the one table from phases and replies to `DeliveryError` (design, section 8).
//!
//! | phase | refused by the relay | connection lost, deadline, no SMTP |
//! | --- | --- | --- |
//! | any but the final dot, 421 | relay | |
//! | name, connect, greeting, EHLO, STARTTLS, TLS, AUTH | relay | relay |
//! | MAIL | relay; never for SIZE (552, x.3.4, 5.2.3) and SMTPUTF8 (5.6.7) | relay |
//! | RCPT | later; by policy for 530, 5.7.x and relaying denied, greylisted for 45x; other 5xx never | later |
//! | DATA | relay | later |
//! | final dot | later, also 421; greylisted for 45x; 5xx never | later, perhaps it was taken |
//!
//! A relay's fault is permanent, that is a matter of configuration, with 5xx, TLS that fails, or no usable login.
//! An address of ours that cannot be a sender, or not at a relay without SMTPUTF8, is configuration too; a recipient that
//! cannot be one is never.
//!
//! A 421 at the final dot is `later`, since the letter's content may have caused it: blamed on the relay, one such
//! letter would keep its attempts for ever and hold up all others.

use regain_core::mailer::LaterKind;
use regain_smtp::{Cause, EnhancedCode, Phase};

/// The extension that an address beyond ASCII before its `@` needs.
const SMTPUTF8: &str = "SMTPUTF8";

/// What a failure says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The relay is at fault.
    Relay {
        /// Whether only an operator can help.
        permanent: bool,
    },
    /// This letter again later.
    Later(LaterKind),
    /// This letter never.
    Never,
}

/// Whose fault a delivery is that failed in this phase for this cause.
pub fn fault(phase: Phase, cause: &Cause) -> Fault {
    match cause {
        Cause::Refused(reply)
            if phase == Phase::Rcpt && denies_relaying(reply.code(), reply.enhanced(), reply.text()) =>
        {
            Fault::Later(LaterKind::Policy)
        }
        Cause::Refused(reply) => refused(phase, reply.code(), reply.enhanced()),
        // The sender is the same for every letter.
        Cause::InvalidEnvelope(_) | Cause::Unsupported(SMTPUTF8) if phase == Phase::Mail => {
            Fault::Relay { permanent: true }
        }
        Cause::InvalidEnvelope(_) | Cause::Unsupported(_) | Cause::TooLarge { .. } => Fault::Never,
        // The relay did nothing wrong.
        Cause::NotBegun | Cause::HeldBack => Fault::Later(LaterKind::Other),
        Cause::PoolClosed | Cause::QueueFull => Fault::Relay { permanent: false },
        Cause::Tls(_) | Cause::TlsUnavailable | Cause::AuthUnavailable if is_before_rcpt(phase) => {
            Fault::Relay { permanent: true }
        }
        Cause::TimedOut
        | Cause::Closed
        | Cause::Io(_)
        | Cause::Protocol(_)
        | Cause::Tls(_)
        | Cause::TlsUnavailable
        | Cause::AuthUnavailable => {
            if is_before_rcpt(phase) {
                Fault::Relay { permanent: false }
            } else if phase == Phase::FinalDot {
                Fault::Later(LaterKind::Unknown)
            } else {
                Fault::Later(LaterKind::Lost)
            }
        }
    }
}

fn refused(phase: Phase, code: u16, enhanced: Option<EnhancedCode>) -> Fault {
    let relay = Fault::Relay { permanent: code >= 500 };
    let says = |class, subject, detail| enhanced == Some(EnhancedCode { class, subject, detail });
    match phase {
        Phase::FinalDot => by_class(code),
        _ if code == 421 => Fault::Relay { permanent: false },
        Phase::Mail => {
            let too_large = code == 552 || says(5, 3, 4) || says(5, 2, 3);
            if too_large || says(5, 6, 7) { Fault::Never } else { relay }
        }
        Phase::Rcpt => {
            let by_policy = enhanced.is_some_and(|code| code.class == 5 && code.subject == 7);
            if code == 530 || by_policy { Fault::Later(LaterKind::Policy) } else { by_class(code) }
        }
        Phase::Resolve
        | Phase::Connect
        | Phase::Greeting
        | Phase::Ehlo
        | Phase::StartTls
        | Phase::Tls
        | Phase::Auth
        | Phase::Data => relay,
    }
}

/// Whether a refused recipient is one that the relay does not relay to for us, which says nothing about the recipient.
/// Servers say so in words alone: Exim with a bare 550, Postfix with 454 4.7.1, the code of its greylisting. What has an
/// `@` is passed over, since it is the recipient's address, which may hold any word.
fn denies_relaying(code: u16, enhanced: Option<EnhancedCode>, text: &str) -> bool {
    if code == 421 || enhanced.is_some_and(|code| code.subject != 7) {
        return false;
    }
    let mut words = text
        .split_whitespace()
        .filter(|word| !word.contains('@'))
        .map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
    words.any(|word| ["relay", "relaying"].iter().any(|denied| word.eq_ignore_ascii_case(denied)))
}

fn by_class(code: u16) -> Fault {
    match code {
        500.. => Fault::Never,
        450..=459 => Fault::Later(LaterKind::Greylisted),
        _ => Fault::Later(LaterKind::Other),
    }
}

fn is_before_rcpt(phase: Phase) -> bool {
    phase < Phase::Rcpt
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    const TEMPORARY: Fault = Fault::Relay { permanent: false };
    const PERMANENT: Fault = Fault::Relay { permanent: true };
    const GREYLISTED: Fault = Fault::Later(LaterKind::Greylisted);
    const POLICY: Fault = Fault::Later(LaterKind::Policy);
    const OTHER: Fault = Fault::Later(LaterKind::Other);
    const UNKNOWN: Fault = Fault::Later(LaterKind::Unknown);
    const LOST: Fault = Fault::Later(LaterKind::Lost);

    const EARLY: [Phase; 7] = [
        Phase::Resolve,
        Phase::Connect,
        Phase::Greeting,
        Phase::Ehlo,
        Phase::StartTls,
        Phase::Tls,
        Phase::Auth,
    ];

    fn said(phase: Phase, code: u16, enhanced: &str) -> Fault {
        let mut numbers = enhanced.split('.').filter_map(|number| number.parse::<u16>().ok());
        let enhanced = match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(class), Some(subject), Some(detail)) => {
                Some(EnhancedCode { class: u8::try_from(class).unwrap(), subject, detail })
            }
            _ => None,
        };
        refused(phase, code, enhanced)
    }

    #[test]
    fn a_refusal_before_the_recipient_and_of_data_is_the_relays() {
        for phase in EARLY.into_iter().chain([Phase::Mail, Phase::Data]) {
            assert_eq!(said(phase, 421, ""), TEMPORARY, "{phase}");
            assert_eq!(said(phase, 451, "4.3.0"), TEMPORARY, "{phase}");
            assert_eq!(said(phase, 554, "5.7.1"), PERMANENT, "{phase}");
            assert_eq!(said(phase, 535, ""), PERMANENT, "{phase}");
        }
        assert_eq!(said(Phase::Mail, 553, "5.7.1"), PERMANENT);
        assert_eq!(said(Phase::Mail, 452, "4.3.1"), TEMPORARY);
        assert_eq!(said(Phase::Data, 552, ""), PERMANENT);
    }

    #[test]
    fn a_mail_that_is_too_large_or_needs_smtputf8_never_goes() {
        for (code, enhanced) in
            [(552, ""), (552, "5.3.4"), (554, "5.3.4"), (550, "5.2.3"), (553, "5.6.7"), (550, "5.6.7")]
        {
            assert_eq!(said(Phase::Mail, code, enhanced), Fault::Never, "{code} {enhanced}");
        }
    }

    #[test]
    fn a_refused_recipient_is_put_off_or_given_up() {
        for (code, enhanced, fault) in [
            (530, "", POLICY),
            (530, "5.7.0", POLICY),
            (550, "5.7.1", POLICY),
            (554, "5.7.1", POLICY),
            (450, "4.2.0", GREYLISTED),
            (451, "4.7.1", GREYLISTED),
            (452, "4.2.2", GREYLISTED),
            (421, "4.7.0", TEMPORARY),
            (432, "", OTHER),
            (550, "5.1.1", Fault::Never),
            (550, "", Fault::Never),
            (552, "5.2.2", Fault::Never),
            (501, "5.1.3", Fault::Never),
        ] {
            assert_eq!(said(Phase::Rcpt, code, enhanced), fault, "{code} {enhanced}");
        }
    }

    #[test]
    fn relaying_denied_is_known_by_its_words() {
        let security = |class| Some(EnhancedCode { class, subject: 7, detail: 1 });
        let no_such_user = Some(EnhancedCode { class: 5, subject: 1, detail: 1 });
        for (code, enhanced, text) in [
            (550, None, "relay not permitted"),
            (513, None, "Relaying denied."),
            (454, security(4), "<ann@example.org>: Relay access denied"),
            (554, security(5), "<ann@example.org>: Relay access denied"),
            (550, None, "We do not relay: log in first"),
        ] {
            assert!(denies_relaying(code, enhanced, text), "{code} {text}");
        }
        for (code, enhanced, text) in [
            (421, None, "no relaying today"),
            (550, None, "no such user"),
            (550, no_such_user, "User unknown in relay recipient table"),
            (450, security(4), "<ann@relay>: Recipient address rejected: Greylisted"),
            (550, None, "mx1.relay.example: mailbox unavailable"),
            (550, None, ""),
        ] {
            assert!(!denies_relaying(code, enhanced, text), "{code} {text}");
        }
    }

    #[test]
    fn a_refused_message_is_put_off_or_given_up() {
        for (code, enhanced, fault) in [
            (451, "4.3.0", GREYLISTED),
            (452, "", GREYLISTED),
            (421, "4.3.2", OTHER),
            (442, "", OTHER),
            (550, "5.7.1", Fault::Never),
            (554, "5.6.0", Fault::Never),
            (552, "5.3.4", Fault::Never),
        ] {
            assert_eq!(said(Phase::FinalDot, code, enhanced), fault, "{code} {enhanced}");
        }
    }

    #[test]
    fn a_lost_connection_is_the_relays_until_a_recipient_is_named() {
        for cause in [
            Cause::TimedOut,
            Cause::Closed,
            Cause::Io(ErrorKind::ConnectionReset),
            Cause::Protocol("its reply does not begin with a code"),
        ] {
            for phase in EARLY.into_iter().chain([Phase::Mail]) {
                assert_eq!(fault(phase, &cause), TEMPORARY, "{phase}: {cause}");
            }
            for phase in [Phase::Rcpt, Phase::Data] {
                assert_eq!(fault(phase, &cause), LOST, "{phase}: {cause}");
            }
            assert_eq!(fault(Phase::FinalDot, &cause), UNKNOWN, "{cause}");
        }
    }

    #[test]
    fn tls_and_logins_that_cannot_work_are_for_the_operator() {
        assert_eq!(fault(Phase::Tls, &Cause::Tls("expired".to_owned())), PERMANENT);
        assert_eq!(fault(Phase::StartTls, &Cause::TlsUnavailable), PERMANENT);
        assert_eq!(fault(Phase::Auth, &Cause::AuthUnavailable), PERMANENT);
        assert_eq!(fault(Phase::FinalDot, &Cause::Tls("bad record".to_owned())), UNKNOWN);
    }

    #[test]
    fn an_envelope_is_the_letters_where_it_names_the_recipient() {
        assert_eq!(fault(Phase::Rcpt, &Cause::InvalidEnvelope("x")), Fault::Never);
        assert_eq!(fault(Phase::Mail, &Cause::InvalidEnvelope("x")), PERMANENT);
        assert_eq!(fault(Phase::Mail, &Cause::Unsupported("SMTPUTF8")), PERMANENT);
        assert_eq!(fault(Phase::Rcpt, &Cause::Unsupported("SMTPUTF8")), Fault::Never);
        assert_eq!(fault(Phase::Mail, &Cause::TooLarge { limit: 1000 }), Fault::Never);
        assert_eq!(fault(Phase::Connect, &Cause::PoolClosed), TEMPORARY);
    }
}
