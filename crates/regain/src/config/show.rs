//! The settings in force as TOML that loads again, without secrets.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use regain_smtp::{DkimFields, Mailbox, Sender, Settings};

use super::provider::{ActionConfig, DkimConfig, EmailHandlerConfig, TextAt};
use super::{Config, KeysConfig, span};
use crate::keys::public_key_pem;
use crate::mail::WebhookSettings;

/// In place of a secret.
const HIDDEN: &str = "***";

/// Writes all settings as TOML, the defaults too. Secrets are `***`, or the file that they were read from; what is not set is
/// left out.
pub fn show(config: &Config) -> String {
    let mut out = Toml::default();
    out.text("address", &config.address);
    out.plain("port", config.port);
    out.text("dataPath", &absolute(&config.data_path).display());
    #[cfg(feature = "postgres")]
    {
        out.optional("database", config.database.as_ref());
        match &config.database_password_file {
            Some(file) => out.text("databasePasswordFile", &absolute(file).display()),
            None if config.database.as_ref().is_some_and(|database| database.has_password_apart()) => {
                out.text("databasePassword", &HIDDEN);
            }
            None => {}
        }
        out.plain("databaseConnections", config.database_connections);
    }
    out.optional("publicUrl", config.public_url.as_ref());
    out.optional("adminAddress", config.admin_address.as_ref());
    out.text("appName", &config.app_name);
    out.list("trustedProxies", config.trusted_proxies.iter());
    out.list("redirectUrls", config.redirect_urls.rules().iter().map(|rule| rule.as_str()));
    out.text("refreshTokenTtl", &span::show(config.refresh_token_ttl));
    out.text("resetTokenLifetime", &span::show(config.reset_token_lifetime));
    out.text("confirmTokenLifetime", &span::show(config.confirm_token_lifetime));
    out.plain("requireEmailConfirmation", config.require_email_confirmation);
    out.plain("registerByLogin", config.register_by_login);
    out.optional("authorizationHeaderName", config.authorization_header_name.as_ref());
    out.plain("writeAdminTokenToJson", config.write_admin_token_to_json);

    keys(&mut out, &config.keys);

    out.header("[passwordPolicy]");
    out.plain("minLength", config.password_policy.min_length);
    out.plain("requireCurrent", config.password_policy.require_current);

    let limits = &config.limits;
    out.header("[limits]");
    out.plain("perAddress", limits.per_address);
    out.switch("failedSignIns", limits.failed_sign_ins);
    out.switch("mailPerHour", limits.mail_per_hour);
    out.switch("waitingLetters", limits.waiting_letters);
    out.plain("maxConnections", config.max_connections);
    out.header("[limits.perClient]");
    out.switch("signIn", limits.sign_in);
    out.switch("register", limits.register);
    out.switch("mail", limits.mail);
    out.switch("tokenGuesses", limits.token_guesses);

    out.header("[[authProviders]]");
    out.text("type", &"password");
    if let Some(email) = config.email() {
        handler(&mut out, email);
    }
    out.0
}

/// Nothing where all keys are files under the data path. A public key is no secret.
fn keys(out: &mut Toml, keys: &KeysConfig) {
    let KeysConfig { token_key, other_token_keys, signing_key, other_public_keys } = keys;
    let is_default = token_key.is_none() && signing_key.is_none();
    if is_default && other_token_keys.is_empty() && other_public_keys.is_empty() {
        return;
    }
    out.header("[keys]");
    if let Some(key) = token_key {
        out.plain("tokenKey", secret(key.file.as_deref()));
    }
    let others: Vec<_> = other_token_keys.iter().map(|key| secret(key.file.as_deref())).collect();
    out.plain("otherTokenKeys", format_args!("[{}]", others.join(", ")));
    if let Some(key) = signing_key {
        out.plain("signingKey", secret(key.file.as_deref()));
    }
    let public = other_public_keys.iter().map(|other| public_key_pem(&other.key).to_string());
    out.list("otherPublicKeys", public);
}

