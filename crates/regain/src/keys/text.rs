//! Keys as text: how they are written, and what is read. No reason quotes anything of a text.

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD as BASE64;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use regain_core::signing::SigningKeyError;
use regain_core::{PublicKey, SigningKey, TokenKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use zeroize::Zeroizing;

/// What a token key has.
const TOKEN_KEY_BYTES: usize = 32;

/// As `openssl rand -base64` and others write it, with or without padding.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);

/// Reads a token key: 32 bytes as hex digits or base64 (of either alphabet).
///
/// # Errors
/// Where the text is none; reads on after the setting or the file.
pub fn parse_token_key(text: &str) -> Result<TokenKey, String> {
    let text = text.trim();
    let bytes = if text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        from_hex(text)
    } else {
        URL_SAFE.decode(text).or_else(|_| STANDARD.decode(text)).ok().map(Zeroizing::new)
    };
    let advice =
        "write 64 hex digits or 43 characters of base64url; `regain keys generate --token` makes one";
    let bytes = bytes.ok_or_else(|| format!("is neither hex digits nor base64: {advice}"))?;
    let bytes = <[u8; TOKEN_KEY_BYTES]>::try_from(bytes.as_slice())
        .map_err(|_| format!("has {} bytes and must have {TOKEN_KEY_BYTES}: {advice}", bytes.len()))?;
    if bytes.iter().all(|byte| *byte == bytes[0]) {
        return Err(format!("is one byte over and over, which everybody can guess: {advice}"));
    }
    Ok(TokenKey::from_bytes(bytes))
}

fn from_hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let pairs = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| {
        u8::from_str_radix(std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?, 16).ok()
    };
    pairs.map(byte).collect::<Option<Vec<u8>>>().map(Zeroizing::new)
}

/// Reads a signing key: RSA in PKCS#8 PEM.
///
/// # Errors
/// Where the text is none; reads on after the setting or the file.
pub fn parse_signing_key(pem: &str) -> Result<SigningKey, String> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
        if PrivatePkcs1KeyDer::from_pem_slice(pem.as_bytes()).is_ok() {
            "is a private key in an older form than PKCS#8: `openssl pkey -in OLD -out NEW` turns it into one"
        } else {
            "is no private key in PKCS#8 PEM"
        }
    })?;
    let key = SigningKey::from_pkcs8(der.secret_pkcs8_der());
    key.map_err(|_| "is no RSA private key of 2048 to 8192 bits".to_owned())
}

/// Reads the public half of a signing key: SubjectPublicKeyInfo PEM.
///
/// # Errors
/// Where the text is none; reads on after the setting or the file.
pub fn parse_public_key(pem: &str) -> Result<PublicKey, String> {
    let der = SubjectPublicKeyInfoDer::from_pem_slice(pem.as_bytes()).map_err(|_| {
        if pem.contains("PRIVATE KEY-----") {
            "is a private key: `openssl pkey -in OLD -pubout` writes its public half, which is enough here"
        } else {
            "is no public key in PEM (BEGIN PUBLIC KEY)"
        }
    })?;
    PublicKey::from_der(&der).map_err(|_| "is no RSA public key of 2048 to 8192 bits".to_owned())
}

/// 64 hex digits and a line break.
pub fn token_key_text(key: &TokenKey) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(2 * TOKEN_KEY_BYTES + 1));
    for byte in key.expose() {
        text.push_str(&format!("{byte:02x}"));
    }
    text.push('\n');
    text
}

/// PKCS#8 PEM.
///
/// # Errors
/// Where aws-lc cannot write it.
pub fn signing_key_pem(key: &SigningKey) -> Result<Zeroizing<String>, SigningKeyError> {
    Ok(pem("PRIVATE KEY", &key.to_pkcs8()?))
}

/// SubjectPublicKeyInfo PEM.
pub fn public_key_pem(key: &PublicKey) -> Zeroizing<String> {
    pem("PUBLIC KEY", key.as_der())
}

fn pem(label: &str, der: &[u8]) -> Zeroizing<String> {
    let base64 = Zeroizing::new(BASE64.encode(der));
    let mut text = Zeroizing::new(format!("-----BEGIN {label}-----\n"));
    for line in base64.as_bytes().chunks(64) {
        text.extend(line.iter().copied().map(char::from));
        text.push('\n');
    }
    text.push_str(&format!("-----END {label}-----\n"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const BYTES: [u8; 32] =
        *b"\x00\x01\x02\x03\x04\x05\x06\x07\xf8\xf9\xfa\xfb\xfc\xfd\xfe\xff----------------";

    #[test]
    fn a_token_key_is_read_however_people_write_it() {
        let hex = token_key_text(&TokenKey::from_bytes(BYTES));
        let url_safe = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(BYTES);
        let standard = BASE64.encode(BYTES);
        assert!(standard.contains('+') && standard.contains('/') && standard.ends_with('='), "{standard}");
        assert_eq!((hex.len(), url_safe.len()), (65, 43));
        for text in [&*hex, &hex.to_uppercase(), hex.trim(), &url_safe, &format!(" {url_safe}=\n"), &standard]
        {
            assert_eq!(parse_token_key(text).ok().unwrap().expose(), &BYTES, "{text}");
        }
    }

    #[test]
    fn what_is_no_token_key_is_refused_with_its_length_and_without_its_text() {
        let long = "ab".repeat(33);
        for (text, reason) in [
            ("", "has 0 bytes and must have 32"),
            ("abc", "is neither"),
            ("hunter2!", "is neither"),
            (&long[..62], "has 31 bytes and must have 32"),
            (&long, "has 33 bytes and must have 32"),
            ("c2VjcmV0", "has 6 bytes and must have 32"),
            (&"A".repeat(64)[..], "is one byte over and over"),
            (&"A".repeat(43)[..], "is neither"),
            (&format!("{}=", "A".repeat(43)), "is one byte over and over"),
        ] {
            let told = parse_token_key(text).err().unwrap();
            assert!(told.starts_with(reason) && told.contains("regain keys generate"), "{text}: {told}");
            assert!(text.is_empty() || !told.contains(text), "{told}");
        }
    }

    #[test]
    fn each_half_of_a_signing_key_is_told_from_the_other() {
        let key = SigningKey::generate().unwrap();
        let (private, public) = (signing_key_pem(&key).unwrap(), public_key_pem(key.public_key()));
        let fingerprint = key.public_key().fingerprint();
        assert_eq!(parse_signing_key(&private).unwrap().public_key().fingerprint(), fingerprint);
        assert_eq!(parse_public_key(&public).ok().unwrap().fingerprint(), fingerprint);
        assert!(parse_public_key(&private).err().unwrap().contains("-pubout"));
        assert!(parse_signing_key(&public).err().unwrap().contains("is no private key"));
        assert!(parse_public_key("x").err().unwrap().contains("is no public key"));
        let older = "-----BEGIN RSA PRIVATE KEY-----\nMA==\n-----END RSA PRIVATE KEY-----\n";
        assert!(parse_signing_key(older).err().unwrap().contains("openssl pkey"));
    }
}
