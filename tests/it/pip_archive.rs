//! Wheels that contradict themselves, reach out of their place, or are not what was promised.
//!
//! Bare pip installs most of them without a word: that is the control. v4run refuses each before pip
//! sees its first byte, and nothing of it is left behind.

use std::fs;

use crate::project::tree;
use crate::python::Python;
use crate::python::wheel::Wheel;
use crate::registry::{On, Registry, What};
use crate::run::Run;

/// RECORD with a wrong digest in its first line.
fn lie(text: String) -> String {
    text.replacen("sha256=", "sha256=AAAA", 1)
}

/// RECORD without its first line.
fn silence(text: String) -> String {
    text.split_once('\n').unwrap().1.to_owned()
}

/// RECORD with a file that is not there.
fn boast(text: String) -> String {
    format!("ghost.py,sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU,0\n{text}")
}

/// Wheels with one fault each, that bare pip installs.
fn faulty() -> Vec<Wheel> {
    vec![
        Wheel::new("recordlie", "1.0").record(lie),
        Wheel::new("recordgap", "1.0").record(silence),
        Wheel::new("recordmore", "1.0").record(boast),
        Wheel::new("recordnone", "1.0").record(|_| String::new()),
        Wheel::new("symlink", "1.0").link("etc", "/etc/passwd"),
        Wheel::new("twice", "1.0").file("twice.py", b"WHO = 'another'\n"),
        Wheel::new("bomb", "1.0").packed("bomb.bin", &vec![0; 96 << 20]),
    ]
}

/// Wheels with one fault each, that pip refuses too.
fn wrong() -> Vec<Wheel> {
    vec![
        Wheel::new("climbs", "1.0").file("../../../../climbed.py", b"x"),
        Wheel::new("data", "1.0").file("data-1.0.data/data/../../climbed", b"x"),
        Wheel::new("absolute", "1.0").file("/tmp/v4run-absolute.py", b"x"),
        Wheel::new("othername", "1.0").says("another", "1.0"),
        Wheel::new("otherversion", "1.0").says("otherversion", "2.0"),
    ]
}

/// v4run refuses it, and the environment stays as it is.
#[track_caller]
fn refused(python: &Python, name: &str, code: &str, control: &str) -> Run {
    let before = python.tree();
    let run = python.v4run(&["install", "--no-compile", name]).run();
    run.refuses(120, code, control).says(name);
    tree::assert_equal(&before, &python.tree());
    let released = run.record().events("released");
    assert!(released.is_empty(), "{name}: {released:?}");
    run
}

#[test]
fn wheels_that_contradict_themselves() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    let wheels = faulty();
    let names: Vec<String> = wheels
        .iter()
        .map(|wheel| wheel.file_name().split('-').next().unwrap().to_owned())
        .collect();
    for wheel in &wheels {
        wheel.publish(&registry);
    }
    let mut all = vec!["install", "--no-compile"];
    all.extend(names.iter().map(String::as_str));
    python.pip(&all).run().succeeds();
    for name in &names {
        let packages = python.packages();
        assert!(
            packages.join(format!("{name}-1.0.dist-info")).is_dir(),
            "the control does not fire: {name}"
        );
    }
    python.clear();
    for name in &names {
        let run = refused(&python, name, "artifact-invalid", "4.13");
        run.says("hint:");
    }
}

#[test]
fn wheels_that_reach_out_of_their_place() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    for wheel in wrong() {
        wheel.publish(&registry);
        let name = wheel.file_name().split('-').next().unwrap().to_owned();
        refused(&python, &name, "artifact-invalid", "4.13");
    }
    assert!(!python.project.outside("climbed.py").exists());
    assert!(!python.project.outside("climbed").exists());
}

#[test]
fn files_that_are_no_wheels() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    let good = Wheel::new("cut", "1.0").build();
    let mut behind = good.clone();
    behind.extend(b"behind the end");
    let mut before = b"#!/bin/sh\n".to_vec();
    before.extend(&good);
    for (name, content) in [
        ("cut", &good[..good.len() / 2]),
        ("text", b"no archive at all".as_slice()),
        ("empty", b"".as_slice()),
        ("behind", &behind),
        ("before", &before),
    ] {
        registry.publish_file(name, &format!("{name}-1.0-py3-none-any.whl"), content);
        refused(&python, name, "artifact-invalid", "4.13");
    }
}

#[test]
fn other_bytes_than_the_index_promised() {
    let registry = Registry::start();
    let evil = Wheel::new("leaf", "1.0").file("evil.py", b"evil = 1\n");
    let honest = Wheel::new("leaf", "1.0");
    let python = Python::new(&registry);
    // The control: an index that promises nothing, which bare pip takes at its word.
    registry.publish_file_as("bare", "bare-1.0-py3-none-any.whl", b"", "");
    let tampered = Wheel::new("bare", "1.0").file("evil.py", b"evil = 1\n");
    registry.fault(
        On::Path("/bare-1.0-py3-none-any.whl"),
        What::Bytes(tampered.build()),
    );
    python.pip(&["install", "bare"]).run().succeeds();
    assert!(python.packages().join("evil.py").exists());
    python.clear();
    honest.publish(&registry);
    registry.fault(
        On::Path("/leaf-1.0-py3-none-any.whl"),
        What::Bytes(evil.build()),
    );
    let run = refused(&python, "leaf", "integrity-mismatch", "4.13");
    run.says("expected").says("computed");
    refused(&python, "bare", "integrity-missing", "4.13");
    assert!(!python.packages().join("evil.py").exists());
}

