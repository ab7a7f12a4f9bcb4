//! Which commands of npm run, which only read, and which are refused because they run code.

use std::fs;

use serde_json::{Value, json};

use crate::project::{Project, forest};
use crate::registry::Registry;
use crate::registry::package::Package;

fn installed() -> (Registry, Project) {
    let registry = Registry::start();
    let project = Project::new(&registry);
    project.lock(&registry, &forest::plant(&registry));
    project.npm(&["ci", "--ignore-scripts"]).run().succeeds();
    (registry, project)
}

#[test]
fn reading_commands_print_what_bare_npm_prints() {
    let (registry, project) = installed();
    registry.publish(&Package::new("birch", "2.9.0"));
    for arguments in [
        &["view", "oak", "dependencies", "dist.integrity", "--json"][..],
        &["ls", "--all"],
        &["outdated", "--json"],
        &["audit", "--json"],
        &["explain", "resin"],
        &["config", "get", "registry"],
        &["--version"],
    ] {
        let mut plain = arguments.to_vec();
        if arguments[0] == "audit" {
            plain.push("--audit");
        }
        let bare = project.npm(&plain).run();
        let ours = project.v4run(&[&["npm"], arguments].concat()).run();
        assert_eq!(
            ours.ended.code,
            bare.ended.code,
            "{arguments:?}\n{}\n{}",
            bare.told(),
            ours.told()
        );
        assert_eq!(ours.stdout, bare.stdout, "{arguments:?}\n{}", ours.told());
        assert_eq!(ours.record().events("released").len(), 0, "{arguments:?}");
    }
}

#[test]
fn advisories_are_asked_for_and_decide_the_status() {
    let (registry, project) = installed();
    registry.advise(&json!({
        "moss": [{
            "id": 1, "url": "https://advisories.invalid/1", "title": "soft", "severity": "high",
            "vulnerable_versions": "<4.0.0", "cwe": [], "cvss": { "score": 7.5, "vectorString": null },
        }],
    }));
    let run = project.v4run(&["npm", "audit"]).run();
    run.exits(1);
    assert!(run.stdout.contains("soft"), "{}", run.told());
    let asked = registry
        .seen()
        .into_iter()
        .find(|seen| seen.path.contains("/advisories/bulk"));
    assert_eq!(asked.expect("no audit call").method, "POST");
}

#[test]
fn packing_a_published_package_gives_its_archive() {
    let registry = Registry::start();
    forest::plant(&registry);
    let project = Project::new(&registry);
    let run = project.v4run(&["npm", "pack", "oak@1.0.0"]).run();
    run.succeeds();
    let held = registry
        .published()
        .into_iter()
        .find(|package| package.name == "oak")
        .unwrap();
    assert_eq!(
        fs::read(project.path("oak-1.0.0.tgz")).unwrap(),
        held.tarball
    );
    assert_eq!(run.record().events("released").len(), 1);
}

#[test]
fn commands_that_run_code_are_refused_before_they_start() {
    let (_registry, project) = installed();
    let canary = project.outside("canary");
    let command = format!("echo ran > '{}'", canary.display());
    let names = [
        "build",
        "test",
        "start",
        "stop",
        "restart",
        "prepack",
        "prepare",
        "prepublishOnly",
    ];
    let scripts: serde_json::Map<String, Value> = names
        .map(|name| (name.to_string(), command.clone().into()))
        .into_iter()
        .collect();
    project.manifest(&json!({ "name": "project", "version": "1.0.0", "scripts": scripts }));
    for arguments in [&["run", "build"][..], &["test"], &["start"], &["pack"]] {
        project.npm(arguments).run();
        assert!(canary.exists(), "the control does not fire: {arguments:?}");
        fs::remove_file(&canary).unwrap();
    }
    for arguments in [
        &["run", "build"][..],
        &["run-script", "build"],
        &["test"],
        &["t"],
        &["start"],
        &["stop"],
        &["restart"],
        &["exec", "--", "lint"],
        &["x", "lint"],
        &["init", "lint"],
        &["create", "lint"],
        &["rebuild"],
        &["explore", "oak", "--", "ls"],
        &["edit", "oak"],
        &["install-test"],
        &["it"],
        &["install-ci-test"],
        &["publish"],
        &["pack"],
        &["version", "patch"],
        &["link"],
        &["--loglevel", "silent", "run", "build"],
        &["--", "run", "build"],
    ] {
        let run = project.v4run(&[&["npm"], arguments].concat()).run();
        run.refuses(126, "command-runs-code", "4.18");
        assert!(!canary.exists(), "{arguments:?}");
        assert_eq!(
            run.record().summary["manager_exit_code"],
            Value::Null,
            "{arguments:?}"
        );
    }
}

