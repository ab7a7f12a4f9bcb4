//! Published signatures and attestations in whole runs: a version as its registry signed it verifies,
//! and the same with a bit flipped, under another version, over other bytes, from another source or by a
//! key that had ended is refused. The bare npm installs each of them.
//!
//! The archives are fetched by `scripts/setup.sh`, signatures and keys come from the folder that
//! `V4RUN_SAMPLES` names. Without them these tests say so and check nothing.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::project::Project;
use crate::registry::package::{Package, Published, tampered};
use crate::registry::{On, Registry, What};
use crate::run::Run;

/// Where the published package was built.
const SOURCE: &str = "https://github.com/sigstore/sigstore-js";

/// The folders of published material: archives, and what is known of them.
pub(crate) struct Vectors {
    archives: PathBuf,
    samples: PathBuf,
}

impl Vectors {
    /// Those of this machine.
    pub(crate) fn find() -> Option<Self> {
        let python = std::env::var_os("V4RUN_TEST_PYTHON").map(PathBuf::from);
        let tools = python.as_deref().and_then(|file| file.parent()?.parent());
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools");
        let archives = tools.unwrap_or(&own).join("vectors");
        let Some(samples) = std::env::var_os("V4RUN_SAMPLES") else {
            let text = "not run: a test with published signatures; V4RUN_SAMPLES is not set\n";
            let _ = std::io::stderr().write_all(text.as_bytes());
            return None;
        };
        let samples = PathBuf::from(samples);
        assert!(samples.is_dir(), "V4RUN_SAMPLES is no directory");
        assert!(archives.is_dir(), "run `scripts/setup.sh test` first");
        Some(Self { archives, samples })
    }

    /// A fetched file.
    pub(crate) fn archive(&self, name: &str) -> Vec<u8> {
        fs::read(self.archives.join(name)).unwrap()
    }

    /// A published document.
    pub(crate) fn sample(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.samples.join(name)).unwrap()).unwrap()
    }

    /// The keys of the registry as a policy names them for another origin.
    pub(crate) fn keys(&self, origin: &str, end: Option<&str>) -> String {
        let document = self.sample("npm-keys-from-tuf.json");
        let mut policy = String::new();
        for key in document["keys"].as_array().unwrap() {
            let (material, usage) = (&key["publicKey"], key["keyUsage"].as_str().unwrap());
            policy.push_str(&format!(
                "[[signing-keys]]\norigin = \"{origin}\"\nid = {}\nkey = {}\nusage = \"{}\"\nstart = {}\n",
                key["keyId"],
                material["rawBytes"],
                usage.strip_prefix("npm:").unwrap(),
                material["validFor"]["start"],
            ));
            if let Some(end) = end.or(material["validFor"]["end"].as_str()) {
                policy.push_str(&format!("end = \"{end}\"\n"));
            }
        }
        policy
    }
}

/// The status of a control of a run.
pub(crate) fn control<'a>(run: &'a Run, id: &str) -> &'a Value {
    let controls = run.record().summary["controls"].as_array().unwrap();
    controls.iter().find(|control| control["id"] == id).unwrap()
}

/// Flips one bit of a text in base64.
pub(crate) fn flip(text: &mut Value, at: usize) {
    let mut bytes = STANDARD.decode(text.as_str().unwrap()).unwrap();
    bytes[at] ^= 1;
    *text = STANDARD.encode(bytes).into();
}

/// A published version with everything that is known of it, to be changed by a test.
struct Case {
    vectors: Vectors,
    version: &'static str,
    tarball: Vec<u8>,
    signature: Value,
    attestations: Value,
    source: &'static str,
    end: Option<&'static str>,
}

/// The registry's own statement and the builder's, in the document of attestations.
const PROVENANCE: usize = 0;
const PUBLISH: usize = 1;

impl Case {
    fn new() -> Option<Self> {
        let vectors = Vectors::find()?;
        let vector = &vectors.sample("npm-registry-signatures.json")["vectors"][0];
        let mut attestations = vectors.sample("npm-attestations-sigstore-1.0.0.json");
        let all = attestations["attestations"].as_array_mut().unwrap();
        let is_publish = |one: &Value| one["predicateType"].as_str().unwrap().contains("publish");
        all.sort_by_key(is_publish);
        Some(Self {
            version: "1.0.0",
            tarball: vectors.archive("sigstore-1.0.0.tgz"),
            signature: json!({ "keyid": vector["keyid"], "sig": vector["sig"] }),
            attestations,
            source: SOURCE,
            end: None,
            vectors,
        })
    }

    fn attestation(&mut self, number: usize) -> &mut Value {
        &mut self.attestations["attestations"][number]["bundle"]
    }

    fn publish(&self, registry: &Registry) -> Published {
        let published = registry.publish_archive("sigstore", self.version, &self.tarball);
        let path = format!("-/npm/v1/attestations/sigstore@{}", self.version);
        let document = json!({
            "name": "sigstore",
            "version": self.version,
            "repository": { "type": "git", "url": format!("git+{SOURCE}.git") },
            "dist": {
                "integrity": published.sha512,
                "signatures": [self.signature],
                "attestations": { "url": format!("{}{path}", registry.base()) },
            },
            "_npmOperationalInternal": {
                "tmp": format!("tmp/sigstore_{}_1675965413405_0.5", self.version),
            },
        });
        for (path, document) in [
            (format!("/sigstore/{}", self.version), &document),
            (format!("/{path}"), &self.attestations),
        ] {
            let page = What::Page("application/json", document.to_string());
            registry.fault(On::Path(path.leak()), page);
        }
        published
    }

