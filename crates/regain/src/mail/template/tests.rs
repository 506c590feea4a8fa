use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use proptest::prelude::*;
use regain_core::{Address, UserAgent};

use super::*;

const TOKEN: &str = "005f77885fd1f45bf69fb72d7a82374d53609e5182d6a9b07355fa033cdd67d1";

fn rules(part: Part) -> Rules {
    Rules { purpose: Purpose::Reset, part, has_base: true }
}

fn parse(text: &str, part: Part) -> Result<Template, TemplateError> {
    Template::parse(text, rules(part))
}

fn ann() -> Address {
    Address::parse("ann@example.org").unwrap()
}

fn values(email: &Address) -> Values<'_> {
    Values {
        token: "",
        base_url: "https://example.org",
        ip: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
        email,
        app_name: "Notes",
        expires_in: Duration::from_secs(3600),
        agent: None,
    }
}

/// Renders a template of the notice, which needs no token.
fn rendered(text: &str, part: Part, values: &Values<'_>) -> String {
    let rules = Rules { purpose: Purpose::PasswordChanged, part, has_base: true };
    Template::parse(text, rules).unwrap().render(values)
}

#[test]
fn every_placeholder_is_replaced_wherever_it_stands() {
    let text = "%APP_NAME%%IP%%EMAIL% %BASE_URL%/x?%EXPIRES_IN% %USER_AGENT%%APP_NAME%";
    let expected = "Notes192.0.2.1ann@example.org https://example.org/x?1 hour an unknown programNotes";
    for part in [Part::Subject, Part::Text, Part::Html] {
        assert_eq!(rendered(text, part, &values(&ann())), expected);
    }
}

#[test]
fn the_documented_example_works_as_pasted() {
    let text = "Please use this link below to reset your password and access your account.\n                          %BASE_URL%/reset-password?token=%TOKEN%";
    let html = "<html>\n            <body>\n                 <h3>Did you forget your password?</h3>\n                 <a href=\"%BASE_URL%/reset-password?token=%TOKEN%\">Reset your password</a>\n            </body>\n          </html>";
    let email = ann();
    let values = Values { token: TOKEN, base_url: "myapp://update-account", ..values(&email) };
    let link = format!("myapp://update-account/reset-password?token={TOKEN}");
    let text = parse(text, Part::Text).unwrap().render(&values);
    assert_eq!(text.lines().nth(1).unwrap().trim_start(), link);
    let html = parse(html, Part::Html).unwrap().render(&values);
    assert!(html.contains(&format!("<a href=\"{link}\">Reset your password</a>")));
    assert_eq!(
        parse("Forgot your password?", Part::Subject).unwrap().render(&values),
        "Forgot your password?"
    );
}

#[test]
fn other_percents_stand_for_themselves() {
    for text in [
        "100% sure",
        "%",
        "%%",
        "%20",
        "a%20b%20c",
        "caf%C3%A9%20%E2%82%AC%",
        "50%-60%",
        "%token%",
        "%Token%",
        "%A B%",
        "%_X%",
        "%1A%",
        "{{7*7}} ${x} %(y)s %s",
    ] {
        assert_eq!(rendered(text, Part::Text, &values(&ann())), text);
    }
    assert_eq!(rendered("%%IP%%", Part::Text, &values(&ann())), "%192.0.2.1%");
    assert_eq!(rendered("100%20%IP%", Part::Text, &values(&ann())), "100%20192.0.2.1");
}

#[test]
fn an_unknown_placeholder_is_refused_with_its_line_and_what_was_meant() {
    let error = |text: &str| parse(text, Part::Text).unwrap_err().to_string();
    assert_eq!(
        error("a\r\nb\r\n%TOKNE%"),
        "has the unknown placeholder %TOKNE% in line 3; did you mean %TOKEN%?"
    );
    assert!(error("%BASEURL%/%TOKEN%").ends_with("did you mean %BASE_URL%?"));
    assert!(error("%TOKEN% %EXEC%").contains("there are %TOKEN% %BASE_URL% %IP%"));
    assert!(error(&format!("%{}%", "X".repeat(5000))).len() < 250);
}

#[test]
fn a_mail_with_a_link_needs_its_token_in_both_parts_and_not_in_the_subject() {
    assert_eq!(parse("%BASE_URL%", Part::Text), Err(TemplateError::NoToken { path: "reset-password" }));
    assert_eq!(parse("%BASE_URL%", Part::Html), Err(TemplateError::NoToken { path: "reset-password" }));
    assert_eq!(parse("a %TOKEN%", Part::Subject), Err(TemplateError::TokenInSubject { line: 1 }));
    let confirm = Rules { purpose: Purpose::Confirm, ..rules(Part::Text) };
    assert_eq!(Template::parse("x", confirm), Err(TemplateError::NoToken { path: "confirm-email" }));
    let changed = Rules { purpose: Purpose::PasswordChanged, ..rules(Part::Text) };
    assert_eq!(Template::parse("x\n%TOKEN%", changed), Err(TemplateError::NeedlessToken { line: 2 }));
}

