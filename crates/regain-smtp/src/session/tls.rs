//! Owns how TLS is spoken: which roots are trusted, which name must be in the certificate. It must not decide
//! whether TLS is spoken.

mod given;

use std::fmt::Debug;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use self::given::GivenCertificates;
use super::wire::{self, Transport};
use crate::trial::{Step, note};
use crate::{Phase, SendError, Settings, StartError, StartTls, TlsVersion};

/// Whose signature makes a relay's certificate valid, where the URL has no `tls.ca`.
#[derive(Debug, Clone)]
pub enum TrustRoots {
    /// The certificate authorities of the operating system.
    System,
    /// The certificates of this PEM text, and no others: of authorities, or the relay's own.
    Pem(Vec<u8>),
}

/// TLS as these settings want it.
pub(crate) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    pub(crate) fn new(settings: &Settings, roots: &TrustRoots) -> Result<Self, StartError> {
        // Named here so that nobody's process-wide default changes what this client speaks.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let versions = match settings.tls_min_version() {
            Some(TlsVersion::Tls13) => &[&rustls::version::TLS13][..],
            Some(TlsVersion::Tls12) | None => rustls::DEFAULT_VERSIONS,
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .map_err(|error| StartError::Tls(error.to_string()))?;
        let config = if settings.reject_unauthorized() {
            let needed = settings.secure() || settings.starttls() == StartTls::Required;
            let unused = !settings.secure() && settings.starttls() == StartTls::Never;
            let given = match (settings.tls_ca(), roots) {
                _ if unused => None,
                (Some(ca), _) => {
                    let pem = ca.read().map_err(|error| StartError::UnreadableRoots(error.kind()))?;
                    Some(GivenCertificates::read(&pem, Arc::clone(&provider))?)
                }
                (None, TrustRoots::Pem(pem)) => Some(GivenCertificates::read(pem, Arc::clone(&provider))?),
                (None, TrustRoots::System) => None,
            };
            match given {
                Some(given) => builder
                    .dangerous()
                    .with_custom_certificate_verifier(Arc::new(given))
                    .with_no_client_auth(),
                None => {
                    // Reading them takes longer than all the rest of the start.
                    let store = if unused { RootCertStore::empty() } else { system_roots() };
                    if needed && store.is_empty() {
                        return Err(StartError::NoRoots);
                    }
                    builder.with_root_certificates(store).with_no_client_auth()
                }
            }
        } else {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate { provider }))
                .with_no_client_auth()
        };
        let name = settings.servername().unwrap_or(settings.host());
        let name = ServerName::try_from(name.strip_suffix('.').unwrap_or(name).to_owned())
            .map_err(|error| StartError::Tls(error.to_string()))?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), name })
    }

    /// Lays TLS on a connection. A host given as an address is not named to the relay, but the certificate
    /// must hold it. Ends until `end`.
    pub(super) async fn handshake(
        &self,
        stream: Box<dyn Transport>,
        end: Instant,
    ) -> Result<Box<dyn Transport>, SendError> {
        wire::deadline(Phase::Tls, end, async {
            match self.connector.connect(self.name.clone(), stream).await {
                Ok(stream) => {
                    note(|| encrypted(stream.get_ref().1));
                    Ok(Box::new(stream) as Box<dyn Transport>)
                }
                Err(error) => Err(wire::failed(Phase::Tls, &error)),
            }
        })
        .await
    }
}

fn encrypted(connection: &ClientConnection) -> Step {
    let text = |value: Option<&dyn Debug>| value.map(|value| format!("{value:?}")).unwrap_or_default();
    let cipher = connection.negotiated_cipher_suite().map(|suite| suite.suite());
    Step::Encrypted {
        version: text(connection.protocol_version().as_ref().map(|version| version as &dyn Debug)),
        cipher: text(cipher.as_ref().map(|cipher| cipher as &dyn Debug)),
        certificate: connection.peer_certificates().and_then(|chain| chain.first()).map(|own| own.to_vec()),
    }
}

fn system_roots() -> RootCertStore {
    let mut store = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        tracing::warn!(%error, "a root certificate of the system cannot be read");
    }
    store.add_parsable_certificates(found.certs);
    store
}

/// What `tls.rejectUnauthorized=false` asks for: any certificate will do, but whoever shows it must hold its key.
#[derive(Debug)]
struct AnyCertificate {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
