//! The commands of v4run itself, and what a level asks of a run.

use serde_json::json;
use v4run::model::{Code, ControlId};

use crate::project::Project;
use crate::registry::Registry;
use crate::registry::package::Package;

fn project() -> (Registry, Project) {
    let registry = Registry::start();
    registry.publish(&Package::new("thing", "1.0.0"));
    let project = Project::locked(&registry, json!({ "thing": "1.0.0" }));
    (registry, project)
}

#[test]
fn every_code_and_control_can_be_explained() {
    let (_registry, project) = project();
    for code in Code::ALL.iter().step_by(7) {
        let run = project.v4run_plain(&["explain", code.name()]).run();
        run.succeeds();
        assert!(run.stdout.contains(code.meaning()), "{}", run.told());
    }
    for control in ControlId::all().step_by(6) {
        let run = project
            .v4run_plain(&["explain", &control.to_string()])
            .run();
        run.succeeds();
        assert!(run.stdout.contains(&control.to_string()), "{}", run.told());
    }
    project
        .v4run_plain(&["explain", "no-such-code"])
        .run()
        .exits(125)
        .says("no-such-code");
}

#[test]
fn profiles_are_listed_and_shown() {
    let (_registry, project) = project();
    let run = project.v4run_plain(&["profile", "list"]).run();
    assert!(run.succeeds().stdout.contains("npm"));
    let run = project.v4run_plain(&["profile", "show", "npm"]).run();
    run.succeeds();
    project
        .v4run_plain(&["profile", "show", "no-such"])
        .run()
        .exits(125);
}

#[test]
fn the_version_and_the_help_are_printed() {
    let (_registry, project) = project();
    let run = project.v4run_plain(&["--version"]).run();
    assert!(run.succeeds().stdout.contains(env!("CARGO_PKG_VERSION")));
    let run = project.v4run_plain(&["--help"]).run();
    for word in ["--record", "--policy", "--level", "npm"] {
        assert!(
            run.succeeds().stdout.contains(word),
            "{word}\n{}",
            run.told()
        );
    }
}

#[test]
fn a_level_that_is_not_reached_has_a_status_of_its_own() {
    let (_registry, project) = project();
    let run = project.v4run(&["--level", "L3", "npm", "ci"]).run();
    run.exits(121).says("level-not-reached");
    assert!(project.path("node_modules/thing/index.js").exists());
    assert_eq!(run.record().summary["manager_exit_code"], 0);
    project
        .v4run_plain(&["--level", "L4", "npm", "ci"])
        .run()
        .exits(125);
}

#[test]
fn nothing_installed_is_no_level() {
    let registry = Registry::start();
    let project = Project::locked(&registry, json!({}));
    project
        .v4run(&["--level", "L1", "npm", "ci"])
        .run()
        .exits(121);
}

#[test]
fn a_policy_can_ask_for_a_level() {
    let (_registry, project) = project();
    project.file("v4run.toml", "level = \"L3\"\n");
    project.v4run(&["npm", "ci"]).run().exits(121);
    // A policy file that the caller names takes the place of the project's.
    let policy = project.outside("policy.toml");
    std::fs::write(&policy, "").unwrap();
    project
        .v4run(&["--policy", policy.to_str().unwrap(), "npm", "ci"])
        .run()
        .succeeds();
    project
        .v4run(&["npm", "ci"])
        .env("V4RUN_POLICY", &policy)
        .run()
        .succeeds();
    let missing = project.outside("missing.toml");
    let run = project
        .v4run(&["--policy", missing.to_str().unwrap(), "npm", "ci"])
        .run();
    run.exits(125).says("missing.toml");
}

#[test]
fn the_record_place_may_come_from_the_environment() {
    let (_registry, project) = project();
    let place = project.outside("from-environment");
    project
        .v4run_plain(&["npm", "ci"])
        .env("V4RUN_RECORD", &place)
        .run()
        .succeeds();
    assert!(place.join("summary.json").exists());
}
