//! What an account is. ROS says "user" for the id and its flags and "account" for the name; here it is one.

use std::fmt;

use crate::clock::Timestamp;
use crate::metadata::Metadata;
use crate::name::{Address, Name, NameKey, Provider};
use crate::password::PasswordHash;
use crate::rng::{self, NoRandomness, Rng};
use crate::session::SessionId;

/// The longest identity that is taken from outside, in bytes.
const MAX_ID_BYTES: usize = 128;

/// The identity of an account: 32 hex digits where Regain made it, any URL-safe text where an admin chose it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(String);

impl AccountId {
    /// Takes an identity that an administrator chose: 1 to 128 characters that a URL holds unescaped, as in ROS
    /// (`encodeURIComponent` changes nothing). `None` for others, for the built-in administrator's, and for `.` and `..`,
    /// which no path can name.
    pub fn parse(text: &str) -> Option<Self> {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&b);
        let is_taken = matches!(text, "." | ".." | BUILTIN_ADMIN);
        ((1..=MAX_ID_BYTES).contains(&text.len()) && text.bytes().all(is_plain) && !is_taken)
            .then(|| Self(text.to_owned()))
    }

    /// Whether this is the built-in administrator, which has a token and no password.
    pub fn is_builtin_admin(&self) -> bool {
        self.0 == BUILTIN_ADMIN
    }

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

/// The identity and the name of ROS's built-in administrator.
pub(crate) const BUILTIN_ADMIN: &str = "__admin";

/// Raised to end all sessions of an account at once: a session of another generation is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(pub u32);

/// An account as the store holds it.
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
    /// What an administrator keeps with it. No flow of its owner changes it.
    pub metadata: Metadata,
    /// When it was made.
    pub created: Timestamp,
}

impl Account {
    /// A fresh account, as registering makes it.
    pub fn new(new: NewAccount, created: Timestamp) -> Self {
        Self::from_record(
            AccountRecord { password: Some(new.password), ..AccountRecord::new(new.id, new.name) },
            created,
        )
    }

    /// A fresh account, as an administrator or an import makes it.
    pub fn from_record(record: AccountRecord, created: Timestamp) -> Self {
        Self {
            id: record.id,
            name: record.name.as_str().to_owned(),
            name_key: record.name.key().clone(),
            address: record.name.address().cloned(),
            password: record.password,
            generation: record.generation,
            kept_session: None,
            is_admin: record.is_admin,
            is_confirmed: record.is_confirmed,
            is_disabled: record.is_disabled,
            metadata: record.metadata,
            created,
        }
    }

    /// ROS's built-in administrator `__admin`: no store holds it, nobody signs in as it; its token acts for it.
    pub fn builtin_admin() -> Self {
        let record = AccountRecord {
            is_admin: true,
            ..AccountRecord::new(AccountId::from_stored(BUILTIN_ADMIN), Name::builtin_admin())
        };
        Self::from_record(record, Timestamp::from_millis(0))
    }

    /// The provider that its name is of.
    pub fn provider(&self) -> Provider {
        self.name_key.provider()
    }
}

/// What registering stores.
#[derive(Clone)]
pub struct NewAccount {
    /// Its identity.
    pub id: AccountId,
    /// Its name, with key and address.
    pub name: Name,
    /// Hash of its password.
    pub password: PasswordHash,
}

/// What an operator or an import stores.
#[derive(Clone)]
pub struct AccountRecord {
    /// Its identity.
    pub id: AccountId,
    /// Its name, with key and address.
    pub name: Name,
    /// Hash of its password; `None` where it has none, so that nobody signs in until one is set.
    pub password: Option<PasswordHash>,
    /// May act for other accounts.
    pub is_admin: bool,
    /// Mail to its address is known to arrive.
    pub is_confirmed: bool,
    /// Nothing works for it.
    pub is_disabled: bool,
    /// What is kept with it.
    pub metadata: Metadata,
    /// The generation that its sessions must have, at least: an account that comes from another database brings its own along.
    pub generation: Generation,
}

impl AccountRecord {
    /// An account of that identity and name with nothing else.
    pub fn new(id: AccountId, name: Name) -> Self {
        Self {
            id,
            name,
            password: None,
            is_admin: false,
            is_confirmed: false,
            is_disabled: false,
            metadata: Metadata::default(),
            generation: Generation::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_what_a_url_holds_unescaped() {
        let long = "x".repeat(MAX_ID_BYTES);
        for good in ["a", "9f83", "Ann_1-2.3!~*'()", &long] {
            assert!(AccountId::parse(good).is_some(), "{good}");
        }
        for bad in ["", "a b", "a/b", "a%41", "ä", "a+b", "a@b", ".", "..", "__admin", &(long.clone() + "x")]
        {
            assert!(AccountId::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_builtin_administrator_is_of_provider_realm() {
        let admin = Account::builtin_admin();
        assert!(admin.is_admin && admin.id.is_builtin_admin());
        assert_eq!((admin.name.as_str(), admin.provider()), ("__admin", Provider::Realm));
    }
}
