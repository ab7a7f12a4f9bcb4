//! Ways round what is refused or told: other places of a wheel, other readings of it, settings of an
//! environment that a project brings.

use std::fs;
use std::path::Path;

use crate::python::Python;
use crate::python::wheel::Wheel;
use crate::registry::Registry;

/// Python that leaves a file.
fn mark(path: &Path) -> String {
    format!("open({:?}, 'w').close()\n", path.display().to_string())
}

/// Where packages lie in the environment, as the data of a wheel would name it.
fn library(python: &Python) -> String {
    let packages = python.packages();
    let below = packages.strip_prefix(python.environment()).unwrap();
    below.display().to_string()
}

#[test]
fn startup_code_is_found_by_whatever_way_it_comes() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    let ran = python.environment().join("ran");
    let line = format!("import os; {}", mark(&ran));
    let place = library(&python);
    let named = format!("ivy-1.0.data/data/{place}/ivy.pth");
    Wheel::new("ivy", "1.0")
        .file(&named, line.as_bytes())
        .publish(&registry);
    let custom = format!("yew-1.0.data/data/{place}/sitecustomize.py");
    Wheel::new("yew", "1.0")
        .file(&custom, mark(&ran).as_bytes())
        .publish(&registry);
    for name in ["ivy", "yew"] {
        let run = python.v4run(&["install", "--no-compile", name]).run();
        run.succeeds().says("startup-code");
        assert!(!ran.exists(), "{name}");
        // Positive control: it is one. Debian's own sitecustomize comes before any other.
        python.pip(&["list"]).run();
        let fires = ran.exists() || name == "yew";
        assert!(fires, "{name}: the control does not fire");
        let _ = fs::remove_file(&ran);
        python.renew();
        python
            .project
            .file("v4run.toml", "refuse = ['startup-code']\n");
        let run = python.v4run(&["install", name]).run();
        run.refuses(120, "policy-refused", "4.18");
        fs::remove_file(python.project.path("v4run.toml")).unwrap();
    }
}

#[test]
fn the_library_of_an_environment_is_its_interpreter_s_own() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    let ran = python.environment().join("ran");
    let ran_at = ran.display().to_string();
    // So early there is no `open`.
    let early = format!("import posix\nposix.close(posix.open({ran_at:?}, posix.O_CREAT))\n");
    // A standard library of the project, and an environment that calls it its own.
    let library = library(&python).replace("/site-packages", "");
    for module in [
        "os.py",
        "encodings/__init__.py",
        "site.py",
        "json/__init__.py",
    ] {
        python
            .project
            .file(&format!("evil/{library}/{module}"), &early);
    }
    python
        .project
        .file(&format!("evil/{library}/lib-dynload/x"), "");
    python.project.file("evil/bin/x", "");
    let settings = python.environment().join("pyvenv.cfg");
    let home = python.project.path("evil/bin");
    fs::write(&settings, format!("home = {}\n", home.display())).unwrap();
    python.v4run(&["list"]).run().succeeds();
    assert!(!ran.exists());
    // Positive control: the environment's own interpreter takes it.
    python.pip(&["list"]).run();
    assert!(ran.exists(), "the control does not fire");
}