    fn project(&self, registry: &Registry) -> Project {
        self.publish(registry);
        let project = Project::locked(registry, json!({ "sigstore": self.version }));
        let mut policy = self.vectors.keys(&registry.base(), self.end);
        policy.push_str(&format!(
            "[[sources]]\nname = \"sigstore\"\nrepository = \"{}\"\n",
            self.source
        ));
        project.file("v4run.toml", &policy);
        project
    }

    /// Installs it, which must be refused for that reason.
    fn refused(&self, id: &str, proof: &str, reason: &str) {
        let registry = Registry::start();
        let project = self.project(&registry);
        let run = project.v4run(&["npm", "ci"]).run();
        run.refuses(120, "signature-invalid", id)
            .says(&format!("sigstore@{}", self.version))
            .says(reason);
        assert_eq!(control(&run, id)["status"], "violated");
        let vouched = run.record().event("vouched", |_event| true);
        let mut checks = vouched["checks"].as_array().unwrap().iter();
        let check = checks.find(|check| check["proof"] == proof).unwrap();
        assert_eq!(check["standing"], "invalid", "{vouched}");
        run.record().event("found", |event| {
            event["code"] == "signature-invalid" && event["control"] == id
        });
    }
}

#[test]
fn what_a_registry_published_verifies_through_another_one() {
    let Some(case) = Case::new() else { return };
    let registry = Registry::start();
    let project = case.project(&registry);
    let run = project.v4run(&["npm", "ci"]).run();
    run.succeeds();
    for (id, status) in [
        ("4.2", "verified"),
        ("4.10", "verified"),
        ("4.11", "verified"),
    ] {
        let control = control(&run, id);
        assert_eq!(control["status"], status, "{control}\n{}", run.told());
    }
    let vouched = run.record().event("vouched", |_event| true);
    for proof in ["registry-signature", "publish-attestation", "provenance"] {
        let mut checks = vouched["checks"].as_array().unwrap().iter();
        let check = checks.find(|check| check["proof"] == proof).unwrap();
        assert_eq!(check["standing"], "verified", "{vouched}");
    }
    let built = &vouched["built"];
    assert_eq!(built["repository"], SOURCE);
    assert_eq!(built["commit"], "06528997c3c8ab9f864fad9a3658446aca7fd86d");
    assert_eq!(vouched["published"], "2023-02-09T17:56:53Z");

    // What was heard of the same bytes is verified again, and nobody is asked: a registry that has
    // nothing to say any more changes nothing, while a key that the policy no longer names does.
    registry.heal();
    let run = project.v4run(&["npm", "ci"]).run();
    run.succeeds();
    let again = run.record().event("vouched", |_event| true);
    assert_eq!(again["checks"], vouched["checks"]);
    assert!(again["recalled"].as_str().unwrap().starts_with("20"));
    assert_eq!(control(&run, "4.10")["status"], "verified");
    let policy = case
        .vectors
        .keys(&registry.base(), Some("2023-01-01T00:00:00Z"));
    project.file("v4run.toml", &policy);
    let run = project.v4run(&["npm", "ci"]).run();
    let late = run.record().event("vouched", |_event| true);
    assert_eq!(late["recalled"], json!(null), "{late}");
    assert_ne!(control(&run, "4.2")["status"], "verified");
}

#[test]
fn a_published_signature_with_a_flipped_bit_is_refused() {
    let Some(mut case) = Case::new() else { return };
    flip(&mut case.signature["sig"], 30);
    case.refused("4.2", "registry-signature", "did not sign");
}

#[test]
fn a_published_signature_of_another_version_is_refused() {
    let Some(mut case) = Case::new() else { return };
    case.version = "1.0.1";
    case.refused("4.2", "registry-signature", "did not sign");
}

#[test]
fn a_key_that_had_ended_by_the_time_of_publication_is_refused() {
    let Some(mut case) = Case::new() else { return };
    case.end = Some("2023-01-01T00:00:00Z");
    case.refused("4.2", "registry-signature", "ended at 2023-01-01");
}

#[test]
fn a_published_attestation_with_a_flipped_bit_is_refused() {
    let Some(mut case) = Case::new() else { return };
    let envelope = &mut case.attestation(PUBLISH)["dsseEnvelope"];
    flip(&mut envelope["signatures"][0]["sig"], 30);
    case.refused("4.2", "publish-attestation", "does not hold");
}

#[test]
fn a_published_provenance_with_a_flipped_bit_is_refused() {
    let Some(mut case) = Case::new() else { return };
    let envelope = &mut case.attestation(PROVENANCE)["dsseEnvelope"];
    flip(&mut envelope["signatures"][0]["sig"], 30);
    case.refused("4.10", "provenance", "does not hold");
}

#[test]
fn a_published_provenance_of_another_package_is_refused() {
    let Some(mut case) = Case::new() else { return };
    case.attestations = case.vectors.sample("npm-attestations-tuf-js-1.0.0.json");
    case.refused("4.10", "provenance", "not about these bytes");
}

#[test]
fn a_published_provenance_from_another_source_is_refused() {
    let Some(mut case) = Case::new() else { return };
    case.source = "https://github.com/sigstore/sigstore-py";
    case.refused("4.10", "provenance", "v4run.toml");
}

#[test]
fn other_bytes_under_a_published_signature_are_refused() {
    let Some(mut case) = Case::new() else { return };
    case.tarball = tampered(&Package::new("sigstore", "1.0.0"));
    let registry = Registry::start();
    let bare = case.project(&registry);
    bare.npm(&["ci"]).run().succeeds();
    assert!(bare.installed("sigstore/implant.js").contains("implant"));
    case.refused("4.2", "registry-signature", "did not sign");
}
