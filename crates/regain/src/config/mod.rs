//! The configuration: one file (TOML, YAML or JSON) and the environment, read into parsed types.
//!
//! Every mistake is reported at once, with its line, its key and what to write instead, and no message shows a
//! value. Reading goes in steps: a front end makes a format-neutral `tree`, the `reader` takes typed values out
//! of it and of the environment, `read` knows the keys. Nothing here reads the process's environment, opens a
//! socket or touches the database. See `docs/configuration.md` for the keys.

pub(crate) mod address;
mod base_url;
mod environment;
mod keys;
mod load;
mod mistake;
mod network;
mod provider;
mod read;
mod reader;
mod redirect;
mod schema;
mod show;
mod span;
mod tree;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use axum::http::HeaderName;
use regain_core::{Limits, PasswordPolicy, Policy};
use regain_smtp::{Mailbox, Sender};

pub use base_url::{BaseUrl, BaseUrlError};
pub use environment::Environment;
pub use keys::{ConfiguredKey, KeysConfig};
pub use load::{load, load_file, load_over};
pub use mistake::{Mistake, Mistakes, Place};
pub use network::{Network, NetworkError};
pub use provider::{ActionConfig, DkimConfig, EmailHandlerConfig, PasswordAuthProvider, TextAt};
pub use redirect::{RedirectAllowList, RedirectRule, RedirectRuleError, RedirectTarget};
pub use schema::schema;
pub use show::show;

/// The commented configuration that `regain init` writes: every key, with its default.
pub const EXAMPLE: &str = include_str!("example.toml");

/// How many connections to PostgreSQL a process keeps, where nothing is configured.
pub(crate) const DATABASE_CONNECTIONS: usize = 10;

/// All settings. [`Config::default`] is what holds where nothing is configured.
#[derive(Debug, Clone)]
pub struct Config {
    /// The address to listen on.
    pub address: IpAddr,
    /// The port to listen on; 0 takes one that is free.
    pub port: u16,
    /// The directory of the keys, and of the database where it is not in PostgreSQL.
    pub data_path: PathBuf,
    /// The PostgreSQL database; without one, `regain.db` under the data path is used.
    #[cfg(feature = "postgres")]
    pub database: Option<regain_store::PostgresSettings>,
    /// Where the password of `database` was read from, if from a file of its own; it must be private.
    #[cfg(feature = "postgres")]
    pub database_password_file: Option<PathBuf>,
    /// How many connections to PostgreSQL a process keeps at most, beside one that listens.
    #[cfg(feature = "postgres")]
    pub database_connections: usize,
    /// Where browsers reach this server; always `https:` or `http:`.
    pub public_url: Option<BaseUrl>,
    /// Where metrics are served, to whoever reaches it; nowhere where there is none.
    pub admin_address: Option<SocketAddr>,
    /// What pages and mails call the application.
    pub app_name: String,
    /// The proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<Network>,
    /// Where pages may redirect to.
    pub redirect_urls: RedirectAllowList,
    /// How long a session lasts.
    pub refresh_token_ttl: Duration,
    /// How long a reset link is good.
    pub reset_token_lifetime: Duration,
    /// How long a confirmation link is good.
    pub confirm_token_lifetime: Duration,
    /// No session before the address is confirmed.
    pub require_email_confirmation: bool,
    /// Signing in with an unknown name registers it where the client does not say otherwise.
    pub register_by_login: bool,
    /// The header in which a session token is looked for first, before `Authorization` and `x-realm-access-token`
    /// (the ROS setting of that name). Never one that carries something else, such as `Cookie`.
    pub authorization_header_name: Option<HeaderName>,
    /// Whether `keys/admin.json` is made, with an administrator's token in it, and such tokens are accepted (the ROS
    /// setting of that name).
    pub write_admin_token_to_json: bool,
    /// The keys that processes over one database share; what is left out is a file under the data path.
    pub keys: KeysConfig,
    /// What a new password must be.
    pub password_policy: PasswordPolicy,
    /// Limits against abuse.
    pub limits: Limits,
    /// How many connections are open at once (`limits.maxConnections`).
    pub max_connections: usize,
    /// The provider of accounts, with its mail.
    pub auth_provider: PasswordAuthProvider,
}

