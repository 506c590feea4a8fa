//! Connecting to one of several servers: to the first that takes writes, and none that hangs may hold that up.
//!
//! The client library goes through the servers too, but bounds only how long TCP takes: a server that takes connections and
//! says nothing would keep everybody from the one that took its place.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use deadpool_postgres::Connect;
use futures_util::future::BoxFuture;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::{Host, LoadBalanceHosts};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::pool::SESSION;
use super::settings::PostgresSettings;

/// What reads from a connection.
pub(super) type Reading = Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>;

/// The servers of a URL.
#[derive(Clone)]
pub(super) struct Servers {
    each: Vec<Config>,
    tls: MakeRustlsConnect,
    /// Which one is tried first: the last that worked, of these settings.
    first: Arc<AtomicUsize>,
    takes_turns: bool,
}

impl Servers {
    pub(super) fn of(settings: &PostgresSettings, tls: MakeRustlsConnect) -> Self {
        let all = &settings.config;
        let each = apart(all);
        let takes_turns = all.get_load_balance_hosts() == LoadBalanceHosts::Random;
        Self { each, tls, first: settings.first.clone(), takes_turns }
    }

    /// Connects to one that takes writes. Each gets as long as `connect_timeout` says (3 s), its greeting included; where the
    /// last of them hangs, they are tried again, so the caller bounds all of it. It may give up at any point.
    ///
    /// # Errors
    /// What the last of them said.
    pub(super) async fn connect(&self) -> Result<(Client, Reading), Error> {
        if let [only] = self.each.as_slice() {
            return only.connect(self.tls.clone()).await;
        }
        loop {
            let mut last = None;
            let first = self.first.load(Ordering::Relaxed);
            for index in (0..self.each.len()).map(|step| (first + step) % self.each.len()) {
                let Some(server) = self.each.get(index) else { break };
                let next = (index + 1) % self.each.len();
                let mut attempt = Attempt { first: &self.first, index, next, has_worked: false };
                let connecting = server.connect(self.tls.clone());
                let outcome = match server.get_connect_timeout() {
                    Some(time) => timeout(*time, connecting).await.ok(),
                    None => Some(connecting.await),
                };
                match outcome {
                    Some(Ok(connected)) => {
                        attempt.has_worked = true;
                        self.first.store(if self.takes_turns { next } else { index }, Ordering::Relaxed);
                        return Ok(connected);
                    }
                    Some(Err(error)) => last = Some(error),
                    None => {}
                }
            }
            if let Some(error) = last {
                return Err(error);
            }
        }
    }
}

