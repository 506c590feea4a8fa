//! Whether the processes over one database work with the same keys: what a process offers, what the database remembers,
//! and what comes of it. Holds fingerprints alone, never a key.
//!
//! Invariant: whoever starts knows the key that is in force, and nobody works with a key that a process which has started
//! since does not know.

use std::fmt;

use crate::token::sha256;

/// More keys of a kind are not remembered: those that were in force longest ago are forgotten first.
const MOST_REMEMBERED: usize = 32;

/// Names a key and gives nothing of it away: the first 8 bytes of SHA-256 over the id of a token key, or over the public
/// half of a signing key (SubjectPublicKeyInfo DER). Shown as 16 hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyFingerprint([u8; 8]);

impl KeyFingerprint {
    /// The fingerprint of what names a key.
    pub fn of(public: &[u8]) -> Self {
        let mut first = [0; 8];
        first.copy_from_slice(&sha256(public)[..8]);
        Self(first)
    }

    /// Reads the 16 hex digits; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = text.len() == 16 && text.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'));
        is_hex.then(|| u64::from_str_radix(text, 16).ok())?.map(|number| Self(number.to_be_bytes()))
    }
}

impl fmt::Display for KeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

/// The two kinds of keys on which processes must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// Derives the tokens of links.
    Token,
    /// Signs sessions.
    Signing,
}

impl KeyKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Token, Self::Signing];

    /// What it is called in the database: a row of `meta`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token_key",
            Self::Signing => "signing_key",
        }
    }
}

/// The keys of one kind that a process has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedKeys {
    /// The one that it works with; `None` where it would have to make one.
    pub current: Option<KeyFingerprint>,
    /// Others that it knows: whose links and sessions it takes as well.
    pub others: Vec<KeyFingerprint>,
}

/// All keys that a process has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyOffer {
    /// Those that derive tokens.
    pub token: OfferedKeys,
    /// Those that sign sessions.
    pub signing: OfferedKeys,
}

impl KeyOffer {
    /// The keys of that kind.
    pub fn of(&self, kind: KeyKind) -> &OfferedKeys {
        match kind {
            KeyKind::Token => &self.token,
            KeyKind::Signing => &self.signing,
        }
    }
}

/// What a process wants of [`Store::agree_on_keys`](crate::Store::agree_on_keys).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyIntent {
    /// To learn what would come of [`KeyIntent::Agree`]. Nothing is written.
    Ask,
    /// To start: what is remembered follows where it may. Nothing is written where either kind is refused.
    Agree,
    /// To put these keys in force whatever is remembered: for an operator who has lost the others.
    Replace,
}

/// How a process stands to the others with its keys of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyStanding {
    /// The first that was ever offered here, and so the one in force.
    First,
    /// The one in force.
    Same,
    /// A new one took the place of `from`, which the process still takes.
    Turned {
        /// The one that was in force.
        from: KeyFingerprint,
    },
    /// It works with one that was in force before, and knows the one that is: it is yet to be turned.
    Behind {
        /// The one in force.
        in_force: KeyFingerprint,
    },
    /// Refused: it does not know the one in force.
    Unknown {
        /// The one in force.
        in_force: KeyFingerprint,
    },
    /// Refused: its own was in force before, and the others do not take it any more.
    Ended {
        /// The one in force.
        in_force: KeyFingerprint,
    },
    /// It was put in force in place of `from`, as was asked for.
    Replaced {
        /// The one that was in force.
        from: KeyFingerprint,
    },
}

impl KeyStanding {
    /// Whether the process would disagree with the others.
    pub fn is_refused(self) -> bool {
        matches!(self, Self::Unknown { .. } | Self::Ended { .. })
    }
}

/// How a process stands to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyAgreement {
    /// With its token keys.
    pub token: KeyStanding,
    /// With its signing keys.
    pub signing: KeyStanding,
}

impl KeyAgreement {
    /// The standing of that kind.
    pub fn of(&self, kind: KeyKind) -> KeyStanding {
        match kind {
            KeyKind::Token => self.token,
            KeyKind::Signing => self.signing,
        }
    }

    /// Whether either kind is refused.
    pub fn is_refused(&self) -> bool {
        self.token.is_refused() || self.signing.is_refused()
    }
}

/// What a database remembers of the keys of one kind: which is in force, which were before and are still taken by every
/// process that has started since, and which are not any more.
///
/// Kept as one text, such as `a1… +b2… -c3…`: in force, before, ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RememberedKeys {
    in_force: KeyFingerprint,
    /// Newest first; `true` where it has ended.
    before: Vec<(KeyFingerprint, bool)>,
}

