use std::time::Duration;

use super::super::show;
use super::*;

#[test]
fn an_empty_file_is_the_defaults() {
    for config in [toml(""), json("{}").unwrap(), yaml("").unwrap()] {
        assert_eq!(show(&config), show(&Config::default()));
    }
    let config = Config::default();
    assert_eq!((config.address.to_string().as_str(), config.port), ("127.0.0.1", 9080));
    assert_eq!(config.refresh_token_ttl, Duration::from_secs(90 * 86_400));
    assert_eq!(config.reset_token_lifetime, Duration::from_secs(3_600));
    assert_eq!(config.confirm_token_lifetime, Duration::from_secs(86_400));
    assert!(config.register_by_login && !config.require_email_confirmation && config.email().is_none());
    assert_eq!((config.limits.sign_in, config.limits.waiting_letters), (Some(20), Some(1_000_000)));
    assert_eq!(config.max_connections, 1_024);
}

#[test]
fn a_byte_order_mark_is_stepped_over() {
    assert_eq!(toml("\u{feff}port = 1").port, 1);
    assert_eq!(json("\u{feff}{\"port\": 1}").unwrap().port, 1);
    assert_eq!(yaml("\u{feff}port: 1").unwrap().port, 1);
}

#[test]
fn the_data_path_is_shown_whole() {
    let load = |text: &str| load(Path::new("some/where/regain.toml"), text, &Environment::default()).unwrap();
    let config = load("");
    assert_eq!(config.data_path, Path::new("some/where/data"));
    let again = load(&show(&config));
    assert_eq!(again.data_path, std::path::absolute("some/where/data").unwrap());
}

#[test]
fn each_key_is_read() {
    let config = toml(
        r#"
        address = "0.0.0.0"
        port = 8080
        dataPath = "/var/lib/regain"
        publicUrl = "https://accounts.example.org/"
        adminAddress = "[::1]:9081"
        appName = "Notes"
        trustedProxies = ["10.0.0.0/8", "::1"]
        redirectUrls = ["https://app.example.org", "myapp://"]
        refreshTokenTtl = 315532800
        resetTokenLifetime = "30m"
        confirmTokenLifetime = "7d"
        requireEmailConfirmation = true
        registerByLogin = false
        authorizationHeaderName = "X-Session-Token"
        writeAdminTokenToJson = false
        [passwordPolicy]
        minLength = 12
        requireCurrent = true
        [limits]
        perAddress = false
        failedSignIns = 5
        waitingLetters = false
        maxConnections = 7
        [limits.perClient]
        signIn = 1
        register = 2
        mail = false
        tokenGuesses = 4
        "#,
    );
    assert_eq!(config.data_path.to_str(), Some("/var/lib/regain"));
    assert_eq!(config.public_url.as_ref().map(ToString::to_string).unwrap(), "https://accounts.example.org");
    assert_eq!(config.admin_address, "[::1]:9081".parse().ok());
    assert!(config.trusted_proxies[0].contains("10.1.2.3".parse().unwrap()));
    assert!(config.redirect_urls.allows("myapp://done").is_some());
    assert_eq!(config.refresh_token_ttl.as_secs(), 315_532_800);
    assert_eq!(config.reset_token_lifetime.as_secs(), 1_800);
    assert_eq!(config.authorization_header_name.as_ref().unwrap(), "x-session-token");
    assert!(!config.write_admin_token_to_json && Config::default().write_admin_token_to_json);
    let policy = config.policy();
    assert!(!policy.mail && policy.require_confirmation && !policy.register_by_login);
    assert_eq!(policy.confirm_lifetime.as_secs(), 7 * 86_400);
    assert_eq!((policy.password.min_length, policy.password.require_current), (12, true));
    let limits = policy.limits;
    assert_eq!((limits.per_address, limits.failed_sign_ins, limits.waiting_letters), (false, Some(5), None));
    assert_eq!(
        (limits.sign_in, limits.register, limits.mail, limits.token_guesses),
        (Some(1), Some(2), None, Some(4))
    );
    assert_eq!((config.port, config.max_connections, config.app_name.as_str()), (8080, 7, "Notes"));
}

#[test]
fn what_is_shown_loads_to_the_same_settings() {
    let text = format!(
        "appName = 'Zo\u{eb} \"x\" \\'\nauthorizationHeaderName = 'x-a'\ntrustedProxies = ['10.0.0.0/8']\nredirectUrls = ['myapp://']\n{MAIL}\n\
         baseUrl = 'myapp://x/'\n[authProviders.emailHandlerConfig.resetActionConfig]\n\
         textTemplate = \"a\\n'''\\t%TOKEN% \\\"\\\"\\\" b\"\n[limits]\nperClient = false\n"
    );
    let config = toml(&text);
    let shown = show(&config);
    assert_eq!(show(&toml(&shown)), shown);
    let email = config.email().unwrap();
    let again = toml(&shown);
    let text_of = |email: &super::super::EmailHandlerConfig| {
        email.reset_action_config.text_template.as_ref().map(|text| text.as_str().to_owned())
    };
    assert_eq!(text_of(again.email().unwrap()), text_of(email));
    assert_eq!(again.app_name, config.app_name);
    assert_eq!(again.authorization_header_name, config.authorization_header_name);
}

