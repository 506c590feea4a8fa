//! The examples of the RFCs, keys as OpenSSL makes them, and what must hold of any message.

use std::io::Write;
use std::process::{Command, Stdio};

use aws_lc_rs::signature::{
    ED25519, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
};
use proptest::prelude::*;

use super::*;

/// The key of RFC 8463 appendix A.1, in PKCS#8.
const ED25519_PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
                           MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
                           -----END PRIVATE KEY-----\n";
const ED25519_PUBLIC: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
const TIME: u64 = 1_795_377_610;

/// The message of RFC 8463 appendix A.3, and what its signatures are over but for their own field.
const MESSAGE: &str = "From: Joe SixPack <joe@football.example.com>\r\n\
                       To: Suzie Q <suzie@shopping.example.net>\r\n\
                       Subject: Is dinner ready?\r\n\
                       Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
                       Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\
                       \r\n\
                       Hi.\r\n\
                       \r\n\
                       We lost the game.  Are you hungry yet?\r\n\
                       \r\n\
                       Joe.\r\n";
const NAMES: [&str; 8] = ["from", "to", "subject", "date", "message-id", "from", "subject", "date"];
const BODY_HASH: &str = "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=";

fn openssl(arguments: &[&str], input: &str) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}");
    output.stdout
}

fn pem(arguments: &[&str], input: &str) -> String {
    String::from_utf8(openssl(arguments, input)).unwrap()
}

fn ed25519() -> DkimSigner {
    DkimSigner::new("example.org", "main", DkimKey::from_pem(ED25519_PEM).unwrap()).unwrap()
}

fn rsa() -> DkimSigner {
    let key = DkimKey::from_pem(&pem(&["genrsa", "2048"], "")).unwrap();
    DkimSigner::new("example.org", "rsa", key).unwrap()
}

/// Takes a signature field apart and checks it as a receiver would, but with this crate's canonical forms.
fn is_good(signer: &DkimSigner, field: &str, message: &[u8]) -> bool {
    let value = field.strip_prefix("DKIM-Signature:").unwrap().strip_suffix("\r\n").unwrap();
    let (unsigned, signature) = value
        .split_once("b=")
        .map(|(head, rest)| match rest.split_once("b=") {
            // The first is that of `bh=`, whose letters cannot be `b=`.
            Some((more, signature)) => (format!("{head}b={more}b="), signature),
            None => (format!("{head}b="), rest),
        })
        .unwrap();
    let tag = |name: &str| {
        let tags: Vec<String> = value.split(';').map(|tag| tag.split_whitespace().collect()).collect();
        tags.iter().find_map(|tag| tag.strip_prefix(&format!("{name}=")).map(str::to_owned)).unwrap()
    };
    let Parts { fields, body } = fields::parts(message).unwrap();
    if tag("bh") != BASE64.encode(digest::digest(&digest::SHA256, &canonical::body(body))) {
        return false;
    }
    let names = tag("h");
    let mut input = canonical::chosen(&fields, &names.split(':').collect::<Vec<_>>());
    canonical::field(b"DKIM-Signature", unsigned.as_bytes(), &mut input);
    let signature = BASE64.decode(signature.split_whitespace().collect::<String>()).unwrap();
    verifies(signer.key(), &input, &signature)
}

fn verifies(key: &DkimKey, input: &[u8], signature: &[u8]) -> bool {
    match key.algorithm() {
        DkimAlgorithm::RsaSha256 => {
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, key.public()).verify(input, signature).is_ok()
        }
        DkimAlgorithm::Ed25519Sha256 => {
            let hash = digest::digest(&digest::SHA256, input);
            UnparsedPublicKey::new(&ED25519, key.public()).verify(hash.as_ref(), signature).is_ok()
        }
    }
}

