use super::*;

#[test]
fn all_mistakes_are_reported_at_once_in_the_order_of_the_file() {
    let text = "\nport = 99999\nadress = 'x'\nregisterByLogin = 'yes'\n[limits]\nperAddress = 3\n[[authProviders]]\n\
                type = 'github'\n[authProviders.emailHandlerConfig]\nform = 'x@example.org'\n";
    assert_eq!(
        mistakes(text),
        [
            "regain.toml:2: port: must be a number from 0 to 65535",
            "regain.toml:3: adress: is not a key; did you mean \"address\"?",
            "regain.toml:4: registerByLogin: must be true or false, not text; yes, no, on and off are text, and so is \
             what stands in quotes",
            "regain.toml:6: limits.perAddress: must be true or false, not a number",
            "regain.toml:8: authProviders[0].type: is not a provider of Regain; write \"password\"",
            "regain.toml:9: authProviders[0].emailHandlerConfig.connectionString: is missing; write for example \
             \"smtps://user:password@smtp.example.com\", or a webhook in its place",
            "regain.toml:9: authProviders[0].emailHandlerConfig.from: is missing; write whom the mails are from, \
             for example \"sender@example.com\"",
            "regain.toml:10: authProviders[0].emailHandlerConfig.form: is not a key; did you mean \"from\"?",
        ]
    );
}

#[test]
fn each_wrong_value_is_refused_with_its_key_and_line() {
    for (text, key) in [
        ("address = 'localhost'", "address"),
        ("address = ['127.0.0.1']", "address"),
        ("port = -1", "port"),
        ("port = '9080'", "port"),
        ("port = 9080.5", "port"),
        ("port = 99999999999999999999", "port"),
        ("dataPath = ''", "dataPath"),
        ("publicUrl = 'example.org'", "publicUrl"),
        ("publicUrl = 'myapp://x'", "publicUrl"),
        ("appName = ' '", "appName"),
        ("appName = \"a\\nb\"", "appName"),
        ("trustedProxies = '10.0.0.0/8'", "trustedProxies"),
        ("trustedProxies = ['10.0.0.1/8']", "trustedProxies[0]"),
        ("redirectUrls = ['https://ok.org', 'javascript://x']", "redirectUrls[1]"),
        ("redirectUrls = ['http://ok.org']", "redirectUrls[0]"),
        ("refreshTokenTtl = 0", "refreshTokenTtl"),
        ("refreshTokenTtl = 1.5", "refreshTokenTtl"),
        ("refreshTokenTtl = '1y'", "refreshTokenTtl"),
        ("refreshTokenTtl = 1979-05-27", "refreshTokenTtl"),
        ("resetTokenLifetime = '25h'", "resetTokenLifetime"),
        ("resetTokenLifetime = -5", "resetTokenLifetime"),
        ("confirmTokenLifetime = '32d'", "confirmTokenLifetime"),
        ("passwordPolicy.minLength = 0", "passwordPolicy.minLength"),
        ("passwordPolicy.minLength = 1025", "passwordPolicy.minLength"),
        ("passwordPolicy = 8", "passwordPolicy"),
        ("limits = false", "limits"),
        ("limits.perClient = 5", "limits.perClient"),
        ("limits.perClient.signIn = 0", "limits.perClient.signIn"),
        ("limits.perClient.mail = 'off'", "limits.perClient.mail"),
        ("limits.failedSignIns = -1", "limits.failedSignIns"),
        ("limits.maxConnections = false", "limits.maxConnections"),
        ("adminAddress = '127.0.0.1'", "adminAddress"),
        ("authorizationHeaderName = 'Cookie'", "authorizationHeaderName"),
        ("authorizationHeaderName = 'hunter2:'", "authorizationHeaderName"),
        ("writeAdminTokenToJson = 'yes'", "writeAdminTokenToJson"),
        ("database = 'mysql://u:hunter2@db/regain'", "database"),
        ("authProviders = []", "authProviders"),
        ("authProviders = 'password'", "authProviders"),
        ("authProviders = ['password']", "authProviders[0]"),
        ("authProviders = [{}]", "authProviders[0].type"),
        ("authProviders = [{type = 'password', name = 'x'}]", "authProviders[0].name"),
        ("authProviders = [{type = 'password'}, {type = 'password'}]", "authProviders[1]"),
        (
            "authProviders = [{type = 'password', emailHandlerConfig = 'x'}]",
            "authProviders[0].emailHandlerConfig",
        ),
    ] {
        let mistake = mistake(&format!("\n{text}"));
        assert!(mistake.starts_with(&format!("regain.toml:2: {key}: ")), "{text}: {mistake}");
        assert!(!mistake.contains("hunter2"), "{mistake}");
    }
}

