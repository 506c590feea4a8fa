//! The secret that a webhook is signed with, and the signature (Standard Webhooks, "Symmetric signatures").

use aws_lc_rs::hmac;
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

const PREFIX: &str = "whsec_";
/// What the conventions ask for, in bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;
/// Base64 as receivers' libraries take it.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// 24 to 64 bytes that we and the receiver know. No `Debug` and no `Display`.
#[derive(Clone)]
pub struct SigningSecret(Zeroizing<Vec<u8>>);

/// Why a text is no secret; reads on after the key's name and shows nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Not what the conventions say.
    #[error(
        "is no secret of the form whsec_ and base64; make one with: echo \"whsec_$(openssl rand -base64 32)\""
    )]
    Form,
    /// Too easily guessed, or longer than receivers take.
    #[error("must hold 24 to 64 bytes; make one with: echo \"whsec_$(openssl rand -base64 32)\"")]
    Length,
}

impl SigningSecret {
    /// Reads `whsec_` and base64.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(SecretError::Form)?;
        let bytes = Zeroizing::new(LENIENT.decode(encoded).map_err(|_| SecretError::Form)?);
        if LENGTHS.contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(SecretError::Length) }
    }

    /// The ways in which somebody may write it, without the prefix.
    pub(super) fn forms(&self) -> [Zeroizing<Vec<u8>>; 4] {
        let base64 = STANDARD_NO_PAD.encode(&*self.0).into_bytes();
        let url_safe = URL_SAFE_NO_PAD.encode(&*self.0).into_bytes();
        let hex = self.0.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect();
        let prefixed = [PREFIX.as_bytes(), &base64].concat();
        [prefixed, url_safe, hex, self.0.to_vec()].map(Zeroizing::new)
    }

    /// One signature for the header: `v1,` and base64 of HMAC-SHA-256 over id, time in seconds and body.
    pub(super) fn sign(&self, id: &str, time: &str, body: &[u8]) -> String {
        let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        for part in [id.as_bytes(), b".", time.as_bytes(), b".", body] {
            context.update(part);
        }
        format!("v1,{}", STANDARD.encode(context.sign()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_of_the_conventions() {
        // The example that the libraries of Standard Webhooks test themselves with.
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        assert_eq!(
            secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b"{\"test\": 2432232314}"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let parse = |text: &str| SigningSecret::parse(text).map(|_| ());
        for text in ["", "hunter2", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_", "whsec_***", "whsec_a b"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse(&format!("whsec_{}", STANDARD.encode([1; 23]))), Err(SecretError::Length));
        assert_eq!(parse(&format!("whsec_{}", STANDARD.encode([1; 65]))), Err(SecretError::Length));
        for length in [24, 32, 64] {
            let padded = format!("whsec_{}", STANDARD.encode(vec![1; length]));
            assert_eq!(parse(&padded), Ok(()));
            assert_eq!(parse(padded.trim_end_matches('=')), Ok(()));
        }
    }
}
