//! What the tokens of ROS say: refresh tokens, which are sessions, user tokens and the administrator's token.
//!
//! How they are signed and read is in [`crate::signing`].

use serde::{Deserialize, Serialize};

use crate::account::{Account, AccountId, BUILTIN_ADMIN, Generation};
use crate::clock::Timestamp;
use crate::rng::{self, NoRandomness, Rng};

/// What the access list of a refresh token is, exactly.
const REFRESH: &str = "refresh";

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Session {
    /// The application.
    pub app_id: String,
    /// The account.
    pub identity: String,
    /// Exactly `["refresh"]`.
    pub access: Vec<String>,
    /// 8 hex digits that make each session unique.
    pub salt: String,
    /// Unix seconds. `None` never: ROS could be set to make such, Regain makes none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// As it was at sign-in; for the client's eyes. Rights are looked up at each use.
    pub is_admin: bool,
    /// As it was at sign-in; for the client's eyes.
    #[serde(rename = "isEmailConfirmed")]
    pub is_email_confirmed: bool,
    /// The generation of the account that was read together with its password hash.
    #[serde(rename = "gen", skip_serializing_if = "is_zero")]
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
            access: vec![REFRESH.to_owned()],
            salt: salt(rng)?,
            expires: Some(expires.as_secs()),
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
}

/// What a user token says: who somebody is, for an hour, for services that check it with the public key alone. Nothing
/// of Regain takes it. The fields stand in the order of ROS's JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UserToken {
    /// The application.
    pub app_id: String,
    /// The account.
    pub identity: String,
    /// 8 hex digits that make each token unique.
    pub salt: String,
    /// Unix seconds.
    pub expires: i64,
    /// As it was when the token was made.
    pub is_admin: bool,
}

impl UserToken {
    /// A user token of `account`.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn of(
        account: &Account,
        app: &AppId,
        expires: Timestamp,
        rng: &dyn Rng,
    ) -> Result<Self, NoRandomness> {
        Ok(Self {
            app_id: app.0.clone(),
            identity: account.id.as_str().to_owned(),
            salt: salt(rng)?,
            expires: expires.as_secs(),
            is_admin: account.is_admin,
        })
    }
}

/// What the administrator's token says (`keys/admin.json` of ROS): it acts for `__admin` and never expires. The store
/// knows which one is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AdminToken {
    app_id: &'static str,
    identity: &'static str,
    access: [&'static str; 3],
    salt: String,
}

impl AdminToken {
    /// A new one, unlike all before it.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn new(rng: &dyn Rng) -> Result<Self, NoRandomness> {
        // ROS has 4 bytes here; this token lives longer than others, and nobody is served by a repeated one.
        let salt = rng::hex(&rng::bytes::<16>(rng)?);
        Ok(Self {
            app_id: "io.realm.auth",
            identity: BUILTIN_ADMIN,
            access: ["download", "upload", "manage"],
            salt,
        })
    }
}

fn salt(rng: &dyn Rng) -> Result<String, NoRandomness> {
    Ok(rng::hex(&rng::bytes::<4>(rng)?))
}

/// What a signed token is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A refresh token: it opens a session.
    Session(Session),
    /// A token that names its user to others.
    User,
    /// The built-in administrator's.
    Admin,
}

/// Any token of ROS, as it is written. Access tokens, which open files to syncing, are none of ours.
#[derive(Deserialize)]
struct Written {
    app_id: String,
    identity: String,
    access: Option<Vec<String>>,
    #[serde(default)]
    salt: String,
    expires: Option<i64>,
    path: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    is_admin: bool,
    #[serde(default, rename = "isEmailConfirmed")]
    is_email_confirmed: bool,
    #[serde(default, rename = "gen")]
    generation: u32,
}

/// What a token says, once its signature has been found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// What it is good for.
    pub kind: Kind,
    /// Whose it is.
    pub account: AccountId,
    /// Until when; `None` for ever.
    pub expires: Option<Timestamp>,
}

impl Claims {
    /// Reads the JSON of a token. `None` for what no token of ours says.
    pub(crate) fn read(json: &[u8]) -> Option<Self> {
        let written: Written = serde_json::from_slice(json).ok()?;
        let account = AccountId::from_stored(written.identity.clone());
        let expires = written.expires.map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1000)));
        let kind = match written.access {
            Some(access) if access == [REFRESH] => Kind::Session(Session {
                app_id: written.app_id,
                identity: written.identity,
                access,
                salt: written.salt,
                expires: written.expires,
                is_admin: written.is_admin,
                is_email_confirmed: written.is_email_confirmed,
                generation: written.generation,
            }),
            Some(_) if account.is_builtin_admin() && written.path.is_none() => Kind::Admin,
            None if written.path.is_none() => Kind::User,
            _ => return None,
        };
        Some(Self { kind, account, expires })
    }
}

/// Names one session: SHA-256 of its JSON bytes. What revocation remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(pub [u8; 32]);
