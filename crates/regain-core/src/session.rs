//! Sessions: refresh tokens in the format of ROS, `base64(JSON):base64(RSA-SHA256 over the JSON bytes)`.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeySize, PublicKey};
use aws_lc_rs::signature::{self, KeyPair, RsaKeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::account::{Account, AccountId, Generation};
use crate::clock::Timestamp;
use crate::rng::{self, NoRandomness, Rng};
use crate::token::sha256;

/// No session token is longer; a longer text is not looked at.
const MAX_BYTES: usize = 8 * 1024;

/// The application that a client names at sign-in (`app_id`), at most 255 bytes without control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppId(String);

impl Default for AppId {
    fn default() -> Self {
        Self("io.realm.Auth".to_owned())
    }
}

impl AppId {
    /// Takes what the client sent; empty is the default, as in ROS. `None` where it is too long or has control characters.
    pub fn parse(text: &str) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        (text.len() <= 255 && !text.chars().any(char::is_control)).then(|| Self(text.to_owned()))
    }
}

/// What a session says of itself. The fields stand in the order of ROS's JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The application.
    pub app_id: String,
    /// The account.
    pub identity: String,
    /// Exactly `["refresh"]`.
    pub access: Vec<String>,
    /// 8 hex digits that make each session unique.
    pub salt: String,
    /// Unix seconds.
    pub expires: i64,
    /// As it was at sign-in; for the client's eyes. Rights are looked up at each use.
    pub is_admin: bool,
    /// As it was at sign-in; for the client's eyes.
    #[serde(rename = "isEmailConfirmed")]
    pub is_email_confirmed: bool,
    /// The generation of the account that was read together with its password hash.
    #[serde(rename = "gen", default, skip_serializing_if = "is_zero")]
    pub generation: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(generation: &u32) -> bool {
    *generation == 0
}

impl Session {
    /// A new session of `account`.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn open(
        account: &Account,
        app: &AppId,
        expires: Timestamp,
        rng: &dyn Rng,
    ) -> Result<Self, NoRandomness> {
        Ok(Self {
            app_id: app.0.clone(),
            identity: account.id.as_str().to_owned(),
            access: vec!["refresh".to_owned()],
            salt: rng::hex(&rng::bytes::<4>(rng)?),
            expires: expires.as_secs(),
            is_admin: account.is_admin,
            is_email_confirmed: account.is_confirmed,
            generation: account.generation.0,
        })
    }

    /// The account it is for.
    pub fn account(&self) -> AccountId {
        AccountId::from_stored(self.identity.clone())
    }

    /// The generation it was opened in.
    pub fn generation(&self) -> Generation {
        Generation(self.generation)
    }

    /// When it ends.
    pub fn expires(&self) -> Timestamp {
        Timestamp::from_millis(self.expires.saturating_mul(1000))
    }
}

/// Names one session: SHA-256 of its JSON bytes. What revocation remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(pub [u8; 32]);

/// A session with its signature, as the client gets it. The text is a secret; there is no `Debug`.
pub struct SignedSession {
    /// `base64(JSON):base64(signature)`.
    pub token: Zeroizing<String>,
    /// The JSON inside, byte for byte.
    pub json: String,
}

/// The RSA key that sessions are signed with.
pub struct SigningKey {
    pair: RsaKeyPair,
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
}

/// Why a session token is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSession {
    /// Not `base64:base64`, or the signature is not ours.
    #[error("the token is malformed or was altered")]
    Malformed,
    /// Signed, but no refresh token.
    #[error("this token does not open a session")]
    NotARefreshToken,
    /// Past its time. Holds whose it was: an owner may still sign out of it.
    #[error("the token has expired")]
    Expired,
}

impl SigningKey {
    /// Makes an RSA key of 2048 bits. Takes some tens of milliseconds of processor time.
    ///
    /// # Errors
    /// Where aws-lc cannot.
    pub fn generate() -> Result<Self, SigningKeyError> {
        RsaKeyPair::generate(KeySize::Rsa2048).map(|pair| Self { pair }).map_err(|_| SigningKeyError::NotMade)
    }

    /// Reads a key in PKCS#8 DER.
    ///
    /// # Errors
    /// Where the bytes are none.
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, SigningKeyError> {
        RsaKeyPair::from_pkcs8(der).map(|pair| Self { pair }).map_err(|_| SigningKeyError::Unusable)
    }

    /// The private key in PKCS#8 DER, to keep it.
    ///
    /// # Errors
    /// Where aws-lc cannot write it.
    pub fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, SigningKeyError> {
        let der: Pkcs8V1Der<'_> = self.pair.as_der().map_err(|_| SigningKeyError::NotMade)?;
        Ok(Zeroizing::new(der.as_ref().to_vec()))
    }

