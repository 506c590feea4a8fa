//! The password provider and its mail, with the names of the ROS documentation.

use std::path::PathBuf;

use regain_smtp::{DkimSigner, Sender, Settings};

use super::base_url::BaseUrl;
use super::mistake::{Mistake, Place};
use crate::mail::{AllOverrides, Overrides, WebhookSettings};

/// The provider of username/password accounts.
#[derive(Debug, Clone, Default)]
pub struct PasswordAuthProvider {
    /// How mail is sent. Without it there is no mail: the mail actions answer 501/803.
    pub email_handler_config: Option<EmailHandlerConfig>,
}

/// How mail is sent and what it says.
///
/// The default has neither relay nor sender: enough for [`Delivery::Handler`](crate::Delivery::Handler).
#[derive(Debug, Clone, Default)]
pub struct EmailHandlerConfig {
    /// The value of `%BASE_URL%`; without it, `publicUrl` is.
    pub base_url: Option<BaseUrl>,
    /// The relays in order, from `connectionString`: the first takes the mail, the next ones while it is at fault.
    /// Empty where a webhook or an [`EmailHandler`](crate::mail::EmailHandler) takes it.
    pub relays: Vec<Settings>,
    /// The webhook that takes the mails in place of relays.
    pub webhook: Option<WebhookSettings>,
    /// Whom the mails are from. A relay needs it; a webhook is told, and decides for itself without.
    pub from: Option<Sender>,
    /// What signs the mails (DKIM), each key with a signature of its own; nothing where there is none.
    pub dkim: Vec<DkimConfig>,
    /// The mail with the link that resets a password.
    pub reset_action_config: ActionConfig,
    /// The mail with the link that confirms an address.
    pub confirm_action_config: ActionConfig,
    /// The mail that says that the password was changed.
    pub changed_action_config: ActionConfig,
    /// Lets links be `http:` beyond this machine, where anybody between can read the token.
    pub allow_insecure_base_url: bool,
}

impl EmailHandlerConfig {
    /// Mail by this relay and from this sender, all else as by default.
    pub fn new(relay: Settings, from: Sender) -> Self {
        Self { relays: vec![relay], from: Some(from), ..Self::default() }
    }

    /// The signers of the mails.
    pub fn signers(&self) -> Vec<DkimSigner> {
        self.dkim.iter().map(|dkim| dkim.signer.clone()).collect()
    }

    /// Mail by this webhook, all else as by default. Without `from` the receiver decides whom mails are from.
    pub fn by_webhook(webhook: WebhookSettings) -> Self {
        Self { webhook: Some(webhook), ..Self::default() }
    }

    /// Whether these settings hold a password, a secret or another credential.
    pub fn has_secret(&self) -> bool {
        self.webhook.is_some() || self.relays.iter().any(Settings::has_password)
    }

    /// The texts that are not the defaults, for [`Templates::new`](crate::mail::Templates::new).
    pub fn overrides(&self) -> AllOverrides<'_> {
        AllOverrides {
            reset: self.reset_action_config.overrides(),
            confirm: self.confirm_action_config.overrides(),
            changed: self.changed_action_config.overrides(),
        }
    }
}

/// One key that signs the mails.
#[derive(Debug, Clone)]
pub struct DkimConfig {
    /// Domain, selector, key, and which header fields are signed.
    pub signer: DkimSigner,
    /// Where the key was read from, if from a file of its own; it must be private.
    pub key_file: Option<PathBuf>,
}

impl From<DkimSigner> for DkimConfig {
    /// A signer from Rust.
    fn from(signer: DkimSigner) -> Self {
        Self { signer, key_file: None }
    }
}

/// The texts of one mail. A text that is left out keeps its default.
#[derive(Debug, Clone, Default)]
pub struct ActionConfig {
    /// The subject.
    pub subject: Option<TextAt>,
    /// The text part.
    pub text_template: Option<TextAt>,
    /// The HTML part.
    pub html_template: Option<TextAt>,
}

impl ActionConfig {
    fn overrides(&self) -> Overrides<'_> {
        Overrides {
            subject: self.subject.as_ref().map(TextAt::as_str),
            text: self.text_template.as_ref().map(TextAt::as_str),
            html: self.html_template.as_ref().map(TextAt::as_str),
        }
    }
}

/// A text that remembers where it was written, so that what is found wrong in it later can be reported there.
#[derive(Debug, Clone)]
pub struct TextAt {
    text: String,
    place: Place,
    key: String,
}

impl TextAt {
    pub(super) fn new(text: String, place: Place, key: String) -> Self {
        Self { text, place, key }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A mistake in this text; `reason` reads on after the key and says what to write instead.
    pub fn mistake(&self, reason: impl Into<String>) -> Mistake {
        Mistake::new(self.place.clone(), self.key.clone(), reason)
    }
}

impl<T: Into<String>> From<T> for TextAt {
    /// A text from Rust.
    fn from(text: T) -> Self {
        Self { text: text.into(), place: Place::Code, key: "template".to_owned() }
    }
}
