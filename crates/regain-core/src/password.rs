//! Passwords as they come in, the policy for new ones, and the hash that is kept.

use zeroize::Zeroizing;

use crate::hashing::stored::Stored;
use crate::hashing::{RosPassword, UnsupportedHash};

/// The longest password, in bytes; a longer one is refused before anything is hashed.
pub const MAX_BYTES: usize = 1024;

/// A password as received: neither trimmed nor normalised. Has no `Debug` and no `Display`; zeroed when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes a password.
    ///
    /// # Errors
    /// Where it has more than 1,024 bytes.
    pub fn parse(text: impl Into<String>) -> Result<Self, PasswordRefusal> {
        let text = Zeroizing::new(text.into());
        if text.len() > MAX_BYTES { Err(PasswordRefusal::TooLong) } else { Ok(Self(text)) }
    }

    /// The bytes, to hash them.
    pub fn expose(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// What a new password must be. Length is all that is asked (NIST SP 800-63B-4, 3.1.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordPolicy {
    /// The fewest characters (Unicode code points).
    pub min_length: usize,
    /// Changing a password asks for the current one. No ROS client sends it.
    pub require_current: bool,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        Self { min_length: 8, require_current: false }
    }
}

impl PasswordPolicy {
    /// Checks a new password.
    ///
    /// # Errors
    /// Where it is too short.
    pub fn check(&self, password: &Password) -> Result<(), PasswordRefusal> {
        if password.0.chars().count() < self.min_length {
            return Err(PasswordRefusal::TooShort { min_length: self.min_length });
        }
        Ok(())
    }
}

/// Why a password is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordRefusal {
    /// Shorter than the policy asks.
    #[error("must have at least {min_length} characters")]
    TooShort {
        /// What the policy asks.
        min_length: usize,
    },
    /// Longer than 1,024 bytes.
    #[error("must not be longer than 1024 bytes")]
    TooLong,
}

/// A hash, with its method, cost and salt: a PHC string, or bcrypt in its own form. Has no `Debug`: a hash can be
/// guessed against.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(String);

impl PasswordHash {
    /// Takes a hash that a store holds.
    pub fn from_stored(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Takes a hash from another system, in the form that system keeps it in.
    ///
    /// Read are Argon2 (id, i and d) and scrypt in PHC form, PBKDF2 with HMAC in PHC form and in that of passlib, bcrypt
    /// (`$2a$`, `$2b$`, `$2y$`), and scrypt as crypt writes it (`$7$`). What is kept is the same hash in one form a
    /// scheme. It is replaced at the first sign-in.
    ///
    /// # Errors
    /// Where it is of another scheme, is not well-formed, or would take more than 256 MiB or unreasonably long to
    /// compare with.
    pub fn import(text: &str) -> Result<Self, UnsupportedHash> {
        Stored::parse(text).map(|stored| Self(stored.text()))
    }

    /// Takes a password of the Realm Object Server.
    ///
    /// # Errors
    /// As [`PasswordHash::import`].
    pub fn import_ros(record: RosPassword<'_>) -> Result<Self, UnsupportedHash> {
        record.parse().map(|stored| Self(stored.text()))
    }

    /// The scheme, for an operator's eyes: `argon2id`, `pbkdf2-sha512`, `bcrypt`; `unknown` where it is none of them.
    pub fn scheme(&self) -> &'static str {
        Stored::parse(&self.0).map_or("unknown", |stored| stored.scheme())
    }

    /// The text to store.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_counted_in_characters_and_capped_in_bytes() {
        let policy = PasswordPolicy::default();
        let check = |text: &str| Password::parse(text).and_then(|p| policy.check(&p));
        assert_eq!(check("1234567"), Err(PasswordRefusal::TooShort { min_length: 8 }));
        assert_eq!(check("äöüäöüä"), Err(PasswordRefusal::TooShort { min_length: 8 }));
        assert_eq!(check("        "), Ok(()));
        assert_eq!(check(&"🔑".repeat(64)), Ok(()));
        assert_eq!(check(&"x".repeat(1024)), Ok(()));
        assert_eq!(check(&"x".repeat(1025)), Err(PasswordRefusal::TooLong));
    }
}
