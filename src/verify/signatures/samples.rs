//! Keys of the tests' own, and the published material that a checkout may have beside it.

use std::path::PathBuf;
use std::sync::Once;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use serde_json::Value;

use super::Signature;
use crate::model::{Algorithm, Digest, KeyUse, SigningKey};

/// A key pair with a name.
pub(crate) struct Pair {
    id: String,
    pair: KeyPair,
}

impl Pair {
    pub(crate) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            pair: KeyPair::generate().unwrap(),
        }
    }

    pub(crate) fn stated(&self) -> SigningKey {
        SigningKey {
            id: self.id.clone(),
            key: STANDARD.encode(self.pair.subject_public_key_info()),
            usage: None,
            start: None,
            end: None,
            stated_in: "test".to_owned(),
        }
    }

    pub(crate) fn sign(&self, message: &str) -> Signature {
        Signature {
            key: self.id.clone(),
            signature: STANDARD.encode(self.pair.sign(message.as_bytes()).unwrap()),
        }
    }
}

pub(crate) fn digest(algorithm: Algorithm, byte: u8) -> Digest {
    Digest::new(algorithm, vec![byte; algorithm.size()]).unwrap()
}

/// The folder of published material.
pub(crate) struct Samples(PathBuf);

/// Published material, if this checkout has it. Without it the tests say so.
pub(crate) fn samples() -> Option<Samples> {
    static SAID: Once = Once::new();
    let folder = std::env::var_os("V4RUN_SAMPLES").map(PathBuf::from);
    let folder = folder.filter(|folder| folder.is_dir());
    if folder.is_none() {
        SAID.call_once(|| {
            use std::io::Write as _;
            let text = "not run: tests with published signatures; V4RUN_SAMPLES names no folder\n";
            let _ = std::io::stderr().write_all(text.as_bytes());
        });
    }
    folder.map(Samples)
}

impl Samples {
    pub(crate) fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.0.join(name)).unwrap()).unwrap()
    }

    pub(crate) fn npm_keys(&self) -> Vec<SigningKey> {
        let document = self.json("npm-keys-from-tuf.json");
        let keys = document["keys"].as_array().unwrap().iter();
        keys.map(|key| {
            let valid = |end: &str| {
                let time = &key["publicKey"]["validFor"][end];
                time.as_str().map(str::to_owned)
            };
            SigningKey {
                id: key["keyId"].as_str().unwrap().to_owned(),
                key: key["publicKey"]["rawBytes"].as_str().unwrap().to_owned(),
                usage: Some(match key["keyUsage"].as_str() {
                    Some("npm:signatures") => KeyUse::Signatures,
                    Some("npm:attestations") => KeyUse::Attestations,
                    other => panic!("{other:?}"),
                }),
                start: valid("start"),
                end: valid("end"),
                stated_in: "samples".to_owned(),
            }
        })
        .collect()
    }
}
