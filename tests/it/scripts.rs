//! Install-time code of packages does not run and is listed. Rows P01 and P02.

use std::fs;
use std::path::PathBuf;

use serde_json::json;

use crate::project::Project;
use crate::registry::Registry;
use crate::registry::package::Package;

const HOOKS: [&str; 3] = ["preinstall", "install", "postinstall"];

/// Files that scripts leave, by name, and the command that leaves one.
pub(crate) struct Canaries(PathBuf);

impl Canaries {
    pub(crate) fn new(project: &Project) -> Self {
        let folder = project.outside("canaries");
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    /// A shell command that leaves one.
    pub(crate) fn command(&self, name: &str) -> String {
        format!("echo ran > '{}'", self.0.join(name).display())
    }

    /// A line of Python that leaves one.
    pub(crate) fn python(&self, name: &str) -> String {
        let path = self.0.join(name).display().to_string();
        format!("import os; open({path:?}, 'w').close()\n")
    }

    /// Names of those that fired since the last call.
    pub(crate) fn fired(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(&self.0)
            .unwrap()
            .flatten()
            .map(|entry| {
                fs::remove_file(entry.path()).unwrap();
                entry.file_name().to_string_lossy().into_owned()
            })
            .collect();
        names.sort();
        names
    }
}

#[test]
fn p01_scripts_of_direct_and_transitive_dependencies_and_of_the_project() {
    let registry = Registry::start();
    let project = Project::new(&registry);
    let canaries = Canaries::new(&project);
    let mut deep = Package::new("deep", "2.0.0");
    let mut direct = Package::new("@scope/direct", "1.0.0").dependency("deep", "2.0.0");
    let mut root = serde_json::Map::new();
    for hook in HOOKS {
        deep = deep.script(hook, &canaries.command(&format!("deep-{hook}")));
        direct = direct.script(hook, &canaries.command(&format!("direct-{hook}")));
        root.insert(
            hook.into(),
            canaries.command(&format!("root-{hook}")).into(),
        );
    }
    root.insert("prepare".into(), canaries.command("root-prepare").into());
    registry.publish(&deep);
    registry.publish(&direct);
    project.lock(
        &registry,
        &json!({
            "name": "project", "version": "1.0.0", "scripts": root,
            "dependencies": { "@scope/direct": "1.0.0" },
        }),
    );
    project.npm(&["ci"]).run().succeeds();
    assert_eq!(canaries.fired().len(), 10, "the control does not fire");
    let run = project.v4run(&["npm", "ci"]).run();
    run.succeeds();
    assert_eq!(canaries.fired(), [""; 0]);
    let record = run.record();
    for (name, version, path, key) in [
        ("deep", "2.0.0", "node_modules/deep", "deep"),
        (
            "@scope/direct",
            "1.0.0",
            "node_modules/@scope/direct",
            "direct",
        ),
        ("project", "1.0.0", "", "root"),
    ] {
        for hook in HOOKS {
            let command = canaries.command(&format!("{key}-{hook}"));
            record.event("script-suppressed", |event| {
                event["name"] == name
                    && event["version"] == version
                    && event["path"] == path
                    && event["script"] == hook
                    && event["command"] == command.as_str()
            });
            let listed = record.suppressed().iter().any(|entry| {
                entry["name"] == name
                    && entry["script"] == hook
                    && entry["command"] == command.as_str()
            });
            assert!(
                listed,
                "{name} {hook} is not in the summary\n{}",
                run.told()
            );
        }
        run.says(name);
    }
    record.event("script-suppressed", |event| event["script"] == "prepare");
}

#[test]
fn p01_scripts_that_the_index_hides() {
    // npm trusts index and lock for whether there are scripts; the archive may say otherwise.
    let registry = Registry::start();
    let project = Project::new(&registry);
    let canaries = Canaries::new(&project);
    registry.publish(
        &Package::new("sly", "1.0.0")
            .script("postinstall", &canaries.command("sly"))
            .hide_scripts(),
    );
    project.manifest(&json!({
        "name": "project", "version": "1.0.0", "dependencies": { "sly": "1.0.0" },
    }));
    let run = project.v4run(&["npm", "install"]).run();
    run.succeeds();
    assert_eq!(canaries.fired(), [""; 0]);
    run.record()
        .event("script-suppressed", |event| event["name"] == "sly");
}

#[test]
fn p02_the_implicit_native_build() {
    let registry = Registry::start();
    let project = Project::new(&registry);
    let canaries = Canaries::new(&project);
    // A `node-gyp` of the tree stands for the real one: npm looks there first.
    let tool = format!("#!/bin/sh\n{}\n", canaries.command("built"));
    registry.publish(
        &Package::new("node-gyp", "1.0.0")
            .field("bin", json!({ "node-gyp": "gyp.sh" }))
            .executable("gyp.sh", tool.as_bytes()),
    );
    registry.publish(&Package::new("native", "1.0.0").file("binding.gyp", b"{}"));
    project.lock(
        &registry,
        &json!({
            "name": "project", "version": "1.0.0",
            "dependencies": { "native": "1.0.0", "node-gyp": "1.0.0" },
        }),
    );
    project.npm(&["ci"]).run().succeeds();
    assert_eq!(canaries.fired(), ["built"], "the control does not fire");
    let run = project.v4run(&["npm", "ci"]).run();
    run.succeeds();
    assert_eq!(canaries.fired(), [""; 0]);
    run.record().event("script-suppressed", |event| {
        event["name"] == "native" && event["script"] == "binding.gyp"
    });
    run.says("native");
}

#[test]
fn p02_the_native_build_of_the_project_itself() {
    let registry = Registry::start();
    let project = Project::new(&registry);
    let canaries = Canaries::new(&project);
    let tool = format!("#!/bin/sh\n{}\n", canaries.command("built"));
    registry.publish(
        &Package::new("node-gyp", "1.0.0")
            .field("bin", json!({ "node-gyp": "gyp.sh" }))
            .executable("gyp.sh", tool.as_bytes()),
    );
    project.lock(
        &registry,
        &json!({
            "name": "project", "version": "1.0.0", "dependencies": { "node-gyp": "1.0.0" },
        }),
    );
    project.file("binding.gyp", "{}");
    project.npm(&["ci"]).run().succeeds();
    assert_eq!(canaries.fired(), ["built"], "the control does not fire");
    let run = project.v4run(&["npm", "ci"]).run();
    run.succeeds();
    run.record().event("script-suppressed", |event| {
        event["path"] == "" && event["script"] == "binding.gyp"
    });
}

#[test]
fn hostile_texts_of_packages_do_not_reach_the_terminal() {
    let registry = Registry::start();
    let project = Project::new(&registry);
    let text = "\u{1b}]0;title\u{7}\u{1b}[2Jv4run: nothing was refused\r\u{202e}txet";
    registry.publish(&Package::new("loud", "1.0.0").script("postinstall", text));
    project.lock(
        &registry,
        &json!({
            "name": "project", "version": "1.0.0", "dependencies": { "loud": "1.0.0" },
        }),
    );
    // Every run checks stderr for control characters.
    let run = project.v4run(&["npm", "ci"]).run();
    run.succeeds();
    assert!(!run.stderr.contains('\u{202e}'), "{:?}", run.stderr);
    run.record()
        .event("script-suppressed", |event| event["name"] == "loud");
}
