//! The keys of `authProviders`, with the names of the ROS documentation.

use regain_core::Purpose;
use regain_smtp::{Sender, Settings};

use super::super::Config;
use super::super::base_url::BaseUrl;
use super::super::provider::{ActionConfig, EmailHandlerConfig, PasswordAuthProvider};
use super::super::reader::{Found, Section};
use super::{boolean, dkim, ros, webhook};
use crate::mail::{Part, Rules, Template, WebhookSettings};

/// More than this is a mistake.
const MOST_RELAYS: usize = 8;

const INSECURE: &str = "is http: beyond this machine, so the links in mails could be read on their way; \
                        write https:, or set allowInsecureBaseUrl to true in emailHandlerConfig";

/// Reads the list, which must hold the password provider and nothing else.
pub(super) fn read(found: Found<'_>, public_url: Option<&Found<'_>>, config: &mut Config) {
    let one = "must list exactly one provider, of type \"password\"";
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
        None => section.missing("type", "the provider of Regain is \"password\""),
        Some(found) => {
            let is_password = |text: &str| match text {
                "password" => Ok(()),
                _ => Err("is not a provider of Regain; write \"password\""),
            };
            found.parse(is_password);
        }
    }
    let email = section.section("emailHandlerConfig");
    section.finish_with(ros::PROVIDER);
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
    let way = way_out(&mut section);
    let dkim = section.find_nested("dkim");
    if let (Some(found), Some(Some(_))) = (&dkim, &way.webhook) {
        found.mistake("stands beside webhook, whose receiver makes the mail: leave it out and sign there");
    }
    let dkim = dkim.and_then(Found::section).map(dkim::read).unwrap_or_default();
    let allow_insecure = boolean(&mut section, "allowInsecureBaseUrl").unwrap_or(false);
    // A base that is mistaken is reported once, as such, and not again by every template that names it.
    let has_base = base.is_some() || public_url.is_some() || config.link_base().is_some();
    let mut action = |key, purpose| action(section.section(key), purpose, has_base);
    let reset_action_config = action("resetActionConfig", Purpose::Reset);
    let confirm_action_config = action("confirmActionConfig", Purpose::Confirm);
    let changed_action_config = action("changedActionConfig", Purpose::PasswordChanged);

    let base_url = base.as_ref().and_then(|found| found.parse(BaseUrl::parse));
    let insecure = |url: Option<&BaseUrl>| !allow_insecure && url.is_some_and(BaseUrl::is_insecure);
    match &base {
        Some(found) if insecure(base_url.as_ref()) => found.mistake(INSECURE),
        None if insecure(config.public_url.as_ref()) => {
            if let Some(found) = public_url {
                found.mistake(INSECURE);
            }
        }
        None if !has_base
            && [&reset_action_config, &confirm_action_config].into_iter().any(has_default_text) =>
        {
            section.missing("baseUrl", "write it, or publicUrl at the top: links in mails begin with it");
        }
        _ => {}
    }
    section.finish();
    Some(EmailHandlerConfig {
        base_url,
        relays: way.relays?,
        webhook: way.webhook?,
        from: way.from?,
        dkim,
        reset_action_config,
        confirm_action_config,
        changed_action_config,
        allow_insecure_base_url: allow_insecure,
    })
}

/// One relay, or several in order, of which none is named twice.
fn relays(found: &Found<'_>) -> Option<Vec<Settings>> {
    if !found.is_list() {
        return Some(vec![found.parse(relay)?]);
    }
    let items = found.items()?;
    if items.is_empty() || items.len() > MOST_RELAYS {
        found.mistake(format!("must be a relay, or a list of 1 to {MOST_RELAYS} relays in order"));
        return None;
    }
    let mut relays: Vec<Settings> = Vec::new();
    let mut is_good = true;
    for item in items {
        match item.parse(relay) {
            Some(read) if relays.iter().any(|other| is_same(other, &read)) => {
                item.mistake("is in the list already; a relay that fails is not tried again at once");
                is_good = false;
            }
            Some(read) => relays.push(read),
            None => is_good = false,
        }
    }
    is_good.then_some(relays)
}

/// The same server with the same login.
fn is_same(one: &Settings, other: &Settings) -> bool {
    let key = |relay: &Settings| (relay.host().to_owned(), relay.port(), relay.user().map(str::to_owned));
    key(one) == key(other)
}

/// A relay that can be logged in to, if a login is asked for.
fn relay(text: &str) -> Result<Settings, String> {
    let settings = Settings::parse(text).map_err(|error| error.to_string())?;
    if settings.user().is_some_and(str::is_empty) || settings.user().is_some() && !settings.has_password() {
        return Err("has half a login; write smtp://user:password@host, or no login".to_owned());
    }
    Ok(settings)
}

/// How mails leave; a part that is mistaken is `None`.
struct WayOut {
    relays: Option<Vec<Settings>>,
    webhook: Option<Option<WebhookSettings>>,
    from: Option<Option<Sender>>,
}

/// By relays from a sender, or by a webhook: one of the two.
fn way_out(section: &mut Section<'_>) -> WayOut {
    let connection = section.find("connectionString");
    let webhook = section.section("webhook");
    let sender = |found: Found<'_>| found.parse(Sender::parse);
    let Some(webhook) = webhook else {
        if connection.is_none() {
            section.missing(
                "connectionString",
                "write for example \"smtps://user:password@smtp.example.com\", or a webhook in its place",
            );
        }
        let from =
            required(section, "from", "write whom the mails are from, for example \"sender@example.com\"");
        return WayOut {
            relays: connection.and_then(|found| relays(&found)),
            webhook: Some(None),
            from: from.and_then(sender).map(Some),
        };
    };
    if let Some(found) = &connection {
        found.mistake("stands beside webhook, and mails leave by one of the two: leave the other out");
    }
    let from = section.find("from").map(sender);
    WayOut {
        relays: connection.is_none().then(Vec::new),
        webhook: webhook::read(webhook).map(Some),
        from: from.map_or(Some(None), |from| from.map(Some)),
    }
}

fn required<'a>(section: &mut Section<'a>, key: &'static str, advice: &str) -> Option<Found<'a>> {
    let found = section.find(key);
    if found.is_none() {
        section.missing(key, advice);
    }
    found
}

/// Whether a part of the mail is the default, whose link begins with the base.
fn has_default_text(action: &ActionConfig) -> bool {
    action.text_template.is_none() || action.html_template.is_none()
}

/// The texts of one mail. One that is left out keeps its default, unlike in ROS, where the mail never went out.
fn action(section: Option<Section<'_>>, purpose: Purpose, has_base: bool) -> ActionConfig {
    let Some(mut section) = section else { return ActionConfig::default() };
    let mut text = |key, part| {
        let text = section.find_nested(key)?.template()?;
        if let Err(error) = Template::parse(text.as_str(), Rules { purpose, part, has_base }) {
            section.report(text.mistake(error.to_string()));
        }
        Some(text)
    };
    let texts = ActionConfig {
        subject: text("subject", Part::Subject),
        text_template: text("textTemplate", Part::Text),
        html_template: text("htmlTemplate", Part::Html),
    };
    section.finish();
    texts
}
