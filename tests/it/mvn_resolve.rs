//! Resolution goals end as they do without v4run: same files, same output, every byte verified.

use std::fs;

use crate::maven::jar::Jar;
use crate::maven::{Maven, REAL, dependency, path, publish, told};
use crate::project::tree;
use crate::registry::{On, Registry, What};

/// A component of the tests' own, two of the system's, one of them for tests only.
fn plant(registry: &Registry) -> String {
    let body = format!(
        "<dependencies>{}</dependencies>",
        dependency("commons-io:commons-io:2.11.0", "")
    );
    publish(registry, "it.part:oak:1.0", &body, &Jar::plain("it.oak"));
    publish(registry, "it.part:leaf:2.0", "", &Jar::plain("it.leaf"));
    format!(
        "<dependencies>{}{}{}</dependencies>",
        dependency("it.part:oak:1.0", ""),
        dependency("it.part:leaf:2.0", "<optional>true</optional>"),
        dependency("junit:junit:4.13.2", "<scope>test</scope>")
    )
}

#[test]
fn a_resolution_makes_the_local_repository_of_bare_maven() {
    let registry = Registry::start();
    let maven = Maven::new(&registry, &plant(&registry));
    let bare = maven.bare(&[REAL]).run();
    bare.succeeds();
    let expected = maven.tree();
    maven.clear();
    let ours = maven.v4run(&[REAL]).run();
    ours.succeeds();
    tree::assert_equal(&expected, &maven.tree());
    assert_eq!(told(&bare.stdout), told(&ours.stdout));
    assert!(
        ours.stdout
            .contains("it.part:oak:jar:1.0:compile -- module it.oak")
    );
    // What was fetched is a component, the tests' own only as a view.
    let record = ours.record();
    let views: Vec<_> = record
        .events("handed-out")
        .into_iter()
        .filter(|event| event["trusted"].is_null())
        .map(|event| event["path"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        views.iter().any(|view| view.ends_with("oak-1.0.jar")),
        "{views:?}"
    );
    assert!(
        views.iter().all(|view| view.contains("/it/part/")),
        "{views:?}"
    );
    // A second run opens the same files and asks for nothing.
    let before = registry.maven_seen().len();
    let again = maven.v4run(&[REAL]).run();
    again.succeeds();
    assert_eq!(registry.maven_seen().len(), before);
    let controls = again.record().summary["controls"].as_array().unwrap();
    let files = controls.iter().find(|control| control["id"] == "4.14");
    assert_eq!(files.unwrap()["status"], "enforced");
}

#[test]
fn a_changed_file_of_the_local_repository_is_refused() {
    let registry = Registry::start();
    let maven = Maven::new(&registry, &plant(&registry));
    maven.v4run(&["dependency:resolve"]).run().succeeds();
    for ending in ["jar", "pom"] {
        let file = maven.kept("it.part:oak:1.0", ending);
        let good = fs::read(&file).unwrap();
        let mut bad = good.clone();
        bad.extend_from_slice(b"\n");
        fs::write(&file, &bad).unwrap();
        // Positive control: bare Maven never notices.
        maven.bare(&["dependency:resolve", "-o"]).run().succeeds();
        let run = maven.v4run(&["dependency:resolve"]).run();
        run.refuses(120, "file-mismatch", "4.14");
        run.says(&format!("oak-1.0.{ending}"));
        fs::write(&file, &good).unwrap();
    }
    maven.v4run(&["dependency:resolve"]).run().succeeds();
    // What nobody fetched is no better: bytes of another artifact that is known.
    let leaf = fs::read(maven.kept("it.part:leaf:2.0", "jar")).unwrap();
    fs::write(maven.kept("it.part:oak:1.0", "jar"), leaf).unwrap();
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.refuses(120, "file-mismatch", "4.14");
}

#[test]
fn a_wrong_or_missing_checksum_is_refused() {
    let registry = Registry::start();
    let maven = Maven::new(&registry, &plant(&registry));
    let jar = path("it.part:oak:1.0", "jar");
    registry.put(&format!("{jar}.sha1"), "0".repeat(40));
    // Positive control: a warning to bare Maven.
    maven.bare(&["dependency:resolve"]).run().succeeds();
    maven.clear();
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.refuses(120, "integrity-mismatch", "4.13");
    assert!(!maven.kept("it.part:oak:1.0", "jar").exists());
    let registry = Registry::start();
    let maven = Maven::new(&registry, &plant(&registry));
    registry.without_sums("oak-1.0.jar");
    maven.bare(&["dependency:resolve"]).run().succeeds();
    maven.clear();
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.refuses(120, "integrity-missing", "4.13");
    assert!(!maven.kept("it.part:oak:1.0", "jar").exists());
}

#[test]
fn a_failing_repository_is_maven_s_to_tell() {
    let registry = Registry::start();
    let maven = Maven::new(&registry, &plant(&registry));
    registry.fault(On::Path("oak-1.0.jar"), What::Status(404));
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.exits(1);
    assert!(run.stdout.contains("it.part:oak:jar:1.0"), "{}", run.told());
    registry.heal();
    registry.fault(On::Path("oak-1.0.jar"), What::Truncated);
    let run = maven.v4run(&["dependency:resolve", "-U"]).run();
    run.exits(1);
    assert!(!maven.kept("it.part:oak:1.0", "jar").exists());
}

#[test]
fn the_anchor_says_how_little_a_side_file_proves() {
    let registry = Registry::start();
    let maven = Maven::new(&registry, &plant(&registry));
    let run = maven.v4run(&["dependency:resolve"]).run();
    let anchors = &run.record().summary["anchors"];
    assert!(anchors["weak-side-file"].as_u64().unwrap() > 8, "{anchors}");
    maven.clear();
    registry.with_strong_sums();
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.succeeds();
    let anchors = &run.record().summary["anchors"];
    assert!(anchors["weak-side-file"].is_null(), "{anchors}");
}
