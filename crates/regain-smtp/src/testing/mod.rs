//! A scripted SMTP server for tests: it behaves well until it is told, phase by phase, not to.
//!
//! It owns a loopback port, an optional certificate, and a record of every byte. It must not be part of a
//! production build; its feature is `testing`.
#![expect(clippy::expect_used, reason = "this is test support: a panic is a failed test")]

mod behaviour;
mod dialogue;
mod record;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

pub use behaviour::Behaviour;
pub use record::{Connection, Received};

use crate::{Phase, TlsVersion};
use dialogue::Dialogue;
use record::{Room, Script, State};

/// How long [`ScriptedServer::wait_for_messages`] waits before the test fails.
const PATIENCE: Duration = Duration::from_secs(60);

/// When the server speaks TLS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ServerTls {
    /// Never.
    #[default]
    None,
    /// After `STARTTLS`, which it offers.
    StartTls,
    /// From the first byte.
    Immediate,
}

/// What a [`ScriptedServer`] offers.
#[derive(Debug, Clone)]
pub struct Features {
    /// When it speaks TLS.
    pub tls: ServerTls,
    /// Names and addresses in its certificate.
    pub certificate_names: Vec<String>,
    /// Whether its certificate has expired.
    pub certificate_expired: bool,
    /// The certificate to show, with its key behind it in PEM, in place of one that it makes for itself. They need
    /// not belong together.
    pub certificate_with_key: Option<String>,
    /// The newest TLS that it speaks.
    pub newest_tls: TlsVersion,
    /// Lines of the EHLO reply besides STARTTLS and AUTH.
    pub extensions: Vec<String>,
    /// The mechanisms of its AUTH line; none, no line.
    pub mechanisms: Vec<String>,
    /// The user and password that it lets in; others get 535.
    pub login: Option<(String, String)>,
}

impl Default for Features {
    /// No TLS, no login, PIPELINING, SIZE and 8BITMIME; a certificate for `localhost`, `127.0.0.1` and `::1`.
    fn default() -> Self {
        Self {
            tls: ServerTls::None,
            certificate_names: vec!["localhost".into(), "127.0.0.1".into(), "::1".into()],
            certificate_expired: false,
            certificate_with_key: None,
            newest_tls: TlsVersion::Tls13,
            extensions: vec!["PIPELINING".into(), "SIZE 10000000".into(), "8BITMIME".into()],
            mechanisms: Vec::new(),
            login: None,
        }
    }
}

impl Features {
    /// The defaults with TLS.
    pub fn tls(tls: ServerTls) -> Self {
        Self { tls, ..Self::default() }
    }

    /// Offers AUTH PLAIN and LOGIN and lets one user in.
    pub fn with_login(mut self, user: &str, password: &str) -> Self {
        self.mechanisms = vec!["PLAIN".into(), "LOGIN".into()];
        self.login = Some((user.into(), password.into()));
        self
    }
}

/// An SMTP server on a loopback port of its own. It ends, with all connections, when it is dropped.
pub struct ScriptedServer {
    address: SocketAddr,
    features: Arc<Features>,
    certificate_pem: String,
    state: Arc<State>,
    _listening: AbortOnDropHandle<()>,
}

impl ScriptedServer {
    /// A server with the default [`Features`].
    pub async fn start() -> Self {
        Self::with(Features::default()).await
    }