#[test]
fn commands_that_write_to_the_registry_or_the_account_are_refused() {
    let (registry, project) = installed();
    let before = registry.seen().len();
    for command in [
        "login",
        "adduser",
        "token",
        "owner",
        "unpublish",
        "dist-tag",
        "deprecate",
        "whatever",
    ] {
        let run = project.v4run(&["npm", command]).run();
        run.exits(126);
        let codes: Vec<&Value> = run
            .record()
            .violations()
            .iter()
            .map(|v| &v["code"])
            .collect();
        assert!(
            codes == ["command-unknown"] || codes == ["command-runs-code"],
            "{command}: {codes:?}"
        );
    }
    assert_eq!(registry.seen().len(), before);
}

#[test]
fn options_cannot_turn_scripts_back_on() {
    let registry = Registry::start();
    let project = Project::new(&registry);
    let canary = project.outside("canary");
    let command = format!("echo ran > '{}'", canary.display());
    registry.publish(&Package::new("armed", "1.0.0").script("postinstall", &command));
    project.lock(
        &registry,
        &json!({
            "name": "project", "version": "1.0.0", "dependencies": { "armed": "1.0.0" },
        }),
    );
    for option in [
        "--no-ignore-scripts",
        "--ignore-scripts=false",
        "--dangerously-allow-all-scripts",
    ] {
        project.npm(&["ci", option]).run();
        assert!(canary.exists(), "the control does not fire: {option}");
        fs::remove_file(&canary).unwrap();
        let run = project.v4run(&["npm", "ci", option]).run();
        run.refuses(126, "config-refused", "4.18")
            .says("ignore-scripts".split('-').next_back().unwrap());
        assert!(!canary.exists(), "{option}");
    }
}

#[test]
fn a_word_that_is_no_manager_is_a_usage_error() {
    let registry = Registry::start();
    let project = Project::new(&registry);
    for arguments in [
        &["no-such-manager", "install"][..],
        &["--no-such-option", "npm", "ci"],
        &[],
    ] {
        let run = project.v4run_plain(arguments).run();
        run.exits(125);
        assert!(!run.stderr.is_empty());
    }
}

#[test]
fn a_missing_manager_has_a_status_of_its_own() {
    let registry = Registry::start();
    let project = Project::locked(&registry, json!({}));
    let run = project
        .v4run(&["npm", "ci"])
        .env("PATH", project.outside("tmp"))
        .run();
    run.exits(127).says("npm").says("hint:");
}

#[test]
fn a_manager_inside_the_project_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let registry = Registry::start();
    let project = Project::locked(&registry, json!({}));
    let canary = project.outside("canary");
    project.file(
        "bin/npm",
        &format!("#!/bin/sh\necho ran > '{}'\n", canary.display()),
    );
    fs::set_permissions(project.path("bin/npm"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut path = project.path("bin").into_os_string();
    path.push(":");
    path.push(crate::project::search_path());
    project
        .command(vec!["npm".into(), "ci".into()])
        .below(&["/usr/bin/env"])
        .env("PATH", &path)
        .run();
    assert!(canary.exists(), "the control does not fire");
    fs::remove_file(&canary).unwrap();
    project.v4run(&["npm", "ci"]).env("PATH", &path).run();
    assert!(!canary.exists());
}