#[test]
fn neither_what_is_shown_nor_debug_output_has_the_password() {
    let config = toml(MAIL);
    assert_eq!(config.email().unwrap().relays[0].expose_password(), Some("hunter2"));
    assert!(show(&config).contains("smtp://user:***@smtp.example.com"), "{}", show(&config));
    assert!(!show(&config).contains("hunter2") && !format!("{config:?}").contains("hunter2"));
}

#[test]
fn all_limits_of_a_client_are_switched_by_one_word() {
    let limits = toml("[limits]\nperClient = false").limits;
    assert_eq!(
        (limits.sign_in, limits.register, limits.mail, limits.token_guesses),
        (None, None, None, None)
    );
    assert_eq!(toml("[limits]\nperClient = true").limits, Config::default().limits);
    assert_eq!(toml("limits.perClient.mail = true").limits, Config::default().limits);
}

#[test]
fn links_begin_with_the_base_url_or_else_the_public_url() {
    let base = |config: &Config| config.link_base().map(|base| base.as_str().to_owned());
    assert_eq!(base(&toml(MAIL)).unwrap(), "https://accounts.example.org");
    assert_eq!(base(&toml(&format!("{MAIL}\nbaseUrl = 'myapp://x/'"))).unwrap(), "myapp://x");
    assert_eq!(base(&Config::default()).unwrap(), "http://localhost:9080");
    assert_eq!(base(&toml("address = '0.0.0.0'")), None);
    assert_eq!(base(&toml("port = 0")), None);
}

#[test]
fn what_deserves_a_second_look_is_a_warning() {
    let warnings = |text: &str| toml(text).warnings().join("\n");
    assert_eq!(warnings(""), "");
    assert_eq!(warnings(MAIL), "");
    assert!(warnings("requireEmailConfirmation = true").contains("requireEmailConfirmation"));
    assert!(warnings(&format!("{MAIL}\nbaseUrl = 'myapp://x'")).contains("own scheme"));
    assert!(warnings(&MAIL.replace("publicUrl", "#")).contains("this machine only"));
    let insecure = format!("{MAIL}\nbaseUrl = 'http://x.org'\nallowInsecureBaseUrl = true");
    assert!(warnings(&insecure).contains("http:"));
    assert!(warnings(&MAIL.replace("sender@", "j\u{f5}geva@")).contains("SMTPUTF8"));
}

#[test]
fn relays_are_a_list_in_order() {
    let list = "[\"smtp://user:hunter2@a.example.com\", 'smtps://b.example.com']";
    let text = MAIL.replace("\"smtp://user:hunter2@smtp.example.com\"", list);
    let config = toml(&text);
    let hosts = |config: &Config| -> Vec<String> {
        config.email().unwrap().relays.iter().map(|relay| relay.host().to_owned()).collect()
    };
    assert_eq!(hosts(&config), ["a.example.com", "b.example.com"]);
    assert!(!show(&config).contains("hunter2"));
    assert_eq!(hosts(&toml(&show(&config))), hosts(&config));
    let key = "REGAIN_AUTH_PROVIDERS__0__EMAIL_HANDLER_CONFIG__CONNECTION_STRING";
    let replaced = toml_with(&text, &[(&format!("{key}__1"), "smtp://c.example.com")]).unwrap();
    assert_eq!(hosts(&replaced), ["a.example.com", "c.example.com"]);
    let single = toml_with(&text, &[(key, "smtp://u:a,b@d.example.com")]).unwrap();
    assert_eq!(hosts(&single), ["d.example.com"]);
}

#[test]
fn a_list_of_relays_is_checked_one_by_one() {
    let with = |list: &str| MAIL.replace("\"smtp://user:hunter2@smtp.example.com\"", list);
    assert!(mistake(&with("[]")).contains("list of 1 to 8 relays"));
    let twice =
        mistake(&with("['smtp://a.example.com', 'smtps://b.example.com', 'smtp://A.example.com:587']"));
    assert!(twice.contains("connectionString[2]") && twice.contains("is in the list already"), "{twice}");
    let both = mistakes(&with("['direct://a', 'smtp://u@b.example.com']"));
    assert_eq!(both.len(), 2, "{both:?}");
}
