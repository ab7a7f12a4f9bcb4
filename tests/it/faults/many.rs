//! Large installs over a network that breaks now and then, and many runs on one store.
//!
//! The suite's sizes are small; `V4RUN_SOAK_PACKAGES` and `V4RUN_SOAK_RUNS` make them large.

use std::thread;

use serde_json::Map;

use super::{score, store_is_whole};
use crate::project::{Project, tree};
use crate::registry::package::Package;
use crate::registry::{On, Registry, Setup, What};

fn size(variable: &str, usual: usize) -> usize {
    let named = std::env::var(variable).ok();
    named.map_or(usual, |text| text.parse().unwrap())
}

/// A registry with so many packages, and a project that needs them all.
fn forest(registry: &Registry, count: usize) -> Project {
    let mut dependencies = Map::new();
    for number in 0..count {
        let name = format!("p{number}");
        registry.publish(&Package::new(&name, "1.0.0").file("text", name.repeat(50).as_bytes()));
        dependencies.insert(name, "1.0.0".into());
    }
    Project::locked(registry, dependencies.into())
}

/// Every hundredth archive breaks at the first try: in turn with all that is under way on its connection,
/// by a reset, in the middle.
fn one_in_a_hundred(registry: &Registry, count: usize) -> usize {
    let kinds = [What::Hangup, What::Reset, What::Truncated];
    let hit = (0..count).skip(7).step_by(100);
    let mut injected = 0;
    for (number, what) in hit.zip(kinds.iter().cycle()) {
        let path: &'static str = format!("/p{number}-1.0.0.tgz").leak();
        registry.fault_times(On::Path(path), what.clone(), 0, 1);
        injected += 1;
    }
    injected
}

#[test]
fn a_large_install_over_a_network_that_breaks() {
    let most = size("V4RUN_SOAK_PACKAGES", 300);
    let mut sum = 0;
    // With one connection for all, its end hits whatever is under way on it.
    for (http2, count) in [(true, most), (false, most / 3)] {
        let registry = Registry::with(Setup {
            http2,
            ..Setup::default()
        });
        let project = forest(&registry, count);
        let injected = one_in_a_hundred(&registry, count);
        let run = project.v4run(&["npm", "ci"]).run();
        run.succeeds();
        for number in 0..count {
            let name = format!("p{number}");
            assert_eq!(project.installed(&format!("{name}/text")), name.repeat(50));
        }
        assert_eq!(registry.faults_left(), 0, "not every fault happened");
        assert!(registry.tarballs().len() >= count + injected);
        assert_eq!(store_is_whole(&project.home().join(".cache")), count);
        let released = run.record().events("released").len();
        assert!(released >= count, "{released} of {count} are in the record");
        sum += injected;
    }
    score(sum);
}

#[test]
fn many_runs_at_once_on_one_store() {
    let runs = size("V4RUN_SOAK_RUNS", 8);
    let registry = Registry::start();
    let first = forest(&registry, 20);
    // Fewer than one run tries: a single one may meet them all.
    registry.fault_times(On::Path("/p7-1.0.0.tgz"), What::Reset, 0, 2);
    registry.fault_times(On::Path("/p9-1.0.0.tgz"), What::Truncated, 0, 2);
    let lock = first.read_lock();
    let projects: Vec<Project> = (0..runs)
        .map(|_| {
            let project = Project::new(&registry);
            project.manifest(&serde_json::json!({
                "name": "project", "version": "1.0.0",
                "dependencies": lock["packages"][""]["dependencies"],
            }));
            project.write_lock(&lock);
            project
        })
        .collect();
    let store = first.outside("store");
    thread::scope(|scope| {
        for project in &projects {
            let invocation = project.v4run(&["npm", "ci"]).env("XDG_CACHE_HOME", &store);
            scope.spawn(move || invocation.run().succeeds().code());
        }
    });
    assert_eq!(registry.faults_left(), 0, "not every fault happened");
    let expected = tree::read(&projects[0].path("node_modules"));
    assert!(expected.len() > 40);
    for project in &projects[1..] {
        tree::assert_equal(&expected, &tree::read(&project.path("node_modules")));
    }
    assert_eq!(store_is_whole(&store), 20);
    score(4);
}