#[test]
fn a_store_of_its_own_does_not_help_a_tampered_file() {
    // The second run finds the honest file in the store; the lock names another one.
    let registry = Registry::start();
    let python = Python::new(&registry);
    Wheel::new("leaf", "1.0").publish(&registry);
    python.v4run(&["install", "leaf"]).run().succeeds();
    python.clear();
    let wrong = "ab".repeat(32);
    python
        .project
        .file("r.txt", &format!("leaf==1.0 --hash=sha256:{wrong}\n"));
    let run = python.v4run(&["install", "-r", "r.txt"]).run();
    run.refuses(120, "anchor-conflict", "4.13");
    assert!(!python.packages().join("leaf.py").exists());
}

#[test]
fn a_version_that_changes_between_two_runs() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    Wheel::new("leaf", "1.0").publish(&registry);
    python.v4run(&["install", "leaf"]).run().succeeds();
    python.clear();
    // The same name and version with other bytes, and an index that says so.
    let other = Registry::issued_by(
        std::sync::Arc::clone(registry.authority()),
        crate::registry::Setup::default(),
    );
    let evil = Wheel::new("leaf", "1.0").file("evil.py", b"evil = 1\n");
    let digest = evil.publish(&other);
    let link = format!("{}#sha256={digest}", other.file_url(&evil.file_name()));
    let page = format!("<html><a href=\"{link}\">{}</a></html>", evil.file_name());
    registry.fault(On::Path("/simple/leaf/"), What::Page("text/html", page));
    python.pip(&["install", "leaf"]).run().succeeds();
    assert!(python.packages().join("evil.py").exists(), "the control");
    python.clear();
    refused(&python, "leaf", "digest-changed", "4.11");
}

#[test]
fn overwriting_what_others_own() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    Wheel::new("leaf", "1.0").publish(&registry);
    for (name, path) in [
        ("over", "leaf.py"),
        ("pipper", "pip/_internal/cli/main.py"),
        ("program", "program-1.0.data/scripts/python"),
        ("settings", "settings-1.0.data/data/pyvenv.cfg"),
    ] {
        Wheel::new(name, "1.0")
            .file(path, b"#!python\nevil = 1\n")
            .publish(&registry);
    }
    python.v4run(&["install", "leaf"]).run().succeeds();
    for name in ["over", "pipper", "program", "settings"] {
        refused(&python, name, "overwrite-refused", "4.18");
    }
    // Two packages of one run that want the same place.
    for name in ["one", "two"] {
        Wheel::new(name, "1.0")
            .file("shared.py", name.as_bytes())
            .publish(&registry);
    }
    let run = python.v4run(&["install", "one", "two"]).run();
    run.refuses(120, "overwrite-refused", "4.18");
    assert!(!python.packages().join("shared.py").exists());
    // The control comes last: it destroys the environment.
    python.pip(&["install", "over"]).run().succeeds();
    assert!(python.installed("leaf.py").contains("evil"));
    let run = python.pip(&["install", "pipper"]).run();
    assert!(
        python
            .installed("pip/_internal/cli/main.py")
            .contains("evil"),
        "{}",
        run.told()
    );
}

#[test]
fn code_that_runs_at_every_start_is_told() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    let ran = python.environment().join("ran");
    let line = format!(
        "import os; open({:?}, 'w').close()\n",
        ran.display().to_string()
    );
    Wheel::new("leaf", "1.0")
        .file("leaf.pth", line.as_bytes())
        .file("sitecustomize.py", line.as_bytes())
        .publish(&registry);
    let run = python.v4run(&["install", "leaf"]).run();
    run.succeeds().says("startup-code").says("leaf.pth");
    run.record()
        .event("found", |event| event["code"] == "startup-code");
    // Neither in this run nor in the next ones.
    for arguments in [
        vec!["list"],
        vec!["install", "--force-reinstall", "leaf"],
        vec!["uninstall", "-y", "leaf"],
    ] {
        python.v4run(&arguments).run().succeeds();
        assert!(!ran.exists(), "{arguments:?}");
    }
    let project = &python.project;
    project.file("v4run.toml", "refuse = ['startup-code']\n");
    let run = python.v4run(&["install", "leaf"]).run();
    run.refuses(120, "policy-refused", "4.18");
    assert!(!python.packages().join("leaf.pth").exists());
    fs::remove_file(project.path("v4run.toml")).unwrap();
    python.v4run(&["install", "leaf"]).run().succeeds();
    python.pip(&["list"]).run();
    assert!(ran.exists(), "the control does not fire");
    let _ = fs::remove_file(ran);
}
