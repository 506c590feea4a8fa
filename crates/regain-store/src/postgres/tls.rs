//! TLS towards PostgreSQL: the server's certificate is always checked, against its name.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::PostgresError;
use super::settings::{PostgresSettings, Roots};

/// Makes the TLS side of connections. Reads files: blocks for some milliseconds.
pub(crate) fn connector(settings: &PostgresSettings) -> Result<MakeRustlsConnect, PostgresError> {
    let roots = match (&settings.roots, settings.config.get_ssl_mode()) {
        // Nothing will be checked against them, and reading the system's takes its time.
        (_, SslMode::Disable) => RootCertStore::empty(),
        (Roots::System, _) => system()?,
        (Roots::File(path), _) => {
            let unusable = |reason: String| PostgresError::Roots { path: path.clone(), reason };
            let certificates = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| unusable(error.to_string()))?;
            let mut roots = RootCertStore::empty();
            let (added, _) = roots.add_parsable_certificates(certificates);
            if added == 0 {
                return Err(unusable("it holds no certificate".to_owned()));
            }
            roots
        }
    };
    let mut config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| PostgresError::Tls(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
    // What a server since 17 wants to hear where `sslnegotiation=direct`.
    config.alpn_protocols = vec![b"postgresql".to_vec()];
    Ok(MakeRustlsConnect::new(config))
}

fn system() -> Result<RootCertStore, PostgresError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        return Err(PostgresError::Tls("the operating system has no root certificates".to_owned()));
    }
    Ok(roots)
}