    /// A server with these features.
    pub async fn with(features: Features) -> Self {
        let (acceptor, certificate_pem) = certificate(&features);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free loopback port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let features = Arc::new(features);
        let state = Arc::new(State::default());
        let listening = tokio::spawn(listen(listener, acceptor, Arc::clone(&features), Arc::clone(&state)));
        Self { address, features, certificate_pem, state, _listening: AbortOnDropHandle::new(listening) }
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// A connection URL for this server, without login: `smtp://127.0.0.1:port`, or `smtps:` as its TLS asks.
    pub fn url(&self) -> String {
        let scheme = if self.features.tls == ServerTls::Immediate { "smtps" } else { "smtp" };
        format!("{scheme}://{}", self.address)
    }

    /// The certificate to trust, as PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// From now on behaves so at this phase, on open connections too.
    pub fn on(&self, phase: Phase, behaviour: Behaviour) {
        self.state.set(phase, Script { skip: 0, times: None, behaviour });
    }

    /// Behaves so the next `times` times it comes to this phase.
    pub fn on_next(&self, times: usize, phase: Phase, behaviour: Behaviour) {
        self.state.set(phase, Script { skip: 0, times: Some(times), behaviour });
    }

    /// Behaves well the next `skip` times it comes to this phase, and then once so.
    pub fn on_after(&self, skip: usize, phase: Phase, behaviour: Behaviour) {
        self.state.set(phase, Script { skip, times: Some(1), behaviour });
    }

    /// From now on has room for so many connections at once; those that are more meet this behaviour at this phase.
    pub fn room_for(&self, connections: usize, phase: Phase, behaviour: Behaviour) {
        self.state.set_room(Room { connections, phase, behaviour });
    }

    /// Behaves well again, at every phase.
    pub fn behave(&self) {
        self.state.clear();
    }

    /// The messages it has accepted, in order.
    pub fn messages(&self) -> Vec<Received> {
        self.received().into_iter().filter(|message| message.accepted).collect()
    }

    /// All messages that came in whole, also those it then refused or left without an answer.
    pub fn received(&self) -> Vec<Received> {
        self.state.received()
    }

    /// Waits until it has accepted `count` messages; panics when that takes too long.
    pub async fn wait_for_messages(&self, count: usize) -> Vec<Received> {
        self.wait_until("messages", |server| server.messages().len() >= count).await;
        self.messages()
    }

    /// Waits until the server has come to this phase `count` times; panics when that takes too long. With
    /// [`Behaviour::Silence`] this is how a test knows that the client hangs there.
    pub async fn wait_for_phase(&self, phase: Phase, count: usize) {
        self.wait_until("phase", |server| server.state.visits(phase).len() >= count).await;
    }

    /// When it came to this phase, each time.
    pub fn times(&self, phase: Phase) -> Vec<Instant> {
        self.state.visits(phase)
    }

    /// Waits until this much holds of one connection's bytes, as text; panics when that takes too long.
    pub async fn wait_for_text(&self, connection: usize, holds: impl Fn(&str) -> bool) {
        let text = |server: &Self| server.state.text(connection);
        self.wait_until("what a client says", |server| text(server).is_some_and(|text| holds(&text))).await;
    }

    /// Waits until no connection is open; panics when that takes too long.
    pub async fn wait_until_idle(&self) {
        self.wait_until("the end of all connections", |server| server.open_connections() == 0).await;
    }

    /// Every connection so far with the bytes that came in over it.
    pub fn connections(&self) -> Vec<Connection> {
        self.state.connections()
    }

    /// How many connections are open now.
    pub fn open_connections(&self) -> usize {
        self.state.open_connections()
    }

    /// The most connections that were ever open at once.
    pub fn most_connections(&self) -> usize {
        self.state.most_connections()
    }

    async fn wait_until(&self, what: &str, reached: impl Fn(&Self) -> bool) {
        let waiting = async {
            loop {
                // Registered before the look, so that a change in between is not missed.
                let changed = self.state.changed();
                if reached(self) {
                    return;
                }
                changed.await;
            }
        };
        let outcome = tokio::time::timeout(PATIENCE, waiting).await;
        assert!(outcome.is_ok(), "the scripted server waited in vain for {what}");
    }
}

fn certificate(features: &Features) -> (TlsAcceptor, String) {
    let pem = features.certificate_with_key.clone().unwrap_or_else(|| made(features));
    let key = PrivateKeyDer::from_pem_slice(pem.as_bytes()).expect("a key");
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem.as_bytes()).map(|one| one.expect("PEM")).collect();
    let versions = match features.newest_tls {
        TlsVersion::Tls12 => &[&rustls::version::TLS12][..],
        TlsVersion::Tls13 => rustls::ALL_VERSIONS,
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let key = provider.key_provider.load_private_key(key).expect("a key that the provider knows");
    // Not looked at: whether they belong together.
    let shown = SingleCertAndKey::from(CertifiedKey::new(chain, key));
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .expect("versions that the provider has")
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(shown));
    let (certificates, _key) = pem.split_at(pem.find("-----BEGIN PRIVATE KEY").expect("a PKCS #8 key"));
    (TlsAcceptor::from(Arc::new(config)), certificates.to_owned())
}

/// A certificate that these features ask for, and its key.
fn made(features: &Features) -> String {
    let mut parameters =
        CertificateParams::new(features.certificate_names.clone()).expect("names for a certificate");
    if features.certificate_expired {
        parameters.not_before = date_time_ymd(1999, 1, 1);
        parameters.not_after = date_time_ymd(2000, 1, 1);
    }
    let key = KeyPair::generate().expect("a key");
    parameters.self_signed(&key).expect("a certificate").pem() + &key.serialize_pem()
}

async fn listen(listener: TcpListener, acceptor: TlsAcceptor, features: Arc<Features>, state: Arc<State>) {
    let mut dialogues = JoinSet::new();
    while let Ok((stream, peer)) = listener.accept().await {
        while dialogues.try_join_next().is_some() {}
        let open = State::open(&state, peer);
        dialogues.spawn(Dialogue::new(open, acceptor.clone(), Arc::clone(&features)).run(stream));
    }
}
