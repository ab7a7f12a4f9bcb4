//! Archives with very deep names: an end with a reason, in time, and no harm round it.
//!
//! How many names are read is tested where archives are read: an archive of that many takes a build of its
//! own longer than a test may.

use serde_json::json;

use super::npm::long;
use super::{score, wrong};
use crate::project::{Project, tree};
use crate::python::Python;
use crate::python::wheel::Wheel;
use crate::registry::Registry;
use crate::registry::package::Package;

/// Directories of a path that is deep.
const DEEP: usize = 100_000;

/// A path in so many directories.
fn deep(levels: usize) -> String {
    format!("{}x", "d/".repeat(levels))
}

#[test]
fn a_package_of_npm_that_is_100_000_deep() {
    let registry = Registry::start();
    let name = format!("package/{}", deep(DEEP));
    let package = long(Package::new("deep", "1.0.0"), &name, b"x");
    registry.publish(&package);
    let project = Project::locked(&registry, json!({ "deep": "1.0.0" }));
    let before = tree::read(&project.outside(""));
    let run = project.v4run(&["npm", "ci"]).run();
    assert!(!run.stderr.contains("panicked"), "{}", run.told());
    let own = ["project/node_modules", "home", "run-0"];
    let installed = project.path("node_modules");
    assert_eq!(wrong(&project, &before, &own, &installed), [""; 0]);
    score(1);
}

#[test]
fn a_wheel_that_is_as_deep_as_a_name_can_be() {
    let registry = Registry::start();
    // Names in such an archive have two bytes for their length.
    Wheel::new("deep", "1.0")
        .file(&deep(30_000), b"x")
        .publish(&registry);
    let python = Python::new(&registry);
    let run = python.v4run(&["install", "deep"]).run();
    run.refuses(120, "artifact-invalid", "4.13");
    // Nobody reads a name of 60 000 letters.
    assert!(run.stderr.len() < 10_000, "{}", run.stderr.len());
    assert!(!python.packages().join("d").exists());
    score(1);
}
