//! Hashes that other implementations made are recognised, altered and dear ones are not.
//!
//! The constants are the output of, with Python 3.11 (argon2-cffi 25.1, passlib 1.7.4, bcrypt 5.0), p the password:
//!
//! ```text
//! s = b"salt for regain."; b = p.encode()
//! argon2.low_level.hash_secret(b, s, 2, 64, 2, 24, Type.ID, version=19)          and I, D, version=16
//! base64.b64encode(hashlib.pbkdf2_hmac("sha512", b, s, 1000))                    and sha1, sha256
//! passlib.hash.pbkdf2_sha512.using(rounds=1000, salt=b"\xfb\xef\xbe salt for reg").hash(p)
//! bcrypt.hashpw(b, bcrypt.gensalt(4, b"2a"))                                     and b"2b"
//! hashlib.scrypt(b, salt=s, n=16, r=8, p=2, dklen=32)
//! passlib.hash.scrypt.using(rounds=4, block_size=8, parallelism=1, salt=s).hash(p)
//! perl -e 'print crypt(p, "\$7\$2U..../....saltforregain")'                      and \$2y, with libxcrypt 4.4.33
//! hashlib.pbkdf2_hmac("sha512", b, bytes(range(200, 232)), 10000, 512)           for the record of ROS
//! ```

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::hashing::{HashPool, Verdict};
use crate::password::{Password, PasswordHash};
use crate::rng::OsRng;

const PASSWORD: &str = "pässwörd 🔑";

