//! The certificate authority of one run.
//!
//! Made at the start; its key and the one leaf key exist in this process's memory only and go with
//! it. A leaf is made for each host that the manager may talk to, at its first connection. The
//! public certificate goes to the session, which names it to the manager and to nobody else.
//!
//! RFC 5280.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivatePkcs8KeyDer;

use crate::model::Digest;
use crate::verify::hash::sha256;

/// Clocks of containers and hosts differ a little.
const BEFORE: Duration = Duration::from_secs(24 * 3600);
/// Longer than any run; some clients refuse certificates that last for years.
const AFTER: Duration = Duration::from_secs(7 * 24 * 3600);

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorityError {
    /// Key or certificate.
    #[error("cannot make a certificate of the run")]
    Certificate(#[source] rcgen::Error),
    /// The TLS library refused it.
    #[error("cannot use a certificate of the run")]
    Library(#[source] rustls::Error),
}

/// The authority and what it issued.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    pem: String,
    leaf_key: KeyPair,
    provider: Arc<CryptoProvider>,
    issued: Mutex<HashMap<String, Arc<ServerConfig>>>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// Makes keys and certificate.
    pub(super) fn new() -> Result<Self, AuthorityError> {
        let make = || {
            let key = KeyPair::generate()?;
            let mut params = params("v4run: authority of one run")?;
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            let certificate = params.self_signed(&key)?;
            Ok((certificate, Issuer::new(params, key), KeyPair::generate()?))
        };
        let (certificate, issuer, leaf_key) = make().map_err(AuthorityError::Certificate)?;
        Ok(Self {
            issuer,
            pem: certificate.pem(),
            certificate: certificate.der().clone(),
            leaf_key,
            provider: Arc::new(ring::default_provider()),
            issued: Mutex::default(),
        })
    }

    /// The public certificate, PEM.
    pub(super) fn pem(&self) -> &str {
        &self.pem
    }

    /// SHA-256 of the public certificate.
    pub(super) fn digest(&self) -> Digest {
        sha256(&self.certificate)
    }

    /// What is presented to a client that asked for `host`.
    pub(super) fn server(&self, host: &str) -> Result<Arc<ServerConfig>, AuthorityError> {
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = issued.get(host) {
            return Ok(Arc::clone(config));
        }
        let config = Arc::new(self.issue(host)?);
        issued.insert(host.to_owned(), Arc::clone(&config));
        Ok(config)
    }

    fn issue(&self, host: &str) -> Result<ServerConfig, AuthorityError> {
        let make = || {
            let mut params = params("v4run")?;
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            params.subject_alt_names = vec![match bare.parse::<IpAddr>() {
                Ok(address) => SanType::IpAddress(address),
                Err(_name) => SanType::DnsName(host.try_into()?),
            }];
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
            params.use_authority_key_identifier_extension = true;
            params.signed_by(&self.leaf_key, &self.issuer)
        };
        let leaf = make().map_err(AuthorityError::Certificate)?;
        let chain = vec![leaf.der().clone(), self.certificate.clone()];
        let key = PrivatePkcs8KeyDer::from(self.leaf_key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()
            .and_then(|builder| {
                builder
                    .with_no_client_auth()
                    .with_single_cert(chain, key.into())
            })
            .map_err(AuthorityError::Library)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn params(name: &str) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    let now = SystemTime::now();
    params.not_before = now
        .checked_sub(BEFORE)
        .unwrap_or(SystemTime::UNIX_EPOCH)
        .into();
    params.not_after = now.checked_add(AFTER).unwrap_or(now).into();
    Ok(params)
}

#[cfg(test)]
mod tests {
    use x509_parser::certificate::X509Certificate;
    use x509_parser::prelude::FromDer as _;

    use super::*;

    #[test]
    fn two_runs_share_nothing_and_a_host_is_issued_once() {
        let (one, two) = (Authority::new().unwrap(), Authority::new().unwrap());
        assert_ne!(one.digest(), two.digest());
        let first = one.server("registry.invalid").unwrap();
        assert!(Arc::ptr_eq(
            &first,
            &one.server("registry.invalid").unwrap()
        ));
        for host in ["127.0.0.1", "[::1]", "localhost"] {
            one.server(host).unwrap();
        }
    }

    #[test]
    fn the_certificate_is_an_authority_for_leaves_only() {
        let authority = Authority::new().unwrap();
        let (_, parsed) = X509Certificate::from_der(&authority.certificate).unwrap();
        let constraints = parsed.basic_constraints().unwrap().unwrap();
        assert!(constraints.value.ca);
        assert_eq!(constraints.value.path_len_constraint, Some(0));
        assert!(parsed.validity().is_valid());
    }
}