#[test]
fn the_canonical_forms_are_those_of_rfc_6376() {
    // Section 3.4.5, example 1.
    let message = b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n";
    let Parts { fields, body } = fields::parts(message).unwrap();
    assert_eq!(canonical::chosen(&fields, &["a", "b"]), b"a:X\r\nb:Y Z\r\n");
    assert_eq!(canonical::body(body), b" C\r\nD E\r\n");
    // Section 3.4.4: what is no line is made one, and nothing stays nothing.
    assert_eq!(canonical::body(b"a"), b"a\r\n");
    for nothing in [&b""[..], b"\r\n", b" \t\r\n\r\n"] {
        assert_eq!(canonical::body(nothing), b"");
    }
    // Section 5.4.2: the last of several fields first, then nothing.
    let Parts { fields, .. } = fields::parts(b"A: 1\r\nB: 2\r\na: 3\r\n\r\n").unwrap();
    assert_eq!(canonical::chosen(&fields, &["a", "b", "a", "a", "c"]), b"a:3\r\nb:2\r\na:1\r\n");
}

#[test]
fn a_signature_of_ed25519_is_that_of_rfc_8463() {
    let key = DkimKey::from_pem(ED25519_PEM).unwrap();
    assert_eq!(BASE64.encode(key.public()), ED25519_PUBLIC);
    let own = " v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n \
               q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n subject : date : message-id : from : subject : \
               date;\r\n bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=";
    let signature = key.sign(&input_of_the_rfc(own)).unwrap();
    assert_eq!(
        BASE64.encode(signature),
        "/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="
    );
}

#[test]
fn a_signature_of_rsa_in_rfc_8463_is_one_over_the_same_bytes() {
    // Its key is too short to sign with, but what it signed can be checked.
    const PUBLIC: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/b\
                          yYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/\
                          K4w3QIDAQAB";
    const SIGNATURE: &str = "F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGda\
                             SGsgeefOsk2JzdA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=";
    let own = " v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n d=football.example.com; i=@football.example.com;\r\n \
               q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n date : message-id : from : subject : \
               date;\r\n bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=";
    UnparsedPublicKey::new(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, BASE64.decode(PUBLIC).unwrap())
        .verify(&input_of_the_rfc(own), &BASE64.decode(SIGNATURE).unwrap())
        .unwrap();
}

fn input_of_the_rfc(own: &str) -> Vec<u8> {
    let Parts { fields, body } = fields::parts(MESSAGE.as_bytes()).unwrap();
    assert_eq!(BASE64.encode(digest::digest(&digest::SHA256, &canonical::body(body))), BODY_HASH);
    let mut input = canonical::chosen(&fields, &NAMES);
    canonical::field(b"DKIM-Signature", own.as_bytes(), &mut input);
    input
}

#[test]
fn a_signature_holds_and_whatever_is_changed_breaks_it() {
    for signer in [rsa(), ed25519()] {
        let field = signer.sign(MESSAGE.as_bytes(), TIME).unwrap();
        assert!(is_good(&signer, &field, MESSAGE.as_bytes()), "{field}");
        assert_eq!(field, signer.sign(MESSAGE.as_bytes(), TIME).unwrap(), "a copy is identical");
        for (from, to) in [
            ("hungry", "angry"),
            ("Joe.", "Joe"),
            ("Is dinner", "Was dinner"),
            ("Subject:", "Subject: You won\r\nSubject:"),
            ("\r\n\r\nHi", "\r\nFrom: eve@example.com\r\n\r\nHi"),
        ] {
            let changed = MESSAGE.replacen(from, to, 1);
            assert!(!is_good(&signer, &field, changed.as_bytes()), "{to}");
        }
        let later = field.replacen("t=1795377610", "t=1795377611", 1);
        assert!(!is_good(&signer, &later, MESSAGE.as_bytes()));
        // What relays do on the way.
        let touched = MESSAGE
            .replace(": ", ":   ")
            .replace("dinner ", "dinner\r\n\t")
            .replace("Joe.\r\n", "Joe. \r\n\r\n");
        let touched = format!("Received: from here\r\n{touched}");
        assert!(is_good(&signer, &field, touched.as_bytes()));
    }
}

