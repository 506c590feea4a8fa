//! From the configuration to what its mails are made of.

use regain_smtp::{Sender, SenderError};

use crate::config::{Config, EmailHandlerConfig};
use crate::mail::{Composer, Letterhead, Links, TemplateMistake, Templates, Wording};

/// The texts in force; `None` where no mail is configured.
///
/// A configuration that was read from a file has had its templates checked, each with its line; one that was made in
/// Rust is checked here.
pub(super) fn templates(config: &Config) -> Result<Option<Templates>, Vec<TemplateMistake>> {
    let has_base = config.link_base().is_some();
    config.email().map(|email| Templates::new(email.overrides(), has_base)).transpose()
}

/// What composes mails from that sender.
pub(super) fn composer(config: &Config, templates: Templates, sender: Sender) -> Composer {
    let letterhead = Letterhead {
        sender,
        templates,
        link_base: link_base(config).unwrap_or_default(),
        app_name: config.app_name.clone(),
        reset_lifetime: config.reset_token_lifetime,
        confirm_lifetime: config.confirm_token_lifetime,
    };
    Composer::new(letterhead).signed_by(config.email().map(EmailHandlerConfig::signers).unwrap_or_default())
}

/// What mails say that leave without a composer.
pub(super) fn wording(config: &Config, templates: Templates) -> Wording {
    Wording {
        templates,
        link_base: link_base(config).unwrap_or_default(),
        app_name: config.app_name.clone(),
        reset_lifetime: config.reset_token_lifetime,
        confirm_lifetime: config.confirm_token_lifetime,
    }
}

/// Whom mails are from that go no further than the developer's mailbox.
pub(super) fn sender_for_mailbox(email: &EmailHandlerConfig) -> Result<Sender, SenderError> {
    email.from.clone().map_or_else(|| Sender::parse("no-reply@localhost"), Ok)
}

/// What links are like.
pub(super) fn links(config: &Config) -> Links {
    Links {
        base: link_base(config),
        reset_lifetime: config.reset_token_lifetime,
        confirm_lifetime: config.confirm_token_lifetime,
    }
}

fn link_base(config: &Config) -> Option<String> {
    config.link_base().map(|base| base.as_str().to_owned())
}
