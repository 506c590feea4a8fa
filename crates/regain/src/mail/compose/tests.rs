use regain_core::{Address, Timestamp, Token, UserAgent};

use super::*;
use crate::mail::templates::{AllOverrides, Overrides};

mod hygiene;

const TOKEN: &str = "005f77885fd1f45bf69fb72d7a82374d53609e5182d6a9b07355fa033cdd67d1";

fn letterhead(overrides: AllOverrides<'_>) -> Letterhead {
    Letterhead {
        sender: Sender::parse("\"Notes\" notes@example.org").unwrap(),
        templates: Templates::new(overrides, true).unwrap(),
        link_base: "https://accounts.example.org".to_owned(),
        app_name: "Notes".to_owned(),
        reset_lifetime: Duration::from_secs(3600),
        confirm_lifetime: Duration::from_secs(86_400),
    }
}

fn parcel(purpose: Purpose) -> Parcel {
    Parcel {
        letter: LetterId::from_bytes([0x11; 16]),
        purpose,
        to: Address::parse("ann@example.net").unwrap(),
        token: (purpose != Purpose::PasswordChanged).then(|| Token::parse(TOKEN).unwrap()),
        ip: "192.0.2.1".parse().ok(),
        agent: UserAgent::parse("Mozilla/5.0 (Windows NT 10.0; rv:133.0) Gecko/20100101 Firefox/133.0"),
        posted: Timestamp::from_millis(1_795_377_610_123),
    }
}

fn composed(overrides: AllOverrides<'_>, purpose: Purpose) -> Composed {
    Composer::new(letterhead(overrides)).compose(&parcel(purpose)).unwrap()
}

fn source(mail: &Composed) -> &str {
    std::str::from_utf8(&mail.raw).unwrap()
}

fn assert_is_clean(raw: &str) {
    assert!(raw.is_ascii());
    assert!(raw.ends_with("\r\n"));
    assert!(!raw.replace("\r\n", "").contains(['\r', '\n']), "a bare CR or LF");
    assert!(raw.split("\r\n").all(|line| line.len() <= 998));
}

/// The parts as a parser that is not ours sees them: subject, text, HTML.
fn parsed(mail: &Composed) -> (String, String, String) {
    let parsed = mail_parser::MessageParser::default().parse(&mail.raw[..]).unwrap();
    assert_eq!(parsed.text_body_count(), 1);
    assert_eq!(parsed.html_body_count(), 1);
    let lines = |text: std::borrow::Cow<'_, str>| text.replace("\r\n", "\n");
    (
        parsed.subject().unwrap().to_owned(),
        lines(parsed.body_text(0).unwrap()),
        lines(parsed.body_html(0).unwrap()),
    )
}

#[test]
fn a_default_mail_holds_its_link_once_in_each_part_and_no_other() {
    for (purpose, path) in [(Purpose::Reset, "reset-password"), (Purpose::Confirm, "confirm-email")] {
        let mail = composed(AllOverrides::default(), purpose);
        let link = format!("https://accounts.example.org/{path}?token={TOKEN}");
        assert_eq!(mail.text.lines().filter(|line| *line == link).count(), 1);
        assert_eq!(mail.html.matches(&format!("href=\"{link}\"")).count(), 1);
        for part in [&mail.text, &mail.html] {
            assert_eq!(part.matches("://").count(), 1);
            assert_eq!(part.matches(TOKEN).count(), 1);
        }
        assert_eq!(source(&mail).matches(&link).count(), 2, "the raw mail holds the link in one piece");
    }
    let notice = composed(AllOverrides::default(), Purpose::PasswordChanged);
    assert!(!source(&notice).contains("://"));
}

#[test]
fn a_default_mail_says_who_asked_and_loads_nothing() {
    for purpose in Purpose::ALL {
        let mail = composed(AllOverrides::default(), purpose);
        for part in [&mail.text, &mail.html] {
            for word in ["Notes", "192.0.2.1", "Firefox on Windows"] {
                assert!(part.contains(word), "{purpose} lacks {word}");
            }
        }
        for remote in ["<img", "src=", "url(", "<link", "@import", "<script"] {
            assert!(!mail.html.contains(remote), "{purpose} has {remote}");
        }
        assert!(mail.html.contains("<html lang=\"en\""));
    }
}

