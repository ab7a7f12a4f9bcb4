//! The client side of TLS: what is trusted, and how a failure reads.
//!
//! `client_config` is the only place that makes a client configuration; it takes trust anchors
//! and nothing else, so there is no switch that turns a check off (control 4.16). [`Trust`] loads
//! the platform's anchors (`SSL_CERT_FILE` and `SSL_CERT_DIR` are honoured) and adds those of user
//! or global configuration. [`self_test`] proves before each run that the same configuration
//! refuses what it must. Project configuration never adds an anchor.
//!
//! RFC 5280, RFC 8446, RFC 9525.

mod peer;
mod selftest;

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::RootCertStore;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

pub use selftest::{SelfTestError, self_test};

/// Why there is no client configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// A configured anchor is not a certificate.
    #[error("a certificate of the configuration cannot be read: {0}")]
    Anchor(String),
    /// Nothing is trusted at all.
    #[error("no trusted certificates were found: {0}")]
    Empty(String),
    /// The library refuses its own defaults.
    #[error("the TLS library could not be set up")]
    Library(#[source] rustls::Error),
}

/// The certificates that a chain may end at.
#[derive(Debug)]
pub struct Trust {
    roots: Arc<RootCertStore>,
    /// Same order as `roots.roots`.
    certificates: Vec<CertificateDer<'static>>,
    /// How many of `certificates`, from the first on, the configuration named.
    configured: usize,
}

impl Trust {
    /// Anchors of the configuration (PEM texts, each with one or more certificates) and of the
    /// platform. Certificates of the platform that cannot be read are passed over, as every
    /// client does; one of the configuration is an error, because somebody meant it.
    pub fn load(configured: &[String]) -> Result<Self, TrustError> {
        let mut trust = Self::configured(configured)?;
        let native = rustls_native_certs::load_native_certs();
        for certificate in native.certs {
            trust.add(certificate);
        }
        if trust.certificates.is_empty() {
            let reasons: Vec<_> = native.errors.iter().map(ToString::to_string).collect();
            return Err(TrustError::Empty(reasons.join("; ")));
        }
        Ok(trust)
    }

    /// Anchors of the configuration only: tells early whether they can be read.
    pub fn configured(pems: &[String]) -> Result<Self, TrustError> {
        let mut trust = Self {
            roots: Arc::new(RootCertStore::empty()),
            certificates: Vec::new(),
            configured: 0,
        };
        for pem in pems {
            let mut found = false;
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let certificate =
                    certificate.map_err(|source| TrustError::Anchor(source.to_string()))?;
                if !trust.add(certificate) {
                    return Err(TrustError::Anchor("not an X.509 certificate".to_owned()));
                }
                found = true;
            }
            if !found {
                return Err(TrustError::Anchor(
                    "no certificate in the PEM text".to_owned(),
                ));
            }
        }
        trust.configured = trust.certificates.len();
        Ok(trust)
    }

    /// A client configuration over these anchors.
    pub fn client_config(&self) -> Result<ClientConfig, TrustError> {
        client_config(Arc::clone(&self.roots)).map_err(TrustError::Library)
    }

    fn add(&mut self, certificate: CertificateDer<'static>) -> bool {
        let added = Arc::make_mut(&mut self.roots)
            .add(certificate.clone())
            .is_ok();
        if added {
            self.certificates.push(certificate);
        }
        added
    }
}

/// TLS 1.2 or newer, chain, name and time checked by the library's own verifier, HTTP/2 preferred.
fn client_config(roots: Arc<RootCertStore>) -> Result<ClientConfig, rustls::Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[allow(
    clippy::wildcard_enum_match_arm,
    reason = "the library's enums are open; what is not named here reads as the library says it"
)]
/// Which check failed, in words, and the remedy where there is one.
pub fn explain(error: &rustls::Error) -> (String, Option<&'static str>) {
    use rustls::CertificateError;
    use rustls::Error;

    const ISSUER: &str = "name the issuing CA as `cafile` in the user configuration or in \
                          SSL_CERT_FILE, if it is to be trusted";
    match error {
        Error::InvalidCertificate(reason) => match reason {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => (
                format!("the certificate has expired: {reason}"),
                Some("renew the server's certificate; check the clock of this machine"),
            ),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => (
                format!("the certificate is not yet valid: {reason}"),
                Some("check the clock of this machine"),
            ),
            CertificateError::UnknownIssuer => (
                "the certificate's issuer is not trusted: unknown issuer".to_owned(),
                Some(ISSUER),
            ),
            CertificateError::BadSignature => (
                "the certificate is not signed by the trusted issuer that it names".to_owned(),
                Some(ISSUER),
            ),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                (
                    format!("the certificate is for another name: {reason}"),
                    None,
                )
            }
            other => (format!("the certificate was refused: {other}"), None),
        },
        Error::PeerIncompatible(reason) => (
            format!("the server offers no TLS 1.2 or newer that can be used: {reason:?}"),
            None,
        ),
        Error::InvalidMessage(reason) => {
            (format!("the server does not speak TLS: {reason:?}"), None)
        }
        other => (format!("the TLS handshake failed: {other}"), None),
    }
}