#[test]
fn the_field_says_what_is_signed_and_is_folded() {
    let field = ed25519().sign(MESSAGE.as_bytes(), TIME).unwrap();
    let expected = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.org;\r\n \
                    s=main; t=1795377610; h=from:from:to:to:subject:subject:date:date:message-id:\r\n \
                    message-id; bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=";
    assert!(field.starts_with(expected), "{field}");
    let long = format!("{0}.{0}.{0}.org", "a".repeat(60));
    let signer = DkimSigner::new(&long, "main", DkimKey::from_pem(ED25519_PEM).unwrap()).unwrap();
    let field = signer.sign(MESSAGE.as_bytes(), TIME).unwrap();
    assert!(field.contains(&format!("\r\n d={long};\r\n ")) && is_good(&signer, &field, MESSAGE.as_bytes()));
}

#[test]
fn several_signatures_stand_before_the_message_and_each_holds() {
    let signers = [rsa(), ed25519()];
    let signed = DkimSigner::sign_with_all(&signers, MESSAGE.as_bytes(), TIME).unwrap();
    let fields: String =
        signers.iter().map(|signer| signer.sign(MESSAGE.as_bytes(), TIME).unwrap()).collect();
    assert_eq!(signed, format!("{fields}{MESSAGE}").as_bytes());
    for signer in &signers {
        let field = signer.sign(MESSAGE.as_bytes(), TIME).unwrap();
        assert!(is_good(signer, &field, &signed));
    }
}

#[test]
fn which_fields_are_signed_can_be_chosen() {
    let signer = ed25519().with_fields(DkimFields::default().without(["Message-ID", "date"]).unwrap());
    let field = signer.sign(MESSAGE.as_bytes(), TIME).unwrap();
    assert!(field.contains("h=from:from:to:to:subject:subject;"), "{field}");
    let signer = ed25519().with_fields(DkimFields::only(["Subject", "From", "X-None", "from"]).unwrap());
    let field = signer.sign(MESSAGE.as_bytes(), TIME).unwrap();
    assert!(field.contains("h=subject:subject:from:from;") && is_good(&signer, &field, MESSAGE.as_bytes()));
    assert_eq!(DkimFields::only(["to"]), Err(DkimError::WithoutFrom));
    assert_eq!(DkimFields::default().without(["FROM"]), Err(DkimError::WithoutFrom));
    for bad in ["", "a b", "x;", "é", "a:b", "a\r\nb"] {
        assert_eq!(DkimFields::only(["from", bad]), Err(DkimError::FieldName), "{bad:?}");
    }
}

#[test]
fn what_is_no_message_is_not_signed() {
    let no_from = DkimError::Message("has no From");
    let no_field = DkimError::Message("has a header line that is no field");
    for (message, error) in [
        ("", no_from),
        ("\r\nFrom: a@b.co\r\n", no_from),
        ("To: a@b.co\r\n\r\n", no_from),
        ("From: a@b.co\r\nnothing\r\n\r\n", no_field),
        (": x\r\nFrom: a@b.co\r\n\r\n", no_field),
        (" x\r\nFrom: a@b.co\r\n\r\n", no_field),
    ] {
        assert_eq!(ed25519().sign(message.as_bytes(), TIME), Err(error), "{message:?}");
    }
    assert!(ed25519().sign(b"From: a@b.co", TIME).is_ok());
}

