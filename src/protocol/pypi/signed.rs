//! Attestations of a Python index.
//!
//! A page names, for a file, the address of its provenance: for each publisher the attestations that it
//! signed. Their form is another one than that of a Sigstore bundle, with the same content; here the
//! names are changed and nothing is judged.
//!
//! PEP 740; Sigstore bundle format 0.3.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::protocol::{About, Attestation, Signs};

/// Attestations of one file.
const MOST: usize = 16;
/// Where publishers of that kind have their sources.
const KINDS: [(&str, &str); 2] = [
    ("GitHub", "https://github.com"),
    ("GitLab", "https://gitlab.com"),
];

/// What Python indexes have.
#[derive(Debug)]
pub(super) struct PypiSigns;

#[derive(Deserialize)]
struct Provenance {
    version: u32,
    attestation_bundles: Vec<Publisher>,
}

#[derive(Deserialize)]
struct Publisher {
    publisher: Identity,
    attestations: Vec<One>,
}

#[derive(Deserialize)]
struct Identity {
    kind: String,
    #[serde(default)]
    repository: Option<String>,
    /// Host and path, as one kind of publisher names its source.
    #[serde(default)]
    vcs_origin: Option<String>,
}

#[derive(Deserialize)]
struct One {
    version: u32,
    verification_material: Material,
    envelope: Envelope,
}

#[derive(Deserialize)]
struct Material {
    certificate: String,
    transparency_entries: Vec<Value>,
}

#[derive(Deserialize)]
struct Envelope {
    statement: String,
    signature: String,
}

impl Identity {
    /// The address of the source repository, as far as the publisher's kind says where that is.
    fn source(&self) -> Option<String> {
        if let Some(origin) = &self.vcs_origin {
            return Some(format!("https://{origin}"));
        }
        let (_, site) = KINDS.iter().find(|(kind, _)| *kind == self.kind)?;
        Some(format!("{site}/{}", self.repository.as_ref()?))
    }
}

impl One {
    fn bundle(self) -> String {
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": { "rawBytes": self.verification_material.certificate },
                "tlogEntries": self.verification_material.transparency_entries,
            },
            "dsseEnvelope": {
                "payload": self.envelope.statement,
                "payloadType": "application/vnd.in-toto+json",
                "signatures": [{ "sig": self.envelope.signature }],
            },
        })
        .to_string()
    }
}

impl Signs for PypiSigns {
    fn attestation_kinds(&self) -> &'static str {
        "application/vnd.pypi.integrity.v1+json, application/json; q=0.5"
    }

    fn attestations(&self, body: &[u8]) -> Option<Vec<Attestation>> {
        let read: Provenance = serde_json::from_slice(body).ok()?;
        (read.version == 1).then_some(())?;
        let mut found = Vec::new();
        for publisher in read.attestation_bundles {
            let source = publisher.publisher.source();
            for one in publisher.attestations {
                if found.len() < MOST && one.version == 1 {
                    found.push(Attestation {
                        bundle: one.bundle(),
                        by_repository: false,
                        publisher: source.clone(),
                        over: None,
                    });
                }
            }
        }
        Some(found)
    }

    fn subject(&self, about: About<'_>) -> Option<String> {
        about.file.map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attestation_becomes_a_bundle() {
        let text = r#"{"version":1,"attestation_bundles":[{"publisher":{"kind":"GitHub",
            "repository":"o/left","workflow":"r.yml","environment":null},"attestations":[{"version":1,
            "verification_material":{"certificate":"QQ==","transparency_entries":[{"logIndex":"1"}]},
            "envelope":{"statement":"Qg==","signature":"Qw=="}},{"version":2,
            "verification_material":{"certificate":"","transparency_entries":[]},
            "envelope":{"statement":"","signature":""}}]}]}"#;
        let found = PypiSigns.attestations(text.as_bytes()).unwrap();
        assert_eq!(found.len(), 1);
        assert!(found[0].publisher.as_ref().unwrap().ends_with("/o/left"));
        let bundle: Value = serde_json::from_str(&found[0].bundle).unwrap();
        assert_eq!(bundle["dsseEnvelope"]["payload"], "Qg==");
        assert_eq!(bundle["dsseEnvelope"]["signatures"][0]["sig"], "Qw==");
        assert_eq!(
            bundle["verificationMaterial"]["tlogEntries"][0]["logIndex"],
            "1"
        );
        for other in ["", "{}", "[]", r#"{"version":2,"attestation_bundles":[]}"#] {
            assert_eq!(PypiSigns.attestations(other.as_bytes()), None, "{other}");
        }
    }

    #[cfg(feature = "sigstore")]
    #[test]
    fn a_published_provenance_object_verifies() {
        use crate::model::{Algorithm, Digest};
        use crate::verify::signatures::samples::samples;
        use crate::verify::signatures::{Judgement, Keys, Roots, Subject, same_repository};

        let Some(samples) = samples() else { return };
        let document = samples.json("pypi-attestations-0.0.19-sdist.provenance.json");
        let found = PypiSigns
            .attestations(document.to_string().as_bytes())
            .unwrap();
        let hex = "9bb1add04b1b4e182be6b0b80931593f7a291eb49d69b4fd728a5d4cbcdc4bd3";
        let digest = Digest::from_hex(Algorithm::Sha256, hex).unwrap();
        let roots = Roots::new(None).unwrap();
        let judge = |name: &str, digest: &Digest| {
            let digests = [digest];
            let subject = Subject {
                name,
                digests: &digests,
            };
            roots.judge(&found[0].bundle, &subject, &Keys::default())
        };
        let name = "pypi_attestations-0.0.19.tar.gz";
        let Judgement::Holds(attested) = judge(name, &digest) else {
            panic!("{:?}", judge(name, &digest));
        };
        let source = attested.repository.unwrap();
        assert!(same_repository(
            &source,
            found[0].publisher.as_ref().unwrap()
        ));
        assert_eq!(attested.commit.unwrap().len(), 40);
        let flipped = Digest::from_hex(Algorithm::Sha256, &hex.replace("9bb1", "9bb0")).unwrap();
        assert!(matches!(judge(name, &flipped), Judgement::Invalid(_)));
        let other = judge("pypi_attestations-0.0.20.tar.gz", &digest);
        assert!(matches!(other, Judgement::Invalid(_)));
    }
}
