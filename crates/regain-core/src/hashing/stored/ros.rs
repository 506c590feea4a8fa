//! The password records of the Realm Object Server.

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::pbkdf2::{self, Digest};
use super::{Stored, UnsupportedHash};

const SCHEME: &str = "Realm Object Server";
/// The longest output, in bytes; the default is 512.
const MAX_KEY_LENGTH: u32 = 4096;
/// The longest salt or hash as text: base64 of the longest output.
const MAX_TEXT: usize = (MAX_KEY_LENGTH as usize).div_ceil(3) * 4;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A password as the Realm Object Server stores it: PBKDF2 with HMAC. Has no `Debug`: a hash can be guessed against.
///
/// Node's `crypto.pbkdf2` gets the salt as bytes, so its base64 is decoded before use (ROS 3.12).
#[derive(Clone, Copy)]
pub struct RosPassword<'a> {
    /// The salt in base64; 32 bytes by default.
    pub salt: &'a str,
    /// How many rounds; 10,000 by default.
    pub iterations: u32,
    /// How long the output is, in bytes; 512 by default.
    pub key_length: u32,
    /// The digest as Node names it, in any case: `sha1`, `sha256` or `sha512`, the default.
    pub digest: &'a str,
    /// The output in base64.
    pub hash: &'a str,
}

impl RosPassword<'_> {
    /// Reads the record.
    pub(crate) fn parse(self) -> Result<Stored, UnsupportedHash> {
        let malformed = |wrong| UnsupportedHash::Malformed { scheme: SCHEME, wrong };
        let digests = [("sha1", Digest::Sha1), ("sha256", Digest::Sha256), ("sha512", Digest::Sha512)];
        let Some((_, digest)) = digests.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(self.digest))
        else {
            return Err(UnsupportedHash::Scheme("PBKDF2 with a digest other than sha1, sha256 and sha512"));
        };
        if self.salt.is_empty() || self.hash.is_empty() {
            return Err(malformed("the salt or the hash is empty"));
        }
        if self.salt.len() > MAX_TEXT || self.hash.len() > MAX_TEXT || self.key_length > MAX_KEY_LENGTH {
            return Err(malformed("the salt or the hash has more than 4096 bytes"));
        }
        let salt = BASE64.decode(self.salt).map_err(|_| malformed("the salt is not base64"))?;
        let hash = BASE64.decode(self.hash).map_err(|_| malformed("the hash is not base64"))?;
        if usize::try_from(self.key_length) != Ok(hash.len()) {
            return Err(malformed("the hash is not as long as its key length says"));
        }
        pbkdf2::stored(digest, self.iterations, &salt, &hash)
    }
}