#[test]
fn keys_are_read_as_openssl_writes_them() {
    let pkcs8 = pem(&["genrsa", "2048"], "");
    let pkcs1 = pem(&["rsa", "-traditional"], &pkcs8);
    assert!(pkcs8.contains("BEGIN PRIVATE KEY") && pkcs1.contains("BEGIN RSA PRIVATE KEY"));
    let public = openssl(&["pkey", "-pubout", "-outform", "DER"], &pkcs8);
    for text in [&pkcs8, &pkcs1, &pkcs8.replace('\n', "\r\n"), &format!("Key of mine\n\n{pkcs8}\n")] {
        let key = DkimKey::from_pem(text).unwrap();
        assert_eq!((key.algorithm(), key.public()), (DkimAlgorithm::RsaSha256, &public[..]));
        assert_eq!(format!("{key:?}"), "DkimKey(rsa-sha256)");
    }
    let pem_of_ed25519 = pem(&["genpkey", "-algorithm", "ed25519"], "");
    let key = DkimKey::from_pem(&pem_of_ed25519).unwrap();
    assert_eq!(key.algorithm(), DkimAlgorithm::Ed25519Sha256);
    assert!(openssl(&["pkey", "-pubout", "-outform", "DER"], &pem_of_ed25519).ends_with(key.public()));
}

#[test]
fn a_key_that_cannot_be_used_is_refused_with_what_to_do() {
    let key = pem(&["genrsa", "2048"], "");
    let cases = [
        (String::new(), DkimKeyError::NotPem),
        ("secret".to_owned(), DkimKeyError::NotPem),
        (key.replace("KEY-----\n", "KEY-----\n!"), DkimKeyError::NotPem),
        (pem(&["genrsa", "1024"], ""), DkimKeyError::TooSmall),
        (pem(&["rsa", "-traditional"], &pem(&["genrsa", "512"], "")), DkimKeyError::TooSmall),
        (pem(&["genrsa", "4160"], ""), DkimKeyError::TooLarge),
        (pem(&["pkcs8", "-topk8", "-passout", "pass:x"], &key), DkimKeyError::Encrypted),
        (pem(&["rsa", "-traditional", "-aes128", "-passout", "pass:x"], &key), DkimKeyError::Encrypted),
        (pem(&["pkey", "-pubout"], &key), DkimKeyError::Public),
        (
            pem(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], ""),
            DkimKeyError::Kind,
        ),
        (pem(&["genpkey", "-algorithm", "x25519"], ""), DkimKeyError::Kind),
    ];
    for (text, error) in cases {
        assert_eq!(DkimKey::from_pem(&text).err(), Some(error), "{error}");
    }
}

#[test]
fn domains_and_selectors_are_names_in_dns() {
    let key = || DkimKey::from_pem(ED25519_PEM).unwrap();
    let name = |domain: &str, selector: &str| {
        DkimSigner::new(domain, selector, key()).map(|signer| signer.record().name().to_owned())
    };
    assert_eq!(name("Example.ORG", "Main").as_deref(), Ok("main._domainkey.example.org"));
    assert_eq!(name("jõgeva.ee", "a.b_c-1").as_deref(), Ok("a.b_c-1._domainkey.xn--jgeva-dua.ee"));
    for bad in
        ["", "org", "a..b", "-a.org", "a b.org", "a.org.", "a_b.org", "a.org; x=", "[127.0.0.1]", "a@b.org"]
    {
        assert_eq!(name(bad, "main"), Err(DkimError::Domain), "{bad}");
    }
    for bad in ["", "-a", "a-", "a..b", ".a", "a b", "a;", "é", &"a".repeat(64)] {
        assert_eq!(name("example.org", bad), Err(DkimError::Selector), "{bad}");
    }
    let long = format!("{0}.{0}.{0}.org", "a".repeat(63));
    assert_eq!(name(&long, &"b".repeat(63)), Err(DkimError::NameTooLong));
}