#[test]
fn a_template_that_cannot_become_a_mail_is_refused() {
    for part in [Part::Subject, Part::Text, Part::Html] {
        assert_eq!(parse(" \r\n\t", part), Err(TemplateError::Empty));
        assert_eq!(parse("a\0%TOKEN%", part), Err(TemplateError::ControlCharacter { line: 1 }));
    }
    assert_eq!(parse("a\nb", Part::Subject), Err(TemplateError::SubjectLines));
    assert_eq!(parse("a\rBcc: x@example.org", Part::Subject), Err(TemplateError::SubjectLines));
    assert_eq!(parse(&"x".repeat(201), Part::Subject), Err(TemplateError::SubjectTooLong));
    assert!(parse("from a file\n", Part::Subject).is_ok());
    let no_base = Rules { has_base: false, ..rules(Part::Text) };
    assert_eq!(Template::parse("\n%BASE_URL%%TOKEN%", no_base), Err(TemplateError::NoBase { line: 2 }));
    assert!(Template::parse("myapp://update-account/%TOKEN%", no_base).is_ok());
}

#[test]
fn a_value_is_never_looked_at_again() {
    let text = rendered(
        "%APP_NAME% %IP%",
        Part::Text,
        &Values { app_name: "%TOKEN%%BASE_URL%$&$1%IP%", ..values(&ann()) },
    );
    assert_eq!(text, "%TOKEN%%BASE_URL%$&$1%IP% 192.0.2.1");
    // Two values that make a placeholder together do not make one.
    let text = rendered("%APP_NAME%IP%", Part::Text, &Values { app_name: "%", ..values(&ann()) });
    assert_eq!(text, "%IP%");
    let email = Address::parse("%TOKEN%@example.org").unwrap();
    assert_eq!(rendered("%EMAIL%", Part::Text, &values(&email)), "%TOKEN%@example.org");
}

#[test]
fn a_value_makes_no_element_no_attribute_and_no_line() {
    let hostile = "\"><img src=//evil.example onerror='x'>&\r\nBcc: x@y\u{202e}\u{200b}\0";
    let html =
        rendered("<a title=\"%APP_NAME%\">", Part::Html, &Values { app_name: hostile, ..values(&ann()) });
    assert_eq!(
        html,
        "<a title=\"&quot;&gt;&lt;img src=//evil.example onerror=&#39;x&#39;&gt;&amp;Bcc: x@y\">"
    );
    for part in [Part::Subject, Part::Text] {
        let text = rendered("%APP_NAME%", part, &Values { app_name: hostile, ..values(&ann()) });
        assert_eq!(text, "\"><img src=//evil.example onerror='x'>&Bcc: x@y");
    }
}

#[test]
fn what_a_stranger_chose_never_becomes_a_link() {
    let agent = UserAgent::parse("Call +1 555 0100 or see http://evil.example").unwrap();
    let email = Address::parse("www.evil.example/login?x=y@example.org").unwrap();
    for part in [Part::Subject, Part::Text, Part::Html] {
        let text = rendered("%USER_AGENT% %EMAIL%", part, &Values { agent: Some(&agent), ..values(&email) });
        assert_eq!(text, "an unknown program ...@example.org");
    }
}

#[test]
fn addresses_are_shown_plainly() {
    assert_eq!(
        rendered("%IP%", Part::Text, &Values { ip: "::ffff:192.0.2.7".parse().ok(), ..values(&ann()) }),
        "192.0.2.7"
    );
    assert_eq!(
        rendered("%IP%", Part::Text, &Values { ip: "2001:db8::1".parse().ok(), ..values(&ann()) }),
        "2001:db8::1"
    );
    assert_eq!(rendered("%IP%", Part::Text, &Values { ip: None, ..values(&ann()) }), "an unknown address");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_and_what_is_read_keeps_its_literals(text in "[%A-Z_0-9a-c\n é]{0,60}") {
        let rules = Rules { purpose: Purpose::PasswordChanged, part: Part::Text, has_base: true };
        if let Ok(template) = Template::parse(&text, rules) {
            let shape: String = template.pieces.iter().map(|piece| match piece {
                Piece::Literal(text) => text.clone(),
                Piece::Value(placeholder) => placeholder.to_string(),
            }).collect();
            prop_assert_eq!(shape, text);
        }
    }

    #[test]
    fn a_value_in_html_never_holds_markup(value in "\\PC{0,40}") {
        let html = rendered("%APP_NAME%", Part::Html, &Values { app_name: &value, ..values(&ann()) });
        prop_assert!(!html.contains(['<', '>', '"', '\'']));
    }
}
