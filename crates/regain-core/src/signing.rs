//! The RSA key that tokens are signed with, in the format of ROS: `base64(JSON):base64(RSA-SHA256 over the JSON bytes)`.

use std::fmt;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, KeyPair, ParsedPublicKey, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Serialize;
use zeroize::Zeroizing;

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
    /// The public half, parsed once: a token is checked at every request.
    public: ParsedPublicKey,
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
        let public =
            ParsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref()).ok()?;
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

    /// The public key as SubjectPublicKeyInfo DER, for services that check sessions themselves.
    ///
    /// # Errors
    /// Where aws-lc cannot write it.
    pub fn public_key(&self) -> Result<Vec<u8>, SigningKeyError> {
        let der: PublicKeyX509Der<'_> =
            self.pair.public_key().as_der().map_err(|_| SigningKeyError::NotMade)?;
        Ok(der.as_ref().to_vec())
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

    /// Checks form and signature of a token and reads it. Whether it has expired is for the caller to see.
    ///
    /// # Errors
    /// When it was not signed by this key, or is of a kind that nothing here takes.
    pub fn read(&self, token: &str) -> Result<(Claims, SessionId), BadToken> {
        if token.len() > MAX_BYTES {
            return Err(BadToken);
        }
        let (json, signature) = token.split_once(':').ok_or(BadToken)?;
        let json = BASE64.decode(json).map_err(|_| BadToken)?;
        let signature = BASE64.decode(signature).map_err(|_| BadToken)?;
        self.public.verify_sig(&json, &signature).map_err(|_| BadToken)?;
        let claims = Claims::read(&json).ok_or(BadToken)?;
        Ok((claims, SessionId(sha256(&json))))
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
    use crate::clock::Timestamp;
    use crate::session::{AdminToken, AppId, Kind, Session, UserToken};
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
    fn user_and_admin_tokens_are_what_ros_would_send() {
        let account = testing::account("ann@example.org");
        let user = UserToken::of(&account, &AppId::default(), NOW, &CountingRng::default()).unwrap();
        assert_eq!(
            KEY.sign(&user).unwrap().json,
            format!(
                r#"{{"app_id":"io.realm.Auth","identity":"{}","salt":"{}","expires":1700000000,"is_admin":false}}"#,
                user.identity, user.salt
            )
        );
        let admin = KEY.sign(&AdminToken::new(&CountingRng::default()).unwrap()).unwrap().json;
        let begin = r#"{"app_id":"io.realm.auth","identity":"__admin","access":["download","upload","manage"],"salt":""#;
        assert!(admin.starts_with(begin), "{admin}");
        assert_eq!(admin.len(), begin.len() + 32 + 2);
    }

    #[test]
    fn what_was_signed_is_read_back_with_its_kind() {
        let signed = KEY.sign(&session()).unwrap();
        let (claims, id) = KEY.read(&signed.token).unwrap();
        assert_eq!(claims.kind, Kind::Session(session()));
        assert_eq!(claims.account, session().account());
        assert_eq!(claims.expires, Some(NOW + Duration::from_secs(60)));
        assert_eq!(id, SessionId(sha256(signed.json.as_bytes())));
        let admin = KEY.sign(&AdminToken::new(&CountingRng::default()).unwrap()).unwrap();
        let (claims, _) = KEY.read(&admin.token).unwrap();
        assert_eq!((claims.kind, claims.expires), (Kind::Admin, None));
        let account = testing::account("ann@example.org");
        let user = UserToken::of(&account, &AppId::default(), NOW, &CountingRng::default()).unwrap();
        assert_eq!(KEY.read(&KEY.sign(&user).unwrap().token).unwrap().0.kind, Kind::User);
    }

    #[test]
    fn a_token_of_ros_without_expiry_or_generation_is_read() {
        let claims = serde_json::json!({
            "app_id": "io.realm.Auth", "identity": "9f83", "access": ["refresh"], "salt": "01020304",
            "is_admin": true, "isEmailConfirmed": true,
        });
        let (claims, _) = KEY.read(&KEY.sign(&claims).unwrap().token).unwrap();
        let Kind::Session(session) = claims.kind else { panic!("a session") };
        assert_eq!((session.generation, session.expires, claims.expires), (0, None, None));
    }

    #[test]
    fn what_opens_files_to_syncing_is_none_of_ours() {
        for claims in [
            serde_json::json!({"app_id": "x", "identity": "9f83", "access": ["upload"], "salt": "0"}),
            serde_json::json!({"app_id": "x", "identity": "__admin", "access": ["upload"], "path": "/a"}),
            serde_json::json!({"app_id": "x", "identity": "9f83", "salt": "0", "path": "/a"}),
            serde_json::json!({"app_id": "x", "access": ["refresh"]}),
            serde_json::json!(["refresh"]),
        ] {
            assert_eq!(KEY.read(&KEY.sign(&claims).unwrap().token).err(), Some(BadToken), "{claims}");
        }
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
            assert_eq!(KEY.read(bad).err(), Some(BadToken));
        }
    }

    #[test]
    fn a_key_survives_being_kept() {
        let again = SigningKey::from_pkcs8(&KEY.to_pkcs8().unwrap()).unwrap();
        let signed = again.sign(&session()).unwrap();
        assert!(KEY.read(&signed.token).is_ok());
        assert!(SigningKey::from_pkcs8(b"nonsense").is_err());
        assert_eq!(format!("{again:?}"), "SigningKey([redacted])");
    }
}
