//! How a connection to a webhook comes about: within its time, within the cap, with TLS where it is `https:`.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{ConfigBuilderExt, HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use regain_smtp::TrustRoots;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tower::Service;

use super::settings::WebhookSettings;

/// Longer than this no connection takes that will still come.
const LONGEST: Duration = Duration::from_secs(10);

/// There is no certificate to trust.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no root certificate to check the webhook's certificate with: {0}")]
pub struct RootsError(String);

/// Why there is no connection. Nothing was sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ConnectFailure {
    #[error("connect: {0}")]
    Connect(String),
    /// It will not pass by itself.
    #[error("TLS: {0}")]
    Tls(String),
}

/// Makes connections, no more than the cap at once.
#[derive(Clone)]
pub(super) struct Connector {
    https: HttpsConnector<HttpConnector>,
    slots: Arc<Semaphore>,
    limit: Duration,
}

/// A connection, which holds its place under the cap until it is closed.
pub(super) struct Stream {
    stream: MaybeHttpsStream<TokioIo<TcpStream>>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Connector {
    pub(super) fn new(settings: &WebhookSettings, roots: &TrustRoots) -> Result<Self, RootsError> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        // Reading the system's roots takes longer than all the rest.
        let tls = tls(settings.is_https().then_some(roots))?;
        let https = HttpsConnectorBuilder::new().with_tls_config(tls);
        let https =
            if settings.is_https() { https.https_only() } else { https.https_or_http() }.enable_http1();
        Ok(Self {
            https: https.wrap_connector(http),
            slots: Arc::new(Semaphore::new(settings.max_connections())),
            // So that what is left is for the answer.
            limit: LONGEST.min(settings.timeout() / 3),
        })
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectFailure;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, ConnectFailure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectFailure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (mut https, slots, limit) = (self.https.clone(), Arc::clone(&self.slots), self.limit);
        Box::pin(async move {
            let connecting = async {
                let slot = slots.acquire_owned().await.ok();
                let stream = https.call(uri).await.map_err(|error| failure(&*error))?;
                Ok(Stream { stream, _slot: slot })
            };
            timeout(limit, connecting)
                .await
                .unwrap_or_else(|_| Err(ConnectFailure::Connect(format!("no connection within {limit:?}"))))
        })
    }
}

fn tls(roots: Option<&TrustRoots>) -> Result<ClientConfig, RootsError> {
    // Named here so that nobody's process-wide default changes what this client speaks.
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| RootsError(error.to_string()))?;
    let builder = match roots {
        None => builder.with_root_certificates(RootCertStore::empty()),
        Some(TrustRoots::System) => {
            builder.with_native_roots().map_err(|error| RootsError(error.to_string()))?
        }
        Some(TrustRoots::Pem(pem)) => builder.with_root_certificates(pem_roots(pem)?),
    };
    Ok(builder.with_no_client_auth())
}

fn pem_roots(pem: &[u8]) -> Result<RootCertStore, RootsError> {
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| RootsError(error.to_string()))?;
        store.add(certificate).map_err(|error| RootsError(error.to_string()))?;
    }
    if store.is_empty() { Err(RootsError("the PEM text has none".to_owned())) } else { Ok(store) }
}

/// TLS that was refused is a matter of certificates and versions; a connection that was lost meanwhile is not.
fn failure(error: &(dyn Error + 'static)) -> ConnectFailure {
    match find_tls(error) {
        Some(refused) => ConnectFailure::Tls(refused.to_string()),
        None => ConnectFailure::Connect(chain(error)),
    }
}

fn find_tls<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    if let Some(found) = error.downcast_ref::<rustls::Error>() {
        return Some(found);
    }
    // The source of an `io::Error` is that of what it holds, and so steps over it.
    let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    let next: Option<&(dyn Error + 'static)> = match inner {
        Some(inner) => Some(inner),
        None => error.source(),
    };
    find_tls(next?)
}

/// An error with its causes. None of the errors of connecting holds a path or a query.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        self.stream.connected()
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}
