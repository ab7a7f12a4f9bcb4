//! Signatures and origin of what is installed: a registry that signs with a key of its own, which the
//! policy names. Each attack first succeeds with the bare npm.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};

use crate::project::Project;
use crate::registry::package::{Package, Published, tampered};
use crate::registry::{On, Registry, Statement, What};
use crate::run::Run;

struct Signer {
    pair: KeyPair,
}

impl Signer {
    fn new() -> Self {
        Self {
            pair: KeyPair::generate().unwrap(),
        }
    }

    /// The policy that names the key for an origin.
    fn policy(&self, origin: &str, more: &str) -> String {
        let key = STANDARD.encode(self.pair.subject_public_key_info());
        format!(
            "[[signing-keys]]\norigin = \"{origin}\"\nid = \"SHA256:it\"\nkey = \"{key}\"\n{more}"
        )
    }

    /// What the registry says of a version, signed.
    fn document(&self, name: &str, version: &str, integrity: &str, more: &Value) -> Value {
        let message = format!("{name}@{version}:{integrity}");
        let signature = STANDARD.encode(self.pair.sign(message.as_bytes()).unwrap());
        let mut document = json!({
            "name": name,
            "version": version,
            "dist": {
                "integrity": integrity,
                "signatures": [{ "keyid": "SHA256:it", "sig": signature }],
            },
        });
        for (key, value) in more.as_object().unwrap() {
            document[key] = value.clone();
        }
        document
    }
}

fn serve(registry: &Registry, path: &'static str, document: &Value) {
    let page = What::Page("application/json", document.to_string());
    registry.fault(On::Path(path), page);
}

fn control<'a>(run: &'a Run, id: &str) -> &'a Value {
    let controls = run.record().summary["controls"].as_array().unwrap();
    controls.iter().find(|control| control["id"] == id).unwrap()
}

fn thing() -> Package {
    Package::new("thing", "1.0.0")
}

/// The packument of `thing` with these marks in `dist` and that time.
fn packument(registry: &Registry, published: &Published, document: &Value) -> What {
    let mut dist = document["dist"].clone();
    dist["tarball"] = registry.tarball_url(published).into();
    let packument = json!({
        "name": "thing",
        "dist-tags": { "latest": "1.0.0" },
        "versions": { "1.0.0": { "name": "thing", "version": "1.0.0", "dist": dist } },
        "time": { "1.0.0": "2026-01-02T03:04:05.000Z" },
    });
    What::Page("application/json", packument.to_string())
}

#[test]
fn a_signed_install_is_congruent_and_its_components_say_who_signed() {
    let (registry, signer) = (Registry::start(), Signer::new());
    let published = registry.publish(&thing());
    let document = signer.document("thing", "1.0.0", &published.sha512, &json!({}));
    serve(&registry, "/thing/1.0.0", &document);
    let project = Project::locked(&registry, json!({ "thing": "1.0.0" }));
    project.file("v4run.toml", &signer.policy(&registry.base(), ""));
    let run = project.v4run(&["npm", "ci"]).run();
    run.succeeds();
    let congruent = control(&run, "4.2");
    assert_eq!(congruent["status"], "verified", "{congruent}");
    // The registry was asked when it published the version.
    assert_eq!(control(&run, "4.11")["status"], "observed");
    assert_eq!(control(&run, "4.10")["status"], "unknown");
    let vouched = run
        .record()
        .event("vouched", |event| event["name"] == "thing");
    assert_eq!(vouched["checks"][0]["proof"], "registry-signature");
    assert_eq!(vouched["checks"][0]["signer"], "SHA256:it");
    let bom = run.record().bom["components"].to_string();
    assert!(
        bom.contains("registry signature verified: SHA256:it"),
        "{bom}"
    );

    // Without the policy the same signature is the registry's own word, or nobody's.
    std::fs::remove_file(project.path("v4run.toml")).unwrap();
    let run = project.v4run(&["npm", "ci"]).run();
    run.succeeds();
    assert_eq!(control(&run, "4.2")["status"], "unknown");
}

#[test]
fn a_registry_that_was_changed_cannot_sign_what_it_serves() {
    let (registry, signer) = (Registry::start(), Signer::new());
    let good = registry.publish(&thing());
    // The thief changes archive and index alike; the signature is the old one.
    let bytes = tampered(&thing());
    let mut document = signer.document("thing", "1.0.0", &good.sha512, &json!({}));
    let theirs = crate::registry::package::sri_sha512(&bytes);
    document["dist"]["integrity"] = theirs.into();
    registry.fault(On::Tarball("thing"), What::Bytes(bytes));
    registry.fault(
        On::Packument("thing"),
        packument(&registry, &good, &document),
    );
    serve(&registry, "/thing/1.0.0", &document);
    let bare = Project::new(&registry);
    bare.npm(&["install", "thing"]).run().succeeds();
    assert!(bare.installed("thing/implant.js").contains("implant"));

    let project = Project::new(&registry);
    project.file("v4run.toml", &signer.policy(&registry.base(), ""));
    let run = project.v4run(&["npm", "install", "thing"]).run();
    run.refuses(120, "signature-invalid", "4.2")
        .says("thing@1.0.0");
    assert!(!project.path("node_modules/thing").exists());
    assert!(run.record().events("released").is_empty());
    assert_eq!(control(&run, "4.2")["status"], "violated");
}

