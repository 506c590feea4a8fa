//! bcrypt in its own form: `$2b$12$`, 22 characters of salt, 31 of hash.
//!
//! `2a`, `2b` and `2y` are one function, and are written `2b`. `2x` marks hashes of an implementation that got
//! characters beyond ASCII wrong; they are not taken. bcrypt looks at 72 bytes of a password and no more: signing in
//! with one that begins alike works once, and the hash that replaces it is of all that was typed.

use base64::Engine;
use base64::alphabet::BCRYPT;
use base64::engine::GeneralPurpose;
use base64::engine::general_purpose::NO_PAD;
use phc::{Output, Salt};
use zeroize::Zeroizing;

use super::{Method, Stored, UnsupportedHash};
use crate::hashing::HashError;

pub(super) const SCHEME: &str = "bcrypt";

const MIN_COST: u32 = 4;
/// Every step doubles the time, and 14 takes about a second.
const MAX_COST: u32 = 14;
/// Above this cost it takes several times what a hash of today does.
const DEAR_COST: u32 = 11;
const SALT_CHARACTERS: usize = 22;
const HASH_CHARACTERS: usize = 31;
/// As much of a password as there is room for in the key.
const KEY_BYTES: usize = 72;

/// Some wrote salts whose last character has bits that mean nothing, and bcrypt has always passed over them.
const LENIENT: GeneralPurpose = GeneralPurpose::new(&BCRYPT, NO_PAD.with_decode_allow_trailing_bits(true));

/// What it costs: two to this power.
pub(super) struct Bcrypt {
    cost: u32,
}

/// Takes what follows `$2b$`.
pub(super) fn parse(rest: &str) -> Result<Stored, UnsupportedHash> {
    let malformed = |wrong| UnsupportedHash::Malformed { scheme: SCHEME, wrong };
    let (cost, text) = rest.split_once('$').ok_or_else(|| malformed("a part is missing"))?;
    if cost.len() != 2 || !cost.bytes().all(|b| b.is_ascii_digit()) {
        return Err(malformed("its cost is not two digits"));
    }
    let cost = cost.parse().map_err(|_| malformed("its cost is not two digits"))?;
    if cost < MIN_COST {
        return Err(malformed("its cost is below 4"));
    }
    if cost > MAX_COST {
        return Err(UnsupportedHash::TooExpensive { scheme: SCHEME, bound: "its cost is above 14" });
    }
    if text.len() != SALT_CHARACTERS + HASH_CHARACTERS {
        return Err(malformed("salt and hash have not 53 characters"));
    }
    let (salt, hash) = text.as_bytes().split_at(SALT_CHARACTERS);
    let decoded = |text| LENIENT.decode(text).map_err(|_| malformed("salt or hash is not base64 of bcrypt"));
    Ok(Stored {
        method: Method::Bcrypt(Bcrypt { cost }),
        salt: super::salt(&decoded(salt)?, SCHEME)?,
        expected: super::output(&decoded(hash)?, SCHEME)?,
    })
}

impl Bcrypt {
    /// Whether it takes several times what a hash of today does.
    pub(super) fn is_dear(&self) -> bool {
        self.cost > DEAR_COST
    }

    pub(super) fn derive(&self, password: &[u8], salt: &Salt, output: &mut [u8]) -> Result<(), HashError> {
        // The zero that ends a C string is part of the key, where there is room for it.
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        let taken = password.len().min(KEY_BYTES);
        key[..taken].copy_from_slice(&password[..taken]);
        let key = &key[..(taken + 1).min(KEY_BYTES)];
        let salt = <[u8; 16]>::try_from(&salt[..]).map_err(|_| HashError::Failed)?;
        let hash = Zeroizing::new(bcrypt::bcrypt(self.cost, salt, key));
        output.copy_from_slice(hash.get(..output.len()).ok_or(HashError::Failed)?);
        Ok(())
    }

    pub(super) fn text(&self, salt: &Salt, hash: &Output) -> String {
        format!("$2b${:02}${}{}", self.cost, LENIENT.encode(salt), LENIENT.encode(hash))
    }
}
