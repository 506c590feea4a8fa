//! The rows of the table of departures from nodemailer in docs/connection-strings.md, and what nodemailer refuses too.

use super::*;

/// By row, what is refused, with a word of the refusal.
const REFUSED: &[(&str, &str, &str)] = &[
    ("U1", "direct:", "`direct:`"),
    ("U1", "direct:h", "`direct:`"),
    ("U1", "direct://h:25", "`direct:`"),
    ("U1", "DIRECT://user:pass@h", "`direct:`"),
    ("U1", "smtp://h?direct=true", "`direct`"),
    ("U2", "smtp:/host", "two slashes"),
    ("U2", "smtp:///host", "two slashes"),
    ("U2", "smtps:///host?pool=true", "two slashes"),
    ("U2", "smtp:\\\\host", "two slashes"),
    ("U3", "smtp://192.168.001.010", "leading zeros"),
    ("U3", "smtp://010.0.0.1", "leading zeros"),
    ("U3", "smtp://?host=127.0.0.01", "leading zeros"),
    ("U4", "smtp://exam\tple.com", "control character"),
    ("U4", "smtp://u:pa\nss@h", "control character"),
    ("U4", "smtp://h\n", "control character"),
    ("U4", "smtp://u:p%00@h", "control character"),
    ("U4", "smtp://u%00:p@h", "control character"),
    ("U4", "smtp://u:p%0a@h", "control character"),
    ("U4", "smtp://h%00", "control character"),
    ("U4", "smtp://h?localAddress=%00", "control character"),
    ("U4", "smtp://h?%00=1", "control character"),
    ("U5", "smtp://h:65536", "the port must be"),
    ("U5", "smtp://h:2.5", "the port must be"),
    ("U5", "smtp://h:smtp", "the port must be"),
    ("U5", "smtp://h:-1", "the port must be"),
    ("U5", "smtp://h:+25", "the port must be"),
    ("U5", "smtp://h?port=65536", "`port` takes"),
    ("U5", "smtp://h?port=2.5", "`port` takes"),
    ("U5", "smtp://h?port=smtp", "`port` takes"),
    ("U6", "smtp://h?pool=no", "`pool` takes `true` or `false`"),
    ("U6", "smtp://h?pool=True", "`pool` takes"),
    ("U6", "smtp://h?pool=", "`pool` takes"),
    ("U6", "smtp://h?pool", "`pool` takes"),
    ("U6", "smtp://h?pool=2", "`pool` takes"),
    ("U6", "smtp://h?pool=true;maxMessages=3", "`pool` takes"),
    ("U6", "smtp://h?ignoreTLS=False", "`ignoreTLS` takes"),
    ("U6", "smtp://h?opportunisticTLS=yes", "`opportunisticTLS` takes"),
    ("U6", "smtp://h?tls.rejectUnauthorized=no", "`tls.rejectUnauthorized` takes"),
    ("U6", "smtp://h?tls.rejectUnauthorized=", "`tls.rejectUnauthorized` takes"),
    ("U7", "smtp://h?requireTLS", "`requireTLS` takes"),
    ("U7", "smtp://h?requireTLS=", "`requireTLS` takes"),
    ("U8", "smtp://h?pool=true&pool=false", "`pool` is given twice"),
    ("U8", "smtp://h?maxConnections=1&pool=1&maxConnections=2", "`maxConnections` is given twice"),
    ("U8", "smtp://h?requireTLS=true&requireTLS=false", "`requireTLS` is given twice"),
    ("U8", "smtp://h?service=Gmail&service=Yahoo", "`service` is given twice"),
    ("U8", "smtp://h?servername=a.b&tls.servername=c.d", "`tls.servername` is given twice"),
    ("U10", "smtp://h?requireTls=true", "`requireTls` is not known: did you mean `requireTLS`?"),
    ("U10", "smtp://h?requiretls=true", "`requiretls` is not known: did you mean `requireTLS`?"),
    ("U10", "smtp://h?REQUIRETLS=true", "did you mean `requireTLS`?"),
    ("U10", "smtp://h?ignoretls=true", "did you mean `ignoreTLS`?"),
    ("U10", "smtp://h?tls.rejectUnautorized=true", "did you mean `tls.rejectUnauthorized`?"),
    ("U11", "smtp://h?secure=true", "`secure` contradicts the scheme"),
    ("U11", "smtp://h?secure=1", "`secure` contradicts the scheme"),
    ("U11", "smtps://h?secure=false", "`secure` contradicts the scheme"),
    ("U13", "smtp://h?sendmail=true", "`sendmail` is not supported"),
    ("U13", "smtp://h?jsonTransport=true", "`jsonTransport` is not supported"),
    ("U13", "smtp://h?streamTransport=true", "`streamTransport` is not supported"),
    ("U13", "smtp://h?SES=true", "`SES` is not supported"),
    ("U13", "smtp://h?connection=true", "`connection` is not supported"),
    ("U13", "smtp://h?socket=true", "`socket` is not supported"),
    ("U13", "smtp://h?url=smtp://x", "`url` is not supported"),
    ("U13", "smtp://h?tls.port=1", "`tls.port` is not supported"),
    ("U13", "smtp://h?tls.host=x", "`tls.host` is not supported"),
    ("U14", "smtp://h?name=a+b", "`name` takes"),
    ("U14", "smtp://h?name=a%20b", "`name` takes"),
    ("U14", "smtp://h?name=a%0d%0aMAIL", "control character"),
    ("U14", "smtp://h?name=h%C3%B6st", "`name` takes"),
    ("U14", "smtp://h?name=", "`name` takes"),
    ("U15", "smtp://h?authMethod=DIGEST-MD5", "`authMethod` takes PLAIN, LOGIN"),
    ("U15", "smtp://h?authMethod=CRAMMD5", "`authMethod` takes"),
    ("U15", "smtp://h?authMethod=", "`authMethod` takes"),
    ("U16", "smtp://?service=typo", "`service` names no known service"),
    ("U16", "smtp://h?service=true", "`service` names no known service"),
    ("U16", "smtp://h?service=164", "`service` names no known service"),
    ("U16", "smtp://h?service=", "`service` names no known service"),
    ("U18", "smtp://h?lmtp=true", "`lmtp` is not supported"),
    ("U18", "smtp://h?proxy=socks5://p", "`proxy` is not supported"),
    ("U18", "smtp://h?dkim=x", "`dkim` is not supported"),
    ("U18", "smtp://h?dkim.privateKey=x", "`dkim.privateKey` is not supported"),
    ("U18", "smtp://h?logger=true", "`logger` is not supported"),
    ("U18", "smtp://h?debug=true", "`debug` is not supported"),
    ("U18", "smtp://h?maxRequeues=5", "`maxRequeues` is not supported"),
    ("U18", "smtp://h?auth=x", "`auth` is not supported: write user:password@"),
    ("U18", "smtp://h?auth.user=x", "`auth.user` is not supported: write user:password@"),
    ("U18", "smtp://h?auth.type=OAuth2", "`auth.type` is not supported: write `authMethod`"),
    ("U18", "smtp://h?auth.accessToken=x", "`auth.accessToken` is not supported: write an access token"),
    ("U18", "smtp://h?tls=true", "`tls` is not supported"),
    ("U18", "smtp://h?tls.ciphers=x", "`tls.ciphers` is not supported"),
    ("U18", "smtp://h?tls.key=x", "`tls.key` is not supported"),
    ("U18", "smtp://h?tls.minVersion=TLSv1", "TLSv1.2 or TLSv1.3, older versions"),
    ("U18", "smtp://h?tls.minVersion=TLSv1.1", "TLSv1.2 or TLSv1.3, older versions"),
    ("U18", "smtp://h?tls.minVersion=1.2", "`tls.minVersion` takes"),
    ("U18", "smtp://h?TLS.servername=x", "did you mean `tls.servername`?"),
    ("U18", "smtp://h?tls.servername=", "`tls.servername` takes"),
    ("U18", "smtp://h?tls.servername=a+b", "`tls.servername` takes"),
    ("U18", "smtp://h?localAddress=eth0", "`localAddress` takes"),
    ("U18", "smtp://h?localAddress=", "`localAddress` takes"),
    ("U18", "smtp://h?zebra=1", "`zebra` is not known: remove it"),
    ("U18", "smtp://h?__proto__=1", "not known"),
    ("U18", "smtp://h?constructor=1", "`constructor` is not known"),
    ("U18", "smtp://h?=1", "not known"),
];