impl RememberedKeys {
    /// Reads what [`fmt::Display`] has written; `None` for anything else.
    pub fn from_stored(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let in_force = KeyFingerprint::parse(words.next()?)?;
        let one = |word: &str| match word.split_at_checked(1)? {
            ("+", key) => Some((KeyFingerprint::parse(key)?, false)),
            ("-", key) => Some((KeyFingerprint::parse(key)?, true)),
            _ => None,
        };
        words.map(one).collect::<Option<_>>().map(|before| Self { in_force, before })
    }

    /// With this key in force. Of those that were in force before, the ones that the process does not take have ended.
    fn with(&self, in_force: KeyFingerprint, takes: impl Fn(&KeyFingerprint) -> bool) -> Self {
        let was = (in_force != self.in_force).then_some((self.in_force, false));
        let before = was.into_iter().chain(self.before.iter().copied()).filter(|(key, _)| *key != in_force);
        let before = before.map(|(key, has_ended)| (key, has_ended || !takes(&key)));
        Self { in_force, before: before.take(MOST_REMEMBERED).collect() }
    }
}

impl fmt::Display for RememberedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.in_force)?;
        for (key, has_ended) in &self.before {
            write!(f, " {}{key}", if *has_ended { '-' } else { '+' })?;
        }
        Ok(())
    }
}

/// Judges the keys of one kind. Answers how the process stands, and what is to be remembered from now on where that
/// changes. The one rule for all stores; what it decides is written in the same transaction, and only where neither
/// kind is refused.
pub fn judge(
    remembered: Option<&RememberedKeys>,
    offered: &OfferedKeys,
    intent: KeyIntent,
) -> (KeyStanding, Option<RememberedKeys>) {
    let Some(remembered) = remembered else {
        let first = |current| RememberedKeys { in_force: current, before: Vec::new() };
        return (KeyStanding::First, offered.current.map(first));
    };
    let in_force = remembered.in_force;
    let (others, knows_it) = (&offered.others, offered.others.contains(&in_force));
    let Some(current) = offered.current else {
        // A key that is yet to be made is none of those that were there.
        return match knows_it {
            true => (KeyStanding::Turned { from: in_force }, None),
            false => (KeyStanding::Unknown { in_force }, None),
        };
    };
    let was = remembered.before.iter().find(|(key, _)| *key == current);
    let (standing, in_force) = match was {
        _ if current == in_force => (KeyStanding::Same, current),
        _ if intent == KeyIntent::Replace => (KeyStanding::Replaced { from: in_force }, current),
        _ if !knows_it => return (KeyStanding::Unknown { in_force }, None),
        None => (KeyStanding::Turned { from: in_force }, current),
        Some((_, false)) => (KeyStanding::Behind { in_force }, in_force),
        Some((_, true)) => return (KeyStanding::Ended { in_force }, None),
    };
    let after = remembered.with(in_force, |key| *key == current || others.contains(key));
    (standing, Some(after).filter(|after| after != remembered))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> KeyFingerprint {
        KeyFingerprint::of(name.as_bytes())
    }

    fn offered(current: &str, others: &[&str]) -> OfferedKeys {
        OfferedKeys { current: Some(key(current)), others: others.iter().map(|name| key(name)).collect() }
    }

    #[test]
    fn a_fingerprint_is_sixteen_hex_digits() {
        // printf abc | sha256sum | cut -c 1-16
        assert_eq!(key("abc").to_string(), "ba7816bf8f01cfea");
        assert_eq!(KeyFingerprint::parse("ba7816bf8f01cfea"), Some(key("abc")));
        for wrong in ["", "ba7816bf8f01cfe", "ba7816bf8f01cfea0", "BA7816BF8F01CFEA", "+a7816bf8f01cfea"] {
            assert_eq!(KeyFingerprint::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_remembered_is_read_back_and_nothing_else_is() {
        let (a, b, c) = (key("a"), key("b"), key("c"));
        let remembered = RememberedKeys { in_force: a, before: vec![(b, false), (c, true)] };
        assert_eq!(remembered.to_string(), format!("{a} +{b} -{c}"));
        assert_eq!(RememberedKeys::from_stored(&remembered.to_string()), Some(remembered));
        for wrong in
            ["", " ", "x", &format!("{a} {b}"), &format!("{a} +x"), &format!("{a} "), &format!("{a} é{b}")]
        {
            assert_eq!(RememberedKeys::from_stored(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_keys_of_many_years_are_not_all_remembered() {
        let (_, mut remembered) = judge(None, &offered("0", &[]), KeyIntent::Agree);
        for year in 1..100 {
            let keys = offered(&year.to_string(), &[&(year - 1).to_string()]);
            let (standing, after) = judge(remembered.as_ref(), &keys, KeyIntent::Agree);
            assert!(matches!(standing, KeyStanding::Turned { .. }), "{year}: {standing:?}");
            remembered = after;
        }
        assert_eq!(remembered.unwrap().before.len(), MOST_REMEMBERED);
    }
}
