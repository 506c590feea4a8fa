//! scrypt (RFC 7914), in PHC form, which passlib writes as well, and in crypt's `$7$`.

use std::fmt;

use phc::Salt;
use scrypt::Params;

use super::{MAX_MEMORY_KIB, Method, Stored, UnsupportedHash};
use crate::hashing::HashError;

pub(super) const SCHEME: &str = "scrypt";

/// The largest block size and parallelism. Both multiply the time; the usual ones are 8 and 1.
const MAX_R: u32 = 64;
const MAX_P: u32 = 64;
/// The most memory times parallelism, in KiB: two runs over 256 MiB.
const MAX_FILLED_KIB: u64 = 2 * MAX_MEMORY_KIB as u64;

/// Memory times parallelism above this takes several times what a hash of today does, in KiB.
const DEAR_FILLED_KIB: u64 = 32 * 1024;

/// What it costs: 128 `r` bytes two to the power of `log_n` times, `p` times over.
pub(super) struct Scrypt {
    log_n: u8,
    r: u32,
    p: u32,
}

/// `$scrypt$ln=17,r=8,p=1$salt$hash`.
pub(super) fn parse(text: &str) -> Result<Stored, UnsupportedHash> {
    let malformed = |wrong| UnsupportedHash::Malformed { scheme: SCHEME, wrong };
    let phc = super::phc(text, SCHEME)?;
    if phc.version.is_some() {
        return Err(malformed("it has a version"));
    }
    let [Some(log_n), Some(r), Some(p)] = phc.numbers(["ln", "r", "p"], SCHEME)? else {
        return Err(malformed("ln, r or p is missing"));
    };
    let method = Method::Scrypt(Scrypt::bounded(log_n, r, p)?);
    Ok(Stored { method, salt: phc.salt, expected: phc.expected })
}

/// Takes what follows `$7$`: one character of `ln`, five each of `r` and `p`, the salt as it is, `$`, the hash.
///
/// Numbers and hash are in the digits of crypt, the lowest first; the salt's characters themselves are the salt.
pub(super) fn parse_crypt(rest: &str) -> Result<Stored, UnsupportedHash> {
    let malformed = |wrong| UnsupportedHash::Malformed { scheme: SCHEME, wrong };
    let (setting, hash) = rest.rsplit_once('$').ok_or_else(|| malformed("a part is missing"))?;
    let setting = setting.as_bytes();
    let (Some(log_n), Some(r), Some(p), Some(salt)) =
        (setting.get(..1), setting.get(1..6), setting.get(6..11), setting.get(11..))
    else {
        return Err(malformed("its parameters cannot be read"));
    };
    let number = |digits| crypt_number(digits).ok_or_else(|| malformed("its parameters cannot be read"));
    let method = Method::Scrypt(Scrypt::bounded(number(log_n)?, number(r)?, number(p)?)?);
    let hash = crypt_bytes(hash.as_bytes()).ok_or_else(|| malformed("the hash is not base64 of crypt"))?;
    Ok(Stored { method, salt: super::salt(salt, SCHEME)?, expected: super::output(&hash, SCHEME)? })
}

/// A number of at most five digits.
fn crypt_number(digits: &[u8]) -> Option<u32> {
    const DIGITS: &[u8] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    digits.iter().rev().try_fold(0, |number: u32, digit| {
        let value = DIGITS.iter().position(|known| known == digit)?;
        number.checked_mul(64)?.checked_add(u32::try_from(value).ok()?)
    })
}

/// Three bytes to four digits; the last ones may be two or three, with no bits to spare.
fn crypt_bytes(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for digits in text.chunks(4) {
        let whole = digits.len() * 6 / 8;
        let number = crypt_number(digits)?.to_le_bytes();
        if whole == 0 || number[whole..].iter().any(|rest| *rest != 0) {
            return None;
        }
        bytes.extend_from_slice(&number[..whole]);
    }
    Some(bytes)
}

impl Scrypt {
    /// Whether it takes several times what a hash of today does.
    pub(super) fn is_dear(&self) -> bool {
        // Within the bounds, so nothing overflows.
        ((u64::from(self.r) << self.log_n) / 8) * u64::from(self.p) > DEAR_FILLED_KIB
    }

    fn bounded(log_n: u32, r: u32, p: u32) -> Result<Self, UnsupportedHash> {
        let malformed = |wrong| UnsupportedHash::Malformed { scheme: SCHEME, wrong };
        let expensive = |bound| UnsupportedHash::TooExpensive { scheme: SCHEME, bound };
        if log_n == 0 || r == 0 || p == 0 {
            return Err(malformed("a parameter is zero"));
        }
        if r > MAX_R || p > MAX_P {
            return Err(expensive("r or p is above 64"));
        }
        // 128 r bytes are r / 8 KiB, n of them.
        let memory_kib = u64::from(r).checked_shl(log_n).filter(|_| log_n < 32).map(|times| times / 8);
        let memory_kib = memory_kib.filter(|kib| *kib <= u64::from(MAX_MEMORY_KIB));
        let Some(memory_kib) = memory_kib else { return Err(expensive("its memory is above 256 MiB")) };
        if memory_kib * u64::from(p) > MAX_FILLED_KIB {
            return Err(expensive("its memory times p is above 512 MiB"));
        }
        let log_n = u8::try_from(log_n).map_err(|_| expensive("its memory is above 256 MiB"))?;
        Ok(Self { log_n, r, p })
    }

    pub(super) fn derive(&self, password: &[u8], salt: &Salt, output: &mut [u8]) -> Result<(), HashError> {
        let params = Params::new(self.log_n, self.r, self.p).map_err(|_| HashError::Failed)?;
        self.memory_is_there()?;
        scrypt::scrypt(password, salt, &params, output).map_err(|_| HashError::Failed)
    }

    /// Asks for the memory and gives it back: where it is refused, the library would end the whole process.
    fn memory_is_there(&self) -> Result<(), HashError> {
        let bytes = (128 * self.r as usize).checked_shl(self.log_n.into()).ok_or(HashError::Failed)?;
        Vec::<u8>::new().try_reserve_exact(bytes).map_err(|_| HashError::Failed)
    }
}

impl fmt::Display for Scrypt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}$ln={},r={},p={}", self.log_n, self.r, self.p)
    }
}
