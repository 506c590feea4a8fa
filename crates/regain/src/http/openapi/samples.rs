//! Whom the examples tell of: Ann, her password, her tokens. None of them is worth anything anywhere.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use regain_core::Session;
use regain_core::session::UserToken;
use serde::Serialize;
use serde_json::{Value, json};

pub(super) const NAME: &str = "ann@example.org";
pub(super) const PASSWORD: &str = "correct horse";
pub(super) const NEW_PASSWORD: &str = "battery staple";
pub(super) const ID: &str = "9f83c1e2a4b5d60718293a4b5c6d7e8f";
pub(super) const LINK_TOKEN: &str = "005f77885fd1f45bf69fb72d7a82374d53609e5182d6a9b07355fa033cdd67d1";
/// Real ones are 256 bytes long.
const SIGNATURE: &[u8] = b"the signature: 256 bytes";

const SALT: &str = "5ca1ab1e";
const EXPIRES: i64 = 1_803_153_600;

/// What Ann's session says of itself.
pub(super) fn session() -> Session {
    Session {
        app_id: "io.realm.Auth".to_owned(),
        identity: ID.to_owned(),
        access: vec!["refresh".to_owned()],
        salt: SALT.to_owned(),
        expires: Some(EXPIRES),
        is_admin: false,
        is_email_confirmed: false,
        generation: 0,
    }
}

fn user_token() -> UserToken {
    UserToken {
        app_id: "io.realm.Auth".to_owned(),
        identity: ID.to_owned(),
        salt: SALT.to_owned(),
        expires: EXPIRES,
        is_admin: false,
    }
}

/// Ann's session as she presents it.
pub(super) fn session_token() -> String {
    token(&session())
}

/// The answer to a registration or a sign-in.
pub(super) fn signed_in() -> Value {
    json!({"refresh_token": {"token": session_token(), "token_data": session()}})
}

/// The answer to a trade.
pub(super) fn traded() -> Value {
    json!({"user_token": {"token": token(&user_token()), "token_data": user_token()}})
}

/// Written as real ones are, but for the signature.
pub(super) fn token(claims: &impl Serialize) -> String {
    // What is serialised here are texts, numbers and truth values, which are always writable.
    let json = serde_json::to_vec(claims).unwrap_or_default();
    format!("{}:{}", BASE64.encode(json), BASE64.encode(SIGNATURE))
}