/// An attempt at one server. Where it fails, or is given up by whoever waits for it, others begin with the next one.
struct Attempt<'a> {
    first: &'a AtomicUsize,
    index: usize,
    next: usize,
    has_worked: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if !self.has_worked {
            // Unless somebody has found one that works meanwhile.
            let _ = self.first.compare_exchange(self.index, self.next, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

/// For the pool: connections whose sessions are set up.
impl Connect for Servers {
    fn connect(&self, _: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        Box::pin(async move {
            let (client, mut connection) = Self::connect(self).await?;
            let reading = tokio::spawn(async move {
                // Whoever waits for an answer gets the error too.
                while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                    if is_given_up(&message) {
                        tracing::error!(
                            event = "commit_not_replicated",
                            "somebody cancelled a commit that waited for its standby; it is not answered"
                        );
                        break;
                    }
                }
            });
            client.batch_execute(SESSION).await?;
            Ok((client, reading))
        })
    }
}

/// Whether the server says that the commit it is about to confirm is on no standby: an administrator has cancelled its wait
/// (`SyncRepWaitForLSN` in PostgreSQL's `syncrep.c`). Told by the routine, since the words are in the server's language.
fn is_given_up(message: &AsyncMessage) -> bool {
    matches!(message, AsyncMessage::Notice(notice) if notice.routine() == Some("SyncRepWaitForLSN"))
}

/// The same for each of its servers alone. Where it names more of one thing than of another it stays as it is: the client
/// library has words for that.
fn apart(all: &Config) -> Vec<Config> {
    let (hosts, addresses, ports) = (all.get_hosts().len(), all.get_hostaddrs().len(), all.get_ports().len());
    let count = hosts.max(addresses);
    let fits = |given: usize| given == 0 || given == count;
    if !fits(hosts) || !fits(addresses) || !(fits(ports) || ports == 1) {
        return vec![all.clone()];
    }
    (0..count).map(|index| only(all, index)).collect()
}

/// A configuration has no way to take a server out of it, so it is made anew.
fn only(all: &Config, index: usize) -> Config {
    let mut one = Config::new();
    one.ssl_mode(all.get_ssl_mode())
        .ssl_negotiation(all.get_ssl_negotiation())
        .keepalives(all.get_keepalives())
        .keepalives_idle(all.get_keepalives_idle())
        .target_session_attrs(all.get_target_session_attrs())
        .channel_binding(all.get_channel_binding())
        .load_balance_hosts(all.get_load_balance_hosts());
    match all.get_hosts().get(index) {
        Some(Host::Tcp(name)) => drop(one.host(name)),
        Some(Host::Unix(path)) => drop(one.host_path(path)),
        None => {}
    }
    if let Some(address) = all.get_hostaddrs().get(index) {
        one.hostaddr(*address);
    }
    if let Some(port) = all.get_ports().get(index).or(all.get_ports().first()) {
        one.port(*port);
    }
    if let Some(user) = all.get_user() {
        one.user(user);
    }
    if let Some(password) = all.get_password() {
        one.password(password);
    }
    if let Some(name) = all.get_dbname() {
        one.dbname(name);
    }
    if let Some(options) = all.get_options() {
        one.options(options);
    }
    if let Some(name) = all.get_application_name() {
        one.application_name(name);
    }
    if let Some(time) = all.get_connect_timeout() {
        one.connect_timeout(*time);
    }
    if let Some(time) = all.get_tcp_user_timeout() {
        one.tcp_user_timeout(*time);
    }
    if let Some(time) = all.get_keepalives_interval() {
        one.keepalives_interval(time);
    }
    if let Some(count) = all.get_keepalives_retries() {
        one.keepalives_retries(count);
    }
    one
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_keeps_all_that_was_said_of_it_and_of_all() {
        let all = "host=one,two hostaddr=127.0.0.1,127.0.0.2 port=1,2 user=u password=p dbname=d options='-c a=b' \
                   application_name=n sslmode=require sslnegotiation=direct connect_timeout=7 tcp_user_timeout=8 \
                   keepalives=0 keepalives_idle=9 keepalives_interval=10 keepalives_retries=11 \
                   target_session_attrs=read-write channel_binding=require load_balance_hosts=random";
        let one = |text: &str, host: &str, address: &str, port: &str| -> Config {
            let text = text.replace("one,two", host).replace("127.0.0.1,127.0.0.2", address);
            text.replace("port=1,2", port).parse().expect("a configuration")
        };
        let expected = [one(all, "one", "127.0.0.1", "port=1"), one(all, "two", "127.0.0.2", "port=2")];
        assert!(apart(&all.parse().expect("a configuration")) == expected);
        let shared = "host=one,/run/two port=5 user=u";
        let expected = ["host=one port=5 user=u", "host=/run/two port=5 user=u"];
        let expected = expected.map(|text| text.parse::<Config>().expect("a configuration"));
        assert!(apart(&shared.parse().expect("a configuration")) == expected);
    }

    #[test]
    fn lists_that_do_not_fit_are_left_to_the_client_library() {
        let all: Config = "host=one,two port=1,2,3 user=u".parse().expect("a configuration");
        assert!(apart(&all) == [all.clone()]);
    }
}
