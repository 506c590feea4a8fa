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
        assert_eq!((email.connection.host(), email.connection.port()), ("smtp.example.com", 587));
        assert_eq!(email.connection.user(), Some("smtp_username"));
        assert_eq!(email.connection.expose_password(), Some("smtp_password"));
        assert_eq!(email.from.envelope().address(), "foo@bar.com");
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
