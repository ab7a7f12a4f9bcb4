//! uv's other ways to an environment: a new one, parts of a lock, newer versions, and where a refusal
//! names the way that works, that way.

use std::fs;

use crate::project::tree;
use crate::python::wheel::Wheel;
use crate::registry::Registry;
use crate::uv::{Uv, plant};

/// Modules in the environment of the project, in order.
fn modules(uv: &Uv) -> Vec<String> {
    let environment = tree::read(&uv.python.project.path(".venv"));
    let packages = environment.keys();
    let names =
        packages.filter_map(|path| path.split_once("site-packages/")?.1.strip_suffix(".py"));
    let own = |name: &&str| !name.contains('/') && !name.starts_with('_');
    names.filter(own).map(str::to_owned).collect()
}

#[test]
fn an_environment_is_made_as_bare_uv_makes_it() {
    let registry = Registry::start();
    let uv = Uv::new(&registry);
    let real = uv.python.program("python").canonicalize().unwrap();
    let made = uv.python.project.path("made");
    let arguments = ["venv", "--python", real.to_str().unwrap(), "made"];
    uv.bare(&arguments).run().succeeds();
    let expected = tree::read(&made);
    // With the name of a shell and without.
    for shell in ["/bin/bash", ""] {
        fs::remove_dir_all(&made).unwrap();
        let run = uv.v4run(&arguments).env("SHELL", shell).run();
        run.succeeds();
        tree::assert_equal(&expected, &tree::read(&made));
    }
    // What is there is not replaced.
    let run = uv.v4run(&arguments).run();
    assert_ne!(run.code(), 0, "{}", run.told());
    let run = uv.v4run(&["venv", "--clear", "made"]).run();
    run.refuses(126, "config-refused", "4.18");
}

#[test]
fn newer_versions_come_by_the_way_that_the_refusal_names() {
    let registry = Registry::start();
    plant(&registry);
    let uv = Uv::new(&registry);
    let installed = || uv.python.installed("leaf.py");
    uv.v4run(&["pip", "install", "leaf==1.0.0"])
        .run()
        .succeeds();
    let run = uv.v4run(&["pip", "install", "--upgrade", "leaf"]).run();
    run.refuses(126, "config-refused", "4.18")
        .says("v4run uv pip compile requirements.in > requirements.txt");
    assert_eq!(installed(), "WHO = 'leaf 1.0.0'\n");
    uv.python.project.file("requirements.in", "leaf\n");
    let run = uv.v4run(&["pip", "compile", "requirements.in"]).run();
    let chosen = run.succeeds().stdout.clone();
    uv.python.project.file("requirements.txt", &chosen);
    let arguments = ["pip", "install", "-r", "requirements.txt"];
    uv.v4run(&arguments).run().succeeds();
    assert_eq!(installed(), "WHO = 'leaf 1.4.0'\n");
    let run = uv.v4run(&["pip", "install", "--reinstall", "leaf"]).run();
    run.refuses(126, "config-refused", "4.18")
        .says("v4run uv pip uninstall");
}

#[test]
fn parts_of_a_lock_are_installed() {
    let registry = Registry::start();
    plant(&registry);
    Wheel::new("moss", "1.0.0").publish(&registry);
    let uv = Uv::new(&registry);
    let own = "dependencies = ['leaf']\n[project.optional-dependencies]\nmore = ['fern']\n\
               [dependency-groups]\ntest = ['moss']\n";
    uv.project(own);
    let real = uv.python.program("python").canonicalize().unwrap();
    let python = real.to_str().unwrap();
    for (part, expected) in [
        (vec![], vec!["leaf"]),
        (vec!["--extra", "more"], vec!["fern", "leaf"]),
        (
            vec!["--all-extras", "--group=test"],
            vec!["fern", "leaf", "moss"],
        ),
        (vec!["--only-group", "test"], vec!["moss"]),
    ] {
        let arguments = [&["sync", "--python", python], part.as_slice()].concat();
        uv.v4run(&arguments).run().succeeds();
        assert_eq!(modules(&uv), expected, "{part:?}");
    }
    for (option, way) in [
        ("--upgrade", "v4run uv lock --upgrade"),
        ("--reinstall", "v4run uv pip uninstall"),
    ] {
        let run = uv.v4run(&["sync", option]).run();
        run.refuses(126, "config-refused", "4.18").says(way);
    }
}
