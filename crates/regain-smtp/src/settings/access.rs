//! Owns what can be asked of settings, with the defaults of what a URL leaves out.

use std::borrow::Cow;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use super::{AuthMethod, Settings, StartTls, TlsCa, TlsVersion};

/// What nodemailer has where a URL is silent.
const DEFAULT_CONNECTIONS: usize = 5;
const DEFAULT_MESSAGES: usize = 100;
const DEFAULT_RATE_DELTA: Duration = Duration::from_secs(1);

impl Settings {
    /// Host name in A-labels and lower case, or an IP address without brackets.
    pub fn host(&self) -> &str {
        self.host.as_str()
    }

    /// TCP port; without one in the URL 465 for `smtps:` and 587 for `smtp:`, never 25.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether TLS is spoken from the first byte (`smtps:`).
    pub fn secure(&self) -> bool {
        self.secure
    }

    /// The user to log in as. `None`: no login. May be empty when the URL has only a password.
    pub fn user(&self) -> Option<&str> {
        self.login.as_ref().map(|login| login.user.as_str())
    }

    /// Whether there is a password that is not empty.
    pub fn has_password(&self) -> bool {
        self.login.as_ref().is_some_and(|login| !login.password.is_empty())
    }

    /// The password in clear; `Some("")` when the URL names only a user. Never log what this returns.
    pub fn expose_password(&self) -> Option<&str> {
        self.login.as_ref().map(|login| login.password.as_str())
    }

    /// `pool` as the URL says it. Connections are kept either way.
    pub fn pool(&self) -> bool {
        self.options.pool.unwrap_or(false)
    }

    /// The most connections that are ever open at once.
    pub fn max_connections(&self) -> usize {
        number(self.options.max_connections, DEFAULT_CONNECTIONS)
    }

    /// How many messages a connection takes before it is renewed.
    pub fn max_messages(&self) -> usize {
        number(self.options.max_messages, DEFAULT_MESSAGES)
    }

    /// The most messages in each [`Settings::rate_delta`], over all connections together. `None`: no limit.
    pub fn rate_limit(&self) -> Option<NonZeroU32> {
        self.options.rate_limit
    }

    /// The time that [`Settings::rate_limit`] counts in; never zero.
    pub fn rate_delta(&self) -> Duration {
        self.options.rate_delta.unwrap_or(DEFAULT_RATE_DELTA)
    }

    /// How long a connection is kept without use. `None`: the URL does not say; never zero.
    pub fn idle_timeout(&self) -> Option<Duration> {
        self.options.idle_timeout
    }

    /// The longest until a connection can be used: with the lookup of the name, TLS and STARTTLS, as in nodemailer 10.
    /// `None`: the URL does not say; never zero. So too for the three below.
    pub fn connection_timeout(&self) -> Option<Duration> {
        self.options.connection_timeout
    }

    /// The longest until the greeting.
    pub fn greeting_timeout(&self) -> Option<Duration> {
        self.options.greeting_timeout
    }

    /// The longest without a byte from the relay while something is awaited of it.
    pub fn socket_timeout(&self) -> Option<Duration> {
        self.options.socket_timeout
    }

    /// The longest for looking up the host's addresses.
    pub fn dns_timeout(&self) -> Option<Duration> {
        self.options.dns_timeout
    }

    /// The address of this machine to connect from. `None`: the system chooses.
    pub fn local_address(&self) -> Option<IpAddr> {
        self.options.local_address
    }

    /// The one mechanism to log in with, as the URL or a service's preset says it. `None`: the best of those that the
    /// relay offers. With [`AuthMethod::XOAuth2`] the password is the access token: nodemailer has no way to give one
    /// in a URL.
    pub fn auth_method(&self) -> Option<AuthMethod> {
        self.options.auth_method
    }

    /// The service whose preset was put over the URL, in nodemailer's spelling (`Gmail`).
    pub fn service(&self) -> Option<&'static str> {
        self.options.service.map(|service| service.name)
    }

    /// `requireTLS` as the URL or a service's preset says it; [`Settings::starttls`] is what follows from it.
    pub fn require_tls(&self) -> bool {
        self.options.require_tls.unwrap_or(false)
    }

    /// `ignoreTLS` as the URL or a service's preset says it.
    pub fn ignore_tls(&self) -> bool {
        self.options.ignore_tls.unwrap_or(false)
    }

    /// Whether a session whose STARTTLS command is refused goes on in clear text, without a login. A handshake that
    /// fails ends it in any case.
    pub fn opportunistic_tls(&self) -> bool {
        self.options.opportunistic_tls.unwrap_or(false) && self.starttls() == StartTls::Optional
    }

    /// Whether the relay's certificate must be valid and fit its name.
    pub fn reject_unauthorized(&self) -> bool {
        self.options.reject_unauthorized.unwrap_or(true)
    }

    /// The name to ask for and to expect in the certificate, where it is not the host.
    pub fn servername(&self) -> Option<&str> {
        self.options.servername.as_deref()
    }

    /// The certificate authorities to trust, and no others. `None`: the URL does not say.
    pub fn tls_ca(&self) -> Option<&TlsCa> {
        self.options.ca.as_ref()
    }

    /// The oldest version of TLS to speak. `None`: the URL does not say.
    pub fn tls_min_version(&self) -> Option<TlsVersion> {
        self.options.min_version
    }

    /// The name to give in EHLO, where the URL chooses one.
    pub fn name(&self) -> Option<&str> {
        self.options.name.as_deref()
    }

    /// The options that the URL itself names or a service's preset sets, in a fixed order, each with its value in one
    /// normal form: booleans are `true` or `false`, times are in milliseconds, certificates are not repeated. What is
    /// left out, or zero where that means the default, is not here: see the method of each option. `host`, `port` and
    /// `secure` have methods alone.
    pub fn written_options(&self) -> Vec<(&'static str, Cow<'_, str>)> {
        self.options.written()
    }

    /// The rule for STARTTLS: required beyond loopback unless the URL says otherwise. `requireTLS=true` wins over
    /// `ignoreTLS=true` and over `opportunisticTLS=true`, as in nodemailer 10.
    pub fn starttls(&self) -> StartTls {
        if self.secure {
            return StartTls::Never;
        }
        match (self.options.require_tls, self.ignore_tls()) {
            (Some(true), _) => StartTls::Required,
            (_, true) => StartTls::Never,
            (Some(false), false) => StartTls::Optional,
            _ if self.options.opportunistic_tls == Some(true) => StartTls::Optional,
            (None, false) if self.host.is_loopback() => StartTls::Optional,
            (None, false) => StartTls::Required,
        }
    }
}

fn number(said: Option<NonZeroU32>, default: usize) -> usize {
    said.and_then(|said| usize::try_from(said.get()).ok()).unwrap_or(default)
}
