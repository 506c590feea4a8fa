//! What connection URLs mean, and which are refused.

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
        ("smtps://h", StartTls::Never),
        ("smtps://h?requireTLS=true", StartTls::Never),
    ] {
        assert_eq!(read(url).starttls(), policy, "{url}");
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
        "smtp://h?port=25",
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
        "smtp://h?service=Gmail",
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
    assert!(refusal("smtp://h?service=Gmail").contains("`service` is not supported: write the host"));
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
