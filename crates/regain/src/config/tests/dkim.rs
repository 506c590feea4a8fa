//! `emailHandlerConfig.dkim`: what nodemailer takes, and what is refused.

use super::*;
use crate::config::show;

/// The key of RFC 8463 appendix A.1, in one line.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\
                   \\n-----END PRIVATE KEY-----\\n";

fn with_dkim(text: &str) -> String {
    format!("{MAIL}\n[authProviders.emailHandlerConfig.dkim]\n{}", text.replace("KEY", KEY))
}

/// What is wrong, without the place and the path above `dkim`.
fn wrong(text: &str) -> Vec<String> {
    let mistakes = mistakes(&with_dkim(text));
    mistakes.iter().map(|mistake| mistake.split_once("emailHandlerConfig.").unwrap().1.to_owned()).collect()
}

fn names(config: &Config) -> Vec<String> {
    config.email().unwrap().signers().iter().map(|signer| signer.record().name().to_owned()).collect()
}

#[test]
fn one_key_is_written_as_in_nodemailer() {
    let config = toml(&with_dkim("domainName = 'Example.com'\nkeySelector = '2027'\nprivateKey = \"KEY\""));
    assert_eq!(names(&config), ["2027._domainkey.example.com"]);
    assert_eq!(config.warnings(), Vec::<&str>::new());
    let json = json(&format!(
        r#"{{ "publicUrl": "https://example.org", "authProviders": [{{ "type": "password", "emailHandlerConfig": {{
            "connectionString": "smtp://localhost", "from": "a@example.com",
            "dkim": {{ "domainName": "example.com", "keySelector": "2027", "privateKey": "{KEY}", "hashAlgo": "sha256",
                "headerFieldNames": "from: To:subject", "skipFields": "to" }} }} }}] }}"#
    ))
    .unwrap();
    let signers = json.email().unwrap().signers();
    assert_eq!(signers[0].fields().iter().collect::<Vec<_>>(), ["from", "subject"]);
    assert!(toml(MAIL).email().unwrap().dkim.is_empty());
}

#[test]
fn several_keys_are_a_list_and_what_they_share_stands_above() {
    let config = toml(&with_dkim(
        "skipFields = 'message-id:date'\n\
         [[authProviders.emailHandlerConfig.dkim.keys]]\ndomainName = 'example.com'\nkeySelector = 'a'\nprivateKey = \"KEY\"\n\
         [[authProviders.emailHandlerConfig.dkim.keys]]\ndomainName = 'example.com'\nkeySelector = 'b'\nprivateKey = \"KEY\"\n",
    ));
    assert_eq!(names(&config), ["a._domainkey.example.com", "b._domainkey.example.com"]);
    for signer in config.email().unwrap().signers() {
        assert!(signer.fields().iter().all(|name| name != "date" && name != "message-id"));
        assert!(signer.fields().iter().any(|name| name == "subject"));
    }
}

#[test]
fn a_key_comes_from_a_file_or_from_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("dkim.pem"), KEY.replace("\\n", "\n")).unwrap();
    let names_of = "domainName = 'example.com'\nkeySelector = 'main'\n";
    let text = with_dkim(&format!("{names_of}privateKey = {{ file = 'dkim.pem' }}"));
    let config = load(&dir.path().join("regain.toml"), &text, &Environment::default()).unwrap();
    let file = dir.path().join("dkim.pem");
    let line = format!("privateKey = {{ file = \"{}\" }}\n", file.display());
    assert!(show(&config).contains(&line), "{line} in\n{}", show(&config));
    assert_eq!(config.email().unwrap().dkim[0].key_file, Some(file));

    let text = with_dkim(&format!("{names_of}privateKey = '%%DKIM%%'"));
    let config = toml_with(&text, &[("DKIM", KEY)]).unwrap();
    assert_eq!(config.email().unwrap().dkim[0].key_file, None);

    let path = "REGAIN_AUTH_PROVIDERS__0__EMAIL_HANDLER_CONFIG__DKIM";
    let variables = [("DOMAIN_NAME", "example.com"), ("KEY_SELECTOR", "main"), ("PRIVATE_KEY", KEY)];
    let variables = variables.map(|(key, value)| (format!("{path}__{key}"), value));
    let borrowed: Vec<_> = variables.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    assert_eq!(names(&toml_with(MAIL, &borrowed).unwrap()), ["main._domainkey.example.com"]);
}

