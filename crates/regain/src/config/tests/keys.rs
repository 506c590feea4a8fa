//! `keys`: what processes over one database share.

use std::fs;

use regain_core::{SigningKey, TokenKey};

use super::*;
use crate::config::show;
use crate::keys::{public_key_pem, signing_key_pem, token_key_text};

struct Made {
    token: TokenKey,
    signing: SigningKey,
}

impl Made {
    fn new(byte: u8) -> Self {
        let mut bytes = [byte; 32];
        bytes[0] = 0;
        Self { token: TokenKey::from_bytes(bytes), signing: SigningKey::generate().unwrap() }
    }

    fn token(&self) -> String {
        token_key_text(&self.token).trim_end().to_owned()
    }

    /// In one line, as variables often hold it.
    fn private(&self) -> String {
        signing_key_pem(&self.signing).unwrap().replace('\n', "\\n")
    }

    fn public(&self) -> String {
        public_key_pem(self.signing.public_key()).replace('\n', "\\n")
    }
}

/// The fingerprints of all keys, in the order of the documentation.
fn fingerprints(config: &Config) -> [Vec<String>; 4] {
    let keys = &config.keys;
    [
        keys.token_key.iter().map(|key| key.key.fingerprint().to_string()).collect(),
        keys.other_token_keys.iter().map(|key| key.key.fingerprint().to_string()).collect(),
        keys.signing_key.iter().map(|key| key.key.public_key().fingerprint().to_string()).collect(),
        keys.other_public_keys.iter().map(|key| key.key.fingerprint().to_string()).collect(),
    ]
}

fn expected(current: &Made, other: &Made) -> [Vec<String>; 4] {
    let (public, other_public) = (current.signing.public_key(), other.signing.public_key());
    [
        vec![current.token.fingerprint().to_string()],
        vec![other.token.fingerprint().to_string()],
        vec![public.fingerprint().to_string()],
        vec![other_public.fingerprint().to_string()],
    ]
}

#[test]
fn keys_come_from_the_file_from_others_and_from_the_environment() {
    let (a, b) = (Made::new(1), Made::new(2));
    let text = format!(
        "{MAIL}\n[keys]\ntokenKey = '%%TOKEN%%'\notherTokenKeys = ['{}']\nsigningKey = \"{}\"\notherPublicKeys = [\"{}\"]",
        b.token(),
        a.private(),
        b.public()
    );
    let config = toml_with(&text, &[("TOKEN", &a.token())]).unwrap();
    assert_eq!(fingerprints(&config), expected(&a, &b));
    assert!(config.keys.has_secret() && config.keys.secret_files().next().is_none());

    let variables = [
        ("REGAIN_KEYS__TOKEN_KEY", &*a.token()),
        ("REGAIN_KEYS__OTHER_TOKEN_KEYS", &b.token()),
        ("REGAIN_KEYS__SIGNING_KEY", &a.private()),
        ("REGAIN_KEYS__OTHER_PUBLIC_KEYS__0", &b.public()),
    ];
    assert_eq!(fingerprints(&toml_with(MAIL, &variables).unwrap()), expected(&a, &b));

    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("a.token", &token_key_text(&a.token));
    write("b.token", &b.token());
    write("a.key", &signing_key_pem(&a.signing).unwrap());
    write("b.pub", &public_key_pem(b.signing.public_key()));
    let text = format!(
        "{MAIL}\n[keys]\ntokenKey = {{ file = 'a.token' }}\notherTokenKeys = [{{ file = 'b.token' }}]\n\
         signingKey.file = 'a.key'\n[[keys.otherPublicKeys]]\nfile = 'b.pub'\n"
    );
    let config = load(&dir.path().join("regain.toml"), &text, &Environment::default()).unwrap();
    assert_eq!(fingerprints(&config), expected(&a, &b));
    assert!(!config.keys.has_secret());
    let secret: Vec<_> = config.keys.secret_files().collect();
    assert_eq!(secret, [&dir.path().join("a.token"), &dir.path().join("b.token"), &dir.path().join("a.key")]);
    assert_eq!(config.keys.public_files().collect::<Vec<_>>(), [&dir.path().join("b.pub")]);
    // What is shown says where they come from, and loads again.
    let shown = show(&config);
    for (key, file) in
        [("tokenKey = ", "a.token"), ("otherTokenKeys = [", "b.token"), ("signingKey = ", "a.key")]
    {
        let line = format!("{key}{{ file = \"{}\" }}", dir.path().join(file).display());
        assert!(shown.contains(&line), "{line} in\n{shown}");
    }
    assert_eq!(fingerprints(&toml(&shown.replace("smtp://user:***@", "smtp://user:x@"))), expected(&a, &b));

    let variables = ["TOKEN_KEY", "OTHER_TOKEN_KEYS__0", "SIGNING_KEY", "OTHER_PUBLIC_KEYS__0"]
        .into_iter()
        .zip(["a.token", "b.token", "a.key", "b.pub"]);
    let variables: Vec<_> = variables
        .map(|(key, file)| (format!("REGAIN_KEYS__{key}__FILE"), dir.path().join(file).display().to_string()))
        .collect();
    let borrowed: Vec<_> = variables.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(fingerprints(&toml_with(MAIL, &borrowed).unwrap()), expected(&a, &b));
    assert_eq!(fingerprints(&toml(MAIL)), [const { Vec::<String>::new() }; 4]);
}

