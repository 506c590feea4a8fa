//! The RSA key that tokens are signed with, in the format of ROS: `base64(JSON):base64(RSA-SHA256 over the JSON bytes)`.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, KeyPair, ParsedPublicKey, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::keys::{KeyFingerprint, OfferedKeys};
use crate::session::{Claims, SessionId};
use crate::token::sha256;

/// No token is longer; a longer text is not looked at.
const MAX_BYTES: usize = 8 * 1024;

/// A token with its signature, as the client gets it. The text is a secret; there is no `Debug`.
pub struct SignedToken {
    /// `base64(JSON):base64(signature)`.
    pub token: Zeroizing<String>,
    /// The JSON inside, byte for byte.
    pub json: String,
}

/// The RSA key that sessions are signed with.
pub struct SigningKey {
    pair: RsaKeyPair,
    public: PublicKey,
}

/// The public half of a key that sessions are signed with.
#[derive(Clone)]
pub struct PublicKey {
    der: Vec<u8>,
    /// Parsed once: a token is checked at every request.
    parsed: Arc<ParsedPublicKey>,
}

/// The key cannot be made or read.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// aws-lc could not make a key.
    #[error("no RSA key could be made")]
    NotMade,
    /// The bytes are no PKCS#8 RSA key of 2048 to 8192 bits.
    #[error("this is no RSA private key of 2048 to 8192 bits in PKCS#8")]
    Unusable,
    /// The bytes are no public RSA key of 2048 to 8192 bits.
    #[error("this is no RSA public key of 2048 to 8192 bits")]
    UnusablePublic,
}

/// The text is no token that was signed here: malformed, altered, or of a kind that nothing here takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the token is malformed or was altered")]
pub struct BadToken;

impl SigningKey {
    /// Makes an RSA key of 2048 bits. Takes some tens of milliseconds of processor time.
    ///
    /// # Errors
    /// Where aws-lc cannot.
    pub fn generate() -> Result<Self, SigningKeyError> {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| SigningKeyError::NotMade)?;
        Self::of(pair).ok_or(SigningKeyError::NotMade)
    }

    /// Reads a key in PKCS#8 DER.
    ///
    /// # Errors
    /// Where the bytes are none.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, SigningKeyError> {
        let pair = RsaKeyPair::from_pkcs8(der).map_err(|_| SigningKeyError::Unusable)?;
        Self::of(pair).ok_or(SigningKeyError::Unusable)
    }

    fn of(pair: RsaKeyPair) -> Option<Self> {
        let der: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
        let public = PublicKey::from_der(der.as_ref()).ok()?;
        Some(Self { pair, public })
    }

    /// The private key in PKCS#8 DER, to keep it.
    ///
    /// # Errors
    /// Where aws-lc cannot write it.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, SigningKeyError> {
        let der: Pkcs8V1Der<'_> = self.pair.as_der().map_err(|_| SigningKeyError::NotMade)?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// The public key, for services that check sessions themselves.
    pub fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// Signs what a token says: a [`Session`](crate::Session), a [`UserToken`](crate::session::UserToken) or an
    /// [`AdminToken`](crate::session::AdminToken).
    ///
    /// # Errors
    /// When the key cannot sign, or the claims cannot be written.
    pub fn sign(&self, claims: &impl Serialize) -> Result<SignedToken, SigningKeyError> {
        let json = serde_json::to_string(claims).map_err(|_| SigningKeyError::NotMade)?;
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(
                &signature::RSA_PKCS1_SHA256,
                &aws_lc_rs::rand::SystemRandom::new(),
                json.as_bytes(),
                &mut signature,
            )
            .map_err(|_| SigningKeyError::NotMade)?;
        let token = Zeroizing::new(format!("{}:{}", BASE64.encode(&json), BASE64.encode(&signature)));
        Ok(SignedToken { token, json })
    }
}

impl PublicKey {
    /// Reads a public key in SubjectPublicKeyInfo DER.
    ///
    /// # Errors
    /// Where the bytes are none.
    pub fn from_der(der: &[u8]) -> Result<Self, SigningKeyError> {
        let parsed = ParsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, der);
        let parsed = parsed.map_err(|_| SigningKeyError::UnusablePublic)?;
        Ok(Self { der: der.to_vec(), parsed: Arc::new(parsed) })
    }

    /// SubjectPublicKeyInfo DER.
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// What the key is called among processes.
    pub fn fingerprint(&self) -> KeyFingerprint {
        KeyFingerprint::of(&self.der)
    }
}

/// The key that sessions are signed with, and the public halves of others whose sessions are taken as well: earlier ones,
/// or those of processes that are ahead.
pub struct SigningKeys {
    current: Arc<SigningKey>,
    others: Vec<PublicKey>,
}

impl SigningKeys {
    /// Takes the key for new sessions and the others that are known.
    pub fn new(current: Arc<SigningKey>, others: impl IntoIterator<Item = PublicKey>) -> Self {
        let others = others.into_iter().filter(|other| other.der != current.public.der).collect();
        Self { current, others }
    }

    /// The key for new sessions.
    pub fn current(&self) -> &Arc<SigningKey> {
        &self.current
    }

    /// Signs as [`SigningKey::sign`] does.
    ///
    /// # Errors
    /// When the key cannot sign, or the claims cannot be written.
    pub fn sign(&self, claims: &impl Serialize) -> Result<SignedToken, SigningKeyError> {
        self.current.sign(claims)
    }

    /// Checks form and signature of a token and reads it. Whether it has expired is for the caller to see.
    ///
    /// # Errors
    /// When it was signed by none of these keys, or is of a kind that nothing here takes.
    pub fn read(&self, token: &str) -> Result<(Claims, SessionId), BadToken> {
        if token.len() > MAX_BYTES {
            return Err(BadToken);
        }
        let (json, signature) = token.split_once(':').ok_or(BadToken)?;
        let json = BASE64.decode(json).map_err(|_| BadToken)?;
        let signature = BASE64.decode(signature).map_err(|_| BadToken)?;
        let mut keys = std::iter::once(&self.current.public).chain(&self.others);
        if !keys.any(|key| key.parsed.verify_sig(&json, &signature).is_ok()) {
            return Err(BadToken);
        }
        let claims = Claims::read(&json).ok_or(BadToken)?;
        Ok((claims, SessionId(sha256(&json))))
    }

    /// What the keys are called among processes.
    pub fn offered(&self) -> OfferedKeys {
        OfferedKeys {
            current: Some(self.current.public.fingerprint()),
            others: self.others.iter().map(PublicKey::fingerprint).collect(),
        }
    }
}

impl From<SigningKey> for SigningKeys {
    /// One key alone.
    fn from(key: SigningKey) -> Self {
        Self::new(Arc::new(key), [])
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey([redacted])")
    }
}

#[cfg(test)]
mod tests;