/// A scheme's name, a hash of [`PASSWORD`], and how it is kept where that is another text.
const KNOWN: &[(&str, &str, Option<&str>)] = &[
    ("argon2id", "$argon2id$v=19$m=64,t=2,p=2$c2FsdCBmb3IgcmVnYWluLg$Lw88Me0gzins4br8zLBeVi2BvLfVEVU1", None),
    ("argon2id", "$argon2id$v=16$m=64,t=2,p=2$c2FsdCBmb3IgcmVnYWluLg$jaRefrO2W4bXbTJw+tVnIPy95Nr9mC7D", None),
    ("argon2i", "$argon2i$v=19$m=64,t=2,p=2$c2FsdCBmb3IgcmVnYWluLg$Lytjn2IOQwGrgCBESHy5J17ef6Gc3Xbs", None),
    ("argon2i", "$argon2i$v=16$m=64,t=2,p=2$c2FsdCBmb3IgcmVnYWluLg$fT2I1JBQRQmE0mYrcPiW9e0NTALH7cX8", None),
    (
        "argon2i",
        "$argon2i$m=64,t=2,p=2$c2FsdCBmb3IgcmVnYWluLg$fT2I1JBQRQmE0mYrcPiW9e0NTALH7cX8",
        Some("$argon2i$v=16$m=64,t=2,p=2$c2FsdCBmb3IgcmVnYWluLg$fT2I1JBQRQmE0mYrcPiW9e0NTALH7cX8"),
    ),
    ("argon2d", "$argon2d$v=19$m=64,t=2,p=2$c2FsdCBmb3IgcmVnYWluLg$f9qnp+0PgRj5kuTVA7s3H+u6BNFn+hCu", None),
    ("argon2d", "$argon2d$v=16$m=64,t=2,p=2$c2FsdCBmb3IgcmVnYWluLg$de8soZEtM9IBNjsME78ig+vepsfnYbve", None),
    ("pbkdf2-sha1", "$pbkdf2-sha1$i=1000,l=20$c2FsdCBmb3IgcmVnYWluLg$TcwI5DSBbl2j0BXhojQbDvOxBsE", None),
    (
        "pbkdf2-sha256",
        "$pbkdf2-sha256$i=1000,l=32$c2FsdCBmb3IgcmVnYWluLg$IIUZEP3hoa1VknG0GOXADfPqAiFvPqSfd/h0I0Umlo0",
        None,
    ),
    (
        "pbkdf2-sha512",
        "$pbkdf2-sha512$i=1000,l=64$c2FsdCBmb3IgcmVnYWluLg$ol4wCcrFJWzRmNDvsXv7bFpZ9nPnCKtf+J3lirrqbDcKie52caoQIfpaogesLyRh/9Wq+wXjQ33jqecRmOwVBw",
        None,
    ),
    (
        "pbkdf2-sha1",
        "$pbkdf2$1000$....IHNhbHQgZm9yIHJlZw$BwUgUrgWTJxppcmqUmdtE9svOfo",
        Some("$pbkdf2-sha1$i=1000,l=20$++++IHNhbHQgZm9yIHJlZw$BwUgUrgWTJxppcmqUmdtE9svOfo"),
    ),
    (
        "pbkdf2-sha256",
        "$pbkdf2-sha256$1000$....IHNhbHQgZm9yIHJlZw$HfLG/osXsSlyWdRpxKd2cXPKP8PUClJ0yhHPO9YXHQ8",
        Some("$pbkdf2-sha256$i=1000,l=32$++++IHNhbHQgZm9yIHJlZw$HfLG/osXsSlyWdRpxKd2cXPKP8PUClJ0yhHPO9YXHQ8"),
    ),
    (
        "pbkdf2-sha512",
        "$pbkdf2-sha512$1000$....IHNhbHQgZm9yIHJlZw$vrc1l00xRo1rt1NCIgzseXWaAw5NEuZ6xJv/tvReJn/M51iypeq8Sc29xhSYyzuXvj6AV8uklioc92Wq2B1CtQ",
        Some(
            "$pbkdf2-sha512$i=1000,l=64$++++IHNhbHQgZm9yIHJlZw$vrc1l00xRo1rt1NCIgzseXWaAw5NEuZ6xJv/tvReJn/M51iypeq8Sc29xhSYyzuXvj6AV8uklioc92Wq2B1CtQ",
        ),
    ),
    (
        "bcrypt",
        "$2a$04$srf4RJN8BcWCK7vh0DaZ3.5QVQ8vPtFjG3agy5J/uSOa6SBSzzAo.",
        Some("$2b$04$srf4RJN8BcWCK7vh0DaZ3.5QVQ8vPtFjG3agy5J/uSOa6SBSzzAo."),
    ),
    ("bcrypt", "$2b$04$CUV6WyGlole4O.J2rIKFQ.VhaBTrue17MpTo.vDSnj4i24Ozl5QD2", None),
    (
        "bcrypt",
        "$2y$04$saltforregainsaltforre5jIeakN4OpYjadfdM.t3p2B6TN6eQDC",
        Some("$2b$04$saltforregainsaltforre5jIeakN4OpYjadfdM.t3p2B6TN6eQDC"),
    ),
    // The same with bits in the salt's last character that mean nothing.
    (
        "bcrypt",
        "$2y$04$saltforregainsaltforrf5jIeakN4OpYjadfdM.t3p2B6TN6eQDC",
        Some("$2b$04$saltforregainsaltforre5jIeakN4OpYjadfdM.t3p2B6TN6eQDC"),
    ),
    (
        "scrypt",
        "$scrypt$ln=4,r=8,p=2$c2FsdCBmb3IgcmVnYWluLg$4BGGudvA1sdb0SIkJ+LWP/VHP3aJfRUH/JI7vA0m7Us",
        None,
    ),
    (
        "scrypt",
        "$scrypt$ln=4,r=8,p=1$c2FsdCBmb3IgcmVnYWluLg$o71oE6TqVZVAExQjItM+He0EyjYbo7X5jjIQ6ZmeCic",
        None,
    ),
    (
        "scrypt",
        "$7$2U..../....saltforregain$ASdp5FAwOGBs.lZFJ6YMATJi75cBPHP/UCJf0IPmjxA",
        Some("$scrypt$ln=4,r=32,p=1$c2FsdGZvcnJlZ2Fpbg$jJfWR8TwmtTgQFxGFUJizFe5yYE227QFoFOtArXJb88"),
    ),
];

