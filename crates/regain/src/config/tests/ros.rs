//! What the ROS documentation shows can be pasted.

use regain_core::Purpose;

use super::*;
use crate::mail::{AllOverrides, Templates};

#[test]
fn the_documented_smtp_parameters_work() {
    for from in ["foo@bar.com", "\\\"Sender Name\\\" foo@bar.com", "\\\"Sender Name\\\" <foo@bar.com>"] {
        let config = json(&format!(
            r#"{{
    "authProviders": [{{
        "type": "password",
        "emailHandlerConfig": {{
            "baseUrl": "http://localhost:9080",
            "connectionString": "smtp://smtp_username:smtp_password@smtp.example.com",
            "from": "{from}"
        }}
    }}]
}}"#
        ))
        .unwrap_or_else(|mistakes| panic!("{}", mistakes.join("\n")));
        let email = config.email().unwrap();
        assert_eq!((email.relays[0].host(), email.relays[0].port()), ("smtp.example.com", 587));
        assert_eq!(email.relays[0].user(), Some("smtp_username"));
        assert_eq!(email.relays[0].expose_password(), Some("smtp_password"));
        assert_eq!(email.from.as_ref().unwrap().envelope().address(), "foo@bar.com");
        assert_eq!(config.link_base().unwrap().as_str(), "http://localhost:9080");
    }
}

#[test]
fn the_documented_templates_work_and_leave_the_other_mail_alone() {
    let config = toml(
        r#"
[[authProviders]]
type = "password"

[authProviders.emailHandlerConfig]
connectionString = "smtp://smtp_username:smtp_password@smtp.example.com"
from = "foo@bar.com"

[authProviders.emailHandlerConfig.resetActionConfig]
subject = "Forgot your password?"
textTemplate = """Please use this link below to reset your password and access your account.
%BASE_URL%/reset-password?token=%TOKEN%"""
htmlTemplate = '''<html>
<body>
  <h3>Did you forget your password?</h3>
  <a href="%BASE_URL%/reset-password?token=%TOKEN%">Reset your password</a>
</body>
</html>'''
"#,
    );
    let email = config.email().unwrap();
    let reset = &email.reset_action_config;
    assert_eq!(reset.subject.as_ref().unwrap().as_str(), "Forgot your password?");
    assert!(reset.text_template.as_ref().unwrap().as_str().ends_with("token=%TOKEN%"));
    assert!(reset.html_template.as_ref().unwrap().as_str().starts_with("<html>"));
    assert!(email.confirm_action_config.subject.is_none());
    let templates = Templates::new(email.overrides(), config.link_base().is_some()).unwrap();
    let default = Templates::new(AllOverrides::default(), true).unwrap();
    assert_ne!(templates.of(Purpose::Reset).html, default.of(Purpose::Reset).html);
    assert_eq!(templates.of(Purpose::Confirm).html, default.of(Purpose::Confirm).html);
}

#[test]
fn the_documented_deep_link_works() {
    let config = toml(&format!("{MAIL}baseUrl = 'myapp://update-account/'"));
    assert_eq!(config.link_base().unwrap().as_str(), "myapp://update-account");
}

#[test]
fn the_lifetimes_and_the_header_of_ros_are_settings() {
    let config = toml("refreshTokenTtl = 3153600000\nauthorizationHeaderName = 'Authorization'");
    assert_eq!(config.refresh_token_ttl.as_secs(), 3_153_600_000);
    assert_eq!(config.authorization_header_name.unwrap(), "authorization");
}

#[test]
fn a_setting_of_ros_that_is_none_here_says_what_to_do_instead() {
    for (key, advice) in [
        ("jsonBodyLimit", "102,400 bytes"),
        ("disableTokenRevocation", "always refused"),
        ("autoKeyGen", "at the first start"),
        ("privateKeyPath", "keys/auth.key"),
        ("publicKeyPath", "keys/auth.key"),
        ("logger", "REGAIN_LOG"),
        ("logLevel", "REGAIN_LOG"),
        ("https", "publicUrl"),
        ("httpsAddress", "publicUrl"),
        ("httpsPort", "publicUrl"),
        ("httpsKeyPath", "publicUrl"),
        ("httpsCertChainPath", "publicUrl"),
        ("httpsForInternalComponents", "publicUrl"),
        ("accessTokenTtl", "refreshTokenTtl"),
        ("userTokenTtl", "refreshTokenTtl"),
        ("enableLogCompaction", "synchronisation"),
        ("maxDownloadSize", "synchronisation"),
        ("featureToken", "synchronisation"),
        ("graphQLServiceConfigOverride", "synchronisation"),
        ("permissionServiceConfigOverride", "synchronisation"),
        ("emailHandlerConfig", "authProviders"),
    ] {
        let mistake = mistake(&format!("port = 1\n{key} = 'hunter2'"));
        assert!(mistake.starts_with(&format!("regain.toml:2: {key}: ")), "{mistake}");
        assert!(mistake.contains(advice) && !mistake.contains("did you mean"), "{mistake}");
        assert!(!mistake.contains("hunter2"), "{mistake}");
    }
    for (key, advice) in [
        ("autoCreateAdminUser", "`regain users create NAME --admin`"),
        ("saltLength", "Argon2id"),
        ("iterations", "Argon2id"),
        ("keyLength", "Argon2id"),
        ("digest", "Argon2id"),
        ("emailHandler", "emailHandlerConfig"),
    ] {
        let mistake = mistake(&format!("[[authProviders]]\ntype = 'password'\n{key} = true"));
        assert!(mistake.starts_with(&format!("regain.toml:3: authProviders[0].{key}: ")), "{mistake}");
        assert!(mistake.contains(advice) && !mistake.contains("did you mean"), "{mistake}");
    }
}