/// What has no clear reading for nodemailer 10.6 either.
const REFUSED_BY_BOTH: &[&str] = &[
    "",
    " smtp://h",
    "gmail",
    "localhost",
    "host:25",
    "http://h",
    "smtp",
    "smtp://ho st",
    "smtp://ho%20st",
    "smtp://:",
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
    "smtp://user:pass@",
    "smtp://user:pass@?pool=true",
    "smtp://user:pass@?service=Gmail",
    "smtp://1.2.3.4.5",
    "smtp://256.256.256.256",
    "smtp://1.2.3.256",
    "smtp://4294967296",
];

#[test]
fn every_departure_from_nodemailer_that_is_a_refusal_is_one() {
    for (row, url, told) in REFUSED {
        let refusal = refusal(url);
        assert!(refusal.contains(told), "{row}: {url:?}: {refusal}");
    }
}

#[test]
fn the_documentation_names_every_option_and_every_service() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/connection-strings.md");
    let page = std::fs::read_to_string(page).expect("the page is there");
    for option in query::SUPPORTED {
        assert!(page.contains(&format!("`{option}`")), "{option}");
    }
    let (_, behind) = page.split_once("## Services").expect("a chapter");
    let (chapter, _) = behind.split_once("##").expect("another one");
    let listed: Vec<&str> = chapter.split(['\n', ',', ';', '.']).map(str::trim).collect();
    for service in services::names() {
        let named = listed.contains(&service) || service.contains('.') && chapter.contains(service);
        assert!(named || listed.contains(&format!("and by region {service}").as_str()), "{service}");
    }
    for (row, ..) in REFUSED {
        assert!(page.contains(&format!("\n| {row} |")), "{row}");
    }
}