const ROS_SALT: &str = "yMnKy8zNzs/Q0dLT1NXW19jZ2tvc3d7f4OHi4+Tl5uc=";
const ROS_HASH: &str = "KpaTtsTbs3yesfLNegZcqSJNIRzc2UgEd9YXIdFIOPbuv1OcqeN5MUurdgBSZIqJt9ISMN5KSKaIl6Osd4npELkJbH5dbB7CYqD1oQp7N2M70KFKimyJXB5FjoAgx/WEbPW8RfBcun0X+Sg6/C7Zc1wp0ih/wT3Runl26RO2rD2FMzMuIhK7cbatnBXXx4DroYUDqOm1A0aV8jtRvF6UILtvk5CS4nAHijL0k16FtUpzAmqW+rMvU7bLa+1Ijno/Wqipt1BpTm6yF67FeN1+2aTpM93gSI30Yn+ShDUqKM3P0vOgpUbyM1Jm9FJ/uhDFX+QQ/uTsBNeTKC9sZOqXrLhJqrt645v5ieq/8kFHLWi4SurIHPEXLfNxxuWBRfkAwGCvo21WBPLZjn8hdXTeQcFRVhmmNZa5yOMKmBoD8ZTNmLBpbZSNUTDcVsrhjgdsBmTNgr7dap+iaAnAgYDl+iTaivTa+JEax4t/hFNVZW+MA/39qFxxNgaHKRxJhv+Qvo1ZlTTxbu3hOSvQBqxYUc779DgGJc3g7RK5zxmq1Gwvfn1/e6WXhHraiFzkLeP8JNsKao2tjFyw0JCCsCRjP4obh91tc45YR8JvmvJ2IB6G4k/znnCS7nk/903sAJgthF9ahypffsc9aixvYEX2efHfgV6hTWLoacskrLwbegk=";

const ROS: RosPassword<'_> =
    RosPassword { salt: ROS_SALT, iterations: 10_000, key_length: 512, digest: "sha512", hash: ROS_HASH };

fn matches(password: &str, text: &str) -> bool {
    let mut blocks = Blocks::new(HashCost::CHEAP);
    Stored::parse(text).unwrap().matches(password.as_bytes(), &mut blocks).unwrap()
}

fn refusal(text: &str) -> String {
    PasswordHash::import(text).err().map_or_else(|| "taken".to_owned(), |refusal| refusal.to_string())
}

#[test]
fn hashes_of_other_implementations_are_recognised() {
    for (scheme, text, kept_as) in KNOWN {
        let hash = PasswordHash::import(text).unwrap();
        assert_eq!(hash.as_str(), kept_as.unwrap_or(text));
        assert_eq!(hash.scheme(), *scheme, "{text}");
        // As it came, too: a store may hold what was not imported.
        for text in [text, hash.as_str()] {
            assert!(matches(PASSWORD, text), "{text}");
            assert!(!matches("pässwörd 🔐", text), "{text}");
            assert!(!matches("", text), "{text}");
        }
    }
}

#[tokio::test]
async fn a_right_password_for_a_hash_from_elsewhere_is_to_be_hashed_again() {
    let pool = HashPool::start(HashCost::CHEAP, Arc::new(OsRng)).unwrap();
    let [right, wrong] = [PASSWORD, "passwort"].map(|text| Password::parse(text).unwrap());
    for (_, text, _) in KNOWN {
        let hash = PasswordHash::import(text).unwrap();
        assert_eq!(pool.verify(&right, Some(&hash)).await, Ok(Verdict::RightButOutdated), "{text}");
        assert_eq!(pool.verify(&wrong, Some(&hash)).await, Ok(Verdict::Wrong), "{text}");
    }
}

#[test]
fn a_record_of_ros_is_recognised_by_the_first_block_of_its_output() {
    let hash = PasswordHash::import_ros(ROS).unwrap();
    assert_eq!(
        hash.as_str(),
        "$pbkdf2-sha512$i=10000,l=64$yMnKy8zNzs/Q0dLT1NXW19jZ2tvc3d7f4OHi4+Tl5uc$KpaTtsTbs3yesfLNegZcqSJNIRzc2UgEd9YXIdFIOPbuv1OcqeN5MUurdgBSZIqJt9ISMN5KSKaIl6Osd4npEA"
    );
    assert!(matches(PASSWORD, hash.as_str()));
    assert!(!matches("passwort", hash.as_str()));
}

