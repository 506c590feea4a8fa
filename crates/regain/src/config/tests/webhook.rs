use std::time::Duration;

use super::super::show;
use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The least that posts mails.
const POSTED: &str = r#"
publicUrl = "https://accounts.example.org"
[[authProviders]]
type = "password"
[authProviders.emailHandlerConfig.webhook]
url = "https://mail.example.org/hunter2path?key=hunter2query"
secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
"#;

#[test]
fn a_webhook_stands_in_place_of_a_relay_and_needs_no_sender() {
    let config = toml(POSTED);
    let email = config.email().unwrap();
    assert!(email.relays.is_empty() && email.from.is_none() && email.has_secret());
    let webhook = email.webhook.as_ref().unwrap();
    assert_eq!((webhook.host(), webhook.port()), ("mail.example.org", 443));
    assert_eq!((webhook.timeout(), webhook.max_connections()), (Duration::from_secs(30), 5));
    let with_sender = POSTED.replace("[authProviders.emailHandlerConfig.webhook]", "[authProviders.emailHandlerConfig]\nfrom = 'Notes notes@example.org'\n[authProviders.emailHandlerConfig.webhook]");
    let config = toml(&with_sender);
    assert_eq!(config.email().unwrap().from.as_ref().unwrap().envelope().address(), "notes@example.org");
}

#[test]
fn every_key_of_a_webhook_is_read_from_every_format() {
    let text = format!(
        "{POSTED}timeout = '5s'\nmaxConnections = 20\nheaders = {{ Authorization = 'Bearer %%KEY%%', X-Tenant = 'a' }}"
    );
    let config = toml_with(&text, &[("KEY", "hunter2key")]).unwrap_or_else(|m| panic!("{m:?}"));
    let webhook = config.email().unwrap().webhook.as_ref().unwrap();
    assert_eq!((webhook.timeout(), webhook.max_connections()), (Duration::from_secs(5), 20));
    assert_eq!(webhook.header_names().collect::<Vec<_>>(), ["authorization", "x-tenant"]);
    let webhook = format!(
        r#"{{ "url": "http://localhost:3000/", "secret": ["{SECRET}", "{SECRET}AAAA"], "timeout": 7 }}"#
    );
    let file = format!(
        r#"{{ "authProviders": [{{ "type": "password", "emailHandlerConfig": {{ "webhook": {webhook} }} }}] }}"#
    );
    for config in [json(&file), yaml(&file)] {
        let config = config.unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
        let webhook = config.email().unwrap().webhook.clone().unwrap();
        assert_eq!((webhook.secret_count(), webhook.timeout().as_secs()), (2, 7));
    }
}

#[test]
fn the_environment_gives_a_webhook_and_its_secrets() {
    let base = "publicUrl = 'https://accounts.example.org'\n[[authProviders]]\ntype = 'password'\n";
    let prefix = "REGAIN_AUTH_PROVIDERS__0__EMAIL_HANDLER_CONFIG__WEBHOOK";
    let (url, secret) = (format!("{prefix}__URL"), format!("{prefix}__SECRET"));
    let config = toml_with(base, &[(&url, "https://mail.example.org"), (&secret, SECRET)]).unwrap();
    assert_eq!(config.email().unwrap().webhook.as_ref().unwrap().secret_count(), 1);
    let (first, second) = (format!("{secret}__0"), format!("{secret}__1"));
    let parts = [(url.as_str(), "https://mail.example.org"), (&first, SECRET), (&second, SECRET)];
    let config = toml_with(base, &parts).unwrap();
    assert_eq!(config.email().unwrap().webhook.as_ref().unwrap().secret_count(), 2);
}

