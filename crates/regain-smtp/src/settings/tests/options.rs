//! What options mean, and which values are refused.

use std::time::Duration;

use super::*;

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
