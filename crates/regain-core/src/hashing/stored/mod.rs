//! What a stored hash says: its method and cost, its salt, and the output that the password must give.
//!
//! A text is parsed here and nowhere else, and every number in it is bounded before anything is computed: a hash from
//! elsewhere is input like any other. Written again, it has one form whatever form it came in: a PHC string, and for
//! bcrypt its own. Must not know threads, times or what today's cost is for.
//!
//! A hash may take 256 MiB and one to two seconds of a core; the bounds that keep each method within that stand in its
//! file. Salts have 8 to 48 bytes and outputs 10 to 64, as the PHC string format has it.

mod argon2;
mod bcrypt;
mod pbkdf2;
mod ros;
mod scrypt;
mod unsupported;

#[cfg(test)]
mod tests;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use phc::{Output, ParamsString, Salt};
use zeroize::Zeroizing;

pub(super) use self::argon2::Argon2;
pub use ros::RosPassword;
pub use unsupported::UnsupportedHash;

use super::blocks::Blocks;
use super::{HashCost, HashError, OUTPUT_BYTES, SALT_BYTES};
use bcrypt::Bcrypt;
use pbkdf2::Pbkdf2;
use scrypt::Scrypt;

/// The longest text that is looked at, in bytes. The longest that is read has not half of it.
const MAX_TEXT: usize = 512;
/// The most memory of one hash, in KiB.
const MAX_MEMORY_KIB: u32 = 256 * 1024;

/// A stored hash, parsed.
pub(crate) struct Stored {
    method: Method,
    salt: Salt,
    expected: Output,
}

/// How an output comes of a password and a salt.
enum Method {
    Argon2(Argon2),
    Bcrypt(Bcrypt),
    Pbkdf2(Pbkdf2),
    Scrypt(Scrypt),
}

impl Stored {
    /// Reads what a store or a file holds.
    pub(crate) fn parse(text: &str) -> Result<Self, UnsupportedHash> {
        if text.is_empty() {
            return Err(UnsupportedHash::Empty);
        }
        if text.len() > MAX_TEXT {
            return Err(UnsupportedHash::TooLong);
        }
        match text.strip_prefix('$').and_then(|text| text.split_once('$')) {
            Some(("argon2id" | "argon2i" | "argon2d", _)) => argon2::parse(text),
            Some(("2a" | "2b" | "2y", rest)) => bcrypt::parse(rest),
            Some(("pbkdf2" | "pbkdf2-sha1" | "pbkdf2-sha256" | "pbkdf2-sha512", rest)) => {
                pbkdf2::parse(text, rest)
            }
            Some(("scrypt", _)) => scrypt::parse(text),
            Some(("7", rest)) => scrypt::parse_crypt(rest),
            _ => Err(unsupported::named(text)),
        }
    }

    /// What is stored for a password hashed today.
    pub(super) fn made_here(cost: HashCost, salt: Salt, expected: Output) -> Self {
        Self { method: Method::Argon2(Argon2::of(cost)), salt, expected }
    }