#[test]
fn a_deep_link_is_exactly_as_documented() {
    let head =
        Letterhead { link_base: "myapp://update-account".to_owned(), ..letterhead(AllOverrides::default()) };
    let composer = Composer::new(head);
    for (purpose, path) in [(Purpose::Reset, "reset-password"), (Purpose::Confirm, "confirm-email")] {
        let mail = composer.compose(&parcel(purpose)).unwrap();
        let link = format!("myapp://update-account/{path}?token={TOKEN}");
        assert!(mail.text.lines().any(|line| line == link));
        assert!(mail.html.contains(&format!("href=\"{link}\"")));
    }
}

#[test]
fn equal_parcels_give_equal_bytes() {
    for purpose in Purpose::ALL {
        let first = composed(AllOverrides::default(), purpose);
        let again = std::thread::spawn(move || composed(AllOverrides::default(), purpose)).join().unwrap();
        assert!(first.raw == again.raw);
    }
    let mut other = parcel(Purpose::Reset);
    other.letter = LetterId::from_bytes([0x12; 16]);
    let composer = Composer::new(letterhead(AllOverrides::default()));
    assert!(composer.compose(&other).unwrap().raw != composer.compose(&parcel(Purpose::Reset)).unwrap().raw);
}

#[test]
fn the_headers_are_those_of_a_machine() {
    let mail = composed(AllOverrides::default(), Purpose::Reset);
    let head = source(&mail).split("\r\n\r\n").next().unwrap();
    for line in [
        "From: \"Notes\" <notes@example.org>",
        "To: <ann@example.net>",
        "Subject: Password reset requested",
        "Date: Sun, 22 Nov 2026 20:00:10 +0000",
        "Message-ID: <11111111-1111-1111-1111-111111111111@example.org>",
        "Auto-Submitted: auto-generated",
        "X-Auto-Response-Suppress: All",
        "MIME-Version: 1.0",
    ] {
        assert_eq!(head.lines().filter(|have| *have == line).count(), 1, "{line} in\n{head}");
    }
    assert!(head.contains("Content-Type: multipart/alternative"));
    assert_eq!(mail.message_id, "<11111111-1111-1111-1111-111111111111@example.org>");
    assert_eq!(
        (mail.envelope_from.as_str(), mail.envelope_to.as_str()),
        ("notes@example.org", "ann@example.net")
    );
}

#[test]
fn text_beyond_ascii_arrives_unchanged() {
    let own = Overrides {
        subject: Some("Passwort zur\u{fc}cksetzen f\u{fc}r %APP_NAME% \u{1f511}"),
        text: Some("Gr\u{fc}\u{df}e\n\n%BASE_URL%/reset-password?token=%TOKEN%\n.\n..\n"),
        html: Some(
            "<p>\u{5bc6}\u{7801}</p><a href=\"%BASE_URL%/reset-password?token=%TOKEN%\">\u{91cd}\u{7f6e}</a>",
        ),
    };
    let head = Letterhead {
        sender: Sender::parse("\"J\u{f5}geva M\u{e4}rkmed\" <a@j\u{f5}geva.ee>").unwrap(),
        app_name: "M\u{e4}rkmed".to_owned(),
        ..letterhead(AllOverrides { reset: own, ..AllOverrides::default() })
    };
    let mail = Composer::new(head).compose(&parcel(Purpose::Reset)).unwrap();
    assert_is_clean(source(&mail));
    assert_eq!(mail.subject, "Passwort zur\u{fc}cksetzen f\u{fc}r M\u{e4}rkmed \u{1f511}");
    let (subject, text, html) = parsed(&mail);
    assert_eq!((subject, html), (mail.subject.clone(), mail.html.clone()));
    assert_eq!(text.trim_end(), mail.text.trim_end());
    let whole = mail_parser::MessageParser::default().parse(&mail.raw[..]).unwrap();
    let from = whole.from().unwrap().first().unwrap();
    assert_eq!(from.name(), Some("J\u{f5}geva M\u{e4}rkmed"));
    assert_eq!(from.address(), Some("a@xn--jgeva-dua.ee"));
}

#[test]
fn lines_of_any_length_and_ending_leave_the_mail_clean() {
    let text = format!("{}\r.\r\n.\n%TOKEN%\rend. \t", "long ".repeat(400));
    let own = Overrides { text: Some(&text), html: Some(&text), subject: Some("  x  ") };
    let mail = composed(AllOverrides { reset: own, ..AllOverrides::default() }, Purpose::Reset);
    assert_is_clean(source(&mail));
    let (subject, parsed_text, _) = parsed(&mail);
    assert_eq!((subject.as_str(), parsed_text.as_str()), ("x", mail.text.as_str()));
}