#[test]
fn records_of_ros_with_other_settings_are_recognised() {
    let short = RosPassword { iterations: 10, ..ROS };
    for (record, kept_as) in [
        (
            RosPassword { digest: "SHA256", key_length: 20, hash: "HhI6BC/uhqJnd6IRptxk0LhK7SE=", ..short },
            "$pbkdf2-sha256$i=10,l=20$",
        ),
        (
            RosPassword {
                digest: "sha1",
                key_length: 30,
                hash: "DoXJsMTyWYCBTJJkLHefy8ebBg5KKLlYiOu9CkjV",
                ..short
            },
            "$pbkdf2-sha1$i=10,l=20$",
        ),
    ] {
        let hash = PasswordHash::import_ros(record).unwrap();
        assert!(hash.as_str().starts_with(kept_as), "{}", hash.as_str());
        assert!(matches(PASSWORD, hash.as_str()), "{}", hash.as_str());
        assert!(!matches("passwort", hash.as_str()), "{}", hash.as_str());
    }
}

#[test]
fn a_record_of_ros_that_cannot_be_is_refused_with_the_reason() {
    const MALFORMED: &str = "it is not a well-formed Realm Object Server hash: ";
    let short = "A".repeat(8);
    let long = "A".repeat(8192);
    for (record, reason) in [
        (RosPassword { salt: "", ..ROS }, "the salt or the hash is empty"),
        (RosPassword { hash: "", ..ROS }, "the salt or the hash is empty"),
        (RosPassword { salt: "no base64", ..ROS }, "the salt is not base64"),
        (RosPassword { hash: "no base64", ..ROS }, "the hash is not base64"),
        (RosPassword { key_length: 511, ..ROS }, "the hash is not as long as its key length says"),
        (RosPassword { key_length: 4097, ..ROS }, "the salt or the hash has more than 4096 bytes"),
        (RosPassword { hash: &long, ..ROS }, "the salt or the hash has more than 4096 bytes"),
    ] {
        let refusal = PasswordHash::import_ros(record).err().map(|refusal| refusal.to_string());
        assert_eq!(refusal, Some(format!("{MALFORMED}{reason}")));
    }
    for (record, reason) in [
        (
            RosPassword { iterations: 0, ..ROS },
            "it is not a well-formed pbkdf2-sha512 hash: it has no rounds",
        ),
        (
            RosPassword { iterations: 2_000_001, ..ROS },
            "the pbkdf2-sha512 hash is too expensive: it has more than 2,000,000 rounds",
        ),
        (
            RosPassword { digest: "md5", ..ROS },
            "PBKDF2 with a digest other than sha1, sha256 and sha512 is not supported",
        ),
        (
            RosPassword { salt: &short, ..ROS },
            "it is not a well-formed pbkdf2-sha512 hash: the salt has fewer than 8 bytes",
        ),
        (
            RosPassword { hash: &short, key_length: 6, ..ROS },
            "it is not a well-formed pbkdf2-sha512 hash: the hash has fewer than 10 bytes",
        ),
    ] {
        let refusal = PasswordHash::import_ros(record).err().map(|refusal| refusal.to_string());
        assert_eq!(refusal.as_deref(), Some(reason));
    }
}

#[test]
fn bcrypt_looks_at_72_bytes_and_takes_an_empty_password() {
    let hash = "$2b$04$UJrAq5ukxiCI5qcY98SjzuWaujk4WwhM1K6XOtlAztbEWpx.S5w5S";
    assert!(matches(&"x".repeat(72), hash));
    assert!(matches(&"x".repeat(1024), hash));
    assert!(!matches(&"x".repeat(71), hash));
    assert!(matches("", "$2b$04$drVDl2t8np/tmd/IkkOclesRYUsbeuglGIGLHPYt0HpMNTwOnGsM6"));
}

