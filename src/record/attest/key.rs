//! Signing and verifying keys: P-256 or Ed25519, from PEM.
//!
//! Opened by the session before anything foreign runs, used once at the seal; the check of a record
//! reads the public half. A key identifier is the SHA-256 of the public key's SubjectPublicKeyInfo,
//! a hint for finding a key and never a ground to trust one. PKCS#8 (RFC 5958), RFC 8410, RFC 5480.

use std::fmt;
use std::time::{Duration, SystemTime};

use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair as _, UnparsedPublicKey,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, SubjectPublicKeyInfoDer};
use sha2::{Digest as _, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use x509_parser::time::ASN1Time;

/// Before the point of an uncompressed P-256 key.
const P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// Before the bytes of an Ed25519 key.
const EDWARDS: &[u8] = &[
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// No key in it.
    #[error("there is no key in PEM form in it")]
    Pem,
    /// A passphrase would be needed.
    #[error("the key is encrypted")]
    Encrypted,
    /// PKCS#1 or SEC 1.
    #[error("the key is not in PKCS#8 form")]
    Form,
    /// RSA, another curve, or broken.
    #[error("the key is neither P-256 nor Ed25519")]
    Algorithm,
    /// The signature could not be made.
    #[error("the signature could not be made")]
    Signing,
}

impl KeyError {
    /// The remedy, where there is a true one.
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Pem | Self::Algorithm => Some(
                "make one with `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 \
                 -out key.pem`; `openssl pkey -in key.pem -pubout` prints its public half",
            ),
            Self::Encrypted | Self::Form => {
                Some("convert it with `openssl pkcs8 -topk8 -nocrypt -in KEY -out key.pem`")
            }
            Self::Signing => None,
        }
    }
}

enum Pair {
    P256(EcdsaKeyPair),
    Edwards(Ed25519KeyPair),
}

/// A private key.
pub struct SigningKey {
    pair: Pair,
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public().id())
    }
}

impl SigningKey {
    /// Reads PKCS#8 in PEM.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let marked = |mark: &[u8]| text.windows(mark.len()).any(|part| part == mark);
        if marked(b"BEGIN ENCRYPTED PRIVATE KEY") {
            return Err(KeyError::Encrypted);
        }
        let key = PrivateKeyDer::from_pem_slice(text).map_err(|_none| KeyError::Pem)?;
        let PrivateKeyDer::Pkcs8(key) = key else {
            return Err(KeyError::Form);
        };
        let der = key.secret_pkcs8_der();
        let curve = &ECDSA_P256_SHA256_ASN1_SIGNING;
        if let Ok(pair) = EcdsaKeyPair::from_pkcs8(curve, der, &SystemRandom::new()) {
            return Ok(Self {
                pair: Pair::P256(pair),
            });
        }
        // Without the public key in it, as OpenSSL writes it.
        match Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
            Ok(pair) => Ok(Self {
                pair: Pair::Edwards(pair),
            }),
            Err(_rejected) => Err(KeyError::Algorithm),
        }
    }

    /// Its public half.
    pub fn public(&self) -> PublicKey {
        match &self.pair {
            Pair::P256(pair) => PublicKey::of(P256, pair.public_key().as_ref()),
            Pair::Edwards(pair) => PublicKey::of(EDWARDS, pair.public_key().as_ref()),
        }
    }

    /// Signs.
    pub(in crate::record) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        match &self.pair {
            Pair::P256(pair) => pair
                .sign(&SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_random| KeyError::Signing),
            Pair::Edwards(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    info: Vec<u8>,
    /// From its certificate, where it came in one.
    validity: Option<(SystemTime, SystemTime)>,
}

impl PublicKey {
    fn of(prefix: &[u8], key: &[u8]) -> Self {
        Self {
            info: [prefix, key].concat(),
            validity: None,
        }
    }

    /// Reads SubjectPublicKeyInfo in PEM, or a certificate, whose validity then counts. Who issued
    /// it does not: the caller named it.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let key = match SubjectPublicKeyInfoDer::from_pem_slice(text) {
            Ok(info) => Self {
                info: info.as_ref().to_vec(),
                validity: None,
            },
            Err(_other) => Self::of_certificate(text)?,
        };
        match key.parts() {
            Some(_) => Ok(key),
            None => Err(KeyError::Algorithm),
        }
    }

    fn of_certificate(text: &[u8]) -> Result<Self, KeyError> {
        let der = CertificateDer::from_pem_slice(text).map_err(|_none| KeyError::Pem)?;
        let parsed = X509Certificate::from_der(&der);
        let (_rest, certificate) = parsed.map_err(|_broken| KeyError::Pem)?;
        let time = |time: ASN1Time| {
            let seconds = u64::try_from(time.timestamp()).unwrap_or(0);
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
        };
        let validity = certificate.validity();
        let from = time(validity.not_before);
        Ok(Self {
            info: certificate.public_key().raw.to_vec(),
            validity: from.zip(time(validity.not_after)),
        })
    }

    /// When it may sign, if its certificate says so.
    pub(in crate::record) const fn validity(&self) -> Option<(SystemTime, SystemTime)> {
        self.validity
    }

    /// SHA-256 of the key, hex.
    pub fn id(&self) -> String {
        hex::encode(Sha256::digest(&self.info))
    }

    fn parts(&self) -> Option<(bool, &[u8])> {
        if let Some(point) = self.info.strip_prefix(P256) {
            return (point.len() == 65 && point.first() == Some(&4)).then_some((true, point));
        }
        let key = self.info.strip_prefix(EDWARDS)?;
        (key.len() == 32).then_some((false, key))
    }

    /// Whether the signature over the message is this key's.
    pub(in crate::record) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let Some((is_p256, key)) = self.parts() else {
            return false;
        };
        if is_p256 {
            let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, key);
            key.verify(message, signature).is_ok()
        } else {
            let key = UnparsedPublicKey::new(&ED25519, key);
            key.verify(message, signature).is_ok()
        }
    }
}

