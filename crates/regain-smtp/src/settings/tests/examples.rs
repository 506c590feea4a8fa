//! The examples of docs/connection-strings.md, each with all of its meaning.

use std::time::Duration;

use super::*;

/// All that can be asked of settings.
#[derive(Debug, Clone, PartialEq)]
struct Meaning {
    host: &'static str,
    port: u16,
    secure: bool,
    login: Option<(&'static str, &'static str)>,
    pool: bool,
    /// Connections, and messages of each.
    sizes: (usize, usize),
    /// Messages in milliseconds.
    rate: (Option<u32>, u64),
    /// `requireTLS`, `ignoreTLS`, and what follows from them.
    tls: (bool, bool, StartTls),
    verified: bool,
    servername: Option<&'static str>,
    name: Option<&'static str>,
    /// Connection, greeting, socket.
    timeouts: [Option<u64>; 3],
    service: Option<&'static str>,
}

/// What every URL means that says nothing else.
const PLAIN: Meaning = Meaning {
    host: "smtp.example.com",
    port: 587,
    secure: false,
    login: None,
    pool: false,
    sizes: (5, 100),
    rate: (None, 1000),
    tls: (false, false, StartTls::Required),
    verified: true,
    servername: None,
    name: None,
    timeouts: [None, None, None],
    service: None,
};
const TLS: Meaning = Meaning { port: 465, secure: true, tls: (false, false, StartTls::Never), ..PLAIN };
const LOOPBACK: (bool, bool, StartTls) = (false, false, StartTls::Optional);
const LOGIN: Option<(&str, &str)> = Some(("user", "pass"));

#[test]
fn the_documented_examples_mean_what_is_documented() {
    for (url, meaning) in [
        ("smtp://smtp.example.com", PLAIN),
        ("smtps://smtp.example.com", TLS),
        ("smtp://smtp.example.com:25", Meaning { port: 25, ..PLAIN }),
        ("smtps://smtp.example.com:587", Meaning { port: 587, ..TLS }),
        ("SMTP://smtp.example.com", PLAIN),
        ("smtp://localhost:1025", Meaning { host: "localhost", port: 1025, tls: LOOPBACK, ..PLAIN }),
        ("smtp://user:pass@smtp.example.com", Meaning { login: LOGIN, ..PLAIN }),
        ("smtps://user:pass@smtp.example.com:465", Meaning { login: LOGIN, ..TLS }),
        (
            "smtp://user%40example.com:pass@smtp.example.com",
            Meaning { login: Some(("user@example.com", "pass")), ..PLAIN },
        ),
        (
            "smtp://ann%40example.com:a%2Fb@smtp.example.com:587?connectionTimeout=5000&tls.servername=mail.example.com",
            Meaning {
                login: Some(("ann@example.com", "a/b")),
                timeouts: [Some(5000), None, None],
                servername: Some("mail.example.com"),
                ..PLAIN
            },
        ),
        (
            "smtp://user:p%40ss%2Fw%3Fo%23rd@smtp.example.com",
            Meaning { login: Some(("user", "p@ss/w?o#rd")), ..PLAIN },
        ),
        (
            "smtp://apikey:SG.abc-DEF_123.xyz@smtp.example.com",
            Meaning { login: Some(("apikey", "SG.abc-DEF_123.xyz")), ..PLAIN },
        ),
        (
            "smtps://user%40x:pa%3Ass@host:465/?pool=true&tls.rejectUnauthorized=false",
            Meaning { host: "host", login: Some(("user@x", "pa:ss")), pool: true, verified: false, ..TLS },
        ),
        ("smtp://127.0.0.1:1025", Meaning { host: "127.0.0.1", port: 1025, tls: LOOPBACK, ..PLAIN }),
        ("smtp://[::1]:2525", Meaning { host: "::1", port: 2525, tls: LOOPBACK, ..PLAIN }),
        ("smtp://jõgeva.ee", Meaning { host: "xn--jgeva-dua.ee", ..PLAIN }),
        ("smtp://smtp.example.com/?pool=true", Meaning { pool: true, ..PLAIN }),
        (
            "smtps://user:pass@smtp.example.com/?pool=true&maxConnections=10&maxMessages=50",
            Meaning { login: LOGIN, pool: true, sizes: (10, 50), ..TLS },
        ),
        (
            "smtp://smtp.example.com?pool=true&rateLimit=5&rateDelta=2000",
            Meaning { pool: true, rate: (Some(5), 2000), ..PLAIN },
        ),
        (
            "smtp://smtp.example.com?requireTLS=true",
            Meaning { tls: (true, false, StartTls::Required), ..PLAIN },
        ),
        ("smtp://smtp.example.com?ignoreTLS=true", Meaning { tls: (false, true, StartTls::Never), ..PLAIN }),
        ("smtp://smtp.example.com?tls.rejectUnauthorized=false", Meaning { verified: false, ..PLAIN }),
        (
            "smtps://192.0.2.10?tls.servername=mail.example.net",
            Meaning { host: "192.0.2.10", servername: Some("mail.example.net"), ..TLS },
        ),
        (
            "smtp://smtp.example.com?name=client.example.com",
            Meaning { name: Some("client.example.com"), ..PLAIN },
        ),
        (
            "smtp://smtp.example.com?connectionTimeout=5000&greetingTimeout=3000&socketTimeout=60000",
            Meaning { timeouts: [Some(5000), Some(3000), Some(60_000)], ..PLAIN },
        ),
        (
            "smtps://user:pass@localhost/?service=Gmail",
            Meaning { host: "smtp.gmail.com", login: LOGIN, service: Some("Gmail"), ..TLS },
        ),
    ] {
        let settings = read(url);
        let ms = |time: Duration| u64::try_from(time.as_millis()).expect("a short time");
        assert_eq!(settings.host(), meaning.host, "{url}");
        assert_eq!((settings.port(), settings.secure()), (meaning.port, meaning.secure), "{url}");
        assert_eq!(settings.user().zip(settings.expose_password()), meaning.login, "{url}");
        assert_eq!(settings.pool(), meaning.pool, "{url}");
        assert_eq!((settings.max_connections(), settings.max_messages()), meaning.sizes, "{url}");
        assert_eq!((settings.rate_limit().map(u32::from), ms(settings.rate_delta())), meaning.rate, "{url}");
        let tls = (settings.require_tls(), settings.ignore_tls(), settings.starttls());
        assert_eq!(tls, meaning.tls, "{url}");
        assert_eq!(settings.reject_unauthorized(), meaning.verified, "{url}");
        assert_eq!((settings.servername(), settings.name()), (meaning.servername, meaning.name), "{url}");
        let timeouts =
            [settings.connection_timeout(), settings.greeting_timeout(), settings.socket_timeout()];
        assert_eq!(timeouts.map(|time| time.map(ms)), meaning.timeouts, "{url}");
        assert_eq!(settings.service(), meaning.service, "{url}");
    }
}
