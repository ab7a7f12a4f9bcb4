//! Several runs at once: one store, no cross-talk, no half-written object.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::project::{Project, forest, tree};
use crate::registry::package::Package;
use crate::registry::{On, Registry, What};

#[test]
fn runs_share_a_store_without_harm() {
    let registry = Registry::start();
    let manifest = forest::plant(&registry);
    let projects: Vec<Project> = (0..4)
        .map(|_| {
            let project = Project::new(&registry);
            project.lock(&registry, &manifest);
            project
        })
        .collect();
    let store = projects[0].outside("store");
    thread::scope(|scope| {
        for project in &projects {
            let invocation = project.v4run(&["npm", "ci"]).env("XDG_CACHE_HOME", &store);
            scope.spawn(move || invocation.run().succeeds().code());
        }
    });
    let first = tree::read(&projects[0].path("node_modules"));
    for project in &projects[1..] {
        tree::assert_equal(&first, &tree::read(&project.path("node_modules")));
    }
    let fetched = registry.tarballs().len();
    let late = Project::new(&registry);
    late.lock(&registry, &manifest);
    late.v4run(&["npm", "ci"])
        .env("XDG_CACHE_HOME", &store)
        .run()
        .succeeds();
    assert_eq!(registry.tarballs().len(), fetched, "the store was not used");
    tree::assert_equal(&first, &tree::read(&late.path("node_modules")));
}

#[test]
fn runs_do_not_see_each_other() {
    let (one, two) = (Registry::start(), Registry::start());
    let build = |registry: &Registry, text: &str| {
        registry.publish(&Package::new("same", "1.0.0").file("text", text.as_bytes()));
        Project::locked(registry, json!({ "same": "1.0.0" }))
    };
    let (first, second) = (build(&one, "one"), build(&two, "two"));
    let store = first.outside("store");
    thread::scope(|scope| {
        for project in [&first, &second] {
            let invocation = project.v4run(&["npm", "ci"]).env("XDG_CACHE_HOME", &store);
            scope.spawn(move || invocation.run().succeeds().code());
        }
    });
    assert_eq!(first.installed("same/text"), "one");
    assert_eq!(second.installed("same/text"), "two");
}

#[test]
fn a_run_that_is_killed_leaves_a_usable_store() {
    let registry = Registry::start();
    let manifest = forest::plant(&registry);
    registry.fault_times(
        On::Tarball("big"),
        What::Slow(40, Duration::from_millis(50)),
        0,
        1,
    );
    let project = Project::new(&registry);
    project.lock(&registry, &manifest);
    let mut running = project
        .v4run(&["npm", "ci"])
        .grace(Duration::from_secs(3))
        .start();
    assert!(registry.wait_for("big-1.0.0.tgz", Duration::from_secs(20)));
    running.signal(Signal::SIGKILL);
    running.wait();
    project.v4run(&["npm", "ci"]).run().succeeds();
    for published in registry.published() {
        let place = project
            .path("node_modules")
            .join(&published.name)
            .join("package.json");
        assert!(
            place.exists() || published.name == "leaf",
            "{}",
            place.display()
        );
    }
}

#[test]
fn equal_requests_are_merged() {
    let registry = Registry::start();
    let shared = registry.publish(&Package::new("shared", "1.0.0"));
    // Two names for one archive: the lock needs it twice, the network once.
    let project = Project::new(&registry);
    let dependencies = json!({ "a": "npm:shared@1.0.0", "b": "npm:shared@1.0.0" });
    project
        .manifest(&json!({ "name": "project", "version": "1.0.0", "dependencies": dependencies }));
    let entry = json!({
        "name": "shared", "version": "1.0.0", "resolved": registry.tarball_url(&shared),
        "integrity": shared.sha512, "license": "Apache-2.0",
    });
    project.write_lock(&json!({
        "name": "project", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
        "packages": {
            "": { "name": "project", "version": "1.0.0", "dependencies": dependencies },
            "node_modules/a": entry, "node_modules/b": entry,
        },
    }));
    project.v4run(&["npm", "ci"]).run().succeeds();
    assert_eq!(registry.tarballs().len(), 1, "{:?}", registry.tarballs());
    assert_eq!(
        project.installed("a/index.js"),
        project.installed("b/index.js")
    );
}
