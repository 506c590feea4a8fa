//! Tokens: the secret in a link, how it is derived, and the hash that is all a store ever sees.

use aws_lc_rs::{digest, hmac};
use zeroize::Zeroizing;

use crate::account::AccountId;
use crate::keys::{KeyFingerprint, OfferedKeys};
use crate::letter::{LetterId, Purpose};
use crate::name::NameKey;
use crate::rng::{self, NoRandomness, Rng};

/// The secret of a link: 32 bytes, 64 lower-case hex digits on the wire. Has no `Debug` and no `Display`.
#[derive(Clone)]
pub struct Token(Zeroizing<[u8; 32]>);

impl Token {
    /// Parses what a client presents; `None` for anything but 64 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = Zeroizing::new([0; 32]);
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Some(Self(bytes))
    }

    /// The 64 hex digits. For the mail alone.
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(rng::hex(&*self.0))
    }

    /// The 32 bytes.
    pub fn to_bytes(&self) -> [u8; 32] {
        *self.0
    }

    /// What the store knows it by: SHA-256 of its 32 bytes.
    pub fn hash(&self) -> TokenHash {
        TokenHash(sha256(&*self.0))
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    out
}

/// SHA-256 of a token. Looking a token up by it needs no comparison of secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TokenHash(pub [u8; 32]);

/// The key that tokens are derived with. Whoever has it and the database can make working links.
#[derive(Clone)]
pub struct TokenKey(Zeroizing<[u8; 32]>);

/// Names a token key without giving it away: the first 8 bytes of HMAC-SHA-256(key, "regain token key id").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenKeyId(pub [u8; 8]);

impl TokenKey {
    /// A new random key.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn random(rng: &dyn Rng) -> Result<Self, NoRandomness> {
        Ok(Self(Zeroizing::new(rng::bytes(rng)?)))
    }

    /// Takes a key from where it is kept.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key itself, to keep it.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Its id, which a letter records when it is armed.
    pub fn id(&self) -> TokenKeyId {
        let mut id = [0; 8];
        id.copy_from_slice(&self.mac(&[b"regain token key id"])[..8]);
        TokenKeyId(id)
    }

    /// What the key is called among processes.
    pub fn fingerprint(&self) -> KeyFingerprint {
        KeyFingerprint::of(&self.id().0)
    }

    /// The token of a letter: the same at every attempt, and nobody else's.
    ///
    /// HMAC-SHA-256 over the length-prefixed purpose, letter id, account id and name key.
    pub fn derive(&self, purpose: Purpose, letter: LetterId, account: &AccountId, name: &NameKey) -> Token {
        let bytes = self.mac(&[
            purpose.as_str().as_bytes(),
            letter.as_bytes(),
            account.as_str().as_bytes(),
            name.as_str().as_bytes(),
        ]);
        Token(Zeroizing::new(bytes))
    }

    fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &*self.0));
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    }
}

/// The key that tokens are derived with, and others by which earlier ones were, or by which other processes derive them:
/// a letter that was armed with one of those gets the same token again.
#[derive(Clone)]
pub struct TokenKeys {
    current: (TokenKeyId, TokenKey),
    others: Vec<(TokenKeyId, TokenKey)>,
}

impl TokenKeys {
    /// Takes the key for new tokens and the others that are known.
    pub fn new(current: TokenKey, others: impl IntoIterator<Item = TokenKey>) -> Self {
        let named = |key: TokenKey| (key.id(), key);
        let current = named(current);
        let others = others.into_iter().map(named).filter(|(id, _)| *id != current.0).collect();
        Self { current, others }
    }

    /// The key for the token of a letter: the one that it was armed with where that is known, else the one for new tokens.
    pub fn of(&self, armed_with: Option<TokenKeyId>) -> (TokenKeyId, &TokenKey) {
        let known = self.others.iter().find(|(id, _)| Some(*id) == armed_with);
        let (id, key) = known.unwrap_or(&self.current);
        (*id, key)
    }

    /// What the keys are called among processes.
    pub fn offered(&self) -> OfferedKeys {
        let fingerprint = |(id, _): &(TokenKeyId, TokenKey)| KeyFingerprint::of(&id.0);
        OfferedKeys {
            current: Some(fingerprint(&self.current)),
            others: self.others.iter().map(fingerprint).collect(),
        }
    }
}

impl From<TokenKey> for TokenKeys {
    /// One key alone.
    fn from(key: TokenKey) -> Self {
        Self::new(key, [])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::CountingRng;

    fn derive(purpose: Purpose, letter: u8, account: &str, name: &str) -> String {
        let key = TokenKey::from_bytes([7; 32]);
        let token = key.derive(
            purpose,
            LetterId::from_bytes([letter; 16]),
            &AccountId::from_stored(account),
            &NameKey::from_stored(name),
        );
        token.expose().to_string()
    }

    #[test]
    fn a_token_is_the_same_again_and_differs_by_everything_it_is_bound_to() {
        let one = derive(Purpose::Reset, 1, "ab", "c");
        assert_eq!(one, derive(Purpose::Reset, 1, "ab", "c"));
        for other in [
            derive(Purpose::Confirm, 1, "ab", "c"),
            derive(Purpose::Reset, 2, "ab", "c"),
            derive(Purpose::Reset, 1, "a", "bc"),
            derive(Purpose::Reset, 1, "ab", "d"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn only_64_lower_case_hex_digits_are_a_token() {
        let text = derive(Purpose::Reset, 1, "a", "b");
        assert!(Token::parse(&text).is_some_and(|t| *t.expose() == text));
        for bad in ["", &text[1..], &format!("{text}0"), &text.to_uppercase(), &format!("é{}", &text[2..])] {
            assert!(
                bad.chars().all(|c| c.is_ascii_digit()) && bad.len() == 64 || Token::parse(bad).is_none()
            );
        }
    }

    #[test]
    fn the_hash_is_not_the_token_and_key_ids_differ_by_key() {
        let token = Token::parse(&derive(Purpose::Reset, 1, "a", "b")).unwrap();
        assert_ne!(rng::hex(&token.hash().0), *token.expose());
        let rng = CountingRng::default();
        assert_ne!(TokenKey::random(&rng).unwrap().id(), TokenKey::random(&rng).unwrap().id());
    }

    #[test]
    fn a_letter_keeps_the_key_that_it_was_armed_with_while_that_is_known() {
        let key = |byte| TokenKey::from_bytes([byte; 32]);
        let keys = TokenKeys::new(key(1), [key(2), key(1)]);
        let of = |armed_with| keys.of(armed_with).0;
        assert_eq!(of(None), key(1).id());
        assert_eq!(of(Some(key(1).id())), key(1).id());
        assert_eq!(of(Some(key(2).id())), key(2).id());
        assert_eq!(of(Some(key(3).id())), key(1).id(), "it is lost");
        let offered = keys.offered();
        assert_eq!(offered.current, Some(KeyFingerprint::of(&key(1).id().0)));
        assert_eq!(offered.others, [KeyFingerprint::of(&key(2).id().0)]);
    }
}
