//! Certificates of the loopback registry: a CA of its own for every test, keys in memory only.
//!
//! A committed key would end up trusted somewhere; one CA a test also keeps parallel tests apart.
//! Each [`Identity`] but the good one breaks exactly one property that a client must check.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::version::{TLS12, TLS13};

/// What certificate a registry presents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// Issued by the test's CA for `localhost` and the loopback addresses.
    Good,
    /// As good, but its validity ended years ago.
    Expired,
    /// As good, but its validity begins in the far future: what a clock that is behind sees.
    NotYetValid,
    /// Signed with its own key.
    SelfSigned,
    /// Issued by the test's CA for another name.
    WrongName,
    /// Good in itself, issued by a CA that nobody trusts.
    UnknownIssuer,
}

/// A certificate authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    /// Makes a new one.
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "loopback test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// The public certificate, PEM.
    pub(crate) fn pem(&self) -> &str {
        &self.pem
    }

    /// TLS settings of a server with that identity.
    pub(crate) fn server(
        &self,
        identity: Identity,
        http2: bool,
        old_tls: bool,
    ) -> Arc<ServerConfig> {
        let names: Vec<String> = match identity {
            Identity::WrongName => vec!["elsewhere.invalid".into()],
            Identity::Good
            | Identity::Expired
            | Identity::NotYetValid
            | Identity::SelfSigned
            | Identity::UnknownIssuer => {
                vec!["localhost".into(), "127.0.0.1".into(), "::1".into()]
            }
        };
        let mut params = CertificateParams::new(names).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "loopback registry");
        match identity {
            Identity::Expired => {
                params.not_before = date_time_ymd(2001, 1, 1);
                params.not_after = date_time_ymd(2002, 1, 1);
            }
            Identity::NotYetValid => {
                params.not_before = date_time_ymd(2094, 1, 1);
                params.not_after = date_time_ymd(2095, 1, 1);
            }
            Identity::Good
            | Identity::SelfSigned
            | Identity::WrongName
            | Identity::UnknownIssuer => {
                params.not_before = date_time_ymd(2020, 1, 1);
                params.not_after = date_time_ymd(2090, 1, 1);
            }
        }
        let key = KeyPair::generate().unwrap();
        let certificate = match identity {
            Identity::SelfSigned => params.self_signed(&key).unwrap(),
            Identity::UnknownIssuer => params.signed_by(&key, &Self::new().issuer).unwrap(),
            Identity::Good | Identity::Expired | Identity::NotYetValid | Identity::WrongName => {
                params.signed_by(&key, &self.issuer).unwrap()
            }
        };
        let chain: Vec<CertificateDer<'static>> = vec![certificate.der().clone()];
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let (old, all) = ([&TLS12], [&TLS12, &TLS13]);
        let versions: &[_] = if old_tls { &old } else { &all };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        if http2 {
            config.alpn_protocols.push(b"h2".to_vec());
        }
        config.alpn_protocols.push(b"http/1.1".to_vec());
        Arc::new(config)
    }
}