fn handler(out: &mut Toml, email: &EmailHandlerConfig) {
    out.header("[authProviders.emailHandlerConfig]");
    out.optional("baseUrl", email.base_url.as_ref());
    match email.relays.as_slice() {
        [] => {}
        [relay] => out.text("connectionString", &relay.redacted()),
        relays => out.list("connectionString", relays.iter().map(Settings::redacted)),
    }
    out.optional("from", email.from.as_ref().map(sender));
    out.plain("allowInsecureBaseUrl", email.allow_insecure_base_url);
    if let Some(shown) = &email.webhook {
        webhook(out, shown);
    }
    dkim(out, &email.dkim);
    action(out, "resetActionConfig", &email.reset_action_config);
    action(out, "confirmActionConfig", &email.confirm_action_config);
    action(out, "changedActionConfig", &email.changed_action_config);
}

/// Which fields are signed is one setting for all keys; from Rust it may differ, and the first key's is shown.
fn dkim(out: &mut Toml, keys: &[DkimConfig]) {
    let Some(first) = keys.first() else { return };
    out.header("[authProviders.emailHandlerConfig.dkim]");
    if *first.signer.fields() != DkimFields::default() {
        let fields: Vec<&str> = first.signer.fields().iter().collect();
        out.text("headerFieldNames", &fields.join(":"));
    }
    for key in keys {
        if keys.len() > 1 {
            out.header("[[authProviders.emailHandlerConfig.dkim.keys]]");
        }
        out.text("domainName", &key.signer.domain());
        out.text("keySelector", &key.signer.selector());
        out.plain("privateKey", secret(key.key_file.as_deref()));
    }
}

fn webhook(out: &mut Toml, webhook: &WebhookSettings) {
    out.header("[authProviders.emailHandlerConfig.webhook]");
    out.text("url", &webhook.redacted());
    match webhook.secret_count() {
        1 => out.text("secret", &HIDDEN),
        count => out.list("secret", std::iter::repeat_n(HIDDEN, count)),
    }
    out.text("timeout", &span::show(webhook.timeout()));
    out.plain("maxConnections", webhook.max_connections());
    if webhook.header_names().next().is_some() {
        out.header("[authProviders.emailHandlerConfig.webhook.headers]");
    }
    for name in webhook.header_names() {
        out.text(&quoted(&name), &HIDDEN);
    }
}

fn action(out: &mut Toml, key: &str, action: &ActionConfig) {
    let texts = [
        ("subject", &action.subject),
        ("textTemplate", &action.text_template),
        ("htmlTemplate", &action.html_template),
    ];
    if texts.iter().any(|(_, text)| text.is_some()) {
        out.header(&format!("[authProviders.emailHandlerConfig.{key}]"));
    }
    for (key, text) in texts {
        out.optional(key, text.as_ref().map(TextAt::as_str));
    }
}

/// The file that a secret was read from, or that there is one.
fn secret(file: Option<&Path>) -> String {
    match file {
        Some(file) => format!("{{ file = {} }}", quoted(&absolute(file).display())),
        None => quoted(&HIDDEN),
    }
}

/// A relative path would be read as relative to the file that this is written to.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The sender as a header would have it.
fn sender(from: &Sender) -> String {
    let mailbox = |mailbox: &Mailbox| match mailbox.name() {
        "" => mailbox.address().to_owned(),
        name => {
            let name = name.replace('\\', "\\\\").replace('"', "\\\"");
            format!("\"{name}\" <{}>", mailbox.address())
        }
    };
    from.mailboxes().iter().map(mailbox).collect::<Vec<_>>().join(", ")
}

/// Lines of TOML; how text is quoted is the `toml` crate's business.
#[derive(Default)]
struct Toml(String);

impl Toml {
    fn plain(&mut self, key: &str, value: impl Display) {
        self.0.push_str(&format!("{key} = {value}\n"));
    }

    fn text(&mut self, key: &str, value: &dyn Display) {
        self.plain(key, quoted(value));
    }

    fn optional(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.text(key, &value);
        }
    }

    fn switch(&mut self, key: &str, value: Option<impl Display>) {
        match value {
            Some(value) => self.plain(key, value),
            None => self.plain(key, false),
        }
    }

    fn list(&mut self, key: &str, values: impl Iterator<Item = impl Display>) {
        let values: Vec<String> = values.map(|value| quoted(&value)).collect();
        self.plain(key, format_args!("[{}]", values.join(", ")));
    }

    fn header(&mut self, header: &str) {
        self.0.push_str(&format!("\n{header}\n"));
    }
}

fn quoted(value: &dyn Display) -> String {
    toml::Value::String(value.to_string()).to_string()
}