#[test]
fn a_published_record_is_told_from_others() {
    let record = ed25519().record();
    assert_eq!(record.value(), format!("v=DKIM1; k=ed25519; p={ED25519_PUBLIC}"));
    let p = format!("p={ED25519_PUBLIC}");
    for (published, result) in [
        (record.value(), Ok(())),
        (format!("k=ed25519;{p}"), Ok(())),
        (
            format!(
                "v=DKIM1; k=ed25519; h=sha1:sha256; s=email:x; t=s; n=main; {} ;",
                p.replace("cH", "c \tH")
            ),
            Ok(()),
        ),
        (String::new(), Err(PublishedFault::NotAKey)),
        ("v=spf1 -all".to_owned(), Err(PublishedFault::NotAKey)),
        (format!("v=DKIM2; k=ed25519; {p}"), Err(PublishedFault::NotAKey)),
        ("v=DKIM1; k=ed25519; p=".to_owned(), Err(PublishedFault::Withdrawn)),
        (format!("v=DKIM1; {p}"), Err(PublishedFault::Kind)),
        (format!("v=DKIM1; k=ed25519; {}", p.replace("11q", "11Q")), Err(PublishedFault::OtherKey)),
        (format!("k=ed25519; h=sha1; {p}"), Err(PublishedFault::Hash)),
        (format!("k=ed25519; s=tlsrpt; {p}"), Err(PublishedFault::Service)),
    ] {
        assert_eq!(record.check(&published), result, "{published}");
    }
    let record = rsa().record();
    assert!(record.strings().iter().all(|string| string.len() <= 255));
    assert_eq!((record.strings().len(), record.strings().concat()), (2, record.value()));
}

#[test]
fn a_domain_is_aligned_with_those_above_and_below() {
    let signer = ed25519();
    for (from, is_aligned) in [
        ("example.org", true),
        ("Mail.Example.org", true),
        ("org", true),
        ("example.com", false),
        ("badexample.org", false),
    ] {
        assert_eq!(signer.is_aligned_with(from), is_aligned, "{from}");
    }
}

proptest! {
    #[test]
    fn a_canonical_body_stays_as_it_is(body in "[ab \t\r\n.]{0,40}") {
        let once = canonical::body(body.as_bytes());
        prop_assert_eq!(&canonical::body(&once), &once);
        let text = String::from_utf8(once).unwrap();
        prop_assert!(text.is_empty() || text.ends_with("\r\n") && !text.ends_with("\r\n\r\n") && text != "\r\n");
        prop_assert!(!text.contains(" \r\n") && !text.contains("  ") && !text.contains('\t'));
        let letters = |text: &str| text.replace([' ', '\t', '\r', '\n'], "");
        prop_assert_eq!(letters(&text), letters(&body));
    }

    #[test]
    fn white_space_that_relays_change_does_not_count(
        words in prop::collection::vec("[!-9;-~]{1,9}", 1..6), spaces in prop::collection::vec("( |\t|\r\n |\n\t){1,3}", 7)
    ) {
        let plain = format!("From: {}\r\n\r\n", words.join(" "));
        let value: String = words.iter().zip(&spaces).map(|(word, space)| format!("{space}{word}")).collect();
        // A line of white space alone would end a header for some.
        prop_assume!(!value.contains("\n \r") && !value.contains("\n\t\r") && !value.contains("\n \n") && !value.contains("\n\t\n"));
        let folded = format!("FROM:{value}{}\r\n\r\n", spaces[6].replace(['\r', '\n'], ""));
        let canonical = |message: &str| canonical::chosen(&fields::parts(message.as_bytes()).unwrap().fields, &["from"]);
        prop_assert_eq!(canonical(&plain), canonical(&folded));
    }

    #[test]
    fn any_message_is_signed_in_short_lines_or_refused(message in "(From|a|To|:|x| |\t|\r|\n|é){0,24}", time in any::<u64>()) {
        let message = format!("From: a@b.co\r\n{message}");
        let signer = ed25519();
        if let Ok(field) = signer.sign(message.as_bytes(), time) {
            prop_assert!(field.is_ascii() && field.ends_with("\r\n"));
            prop_assert!(field.split("\r\n").all(|line| line.len() <= 78));
            prop_assert!(field.trim_end().split("\r\n").skip(1).all(|line| line.starts_with(' ') && line.len() > 1));
            prop_assert!(is_good(&signer, &field, message.as_bytes()));
            // As the pool sends it.
            let sent = message.replace("\r\n", "\n").replace('\r', "\n").replace('\n', "\r\n");
            prop_assert_eq!(field, signer.sign(sent.as_bytes(), time).unwrap());
        }
    }
}