/// U9: a count, a rate or a time.
#[test]
fn numbers_are_whole_and_not_negative() {
    for option in [
        "maxConnections",
        "maxMessages",
        "rateLimit",
        "rateDelta",
        "idleTimeout",
        "connectionTimeout",
        "greetingTimeout",
        "socketTimeout",
        "dnsTimeout",
    ] {
        for value in ["-1", "1.5", "abc", "5s", "", "%20", "Infinity", "NaN", "1e99", "0x", "1_000", "true"] {
            let refusal = refusal(&format!("smtp://h?pool=true&{option}={value}"));
            assert!(
                refusal.contains(&format!("`{option}` takes a whole number")),
                "{option}={value}: {refusal}"
            );
        }
        for value in ["0", "1", "007", "0x10", "1e1", "+5", "%205%20"] {
            read(&format!("smtp://h?pool=true&{option}={value}").replace('+', "%2B"));
        }
    }
}

#[test]
fn departures_that_are_a_better_reading_are_read_so() {
    // U12: nodemailer sends `p%C3%A4%ss`.
    let mangled = read("smtp://user:pä%ss@h");
    assert_eq!(mangled.expose_password(), Some("pä%ss"));
    assert_eq!(read("smtp://ü%zz:p@h").user(), Some("ü%zz"));
    // U14: nodemailer says `7`.
    assert_eq!(read("smtp://h?name=007").name(), Some("007"));
    assert_eq!(read("smtp://h?name=0x10").name(), Some("0x10"));
    // U16: nodemailer throws a TypeError.
    assert_eq!(read("smtp://?service=163").host(), "smtp.163.com");
    assert_eq!(read("smtp://?service=126").host(), "smtp.126.com");
    // U8: the same value twice contradicts nothing.
    assert!(read("smtp://h?pool=true&pool=true").pool());
}

#[test]
fn what_nodemailer_refuses_is_refused() {
    for url in REFUSED_BY_BOTH {
        refusal(url);
    }
    for url in ["smtp://a\\b", "smtp://u:p@a\\b", "smtp://a..b", "smtp://a,b", "smtp://user:12?ss@h"] {
        refusal(url);
    }
    refusal(&format!("smtp://{}", "a".repeat(LONGEST_URL)));
}
