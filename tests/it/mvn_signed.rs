//! Signatures beside the files of a Maven repository: a publisher's by a key that the policy pins, and a
//! published Sigstore bundle. What holds is evidence, what contradicts is refused, what is not there is
//! unknown.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use sha1::{Digest as _, Sha1};

use crate::maven::jar::Jar;
use crate::maven::{Maven, dependency, path, pom, publish};
use crate::registry::Registry;
use crate::run::Run;
use crate::vectors::{Vectors, control};

/// Where the published bundle says that its bytes were built.
const SOURCE: &str = "https://github.com/trailofbits/rfc8785.py";

/// A publisher with an OpenPGP key.
struct Publisher {
    pair: KeyPair,
    key: Vec<u8>,
}

fn packet(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[0xc0 | tag, 255], &length[..], body].concat()
}

fn integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let bytes = &bytes[zeros..];
    let bits = bytes.len() * 8 - bytes[0].leading_zeros() as usize;
    [&u16::try_from(bits).unwrap().to_be_bytes()[..], bytes].concat()
}

fn armor(title: &str, bytes: &[u8]) -> String {
    let text = STANDARD.encode(bytes);
    format!("-----BEGIN PGP {title}-----\n\n{text}\n-----END PGP {title}-----\n")
}

impl Publisher {
    fn new() -> Self {
        let pair = KeyPair::generate().unwrap();
        // Version, time, ECDSA, curve P-256, point.
        let head = [
            4, 0x60, 0, 0, 0, 19, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7,
        ];
        let key = [&head[..], &integer(pair.der_bytes())].concat();
        Self { pair, key }
    }

    fn fingerprint(&self) -> Vec<u8> {
        let length = u16::try_from(self.key.len()).unwrap().to_be_bytes();
        Sha1::digest([&[0x99][..], &length, &self.key].concat()).to_vec()
    }

    /// The policy that pins it for a group.
    fn policy(&self) -> String {
        format!(
            "[[publisher-keys]]\nprefix = \"it.signed:\"\nfingerprint = \"{}\"\nkey = '''\n{}'''\n",
            hex::encode(self.fingerprint()),
            armor("PUBLIC KEY BLOCK", &packet(6, &self.key))
        )
    }

    fn sign(&self, content: &[u8]) -> String {
        // Of version 4, over bytes, ECDSA, SHA-256; made in 2026 by that key.
        let mut hashed = vec![4, 0, 19, 8, 0, 29, 5, 2, 0x69, 0x60, 0, 0, 22, 33, 4];
        hashed.extend(self.fingerprint());
        let length = u32::try_from(hashed.len()).unwrap().to_be_bytes();
        let message = [content, &hashed, &[4, 0xff], &length].concat();
        let made = self.pair.sign(&message).unwrap();
        let first = usize::from(made[3]);
        let (one, other) = (&made[4..4 + first], &made[6 + first..]);
        let body = [&hashed[..], &[0, 0, 0, 0], &integer(one), &integer(other)].concat();
        armor("SIGNATURE", &packet(2, &body))
    }

    /// Publishes an artifact; its files carry signatures over what `signed` makes of them.
    fn publish(&self, registry: &Registry, name: &str, signed: fn(Vec<u8>) -> Vec<u8>) {
        publish(registry, name, "", &Jar::plain("it.signed"));
        for (ending, content) in [
            ("jar", Jar::plain("it.signed").build()),
            ("pom", pom(name, "").into_bytes()),
        ] {
            let signature = self.sign(&signed(content));
            registry.put(&format!("{}.asc", path(name, ending)), signature);
        }
    }
}

/// Publishes the bytes of which a bundle was published, and that bundle.
fn publish_vector(registry: &Registry, vectors: &Vectors) {
    let name = "it.vector:rfc8785:0.1.2";
    registry.put(&path(name, "pom"), pom(name, ""));
    let jar = path(name, "jar");
    registry.put(&jar, vectors.archive("rfc8785-0.1.2-py3-none-any.whl"));
    let bundle = vectors.archive("rfc8785.sigstore.json");
    registry.put(&format!("{jar}.sigstore.json"), bundle);
}

