//! What v4run writes for people: a first policy, the schema of policies, what `make install` puts where.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::project::{Project, program};
use crate::registry::Registry;
use crate::registry::package::Package;
use crate::run::v4run;

const INSTALL: &str = include_str!("../../scripts/install.sh");

fn project() -> (Registry, Project) {
    let registry = Registry::start();
    registry.publish(&Package::new("thing", "1.0.0").script("postinstall", "echo ran"));
    let project = Project::locked(&registry, json!({ "thing": "1.0.0" }));
    (registry, project)
}

fn verdicts(summary: &Value) -> Vec<(String, String)> {
    let controls = summary["controls"].as_array().unwrap().iter();
    let word = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    controls
        .map(|one| (word(one, "id"), word(one, "status")))
        .collect()
}

#[test]
fn a_first_policy_changes_no_verdict_and_no_file() {
    let (registry, project) = project();
    let asked = || project.v4run_plain(&["init"]).run();
    asked().exits(125).says("no record").says("hint:");
    project.v4run_plain(&["npm", "ci"]).run().succeeds();
    let first = project.v4run(&["npm", "ci"]).run();
    asked().succeeds();
    let place = project.path("v4run.toml");
    let text = fs::read_to_string(&place).unwrap();
    assert!(text.contains("thing@1.0.0 postinstall"), "{text}");
    assert!(text.contains(&registry.base()), "{text}");
    let second = project.v4run(&["npm", "ci"]).run();
    assert_eq!(first.code(), second.code(), "{}", second.told());
    let (first, second) = (first.record(), second.record());
    assert_eq!(verdicts(&first.summary), verdicts(&second.summary));
    assert_eq!(first.summary["levels"], second.summary["levels"]);
    second.event("input-read", |event| event["name"] == "policy");
    // It stays as it is, whatever is in it.
    fs::write(&place, format!("{text}\n")).unwrap();
    asked().exits(125).says("stays as it is");
    assert_eq!(fs::read_to_string(&place).unwrap(), format!("{text}\n"));
    // Every setting can be taken into use; the age would leave out what was published just now.
    let used: String = text
        .lines()
        .filter(|line| !line.starts_with("##") && !line.contains("release-age"))
        .map(|line| format!("{}\n", line.trim_start_matches("# ")))
        .collect();
    fs::write(&place, used).unwrap();
    let run = project.v4run(&["npm", "ci"]).run();
    assert!([0, 121].contains(&run.code()), "{}", run.told());
    run.record()
        .event("excepted", |event| event["control"] == "4.12");
}

#[test]
fn a_name_in_a_record_is_no_setting() {
    let (_registry, project) = project();
    let evil = "--x=a\nlockdown = true\nno-such-key = 1";
    let run = project.v4run(&["npm", "ci", evil]).run();
    let record = run.record().folder.clone();
    let words = ["init", record.to_str().unwrap()];
    project.v4run_plain(&words).run().succeeds();
    let text = fs::read_to_string(project.path("v4run.toml")).unwrap();
    assert!(text.contains("no-such-key"), "{text}");
    for line in text.lines() {
        assert!(line.is_empty() || line.starts_with('#'), "{line}");
    }
}

#[test]
fn the_schema_takes_what_a_policy_may_say() {
    let (_registry, project) = project();
    let schema = project.v4run_plain(&["generate", "schema"]).run();
    let place = project.outside("schema.json");
    fs::write(&place, &schema.succeeds().stdout).unwrap();
    let python = std::env::var_os("V4RUN_TEST_PYTHON").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin/python"),
        PathBuf::from,
    );
    let check = r#"
import json, sys, tomllib, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
good = '''
level = "L1"
look = "complete"
refuse = ["startup-code"]
[[repositories]]
url = "https://packages.invalid/npm/"
[[exceptions]]
control = "4.12"
owner = "a"
reason = "b"
expires = "2100-01-01"
[[pins]]
prefix = "@team/"
repository = "https://packages.invalid/npm/"
[managers.npm]
path = "/usr/bin/npm"
'''
validator.validate(tomllib.loads(good))
for bad in ['level = "L4"', 'levle = "L1"', '[[repositories]]', '[[pins]]\nrepository = "x"',
            '[[artifacts]]\nfile = "a"\nsha256 = "b"', 'lockdown = "yes"']:
    assert not validator.is_valid(tomllib.loads(bad)), bad
print("checked")
"#;
    let words = [python.into(), "-c".into(), check.into(), place.into()];
    let run = project.command(words.to_vec()).run();
    assert!(run.succeeds().stdout.contains("checked"), "{}", run.told());
}

#[test]
fn an_installation_has_everything_and_the_same_each_time() {
    let (_registry, project) = project();
    let script = project.outside("install.sh");
    fs::write(&script, INSTALL).unwrap();
    let names = ["one", "two"].map(|name| project.outside(name));
    for prefix in &names {
        let words = [program("bash"), script.clone(), v4run(), prefix.clone()];
        let words = words.map(Into::into).to_vec();
        project.command(words).run().succeeds();
    }
    for file in [
        "share/man/man1/v4run.1",
        "share/bash-completion/completions/v4run",
        "share/zsh/site-functions/_v4run",
        "share/fish/vendor_completions.d/v4run.fish",
        "share/v4run/v4run.schema.json",
        "share/doc/v4run/codes/index.md",
        "share/doc/v4run/codes/integrity-mismatch.md",
        "share/doc/v4run/codes/4.18.md",
    ] {
        let both = names
            .each_ref()
            .map(|prefix| fs::read(prefix.join(file)).unwrap());
        assert_eq!(both[0], both[1], "{file}");
        let text = String::from_utf8_lossy(&both[0]);
        let home = project.home();
        assert!(!text.contains(home.to_str().unwrap()), "{file}");
    }
    let words = vec![names[0].join("bin/v4run").into(), "--version".into()];
    project.command(words).run().succeeds();
}
