//! A mail that shows whether mails arrive: composed as all others are, with nothing in it but that it is a test.

use std::sync::Arc;

use regain_core::{Address, DeliveryError, LetterId, Parcel, Purpose, Receipt, Timestamp};
use regain_smtp::TrustRoots;

use super::letterhead;
use crate::config::{ActionConfig, Config};
use crate::mail::webhook::{RootsError, WallClock};
use crate::mail::{ComposeError, Composed, TemplateMistake, Templates, WebhookMailer};

const SUBJECT: &str = "Test mail from %APP_NAME%";
const TEXT: &str = "\
Hello,

this is a test mail to %EMAIL%. Whoever runs %APP_NAME% has sent it
to see whether its mails arrive. It has no link, and there is
nothing to do.
";
const HTML: &str = "\
<!doctype html>
<html lang=\"en\">
<head><meta charset=\"utf-8\"><title>Test mail from %APP_NAME%</title></head>
<body style=\"font-family: sans-serif; line-height: 1.5\">
<p>Hello,</p>
<p>this is a test mail to %EMAIL%. Whoever runs %APP_NAME% has sent it to see whether its mails arrive. It has no link, and
there is nothing to do.</p>
</body>
</html>
";

/// Why there is no test mail.
#[derive(Debug, thiserror::Error)]
pub enum TestMailError {
    /// No mail is configured, or none that Regain composes.
    #[error("there is no emailHandlerConfig with a sender, so no mail is sent")]
    NoMail,
    /// A template of the configuration breaks its rules.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Templates(Vec<TemplateMistake>),
    /// It cannot be composed for this address.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// The webhook's certificate could never be checked here.
    #[error(transparent)]
    Webhook(#[from] RootsError),
}

/// Composes a test mail to `to`. It has the sender, the headers and the signature that mails of this configuration have.
///
/// # Errors
/// See [`TestMailError`].
pub fn test_mail(
    config: &Config,
    to: &Address,
    id: LetterId,
    now: Timestamp,
) -> Result<Composed, TestMailError> {
    let (config, templates) = with_test_texts(config)?;
    let sender = config.email().and_then(|email| email.from.clone()).ok_or(TestMailError::NoMail)?;
    Ok(letterhead::composer(&config, templates, sender).compose(&parcel(to, id, now))?)
}

/// Posts a test mail to `to`, of type `mail.test`, to the webhook of this configuration; answers what came of it.
///
/// # Errors
/// See [`TestMailError`]; [`TestMailError::NoMail`] where no webhook is configured.
pub async fn post_test_mail(
    config: &Config,
    to: &Address,
    id: LetterId,
    now: Timestamp,
) -> Result<Result<Receipt, DeliveryError>, TestMailError> {
    let (config, templates) = with_test_texts(config)?;
    let email = config.email().ok_or(TestMailError::NoMail)?;
    let webhook = email.webhook.clone().ok_or(TestMailError::NoMail)?;
    let wording = letterhead::wording(&config, templates);
    let (sender, clock) = (email.from.clone(), Arc::new(WallClock));
    let mailer = WebhookMailer::new(wording, sender, webhook, &TrustRoots::System, clock)?;
    Ok(mailer.deliver_test(parcel(to, id, now)).await)
}

/// The one mail that needs no link lends its place.
fn with_test_texts(config: &Config) -> Result<(Config, Templates), TestMailError> {
    let mut config = config.clone();
    let email = config.auth_provider.email_handler_config.as_mut().ok_or(TestMailError::NoMail)?;
    email.changed_action_config = ActionConfig {
        subject: Some(SUBJECT.into()),
        text_template: Some(TEXT.into()),
        html_template: Some(HTML.into()),
    };
    let templates =
        letterhead::templates(&config).map_err(TestMailError::Templates)?.ok_or(TestMailError::NoMail)?;
    Ok((config, templates))
}

fn parcel(to: &Address, id: LetterId, now: Timestamp) -> Parcel {
    Parcel {
        letter: id,
        purpose: Purpose::PasswordChanged,
        to: to.clone(),
        token: None,
        ip: None,
        agent: None,
        posted: now,
    }
}

#[cfg(test)]
mod tests {
    use regain_core::OsRng;
    use regain_smtp::{Sender, Settings};

    use super::*;
    use crate::config::{EmailHandlerConfig, PasswordAuthProvider};

    #[test]
    fn a_test_mail_is_a_mail_like_others_without_a_link() {
        let email = EmailHandlerConfig::new(
            Settings::parse("smtp://localhost").unwrap(),
            Sender::parse("\"Notes\" <noreply@notes.test>").unwrap(),
        );
        let config = Config {
            app_name: "Notes & more".into(),
            auth_provider: PasswordAuthProvider { email_handler_config: Some(email) },
            ..Config::default()
        };
        let now = Timestamp::from_millis(1_795_000_000_000);
        let id = LetterId::new(now, &OsRng).unwrap();
        let to = Address::from_stored("ada@example.org").unwrap();
        let mail = test_mail(&config, &to, id, now).unwrap();
        assert_eq!(mail.subject, "Test mail from Notes & more");
        assert_eq!(
            (mail.envelope_from.as_str(), mail.envelope_to.as_str()),
            ("noreply@notes.test", "ada@example.org")
        );
        assert!(mail.html.contains("Notes &amp; more") && !mail.html.contains("http"), "{}", mail.html);
        assert!(!mail.text.contains('%') && mail.text.contains("ada@example.org"), "{}", mail.text);
        let raw = String::from_utf8_lossy(&mail.raw).into_owned();
        for header in ["Auto-Submitted: auto-generated", "Message-ID: <", "Date: "] {
            assert!(raw.contains(header), "{header} in {raw}");
        }
        assert!(matches!(test_mail(&Config::default(), &to, id, now), Err(TestMailError::NoMail)));
    }
}