#[test]
fn what_a_client_sends_cannot_add_headers_parts_or_links() {
    let mut hostile = parcel(Purpose::Reset);
    hostile.agent =
        UserAgent::parse("x\r\nBcc: eve@example.com\r\n\r\n<img src=//evil.example> %BASE_URL% %TOKEN%");
    hostile.to = Address::parse("%TOKEN%%BASE_URL%&lt@example.net").unwrap();
    let own = Overrides {
        subject: Some("%EMAIL% %USER_AGENT% %IP%"),
        text: Some("%EMAIL% %USER_AGENT%\n%TOKEN%"),
        html: Some("<p>%EMAIL% %USER_AGENT%</p>%TOKEN%"),
    };
    let composer = Composer::new(letterhead(AllOverrides { reset: own, ..AllOverrides::default() }));
    let mail = composer.compose(&hostile).unwrap();
    assert_is_clean(source(&mail));
    assert_eq!(mail.subject, "%TOKEN%%BASE_URL%&lt@example.net an unknown program 192.0.2.1");
    assert!(mail.html.starts_with("<p>%TOKEN%%BASE_URL%&amp;lt@example.net an unknown program</p>"));
    for part in [&mail.text, &mail.html] {
        assert_eq!(part.matches(TOKEN).count(), 1);
    }
    let raw = source(&mail);
    assert!(!raw.contains("evil.example") && !raw.contains("Bcc"));
    assert_eq!(raw.matches("\r\nTo: ").count(), 1);
}

#[test]
fn several_senders_are_all_named_and_the_first_one_sends() {
    let head = Letterhead {
        sender: Sender::parse("a@example.org, \"B, C\" <b@example.com>").unwrap(),
        ..letterhead(AllOverrides::default())
    };
    let mail = Composer::new(head).compose(&parcel(Purpose::Reset)).unwrap();
    let raw = source(&mail);
    assert!(raw.contains("From: <a@example.org>, \"B, C\" <b@example.com>\r\n"), "{raw}");
    assert!(raw.contains("Sender: <a@example.org>\r\n"));
    assert_eq!(mail.envelope_from, "a@example.org");
}

#[test]
fn a_parcel_that_makes_no_mail_is_refused() {
    let composer = Composer::new(letterhead(AllOverrides::default()));
    let no_token = Parcel { token: None, ..parcel(Purpose::Confirm) };
    assert_eq!(composer.compose(&no_token).err(), Some(ComposeError::NoToken));
}

#[test]
fn an_address_beyond_ascii_stands_in_its_header_as_it_is_and_nothing_else_does() {
    let to = Address::parse("j\u{f5}geva@j\u{f5}geva.ee").unwrap();
    let composer = Composer::new(letterhead(AllOverrides::default()));
    let mail = composer.compose(&Parcel { to, ..parcel(Purpose::Reset) }).unwrap();
    assert_eq!(mail.envelope_to, "j\u{f5}geva@xn--jgeva-dua.ee");
    let line = "\r\nTo: <j\u{f5}geva@xn--jgeva-dua.ee>\r\n";
    assert_eq!(source(&mail).matches(line).count(), 1);
    assert_is_clean(&source(&mail).replace(line, "\r\n"));
}

#[test]
fn a_mail_is_signed_by_each_key_with_the_time_of_its_letter() {
    let signer = |selector| DkimSigner::new("example.org", selector, hygiene::dkim_key()).unwrap();
    let head = || letterhead(AllOverrides::default());
    let composer = Composer::new(head()).signed_by(vec![signer("one"), signer("two")]);
    let mail = composer.compose(&parcel(Purpose::Reset)).unwrap();
    let plain = Composer::new(head()).compose(&parcel(Purpose::Reset)).unwrap();
    let signatures = source(&mail).strip_suffix(source(&plain)).unwrap();
    assert_eq!(signatures.matches("DKIM-Signature: ").count(), 2);
    assert_eq!(signatures.matches("t=1795377610;").count(), 2);
    for name in
        ["from", "to", "subject", "date", "message-id", "mime-version", "content-type", "auto-submitted"]
    {
        let unfolded = signatures.replace("\r\n ", "");
        assert_eq!(
            unfolded.matches(&format!("{name}:{name}")).count(),
            2,
            "{name} is signed and cannot be added"
        );
    }
    assert!(mail.raw == composer.compose(&parcel(Purpose::Reset)).unwrap().raw);
}
