//! What an account is. ROS says "user" for the id and its flags and "account" for the name; here it is one.

use std::fmt;

use crate::name::{Address, Name, NameKey};
use crate::password::PasswordHash;
use crate::rng::{self, NoRandomness, Rng};
use crate::session::SessionId;

/// The identity of an account: 32 hex digits where Regain made it, any URL-safe text where an admin chose it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(String);

impl AccountId {
    /// A new random identity: 16 bytes in lower-case hex, as in ROS.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn random(rng: &dyn Rng) -> Result<Self, NoRandomness> {
        Ok(Self(rng::hex(&rng::bytes::<16>(rng)?)))
    }

    /// Takes an identity that a store or a signed session holds.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The identity as it stands on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Raised to end all sessions of an account at once: a session of another generation is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub u32);

/// An account as the store holds it. Metadata is kept beside it and never changed by the flows.
#[derive(Clone)]
pub struct Account {
    /// Its identity.
    pub id: AccountId,
    /// The name as it was registered.
    pub name: String,
    /// The form of the name that is compared.
    pub name_key: NameKey,
    /// Where its mail goes; `None` where the name is no address.
    pub address: Option<Address>,
    /// `None` where nobody has set a password.
    pub password: Option<PasswordHash>,
    /// The generation that a session must have.
    pub generation: Generation,
    /// The one session of an older generation that lives on: the one that changed the password.
    pub kept_session: Option<SessionId>,
    /// May act for other accounts.
    pub is_admin: bool,
    /// The owner has shown that mail to the address arrives.
    pub is_confirmed: bool,
    /// Nothing works for it, and nobody can tell from outside.
    pub is_disabled: bool,
}

/// What registering stores.
pub struct NewAccount {
    /// Its identity.
    pub id: AccountId,
    /// Its name, with key and address.
    pub name: Name,
    /// Hash of its password.
    pub password: PasswordHash,
}