fn source(address: &str) -> String {
    format!("[[sources]]\nprefix = \"it.vector:\"\nrepository = \"{address}\"\n")
}

fn project(registry: &Registry, names: &[&str], policy: &str) -> Maven {
    let all: String = names.iter().map(|name| dependency(name, "")).collect();
    let maven = Maven::new(registry, &format!("<dependencies>{all}</dependencies>"));
    maven.policy(policy);
    maven
}

/// The check of a kind on the files of an artifact that says most.
fn check(run: &Run, name: &str, proof: &str) -> serde_json::Value {
    let of = |event: &&serde_json::Value| event["name"] == name;
    let events = run.record().events("vouched").into_iter().filter(of);
    let checks = events.flat_map(|event| event["checks"].as_array().unwrap().clone());
    let mut checks: Vec<_> = checks.filter(|check| check["proof"] == proof).collect();
    // The POM has the same name, and not everything that its jar has beside it.
    checks.sort_by_key(|check| check["standing"] == "unknown");
    let found = checks.first().cloned();
    found.unwrap_or_else(|| panic!("no {proof} of {name}\n{}", run.told()))
}

#[test]
fn what_a_pinned_key_or_a_known_source_signed_is_evidence() {
    let Some(vectors) = Vectors::find() else {
        return;
    };
    let (registry, publisher) = (Registry::start(), Publisher::new());
    publisher.publish(&registry, "it.signed:good:1.0", |content| content);
    publish(&registry, "it.signed:bare:1.0", "", &Jar::plain("it.bare"));
    publish_vector(&registry, &vectors);
    let policy = publisher.policy() + &source(SOURCE);
    let names = [
        "it.signed:good:1.0",
        "it.signed:bare:1.0",
        "it.vector:rfc8785:0.1.2",
    ];
    let run = project(&registry, &names, &policy)
        .v4run(&["dependency:resolve"])
        .run();
    run.succeeds();
    let good = check(&run, "it.signed:good", "publisher-signature");
    assert_eq!(good["standing"], "verified", "{good}");
    assert_eq!(good["signer"], hex::encode(publisher.fingerprint()));
    let bare = check(&run, "it.signed:bare", "publisher-signature");
    assert_eq!(bare["standing"], "unknown", "{bare}");
    let built = check(&run, "it.vector:rfc8785", "provenance");
    assert_eq!(built["standing"], "verified", "{built}");
    let event = run
        .record()
        .event("vouched", |event| !event["built"].is_null());
    assert_eq!(event["built"]["repository"], SOURCE);
    assert_eq!(
        event["built"]["commit"],
        "d8b4a6445f38c48b9137a8099706d9b8073146e4"
    );
    let congruent = control(&run, "4.2");
    assert_eq!(congruent["status"], "unknown");
    let detail = congruent["detail"].as_str().unwrap();
    assert!(detail.starts_with("2 of 3 components"), "{detail}");
}

#[test]
fn what_a_pinned_key_did_not_sign_and_another_source_are_refused() {
    let Some(vectors) = Vectors::find() else {
        return;
    };
    let (registry, publisher) = (Registry::start(), Publisher::new());
    let other = |mut content: Vec<u8>| {
        content[0] ^= 1;
        content
    };
    publisher.publish(&registry, "it.signed:changed:1.0", other);
    Publisher::new().publish(&registry, "it.signed:stranger:1.0", |content| content);
    publish_vector(&registry, &vectors);
    let policy = publisher.policy() + &source("https://github.com/trailofbits/other.py");
    let names = [
        "it.signed:changed:1.0",
        "it.signed:stranger:1.0",
        "it.vector:rfc8785:0.1.2",
    ];
    let maven = project(&registry, &names, &policy);
    maven.bare(&["dependency:resolve"]).run().succeeds();
    maven.clear();
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.refuses(120, "signature-invalid", "4.2")
        .says("did not sign these bytes")
        .says("which is not one that the policy names")
        .says("expected is https://github.com/trailofbits/other.py");
    let mut violations = run.record().violations().iter();
    assert!(violations.any(|one| one["control"] == "4.10"));
    let changed = check(&run, "it.signed:changed", "publisher-signature");
    assert_eq!(changed["standing"], "invalid", "{changed}");
}
