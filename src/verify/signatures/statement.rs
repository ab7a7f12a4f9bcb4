//! The in-toto statement in a bundle: of what, and of what kind it is.
//!
//! Read before the bundle is verified, to know which check applies, and believed only afterwards.
//!
//! in-toto attestation framework, Statement layer; DSSE 1.0.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::Subject;
use crate::model::{Algorithm, Digest};

/// A statement, as far as it is looked at.
#[derive(Debug, Deserialize)]
pub(super) struct Statement {
    subject: Vec<Named>,
    #[serde(rename = "predicateType")]
    pub(super) predicate: String,
}

#[derive(Debug, Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
    digest: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    verification_material: Material,
    dsse_envelope: Envelope,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Material {
    public_key: Option<Hint>,
}

#[derive(Deserialize)]
struct Hint {
    hint: Option<String>,
}

#[derive(Deserialize)]
struct Envelope {
    payload: String,
}

/// The statement of a bundle, and the name of the key that signed it where that is no certificate's.
pub(super) fn read(bundle: &str) -> Option<(Statement, Option<String>)> {
    let bundle: Bundle = serde_json::from_str(bundle).ok()?;
    let payload = STANDARD.decode(bundle.dsse_envelope.payload).ok()?;
    let statement = serde_json::from_slice(&payload).ok()?;
    let key = bundle.verification_material.public_key;
    Some((statement, key.map(|key| key.hint.unwrap_or_default())))
}

impl Statement {
    /// The digest by which it is about that artifact: one subject has its name and this one of its
    /// digests. A statement need not have each kind, and whoever checks must ask for one that it has.
    pub(super) fn digest_of<'a>(&self, subject: &Subject<'a>) -> Option<&'a Digest> {
        let named = self.subject.iter();
        let mut named = named.filter(|named| named.name == subject.name);
        named.find_map(|named| {
            let mut digests = subject.digests.iter().copied();
            digests.find(|digest| {
                let name = match digest.algorithm() {
                    Algorithm::Sha256 => "sha256",
                    Algorithm::Sha512 => "sha512",
                    Algorithm::Md5 | Algorithm::Sha1 | Algorithm::Sha384 => return false,
                };
                let stated = named.digest.get(name);
                stated.is_some_and(|stated| stated.eq_ignore_ascii_case(&digest.hex()))
            })
        })
    }
}