#[test]
fn what_costs_too_much_is_refused_with_the_bound() {
    const B: &str = "c2FsdCBmb3IgcmVnYWluLg$Lw88Me0gzins4br8zLBeVi2BvLfVEVU1";
    const BCRYPT: &str = "CUV6WyGlole4O.J2rIKFQ.VhaBTrue17MpTo.vDSnj4i24Ozl5QD2";
    for (just, beyond, reason) in [
        (
            format!("$argon2id$v=19$m=262144,t=4,p=1${B}"),
            format!("$argon2id$v=19$m=262145,t=1,p=1${B}"),
            "the argon2 hash is too expensive: its memory is above 256 MiB",
        ),
        (
            format!("$argon2i$v=19$m=65536,t=16,p=4${B}"),
            format!("$argon2i$v=19$m=65536,t=17,p=4${B}"),
            "the argon2 hash is too expensive: its memory times its passes is above 1 GiB",
        ),
        (
            format!("$argon2d$v=19$m=1024,t=1,p=64${B}"),
            format!("$argon2d$v=19$m=1024,t=1,p=65${B}"),
            "the argon2 hash is too expensive: it has more than 64 lanes",
        ),
        (
            format!("$argon2d$v=19$m=8,t=131072,p=1${B}"),
            format!("$argon2d$v=19$m=8,t=536870912,p=1${B}"),
            "the argon2 hash is too expensive: its memory times its passes is above 1 GiB",
        ),
        (
            format!("$pbkdf2-sha256$i=2000000${B}"),
            format!("$pbkdf2-sha256$i=2000001${B}"),
            "the pbkdf2-sha256 hash is too expensive: it has more than 2,000,000 rounds",
        ),
        (
            format!("$pbkdf2$2000000${B}"),
            format!("$pbkdf2$99999999999999999999${B}"),
            "the pbkdf2-sha1 hash is too expensive: it has more than 2,000,000 rounds",
        ),
        (
            format!("$2b$14${BCRYPT}"),
            format!("$2b$15${BCRYPT}"),
            "the bcrypt hash is too expensive: its cost is above 14",
        ),
        (
            format!("$scrypt$ln=18,r=8,p=2${B}"),
            format!("$scrypt$ln=19,r=8,p=1${B}"),
            "the scrypt hash is too expensive: its memory is above 256 MiB",
        ),
        (
            format!("$scrypt$ln=17,r=8,p=4${B}"),
            format!("$scrypt$ln=17,r=8,p=5${B}"),
            "the scrypt hash is too expensive: its memory times p is above 512 MiB",
        ),
        (
            format!("$scrypt$ln=1,r=64,p=64${B}"),
            format!("$scrypt$ln=1,r=65,p=1${B}"),
            "the scrypt hash is too expensive: r or p is above 64",
        ),
        (
            format!("$scrypt$ln=15,r=64,p=2${B}"),
            format!("$scrypt$ln=4294967295,r=1,p=1${B}"),
            "the scrypt hash is too expensive: its memory is above 256 MiB",
        ),
        (
            "$7$EU..../....saltforregain$ASdp5FAwOGBs.lZFJ6YMATJi75cBPHP/UCJf0IPmjxA".to_owned(),
            "$7$zU..../....saltforregain$ASdp5FAwOGBs.lZFJ6YMATJi75cBPHP/UCJf0IPmjxA".to_owned(),
            "the scrypt hash is too expensive: its memory is above 256 MiB",
        ),
    ] {
        assert_eq!(refusal(&just), "taken", "{just}");
        assert_eq!(refusal(&beyond), reason, "{beyond}");
    }
}

