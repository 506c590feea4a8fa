//! Owns private keys: reading them, what of them is public, and signing with them.
//!
//! Invariant: nothing here shows a private key, in no error and in no `Debug`.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::error::KeyRejected;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;

/// Verifiers need not take longer keys (RFC 8301 section 3.2), and their records hardly fit into DNS.
const MOST_RSA_BITS: usize = 4096;

/// How a key signs, in the words of `a=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DkimAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256; every receiver can check it.
    RsaSha256,
    /// Ed25519 over a SHA-256 hash (RFC 8463); not every receiver can check it.
    Ed25519Sha256,
}

impl fmt::Display for DkimAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RsaSha256 => "rsa-sha256",
            Self::Ed25519Sha256 => "ed25519-sha256",
        })
    }
}

/// A private key. Clones share it; `Debug` shows its kind alone.
#[derive(Clone)]
pub struct DkimKey {
    pair: Arc<Pair>,
    public: Arc<[u8]>,
}

enum Pair {
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// Why a text is no key to sign with. It reads on after the name of the setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DkimKeyError {
    /// No private key in PEM.
    #[error(
        "is not a private key in PEM, which begins with -----BEGIN PRIVATE KEY----- or -----BEGIN RSA PRIVATE KEY-----"
    )]
    NotPem,
    /// A passphrase would be needed.
    #[error("is an encrypted key; write it without a passphrase: openssl pkey -in FILE -out FILE.pem")]
    Encrypted,
    /// What belongs into DNS.
    #[error("is a public key; write the private key here, and the public one into DNS")]
    Public,
    /// An elliptic curve that DKIM does not know, or a key that is damaged.
    #[error(
        "is no whole RSA or Ed25519 key; make one with openssl genrsa 2048, or openssl genpkey -algorithm ed25519"
    )]
    Kind,
    /// Easily broken.
    #[error("is an RSA key of less than 2048 bits, which can be broken; make one with openssl genrsa 2048")]
    TooSmall,
    /// Receivers would not look at it.
    #[error(
        "is an RSA key of more than 4096 bits, which receivers need not take; make one with openssl genrsa 2048"
    )]
    TooLarge,
}

impl DkimKey {
    /// Reads a private key in PEM: RSA of 2048 to 4096 bits in PKCS#1 or PKCS#8, or Ed25519 in PKCS#8.
    ///
    /// # Errors
    /// See [`DkimKeyError`].
    pub fn from_pem(pem: &str) -> Result<Self, DkimKeyError> {
        if pem.contains("ENCRYPTED") {
            return Err(DkimKeyError::Encrypted);
        }
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
            if pem.contains("PUBLIC KEY-----") { DkimKeyError::Public } else { DkimKeyError::NotPem }
        })?;
        match &der {
            PrivateKeyDer::Pkcs1(der) => Self::rsa(RsaKeyPair::from_der(der.secret_pkcs1_der())),
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                // An Ed25519 key is no RSA key, and the other way round.
                match Ed25519KeyPair::from_pkcs8(der) {
                    Ok(pair) => Ok(Self::ed25519(pair)),
                    Err(_) => Self::rsa(RsaKeyPair::from_pkcs8(der)),
                }
            }
            _ => Err(DkimKeyError::Kind),
        }
    }

    fn rsa(read: Result<RsaKeyPair, KeyRejected>) -> Result<Self, DkimKeyError> {
        let pair = read.map_err(|error| match error.to_string().as_str() {
            "TooSmall" => DkimKeyError::TooSmall,
            "TooLarge" => DkimKeyError::TooLarge,
            _ => DkimKeyError::Kind,
        })?;
        if pair.public_modulus_len() * 8 > MOST_RSA_BITS {
            return Err(DkimKeyError::TooLarge);
        }
        let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| DkimKeyError::Kind)?;
        let public = public.as_ref().into();
        Ok(Self { pair: Arc::new(Pair::Rsa(pair)), public })
    }

    fn ed25519(pair: Ed25519KeyPair) -> Self {
        let public = pair.public_key().as_ref().into();
        Self { pair: Arc::new(Pair::Ed25519(pair)), public }
    }

    /// How it signs.
    pub fn algorithm(&self) -> DkimAlgorithm {
        match *self.pair {
            Pair::Rsa(_) => DkimAlgorithm::RsaSha256,
            Pair::Ed25519(_) => DkimAlgorithm::Ed25519Sha256,
        }
    }

    /// The public key as `p=` has it before base64: `SubjectPublicKeyInfo` for RSA (RFC 6376 with erratum 3017), 32 bytes
    /// for Ed25519 (RFC 8463 section 4).
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// Signs; `None` where the library refuses. Both kinds of signature depend on key and input alone.
    pub(super) fn sign(&self, input: &[u8]) -> Option<Vec<u8>> {
        match &*self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input, &mut signature).ok()?;
                Some(signature)
            }
            Pair::Ed25519(pair) => {
                let hash = digest::digest(&digest::SHA256, input);
                Some(pair.try_sign(hash.as_ref()).ok()?.as_ref().to_vec())
            }
        }
    }
}

impl fmt::Debug for DkimKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DkimKey({})", self.algorithm())
    }
}
