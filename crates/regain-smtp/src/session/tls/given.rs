//! Owns what certificates that were given (`tls.ca`, [`TrustRoots::Pem`](super::TrustRoots::Pem)) vouch for: what they
//! have signed, and themselves. It must not be used with the system's certificates, whose authorities are no relays.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::StartError;

/// Accepts what webpki accepts with these authorities and, as OpenSSL does, a relay that shows one of these certificates
/// itself. `openssl req -x509` makes a certificate that signs itself and calls itself an authority, which webpki
/// takes from no relay (`CaUsedAsEndEntity`).
#[derive(Debug)]
pub(super) struct GivenCertificates {
    certificates: Vec<CertificateDer<'static>>,
    webpki: Arc<WebPkiServerVerifier>,
}

impl GivenCertificates {
    /// Reads PEM with at least one certificate.
    pub(super) fn read(pem: &[u8], provider: Arc<CryptoProvider>) -> Result<Self, StartError> {
        let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|_| StartError::InvalidRoots)?;
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots.add(certificate.clone()).map_err(|_| StartError::InvalidRoots)?;
        }
        // Without any certificate it cannot be built.
        let webpki = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider)
            .build()
            .map_err(|_| StartError::InvalidRoots)?;
        Ok(Self { certificates, webpki })
    }
}

impl ServerCertVerifier for GivenCertificates {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if !self.certificates.contains(certificate) {
            return self.webpki.verify_server_cert(certificate, intermediates, name, ocsp, now);
        }
        // Nobody has to vouch for it, so what else the relay shows does not matter.
        match self.webpki.verify_server_cert(certificate, &[], name, ocsp, now) {
            Err(rustls::Error::InvalidCertificate(fault)) if lacks_only_an_issuer(&fault) => {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            outcome => outcome,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.webpki.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.webpki.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

/// Whether webpki came as far as asking who signed it. Its dates are looked at before that, which the tests hold it to;
/// its name after that.
fn lacks_only_an_issuer(fault: &CertificateError) -> bool {
    match fault {
        CertificateError::UnknownIssuer => true,
        CertificateError::Other(other) => {
            matches!(other.0.downcast_ref(), Some(webpki::Error::CaUsedAsEndEntity))
        }
        _ => false,
    }
}
