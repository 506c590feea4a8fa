use proptest::prelude::*;

use super::*;

fn list(rules: &[&str]) -> RedirectAllowList {
    RedirectAllowList::new(rules.iter().map(|rule| RedirectRule::parse(rule).unwrap()))
}

fn allows(rule: &str, address: &str) -> bool {
    list(&[rule]).allows(address).is_some()
}

#[test]
fn an_empty_list_allows_nothing() {
    assert_eq!(RedirectAllowList::default().allows("https://ok.org/"), None);
}

#[test]
fn an_origin_allows_its_paths() {
    for address in ["https://ok.org", "https://ok.org/", "https://ok.org/a/b?c=d#e", "HTTPS://OK.org:443/x"] {
        assert!(allows("https://ok.org", address), "{address}");
        assert!(allows("https://ok.org/", address), "{address}");
    }
    assert!(allows("https://ok.org:8443", "https://ok.org:8443/x"));
    assert!(allows("https://ok.org", "https://ok.org/caf\u{e9}"));
}

#[test]
fn an_origin_allows_no_other_origin() {
    for address in [
        "http://ok.org",
        "https://ok.org:8443",
        "https://ok.org.evil",
        "https://evil.ok.org",
        "https://evil",
        "https://evil#ok.org",
        "https://evil/https://ok.org",
        "https://ok.org@evil",
        "https://ok.org:x@evil",
        "https://ok.org%2f@evil",
        "https://ok.org%2eevil",
        "https://\u{43e}k.org",
        "https://[::ffff:1.2.3.4]",
        "http://1157586937",
        "https://ok.org.",
        "ok.org",
        "/ok.org",
        "//ok.org",
        "/\\ok.org",
        "\\\\ok.org",
        "https:ok.org",
        "https:/ok.org",
        "https:///ok.org",
        "https:\\\\ok.org",
        "https://ok.org\\@evil",
        "\thttps://ok.org",
        "https://ok.org\t",
        "ht\ntps://ok.org",
        "https://ok.org/\0",
        " https://ok.org",
        "https://ok.org/\u{7f}",
        "https://ok.org/\"x",
        "",
        "https://",
    ] {
        assert!(!allows("https://ok.org", address), "{address:?} was allowed");
    }
}

#[test]
fn a_path_allows_itself_and_what_is_under_it() {
    for rule in ["https://ok.org/app", "https://ok.org/app/"] {
        for address in [
            "https://ok.org/app",
            "https://ok.org/app/",
            "https://ok.org/app/x",
            "https://ok.org/app?x",
            "https://ok.org/x/../app",
        ] {
            assert!(allows(rule, address), "{rule} {address}");
        }
        for address in [
            "https://ok.org/",
            "https://ok.org/apple",
            "https://ok.org/app/../x",
            "https://ok.org/app/%2e%2e/x",
            "https://ok.org/app/..%2fx",
            "https://ok.org/app/%252e%252e/x",
            "https://ok.org/app/..;/x",
            "https://ok.org/app/..%3B/x",
            "https://ok.org/app%2Fx",
            "https://ok.org/APP",
            "https://ok.org//app",
            "https://ok.org/app/%5c..",
            "https://ok.org/?/app",
        ] {
            assert!(!allows(rule, address), "{rule} {address}");
        }
    }
}

#[test]
fn an_apps_scheme_allows_what_begins_with_it_at_a_border() {
    for address in [
        "myapp://done",
        "myapp://done/",
        "myapp://done/x",
        "myapp://done?a=b",
        "myapp://done#a",
        "MYAPP://done",
    ] {
        assert!(allows("myapp://done", address), "{address}");
        assert!(allows("myapp://done/", address), "{address}");
        assert!(allows("myapp://", address), "{address}");
    }
    for address in [
        "myapp://done2",
        "myapp://do",
        "myapp://done:80",
        "myapp://x@done",
        "myapp://done.evil",
        "myapp:done",
        "myapp:/done",
        "myapp2://done",
        "my://done",
        "https://done",
        "myapp:///done",
    ] {
        assert!(!allows("myapp://done", address), "{address}");
    }
    assert!(allows("myapp://done/a", "myapp://done/a/b"));
    assert!(!allows("myapp://done/a", "myapp://done/ab"));
    assert!(!allows("myapp://", "myapp2://done"));
}

#[test]
fn no_rule_allows_a_scheme_that_runs_or_reads_something() {
    for scheme in ["javascript", "JaVaScRiPt", "data", "file", "blob", "vbscript", "about"] {
        let address = format!("{scheme}://x/%0aalert(1)");
        assert!(RedirectRule::parse(&address).is_err(), "{address}");
        assert!(!allows("https://ok.org", &address) && !allows("myapp://", &address), "{address}");
    }
    assert!(!allows("https://ok.org", "javascript:alert(1)"));
}

#[test]
fn http_is_for_this_machine_only() {
    assert!(allows("http://localhost:3000", "http://localhost:3000/x"));
    assert!(allows("http://127.0.0.1", "http://127.0.0.1/x"));
    assert!(allows("http://[::1]:3000", "http://[::1]:3000/"));
    assert!(RedirectRule::parse("http://ok.org").is_err());
    assert!(RedirectRule::parse("http://localhost.ok.org").is_err());
}

#[test]
fn a_rule_with_query_fragment_user_or_without_host_is_refused() {
    for rule in [
        "https://ok.org?x",
        "https://ok.org/#x",
        "https://u@ok.org",
        "https://",
        "ok.org",
        "https://*.ok.org\\",
        "*",
    ] {
        assert!(RedirectRule::parse(rule).is_err(), "{rule}");
    }
}

#[test]
fn parameters_are_added_behind_a_query_and_before_a_fragment() {
    let added = |address: &str| {
        let target = list(&["https://ok.org", "myapp://"]).allows(address).unwrap();
        target.with_query(&[("success", "false"), ("message", "a&b=\u{e9} #\r\n\"'+")])
    };
    let tail = "success=false&message=a%26b%3D%C3%A9%20%23%0D%0A%22%27%2B";
    assert_eq!(added("https://ok.org"), format!("https://ok.org/?{tail}"));
    assert_eq!(added("https://ok.org/x?"), format!("https://ok.org/x?{tail}"));
    assert_eq!(added("https://ok.org/x?y=z#f"), format!("https://ok.org/x?y=z&{tail}#f"));
    assert_eq!(added("myapp://done"), format!("myapp://done?{tail}"));
    assert_eq!(added("myapp://done/x?y#"), format!("myapp://done/x?y&{tail}#"));
}

#[test]
fn the_form_action_names_the_origin_or_the_scheme() {
    let csp =
        |address: &str| list(&["https://ok.org:8443", "myapp://"]).allows(address).unwrap().origin_for_csp();
    assert_eq!(csp("https://ok.org:8443/x?y"), "https://ok.org:8443");
    assert_eq!(csp("myapp://done"), "myapp:");
}

proptest! {
    #[test]
    fn what_is_allowed_lies_on_the_allowed_origin(address in "(https?:)?[/\\\\]{0,3}[a-z.@:%#?\\\\\\t]{0,8}(ok\\.org)?[a-z.@:%#?/\\\\]{0,8}") {
        if let Some(target) = list(&["https://ok.org"]).allows(&address) {
            prop_assert!(target.url().starts_with("https://ok.org/"), "{}", target.url());
            prop_assert_eq!(target.origin_for_csp(), "https://ok.org");
        }
    }
}
