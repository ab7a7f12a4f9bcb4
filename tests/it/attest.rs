//! Statements about a run: read and verified by other people's libraries, and by `v4run verify`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, SignatureAlgorithm};
use serde_json::Value;

use crate::attack::Stage;
use crate::project::{Project, forest};
use crate::registry::Registry;
use crate::run::Run;

/// Prints the kinds of the statements, after DSSE, statement and predicate were checked.
const READ: &str = r"
import hashlib, json, pathlib, sys
from cryptography.hazmat.primitives import serialization
from google.protobuf import json_format
from in_toto_attestation.predicates.test_result.v0 import test_result_pb2
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from securesystemslib.dsse import Envelope
from securesystemslib.signer import SSlibKey

record = pathlib.Path(sys.argv[1])
payloads = []
if len(sys.argv) > 2:
    key = serialization.load_pem_public_key(open(sys.argv[2], 'rb').read())
    info = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    key = SSlibKey.from_crypto(key, keyid=hashlib.sha256(info).hexdigest())
    for line in open(record / 'attestation.intoto.jsonl'):
        envelope = Envelope.from_dict(json.loads(line))
        assert envelope.payload_type == 'application/vnd.in-toto+json'
        assert list(envelope.verify([key], 1)) == [key.keyid]
        payloads.append(envelope.payload)
else:
    payloads = [file.read_bytes() for file in sorted(record.glob('*.statement.json'))]
for payload in payloads:
    parsed = json_format.Parse(payload, statement_pb2.Statement())
    Statement.copy_from_pb(parsed).validate()
    whole = json.loads(payload)
    kind, predicate = whole['predicateType'], whole['predicate']
    if 'test-result' in kind:
        json_format.ParseDict(predicate, test_result_pb2.TestResult())
        named = {one['name']: one['digest']['sha256'] for one in whole['subject']}
        for name in ('events.jsonl', 'record.cdx.json', 'summary.json'):
            assert named[name] == hashlib.sha256((record / name).read_bytes()).hexdigest(), name
    if 'runtime-trace' in kind:
        assert set(predicate) == {'monitor', 'monitoredProcess', 'monitorLog', 'metadata'}
        assert predicate['monitorLog']['process'] and predicate['monitorLog']['fileAccess']
    if 'cyclonedx' in kind:
        assert predicate == json.loads((record / 'record.cdx.json').read_bytes())
    print(kind)
";

const KINDS: &str = "https://cyclonedx.org/bom\n\
                     https://in-toto.io/attestation/runtime-trace/v0.1\n\
                     https://in-toto.io/attestation/test-result/v0.1\n";

fn read(record: &Path, key: Option<&Path>) -> String {
    let python = std::env::var_os("V4RUN_TEST_PYTHON").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin/python"),
        PathBuf::from,
    );
    let output = Command::new(python)
        .args(["-c", READ])
        .arg(record)
        .args(key)
        .output()
        .expect("scripts/setup.sh installs the libraries");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    String::from_utf8(output.stdout).unwrap()
}

/// A key beside the project: the private and the public file.
fn key(project: &Project, algorithm: &'static SignatureAlgorithm) -> (PathBuf, PathBuf) {
    let pair = KeyPair::generate_for(algorithm).unwrap();
    let files = (project.outside("key.pem"), project.outside("key.pub"));
    fs::write(&files.0, pair.serialize_pem()).unwrap();
    fs::write(&files.1, pair.public_key_pem()).unwrap();
    files
}

fn project() -> (Registry, Project) {
    let registry = Registry::start();
    let project = Project::new(&registry);
    project.lock(&registry, &forest::plant(&registry));
    (registry, project)
}

fn check(project: &Project, run: &Run, key: Option<&Path>) -> Run {
    let folder = run.record().folder.clone();
    let mut words = vec!["verify".into(), folder];
    words.extend(
        key.iter()
            .flat_map(|key| ["--key".into(), key.to_path_buf()]),
    );
    project.v4run_plain(&words).run()
}

