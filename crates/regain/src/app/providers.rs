//! What administrators may see of the password provider's configuration over HTTP: what `regain config show` prints of
//! it, so that one place knows which parts are secrets.

use serde_json::{Map, Value};

use crate::config::{self, Config};

/// The configuration of the password provider without its secrets.
pub(super) fn config_of_password(config: &Config) -> Map<String, Value> {
    let mut shown: Value = match toml::from_str(&config::show(config)) {
        Ok(shown) => shown,
        Err(error) => {
            // Of no text that it quotes is known that it is free of secrets.
            tracing::error!(at = ?error.span(), "the configuration cannot be shown to administrators");
            return Map::new();
        }
    };
    let provider = shown.pointer_mut("/authProviders/0").and_then(Value::as_object_mut);
    let mut provider = provider.map(std::mem::take).unwrap_or_default();
    // Said beside the configuration, not in it.
    provider.remove("type");
    provider
}

#[cfg(test)]
mod tests {
    use regain_smtp::{Sender, Settings};

    use super::*;
    use crate::config::{BaseUrl, EmailHandlerConfig};
    use crate::mail::WebhookSettings;

    #[test]
    fn everything_is_shown_but_the_secrets() {
        let mut config = Config::default();
        assert_eq!(config_of_password(&config), Map::new());
        config.auth_provider.email_handler_config = Some(EmailHandlerConfig {
            base_url: Some(BaseUrl::parse("myapp://update-account/").unwrap()),
            ..EmailHandlerConfig::new(
                Settings::parse("smtp://mailer:hunter2secret@smtp.example.com").unwrap(),
                Sender::parse("\"A \\\"B\\\"\" <foo@bar.com>").unwrap(),
            )
        });
        let shown = Value::from(config_of_password(&config));
        let email = &shown["emailHandlerConfig"];
        assert_eq!(email["connectionString"], "smtp://mailer:***@smtp.example.com:587");
        assert_eq!(email["from"], "\"A \\\"B\\\"\" <foo@bar.com>");
        assert_eq!(email["baseUrl"], "myapp://update-account");
        assert!(!shown.to_string().contains("hunter2secret"));
    }

    #[test]
    fn of_a_webhook_neither_path_secret_nor_headers_are_shown() {
        let webhook = WebhookSettings::new(
            "https://hook.example.com/hunter2",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        );
        let webhook = webhook.unwrap().with_header("X-Key", "hunter2").unwrap();
        let mut config = Config::default();
        config.auth_provider.email_handler_config = Some(EmailHandlerConfig::by_webhook(webhook));
        let shown = Value::from(config_of_password(&config));
        assert_eq!(shown["emailHandlerConfig"]["webhook"]["url"], "https://hook.example.com/***");
        assert!(!shown.to_string().contains("hunter2") && !shown.to_string().contains("MfKQ"), "{shown}");
    }
}
