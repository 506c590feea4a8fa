//! The same configuration in YAML: the same settings, the same messages.

use super::super::{EXAMPLE, show};
use super::*;

fn settings(text: &str) -> Config {
    yaml(text).unwrap_or_else(|mistakes| panic!("{}", mistakes.join("\n")))
}

fn only_mistake(text: &str) -> String {
    let mut mistakes = yaml(text).map(|_| ()).expect_err("this was accepted");
    assert_eq!(mistakes.len(), 1, "{}", mistakes.join("\n"));
    mistakes.remove(0)
}

#[test]
fn the_documented_smtp_parameters_work_in_yaml() {
    for from in ["foo@bar.com", "'\"Sender Name\" foo@bar.com'", "\"Sender Name <foo@bar.com>\""] {
        let config = settings(&format!(
            "authProviders:\n- type: password\n  emailHandlerConfig:\n    baseUrl: 'http://localhost:9080' # Used to \
             replace %BASE_URL%\n    connectionString: 'smtp://smtp_username:smtp_password@smtp.example.com'\n    \
             from: {from}\n"
        ));
        let email = config.email().unwrap();
        assert_eq!(email.relays[0].host(), "smtp.example.com");
        assert_eq!(email.relays[0].expose_password(), Some("smtp_password"));
        assert_eq!(email.from.as_ref().unwrap().envelope().address(), "foo@bar.com");
        assert_eq!(config.link_base().unwrap().as_str(), "http://localhost:9080");
    }
}

#[test]
fn the_documented_templates_work_as_blocks() {
    let config = settings(
        r#"
authProviders:
  - type: password
    emailHandlerConfig:
      connectionString: smtp://smtp_username:smtp_password@smtp.example.com
      from: foo@bar.com
      resetActionConfig:
        subject: Forgot your password?
        textTemplate: |
          Please use this link below to reset your password and access your account.
          %BASE_URL%/reset-password?token=%TOKEN%
        htmlTemplate: |
          <html>
          <body>
               <h3>Did you forget your password?</h3>
               <a href="%BASE_URL%/reset-password?token=%TOKEN%">Reset your password</a>
          </body>
          </html>
"#,
    );
    let reset = &config.email().unwrap().reset_action_config;
    assert_eq!(reset.subject.as_ref().unwrap().as_str(), "Forgot your password?");
    let text = reset.text_template.as_ref().unwrap().as_str();
    assert!(text.ends_with("account.\n%BASE_URL%/reset-password?token=%TOKEN%\n"), "{text}");
    assert!(reset.html_template.as_ref().unwrap().as_str().starts_with("<html>\n<body>\n     <h3>"));
    assert!(config.email().unwrap().confirm_action_config.subject.is_none());
}

#[test]
fn the_documented_deep_link_works_in_yaml() {
    let config = settings(
        "authProviders:\n- type: password\n  emailHandlerConfig:\n    connectionString: \
         'smtp://smtp_username:smtp_password@smtp.example.com'\n    from: 'foo@bar.com'\n    baseUrl: \
         'myapp://update-account/'\n",
    );
    assert_eq!(config.link_base().unwrap().as_str(), "myapp://update-account");
}

#[test]
fn the_example_means_the_same_in_every_format() {
    let value: toml::Value = toml::from_str(EXAMPLE).unwrap();
    let as_json = serde_json::to_string_pretty(&value).unwrap();
    let expected = show(&toml(EXAMPLE));
    // JSON is YAML, too.
    assert_eq!(show(&json(&as_json).unwrap()), expected);
    assert_eq!(show(&settings(&as_json)), expected);
}

#[test]
fn all_mistakes_of_a_yaml_file_have_their_line_and_key() {
    let text = "\nport: 99999\nadress: x\nregisterByLogin: no\nlimits:\n  perAddress: 3\n  failedSignIns: Off\n\
                  passwordPolicy:\nauthProviders:\n- type: github\n  emailHandlerConfig:\n    form: x@example.org\n";
    assert_eq!(
        yaml(text).map(|_| ()).unwrap_err(),
        [
            "regain.yaml:2: port: must be a number from 0 to 65535",
            "regain.yaml:3: adress: is not a key; did you mean \"address\"?",
            "regain.yaml:4: registerByLogin: must be true or false, not text; yes, no, on and off are text, and so is \
             what stands in quotes",
            "regain.yaml:6: limits.perAddress: must be true or false, not a number",
            "regain.yaml:7: limits.failedSignIns: must be a number from 1 to 1000000, or false, not text; yes, no, on \
             and off are text, and so is what stands in quotes",
            "regain.yaml:8: passwordPolicy: must be a table, not empty",
            "regain.yaml:10: authProviders[0].type: is not a provider of Regain; write \"password\"",
            "regain.yaml:11: authProviders[0].emailHandlerConfig.connectionString: is missing; write for example \
             \"smtps://user:password@smtp.example.com\", or a webhook in its place",
            "regain.yaml:11: authProviders[0].emailHandlerConfig.from: is missing; write whom the mails are from, for \
             example \"sender@example.com\"",
            "regain.yaml:12: authProviders[0].emailHandlerConfig.form: is not a key; did you mean \"from\"?",
        ]
    );
}

#[test]
fn values_of_yaml_that_no_key_takes_are_named() {
    for (text, expected) in [
        ("appName: 1.5", "appName: must be text in quotes, not a number with a fraction or exponent"),
        ("appName: ~", "appName: must be text in quotes, not null"),
        ("appName:", "appName: must be text in quotes, not empty"),
        ("port: \"9080\"", "port: must be a number from 0 to 65535, not text"),
        ("port: 0123", "port: must be a number from 0 to 65535, not a number with a leading zero"),
        ("port: 9_080", "port: must be a number from 0 to 65535, not text"),
        ("refreshTokenTtl: 1979-05-27", "refreshTokenTtl: must be a number of seconds, or text such as"),
        ("redirectUrls: myapp://", "redirectUrls: must be a list, not text"),
        ("registerByLogin: 'true'", "registerByLogin: must be true or false, not text; yes, no"),
        ("registerByLogin: hunter2", "registerByLogin: must be true or false, not text"),
    ] {
        let mistake = only_mistake(text);
        assert!(mistake.starts_with(&format!("regain.yaml:1: {expected}")), "{mistake}");
        assert!(!mistake.contains("hunter2"), "{mistake}");
    }
}

#[test]
fn a_syntax_error_of_yaml_names_file_line_and_column() {
    let mistake = only_mistake("port: 1\nappName: *hunter2\n");
    assert!(mistake.starts_with("regain.yaml:2: not readable at column 10: anchors"), "{mistake}");
    assert_eq!(yaml(&"a: &x 1\n".repeat(1_000)).map(|_| ()).unwrap_err().len(), 20);
}

#[test]
fn both_endings_are_yaml_and_variables_reach_into_it() {
    let environment = Environment::new([("REGAIN_LIMITS__PER_CLIENT__MAIL", "3"), ("PORT", "81")]);
    let text = "port: '%%PORT%%'\nlimits:\n  perClient: {mail: false, signIn: 5}\n";
    for name in ["regain.yaml", "regain.yml", "REGAIN.YML"] {
        let config = load(Path::new(name), text, &environment).unwrap();
        assert_eq!((config.port, config.limits.mail, config.limits.sign_in), (81, Some(3), Some(5)));
    }
}
