//! Why a hash from elsewhere is not taken, in words that repeat nothing of it.
//!
//! What is refused may be a password in plain text, so even the scheme is named only where it is one of those listed
//! here, with the list's own word.

use super::MAX_TEXT;

/// Why a hash from elsewhere is not taken. Carries nothing of the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnsupportedHash {
    /// There is none.
    #[error("the hash is empty")]
    Empty,
    /// Longer than any hash that is read.
    #[error("the hash has more than {MAX_TEXT} bytes")]
    TooLong,
    /// It has the form of no scheme: plain text, most likely.
    #[error("it is not a password hash, and passwords in plain text are not taken")]
    NotAHash,
    /// A scheme that is known and not read.
    #[error("{0} is not supported")]
    Scheme(&'static str),
    /// It has the form of a hash, of a scheme that has no name here.
    #[error("it is of an unknown scheme")]
    UnknownScheme,
    /// A scheme that is read, but this is not how it is written.
    #[error("it is not a well-formed {scheme} hash: {wrong}")]
    Malformed {
        /// The scheme it claims to be of.
        scheme: &'static str,
        /// What is wrong with it.
        wrong: &'static str,
    },
    /// Comparing with it would cost more time or memory than a sign-in may.
    #[error("the {scheme} hash is too expensive: {bound}")]
    TooExpensive {
        /// Its scheme.
        scheme: &'static str,
        /// The bound that it exceeds.
        bound: &'static str,
    },
}

/// Words between the first two `$`, and what they stand for.
const CRYPT: &[(&str, &str)] = &[
    ("1", "md5-crypt"),
    ("2", "bcrypt 2"),
    ("2x", "bcrypt 2x"),
    ("3", "nt-hash"),
    ("5", "sha256-crypt"),
    ("6", "sha512-crypt"),
    ("H", "phpass"),
    ("P", "phpass"),
    ("S", "the salted SHA-512 of Drupal"),
    ("apr1", "md5-crypt of Apache"),
    ("argon2", "argon2 without its variant"),
    ("bcrypt", "bcrypt in PHC form"),
    ("bcrypt-sha256", "bcrypt-sha256"),
    ("gy", "gost-yescrypt"),
    ("md5", "md5-crypt of Solaris"),
    ("pbkdf2-sha384", "pbkdf2-sha384"),
    ("sha1", "sha1-crypt"),
    ("sm3", "sm3-crypt"),
    ("y", "yescrypt"),
];

/// How texts of other forms begin, and what they stand for.
const PREFIXES: &[(&str, &str)] = &[
    ("argon2$", "argon2 in the form of Django"),
    ("bcrypt$", "bcrypt in the form of Django"),
    ("bcrypt_sha256$", "bcrypt-sha256 in the form of Django"),
    ("md5$", "salted MD5 in the form of Django"),
    ("pbkdf2_sha1$", "pbkdf2-sha1 in the form of Django"),
    ("pbkdf2_sha256$", "pbkdf2-sha256 in the form of Django"),
    ("pbkdf2:", "pbkdf2 in the form of Werkzeug"),
    ("scrypt$", "scrypt in the form of Django"),
    ("scrypt:", "scrypt in the form of Werkzeug"),
    ("sha1$", "salted SHA-1 in the form of Django"),
    ("{", "a hash in the form of LDAP"),
];

/// Names what `text` is, which is of none of the schemes that are read.
pub(super) fn named(text: &str) -> UnsupportedHash {
    if let Some((word, _)) = text.strip_prefix('$').and_then(|text| text.split_once('$')) {
        let known = CRYPT.iter().find(|(id, _)| *id == word);
        return known.map_or(UnsupportedHash::UnknownScheme, |(_, name)| UnsupportedHash::Scheme(name));
    }
    if let Some((_, name)) = PREFIXES.iter().find(|(prefix, _)| text.starts_with(prefix)) {
        return UnsupportedHash::Scheme(name);
    }
    let is_hex = text.bytes().all(|b| b.is_ascii_hexdigit());
    if is_hex && [32, 40, 64, 96, 128].contains(&text.len()) {
        return UnsupportedHash::Scheme("a hash without salt");
    }
    UnsupportedHash::NotAHash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_read_is_named() {
        for (text, said) in [
            ("$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/", "md5-crypt is not supported"),
            ("$5$rounds=5000$salt$hash", "sha256-crypt is not supported"),
            ("$6$saltsalt$qFmFH.bQmmtXzyBY0s9v7Oicd2z4XSIecDzlB5KiA2", "sha512-crypt is not supported"),
            ("$y$j9T$salt$hash", "yescrypt is not supported"),
            ("$P$B55D6LjfHDkINU5wF.v2BuuzO0/XPk/", "phpass is not supported"),
            ("pbkdf2_sha256$870000$salt$hash", "pbkdf2-sha256 in the form of Django is not supported"),
            ("{SSHA}abcdef", "a hash in the form of LDAP is not supported"),
            ("5f4dcc3b5aa765d61d8327deb882cf99", "a hash without salt is not supported"),
            ("$newhash$abc", "it is of an unknown scheme"),
            ("correct horse", "it is not a password hash, and passwords in plain text are not taken"),
            ("$ecret", "it is not a password hash, and passwords in plain text are not taken"),
        ] {
            assert_eq!(named(text).to_string(), said, "{text}");
        }
    }
}
