//! Public keys with the time in which they sign.
//!
//! ECDSA on P-256 only: it is what registries use, and a key of another kind is an error instead of a
//! key that never matches. A key's name is opaque: it is compared, never computed.
//!
//! RFC 5480 (subject public key info), RFC 3339.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use x509_parser::oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY};
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::SubjectPublicKeyInfo;

use super::{moment, stamp};
use crate::model::{KeyUse, SigningKey};

/// Longest encoded key that is read.
const LENGTH: usize = 4096;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Not the encoding of a public key.
    #[error("the key `{0}` is not a public key in base64")]
    Encoding(String),
    /// Another kind of key.
    #[error("the key `{0}` is not an ECDSA key on P-256")]
    Kind(String),
    /// A validity that is no time.
    #[error("the key `{id}` has a validity that is not a time of RFC 3339: {text}")]
    Time {
        /// The key.
        id: String,
        /// What it says.
        text: String,
    },
}

/// A key that can be checked with.
#[derive(Clone, Debug)]
pub struct Key {
    id: String,
    point: Vec<u8>,
    #[cfg_attr(
        not(feature = "sigstore"),
        expect(dead_code, reason = "for bundles only")
    )]
    info: Vec<u8>,
    usage: Option<KeyUse>,
    start: Option<SystemTime>,
    end: Option<SystemTime>,
}

impl Key {
    /// Reads a key.
    pub fn read(stated: &SigningKey) -> Result<Self, KeyError> {
        let encoding = || KeyError::Encoding(stated.id.clone());
        let text = stated.key.trim();
        if text.len() > LENGTH {
            return Err(encoding());
        }
        let info = STANDARD.decode(text).map_err(|_invalid| encoding())?;
        let (rest, parsed) =
            SubjectPublicKeyInfo::from_der(&info).map_err(|_invalid| encoding())?;
        let curve = parsed.algorithm.parameters.as_ref();
        let curve = curve.and_then(|any| any.as_oid().ok());
        let point = parsed.subject_public_key.data.to_vec();
        if !rest.is_empty()
            || parsed.algorithm.algorithm != OID_KEY_TYPE_EC_PUBLIC_KEY
            || curve != Some(OID_EC_P256)
            || point.len() != 65
        {
            return Err(KeyError::Kind(stated.id.clone()));
        }
        let time = |text: &Option<String>| {
            text.as_ref()
                .map(|text| {
                    moment(text).ok_or_else(|| KeyError::Time {
                        id: stated.id.clone(),
                        text: text.escape_debug().take(60).collect(),
                    })
                })
                .transpose()
        };
        Ok(Self {
            id: stated.id.clone(),
            point,
            start: time(&stated.start)?,
            end: time(&stated.end)?,
            usage: stated.usage,
            info,
        })
    }

    /// Its name.
    pub fn id(&self) -> &str {
        &self.id
    }

    #[cfg(feature = "sigstore")]
    pub(super) fn info(&self) -> &[u8] {
        &self.info
    }

    /// Whether the signature is one of these bytes.
    pub(super) fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.point);
        key.verify(message, signature).is_ok()
    }

    /// Whether it signs at that time; else the reason.
    #[cfg_attr(
        not(feature = "sigstore"),
        expect(dead_code, reason = "for bundles only")
    )]
    pub(super) fn holds(&self, time: SystemTime) -> Result<(), String> {
        self.begun(time)?;
        self.lasts(time)
    }

    /// Whether it has begun by then.
    pub(super) fn begun(&self, time: SystemTime) -> Result<(), String> {
        match self.start {
            Some(start) if time < start => {
                let (id, time, start) = (&self.id, stamp(time), stamp(start));
                Err(format!(
                    "the key `{id}` begins at {start}, and this is from {time}"
                ))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Whether it has not ended by then.
    pub(super) fn lasts(&self, time: SystemTime) -> Result<(), String> {
        match self.end {
            Some(end) if time >= end => {
                let (id, time, end) = (&self.id, stamp(time), stamp(end));
                Err(format!(
                    "the key `{id}` ended at {end}, and this is from {time}"
                ))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// The keys of one origin.
#[derive(Clone, Debug, Default)]
pub struct Keys(Vec<Key>);

impl FromIterator<Key> for Keys {
    fn from_iter<I: IntoIterator<Item = Key>>(keys: I) -> Self {
        Self(keys.into_iter().collect())
    }
}

impl Keys {
    /// Reads keys; all or none.
    pub fn read<'a>(stated: impl IntoIterator<Item = &'a SigningKey>) -> Result<Self, KeyError> {
        stated.into_iter().map(Key::read).collect()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of a name for a use. A name may have several, one after the other.
    pub(super) fn named<'a>(
        &'a self,
        id: &'a str,
        usage: KeyUse,
    ) -> impl Iterator<Item = &'a Key> + 'a {
        self.0
            .iter()
            .filter(move |key| key.id == id && key.usage.is_none_or(|allowed| allowed == usage))
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::Pair;
    use super::*;

    #[test]
    fn only_keys_on_p256_are_read() {
        let pair = Pair::new("k");
        let good = pair.stated();
        assert_eq!(Key::read(&good).unwrap().id(), "k");
        let with = |key: &str| SigningKey {
            key: key.to_owned(),
            ..good.clone()
        };
        let mut longer = STANDARD.decode(&good.key).unwrap();
        longer.push(0);
        // Ed25519, RFC 8410.
        let other = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
        for text in [
            "",
            "x",
            "AAAA",
            other,
            &STANDARD.encode(longer),
            &"A".repeat(5000),
        ] {
            assert!(Key::read(&with(text)).is_err(), "{text}");
        }
        let wrong = SigningKey {
            end: Some("soon".to_owned()),
            ..good
        };
        assert!(matches!(Key::read(&wrong), Err(KeyError::Time { .. })));
    }

    #[test]
    fn a_key_signs_from_its_start_until_before_its_end() {
        let mut stated = Pair::new("k").stated();
        stated.start = Some("2025-01-01T00:00:00.000Z".to_owned());
        stated.end = Some("2026-01-01T00:00:00Z".to_owned());
        let key = Key::read(&stated).unwrap();
        for (time, holds) in [
            ("2024-12-31T23:59:59Z", false),
            ("2025-01-01T00:00:00Z", true),
            ("2025-12-31T23:59:59Z", true),
            ("2026-01-01T00:00:00Z", false),
        ] {
            assert_eq!(key.holds(moment(time).unwrap()).is_ok(), holds, "{time}");
        }
    }
}
