//! The keys that sign mails: what to publish, and that no command shows them.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{Place, configuration};

/// The key of RFC 8463 appendix A.1.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
                   -----END PRIVATE KEY-----\n";
const VALUE: &str = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

fn place(domain: &str) -> Place {
    let place = Place::new();
    place.write("dkim.pem", KEY);
    fs::set_permissions(place.path("dkim.pem"), fs::Permissions::from_mode(0o600)).unwrap();
    let dkim = format!(
        "dkim = {{ domainName = '{domain}', keySelector = 'main', privateKey = {{ file = 'dkim.pem' }} }}\n"
    );
    place.write("regain.toml", &(configuration("smtp://localhost") + &dkim));
    place
}

#[test]
fn what_to_publish_is_printed_for_people_and_for_programs() {
    let place = place("regain.test");
    let shown = place.run(&["mail", "dkim-record"]).ok();
    for part in [
        "main._domainkey.regain.test",
        "TXT",
        VALUE,
        &format!("main._domainkey.regain.test. IN TXT ( \"{VALUE}\" )"),
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    let json = place.run(&["mail", "dkim-record", "--json", "--config", "regain.toml"]).ok();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let expected = serde_json::json!([
        { "name": "main._domainkey.regain.test", "type": "TXT", "value": VALUE, "strings": [VALUE] }
    ]);
    assert_eq!(json, expected);
    assert!(!shown.contains("MC4C"));
}

#[test]
fn without_a_key_it_is_told_where_one_belongs() {
    let told = Place::with_relay("smtp://localhost").run(&["mail", "dkim-record"]).wrong();
    assert!(told.contains("emailHandlerConfig.dkim"), "{told}");
}

#[test]
fn a_key_that_others_may_read_or_that_is_for_another_domain_is_told() {
    let place = place("regain.test");
    let told = |place: &Place| place.run(&["check"]).stdout;
    assert!(told(&place).contains("the key loads; its record is at main._domainkey.regain.test"));
    assert!(!told(&place).contains("everybody on this machine"), "{}", told(&place));
    assert!(
        told(&place).contains("regain.test is no public domain, so SPF, DKIM and DMARC"),
        "{}",
        told(&place)
    );
    let offline = |place: &Place| place.run(&["check", "--offline"]).stdout;
    let line = |told: &str| {
        told.lines().find(|line| line.split_whitespace().nth(1) == Some("dkim")).unwrap().to_owned()
    };
    assert!(line(&offline(&place)).starts_with("ok"), "{}", offline(&place));
    let other = line(&offline(&self::place("example.org")));
    assert!(other.starts_with("note") && other.contains("domainName"), "{other}");
    fs::set_permissions(place.path("dkim.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    assert!(told(&place).contains("everybody on this machine may read"), "{}", told(&place));
    let shown = self::place("example.org").run(&["config", "show"]);
    assert!(shown.stderr.contains("DMARC"), "{shown:?}");
    assert!(
        shown.stdout.contains("privateKey = { file = \"/") && !format!("{shown:?}").contains("MC4C"),
        "{shown:?}"
    );
}
