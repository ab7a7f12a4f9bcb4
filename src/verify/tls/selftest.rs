//! The certificate checks, tried on certificates that must be refused.
//!
//! Before each run, servers with a certificate that is expired, from an unknown CA, self-signed or
//! for another name, and one that offers TLS 1.1, are presented to the very configuration that the
//! run will use; each must be refused for that reason, and a correct one accepted. Both ends live
//! in memory: no socket, no file, about a millisecond. It proves the library and its settings, not
//! the anchors of the platform.

use std::io::Cursor;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::CertificateError;
use rustls::ClientConfig;
use rustls::ClientConnection;
use rustls::RootCertStore;
use rustls::ServerConfig;
use rustls::ServerConnection;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::ServerName;

use super::client_config;

/// The name that the client asks for.
const NAME: &str = "self-test.invalid";

/// Rounds of a handshake in memory; a complete one needs three.
const ROUNDS: usize = 10;

/// A `ServerHello` that chooses TLS 1.1: record header, handshake header, version, random,
/// empty session id, cipher suite, null compression.
const TLS_1_1: &[u8] = &[
    0x16, 0x03, 0x02, 0x00, 0x2a, 0x02, 0x00, 0x00, 0x26, 0x03, 0x02, 1, 2, 3, 4, 5, 6, 7, 8, 9,
    10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32,
    0x00, 0xc0, 0x13, 0x00,
];

/// Why the run cannot rely on certificate checks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SelfTestError {
    /// The certificates of the test could not be made.
    #[error("the TLS self-test could not be set up")]
    Certificate(#[source] rcgen::Error),
    /// The library refused the set-up of the test.
    #[error("the TLS self-test could not be set up")]
    Library(#[source] rustls::Error),
    /// A server that must be refused was not refused for that reason.
    #[error("the TLS self-test did not refuse a server: {0}")]
    Accepted(&'static str),
    /// A correct server was refused.
    #[error("the TLS self-test refused a correct server")]
    Refused(#[source] rustls::Error),
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: Certificate,
}

/// Presents the servers; `Ok` when each was judged as it must be.
pub fn self_test() -> Result<(), SelfTestError> {
    let trusted = authority("self-test")?;
    let unknown = authority("self-test, unknown")?;
    let key = KeyPair::generate().map_err(SelfTestError::Certificate)?;

    let mut roots = RootCertStore::empty();
    roots
        .add(trusted.certificate.der().clone())
        .map_err(SelfTestError::Library)?;
    let client = Arc::new(client_config(Arc::new(roots)).map_err(SelfTestError::Library)?);

    let leaf = |name: &str, year: i32, issuer: Option<&Authority>| {
        let mut params = CertificateParams::new([name.to_owned()])?;
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        match issuer {
            Some(authority) => params.signed_by(&key, &authority.issuer),
            None => params.self_signed(&key),
        }
    };
    let judge = |certificate: Result<Certificate, rcgen::Error>| {
        let certificate = certificate.map_err(SelfTestError::Certificate)?;
        shake_hands(&client, certificate.der().clone(), &key)
    };

    if let Err(refused) = judge(leaf(NAME, 4000, Some(&trusted)))? {
        return Err(SelfTestError::Refused(refused));
    }
    let reason = |outcome: Result<(), rustls::Error>| match outcome {
        Err(rustls::Error::InvalidCertificate(reason)) => Some(reason),
        _ => None,
    };
    match reason(judge(leaf(NAME, 2001, Some(&trusted)))?) {
        Some(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {}
        _ => return Err(SelfTestError::Accepted("expired certificate")),
    }
    match reason(judge(leaf(NAME, 4000, Some(&unknown)))?) {
        Some(CertificateError::UnknownIssuer) => {}
        _ => return Err(SelfTestError::Accepted("certificate of an unknown issuer")),
    }
    match reason(judge(leaf(NAME, 4000, None))?) {
        Some(CertificateError::UnknownIssuer) => {}
        _ => return Err(SelfTestError::Accepted("self-signed certificate")),
    }
    match reason(judge(leaf("other.invalid", 4000, Some(&trusted)))?) {
        Some(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => {}
        _ => return Err(SelfTestError::Accepted("certificate for another name")),
    }
    match offer_tls_1_1(&client)? {
        Err(rustls::Error::PeerIncompatible(_)) => Ok(()),
        _ => Err(SelfTestError::Accepted("TLS 1.1")),
    }
}

fn authority(name: &str) -> Result<Authority, SelfTestError> {
    let make = || {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        Ok(Authority {
            issuer: Issuer::new(params, key),
            certificate,
        })
    };
    make().map_err(SelfTestError::Certificate)
}

fn server_name() -> ServerName<'static> {
    match ServerName::try_from(NAME) {
        Ok(name) => name,
        Err(_invalid) => unreachable!("the constant is a valid name"),
    }
}

/// The outer error is a failed set-up, the inner result the client's verdict.
fn shake_hands(
    client: &Arc<ClientConfig>,
    certificate: CertificateDer<'static>,
    key: &KeyPair,
) -> Result<Result<(), rustls::Error>, SelfTestError> {
    let key = PrivatePkcs8KeyDer::from(key.serialize_der());
    let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_no_client_auth()
                .with_single_cert(vec![certificate], key.into())
        })
        .map_err(SelfTestError::Library)?;
    let mut server = ServerConnection::new(Arc::new(server)).map_err(SelfTestError::Library)?;
    let mut client =
        ClientConnection::new(Arc::clone(client), server_name()).map_err(SelfTestError::Library)?;
    for _ in 0..ROUNDS {
        let mut flight = Vec::new();
        while client.wants_write() && client.write_tls(&mut flight).is_ok() {}
        let mut flight = Cursor::new(flight);
        while server.read_tls(&mut flight).is_ok_and(|count| count > 0) {}
        // Alerts of the client end the server's half; the client's verdict is what counts.
        let _ = server.process_new_packets();

        let mut flight = Vec::new();
        while server.wants_write() && server.write_tls(&mut flight).is_ok() {}
        let mut flight = Cursor::new(flight);
        while client.read_tls(&mut flight).is_ok_and(|count| count > 0) {}
        if let Err(verdict) = client.process_new_packets() {
            return Ok(Err(verdict));
        }
        if !client.is_handshaking() {
            return Ok(Ok(()));
        }
    }
    Ok(Err(rustls::Error::HandshakeNotComplete))
}

fn offer_tls_1_1(client: &Arc<ClientConfig>) -> Result<Result<(), rustls::Error>, SelfTestError> {
    let mut client =
        ClientConnection::new(Arc::clone(client), server_name()).map_err(SelfTestError::Library)?;
    let mut flight = Vec::new();
    while client.wants_write() && client.write_tls(&mut flight).is_ok() {}
    let mut answer = TLS_1_1;
    while client.read_tls(&mut answer).is_ok_and(|count| count > 0) {}
    Ok(client.process_new_packets().map(|_state| ()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_of_a_run_passes() {
        self_test().unwrap();
    }

    #[test]
    fn a_configuration_without_the_anchor_refuses_the_correct_server() {
        let trusted = authority("a").unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([NAME.to_owned()])
            .unwrap()
            .signed_by(&key, &trusted.issuer)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots
            .add(authority("b").unwrap().certificate.der().clone())
            .unwrap();
        let client = Arc::new(client_config(Arc::new(roots)).unwrap());
        let verdict = shake_hands(&client, certificate.der().clone(), &key).unwrap();
        assert!(matches!(
            verdict,
            Err(rustls::Error::InvalidCertificate(
                CertificateError::UnknownIssuer
            ))
        ));
    }
}
