//! What connection URLs mean, and which are refused.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

#[track_caller]
fn read(url: &str) -> Settings {
    Settings::parse(url).unwrap_or_else(|error| panic!("{url:?}: {error}"))
}

#[track_caller]
fn refusal(url: &str) -> String {
    match Settings::parse(url) {
        Ok(settings) => panic!("{url:?} was read as {settings:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_documented_examples_mean_what_the_documentation_says() {
    for (url, host, port, secure, login) in [
        ("smtp://smtp.example.com", "smtp.example.com", 587, false, None),
        ("smtps://smtp.example.com", "smtp.example.com", 465, true, None),
        ("smtp://smtp.example.com:25", "smtp.example.com", 25, false, None),
        ("smtps://smtp.example.com:587", "smtp.example.com", 587, true, None),
        ("SMTP://SMTP.Example.com", "smtp.example.com", 587, false, None),
        ("smtp:smtp.example.com", "smtp.example.com", 587, false, None),
        ("smtps:u:p@host:4465", "host", 4465, true, Some(("u", "p"))),
        ("smtp://localhost:1025", "localhost", 1025, false, None),
        ("smtp://", "localhost", 587, false, None),
        ("smtp://user:pass@smtp.example.com", "smtp.example.com", 587, false, Some(("user", "pass"))),
        ("smtp://u%40d:p%3Ass@h", "h", 587, false, Some(("u@d", "p:ss"))),
        ("smtp://u%3Aser:pass@h", "h", 587, false, Some(("u:ser", "pass"))),
        ("smtp://user:pa:ss@h", "h", 587, false, Some(("user", "pa:ss"))),
        ("smtp://us@er:pass@h", "h", 587, false, Some(("us@er", "pass"))),
        ("smtp://user:p+ss@h", "h", 587, false, Some(("user", "p+ss"))),
        ("smtp://user:100%@h", "h", 587, false, Some(("user", "100%"))),
        ("smtp://user:pa%zz%41@h", "h", 587, false, Some(("user", "pa%zz%41"))),
        ("smtp://user:pä%ss@h", "h", 587, false, Some(("user", "pä%ss"))),
        ("smtp://user:p%40ss%2Fw%3Fo%23rd@h", "h", 587, false, Some(("user", "p@ss/w?o#rd"))),
        ("smtp://user@h", "h", 587, false, Some(("user", ""))),
        ("smtp://:pass@h", "h", 587, false, Some(("", "pass"))),
        ("smtp://:@h", "h", 587, false, None),
        ("smtp://h:", "h", 587, false, None),
        ("smtp://h:0", "h", 587, false, None),
        ("smtp://h/path?pool=true#part", "h", 587, false, None),
        ("smtp://[::1]:2525", "::1", 2525, false, None),
        ("smtp://[2001:DB8::1]", "2001:db8::1", 587, false, None),
        ("smtp://jõgeva.ee", "xn--jgeva-dua.ee", 587, false, None),
        ("smtp://B%C3%BCcher.example", "xn--bcher-kva.example", 587, false, None),
        ("smtp://127.1", "127.0.0.1", 587, false, None),
        ("smtp://0x7f.1", "127.0.0.1", 587, false, None),
        ("smtp://2130706433", "127.0.0.1", 587, false, None),
        ("smtp://mail_relay", "mail_relay", 587, false, None),
    ] {
        let settings = read(url);
        assert_eq!((settings.host(), settings.port(), settings.secure()), (host, port, secure), "{url}");
        assert_eq!(settings.user().zip(settings.expose_password()), login, "{url}");
    }
}

#[test]
fn options_mean_what_they_say() {
    let plain = read("smtp://h");
    assert!(!plain.pool() && plain.reject_unauthorized() && plain.max_connections() == 5);
    assert_eq!((plain.servername(), plain.name()), (None, None));
    let full = read(
        "smtps://user%40x:pa%3Ass@host:465/?pool=true&maxConnections=10&tls.rejectUnauthorized=false\
         &tls.servername=Mail.Example.net&name=007",
    );
    assert!(full.pool() && !full.reject_unauthorized());
    assert_eq!(
        (full.max_connections(), full.servername(), full.name()),
        (10, Some("mail.example.net"), Some("007"))
    );
    assert_eq!(read("smtp://h?maxConnections=0x10").max_connections(), 16);
    assert_eq!(read("smtp://h?maxConnections=1e1").max_connections(), 10);
    assert_eq!(read("smtp://h?maxConnections=0").max_connections(), 5);
    assert!(read("smtp://h?tls.rejectUnauthorized=0").reject_unauthorized());
    assert!(read("smtp://h?pool=true&pool=true").pool());
}

#[test]
fn numbers_and_times_are_typed_and_zero_is_the_default() {
    let plain = read("smtp://h");
    assert_eq!(
        (plain.max_messages(), plain.rate_limit(), plain.rate_delta()),
        (100, None, Duration::from_secs(1))
    );
    assert_eq!((plain.idle_timeout(), plain.connection_timeout()), (None, None));
    assert_eq!((plain.greeting_timeout(), plain.socket_timeout(), plain.dns_timeout()), (None, None, None));
    let full = read(
        "smtp://h?maxMessages=1e3&rateLimit=0x10&rateDelta=2000&idleTimeout=5000&connectionTimeout=1&greetingTimeout=2\
         &socketTimeout=3&dnsTimeout=2147483647",
    );
    let ms = |ms| Some(Duration::from_millis(ms));
    assert_eq!((full.max_messages(), full.rate_limit().map(u32::from)), (1000, Some(16)));
    assert_eq!((Some(full.rate_delta()), full.idle_timeout()), (ms(2000), ms(5000)));
    assert_eq!((full.connection_timeout(), full.greeting_timeout()), (ms(1), ms(2)));
    assert_eq!((full.socket_timeout(), full.dns_timeout()), (ms(3), ms(2_147_483_647)));
    let zero = read(
        "smtp://h?maxMessages=0&rateLimit=0&rateDelta=0&idleTimeout=0&connectionTimeout=0&socketTimeout=0",
    );
    assert_eq!(
        (zero.max_messages(), zero.rate_limit(), zero.rate_delta()),
        (100, None, Duration::from_secs(1))
    );
    assert_eq!((zero.idle_timeout(), zero.connection_timeout(), zero.socket_timeout()), (None, None, None));
    assert!(zero.written_options().is_empty());
}

#[test]
fn words_are_typed() {
    let plain = read("smtp://h");
    assert_eq!((plain.auth_method(), plain.tls_min_version(), plain.tls_ca()), (None, None, None));
    assert_eq!((plain.local_address(), plain.service()), (None, None));
    for (word, method) in [
        ("PLAIN", AuthMethod::Plain),
        ("login", AuthMethod::Login),
        ("Cram-MD5", AuthMethod::CramMd5),
        ("XOAUTH2", AuthMethod::XOAuth2),
    ] {
        assert_eq!(read(&format!("smtp://h?authMethod={word}")).auth_method(), Some(method));
    }
    let token = read("smtps://user:ya29.a0%2Fb@h/?authMethod=XOAUTH2");
    assert_eq!((token.user(), token.expose_password()), (Some("user"), Some("ya29.a0/b")));
    assert_eq!(read("smtp://h?tls.minVersion=TLSv1.2").tls_min_version(), Some(TlsVersion::Tls12));
    assert_eq!(read("smtp://h?tls.minVersion=TLSv1.3").tls_min_version(), Some(TlsVersion::Tls13));
    for address in ["192.0.2.7", "2001:db8::7", "::1"] {
        assert_eq!(read(&format!("smtp://h?localAddress={address}")).local_address(), address.parse().ok());
    }
    assert_eq!(read("smtp://h?servername=Mail.Example.net").servername(), Some("mail.example.net"));
    assert_eq!(read("smtp://h?servername=a.b&tls.servername=a.b").servername(), Some("a.b"));
    assert!(refusal("smtp://h?servername=a.b&tls.servername=c.d").contains("twice"));
}

#[test]
fn authorities_are_certificates_or_the_path_of_a_file() {
    let settings = read("smtp://h?tls.ca=/etc/relay%20ca.pem");
    assert_eq!(settings.tls_ca(), Some(&TlsCa::File("/etc/relay ca.pem".into())));
    assert_eq!(settings.redacted(), "smtp://h:587/?tls.ca=/etc/relay%20ca.pem");
    let key = rcgen::KeyPair::generate().expect("a key");
    let pem = rcgen::CertificateParams::new(vec![])
        .and_then(|of| of.self_signed(&key))
        .expect("a certificate")
        .pem();
    let encoded = utf8_percent_encode(&pem, NON_ALPHANUMERIC).to_string();
    let settings = read(&format!("smtp://h?tls.ca={encoded}"));
    assert_eq!(settings.tls_ca(), Some(&TlsCa::Pem(pem.clone())));
    assert_eq!(settings.tls_ca().and_then(|ca| ca.read().ok()).as_deref(), Some(pem.as_bytes()));
    assert_eq!(settings.redacted(), "smtp://h:587/?tls.ca=(certificates%20in%20PEM)");
    for wrong in ["-----BEGIN CERTIFICATE-----", "-----BEGIN%20CERTIFICATE-----%0AAAA%0A", "", "a%0Ab"] {
        assert!(refusal(&format!("smtp://h?tls.ca={wrong}")).contains("`tls.ca`"), "{wrong}");
    }
    let raw_plus = pem.replacen("MII", "MII+", 1).replace('\n', "%0A");
    assert!(refusal(&format!("smtp://h?tls.ca={raw_plus}")).contains("%2B"), "a plus is a space");
}

#[test]
fn host_port_and_scheme_may_be_options_where_the_url_does_not_say() {
    let settings = read("smtp://?host=Mail.example.com&port=2525");
    assert_eq!((settings.host(), settings.port(), settings.secure()), ("mail.example.com", 2525, false));
    assert_eq!(read("smtp://?host=::1").host(), "::1");
    assert_eq!(read("smtp://?host=[::1]").host(), "::1");
    assert_eq!(read("smtp://h?port=0").port(), 587);
    assert_eq!(read("smtps://h:25?port=25&host=h&secure=true").port(), 25);
    for (url, told) in [
        ("smtp://h?host=x", "`host` is given twice"),
        ("smtp://h:25?port=26", "`port` is given twice"),
        ("smtp://h?secure=true", "`secure` contradicts the scheme"),
        ("smtps://h?secure=false", "`secure` contradicts the scheme"),
        ("smtp://?host=192.168.001.010", "leading zeros"),
        ("smtp://?host=", "the host is not valid"),
        ("smtp://user:pass@?host=h", "the host is missing"),
        ("smtp://h?port=65536", "`port` takes"),
        ("smtp://h?port=2.5", "`port` takes"),
        ("smtp://h?port=smtp", "`port` takes"),
    ] {
        assert!(refusal(url).contains(told), "{url}: {}", refusal(url));
    }
}

#[test]
fn a_service_replaces_host_port_and_tls_and_keeps_the_rest() {
    let settings = read("smtps://user:pass@localhost/?service=Gmail&pool=true&name=x.example");
    assert_eq!((settings.host(), settings.port(), settings.secure()), ("smtp.gmail.com", 465, true));
    assert_eq!(settings.user().zip(settings.expose_password()), Some(("user", "pass")));
    assert_eq!(
        (settings.service(), settings.pool(), settings.name()),
        (Some("Gmail"), true, Some("x.example"))
    );
    assert_eq!(
        settings.redacted(),
        "smtps://user:***@smtp.gmail.com:465/?pool=true&name=x.example&service=Gmail"
    );
    for (url, host, port, secure, starttls) in [
        ("smtp://?service=gmail", "smtp.gmail.com", 465, true, StartTls::Never),
        ("smtp:?service=163", "smtp.163.com", 465, true, StartTls::Never),
        ("smtp://h:25?service=126", "smtp.126.com", 465, true, StartTls::Never),
        ("smtp://h?service=me@gmail.com", "smtp.gmail.com", 465, true, StartTls::Never),
        ("smtp://h?service=me%40gmail.com", "smtp.gmail.com", 465, true, StartTls::Never),
        ("smtp://h?service=Google+Mail", "smtp.gmail.com", 465, true, StartTls::Never),
        // The preset leaves TLS open: 465 is TLS, everything else STARTTLS.
        ("smtp://?service=Loopia", "mailcluster.loopia.se", 465, true, StartTls::Never),
        ("smtps://?service=Bluewin", "smtpauths.bluewin.ch", 465, true, StartTls::Never),
        ("smtps://?service=SendGrid", "smtp.sendgrid.net", 587, false, StartTls::Required),
        ("smtp://?service=SendGrid", "smtp.sendgrid.net", 587, false, StartTls::Required),
        ("smtp://?service=Godaddy", "smtpout.secureserver.net", 25, false, StartTls::Required),
        ("smtp://?service=SendGrid&requireTLS=false", "smtp.sendgrid.net", 587, false, StartTls::Optional),
        ("smtps://?service=SendGrid&requireTLS=false", "smtp.sendgrid.net", 587, false, StartTls::Required),
        ("smtps://?service=SendGrid&ignoreTLS=true", "smtp.sendgrid.net", 587, false, StartTls::Required),
        // It speaks STARTTLS: `smtps:` is not lowered to less than that.
        ("smtps://?service=Outlook365", "smtp.office365.com", 587, false, StartTls::Required),
        ("smtp://localhost?service=Outlook365", "smtp.office365.com", 587, false, StartTls::Required),
        ("smtp://?service=Proton&requireTLS=false", "smtp.protonmail.ch", 587, false, StartTls::Required),
        ("smtp://?service=Proton&ignoreTLS=true", "smtp.protonmail.ch", 587, false, StartTls::Required),
        // It leaves the port open too.
        ("smtp://?service=hot.ee", "mail.hot.ee", 587, false, StartTls::Required),
        ("smtps://?service=hot.ee", "mail.hot.ee", 465, true, StartTls::Never),
        ("smtp://h:465?service=mail.ee", "smtp.mail.ee", 465, true, StartTls::Never),
        ("smtps://h:2465?service=mail.ee", "smtp.mail.ee", 2465, true, StartTls::Never),
        ("smtp://h:25?service=mail.ee", "smtp.mail.ee", 25, false, StartTls::Required),
        // It has no host.
        ("smtp://?service=Maildev", "localhost", 1025, false, StartTls::Never),
        ("smtp://h:25?service=Maildev", "h", 1025, false, StartTls::Never),
        ("smtps://?service=Maildev", "localhost", 1025, false, StartTls::Required),
    ] {
        let settings = read(url);
        let found = (settings.host(), settings.port(), settings.secure(), settings.starttls());
        assert_eq!(found, (host, port, secure, starttls), "{url}");
        let again = read(&settings.redacted());
        let found = (again.host(), again.port(), again.secure(), again.starttls());
        assert_eq!(found, (host, port, secure, starttls), "{url} -> {settings:?}");
    }
    assert_eq!(read("smtp://?service=Zoho").auth_method(), Some(AuthMethod::Login));
    assert_eq!(read("smtp://?service=Zoho&authMethod=PLAIN").auth_method(), Some(AuthMethod::Login));
    assert_eq!(read("smtp://?service=Gmail&authMethod=PLAIN").auth_method(), Some(AuthMethod::Plain));
}

#[test]
fn a_service_that_is_not_known_is_refused_and_not_repeated() {
    for url in ["smtp://?service=typo", "smtp://h?service=true", "smtp://h?service=", "smtp://h?service"] {
        assert_eq!(
            refusal(url),
            "the URL option `service` names no known service: write its host, for example \
             smtps://user:password@smtp.example.com"
        );
    }
    assert!(refusal("smtp://h?service=gmial").ends_with("did you mean `Gmail`?"));
    assert!(refusal("smtp://h?service=Gmail&service=Yahoo").contains("twice"));
    assert!(refusal("smtp://user:pass@?service=Gmail").contains("localhost/?service=Gmail"));
}

#[test]
fn starttls_is_required_beyond_loopback_unless_the_url_says_otherwise() {
    for (url, policy) in [
        ("smtp://smtp.example.com", StartTls::Required),
        ("smtp://192.0.2.1", StartTls::Required),
        ("smtp://localhost.example.com", StartTls::Required),
        ("smtp://[::ffff:127.0.0.1]", StartTls::Required),
        ("smtp://localhost", StartTls::Optional),
        ("smtp://127.9.9.9", StartTls::Optional),
        ("smtp://[::1]", StartTls::Optional),
        ("smtp://localhost?requireTLS=true", StartTls::Required),
        ("smtp://h?requireTLS=false", StartTls::Optional),
        ("smtp://h?ignoreTLS=true", StartTls::Never),
        ("smtp://h?ignoreTLS=false", StartTls::Required),
        ("smtp://h?ignoreTLS=true&requireTLS=true", StartTls::Required),
        ("smtp://h?opportunisticTLS=true", StartTls::Optional),
        ("smtp://h?opportunisticTLS=false", StartTls::Required),
        ("smtp://h?opportunisticTLS=true&ignoreTLS=true", StartTls::Never),
        ("smtp://h?opportunisticTLS=true&requireTLS=true", StartTls::Required),
        ("smtps://h", StartTls::Never),
        ("smtps://h?requireTLS=true", StartTls::Never),
    ] {
        assert_eq!(read(url).starttls(), policy, "{url}");
    }
    for (url, opportunistic) in [
        ("smtp://h", false),
        ("smtp://localhost", false),
        ("smtp://h?requireTLS=false", false),
        ("smtp://h?opportunisticTLS=true", true),
        ("smtp://localhost?opportunisticTLS=true&requireTLS=false", true),
        ("smtp://h?opportunisticTLS=true&requireTLS=true", false),
        ("smtps://h?opportunisticTLS=true", false),
    ] {
        assert_eq!(read(url).opportunistic_tls(), opportunistic, "{url}");
    }
}

#[test]
fn what_nodemailer_guesses_is_refused() {
    for url in [
        "",
        " smtp://h",
        "gmail",
        "localhost",
        "host:25",
        "http://h",
        "direct:",
        "direct://h",
        "smtp:/host",
        "smtp:///host",
        "smtp:\\\\host",
        "smtp://192.168.001.010",
        "smtp://1.2.3.4.5",
        "smtp://256.256.256.256",
        "smtp://1.2.3.256",
        "smtp://4294967296",
        "smtp://exam\tple.com",
        "smtp://h\n",
        "smtp://u:p%00@h",
        "smtp://u:p%0a@h",
        "smtp://h%00",
        "smtp://ho st",
        "smtp://ho%20st",
        "smtp://h:65536",
        "smtp://h:-1",
        "smtp://h:2.5",
        "smtp://h:abc",
        "smtp://h:1:2",
        "smtp://::1",
        "smtp://[::1",
        "smtp://[::1]x",
        "smtp://[fe80::1%25eth0]",
        "smtp://[v1.x]",
        "smtp://user:pa/ss@h",
        "smtp://user:pa#ss@h",
        "smtp://user:pa?ss@h",
        "smtp://user:12?ss@h",
        "smtp://user:pass@",
        "smtp://user:pass@?pool=true",
        "smtp://a..b",
        "smtp://a,b",
        "smtp://h?pool=no",
        "smtp://h?pool=True",
        "smtp://h?ignoreTLS=False",
        "smtp://h?pool=true;maxMessages=3",
        "smtp://h?requireTLS",
        "smtp://h?requireTLS=",
        "smtp://h?pool=true&pool=false",
        "smtp://h?maxConnections=-1",
        "smtp://h?maxConnections=1.5",
        "smtp://h?maxConnections=abc",
        "smtp://h?maxConnections=",
        "smtp://h?maxConnections=Infinity",
        "smtp://h?maxConnections=1e9",
        "smtp://h?requireTls=true",
        "smtp://h?requiretls=true",
        "smtp://h?secure=true",
        "smtp://h?url=smtp://x",
        "smtp://h?sendmail=true",
        "smtp://h?tls.port=1",
        "smtp://h?tls=true",
        "smtp://h?name=a%0d%0ab",
        "smtp://h?name=a+b",
        "smtp://h?name=",
        "smtp://h?name=h%C3%B6st",
        "smtp://h?tls.servername=",
        "smtp://h?tls.servername=a+b",
        "smtp://h?__proto__=1",
        "smtp://h?=1",
    ] {
        refusal(url);
    }
    refusal(&format!("smtp://{}", "a".repeat(LONGEST_URL)));
}

#[test]
fn a_refused_option_is_named_with_what_to_write_instead() {
    assert_eq!(
        refusal("smtp://h?requireTls=1"),
        "the URL option `requireTls` is not known: did you mean `requireTLS`?"
    );
    assert_eq!(
        refusal("smtp://h?maxConection=1"),
        "the URL option `maxConection` is not known: did you mean `maxConnections`?"
    );
    assert_eq!(
        refusal("smtp://h?TLS.servername=x"),
        "the URL option `TLS.servername` is not known: did you mean `tls.servername`?"
    );
    assert_eq!(refusal("smtp://h?zebra=1"), "the URL option `zebra` is not known: remove it");
    assert!(refusal("smtp://h?pool=no").contains("`pool` takes `true` or `false`"));
}

#[test]
fn neither_debug_nor_a_refusal_shows_the_password() {
    for url in [
        "smtp://user:s3cr3t@h:99999",
        "smtp://user:s3cr3t@ho st",
        "smtp://user:s3cr3t",
        "smtp://user:1?s3cr3t@h",
        "smtp://user:s3cr3t%00@h",
        "smtp://user:a/s3cr3t@h",
        "smtp://user:s3cr3t@h?x=1",
        "smtp://user:s3cr3t@h?pool=no",
        "x://user:s3cr3t@h",
        "smtp://user:1?s3cr3t%40=1",
        "direct://user:s3cr3t@h",
    ] {
        let error = Settings::parse(url).expect_err(url);
        assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{url}: {error:?}");
    }
    let settings =
        read("smtp://us%40er:s3cr3t@h?name=x.example&maxConnections=2&tls.rejectUnauthorized=false");
    let shown = "smtp://us%40er:***@h:587/?maxConnections=2&tls.rejectUnauthorized=false&name=x.example";
    assert_eq!(settings.redacted(), shown);
    assert!(!format!("{settings:?}").contains("s3cr3t"));
    // Some relays take one secret as user and as password.
    assert_eq!(read("smtp://s3cr3t:s3cr3t@h").redacted(), "smtp://***:***@h:587");
}

proptest! {
    #[test]
    fn any_login_that_is_percent_encoded_comes_back(user in "[^\\pC]{1,20}", password in "[^\\pC]{0,20}") {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let settings = read(&format!("smtp://{}:{}@h", encode(&user), encode(&password)));
        prop_assert_eq!(settings.user(), Some(user.as_str()));
        prop_assert_eq!(settings.expose_password(), Some(password.as_str()));
    }

    #[test]
    fn reading_never_panics_and_what_it_shows_can_be_read_again(tail in "[a-z0-9:@/?#&=%.\\[\\]\\\\+ ]{0,40}") {
        if let Ok(settings) = Settings::parse(&format!("smtp:{tail}")) {
            let again = read(&settings.redacted());
            prop_assert_eq!(again.host(), settings.host());
            prop_assert_eq!(again.port(), settings.port());
            prop_assert_eq!(again.starttls(), settings.starttls());
        }
    }
}
