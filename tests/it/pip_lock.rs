//! `v4run lock`: what one run installed is the anchor of the next.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use crate::python::Python;
use crate::python::wheel::Wheel;
use crate::registry::Registry;
use crate::run::{Invocation, Run, v4run};

/// `v4run lock` on the record of a run.
fn lock(python: &Python, of: &Run) -> Run {
    let argv: Vec<OsString> = vec![
        v4run().into(),
        "lock".into(),
        of.record().folder.clone().into(),
    ];
    Invocation::new(
        argv,
        python.project.directory(),
        python.project.outside("lock"),
    )
    .run()
}

#[test]
fn the_next_run_is_held_to_what_was_installed() {
    let registry = Registry::start();
    Wheel::new("oak", "1.0.0")
        .requires("leaf")
        .publish(&registry);
    Wheel::new("leaf", "1.0.0").publish(&registry);
    let python = Python::new(&registry);
    let first = python.v4run(&["install", "oak"]).run();
    first.succeeds();
    let written = lock(&python, &first);
    written.succeeds();
    let text = &written.stdout;
    for part in [
        "lock-version = \"1.0\"",
        "name = \"leaf\"",
        "name = \"oak\"",
        "sha256",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let file: PathBuf = python.project.path("pylock.toml");
    fs::write(&file, text).unwrap();

    python.renew();
    let second = python.v4run(&["install", "-r", "pylock.toml"]).run();
    second.succeeds();
    let released = second.record().events("released");
    assert_eq!(released.len(), 2, "{}", second.told());
    assert!(
        released.iter().all(|event| event["anchor"] == "lockfile"),
        "{}",
        second.told()
    );

    // A new store: the index now promises other bytes than the lock does.
    Wheel::new("leaf", "1.0.0")
        .file("more.py", b"")
        .publish(&registry);
    python.renew();
    fs::remove_dir_all(python.project.home().join(".cache")).unwrap();
    let third = python.v4run(&["install", "-r", "pylock.toml"]).run();
    assert_eq!(third.ended.code, Some(120), "{}", third.told());
    assert!(!python.packages().join("more.py").exists());
}

#[test]
fn nothing_is_locked_that_was_not_seen() {
    let registry = Registry::start();
    Wheel::new("oak", "1.0.0")
        .requires("leaf")
        .publish(&registry);
    Wheel::new("leaf", "1.0.0").publish(&registry);
    let python = Python::new(&registry);
    python.pip(&["install", "leaf"]).run().succeeds();
    let run = python.v4run(&["install", "oak"]).run();
    run.succeeds();
    let refused = lock(&python, &run);
    refused
        .exits(125)
        .says("was installed before the run, so that its wheel was not seen");
    assert!(refused.stdout.is_empty());

    python.renew();
    let failed = python.v4run(&["install", "missing"]).run();
    lock(&python, &failed).exits(125).says("did not end with 0");
}