#[test]
fn each_wrong_value_of_the_mail_is_refused_with_its_key_and_line() {
    for (text, key) in [
        ("baseUrl = 'example.org'", "baseUrl"),
        ("baseUrl = 'http://example.org'", "baseUrl"),
        ("allowInsecureBaseUrl = 1", "allowInsecureBaseUrl"),
        ("resetActionConfig = 'x'", "resetActionConfig"),
        ("resetActionConfig.subjekt = 'x'", "resetActionConfig.subjekt"),
        ("resetActionConfig.subject = 5", "resetActionConfig.subject"),
        ("confirmActionConfig.textTemplate = {}", "confirmActionConfig.textTemplate.file"),
        ("changedActionConfig.htmlTemplate = { file = 5 }", "changedActionConfig.htmlTemplate.file"),
        ("changedActionConfig.htmlTemplate = ['x']", "changedActionConfig.htmlTemplate"),
    ] {
        let mistake = mistake(&format!("{MAIL}{text}"));
        assert!(
            mistake.starts_with(&format!("regain.toml:8: authProviders[0].emailHandlerConfig.{key}: ")),
            "{mistake}"
        );
    }
    for (from, to, key) in
        [("smtp://", "http://", "connectionString"), ("sender@example.com", "nobody", "from")]
    {
        let mistake = mistake(&MAIL.replace(from, to));
        assert!(mistake.contains(&format!("emailHandlerConfig.{key}: ")), "{mistake}");
        assert!(!mistake.contains("hunter2"), "{mistake}");
    }
}

#[test]
fn a_missing_relay_does_not_hide_a_wrong_sender() {
    let text = MAIL.replace("connectionString", "#").replace("sender@example.com", "nobody");
    let found = mistakes(&text).join("\n");
    assert!(found.contains("connectionString: is missing") && found.contains(".from: "), "{found}");
}

#[test]
fn a_link_base_that_is_missing_or_insecure_is_refused() {
    let nowhere = MAIL.replace("publicUrl = \"https://accounts.example.org\"", "address = '0.0.0.0'");
    assert!(mistake(&nowhere).contains("emailHandlerConfig.baseUrl: is missing"));
    let insecure = MAIL.replace("https://accounts", "http://accounts");
    assert!(mistake(&insecure).starts_with("regain.toml:2: publicUrl: is http:"));
    assert!(toml(&format!("{insecure}allowInsecureBaseUrl = true")).email().is_some());
    assert!(toml(&format!("{insecure}baseUrl = 'https://example.org'")).email().is_some());
    assert!(toml("publicUrl = 'http://accounts.example.org'").email().is_none());
}

#[test]
fn texts_without_links_need_no_link_base() {
    let text = format!(
        "{}[authProviders.emailHandlerConfig.resetActionConfig]\ntextTemplate = '%TOKEN%'\nhtmlTemplate = '%TOKEN%'\n\
         [authProviders.emailHandlerConfig.confirmActionConfig]\ntextTemplate = '%TOKEN%'\nhtmlTemplate = '%TOKEN%'\n",
        MAIL.replace("publicUrl = \"https://accounts.example.org\"", "address = '0.0.0.0'")
    );
    assert!(toml(&text).link_base().is_none());
}

#[test]
fn half_a_login_is_refused_and_not_shown() {
    for login in ["SG.hunter2@", ":hunter2@"] {
        let text = MAIL.replace("smtp://user:hunter2@", &format!("smtp://{login}"));
        let mistake = mistake(&text);
        assert!(mistake.contains("connectionString: has half a login"), "{mistake}");
        assert!(!mistake.contains("hunter2"), "{mistake}");
    }
}

