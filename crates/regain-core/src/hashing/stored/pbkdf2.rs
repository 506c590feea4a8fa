//! PBKDF2 with HMAC (RFC 8018), in PHC form and in that of passlib.
//!
//! PBKDF2 computes its output in blocks of the digest's length, each for itself and at the full price. The first one
//! already has as many bits as the digest, so an output is cut down to it: whoever guesses a password need not compute
//! more either, and a check takes an eighth of the time for the 512 bytes that the Realm Object Server stores.

use std::fmt;
use std::num::NonZeroU32;

use aws_lc_rs::pbkdf2::{self, PBKDF2_HMAC_SHA1, PBKDF2_HMAC_SHA256, PBKDF2_HMAC_SHA512};
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use phc::Salt;

use super::{MAX_TEXT, Method, Stored, UnsupportedHash};

/// The most rounds. A round takes about half a microsecond; two million take about a second.
const MAX_ROUNDS: u32 = 2_000_000;

/// More rounds than these take several times what a hash of today does.
const DEAR_ROUNDS: u32 = 150_000;

/// Which digest, and how often.
pub(super) struct Pbkdf2 {
    digest: Digest,
    rounds: NonZeroU32,
}

/// The digests whose hashes are read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Digest {
    Sha1,
    Sha256,
    Sha512,
}

/// `$pbkdf2-sha512$i=10000,l=64$salt$hash`, or `$pbkdf2-sha512$10000$salt$hash` as passlib writes it. `rest` is what
/// follows the scheme.
pub(super) fn parse(text: &str, rest: &str) -> Result<Stored, UnsupportedHash> {
    let digest = match text {
        text if text.starts_with("$pbkdf2-sha512$") => Digest::Sha512,
        text if text.starts_with("$pbkdf2-sha256$") => Digest::Sha256,
        _ => Digest::Sha1,
    };
    if rest.starts_with("i=") || rest.starts_with("l=") {
        parse_phc(text, digest)
    } else {
        parse_passlib(rest, digest)
    }
}

fn parse_phc(text: &str, digest: Digest) -> Result<Stored, UnsupportedHash> {
    let scheme = digest.scheme();
    let malformed = |wrong| UnsupportedHash::Malformed { scheme, wrong };
    let phc = super::phc(text, scheme)?;
    let [Some(rounds), length] = phc.numbers(["i", "l"], scheme)? else {
        return Err(malformed("i is missing"));
    };
    if length.is_some_and(|length| usize::try_from(length) != Ok(phc.expected.len())) {
        return Err(malformed("the hash is not as long as l says"));
    }
    stored(digest, rounds, &phc.salt, phc.expected.as_bytes())
}

/// Base64 without padding and with `.` for `+`.
fn parse_passlib(rest: &str, digest: Digest) -> Result<Stored, UnsupportedHash> {
    let malformed = |wrong| UnsupportedHash::Malformed { scheme: digest.scheme(), wrong };
    let mut fields = rest.split('$');
    let (Some(rounds), Some(salt), Some(hash), None) =
        (fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(malformed("it has not three parts"));
    };
    if rounds.is_empty() || !rounds.bytes().all(|b| b.is_ascii_digit()) {
        return Err(malformed("its rounds are not a number"));
    }
    // More digits than a number has are more rounds than are allowed.
    let rounds = rounds.parse().unwrap_or(u32::MAX);
    let mut bytes = [0; MAX_TEXT];
    let mut decoded = |text: &str| {
        let text = text.replace('.', "+");
        BASE64_STANDARD_NO_PAD
            .decode_slice(text, &mut bytes)
            .map(|length| bytes[..length].to_vec())
            .map_err(|_| malformed("the salt or the hash is not base64"))
    };
    stored(digest, rounds, &decoded(salt)?, &decoded(hash)?)
}

/// Checks the bounds, and keeps the first block of the output.
pub(super) fn stored(
    digest: Digest,
    rounds: u32,
    salt: &[u8],
    hash: &[u8],
) -> Result<Stored, UnsupportedHash> {
    let scheme = digest.scheme();
    let rounds =
        NonZeroU32::new(rounds).ok_or(UnsupportedHash::Malformed { scheme, wrong: "it has no rounds" })?;
    if rounds.get() > MAX_ROUNDS {
        let bound = "it has more than 2,000,000 rounds";
        return Err(UnsupportedHash::TooExpensive { scheme, bound });
    }
    let first_block = &hash[..hash.len().min(digest.bytes())];
    Ok(Stored {
        method: Method::Pbkdf2(Pbkdf2 { digest, rounds }),
        salt: super::salt(salt, scheme)?,
        expected: super::output(first_block, scheme)?,
    })
}

impl Pbkdf2 {
    /// Whether it takes several times what a hash of today does.
    pub(super) fn is_dear(&self) -> bool {
        self.rounds.get() > DEAR_ROUNDS
    }

    pub(super) fn scheme(&self) -> &'static str {
        self.digest.scheme()
    }

    pub(super) fn derive(&self, password: &[u8], salt: &Salt, output: &mut [u8]) {
        let algorithm = match self.digest {
            Digest::Sha1 => PBKDF2_HMAC_SHA1,
            Digest::Sha256 => PBKDF2_HMAC_SHA256,
            Digest::Sha512 => PBKDF2_HMAC_SHA512,
        };
        pbkdf2::derive(algorithm, self.rounds, salt, password, output);
    }
}

impl Digest {
    pub(super) fn scheme(self) -> &'static str {
        match self {
            Self::Sha1 => "pbkdf2-sha1",
            Self::Sha256 => "pbkdf2-sha256",
            Self::Sha512 => "pbkdf2-sha512",
        }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl fmt::Display for Pbkdf2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}$i={}", self.scheme(), self.rounds)
    }
}
