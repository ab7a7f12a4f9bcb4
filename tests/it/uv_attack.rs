//! What uv installs may not make the next start of another program run it, nor lie about itself.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::python::wheel::Wheel;
use crate::registry::Registry;
use crate::uv::Uv;

/// Python that leaves a file.
fn mark(path: &Path) -> Vec<u8> {
    format!("open({:?}, 'w').close()\n", path.display().to_string()).into_bytes()
}

#[test]
fn nothing_is_added_to_the_environment_s_pip() {
    let registry = Registry::start();
    let uv = Uv::new(&registry);
    let ran = uv.python.environment().join("ran");
    // A package of that name comes before the module of that name that pip has there.
    Wheel::new("ivy", "1.0")
        .file("pip/_internal/cli/main/__init__.py", &mark(&ran))
        .publish(&registry);
    let install = ["pip", "install", "ivy"];
    let run = uv.v4run(&install).run();
    run.refuses(120, "overwrite-refused", "4.18").says("ivy");
    assert!(!uv.python.packages().join("ivy.py").exists());
    // Nor is a pip brought by something else where there is none.
    fs::remove_dir_all(uv.python.packages().join("pip")).unwrap();
    let run = uv.v4run(&install).run();
    run.refuses(120, "overwrite-refused", "4.18");
    // Positive control: after bare uv, pip runs it.
    uv.python.renew();
    uv.bare(&install).run().succeeds();
    uv.python.pip(&["list"]).run();
    assert!(ran.exists(), "the control does not fire");
    // pip itself may be installed.
    Wheel::bare("pip", "99.0")
        .file("pip/__init__.py", b"__version__ = '99.0'\n")
        .publish(&registry);
    uv.python.renew();
    uv.v4run(&["pip", "install", "pip==99.0"]).run().succeeds();
    let text = uv.python.installed("pip/__init__.py");
    assert_eq!(text, "__version__ = '99.0'\n");
}

#[test]
fn a_wheel_does_not_say_that_it_is_a_directory_of_the_user() {
    let registry = Registry::start();
    let note = br#"{"url": "file:///home/user/ivy", "dir_info": {"editable": true}}"#;
    Wheel::new("ivy", "1.0")
        .file("ivy-1.0.dist-info/direct_url.json", note)
        .publish(&registry);
    let uv = Uv::new(&registry);
    let run = uv.v4run(&["pip", "install", "ivy"]).run();
    run.refuses(120, "artifact-invalid", "4.13")
        .says("direct_url.json");
    let run = uv.python.v4run(&["install", "ivy"]).run();
    run.refuses(120, "artifact-invalid", "4.13");
    assert!(!uv.python.packages().join("ivy.py").exists());
    // Positive control: bare pip takes it for one from then on.
    uv.python.pip(&["install", "ivy"]).run().succeeds();
    let list = ["list", "--format=json", "--editable"];
    let listed: Value =
        serde_json::from_str(&uv.python.pip(&list).run().succeeds().stdout).unwrap();
    assert_eq!(listed[0]["name"], "ivy", "the control does not fire");
}

#[test]
fn no_other_package_brings_a_uv() {
    let registry = Registry::start();
    Wheel::new("ivy", "1.0")
        .file("ivy-1.0.data/scripts/uv", b"\x7fELF")
        .publish(&registry);
    Wheel::new("yew", "1.0")
        .script("uvx", "yew:main")
        .publish(&registry);
    Wheel::new("uv", "99.0")
        .file("uv-99.0.data/scripts/uv", b"#!python\n")
        .publish(&registry);
    let uv = Uv::new(&registry);
    for name in ["ivy", "yew"] {
        let run = uv.v4run(&["pip", "install", name]).run();
        run.refuses(120, "overwrite-refused", "4.18");
        let run = uv.python.v4run(&["install", name]).run();
        run.refuses(120, "overwrite-refused", "4.18");
    }
    assert!(!uv.python.program("uv").exists() && !uv.python.program("uvx").exists());
    uv.python.v4run(&["install", "uv"]).run().succeeds();
    assert!(uv.python.program("uv").is_file());
    // Positive control: bare pip lets it, and the name leads there.
    uv.python.renew();
    uv.python.pip(&["install", "ivy"]).run().succeeds();
    assert!(uv.python.program("uv").is_file());
}

#[test]
fn the_library_of_an_environment_is_its_interpreter_s_own() {
    let registry = Registry::start();
    let uv = Uv::new(&registry);
    let python = &uv.python;
    let ran = python.environment().join("ran");
    let ran_at = ran.display().to_string();
    let early = format!("import posix\nposix.close(posix.open({ran_at:?}, posix.O_CREAT))\n");
    let packages = python.packages();
    let library = packages.strip_prefix(python.environment()).unwrap();
    let library = library.parent().unwrap().display().to_string();
    for module in ["os.py", "encodings/__init__.py", "lib-dynload/x"] {
        python
            .project
            .file(&format!("evil/{library}/{module}"), &early);
    }
    python.project.file("evil/bin/x", "");
    let home = python.project.path("evil/bin").display().to_string();
    let settings = python.environment().join("pyvenv.cfg");
    fs::write(settings, format!("home = {home}\n")).unwrap();
    let run = uv.v4run(&["pip", "list"]).run();
    assert!(run.code() != 0 && !ran.exists(), "{}", run.told());
    // Positive control: bare uv asks an interpreter with that library.
    uv.bare(&["pip", "list"]).run();
    assert!(ran.exists(), "the control does not fire");
}
