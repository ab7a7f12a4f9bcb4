//! The minimum age of versions, and what an index says against those that are used.

use std::fs;
use std::time::{Duration, SystemTime};

use serde_json::json;

use crate::project::Project;
use crate::python::Python;
use crate::python::wheel::Wheel;
use crate::registry::package::Package;
use crate::registry::{On, Registry, What};

const WEEK: &str = "minimum-release-age = '7 days'\n";

/// The time of a day that is that many days over.
fn days_ago(days: u64) -> String {
    let then = SystemTime::now() - Duration::from_secs(days * 86_400);
    humantime::format_rfc3339_millis(then).to_string()
}

/// A package with an old version and one of yesterday.
fn registry() -> Registry {
    let registry = Registry::start();
    registry.publish(&Package::new("leaf", "1.0.0"));
    registry.publish(&Package::new("leaf", "1.1.0").field("x-time", days_ago(1).into()));
    registry
}

fn version(project: &Project) -> String {
    let manifest: serde_json::Value =
        serde_json::from_str(&project.installed("leaf/package.json")).unwrap();
    manifest["version"].as_str().unwrap().to_owned()
}

#[test]
fn npm_chooses_a_version_that_is_old_enough() {
    let registry = registry();
    let project = Project::new(&registry);
    project
        .v4run(&["npm", "install", "leaf@^1"])
        .run()
        .succeeds();
    assert_eq!(version(&project), "1.1.0");
    for spec in ["leaf@^1", "leaf"] {
        let project = Project::new(&registry);
        project.file("v4run.toml", WEEK);
        let run = project.v4run(&["npm", "install", spec]).run();
        run.succeeds()
            .says("1 left out of the index")
            .says("release-withheld");
        assert_eq!(version(&project), "1.0.0", "{spec}");
    }
}

#[test]
fn a_lockfile_does_not_make_a_version_older() {
    let registry = registry();
    let project = Project::locked(&registry, json!({ "leaf": "1.1.0" }));
    project.file("v4run.toml", WEEK);
    let run = project.v4run(&["npm", "ci"]).run();
    assert_ne!(run.code(), 0, "{}", run.told());
    run.says("leaf@1.1.0")
        .says("release-too-new")
        .says("an age of 7days");
    assert!(!project.path("node_modules/leaf").exists());
    // Nothing older is chosen in its place, and an exception is told.
    let exception = "[[exceptions]]\npackage = 'leaf'\nowner = 'web team'\n\
                     reason = 'fixes what we reported'\nexpires = '2999-12-31'\n";
    project.file("v4run.toml", &format!("{WEEK}{exception}"));
    let run = project.v4run(&["npm", "ci"]).run();
    run.succeeds()
        .says("web team: fixes what we reported")
        .says("exception-used");
    assert_eq!(version(&project), "1.1.0");
    let old = Project::locked(&registry, json!({ "leaf": "1.0.0" }));
    old.file("v4run.toml", WEEK);
    old.v4run(&["npm", "ci"]).run().succeeds();
}

#[test]
fn an_index_without_times_is_not_guessed_at() {
    let registry = registry();
    let document = json!({ "name": "leaf", "versions": { "1.0.0": {} } }).to_string();
    registry.fault(
        On::Packument("leaf"),
        What::Page("application/json", document),
    );
    let project = Project::new(&registry);
    project.file("v4run.toml", WEEK);
    project
        .v4run(&["npm", "install", "leaf"])
        .run()
        .refuses(120, "index-malformed", "4.13")
        .says("states no times of publication");
}

#[test]
fn what_an_index_says_against_a_version_is_told() {
    let registry = Registry::start();
    registry.publish(&Package::new("old", "1.0.0").field("deprecated", "use new".into()));
    registry.publish(&Package::new("gone", "0.0.1-security"));
    registry.publish(&Package::new("fine", "1.0.0"));
    let project = Project::new(&registry);
    let run = project
        .v4run(&["npm", "install", "old", "gone@0.0.1-security", "fine"])
        .run();
    run.succeeds()
        .says("its publisher advises against it, with the reason: use new")
        .says("version-deprecated")
        .says("gone@0.0.1-security")
        .says("security-placeholder");
    let notes = run.record().events("found");
    assert!(
        !notes.iter().any(|note| note["subject"] == "fine@1.0.0"),
        "{notes:?}"
    );
}

#[test]
fn pip_chooses_by_age_and_tells_what_was_withdrawn() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    let file = |version: &str, time: &str, yanked: &str| {
        let wheel = Wheel::new("leaf", version);
        let digest = wheel.publish(&registry);
        let (name, url) = (wheel.file_name(), registry.file_url(&wheel.file_name()));
        json!({ "filename": name, "url": url, "hashes": { "sha256": digest },
                "upload-time": time, "yanked": if yanked.is_empty() { json!(false) } else { json!(yanked) } })
    };
    let files = [
        file("1.0", "2024-01-02T03:04:05.678901Z", "broken on arm"),
        file("1.1", "2024-02-02T03:04:05Z", ""),
        file("1.2", &days_ago(1), ""),
    ];
    let page = json!({ "meta": { "api-version": "1.1" }, "name": "leaf", "files": files });
    let kind = "application/vnd.pypi.simple.v1+json";
    registry.fault(
        On::Path("/simple/leaf/"),
        What::Page(kind, page.to_string()),
    );
    let policy = python.environment().parent().unwrap().join("age.toml");
    fs::write(&policy, WEEK).unwrap();
    let install = |spec: &str| {
        python.clear();
        python
            .v4run(&["install", spec])
            .env("V4RUN_POLICY", &policy)
            .run()
    };
    let has = |version: &str| {
        python
            .packages()
            .join(format!("leaf-{version}.dist-info"))
            .exists()
    };
    install("leaf").succeeds().says("release-withheld");
    assert!(has("1.1") && !has("1.2"));
    let run = install("leaf==1.2");
    assert_ne!(run.code(), 0, "{}", run.told());
    assert!(!has("1.2"));
    install("leaf==1.0")
        .succeeds()
        .says("broken on arm")
        .says("version-yanked");
}