    /// The method's name, as an operator would look it up.
    pub(crate) fn scheme(&self) -> &'static str {
        match &self.method {
            Method::Argon2(argon2) => argon2.scheme(),
            Method::Bcrypt(_) => bcrypt::SCHEME,
            Method::Pbkdf2(pbkdf2) => pbkdf2.scheme(),
            Method::Scrypt(_) => scrypt::SCHEME,
        }
    }

    /// Whether comparing with it costs what it costs with a hash made today.
    pub(super) fn costs(&self, today: HashCost) -> bool {
        matches!(&self.method, Method::Argon2(argon2) if *argon2 == Argon2::of(today))
    }

    /// Whether comparing with it takes several times what it takes with a hash made today.
    pub(super) fn is_dear(&self) -> bool {
        match &self.method {
            Method::Argon2(argon2) => argon2.is_dear(),
            Method::Bcrypt(bcrypt) => bcrypt.is_dear(),
            Method::Pbkdf2(pbkdf2) => pbkdf2.is_dear(),
            Method::Scrypt(scrypt) => scrypt.is_dear(),
        }
    }

    /// Whether it is as good as a hash made today.
    pub(super) fn is_todays(&self, today: HashCost) -> bool {
        self.costs(today) && self.salt.len() >= SALT_BYTES && self.expected.len() >= OUTPUT_BYTES
    }

    /// The text to store. Not `Display`: a hash can be guessed against, and should not be easy to print.
    pub(crate) fn text(&self) -> String {
        let (salt, expected) = (&self.salt, &self.expected);
        match &self.method {
            Method::Argon2(argon2) => format!("${argon2}${salt}${expected}"),
            Method::Bcrypt(bcrypt) => bcrypt.text(salt, expected),
            Method::Pbkdf2(pbkdf2) => format!("${pbkdf2},l={}${salt}${expected}", expected.len()),
            Method::Scrypt(scrypt) => format!("${scrypt}${salt}${expected}"),
        }
    }

    /// The salt.
    pub(super) fn salt(&self) -> &Salt {
        &self.salt
    }

    /// Whether it is the hash of that password.
    pub(super) fn matches(&self, password: &[u8], blocks: &mut Blocks) -> Result<bool, HashError> {
        let mut output = Zeroizing::new([0; Output::MAX_LENGTH]);
        let output = &mut output[..self.expected.len()];
        match &self.method {
            Method::Argon2(argon2) => argon2.derive(password, &self.salt, output, blocks)?,
            Method::Bcrypt(bcrypt) => bcrypt.derive(password, &self.salt, output)?,
            Method::Pbkdf2(pbkdf2) => pbkdf2.derive(password, &self.salt, output),
            Method::Scrypt(scrypt) => scrypt.derive(password, &self.salt, output)?,
        }
        Ok(verify_slices_are_equal(output, self.expected.as_bytes()).is_ok())
    }
}

/// The fields of a PHC string, with a salt and an output.
struct Phc {
    id: phc::Ident,
    version: Option<u32>,
    params: ParamsString,
    salt: Salt,
    expected: Output,
}

/// Reads a PHC string.
fn phc(text: &str, scheme: &'static str) -> Result<Phc, UnsupportedHash> {
    let malformed = |wrong| UnsupportedHash::Malformed { scheme, wrong };
    let parsed = phc::PasswordHash::new(text).map_err(|error| malformed(in_words(error)))?;
    let (Some(salt), Some(expected)) = (parsed.salt, parsed.hash) else {
        return Err(malformed("the salt or the hash is missing"));
    };
    Ok(Phc { id: parsed.algorithm, version: parsed.version, params: parsed.params, salt, expected })
}

impl Phc {
    /// The parameters of these names, each there once at most, and no other.
    fn numbers<const N: usize>(
        &self,
        names: [&str; N],
        scheme: &'static str,
    ) -> Result<[Option<u32>; N], UnsupportedHash> {
        let malformed = |wrong| UnsupportedHash::Malformed { scheme, wrong };
        let mut numbers = [None; N];
        for (name, value) in self.params.iter() {
            let known = names.iter().position(|known| *known == name.as_str());
            let at = known.ok_or_else(|| malformed("it has a parameter that is not known"))?;
            let number = value.decimal().map_err(|_| malformed("a parameter is not a number"))?;
            if numbers[at].replace(number).is_some() {
                return Err(malformed("it has a parameter twice"));
            }
        }
        Ok(numbers)
    }
}

fn salt(bytes: &[u8], scheme: &'static str) -> Result<Salt, UnsupportedHash> {
    Salt::new(bytes).map_err(|error| UnsupportedHash::Malformed { scheme, wrong: in_words(error) })
}

fn output(bytes: &[u8], scheme: &'static str) -> Result<Output, UnsupportedHash> {
    Output::new(bytes).map_err(|error| UnsupportedHash::Malformed { scheme, wrong: in_words(error) })
}

/// The part of a [`phc::Error`] that helps whoever looks at the hash.
fn in_words(error: phc::Error) -> &'static str {
    match error {
        phc::Error::SaltTooShort => "the salt has fewer than 8 bytes",
        phc::Error::SaltTooLong => "the salt has more than 48 bytes",
        phc::Error::OutputSize { provided: std::cmp::Ordering::Less, .. } => {
            "the hash has fewer than 10 bytes"
        }
        phc::Error::OutputSize { .. } => "the hash has more than 64 bytes",
        phc::Error::Base64(_) => "the salt or the hash is not base64, or too long",
        phc::Error::TrailingData => "something follows the hash",
        phc::Error::MissingField => "a part is missing",
        _ => "its parameters cannot be read",
    }
}
