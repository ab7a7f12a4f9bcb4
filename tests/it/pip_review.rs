//! Ways round the promises for pip that a review found, each with what it would have done.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use crate::python::Python;
use crate::python::wheel::Wheel;
use crate::registry::Registry;

/// A package that puts a directory of its own into the path of the standard library's `encodings`,
/// by the file that pip's `pkg_resources` reads, and one whose source asks for a codec from there.
#[test]
fn no_installed_codec_runs_when_pip_compiles() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    let ran = python.environment().join("ran");
    let code = format!("open({:?}, 'w').close()\n", ran.display().to_string());
    Wheel::new("left", "1.0.0")
        .file("encodings/__init__.py", b"")
        .file("encodings/planted.py", code.as_bytes())
        .file(
            "left-1.0.0.dist-info/namespace_packages.txt",
            b"encodings\n",
        )
        .publish(&registry);
    Wheel::new("right", "1.0.0")
        .file("right_odd.py", b"# coding: planted\nx = 1\n")
        .publish(&registry);
    python.v4run(&["install", "left"]).run().succeeds();
    python.v4run(&["install", "right"]).run().succeeds();
    assert!(!ran.exists(), "a codec of an installed package ran");
    // Positive control: bare pip runs it while it compiles.
    python
        .pip(&["install", "--force-reinstall", "right"])
        .run()
        .succeeds();
    assert!(ran.exists());
}

#[test]
fn nothing_is_put_where_the_interpreter_looks_for_its_library() {
    for path in [
        "left-1.0.0.data/scripts/pyvenv.cfg",
        "left-1.0.0.data/data/bin/pybuilddir.txt",
        "left-1.0.0.data/scripts/activate",
    ] {
        let registry = Registry::start();
        let python = Python::new(&registry);
        Wheel::new("left", "1.0.0")
            .file(path, b"home = /nowhere\n")
            .publish(&registry);
        let before = python.tree();
        let run = python.v4run(&["install", "left"]).run();
        run.refuses(120, "overwrite-refused", "4.18");
        assert_eq!(before, python.tree(), "{path}");
    }
}

#[test]
fn what_was_weighed_and_not_taken_is_no_difference() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    for version in ["1.0.0", "2.0.0"] {
        Wheel::new("leaf", version).publish(&registry);
    }
    Wheel::new("oak", "1.0.0")
        .requires("leaf<2")
        .publish(&registry);
    // Without metadata files pip fetches a wheel to learn what it needs.
    let run = python.v4run(&["install", "leaf", "oak"]).run();
    run.succeeds();
    let fetched = run.record().events("released").len();
    assert_eq!(fetched, 3, "{}", run.told());
    assert!(python.installed("leaf.py").contains("1.0.0"));
}

#[test]
fn no_credential_of_the_command_line_is_shown() {
    let registry = Registry::start();
    let mut python = Python::new(&registry);
    python.project.secret("hunter2");
    Wheel::new("leaf", "1.0.0").publish(&registry);
    let index = registry.python_index().replace("://", "://user:hunter2@");
    let option = format!("--index-url={index}");
    python.v4run(&["install", &option, "leaf"]).run().succeeds();
    let wheel = format!("leaf @ {index}leaf-1.0.0-py3-none-any.whl");
    python.v4run(&["install", &wheel]).run().exits(126);
    let file = format!("{index}requirements.txt");
    python.v4run(&["install", "-r", &file]).run().exits(126);
    python
        .v4run(&["install", &format!("leaf @@ {index}")])
        .run();
}

#[test]
fn a_destination_stays_in_the_project() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    Wheel::new("leaf", "1.0.0").publish(&registry);
    let outside = python.project.outside("elsewhere");
    fs::create_dir_all(&outside).unwrap();
    symlink(&outside, python.project.path("vendor")).unwrap();
    for option in ["--target", "--prefix", "--root"] {
        let run = python.v4run(&["install", option, "vendor", "leaf"]).run();
        run.refuses(126, "config-refused", "4.18");
        let empty = fs::read_dir(&outside).unwrap().next().is_none();
        assert!(empty, "{option}");
    }
    let named = outside.display().to_string();
    let run = python.v4run(&["install", "--target", &named, "leaf"]).run();
    run.succeeds();
    assert!(outside.join("leaf.py").exists());
}

#[test]
fn a_pip_that_the_checkout_brings_is_not_run() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    let inside = python.project.path(".venv");
    fs::rename(python.environment(), &inside).unwrap();
    let program = inside.join("bin/python").display().to_string();
    let words = [program.as_str(), "-m", "pip", "list"];
    python.project.v4run(&words).run().succeeds();
    let git = |arguments: &[&str]| {
        let mut command = Command::new("git");
        command.current_dir(python.project.directory());
        assert!(command.args(arguments).output().unwrap().status.success());
    };
    git(&["init", "-q"]);
    python.project.v4run(&words).run().succeeds();
    git(&["add", "-f", ".venv"]);
    for version in ["2", "4"] {
        git(&["update-index", "--index-version", version]);
        let run = python.project.v4run(&words).run();
        run.refuses(126, "config-refused", "4.18");
    }
}

#[test]
fn a_link_of_the_project_leads_no_reader_out_of_it() {
    let registry = Registry::start();
    let mut python = Python::new(&registry);
    python.project.secret("hunter2");
    let token = python.project.outside("token");
    fs::write(&token, "hunter2 of the user\n").unwrap();
    symlink(&token, python.project.path("requirements.txt")).unwrap();
    let run = python.v4run(&["install", "-r", "requirements.txt"]).run();
    run.refuses(126, "config-refused", "4.18");
    // What the user names may lie anywhere.
    let own = python.project.outside("own.txt");
    let base = python.project.outside("base.txt");
    fs::write(&own, "-r base.txt\n").unwrap();
    fs::write(&base, "leaf\n").unwrap();
    Wheel::new("leaf", "1.0.0").publish(&registry);
    let named = own.display().to_string();
    python.v4run(&["install", "-r", &named]).run().succeeds();
}