#[test]
fn a_key_is_never_shown() {
    let config = toml(&with_dkim(
        "headerFieldNames = 'from:to'\ndomainName = 'example.com'\nkeySelector = 'main'\nprivateKey = \"KEY\"",
    ));
    let shown = show(&config);
    for line in [
        "domainName = \"example.com\"",
        "keySelector = \"main\"",
        "privateKey = \"***\"",
        "headerFieldNames = \"from:to\"",
    ] {
        assert!(shown.contains(line), "{line} in\n{shown}");
    }
    assert!(!shown.contains("MC4C") && !format!("{config:?}").contains("MC4C"));
    let two = "domainName = 'example.com'\nprivateKey = \"KEY\"\n";
    let keys = "[[authProviders.emailHandlerConfig.dkim.keys]]\n";
    let shown =
        show(&toml(&with_dkim(&format!("{keys}{two}keySelector = 'a'\n{keys}{two}keySelector = 'b'"))));
    // But for the keys it loads again.
    let again = shown.replace("\"***\"", &format!("\"{KEY}\"")).replace("smtp://user:***@", "smtp://user:x@");
    assert_eq!(names(&toml(&again)), ["a._domainkey.example.com", "b._domainkey.example.com"]);
}

#[test]
fn what_cannot_sign_is_refused_all_at_once() {
    let key = "privateKey = \"KEY\"\n";
    for (text, expected) in [
        (
            "domainName = 'x'\nkeySelector = 'a b'\nprivateKey = 'hunter2'".to_owned(),
            &["dkim.domainName: is not a domain name", "dkim.privateKey: is not a private key in PEM"][..],
        ),
        (format!("domainName = 'example.com'\nkeySelector = 'a b'\n{key}"), &["dkim.keySelector: is not a selector"]),
        (
            String::new(),
            &["dkim.domainName: is missing", "dkim.keySelector: is missing", "dkim.privateKey: is missing"],
        ),
        (
            format!("domainName = 'example.com'\nkeySelector = 'a'\n{key}hashAlgo = 'sha1'\nheaderFieldNames = 'to'\ncacheDir = '/tmp'"),
            &["dkim.hashAlgo: must be \"sha256\"", "dkim.headerFieldNames: must leave From", "dkim.cacheDir: is not needed"],
        ),
        (
            format!("domainName = 'example.com'\nkeySelector = 'a'\n{key}skipFields = 'from'\ndomain = 'x'"),
            &["dkim.skipFields: must leave From", "dkim.domain: is not a key; the keys here are hashAlgo"],
        ),
        ("keys = []".to_owned(), &["dkim.keys: must list at least one key"]),
        (
            format!(
                "domainName = 'example.com'\nkeys = [{{ domainName = 'example.com', keySelector = 'a', {key} }}, \
                 {{ domainName = 'example.com', keySelector = 'A', {key}, passphrase = 'x' }}]"
            )
            .replace("\n }", " }")
            .replace("\n,", ","),
            &["dkim.domainName: stands beside keys", "dkim.keys[1].keySelector: is another key's", "dkim.keys[1].passphrase: is not a key"],
        ),
        (
            "domainName = 'example.com'\nkeySelector = 'a'\nprivateKey = { file = 'none.pem' }".to_owned(),
            &["dkim.privateKey: \"none.pem\" cannot be read"],
        ),
    ] {
        let wrong = wrong(&text);
        assert_eq!(wrong.len(), expected.len(), "{wrong:?}");
        for part in expected {
            assert!(wrong.iter().any(|mistake| mistake.starts_with(part)), "{part} in {wrong:?}");
        }
        assert!(!wrong.join("").contains("hunter2"));
    }
}

#[test]
fn a_domain_that_dmarc_would_not_count_is_told() {
    let of = |domain: &str| {
        toml(&with_dkim(&format!("domainName = '{domain}'\nkeySelector = 'a'\nprivateKey = \"KEY\"")))
            .warnings()
            .join("\n")
    };
    assert!(of("example.org").contains("DMARC"));
    assert_eq!(of("mail.example.com"), "");
    let both = toml(&with_dkim(
        "keys = [{ domainName = 'example.org', keySelector = 'a', privateKey = \"KEY\" }, \
         { domainName = 'example.com', keySelector = 'a', privateKey = \"KEY\" }]",
    ));
    assert_eq!(both.warnings(), Vec::<&str>::new());
}

#[test]
fn a_webhook_makes_the_mail_so_nothing_signs_it_here() {
    let webhook = "publicUrl = 'https://accounts.example.org'\n[[authProviders]]\ntype = 'password'\n\
                   [authProviders.emailHandlerConfig.webhook]\nurl = 'https://mail.example.org'\n\
                   secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'\n\
                   [authProviders.emailHandlerConfig.dkim]\ndomainName = 'example.com'\nkeySelector = '2027'\n";
    let told = mistake(&format!("{webhook}privateKey = \"{KEY}\""));
    assert!(told.contains("emailHandlerConfig.dkim: stands beside webhook"), "{told}");
}