#[cfg(test)]
pub(in crate::record) mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn pem(label: &str, der: &[u8]) -> String {
        let body = STANDARD.encode(der);
        format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
    }

    /// A fresh key of either kind, private and public half as PEM.
    pub(in crate::record) fn fresh(p256: bool) -> (SigningKey, String) {
        let random = SystemRandom::new();
        let document = if p256 {
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &random)
        } else {
            Ed25519KeyPair::generate_pkcs8(&random)
        };
        let text = pem("PRIVATE KEY", document.unwrap().as_ref());
        let key = SigningKey::from_pem(text.as_bytes()).unwrap();
        let public = pem("PUBLIC KEY", &key.public().info);
        (key, public)
    }

    #[test]
    fn what_a_key_signs_its_public_half_verifies_and_no_other() {
        for p256 in [true, false] {
            let (key, public) = fresh(p256);
            let public = PublicKey::from_pem(public.as_bytes()).unwrap();
            assert_eq!(public, key.public());
            let mut signature = key.sign(b"message").unwrap();
            assert!(public.verifies(b"message", &signature));
            assert!(!public.verifies(b"massage", &signature));
            let (other, _) = fresh(p256);
            assert!(!other.public().verifies(b"message", &signature));
            signature[8] ^= 1;
            assert!(!public.verifies(b"message", &signature));
            assert!(!public.verifies(b"message", b""));
            assert!(format!("{key:?}").ends_with(&format!("{})", public.id())));
        }
    }

    #[test]
    fn what_is_no_usable_key_says_why() {
        let wrong = |text: &str| SigningKey::from_pem(text.as_bytes()).unwrap_err();
        assert!(matches!(wrong("nothing"), KeyError::Pem));
        let encrypted = pem("ENCRYPTED PRIVATE KEY", b"x");
        assert!(matches!(wrong(&encrypted), KeyError::Encrypted));
        assert!(matches!(
            wrong(&pem("EC PRIVATE KEY", b"x")),
            KeyError::Form
        ));
        assert!(matches!(
            wrong(&pem("PRIVATE KEY", b"x")),
            KeyError::Algorithm
        ));
        let public = |der: &[u8]| PublicKey::from_pem(pem("PUBLIC KEY", der).as_bytes());
        assert!(matches!(public(b"x"), Err(KeyError::Algorithm)));
        let compressed = [P256, &[2; 33][..]].concat();
        assert!(matches!(public(&compressed), Err(KeyError::Algorithm)));
    }
}
