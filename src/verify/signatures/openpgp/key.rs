//! A publisher's key: one key or subkey, named by its fingerprint.
//!
//! Trusted is exactly the key with that fingerprint, in the time that the policy states. Names, user
//! signatures, bindings of subkeys, expiry and revocation that the same text may carry are not read:
//! they are statements to somebody who does not know the key yet, and whoever pins it does.
//!
//! RFC 9580, sections 5.5 (keys) and 9 (constants); RFC 6637 (the older form of Edwards keys).

use std::time::{Duration, SystemTime};

use sha1::{Digest as _, Sha1};

use super::packet::{self, Packet};
use crate::model::PublisherKey;
use crate::verify::signatures::moment;

/// Packets that hold a key.
const KEYS: [u8; 2] = [6, 14];
/// Smallest RSA modulus in bytes that is taken, and the largest.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=1024;
/// Curves by their object identifiers.
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const ED25519: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01];

/// Why a publisher's key cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublisherError {
    /// Not the text of a public key.
    #[error("it is not a public key in OpenPGP's armor")]
    Encoding,
    /// The text has other keys.
    #[error("the text has no key with the fingerprint {0}")]
    Absent(String),
    /// A kind or size of key that is not checked with.
    #[error("the key {0} is of a kind or size that signatures are not checked with")]
    Kind(String),
    /// A validity that is no time.
    #[error("its validity is not a time of RFC 3339: {0}")]
    Time(String),
}

/// The numbers of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// A key that can be checked with.
#[derive(Clone, Debug)]
pub struct Publisher {
    name: String,
    fingerprint: String,
    pub(super) material: Material,
    start: SystemTime,
    end: Option<SystemTime>,
}

impl Publisher {
    /// Reads a key of a policy.
    pub fn read(stated: &PublisherKey) -> Result<Self, PublisherError> {
        let fingerprint = plain(&stated.fingerprint);
        let bytes = packet::armored(&stated.key, "PUBLIC KEY BLOCK");
        let bytes = bytes.ok_or(PublisherError::Encoding)?;
        let packets = packet::packets(&bytes).ok_or(PublisherError::Encoding)?;
        let mut keys = packets.iter().filter(|one| KEYS.contains(&one.tag));
        let key = keys
            .find(|one| fingerprint_of(one).as_deref() == Some(fingerprint.as_str()))
            .ok_or_else(|| PublisherError::Absent(fingerprint.clone()))?;
        let (made, material) =
            read(key.body).ok_or_else(|| PublisherError::Kind(fingerprint.clone()))?;
        let time = |text: &Option<String>| {
            let read = text.as_ref().map(|text| {
                moment(text)
                    .ok_or_else(|| PublisherError::Time(text.escape_debug().take(60).collect()))
            });
            read.transpose()
        };
        let start = time(&stated.start)?;
        Ok(Self {
            name: stated.name.clone(),
            fingerprint,
            material,
            start: start.map_or(made, |start| start.max(made)),
            end: time(&stated.end)?,
        })
    }

    /// The package name that it is for, or the beginning of one with a final `*`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its fingerprint, lower-case hexadecimal.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Whether a signature can be of this key, by the end of its fingerprint.
    pub(super) fn is(&self, issuer: &str) -> bool {
        issuer.len() >= 16 && self.fingerprint.ends_with(issuer)
    }

    /// Whether it signs at that time; else the reason.
    pub(super) fn holds(&self, time: SystemTime) -> Result<(), String> {
        use crate::verify::signatures::stamp;
        let id = &self.fingerprint;
        if time < self.start {
            let (time, start) = (stamp(time), stamp(self.start));
            return Err(format!(
                "the key {id} begins at {start}, and this is from {time}"
            ));
        }
        match self.end {
            Some(end) if time >= end => {
                let (time, end) = (stamp(time), stamp(end));
                Err(format!(
                    "the key {id} ended at {end}, and this is from {time}"
                ))
            }
            Some(_) | None => Ok(()),
        }
    }
}

/// A fingerprint without the spaces and in the case in which it is compared.
fn plain(fingerprint: &str) -> String {
    let plain = fingerprint.trim().trim_start_matches("0x");
    plain
        .split_whitespace()
        .collect::<String>()
        .to_ascii_lowercase()
}

/// The fingerprint of a version 4 key: SHA-1 is what names it, and no more than a name.
fn fingerprint_of(packet: &Packet<'_>) -> Option<String> {
    let length = u16::try_from(packet.body.len()).ok()?;
    packet.body.first().filter(|version| **version == 4)?;
    let mut hash = Sha1::new();
    hash.update([0x99]);
    hash.update(length.to_be_bytes());
    hash.update(packet.body);
    Some(hex::encode(hash.finalize()))
}

/// When a version 4 key was made, and its numbers.
fn read(body: &[u8]) -> Option<(SystemTime, Material)> {
    let (_version, rest) = body.split_first()?;
    let (made, rest) = rest.split_at_checked(4)?;
    let made = u64::try_from(packet::number(made)?).ok()?;
    let made = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(made))?;
    let (algorithm, rest) = rest.split_first()?;
    let material = match algorithm {
        1 | 3 => {
            let (modulus, rest) = packet::integer(rest)?;
            let (exponent, _) = packet::integer(rest)?;
            MODULUS.contains(&modulus.len()).then(|| Material::Rsa {
                modulus: modulus.to_vec(),
                exponent: exponent.to_vec(),
            })
        }
        19 | 22 => {
            let (length, rest) = rest.split_first()?;
            let (curve, rest) = rest.split_at_checked(usize::from(*length))?;
            let (point, _) = packet::integer(rest)?;
            match (algorithm, curve, point) {
                (19, P256, [4, ..]) if point.len() == 65 => Some(Material::P256(point.to_vec())),
                (19, P384, [4, ..]) if point.len() == 97 => Some(Material::P384(point.to_vec())),
                (22, ED25519, [0x40, point @ ..]) if point.len() == 32 => {
                    Some(Material::Ed25519(point.to_vec()))
                }
                (_, _, _) => None,
            }
        }
        27 => Some(Material::Ed25519(rest.get(..32)?.to_vec())),
        _ => None,
    };
    Some((made, material?))
}