#[test]
fn signed_statements_are_verified_by_other_libraries() {
    let (_registry, project) = project();
    let (private, public) = key(&project, &PKCS_ED25519);
    let words = ["--sign-key", private.to_str().unwrap(), "npm", "ci"];
    let run = project.v4run(&words).run();
    run.succeeds();
    assert_eq!(read(&run.record().folder, Some(&public)), KINDS);
    check(&project, &run, Some(&public)).succeeds();
    let checked = check(&project, &run, None);
    assert!(
        checked.succeeds().stdout.contains("--key"),
        "{}",
        checked.told()
    );
    // The same with the key itself in the variable, of the other kind, and for a refused run.
    let (private, public) = key(&project, &PKCS_ECDSA_P256_SHA256);
    let text = fs::read_to_string(&private).unwrap();
    let body = text.lines().nth(1).unwrap().to_owned();
    let run = project
        .v4run(&["npm", "run", "x"])
        .env("V4RUN_SIGN_KEY", &text)
        .secret(&body)
        .run();
    run.exits(126);
    let checked = check(&project, &run, Some(&public));
    checked.succeeds();
    assert!(!checked.stdout.contains("FAIL"), "{}", checked.told());
    let (_, other) = key(&project, &PKCS_ECDSA_P256_SHA256);
    let checked = check(&project, &run, Some(&other));
    assert!(checked.exits(120).stdout.contains("signed by another key"));
}

#[test]
fn without_a_key_the_statements_are_bare_and_never_half_signed() {
    let (_registry, project) = project();
    let run = project.v4run(&["npm", "ci"]).run();
    run.succeeds();
    let folder = &run.record().folder;
    assert!(!folder.join("attestation.intoto.jsonl").exists());
    assert_eq!(read(folder, None), KINDS);
    let properties = run.record().bom["properties"].as_array().unwrap();
    let signed = properties.iter().find(|one| one["name"] == "v4run:signed");
    assert_eq!(signed.unwrap()["value"], "false");
    check(&project, &run, None).succeeds();
    let (_, public) = key(&project, &PKCS_ED25519);
    check(&project, &run, Some(&public)).exits(120);
    let (private, _) = key(&project, &PKCS_ED25519);
    let checked = check(&project, &run, Some(&private));
    checked.exits(125).says("no key in PEM form");
}

#[test]
fn a_key_in_the_project_or_of_another_kind_stops_the_run() {
    let (_registry, project) = project();
    let (private, public) = key(&project, &PKCS_ED25519);
    let inside = project.path("key.pem");
    fs::copy(&private, &inside).unwrap();
    let words = ["--sign-key", inside.to_str().unwrap(), "npm", "ci"];
    let run = project.v4run(&words).run();
    run.exits(125).says("lies where this command may read");
    assert!(!project.path("node_modules").exists());
    let words = ["--sign-key", public.to_str().unwrap(), "npm", "ci"];
    project.v4run_plain(&words).run().exits(125).says("hint:");
}

#[test]
fn the_manager_sees_no_key() {
    let mut stage = Stage::new();
    let (private, _) = key(&stage.project, &PKCS_ED25519);
    let text = fs::read_to_string(&private).unwrap();
    let body = text.lines().nth(1).unwrap().to_owned();
    stage = stage.with("key", private.to_str().unwrap());
    let attack = "
        const look = (file) => {
            try { return fs.readFileSync(file, 'latin1'); } catch (error) { return error.code; }
        };
        const parent = `/proc/${process.ppid}`;
        return {
            key: look(where.key),
            environ: look(`${parent}/environ`),
            maps: look(`${parent}/maps`).slice(0, 6),
            own: JSON.stringify(process.env) + look('/proc/self/environ'),
        };";
    let bare = stage.outcome(stage.bare(attack));
    assert_eq!(bare.result["value"]["key"], text, "{}", bare.run.told());
    for variable in [text.as_str(), private.to_str().unwrap()] {
        let ours = stage.hostile(attack).env("V4RUN_SIGN_KEY", variable);
        let ours = stage.outcome(ours.secret(&body));
        let seen = &ours.result["value"];
        for place in ["key", "environ", "maps"] {
            assert_eq!(seen[place], "EACCES", "{seen}\n{}", ours.run.told());
        }
        let own = seen["own"].as_str().unwrap();
        assert!(!own.contains("SIGN_KEY") && !own.contains(&body), "{own}");
        let signed = ours.run.record().bom["properties"].as_array().unwrap();
        let is_signed = |one: &Value| one["name"] == "v4run:signed" && one["value"] == "true";
        assert!(signed.iter().any(is_signed));
    }
}
