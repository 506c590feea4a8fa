//! The keys of the configuration, what each may hold, and where it goes in [`Config`].
//!
//! Defaults do not stand here: a key that is absent leaves the setting as it was.

#[cfg(feature = "postgres")]
mod database;
mod dkim;
mod header;
pub(super) mod keys;
pub(super) mod limits;
mod provider;
mod ros;
mod webhook;

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use super::Config;
use super::base_url::BaseUrl;
use super::reader::{Context, Found, Section};
use super::redirect::{RedirectAllowList, RedirectRule};
use super::tree::Node;

const DAY: u64 = 86_400;

/// Sessions of ROS lasted up to a hundred years.
pub(super) const SESSIONS: RangeInclusive<Duration> = seconds(1, 36_525 * DAY);
/// NIST SP 800-63B-4, 4.2.1.2: a recovery code that is mailed is good for a day at most.
pub(super) const RESETS: RangeInclusive<Duration> = seconds(1, DAY);
/// What `confirmTokenLifetime` may be.
pub(super) const CONFIRMATIONS: RangeInclusive<Duration> = seconds(1, 31 * DAY);

/// What `passwordPolicy.minLength` may be.
pub(super) const PASSWORD_LENGTHS: RangeInclusive<usize> = 1..=regain_core::password::MAX_BYTES;

/// Reads the whole configuration; mistakes are the context's to collect.
pub(super) fn read<'a>(context: &'a Context<'a>, tree: Option<&'a Node>, settings: Config) -> Config {
    let mut config = settings;
    let mut top = context.root(tree);
    put(&mut config.address, top.find("address").and_then(|found| found.parse(address)));
    put(&mut config.port, top.find("port").and_then(|found| found.integer(0..=u16::MAX)));
    put(&mut config.data_path, top.find("dataPath").and_then(|found| found.path()));
    let public_url = top.find("publicUrl");
    if let Some(url) = public_url.as_ref().and_then(|found| found.parse(public)) {
        config.public_url = Some(url);
    }
    let admin_address = top.find("adminAddress");
    if let Some(address) = admin_address.and_then(|found| found.parse(admin)) {
        config.admin_address = Some(address);
    }
    put(&mut config.app_name, top.find("appName").and_then(|found| found.parse(app_name)));
    put(&mut config.trusted_proxies, list(&mut top, "trustedProxies", |item| item.parse(str::parse)));
    let rules = list(&mut top, "redirectUrls", |item| item.parse(RedirectRule::parse));
    put(&mut config.redirect_urls, rules.map(RedirectAllowList::new));
    put(&mut config.refresh_token_ttl, time(&mut top, "refreshTokenTtl", SESSIONS));
    put(&mut config.reset_token_lifetime, time(&mut top, "resetTokenLifetime", RESETS));
    put(&mut config.confirm_token_lifetime, time(&mut top, "confirmTokenLifetime", CONFIRMATIONS));
    put(&mut config.require_email_confirmation, boolean(&mut top, "requireEmailConfirmation"));
    put(&mut config.register_by_login, boolean(&mut top, "registerByLogin"));
    let header = top.find("authorizationHeaderName");
    if let Some(name) = header.and_then(|found| found.parse(header::for_tokens)) {
        config.authorization_header_name = Some(name);
    }
    put(&mut config.write_admin_token_to_json, boolean(&mut top, "writeAdminTokenToJson"));
    #[cfg(feature = "postgres")]
    database::read(&mut top, &mut config);
    #[cfg(not(feature = "postgres"))]
    refuse(&mut top, "database", "is not known to this build, which has no PostgreSQL; leave it out");
    let keys = top.find_nested("keys").and_then(Found::section);
    let policy = top.nested("passwordPolicy").section();
    let limits = top.nested("limits").section();
    let providers = top.find_nested("authProviders");
    // The nested tables are read last, so that they know which keys belong at the top.
    top.finish_with(ros::TOP);

    if let Some(section) = keys {
        keys::read(section, &mut config.keys);
    }
    if let Some(section) = policy {
        password_policy(section, &mut config);
    }
    if let Some(section) = limits {
        limits::read(section, &mut config);
    }
    if let Some(found) = providers {
        provider::read(found, public_url.as_ref(), &mut config);
    }
    config
}

fn password_policy(mut section: Section<'_>, config: &mut Config) {
    let policy = &mut config.password_policy;
    let length = section.find("minLength");
    put(&mut policy.min_length, length.and_then(|found| found.integer(PASSWORD_LENGTHS)));
    put(&mut policy.require_current, boolean(&mut section, "requireCurrent"));
    section.finish();
}

fn address(text: &str) -> Result<IpAddr, &'static str> {
    text.parse()
        .map_err(|_| "is no IP address; write for example \"127.0.0.1\", or \"0.0.0.0\" for all networks")
}

fn admin(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse().map_err(|_| "is no IP address with a port; write for example \"127.0.0.1:9081\"")
}

fn public(text: &str) -> Result<BaseUrl, String> {
    let url = BaseUrl::parse(text).map_err(|error| error.to_string())?;
    let advice = "must be https: or http:; an app's own scheme belongs in baseUrl of emailHandlerConfig";
    if url.is_web() { Ok(url) } else { Err(advice.to_owned()) }
}

fn app_name(text: &str) -> Result<String, &'static str> {
    let name = text.trim();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err("must be one line of 1 to 100 characters");
    }
    Ok(name.to_owned())
}

/// Keeps the setting where the key is absent or mistaken.
fn put<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

fn boolean(section: &mut Section<'_>, key: &'static str) -> Option<bool> {
    section.find(key)?.boolean()
}

fn time(section: &mut Section<'_>, key: &'static str, range: RangeInclusive<Duration>) -> Option<Duration> {
    section.find(key)?.time(range)
}

fn list<T>(
    section: &mut Section<'_>,
    key: &'static str,
    read: impl FnMut(Found<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    Some(section.find_nested(key)?.items()?.into_iter().filter_map(read).collect())
}

/// A key that is known but cannot be used: saying so is better than ignoring it.
#[cfg(not(feature = "postgres"))]
fn refuse(section: &mut Section<'_>, key: &'static str, reason: &str) {
    if let Some(found) = section.find_nested(key) {
        found.mistake(reason);
    }
}

const fn seconds(least: u64, most: u64) -> RangeInclusive<Duration> {
    Duration::from_secs(least)..=Duration::from_secs(most)
}
