//! Argon2 (RFC 9106): the hash of today, and its kin from elsewhere, in PHC form.

use std::fmt;

use argon2::{Algorithm, Params, Version};
use phc::Salt;

use super::{MAX_MEMORY_KIB, Method, Stored, UnsupportedHash};
use crate::hashing::blocks::Blocks;
use crate::hashing::{HashCost, HashError};

/// The most memory times passes, in KiB: four passes over 256 MiB.
const MAX_FILLED_KIB: u32 = 4 * MAX_MEMORY_KIB;
/// Memory times passes above this, in KiB, takes several times what a hash of today does.
const DEAR_FILLED_KIB: u32 = 160 * 1024;
/// The most lanes. They are computed one after the other here.
const MAX_LANES: u32 = 64;

/// Which Argon2, and what it costs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Argon2 {
    algorithm: Algorithm,
    version: Version,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// `$argon2id$v=19$m=19456,t=2,p=1$salt$hash`. Without `v`, it is of version 16, which did not write its number.
pub(super) fn parse(text: &str) -> Result<Stored, UnsupportedHash> {
    const SCHEME: &str = "argon2";
    let malformed = |wrong| UnsupportedHash::Malformed { scheme: SCHEME, wrong };
    let expensive = |bound| UnsupportedHash::TooExpensive { scheme: SCHEME, bound };
    let phc = super::phc(text, SCHEME)?;
    let algorithm =
        Algorithm::new(phc.id.as_str()).map_err(|_| malformed("its variant is none of d, i and id"))?;
    let version = match phc.version {
        None | Some(16) => Version::V0x10,
        Some(19) => Version::V0x13,
        Some(_) => return Err(malformed("its version is neither 16 nor 19")),
    };
    let [Some(memory_kib), Some(passes), Some(lanes)] = phc.numbers(["m", "t", "p"], SCHEME)? else {
        return Err(malformed("m, t or p is missing"));
    };
    if passes == 0 || lanes == 0 {
        return Err(malformed("t or p is zero"));
    }
    if lanes > MAX_LANES {
        return Err(expensive("it has more than 64 lanes"));
    }
    if memory_kib < 8 * lanes {
        return Err(malformed("its memory is below 8 KiB a lane"));
    }
    if memory_kib > MAX_MEMORY_KIB {
        return Err(expensive("its memory is above 256 MiB"));
    }
    if memory_kib.saturating_mul(passes) > MAX_FILLED_KIB {
        return Err(expensive("its memory times its passes is above 1 GiB"));
    }
    let method = Method::Argon2(Argon2 { algorithm, version, memory_kib, passes, lanes });
    Ok(Stored { method, salt: phc.salt, expected: phc.expected })
}

impl Argon2 {
    /// Whether it takes several times what a hash of today does.
    pub(super) fn is_dear(self) -> bool {
        self.memory_kib.saturating_mul(self.passes) > DEAR_FILLED_KIB
    }

    /// Argon2id as it is used here.
    pub(crate) fn of(cost: HashCost) -> Self {
        Self {
            algorithm: Algorithm::Argon2id,
            version: Version::V0x13,
            memory_kib: cost.memory_kib,
            passes: cost.passes,
            lanes: 1,
        }
    }

    pub(super) fn scheme(&self) -> &'static str {
        self.algorithm.as_str()
    }

    pub(crate) fn derive(
        &self,
        password: &[u8],
        salt: &Salt,
        output: &mut [u8],
        blocks: &mut Blocks,
    ) -> Result<(), HashError> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, Some(output.len()))
            .map_err(|_| HashError::Failed)?;
        let count = params.block_count();
        let argon2 = argon2::Argon2::new(self.algorithm, self.version, params);
        blocks
            .lend(count, |lent| argon2.hash_password_into_with_memory(password, salt, output, lent))?
            .map_err(|_| HashError::Failed)
    }
}

impl fmt::Display for Argon2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { version, memory_kib, passes, lanes, .. } = self;
        write!(f, "{}$v={}$m={memory_kib},t={passes},p={lanes}", self.scheme(), u32::from(*version))
    }
}
