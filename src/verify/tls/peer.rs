//! What is recorded of a verified server: version, cipher, leaf, and the anchor of its chain.
//!
//! Called after the library accepted the chain, so nothing here decides whether a server is
//! trusted. The library does not say at which anchor a chain ended; the walk below finds it again
//! by issuer names and signatures. Where it finds none, the record says so instead of guessing.

use std::time::{Duration, UNIX_EPOCH};

use rustls::ClientConnection;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::TrustAnchor;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use super::Trust;
use crate::model::AnchorClass;
use crate::model::TlsPeer;
use crate::verify::hash::sha256;

/// Longest chain that is followed.
const CHAIN: usize = 10;

impl Trust {
    /// Describes the server of a finished handshake. `None` before the end of a handshake, or for
    /// a leaf that the parser cannot read.
    pub fn describe(&self, connection: &ClientConnection) -> Option<TlsPeer> {
        let chain = connection.peer_certificates()?;
        let leaf_der = chain.first()?;
        let (_, leaf) = X509Certificate::from_der(leaf_der).ok()?;
        let anchor = self.anchor(&leaf, chain);
        let expiry = u64::try_from(leaf.validity().not_after.timestamp()).unwrap_or(0);
        Some(TlsPeer {
            version: connection
                .protocol_version()
                .and_then(|version| version.as_str().map(|name| name.replace('_', ".")))
                .unwrap_or_default(),
            cipher: connection
                .negotiated_cipher_suite()
                .and_then(|suite| suite.suite().as_str())
                .unwrap_or_default()
                .to_owned(),
            leaf: sha256(leaf_der),
            leaf_key: sha256(leaf.public_key().raw),
            anchor: anchor
                .map(|index| self.certificates.get(index))
                .map(|der| sha256(der.map(AsRef::as_ref).unwrap_or_default())),
            anchor_subject: anchor
                .and_then(|index| self.certificates.get(index))
                .and_then(|der| X509Certificate::from_der(der).ok())
                .map(|(_, certificate)| certificate.subject().to_string()),
            anchor_class: anchor.map(|index| self.class(index)),
            not_after: humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(expiry))
                .to_string(),
        })
    }

    fn anchor(&self, leaf: &X509Certificate<'_>, chain: &[CertificateDer<'_>]) -> Option<usize> {
        let sent: Vec<_> = chain
            .iter()
            .take(CHAIN)
            .filter_map(|der| {
                X509Certificate::from_der(der)
                    .ok()
                    .map(|(_, parsed)| parsed)
            })
            .collect();
        let mut current = leaf;
        for _ in 0..CHAIN {
            if let Some(anchor) = self.issuer(current) {
                return Some(anchor);
            }
            current = sent.iter().find(|candidate| {
                candidate.subject().as_raw() == current.issuer().as_raw()
                    && candidate.tbs_certificate.as_ref() != current.tbs_certificate.as_ref()
                    && current
                        .verify_signature(Some(candidate.public_key()))
                        .is_ok()
            })?;
        }
        None
    }

    /// The anchor that signed `certificate`.
    fn issuer(&self, certificate: &X509Certificate<'_>) -> Option<usize> {
        let name = contents(certificate.issuer().as_raw())?;
        self.roots
            .roots
            .iter()
            .enumerate()
            .position(|(index, anchor)| {
                anchor.subject.as_ref() == name
                    && self
                        .certificates
                        .get(index)
                        .and_then(|der| X509Certificate::from_der(der).ok())
                        .is_some_and(|(_, parsed)| {
                            certificate
                                .verify_signature(Some(parsed.public_key()))
                                .is_ok()
                        })
            })
    }

    fn class(&self, index: usize) -> AnchorClass {
        let same = |public: &TrustAnchor<'_>, own: &TrustAnchor<'_>| {
            public.subject == own.subject
                && public.subject_public_key_info == own.subject_public_key_info
        };
        let Some(own) = self.roots.roots.get(index) else {
            return AnchorClass::SystemOnly;
        };
        if index < self.configured {
            AnchorClass::UserConfigured
        } else if webpki_roots::TLS_SERVER_ROOTS
            .iter()
            .any(|public| same(public, own))
        {
            AnchorClass::PublicWeb
        } else {
            AnchorClass::SystemOnly
        }
    }
}

/// The content of a DER value: a trust anchor keeps names without tag and length.
fn contents(der: &[u8]) -> Option<&[u8]> {
    let (_tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if first < 0x80 {
        return Some(rest);
    }
    rest.get(usize::from(first & 0x7f)..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_of_a_der_value_is_removed() {
        assert_eq!(contents(&[0x30, 2, 1, 2]), Some(&[1, 2][..]));
        assert_eq!(contents(&[0x30, 0x81, 2, 1, 2]), Some(&[1, 2][..]));
        assert_eq!(contents(&[0x30, 0x84, 2]), None);
        assert_eq!(contents(&[]), None);
    }
}