#[test]
fn what_is_not_well_formed_is_refused_with_the_reason() {
    const S: &str = "c2FsdCBmb3IgcmVnYWluLg";
    const H: &str = "Lw88Me0gzins4br8zLBeVi2BvLfVEVU1";
    let long_salt = "A".repeat(66);
    let long_hash = "A".repeat(87);
    for (text, reason) in [
        (format!("$argon2id$v=19$m=64,t=2${S}${H}"), "argon2 hash: m, t or p is missing"),
        (
            format!("$argon2id$v=19$m=64,t=2,p=1,x=1${S}${H}"),
            "argon2 hash: it has a parameter that is not known",
        ),
        (
            format!("$argon2id$v=19$m=64,t=2,p=1,data=AAAA${S}${H}"),
            "argon2 hash: it has a parameter that is not known",
        ),
        (format!("$argon2id$v=19$m=64,t=2,p=1,m=8${S}${H}"), "argon2 hash: it has a parameter twice"),
        (format!("$argon2id$v=19$m=64,t=a,p=1${S}${H}"), "argon2 hash: a parameter is not a number"),
        (
            format!("$argon2id$v=19$m=64,t=99999999999,p=1${S}${H}"),
            "argon2 hash: a parameter is not a number",
        ),
        (format!("$argon2id$v=19$m=64,t=0,p=1${S}${H}"), "argon2 hash: t or p is zero"),
        (format!("$argon2id$v=19$m=15,t=1,p=2${S}${H}"), "argon2 hash: its memory is below 8 KiB a lane"),
        (format!("$argon2id$v=18$m=64,t=1,p=1${S}${H}"), "argon2 hash: its version is neither 16 nor 19"),
        (format!("$argon2id$v=19$m=64,t=1,p=1${S}"), "argon2 hash: the salt or the hash is missing"),
        (format!("$argon2id$v=19$m=64,t=1,p=1${S}${H}$"), "argon2 hash: something follows the hash"),
        (format!("$argon2id$v=19$m=64,t=1,p=1$AAAA${H}"), "argon2 hash: the salt has fewer than 8 bytes"),
        (
            format!("$argon2id$v=19$m=64,t=1,p=1${long_salt}${H}"),
            "argon2 hash: the salt has more than 48 bytes",
        ),
        (format!("$argon2id$v=19$m=64,t=1,p=1${S}$AAAA"), "argon2 hash: the hash has fewer than 10 bytes"),
        (
            format!("$argon2id$v=19$m=64,t=1,p=1${S}${long_hash}"),
            "argon2 hash: the salt or the hash is not base64, or too long",
        ),
        (
            format!("$argon2id$v=19$m=64,t=1,p=1${S}$Lw88Me0gzins4br8 LBeVi2BvLfVEVU1"),
            "argon2 hash: the salt or the hash is not base64, or too long",
        ),
        (format!("$pbkdf2-sha1$l=24${S}${H}"), "pbkdf2-sha1 hash: i is missing"),
        (format!("$pbkdf2-sha256$i=1,l=32${S}${H}"), "pbkdf2-sha256 hash: the hash is not as long as l says"),
        (format!("$pbkdf2-sha256$i=0${S}${H}"), "pbkdf2-sha256 hash: it has no rounds"),
        (format!("$pbkdf2-sha512$0${S}${H}"), "pbkdf2-sha512 hash: it has no rounds"),
        (format!("$pbkdf2-sha512$${S}${H}"), "pbkdf2-sha512 hash: its rounds are not a number"),
        (format!("$pbkdf2-sha512$1${S}"), "pbkdf2-sha512 hash: it has not three parts"),
        (format!("$pbkdf2-sha512$1${S}$*"), "pbkdf2-sha512 hash: the salt or the hash is not base64"),
        (
            format!("$pbkdf2-sha512$1${long_salt}AA${H}"),
            "pbkdf2-sha512 hash: the salt has more than 48 bytes",
        ),
        (format!("$scrypt$v=1$ln=4,r=8,p=1${S}${H}"), "scrypt hash: it has a version"),
        (format!("$scrypt$ln=4,r=8${S}${H}"), "scrypt hash: ln, r or p is missing"),
        (format!("$scrypt$ln=0,r=8,p=1${S}${H}"), "scrypt hash: a parameter is zero"),
        ("$7$2U..../....saltforregain".to_owned(), "scrypt hash: a part is missing"),
        ("$7$2U....$ASdp5FAwOGBs".to_owned(), "scrypt hash: its parameters cannot be read"),
        ("$7$2U...,/....saltforregain$ASdp5FAwOGBs".to_owned(), "scrypt hash: its parameters cannot be read"),
        (
            "$7$2U..../....saltforregain$ASdp5FAwOGBs,".to_owned(),
            "scrypt hash: the hash is not base64 of crypt",
        ),
        (
            "$7$2U..../....saltforregain$ASdp5FAwOGBsz".to_owned(),
            "scrypt hash: the hash is not base64 of crypt",
        ),
        ("$2b$4$CUV6WyGlole4O.J2rIKFQ.".to_owned(), "bcrypt hash: its cost is not two digits"),
        ("$2b$+4$CUV6WyGlole4O.J2rIKFQ.".to_owned(), "bcrypt hash: its cost is not two digits"),
        ("$2b$03$CUV6WyGlole4O.J2rIKFQ.".to_owned(), "bcrypt hash: its cost is below 4"),
        ("$2b$04$CUV6WyGlole4O.J2rIKFQ.".to_owned(), "bcrypt hash: salt and hash have not 53 characters"),
        ("$2b$04".to_owned(), "bcrypt hash: a part is missing"),
        (
            "$2b$04$CUV6WyGlole4O.J2rIKFQ.VhaBTrue17MpTo.vDSnj4i24Ozl5Q=2".to_owned(),
            "bcrypt hash: salt or hash is not base64 of bcrypt",
        ),
    ] {
        assert_eq!(refusal(&text), format!("it is not a well-formed {reason}"), "{text}");
    }
}

