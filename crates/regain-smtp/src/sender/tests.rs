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
    means("a@[192.0.2.1]", "", "a@[192.0.2.1]");
    means("Jörg Müller <a@b.co>", "Jörg Müller", "a@b.co");
    assert_eq!(Sender::parse("x@Example.org").expect("valid").envelope().domain(), "example.org");
}

#[test]
fn a_line_break_in_a_quoted_name_is_a_space() {
    means("\"Sender\r\nBcc: x\" <a@b.co>", "Sender Bcc: x", "a@b.co");
}

#[test]
fn what_nodemailer_guesses_is_refused() {
    for text in [
        "",
        " ",
        "sender",
        "<>",
        "\"\"",
        "list:;",
        "\"Name\"",
        "Name <>",
        "@",
        "@b.co",
        "sender@",
        "a@b@c.co",
        "<a@b@c.co>",
        "\"Sender <a@b.co>",
        "Sender <a@b.co",
        "Sender a@b.co>",
        "Sender <Name> <a@b.co>",
        "<a@b.co> <c@d.co>",
        "a@b.co evil@e.co",
        "'a@b.co'",
        "\"a@b.co\"",
        "mailto:a@b.co",
        "<mailto:a@b.co>",
        "a@b.co\r\nBcc: evil@e.co",
        "<a@b.co\r\nRCPT TO:<evil@e.co>>",
        "a\u{7f}b@c.co",
        "a@b.co\n",
        "\ta@b.co",
        "a b@c.co@d",
        "\"a b\"@c.co",
        "a..b@c.co",
        ".a@b.co",
        "a@b..co",
        "a@b.co.",
        "a@-b.co",
        "a@b_c.co",
        "jürgen@b.co",
        "a@[1.2.3]",
        "a@[IPv6:nope]",
        "a@b.co Bcc: evil@e.co",
        "a@b.co, Name",
        "a@b.co (x",
        "a@b.co )",
        "a@exa mple.com@x",
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
                prop_assert!(one.address().bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"".contains(&byte)));
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
