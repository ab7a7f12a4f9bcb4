//! The CycloneDX file of real runs passes the strict validator of the specification's own library,
//! and the record as a whole v4run's own check.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::maven::jar::Jar;
use crate::maven::{Maven, dependency, publish};
use crate::project::{Project, forest};
use crate::python::Python;
use crate::python::wheel::Wheel;
use crate::registry::Registry;
use crate::run::{Run, v4run};
use crate::vectors::control;

const VALIDATE: &str = r"
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
for version in (SchemaVersion.V1_6, SchemaVersion.V1_7):
    text = open(sys.argv[1]).read()
    if version is SchemaVersion.V1_7:
        text = text.replace('bom-1.6.schema.json', 'bom-1.7.schema.json').replace('\x221.6\x22', '\x221.7\x22', 1)
    error = JsonStrictValidator(version).validate_str(text)
    if error is not None:
        sys.exit(f'{version}: {error}')
";

/// The interpreter with the validator, as `scripts/setup.sh` installs it. A missing one fails.
fn python() -> PathBuf {
    std::env::var_os("V4RUN_TEST_PYTHON").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin/python"),
        PathBuf::from,
    )
}

pub(crate) fn assert_valid(run: &Run) {
    let folder = &run.record().folder;
    let checked = Command::new(v4run())
        .arg("verify")
        .arg(folder)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{told}");
    let file = folder.join("record.cdx.json");
    let output = Command::new(python())
        .args(["-c", VALIDATE])
        .arg(&file)
        .output()
        .expect("scripts/setup.sh installs the validator");
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stderr),
        run.told()
    );
}

#[test]
fn the_record_of_an_install_is_valid() {
    let registry = Registry::start();
    let project = Project::new(&registry);
    project.lock(&registry, &forest::plant(&registry));
    let run = project.v4run(&["npm", "ci"]).run();
    run.succeeds();
    assert_valid(&run);
}

#[test]
fn a_record_with_statements_and_exceptions_is_valid() {
    let registry = Registry::start();
    let project = Project::new(&registry);
    project.lock(&registry, &forest::plant(&registry));
    let fact = |control: &str, holds: bool| {
        format!(
            "[[facts]]\nrepository = '{}'\ncontrol = '{control}'\nholds = {holds}\n\
             statement = 'stated'\nsource = 'review'\nchecked = '2026-10-01'\n",
            registry.base()
        )
    };
    let exception = "[[exceptions]]\ncontrol = '4.12'\nowner = 'o'\nreason = 'r'\n\
                     expires = '2999-12-31'\n";
    let policy = [fact("4.3", true), fact("4.17", false), fact("4.12", false)].concat();
    project.file("v4run.toml", &format!("{policy}{exception}"));
    let run = project.v4run(&["npm", "ci"]).run();
    run.succeeds();
    for (id, status) in [
        ("4.3", "declared"),
        ("4.12", "waived"),
        ("4.17", "violated"),
    ] {
        assert_eq!(control(&run, id)["status"], status, "{id}");
    }
    assert_valid(&run);
    // The exception stands where an auditor looks for it, with its end.
    let declarations = run.record().bom["declarations"].to_string();
    assert!(
        declarations.contains("mitigationStrategies"),
        "{declarations}"
    );
    assert!(declarations.contains("2999-12-31"), "{declarations}");
}

#[test]
fn the_record_of_a_refusal_is_valid() {
    let registry = Registry::start();
    let project = Project::new(&registry);
    let run = project.v4run(&["npm", "run", "anything"]).run();
    run.exits(126);
    assert_valid(&run);
}

#[test]
fn the_record_of_a_python_install_is_valid() {
    let registry = Registry::start();
    Wheel::new("leaf", "1.0.0").publish(&registry);
    let python = Python::new(&registry);
    let run = python.v4run(&["install", "leaf"]).run();
    run.succeeds();
    assert_valid(&run);
}

#[test]
fn the_record_of_a_maven_run_is_valid_and_names_what_ran() {
    let registry = Registry::start();
    publish(&registry, "it.part:leaf:2.0", "", &Jar::plain("it.leaf"));
    let needed = dependency("it.part:leaf:2.0", "");
    let maven = Maven::new(&registry, &format!("<dependencies>{needed}</dependencies>"));
    let run = maven.v4run(&["dependency:list"]).run();
    run.succeeds();
    assert_valid(&run);
    let bom = &run.record().bom;
    let components = bom["components"].as_array().unwrap();
    let leaf = components
        .iter()
        .find(|component| component["purl"] == "pkg:maven/it.part/leaf@2.0?type=jar")
        .expect("the component");
    assert_eq!(leaf["hashes"].as_array().unwrap().len(), 2);
    let code = |component: &&serde_json::Value| {
        let reference = component["bom-ref"].as_str().unwrap_or_default();
        reference.starts_with("tool:code:")
    };
    let tools = bom["metadata"]["tools"]["components"].as_array().unwrap();
    let ran: Vec<_> = tools.iter().filter(code).collect();
    assert!(
        ran.iter()
            .any(|tool| tool["name"] == "maven-dependency-plugin-3.5.0.jar")
    );
    assert!(ran.iter().all(|tool| tool["name"] != "leaf-2.0.jar"));
}
