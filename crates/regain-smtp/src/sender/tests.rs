//! What senders mean, and which are refused.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Vec<(String, String)> {
    let sender = Sender::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    sender.mailboxes().iter().map(|one| (one.name().to_owned(), one.address().to_owned())).collect()
}

#[track_caller]
fn means(text: &str, name: &str, address: &str) {
    assert_eq!(read(text), [(name.to_owned(), address.to_owned())], "{text:?}");
}

#[test]
fn the_three_forms_of_the_documentation_mean_the_same_mailbox() {
    means("sender@server.com", "", "sender@server.com");
    means(r#""Sender Name" sender@server.com"#, "Sender Name", "sender@server.com");
    means(r#""Sender Name" <sender@server.com>"#, "Sender Name", "sender@server.com");
}

#[test]
fn the_address_may_stand_before_the_name_or_in_the_middle_of_it() {
    means("Sender Name a@b.co", "Sender Name", "a@b.co");
    means("a@b.co Sender Name", "Sender Name", "a@b.co");
    means("a@b.co (Sender Name)", "Sender Name", "a@b.co");
    means("<a@b.co> Sender", "Sender", "a@b.co");
    means(r#""Sender Name"a@b.co"#, "Sender Name", "a@b.co");
    means("  <a@b.co>  ", "", "a@b.co");
}

#[test]
fn commas_outside_quotes_separate_addresses_but_not_a_name_from_its_address() {
    means("Sender, Name <a@b.co>", "Sender, Name", "a@b.co");
    means(r#""Sender, Name" a@b.co"#, "Sender, Name", "a@b.co");
    assert_eq!(read("A <a@b.co>, c@d.co").len(), 2);
    assert_eq!(Sender::parse("A <a@b.co>, c@d.co").expect("two").envelope().address(), "a@b.co");
    assert_eq!(read("Group: a@b.co, c@d.co;").len(), 2);
}

#[test]
fn quoted_text_is_never_the_address() {
    means(r#""x@evil" <a@b.co>"#, "x@evil", "a@b.co");
    means(r#""x@evil" a@b.co"#, "x@evil", "a@b.co");
    means(r#""a \"b\" c" <a@b.co>"#, "a \"b\" c", "a@b.co");
}

#[test]
fn domains_become_a_labels_and_keep_their_meaning() {
    means("a@JÕGEVA.ee", "", "a@xn--jgeva-dua.ee");
    means("A.b+c@Example.COM", "", "A.b+c@example.com");
    means("o'brien@x.ie", "", "o'brien@x.ie");
    means("a@localhost", "", "a@localhost");
    means("a@[IPv6:::1]", "", "a@[ipv6:::1]");
    means("a@[IPv6:2001:DB8:0:0::1]", "", "a@[ipv6:2001:db8:0:0::1]");
    means("a@[192.0.2.1]", "", "a@[192.0.2.1]");
    means("a@faß.de", "", "a@xn--fa-hia.de");
    means("Jörg Müller <a@b.co>", "Jörg Müller", "a@b.co");
    assert_eq!(Sender::parse("x@Example.org").expect("valid").envelope().domain(), "example.org");
}

#[test]
fn a_local_part_beyond_ascii_keeps_the_letters_of_its_domain_and_tells_that_it_needs_smtputf8() {
    for (text, address, domain) in [
        ("jürgen@b.co", "jürgen@b.co", "b.co"),
        ("jürgen@JÕGEVA.ee", "jürgen@jõgeva.ee", "xn--jgeva-dua.ee"),
        ("Ü <Ü@xn--bcher-kva.Example>", "Ü@bücher.example", "xn--bcher-kva.example"),
        ("δοκιμή@[192.0.2.1]", "δοκιμή@[192.0.2.1]", "[192.0.2.1]"),
        ("用户.名@例え.jp", "用户.名@例え.jp", "xn--r8jz45g.jp"),
    ] {
        let sender = Sender::parse(text).expect(text);
        let one = sender.envelope();
        assert_eq!((one.address(), one.domain(), one.needs_smtputf8()), (address, domain, true), "{text}");
    }
    for text in ["a@b.co", "a@jõgeva.ee", "Jörg <a@b.co>"] {
        assert!(!Sender::parse(text).expect(text).envelope().needs_smtputf8(), "{text}");
    }
    for text in
        ["a\u{200b}b@c.co", "ä\u{202e}@c.co", "ä\u{a0}b@c.co", "ä\u{2003}b@c.co", "ä..b@c.co", "ä@b..co"]
    {
        assert!(Sender::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn beside_brackets_nothing_else_is_the_address() {
    means("noreply@example.com <noreply@example.com>", "", "noreply@example.com");
    means("NoReply@Example.com <NoReply@Example.com>", "", "NoReply@example.com");
    means("x@evil <a@b.co> y@evil", "x@evil y@evil", "a@b.co");
    assert!(Sender::parse("a@b.co <no address>").is_err());
}

#[test]
fn a_comment_is_the_name_where_there_is_no_other() {
    means("a@b.co (Sender (Name))", "Sender (Name)", "a@b.co");
    means("a@b.co (one) x", "x", "a@b.co");
    means("(one) (two) a@b.co", "one two", "a@b.co");
}

/// The rows of the table of departures from nodemailer in docs/connection-strings.md. With `None` it is refused.
#[test]
fn every_departure_from_nodemailer_is_as_the_table_says() {
    let plain = Some(("", "a@b.co"));
    for (row, text, meaning) in [
        ("A1", "", None),
        ("A1", "   ", None),
        ("A1", "sender", None),
        ("A1", "Sender Name", None),
        ("A1", "\"Sender Name\"", None),
        ("A1", "<>", None),
        ("A1", "Sender <>", None),
        ("A1", "\"\"", None),
        ("A1", "list:;", None),
        ("A1", "list: , ;", None),
        ("A2", "@", None),
        ("A2", "@server.com", None),
        ("A2", "sender@", None),
        ("A2", "Sender <@server.com>", None),
        ("A2", "Sender <sender@>", None),
        ("A3", "a@b@c.co", None),
        ("A3", "<a@b@c.co>", None),
        ("A3", "a@@b.co", None),
        ("A3", "\"a@b\"@c.co", None),
        ("A3", "a@b.co evil@e.co", None),
        ("A4", "\"Sender Name\"a@b.co", Some(("Sender Name", "a@b.co"))),
        ("A4", "\"Sender, Name\"a@b.co", Some(("Sender, Name", "a@b.co"))),
        ("A4", "\"Sender Name\"<a@b.co>", Some(("Sender Name", "a@b.co"))),
        ("A5", "\"Sender <a@b.co>", None),
        ("A5", "Sender\" <a@b.co>", None),
        ("A5", "Sender <a@b.co", None),
        ("A5", "Sender a@b.co>", None),
        ("A5", "<a@b.co>>", None),
        ("A5", "<<a@b.co>>", None),
        ("A5", "Sender <Name> <a@b.co>", None),
        ("A5", "<a@b.co> <evil@e.co>", None),
        ("A5", "a@b.co (Sender", None),
        ("A5", "a@b.co Sender)", None),
        ("A6", "'a@b.co'", None),
        ("A6", "\"a@b.co\"", None),
        ("A6", "<'a@b.co'>", None),
        ("A6", "mailto:a@b.co", None),
        ("A6", "MAILTO:a@b.co", None),
        ("A6", "<mailto:a@b.co>", None),
        ("A6", "<a@b.co>", plain),
        ("A7", "a@b.co\r\nBcc: evil@e.co", None),
        ("A7", "a@b.co\nevil@e.co", None),
        ("A7", "<a@b.co\r\nRCPT TO:<evil@e.co>>", None),
        ("A7", "Sender\r\nBcc: evil@e.co <a@b.co>", None),
        ("A7", "a\u{7f}b@c.co", None),
        ("A7", "a\u{0}b@c.co", None),
        ("A7", "a@b.co\n", None),
        ("A7", "Sender\t<a@b.co>", None),
        ("A7", "\"Sender\r\nBcc: evil@e.co\" <a@b.co>", Some(("Sender Bcc: evil@e.co", "a@b.co"))),
    ] {
        let found = Sender::parse(text).ok();
        let found = found.as_ref().map(|sender| (sender.envelope().name(), sender.envelope().address()));
        assert_eq!(found, meaning, "{row}: {text:?}");
    }
}

#[test]
fn a_line_break_in_a_quoted_name_is_a_space() {
    means("\"Sender\r\nBcc: x\" <a@b.co>", "Sender Bcc: x", "a@b.co");
}

#[test]
fn an_address_that_smtp_does_not_have_is_refused() {
    for text in [
        "a b@c.co@d",
        "\"a b\"@c.co",
        "<\"a b\"@c.co>",
        "a..b@c.co",
        ".a@b.co",
        "a.@b.co",
        "a@b..co",
        "a@b.co.",
        "a@-b.co",
        "a@b_c.co",
        "a@[1.2.3]",
        "a@[IPv6:nope]",
        "a@b.co Bcc: evil@e.co",
        "a@b.co, Name",
        "a@exa mple.com@x",
        "a@b.co Sender, Name",
    ] {
        assert!(Sender::parse(text).is_err(), "{text:?} was read as {:?}", Sender::parse(text));
    }
    assert!(Sender::parse(&format!("{}@b.co", "a".repeat(65))).is_err());
    assert!(Sender::parse(&"a".repeat(LONGEST_SENDER + 1)).is_err());
}

proptest! {
    #[test]
    fn whatever_is_read_can_stand_in_an_smtp_command_and_in_a_header(text in "\\PC*|[\"<>(),:;@a. \r\n\\\\]*") {
        if let Ok(sender) = Sender::parse(&text) {
            for one in sender.mailboxes() {
                let plain = |letter: char| letter.is_ascii_graphic() && !"<>\"".contains(letter);
                let beyond = |letter: char| !(letter.is_ascii() || letter.is_whitespace() || letter.is_control());
                prop_assert!(one.address().chars().all(|letter| plain(letter) || beyond(letter)));
                prop_assert!(one.domain().chars().all(plain));
                prop_assert_eq!(one.address().matches('@').count(), 1);
                prop_assert!(!one.name().chars().any(char::is_control));
            }
        }
    }

    #[test]
    fn a_name_in_quotes_comes_back_as_it_was(name in "[a-zA-Z ,.@<>:;()äöü]{0,20}") {
        let sender = Sender::parse(&format!("\"{name}\" <a@b.co>")).expect("a quoted name takes anything");
        prop_assert_eq!(sender.envelope().name(), name);
    }
}