impl Default for Config {
    fn default() -> Self {
        // What the flows obey has its defaults with the flows.
        let policy = Policy::default();
        Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 9080,
            data_path: PathBuf::from("data"),
            #[cfg(feature = "postgres")]
            database: None,
            #[cfg(feature = "postgres")]
            database_password_file: None,
            #[cfg(feature = "postgres")]
            database_connections: DATABASE_CONNECTIONS,
            public_url: None,
            admin_address: None,
            app_name: "Regain".to_owned(),
            trusted_proxies: Vec::new(),
            redirect_urls: RedirectAllowList::default(),
            refresh_token_ttl: policy.session_lifetime,
            reset_token_lifetime: policy.reset_lifetime,
            confirm_token_lifetime: policy.confirm_lifetime,
            require_email_confirmation: policy.require_confirmation,
            register_by_login: policy.register_by_login,
            authorization_header_name: None,
            write_admin_token_to_json: true,
            keys: KeysConfig::default(),
            password_policy: policy.password,
            limits: policy.limits,
            max_connections: 1_024,
            auth_provider: PasswordAuthProvider::default(),
        }
    }
}

impl Config {
    /// How mail is sent, if it is.
    pub fn email(&self) -> Option<&EmailHandlerConfig> {
        self.auth_provider.email_handler_config.as_ref()
    }

    /// What links in mails begin with: `baseUrl`, else `publicUrl`, else, for a server that only this machine
    /// reaches, its own address. Never anything of a request. `None` where nothing can be known.
    pub fn link_base(&self) -> Option<BaseUrl> {
        let configured = self.email().and_then(|email| email.base_url.as_ref()).or(self.public_url.as_ref());
        configured.cloned().or_else(|| {
            let known = self.address.is_loopback() && self.port != 0;
            known.then(|| BaseUrl::of_this_machine(self.port))
        })
    }

    /// What the flows obey by these settings.
    pub fn policy(&self) -> Policy {
        Policy {
            mail: self.email().is_some(),
            reset_lifetime: self.reset_token_lifetime,
            confirm_lifetime: self.confirm_token_lifetime,
            session_lifetime: self.refresh_token_ttl,
            admin_token: self.write_admin_token_to_json,
            require_confirmation: self.require_email_confirmation,
            register_by_login: self.register_by_login,
            password: self.password_policy,
            limits: self.limits,
            ..Policy::default()
        }
    }

    /// What is allowed but worth a second look before users find it, each a sentence for the operator.
    pub fn warnings(&self) -> Vec<&'static str> {
        self.warnings_by_subject().into_iter().map(|(_, warning)| warning).collect()
    }

    /// As [`Config::warnings`], each behind the word for what it is about.
    pub fn warnings_by_subject(&self) -> Vec<(&'static str, &'static str)> {
        let mut warnings = Vec::new();
        if self.keys.knows_its_own_key_as_another() {
            warnings.push((
                "keys",
                "an other key of keys is the one that is in use, and so names no other: earlier sessions, or waiting links,                  end with it where the earlier one was meant",
            ));
        }
        let Some(email) = self.email() else {
            if self.require_email_confirmation {
                warnings.push((
                    "mail",
                    "requireEmailConfirmation is true, but without emailHandlerConfig nobody gets a \
                     confirmation mail, so nobody can sign in",
                ));
            }
            return warnings;
        };
        match &email.base_url {
            Some(base) if !base.is_web() => warnings.push((
                "links",
                "baseUrl is an app's own scheme: another app on the device may claim it; an https: app link \
                 or universal link cannot be claimed (RFC 8252 section 8.1)",
            )),
            None if self.public_url.is_none() => {
                warnings.push((
                    "links",
                    "neither baseUrl nor publicUrl is set: links in mails work on this machine only",
                ));
            }
            _ => {}
        }
        if self.link_base().is_some_and(|base| base.is_insecure()) {
            warnings.push((
                "links",
                "links in mails are http:, so whoever sees the traffic can take over accounts",
            ));
        }
        if email.from.iter().flat_map(Sender::mailboxes).any(Mailbox::needs_smtputf8) {
            warnings.push((
                "sender",
                "from has letters beyond ASCII before its @, which only a relay with SMTPUTF8 takes, and only for \
                 mailboxes that take it, too",
            ));
        }
        let is_aligned = |from: &str| email.dkim.iter().any(|dkim| dkim.signer.is_aligned_with(from));
        if !email.dkim.is_empty()
            && !email.from.iter().flat_map(Sender::mailboxes).all(|from| is_aligned(from.domain()))
        {
            warnings.push((
                "dkim",
                "no key of dkim is for the domain of from, so the signatures do not count for it (DMARC): write the \
                 domain of from into domainName",
            ));
        }
        warnings
    }
}

#[cfg(test)]
mod tests;
