//! The keys of `authProviders`, with the names of the ROS documentation.

use regain_smtp::{Sender, Settings};

use super::super::Config;
use super::super::base_url::BaseUrl;
use super::super::provider::{ActionConfig, EmailHandlerConfig, PasswordAuthProvider, TextAt};
use super::super::reader::{Found, Section};
use super::boolean;

const INSECURE: &str = "is http: beyond this machine, so the links in mails could be read on their way; \
                        write https:, or set allowInsecureBaseUrl = true in emailHandlerConfig";

/// Reads the list, which must hold the password provider and nothing else.
pub(super) fn read(found: Found<'_>, public_url: Option<&Found<'_>>, config: &mut Config) {
    let one = "must list exactly one provider, with type = \"password\"";
    let Some(items) = found.items() else { return };
    if items.is_empty() {
        found.mistake(one);
    }
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            item.mistake(one);
        } else if let Some(section) = item.section() {
            config.auth_provider = provider(section, public_url, config);
        }
    }
}

fn provider(
    mut section: Section<'_>,
    public_url: Option<&Found<'_>>,
    config: &Config,
) -> PasswordAuthProvider {
    match section.find("type") {
        None => section.missing("type", "write type = \"password\""),
        Some(found) => {
            let is_password = |text: &str| match text {
                "password" => Ok(()),
                _ => Err("is not a provider of Regain; write \"password\""),
            };
            found.parse(is_password);
        }
    }
    let email = section.section("emailHandlerConfig");
    section.finish();
    PasswordAuthProvider {
        email_handler_config: email.and_then(|section| handler(section, public_url, config)),
    }
}

fn handler(
    mut section: Section<'_>,
    public_url: Option<&Found<'_>>,
    config: &Config,
) -> Option<EmailHandlerConfig> {
    let base = section.find("baseUrl");
    let connection = section.find("connectionString");
    if connection.is_none() {
        section.missing("connectionString", "write for example \"smtps://user:password@smtp.example.com\"");
    }
    let from = section.find("from");
    if from.is_none() {
        section.missing("from", "write whom the mails are from, for example \"sender@example.com\"");
    }
    let allow_insecure = boolean(&mut section, "allowInsecureBaseUrl").unwrap_or(false);
    let reset = action(&mut section, "resetActionConfig");
    let confirm = action(&mut section, "confirmActionConfig");
    let changed = action(&mut section, "changedActionConfig");

    let base_url = base.as_ref().and_then(|found| found.parse(BaseUrl::parse));
    let insecure = |url: Option<&BaseUrl>| !allow_insecure && url.is_some_and(BaseUrl::is_insecure);
    match &base {
        Some(found) if insecure(base_url.as_ref()) => found.mistake(INSECURE),
        None if insecure(config.public_url.as_ref()) => {
            if let Some(found) = public_url {
                found.mistake(INSECURE);
            }
        }
        None if config.link_base().is_none()
            && public_url.is_none()
            && needs_base([&reset, &confirm], &changed) =>
        {
            section.missing("baseUrl", "write it, or publicUrl at the top: links in mails begin with it");
        }
        _ => {}
    }
    section.finish();
    let connection = connection?.parse(Settings::parse);
    let from = from?.parse(Sender::parse);
    Some(EmailHandlerConfig {
        base_url,
        reset_action_config: reset,
        confirm_action_config: confirm,
        changed_action_config: changed,
        allow_insecure_base_url: allow_insecure,
        ..EmailHandlerConfig::new(connection?, from?)
    })
}

/// Whether any text of a mail has a link, as the default texts with a token do.
fn needs_base(with_token: [&ActionConfig; 2], changed: &ActionConfig) -> bool {
    let names_it = |text: &TextAt| text.as_str().contains("%BASE_URL%");
    let linked = |action: &ActionConfig| {
        action.text_template.as_ref().is_none_or(names_it)
            || action.html_template.as_ref().is_none_or(names_it)
    };
    let changed = [&changed.text_template, &changed.html_template];
    with_token.into_iter().any(linked) || changed.into_iter().flatten().any(names_it)
}

/// The texts of one mail. One that is left out keeps its default, unlike in ROS, where the mail then never went out.
fn action(section: &mut Section<'_>, key: &'static str) -> ActionConfig {
    let Some(mut section) = section.section(key) else { return ActionConfig::default() };
    let mut text = |key| -> Option<TextAt> { section.find_nested(key)?.template() };
    let texts = ActionConfig {
        subject: text("subject"),
        text_template: text("textTemplate"),
        html_template: text("htmlTemplate"),
    };
    section.finish();
    texts
}