#[test]
fn a_template_that_would_mail_nonsense_is_refused() {
    for (text, reason) in [
        ("resetActionConfig.textTemplate = 'no link'", "resetActionConfig.textTemplate: has no %TOKEN%"),
        (
            "confirmActionConfig.htmlTemplate = '%TOKN%'",
            "confirmActionConfig.htmlTemplate: has the unknown placeholder",
        ),
        ("changedActionConfig.textTemplate = '%TOKEN%'", "changedActionConfig.textTemplate: has %TOKEN%"),
        ("resetActionConfig.subject = '%TOKEN%'", "resetActionConfig.subject: has %TOKEN%"),
        ("resetActionConfig.subject = ''", "resetActionConfig.subject: is empty"),
    ] {
        let mistake = mistake(&format!("{MAIL}{text}"));
        let start = format!("regain.toml:8: authProviders[0].emailHandlerConfig.{reason}");
        assert!(mistake.starts_with(&start), "{mistake}");
    }
}

#[test]
fn a_link_without_a_base_is_refused_where_it_stands() {
    let nowhere = MAIL.replace("publicUrl = \"https://accounts.example.org\"", "address = '0.0.0.0'");
    let text = format!(
        "{nowhere}resetActionConfig = {{ textTemplate = '%TOKEN%', htmlTemplate = '%BASE_URL%/%TOKEN%' }}\n\
         confirmActionConfig = {{ textTemplate = '%TOKEN%', htmlTemplate = '%TOKEN%' }}\n"
    );
    assert!(
        mistake(&text)
            .contains("regain.toml:8: authProviders[0].emailHandlerConfig.resetActionConfig.htmlTemplate: ")
    );
}

#[test]
fn no_message_shows_a_value() {
    for key in [
        "address",
        "port",
        "dataPath",
        "publicUrl",
        "trustedProxies",
        "redirectUrls",
        "refreshTokenTtl",
        "registerByLogin",
        "passwordPolicy",
        "limits",
        "authProviders",
        "database",
        "adminAddress",
        "unknown",
    ] {
        for value in ["'smtp://u:hunter2@h'", "['smtp://u:hunter2@h']", "{ x = 'hunter2' }"] {
            let Err(mistakes) = toml_with(&format!("{key} = {value}"), &[]) else { continue };
            assert!(!mistakes.join("").contains("hunter2"), "{mistakes:?}");
        }
    }
    assert!(!mistake("'smtp://u:hunter2@h' = 1").contains("hunter2"));
    assert!(!mistakes("x = smtp://u:hunter2@h").join("").contains("hunter2"));
}

#[test]
fn a_key_of_the_top_that_slid_below_a_table_is_explained() {
    assert_eq!(
        mistake("[limits]\nport = 9080"),
        "regain.toml:2: limits.port: is not a key of this table; port belongs at the top (in TOML above the first \
         [table], in YAML without indentation)"
    );
}

#[test]
fn a_syntax_error_names_file_line_and_column() {
    let found = mistakes("port = 1\nappName = no\n").join("\n");
    assert!(found.starts_with("regain.toml:2: not readable at column 11: "), "{found}");
    let found = json("{\n  \"port\": 1,\n}").unwrap_err().join("\n");
    assert!(found.starts_with("regain.json:2: not readable at column "), "{found}");
    assert!(json("{\n\"port\": 1,\n\"port\": 2}").unwrap_err()[0].starts_with("regain.json:3: "));
}

#[test]
fn a_file_of_another_format_is_refused() {
    for name in ["regain.ini", "regain.yaml.bak", "regain"] {
        let error = load(Path::new(name), "", &Environment::default()).map(|_| ()).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{name}:1: ")) && error.contains(".toml"), "{error}");
    }
}

#[test]
fn a_huge_or_deep_file_is_refused_at_once() {
    assert!(mistake(&"#".repeat(2 << 20)).contains("larger than"));
    for text in [format!("a = {}", "[".repeat(100_000)), "= [\n".repeat(1_000)] {
        assert!((1..=20).contains(&mistakes(&text).len()));
    }
}

#[test]
fn a_limit_of_zero_is_told_how_it_is_switched_off() {
    let mistakes = toml_with("[limits]\nmailPerHour = 0\n", &[]).map(|_| ()).unwrap_err().join("\n");
    assert!(
        mistakes.contains("limits.mailPerHour: must be a number from 1 to 100000000, or false"),
        "{mistakes}"
    );
}
