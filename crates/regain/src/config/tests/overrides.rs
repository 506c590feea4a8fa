use super::super::{load_over, show};
use super::*;

fn with(environment: &[(&str, &str)]) -> Result<Config, Vec<String>> {
    toml_with(MAIL, environment)
}

#[test]
fn a_variable_overrides_the_file() {
    let text = "port = 1\nredirectUrls = ['https://a.org', 'https://b.org']\nlimits.perClient.signIn = 5\n";
    let config = toml_with(
        text,
        &[
            ("REGAIN_PORT", "8080"),
            ("REGAIN_DATA_PATH", "elsewhere"),
            ("REGAIN_LIMITS__PER_CLIENT", "false"),
            ("REGAIN_LIMITS__WAITING_LETTERS", "false"),
            ("REGAIN_PASSWORD_POLICY__MIN_LENGTH", "10"),
            ("REGAIN_REFRESH_TOKEN_TTL", "3600"),
            ("REGAIN_RESET_TOKEN_LIFETIME", "10m"),
            ("REGAIN_REQUIRE_EMAIL_CONFIRMATION", "true"),
            ("REGAIN_TRUSTED_PROXIES", "10.0.0.0/8, ::1"),
            ("REGAIN_REDIRECT_URLS__1", "https://c.org"),
            ("REGAIN_REDIRECT_URLS__2", "myapp://"),
            ("HOME", "/nowhere"),
            ("REGAIN_LOG", "trace"),
            ("REGAINED", "x"),
        ],
    )
    .unwrap();
    assert_eq!((config.port, config.data_path.to_str()), (8080, Some("elsewhere")));
    assert_eq!((config.limits.sign_in, config.limits.waiting_letters), (None, None));
    assert_eq!((config.password_policy.min_length, config.refresh_token_ttl.as_secs()), (10, 3_600));
    assert_eq!((config.reset_token_lifetime.as_secs(), config.require_email_confirmation), (600, true));
    assert_eq!(config.trusted_proxies.len(), 2);
    let rules: Vec<_> = config.redirect_urls.rules().iter().map(|rule| rule.as_str()).collect();
    assert_eq!(rules, ["https://a.org/", "https://c.org/", "myapp://"]);
}

#[test]
fn a_variable_reaches_into_the_provider() {
    let from = "REGAIN_AUTH_PROVIDERS__0__EMAIL_HANDLER_CONFIG__FROM";
    let config = with(&[(from, "other@example.com")]).unwrap();
    assert_eq!(config.email().unwrap().from.as_ref().unwrap().envelope().address(), "other@example.com");
}

#[test]
fn the_environment_alone_can_configure_mail() {
    let mail = [
        ("REGAIN_AUTH_PROVIDERS__0__TYPE", "password"),
        ("REGAIN_AUTH_PROVIDERS__0__EMAIL_HANDLER_CONFIG__FROM", "a@example.com"),
        ("REGAIN_AUTH_PROVIDERS__0__EMAIL_HANDLER_CONFIG__CONNECTION_STRING", "smtp://smtp.example.com"),
        ("REGAIN_AUTH_PROVIDERS__0__EMAIL_HANDLER_CONFIG__RESET_ACTION_CONFIG__SUBJECT", "Lost?"),
    ];
    let config = load_over(Config::default(), &Environment::new(mail)).unwrap();
    let subject = config.email().unwrap().reset_action_config.subject.as_ref().unwrap();
    assert_eq!(subject.as_str(), "Lost?");
    assert!(toml_with("", &mail).unwrap().email().is_some());
}

#[test]
fn settings_without_a_file_keep_what_the_environment_does_not_say() {
    let settings = Config { data_path: "regain-data".into(), ..Config::default() };
    let config = load_over(settings, &Environment::new([("REGAIN_PORT", "0")])).unwrap();
    assert_eq!((config.port, config.data_path.to_str()), (0, Some("regain-data")));
}

#[test]
fn a_wrong_variable_is_named_with_its_key() {
    let of = |environment: &[(&str, &str)]| with(environment).map(|_| ()).unwrap_err();
    assert_eq!(
        of(&[("REGAIN_PORT", "hunter2"), ("REGAIN_LIMITS__PER_CLIENT", "hunter2")]),
        [
            "environment variable REGAIN_PORT: port: must be a number from 0 to 65535",
            "environment variable REGAIN_LIMITS__PER_CLIENT: limits.perClient: must be true or false, not text",
        ]
    );
    let whole = of(&[("REGAIN_AUTH_PROVIDERS__0__EMAIL_HANDLER_CONFIG", "hunter2")]);
    assert!(whole[0].contains("EMAIL_HANDLER_CONFIG__...") && !whole[0].contains("hunter2"), "{whole:?}");
}

#[test]
fn an_unknown_variable_is_refused_with_a_suggestion() {
    let of = |name| with(&[(name, "hunter2")]).map(|_| ()).unwrap_err().join("\n");
    assert_eq!(
        of("REGAIN_PROT"),
        "environment variable REGAIN_PROT: is not a setting; did you mean REGAIN_PORT?"
    );
    assert!(of("REGAIN_LIMITS_PER_CLIENT").contains("did you mean REGAIN_LIMITS__PER_CLIENT?"));
    assert!(of("REGAIN_AUTH_PROVIDERS__0__EMAIL_HANDLER_CONFIG__FORM").contains("__FROM?"));
    assert!(of("REGAIN_QUITE_ANOTHER_THING").contains("is not a setting; REGAIN_ is followed by"));
    assert!(of("REGAIN_PORT__X").contains("is not a setting"));
    assert!(of("REGAIN_TRUSTED_PROXIES__99999999").contains("is not a setting"));
}

#[test]
fn a_name_in_a_string_takes_the_environments_value() {
    let text = MAIL.replace("hunter2", "%%REGAIN_SMTP_PASSWORD%%");
    let config = toml_with(&text, &[("REGAIN_SMTP_PASSWORD", "p%40ss")]).unwrap();
    assert_eq!(config.email().unwrap().relays[0].expose_password(), Some("p@ss"));
    let missing = mistake(&text);
    assert!(missing.contains("connectionString: names %%REGAIN_SMTP_PASSWORD%%, but the environment has no"));
    assert_eq!(toml_with("port = '%%PORT%%'", &[("PORT", "81")]).unwrap().port, 81);
}

#[test]
fn placeholders_of_a_template_are_not_variables() {
    let text = format!("{MAIL}resetActionConfig.textTemplate = '%BASE_URL%/x?t=%TOKEN%%IP%%EMAIL% %%SITE%%'");
    let config = toml_with(&text, &[("SITE", "here")]).unwrap();
    let template = config.email().unwrap().reset_action_config.text_template.clone().unwrap();
    assert_eq!(template.as_str(), "%BASE_URL%/x?t=%TOKEN%%IP%%EMAIL% here");
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_utf8_is_refused_only_where_it_is_wanted() {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    let bad = || OsString::from_vec(vec![0xff]);
    let of = |name: OsString| load(Path::new("regain.toml"), "", &Environment::new([(name, bad())]));
    assert_eq!(show(&of("OTHER".into()).unwrap()), show(&Config::default()));
    assert!(of(bad()).is_ok());
    let error = of("REGAIN_PORT".into()).map(|_| ()).unwrap_err().to_string();
    assert_eq!(error, "environment variable REGAIN_PORT: port: is not UTF-8");
}