#[test]
fn what_is_no_hash_is_named_as_that() {
    for (text, reason) in [
        ("", "the hash is empty"),
        ("correct horse", "it is not a password hash, and passwords in plain text are not taken"),
        ("$2x$04$CUV6WyGlole4O.J2rIKFQ.VhaBTrue17MpTo.vDSnj4i24Ozl5QD2", "bcrypt 2x is not supported"),
        (&"$".repeat(513), "the hash has more than 512 bytes"),
    ] {
        assert_eq!(refusal(text), reason);
    }
    assert_eq!(PasswordHash::from_stored("$1$salt$hash").scheme(), "unknown");
}

fn salt_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 8..=48)
}

fn hash_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 10..=64)
}

/// Hashes of every method, cheap enough to compare with many of them.
fn cheap() -> impl Strategy<Value = String> {
    let method = prop_oneof![
        (0..3_usize, any::<bool>(), 1..3_u32, 1..5_u32, 0..64_u32).prop_map(
            |(which, old, passes, lanes, more)| {
                let id = ["argon2id", "argon2i", "argon2d"][which];
                let version = if old { 16 } else { 19 };
                format!("${id}$v={version}$m={},t={passes},p={lanes}", 8 * lanes + more)
            }
        ),
        (0..3_usize, 1..50_u32).prop_map(|(which, rounds)| format!(
            "$pbkdf2-{}$i={rounds}",
            ["sha1", "sha256", "sha512"][which]
        )),
        (1..5_u32, 1..9_u32, 1..4_u32).prop_map(|(ln, r, p)| format!("$scrypt$ln={ln},r={r},p={p}")),
    ];
    (method, salt_bytes(), hash_bytes()).prop_map(|(method, salt, hash)| {
        let (salt, hash) = (Salt::new(&salt).unwrap(), Output::new(&hash).unwrap());
        Stored::parse(&format!("{method}${salt}${hash}")).unwrap().text()
    })
}

proptest! {
    #[test]
    fn importing_never_panics(text in "\\PC*") {
        let _ = PasswordHash::import(&text);
        let _ = PasswordHash::from_stored(text).scheme();
    }

    #[test]
    fn importing_something_like_a_hash_never_panics(
        id in "argon2(id|i|d)|2[aby]|pbkdf2(-sha(1|256|512))?|scrypt|7",
        rest in "(v=[0-9]{0,2}\\$)?([a-z]{1,2}=[0-9]{0,11},?){0,4}\\$?[./A-Za-z0-9$=é+]{0,90}",
    ) {
        let _ = PasswordHash::import(&format!("${id}${rest}"));
    }

    #[test]
    fn altering_a_known_hash_never_panics_and_never_makes_it_another_accepted_text(
        (which, at, byte) in (0..KNOWN.len(), any::<prop::sample::Index>(), " -~"),
    ) {
        let mut text = KNOWN[which].1.to_owned();
        let at = at.index(text.len());
        text.replace_range(at..=at, &byte);
        if let Ok(hash) = PasswordHash::import(&text) {
            let again = PasswordHash::import(hash.as_str()).unwrap();
            prop_assert_eq!(again.as_str(), hash.as_str());
        }
    }

    #[test]
    fn whatever_is_imported_can_be_compared_with(text in cheap(), password in "\\PC{0,80}") {
        let imported = PasswordHash::import(&text).unwrap();
        prop_assert_eq!(imported.as_str(), text.as_str());
        prop_assert!(!matches(&password, &text));
    }

    #[test]
    fn an_altered_hash_never_matches(
        (which, at, bit) in (0..KNOWN.len(), any::<prop::sample::Index>(), 0..8_u8),
        in_salt in any::<bool>(),
    ) {
        let mut stored = Stored::parse(KNOWN[which].1).unwrap();
        let mut bytes = if in_salt { stored.salt.to_vec() } else { stored.expected.as_bytes().to_vec() };
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        if in_salt {
            stored.salt = Salt::new(&bytes).unwrap();
        } else {
            stored.expected = Output::new(&bytes).unwrap();
        }
        prop_assert!(!matches(PASSWORD, &stored.text()));
    }
}