#[test]
fn a_secret_key_is_never_shown() {
    let (a, b) = (Made::new(1), Made::new(2));
    let text = format!(
        "{MAIL}\n[keys]\ntokenKey = '{}'\notherTokenKeys = ['{}']\nsigningKey = \"{}\"\notherPublicKeys = [\"{}\"]",
        a.token(),
        b.token(),
        a.private(),
        b.public()
    );
    let config = toml(&text);
    let (shown, debugged) = (show(&config), format!("{config:?}"));
    for line in ["tokenKey = \"***\"", "otherTokenKeys = [\"***\"]", "signingKey = \"***\""] {
        assert!(shown.contains(line), "{line} in\n{shown}");
    }
    let second_line = a.private().split("\\n").nth(1).unwrap().to_owned();
    for secret in [a.token(), b.token(), second_line] {
        assert!(!shown.contains(&secret) && !debugged.contains(&secret), "{shown}");
    }
    // But for the secrets it loads again.
    let again = shown
        .replace("otherTokenKeys = [\"***\"]", &format!("otherTokenKeys = [\"{}\"]", b.token()))
        .replace("tokenKey = \"***\"", &format!("tokenKey = \"{}\"", a.token()))
        .replace("signingKey = \"***\"", &format!("signingKey = \"{}\"", a.private()))
        .replace("smtp://user:***@", "smtp://user:x@");
    assert_eq!(fingerprints(&toml(&again)), expected(&a, &b));
    assert!(!show(&toml(MAIL)).contains("[keys]"));
}

#[test]
fn what_is_no_key_is_refused_all_at_once_with_the_option_and_without_the_value() {
    let a = Made::new(1);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("short.key");
    fs::write(&file, "hunter2hunter2").unwrap();
    let text = format!(
        "{MAIL}\n[keys]\ntokenKey = 'aabbcc'\notherTokenKeys = ['hunter2', {{ file = '{}' }}, {{ file = 'none' }}]\n\
         signingKey = \"{}\"\notherPublicKeys = [\"{}\", 'x']\nsigning = 'x'",
        file.display(),
        a.public(),
        a.private()
    );
    let mistakes = mistakes(&text);
    let told = mistakes.join("\n");
    for part in [
        "keys.tokenKey: has 3 bytes and must have 32",
        "keys.otherTokenKeys[0]: is neither hex digits nor base64",
        "short.key\"): is neither",
        "keys.otherTokenKeys[2]: \"none\" cannot be read: there is no such file",
        "keys.signingKey: is no private key in PKCS#8 PEM",
        "keys.otherPublicKeys[0]: is a private key",
        "keys.otherPublicKeys[1]: is no public key",
        "keys.signing: is not a key; the keys here are tokenKey",
    ] {
        assert!(told.contains(part), "{part} in\n{told}");
    }
    assert_eq!(mistakes.len(), 8, "{told}");
    assert!(!told.contains("hunter2") && !told.contains("aabbcc"), "{told}");
    let many = vec![format!("'{}'", a.token()); 9].join(", ");
    assert!(mistake(&format!("{MAIL}\n[keys]\notherTokenKeys = [{many}]")).contains("at most 8 keys"));
}

#[test]
fn a_key_that_is_in_use_and_among_the_others_is_told() {
    let (a, b) = (Made::new(1), Made::new(2));
    let told = |current: &Made, token: &Made, public: &Made| {
        let text = format!(
            "[keys]\ntokenKey = '{}'\notherTokenKeys = ['{}']\nsigningKey = \"{}\"\notherPublicKeys = [\"{}\"]",
            current.token(),
            token.token(),
            current.private(),
            public.public()
        );
        toml(&text).warnings_by_subject().iter().any(|(subject, _)| *subject == "keys")
    };
    assert!(!told(&a, &b, &b));
    assert!(told(&a, &a, &b) && told(&a, &b, &a));
}