#[test]
fn a_signature_that_is_asked_for_later_still_decides_the_run() {
    let (registry, signer) = (Registry::start(), Signer::new());
    registry.publish(&thing());
    let other = signer.document(
        "thing",
        "1.0.0",
        &format!("sha512-{}", "A".repeat(86) + "=="),
        &json!({}),
    );
    serve(&registry, "/thing/1.0.0", &other);
    let project = Project::locked(&registry, json!({ "thing": "1.0.0" }));
    project.npm(&["ci"]).run().succeeds();
    project.file("v4run.toml", &signer.policy(&registry.base(), ""));
    let run = project.v4run(&["npm", "ci"]).run();
    run.refuses(120, "signature-invalid", "4.2")
        .says("another digest");
}

#[test]
fn a_mirror_that_differs_from_its_origin_is_refused_and_a_true_one_is_congruent() {
    for differs in [false, true] {
        let (registry, signer) = (Registry::start(), Signer::new());
        let good = registry.publish(&thing());
        let bytes = match differs {
            true => tampered(&thing()),
            false => good.tarball.clone(),
        };
        // The origin stands beside the mirror, below another path.
        let origin = format!("{}origin/", registry.base());
        let said = signer.document("thing", "1.0.0", &good.sha512, &json!({}));
        serve(&registry, "/origin/thing/1.0.0", &said);
        registry.fault(On::Tarball("thing"), What::Bytes(bytes.clone()));
        let text = crate::registry::package::sri_sha512(&bytes);
        let project = Project::new(&registry);
        registry.publish_as(&thing(), Statement::Text(text));
        let bare = Project::new(&registry);
        bare.npm(&["install", "thing"]).run().succeeds();
        assert_eq!(bare.path("node_modules/thing/implant.js").exists(), differs);

        let policy = format!(
            "[[repositories]]\nurl = \"{}\"\norigin = \"{origin}\"\n",
            registry.base()
        );
        project.file("v4run.toml", &policy);
        let run = project.v4run(&["npm", "install", "thing"]).run();
        if differs {
            run.refuses(120, "origin-differs", "4.2").says(&origin);
        } else {
            run.succeeds();
            assert_eq!(control(&run, "4.2")["status"], "verified");
        }
    }
}

#[test]
fn less_assurance_than_before_is_told_and_refuses_nothing() {
    let (registry, signer) = (Registry::start(), Signer::new());
    let first = registry.publish(&thing());
    let second = registry.publish(&Package::new("thing", "1.0.1"));
    let approved = json!({ "_npmUser": { "name": "a", "approver": { "name": "b" } } });
    let document = signer.document("thing", "1.0.0", &first.sha512, &approved);
    serve(&registry, "/thing/1.0.0", &document);
    let document = signer.document("thing", "1.0.1", &second.sha512, &json!({}));
    serve(&registry, "/thing/1.0.1", &document);
    let policy = signer.policy(&registry.base(), "");
    let project = Project::locked(&registry, json!({ "thing": "1.0.0" }));
    project.file("v4run.toml", &policy);
    let run = project.v4run(&["npm", "ci"]).run();
    run.succeeds();
    assert_eq!(control(&run, "4.5")["status"], "observed");
    project.lock(
        &registry,
        &json!({ "name": "project", "version": "1.0.0", "dependencies": { "thing": "1.0.1" } }),
    );
    let run = project.v4run(&["npm", "ci"]).run();
    run.succeeds();
    let alarm = run
        .record()
        .event("found", |event| event["code"] == "trust-downgraded");
    assert_eq!(alarm["subject"], "thing@1.0.1");
    assert_eq!(control(&run, "4.5")["status"], "unknown");
}

#[test]
fn a_key_that_is_none_is_said_with_its_line() {
    let registry = Registry::start();
    registry.publish(&thing());
    let project = Project::locked(&registry, json!({ "thing": "1.0.0" }));
    let policy = format!(
        "[[signing-keys]]\norigin = \"{}\"\nid = \"x\"\nkey = \"AAAA\"\n",
        registry.base()
    );
    project.file("v4run.toml", &policy);
    let run = project.v4run(&["npm", "ci"]).run();
    run.exits(125).says("v4run.toml:3");
    assert!(!project.path("node_modules/thing").exists());
}
