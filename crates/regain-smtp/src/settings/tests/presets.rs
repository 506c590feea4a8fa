//! What a service means beside the rest of a URL.

use super::*;

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
