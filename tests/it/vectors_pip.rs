//! A published provenance object of a Python index in whole runs, as `vectors.rs` has it for npm: a wheel
//! and the attestation that its publisher signed.

use serde_json::{Value, json};

use crate::python::Python;
use crate::registry::{On, Registry, What};
use crate::run::Run;
use crate::vectors::{Vectors, control, flip};

const PROJECT: &str = "circleci-sign-publish-example";
const VERSION: &str = "0.0.1.dev137";
/// Where the certificate says that it was built.
const SOURCE: &str = "https://github.com/CircleCI-Public/sign-and-publish-examples";

fn file(version: &str) -> String {
    format!("circleci_sign_publish_example-{version}-py3-none-any.whl")
}

/// An index that serves the wheel with that provenance, and the run of an install.
struct Case {
    wheel: Vec<u8>,
    provenance: Value,
    source: &'static str,
}

impl Case {
    fn new() -> Option<Self> {
        let vectors = Vectors::find()?;
        let wheel = vectors.archive(&file(VERSION));
        let provenance = vectors.archive(&format!("{}.provenance", file(VERSION)));
        Some(Self {
            wheel,
            provenance: serde_json::from_slice(&provenance).unwrap(),
            source: SOURCE,
        })
    }

    fn attestation(&mut self) -> &mut Value {
        &mut self.provenance["attestation_bundles"][0]["attestations"][0]
    }

    fn run(&self) -> Run {
        let registry = Registry::start();
        let name = file(VERSION);
        let digest = registry.publish_file(PROJECT, &name, &self.wheel);
        let address = format!("/integrity/{PROJECT}/{VERSION}/{name}/provenance");
        let page = json!({
            "meta": { "api-version": "1.3" },
            "name": PROJECT,
            "versions": [VERSION],
            "files": [{
                "filename": name,
                "url": registry.file_url(&name),
                "hashes": { "sha256": digest },
                "provenance": format!("{}{}", registry.base().trim_end_matches('/'), address),
                "upload-time": "2026-02-05T23:00:00.000000Z",
                "yanked": false,
            }],
        });
        let kind = "application/vnd.pypi.simple.v1+json";
        for (path, kind, document) in [
            (format!("/simple/{PROJECT}/"), kind, &page),
            (
                address,
                "application/vnd.pypi.integrity.v1+json",
                &self.provenance,
            ),
        ] {
            registry.fault(
                On::Path(path.leak()),
                What::Page(kind, document.to_string()),
            );
        }
        let python = Python::new(&registry);
        let policy = format!(
            "[[sources]]\nname = \"{PROJECT}\"\nrepository = \"{}\"\n",
            self.source
        );
        python.project.file("v4run.toml", &policy);
        python
            .v4run(&["install", &format!("{PROJECT}=={VERSION}")])
            .run()
    }

    fn refused(&self, reason: &str) {
        let run = self.run();
        run.refuses(120, "signature-invalid", "4.10")
            .says(&format!("{PROJECT}@{VERSION}"))
            .says(reason);
        assert_eq!(control(&run, "4.10")["status"], "violated");
        let vouched = run.record().event("vouched", |_event| true);
        assert_eq!(vouched["checks"][0]["standing"], "invalid", "{vouched}");
    }
}

#[test]
fn a_published_provenance_object_verifies() {
    let Some(case) = Case::new() else { return };
    let run = case.run();
    run.succeeds();
    let vouched = run.record().event("vouched", |_event| true);
    let check = &vouched["checks"][0];
    assert_eq!(check["proof"], "provenance", "{vouched}");
    assert_eq!(check["standing"], "verified", "{vouched}");
    assert!(check["time"].as_str().unwrap().starts_with("2026-02-05T"));
    // The time is the log's. The certificate names a source and no commit, so nothing is traced to one.
    assert_eq!(control(&run, "4.11")["status"], "verified");
    let detail = control(&run, "4.2")["detail"].as_str().unwrap().to_owned();
    assert!(
        detail.contains("1 more by the repository's own word"),
        "{detail}"
    );
    assert_eq!(control(&run, "4.10")["status"], "unknown");
}

#[test]
fn a_provenance_object_with_a_flipped_bit_is_refused() {
    let Some(mut case) = Case::new() else { return };
    flip(&mut case.attestation()["envelope"]["signature"], 30);
    case.refused("does not hold");
}

#[test]
fn a_provenance_object_of_another_file_is_refused() {
    let Some(mut case) = Case::new() else { return };
    let vectors = Vectors::find().unwrap();
    case.provenance = vectors.sample("pypi-attestations-0.0.19-sdist.provenance.json");
    case.refused("not about these bytes");
}

#[test]
fn a_provenance_object_from_another_source_is_refused() {
    let Some(mut case) = Case::new() else { return };
    case.source = "https://github.com/CircleCI-Public/another-example";
    case.refused("v4run.toml");
}

#[test]
fn other_bytes_under_a_published_provenance_are_refused() {
    let Some(mut case) = Case::new() else { return };
    let wheel = crate::python::wheel::Wheel::new("circleci_sign_publish_example", VERSION);
    case.wheel = wheel.build();
    case.refused("not about these bytes");
}
