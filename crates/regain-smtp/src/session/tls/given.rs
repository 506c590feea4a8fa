//! Owns what certificates that were given (`tls.ca`, [`TrustRoots::Pem`](super::TrustRoots::Pem)) vouch for: themselves, and
//! those of authorities what they have signed. It must not be used with the system's certificates, whose authorities are
//! no relays.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, SignatureScheme};
use webpki::{EndEntityCert, KeyUsage};

use crate::StartError;

/// After all dates that a certificate can have: the year 9999 ends some 8000 years after 1970.
const FUTURE: Duration = Duration::from_secs(300_000_000_000);

/// Accepts what webpki accepts with these authorities and, as OpenSSL does, a relay that shows one of these certificates
/// itself. `openssl req -x509` makes a certificate that signs itself and calls itself an authority, which webpki
/// takes from no relay (`CaUsedAsEndEntity`).
#[derive(Debug)]
pub(super) struct GivenCertificates {
    certificates: Vec<CertificateDer<'static>>,
    authorities: Vec<Authority>,
    provider: Arc<CryptoProvider>,
}

/// One that may sign others. A relay's own certificate is none, or whoever holds that relay's key could be any other.
#[derive(Debug)]
struct Authority {
    anchor: TrustAnchor<'static>,
    /// From when to when, where it says so in a form that webpki reads.
    dates: Option<(UnixTime, UnixTime)>,
}

impl GivenCertificates {
    /// Reads PEM with at least one certificate.
    pub(super) fn read(pem: &[u8], provider: Arc<CryptoProvider>) -> Result<Self, StartError> {
        let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|_| StartError::InvalidRoots)?;
        if certificates.is_empty() {
            return Err(StartError::InvalidRoots);
        }
        let mut authorities = Vec::new();
        for certificate in &certificates {
            let anchor =
                webpki::anchor_from_trusted_cert(certificate).map_err(|_| StartError::InvalidRoots)?;
            let own = Own::read(certificate, &provider);
            if !own.signs_nobody {
                authorities.push(Authority { anchor: anchor.to_owned(), dates: own.dates });
            }
        }
        Ok(Self { certificates, authorities, provider })
    }

    fn verify_by_authorities(
        &self,
        certificate: &ParsedCertificate<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        // webpki does not look at the dates of those that are trusted; OpenSSL does.
        let is_of_now = |one: &&Authority| one.dates.is_none_or(|(from, to)| from <= now && now <= to);
        let roots = self.authorities.iter().filter(is_of_now).map(|one| one.anchor.clone()).collect();
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(certificate, &roots, intermediates, now, algorithms)
    }
}

impl ServerCertVerifier for GivenCertificates {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let is_given = self.certificates.contains(certificate);
        let parsed = ParsedCertificate::try_from(certificate)?;
        // Nobody has to vouch for one that was given, so what else the relay shows does not matter.
        let intermediates = if is_given { &[] } else { intermediates };
        match self.verify_by_authorities(&parsed, intermediates, now) {
            Err(rustls::Error::InvalidCertificate(fault)) if is_given && lacks_only_an_issuer(&fault) => {}
            outcome => outcome?,
        }
        verify_server_name(&parsed, name)?;
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

/// What a certificate says of itself.
struct Own {
    /// It says that it is no authority, or does not say that it is one (RFC 5280, 4.2.1.9). Those from before there was
    /// such a thing to say, of version 1, may be one.
    signs_nobody: bool,
    dates: Option<(UnixTime, UnixTime)>,
}

impl Own {
    /// webpki tells nothing of it but by what it refuses, and looks at the dates first.
    fn read(certificate: &CertificateDer<'_>, provider: &CryptoProvider) -> Self {
        let Ok(certificate) = EndEntityCert::try_from(certificate) else {
            return Self { signs_nobody: false, dates: None };
        };
        let fault = |time| {
            let (algorithms, usage) =
                (provider.signature_verification_algorithms.all, KeyUsage::server_auth());
            certificate.verify_for_usage(algorithms, &[], &[], time, usage, None, None).err()
        };
        let (past, future) = (UnixTime::since_unix_epoch(Duration::ZERO), UnixTime::since_unix_epoch(FUTURE));
        let from = match fault(past) {
            Some(webpki::Error::CertNotValidYet { not_before, .. }) => not_before,
            _ => past,
        };
        let to = match fault(future) {
            Some(webpki::Error::CertExpired { not_after, .. }) => not_after,
            _ => future,
        };
        let fault = fault(from);
        let signs_nobody = matches!(
            fault,
            Some(webpki::Error::UnknownIssuer | webpki::Error::RequiredEkuNotFoundContext(_))
        );
        Self { signs_nobody, dates: Some((from, to)) }
    }
}