#[test]
fn a_relay_and_a_webhook_are_one_too_many_and_neither_is_one_too_few() {
    let both = format!(
        "{MAIL}[authProviders.emailHandlerConfig.webhook]\nurl = 'https://mail.example.org'\nsecret = '{SECRET}'"
    );
    let told = mistake(&both);
    assert!(told.contains("emailHandlerConfig.connectionString: stands beside webhook"), "{told}");
    let neither =
        mistakes("[[authProviders]]\ntype = 'password'\n[authProviders.emailHandlerConfig]").join("\n");
    assert!(
        neither.contains("connectionString: is missing") && neither.contains("or a webhook"),
        "{neither}"
    );
    assert!(neither.contains("from: is missing"), "{neither}");
}

#[test]
fn each_mistake_of_a_webhook_names_its_key_and_shows_no_value() {
    let with = |from: &str, to: &str| POSTED.replace(from, to);
    let url = "https://mail.example.org/hunter2path?key=hunter2query";
    for (text, key, reason) in [
        (with("url =", "# url ="), "webhook.url", "is missing"),
        (with("secret =", "# secret ="), "webhook.secret", "is missing"),
        (with(url, "http://mail.example.org/hunter2"), "webhook.url", "is http: beyond this machine"),
        (with(url, "https://u:hunter2@mail.example.org"), "webhook.url", "as Authorization"),
        (with(url, "smtp://mail.example.org"), "webhook.url", "is not https:"),
        (with(SECRET, "hunter2"), "webhook.secret", "openssl rand"),
        (with(SECRET, "whsec_aHVudGVyMg=="), "webhook.secret", "24 to 64 bytes"),
        (with(&format!("\"{SECRET}\""), "[]"), "webhook.secret", "1 to 4 secrets"),
        (with(&format!("\"{SECRET}\""), &format!("['{SECRET}', 'hunter2']")), "webhook.secret[1]", "openssl"),
        (format!("{POSTED}timeout = '6m'"), "webhook.timeout", "from 1s to 5m"),
        (format!("{POSTED}maxConnections = 0"), "webhook.maxConnections", "from 1 to 100"),
        (format!("{POSTED}headers = 'X: hunter2'"), "webhook.headers", "must be a table"),
        (format!("{POSTED}headers.Host = 'hunter2'"), "webhook.headers.Host", "writes itself"),
        (format!("{POSTED}headers.X-Key = \"hunter2\\nx\""), "webhook.headers.X-Key", "must be one line"),
        (format!("{POSTED}headers.X-Key = 5"), "webhook.headers.X-Key", "must be text"),
        (format!("{POSTED}headers.X-Key = '%%NONE%%'"), "webhook.headers.X-Key", "has no NONE"),
        (format!("{POSTED}headers.X-Key = 'a'\nheaders.x-key = 'b'"), "webhook.headers.x-key", "twice"),
        (format!("{POSTED}uri = 'hunter2'"), "webhook.uri", "did you mean \"url\""),
    ] {
        let told = mistake(&text);
        assert!(
            told.contains(&format!("emailHandlerConfig.{key}: ")) && told.contains(reason),
            "{key}: {told}"
        );
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_mistaken_secret_does_not_hide_a_mistaken_address() {
    let text = POSTED.replace("https://", "http://").replace(SECRET, "hunter2");
    let found = mistakes(&text).join("\n");
    assert!(found.contains("webhook.url: ") && found.contains("webhook.secret: "), "{found}");
}

#[test]
fn nothing_secret_of_a_webhook_is_shown() {
    let config = toml(&format!("{POSTED}headers = {{ Authorization = 'hunter2header' }}"));
    for shown in [show(&config), format!("{config:?}")] {
        assert!(!shown.contains("hunter2") && !shown.contains("MfKQ"), "{shown}");
        assert!(shown.contains("https://mail.example.org/***"), "{shown}");
    }
    let shown: serde_json::Value = toml::from_str(&show(&config)).unwrap();
    let webhook = &shown["authProviders"][0]["emailHandlerConfig"]["webhook"];
    assert_eq!(
        webhook,
        &serde_json::json!({
            "url": "https://mail.example.org/***",
            "secret": "***",
            "timeout": "30s",
            "maxConnections": 5,
            "headers": { "authorization": "***" },
        })
    );
}
