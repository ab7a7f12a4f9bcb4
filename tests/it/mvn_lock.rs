//! The summary of trusted checksums: what one run of Maven used is the anchor of the next.

use std::ffi::OsString;
use std::fs;

use crate::maven::jar::Jar;
use crate::maven::{Maven, dependency, path, publish};
use crate::registry::Registry;
use crate::run::{Invocation, Run, v4run};

/// `v4run lock` on the record of a run.
pub(crate) fn lock(maven: &Maven, of: &Run) -> String {
    let folder: OsString = of.record().folder.clone().into();
    let argv: Vec<OsString> = vec![v4run().into(), "lock".into(), folder];
    let directory = maven.project.directory();
    let run = Invocation::new(argv, directory, maven.project.outside("lock")).run();
    run.succeeds();
    run.stdout.clone()
}

pub(crate) fn write(maven: &Maven, text: &str) {
    let folder = maven.project.path(".mvn/checksums");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("checksums.sha256"), text).unwrap();
}

#[test]
fn the_next_run_is_held_to_what_was_used() {
    let registry = Registry::start();
    publish(&registry, "it.part:oak:1.0", "", &Jar::plain("it.oak"));
    let body = dependency("it.part:oak:1.0", "");
    let maven = Maven::new(&registry, &format!("<dependencies>{body}</dependencies>"));
    let first = maven.v4run(&["dependency:resolve"]).run();
    first.succeeds();
    let text = lock(&maven, &first);
    let jar = path("it.part:oak:1.0", "jar");
    assert!(text.starts_with("# v4run: complete\n"), "{text}");
    assert!(text.contains(&format!("  {jar}\n")), "{text}");
    write(&maven, &text);

    // From nothing, by the lock alone; what nobody has may still be looked for.
    maven.clear();
    let second = maven.v4run(&["dependency:resolve"]).run();
    second.succeeds();
    let released = second.record().events("released");
    assert!(!released.is_empty());
    let by_lock = released.iter().all(|event| event["anchor"] == "lockfile");
    assert!(by_lock, "{}", second.told());
    let before = registry.maven_seen().len();
    let third = maven.v4run(&["dependency:resolve"]).run();
    third.succeeds();
    let asked = registry.maven_seen().split_off(before);
    assert!(
        !asked.iter().any(|path| path.ends_with(".jar")),
        "{asked:?}"
    );

    // A complete lock refuses what it does not name, kept or fetched.
    let without: String = text
        .lines()
        .filter(|line| !line.ends_with(&jar))
        .map(|line| format!("{line}\n"))
        .collect();
    write(&maven, &without);
    let kept = maven.v4run(&["dependency:resolve"]).run();
    kept.refuses(120, "file-unverified", "4.14");
    fs::remove_file(maven.kept("it.part:oak:1.0", "jar")).unwrap();
    let fetched = maven.v4run(&["dependency:resolve"]).run();
    fetched.refuses(120, "integrity-missing", "4.13");
    fetched.says("it.part:oak@1.0");
    assert!(!maven.kept("it.part:oak:1.0", "jar").exists());
}

#[test]
fn a_checksum_that_fits_does_not_help_against_the_lock() {
    let registry = Registry::start();
    publish(&registry, "it.part:oak:1.0", "", &Jar::plain("it.oak"));
    let body = dependency("it.part:oak:1.0", "");
    let maven = Maven::new(&registry, &format!("<dependencies>{body}</dependencies>"));
    let jar = path("it.part:oak:1.0", "jar");
    // Not complete: everything else is first used here.
    write(&maven, &format!("{}  {jar}\n", "ab".repeat(32)));
    // Positive control: bare Maven before 3.9 reads no such file.
    maven.bare(&["dependency:resolve"]).run().succeeds();
    maven.clear();
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.refuses(120, "integrity-mismatch", "4.13");
    run.says("checksums.sha256:1");
    assert!(!maven.kept("it.part:oak:1.0", "jar").exists());

    write(&maven, "nonsense\n");
    let run = maven.v4run(&["dependency:resolve"]).run();
    run.refuses(126, "lock-invalid", "4.13");
    run.says("checksums.sha256:1");
}