    /// The public key as SubjectPublicKeyInfo DER, for services that check sessions themselves.
    ///
    /// # Errors
    /// Where aws-lc cannot write it.
    pub fn public_key(&self) -> Result<Vec<u8>, SigningKeyError> {
        let der: PublicKeyX509Der<'_> =
            self.pair.public_key().as_der().map_err(|_| SigningKeyError::NotMade)?;
        Ok(der.as_ref().to_vec())
    }

    /// Signs a session.
    ///
    /// # Errors
    /// When there is no randomness, or the session cannot be written.
    pub fn sign(&self, session: &Session) -> Result<SignedSession, SigningKeyError> {
        let json = serde_json::to_string(session).map_err(|_| SigningKeyError::NotMade)?;
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
        Ok(SignedSession { token, json })
    }

    /// Checks form and signature of a token, and whether it is a refresh token; then its age.
    ///
    /// # Errors
    /// See [`BadSession`]. The session of an expired token is given back with the error.
    pub fn open(
        &self,
        token: &str,
        now: Timestamp,
    ) -> Result<(Session, SessionId), (BadSession, Option<Session>)> {
        let (session, id) = self.read(token).map_err(|bad| (bad, None))?;
        if session.expires() < now {
            return Err((BadSession::Expired, Some(session)));
        }
        Ok((session, id))
    }

    fn read(&self, token: &str) -> Result<(Session, SessionId), BadSession> {
        if token.len() > MAX_BYTES {
            return Err(BadSession::Malformed);
        }
        let (json, signature) = token.split_once(':').ok_or(BadSession::Malformed)?;
        let json = BASE64.decode(json).map_err(|_| BadSession::Malformed)?;
        let signature = BASE64.decode(signature).map_err(|_| BadSession::Malformed)?;
        let public: &PublicKey = self.pair.public_key();
        UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, public.as_ref())
            .verify(&json, &signature)
            .map_err(|_| BadSession::Malformed)?;
        let session: Session = serde_json::from_slice(&json).map_err(|_| BadSession::NotARefreshToken)?;
        if session.access != ["refresh"] {
            return Err(BadSession::NotARefreshToken);
        }
        Ok((session, SessionId(sha256(&json))))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;
    use std::time::Duration;

    use super::*;
    use crate::testing::{self, CountingRng};

    static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey::generate().unwrap());
    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn session() -> Session {
        let account = testing::account("ann@example.org");
        Session::open(&account, &AppId::default(), NOW + Duration::from_secs(60), &CountingRng::default())
            .unwrap()
    }

    #[test]
    fn a_session_is_what_ros_would_send_with_gen_only_when_raised() {
        let signed = KEY.sign(&session()).unwrap();
        assert_eq!(
            signed.json,
            format!(
                r#"{{"app_id":"io.realm.Auth","identity":"{}","access":["refresh"],"salt":"{}","expires":1700000060,"is_admin":false,"isEmailConfirmed":false}}"#,
                session().identity,
                session().salt
            )
        );
        let raised = KEY.sign(&Session { generation: 3, ..session() }).unwrap();
        assert!(raised.json.ends_with(r#""isEmailConfirmed":false,"gen":3}"#));
    }

    #[test]
    fn what_was_signed_is_read_back_until_it_expires() {
        let signed = KEY.sign(&session()).unwrap();
        let (back, id) = KEY.open(&signed.token, NOW).unwrap();
        assert_eq!(back, session());
        assert_eq!(id, SessionId(sha256(signed.json.as_bytes())));
        let late = KEY.open(&signed.token, NOW + Duration::from_secs(61));
        assert_eq!(late.unwrap_err(), (BadSession::Expired, Some(session())));
    }

    #[test]
    fn an_altered_a_foreign_and_a_broken_token_are_refused() {
        let signed = KEY.sign(&session()).unwrap();
        let (_, signature) = signed.token.split_once(':').unwrap();
        let altered = format!(
            "{}:{signature}",
            BASE64.encode(signed.json.replace("\"is_admin\":false", "\"is_admin\":true"))
        );
        let foreign = SigningKey::generate().unwrap().sign(&session()).unwrap();
        for bad in
            [altered.as_str(), &foreign.token, "", ":", "a:b", "a", "x:y:z", &"A".repeat(MAX_BYTES + 1)]
        {
            assert_eq!(KEY.open(bad, NOW).unwrap_err().0, BadSession::Malformed);
        }
        let other_kind = KEY.sign(&Session { access: vec!["upload".to_owned()], ..session() }).unwrap();
        assert_eq!(KEY.open(&other_kind.token, NOW).unwrap_err().0, BadSession::NotARefreshToken);
    }

    #[test]
    fn a_key_survives_being_kept() {
        let again = SigningKey::from_pkcs8(&KEY.to_pkcs8().unwrap()).unwrap();
        let signed = again.sign(&session()).unwrap();
        assert!(KEY.open(&signed.token, NOW).is_ok());
        assert!(SigningKey::from_pkcs8(b"nonsense").is_err());
        assert_eq!(format!("{again:?}"), "SigningKey([redacted])");
    }
}
