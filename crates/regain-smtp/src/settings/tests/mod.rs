//! What connection URLs mean, and which are refused.

mod departures;
mod examples;
mod options;
mod presets;
mod refusals;

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
fn the_first_half_of_a_url_means_what_nodemailer_takes_it_for() {
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
        ("smtp://:25", "localhost", 25, false, None),
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
        ("smtp://user:p\\s\"s^|{}@h", "h", 587, false, Some(("user", "p\\s\"s^|{}"))),
        ("smtp://user@h", "h", 587, false, Some(("user", ""))),
        ("smtp://:pass@h", "h", 587, false, Some(("", "pass"))),
        ("smtp://:@h", "h", 587, false, None),
        ("smtp://h:", "h", 587, false, None),
        ("smtp://h:0", "h", 587, false, None),
        ("smtp://h/path?pool=true#part", "h", 587, false, None),
        ("smtp://[::1]:2525", "::1", 2525, false, None),
        ("smtp://[2001:DB8::1]", "2001:db8::1", 587, false, None),
        ("smtp://[::ffff:1.2.3.4]", "::ffff:102:304", 587, false, None),
        ("smtp://\\user:p@h", "h", 587, false, Some(("\\user", "p"))),
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

/// Options that could contradict each other or the scheme.
const OPTIONS: [&str; 22] = [
    "pool=true",
    "requireTLS=true",
    "requireTLS=false",
    "ignoreTLS=true",
    "ignoreTLS=false",
    "opportunisticTLS=true",
    "port=465",
    "port=2525",
    "host=x.example",
    "host=::1",
    "tls.servername=x.example",
    "authMethod=PLAIN",
    "authMethod=XOAUTH2",
    "rateLimit=0",
    "service=Gmail",
    "service=SendGrid",
    "service=Outlook365",
    "service=Proton",
    "service=Zoho",
    "service=hot.ee",
    "service=Loopia",
    "service=Maildev",
];

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

    /// Options in any mixture: each is read or refused, and what is read comes back out of what is shown.
    #[test]
    fn options_in_any_mixture_come_back(
        secure in any::<bool>(),
        host in prop::sample::select(vec!["", "h", "localhost", "[::1]", "192.0.2.1:465", "h:2525"]),
        options in prop::collection::vec(prop::sample::select(OPTIONS.to_vec()), 0..5),
    ) {
        let scheme = if secure { "smtps" } else { "smtp" };
        if let Ok(settings) = Settings::parse(&format!("{scheme}://{host}?{}", options.join("&"))) {
            let again = read(&settings.redacted());
            prop_assert_eq!(again.redacted(), settings.redacted());
            prop_assert_eq!(again.written_options(), settings.written_options());
            prop_assert_eq!((again.host(), again.port()), (settings.host(), settings.port()));
            prop_assert_eq!((again.secure(), again.starttls()), (settings.secure(), settings.starttls()));
            prop_assert!(!secure || settings.secure() || settings.starttls() == StartTls::Required);
        }
    }
}
