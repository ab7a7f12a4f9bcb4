//! pip's commands end as they do without v4run: same environment, same files, same status.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::project::tree;
use crate::python::Python;
use crate::python::wheel::Wheel;
use crate::registry::Registry;
use crate::run::Run;

/// `oak` needs `leaf`; `fern` stands alone and brings data and a script.
fn plant(registry: &Registry) {
    Wheel::new("oak", "1.0.0")
        .requires("leaf>=1")
        .extra("more")
        .requires("fern ; extra == 'more'")
        .publish(registry);
    for version in ["1.0.0", "1.4.0"] {
        Wheel::new("leaf", version).publish(registry);
    }
    Wheel::new("fern", "2.0.0")
        .script("fern", "fern:main")
        .file("fern-2.0.0.data/data/share/fern/readme", b"read me\n")
        .file("fern-2.0.0.data/scripts/fern-old", b"#!python\nprint(1)\n")
        .publish(registry);
}

/// Runs the same commands bare and with v4run in equal environments, and compares what is there
/// afterwards, the exit status and the output of the last one.
#[track_caller]
fn same(python: &Python, before: &[&str], arguments: &[&str]) -> Run {
    let prepare = || {
        python.renew();
        if !before.is_empty() {
            python.pip(before).run().succeeds();
        }
    };
    prepare();
    let bare = python.pip(arguments).run();
    let expected = python.tree();
    prepare();
    let ours = python.v4run(arguments).run();
    assert_eq!(
        ours.ended.code,
        bare.ended.code,
        "{}\n{}",
        bare.told(),
        ours.told()
    );
    tree::assert_equal(&expected, &python.tree());
    ours
}

#[test]
fn an_install_makes_the_environment_of_bare_pip() {
    let registry = Registry::start();
    plant(&registry);
    let python = Python::new(&registry);
    let run = same(&python, &[], &["install", "oak[more]"]);
    run.succeeds();
    assert_eq!(python.installed("leaf.py"), "WHO = 'leaf 1.4.0'\n");
    assert!(python.program("fern-old").is_file());
    assert!(python.environment().join("share/fern/readme").is_file());
    for (before, arguments) in [
        (
            vec!["install", "leaf==1.0.0"],
            vec!["install", "--upgrade", "leaf"],
        ),
        (
            vec!["install", "oak", "fern"],
            vec!["uninstall", "-y", "oak", "fern"],
        ),
        (
            vec!["install", "leaf"],
            vec!["install", "--force-reinstall", "leaf"],
        ),
        (vec![], vec!["install", "--dry-run", "oak"]),
        (vec![], vec!["install", "--no-compile", "--no-deps", "oak"]),
        (vec![], vec!["install", "nothing-of-that-name"]),
    ] {
        same(&python, &before, &arguments);
    }
}

#[test]
fn reading_commands_print_what_bare_pip_prints() {
    let registry = Registry::start();
    plant(&registry);
    let python = Python::new(&registry);
    python.pip(&["install", "oak", "fern"]).run().succeeds();
    python.project.file("file.txt", "text");
    for arguments in [
        vec!["list"],
        vec!["list", "--format=json"],
        vec!["show", "-f", "fern"],
        vec!["check"],
        vec!["freeze"],
        vec!["inspect"],
        vec!["hash", "file.txt"],
        vec!["--version"],
        vec!["help", "install"],
        vec!["cache", "dir"],
        vec!["show", "absent"],
    ] {
        let bare = python.pip(&arguments).run();
        let ours = python.v4run(&arguments).run();
        assert_eq!(ours.stdout, bare.stdout, "{arguments:?}\n{}", ours.told());
        assert_eq!(ours.code(), bare.code(), "{arguments:?}\n{}", ours.told());
    }
}

#[test]
fn the_record_holds_what_was_installed() {
    let registry = Registry::start();
    plant(&registry);
    let python = Python::new(&registry);
    let run = python.v4run(&["install", "oak"]).run();
    run.succeeds();
    let record = run.record();
    let components = record.bom["components"].as_array().unwrap();
    let purls: BTreeSet<&str> = components
        .iter()
        .filter_map(|c| c["purl"].as_str())
        .collect();
    assert!(purls.contains("pkg:pypi/oak@1.0.0") && purls.contains("pkg:pypi/leaf@1.4.0"));
    let property = |purl: &str, name: &str| {
        let component = components.iter().find(|c| c["purl"] == purl).unwrap();
        let properties = component["properties"].as_array().unwrap();
        let found = properties.iter().find(|property| property["name"] == name);
        found.map(|property| property["value"].as_str().unwrap().to_owned())
    };
    let of = |purl: &str, name: &str| property(purl, name).unwrap();
    assert_eq!(of("pkg:pypi/oak@1.0.0", "v4run:requested"), "true");
    assert_eq!(of("pkg:pypi/leaf@1.4.0", "v4run:requested"), "false");
    assert_eq!(
        of("pkg:pypi/leaf@1.4.0", "v4run:file"),
        "leaf-1.4.0-py3-none-any.whl"
    );
    let edges = record.bom["dependencies"].as_array().unwrap();
    let oak = edges
        .iter()
        .find(|edge| edge["ref"] == "pkg:pypi/oak@1.0.0")
        .unwrap();
    assert_eq!(oak["dependsOn"], serde_json::json!(["pkg:pypi/leaf@1.4.0"]));
    let pip = components
        .iter()
        .find(|c| c["name"] == "pip" && c["purl"].is_string());
    let retained = pip.unwrap()["properties"].to_string();
    assert!(retained.contains("v4run:retained"), "{retained}");
    let tools: BTreeSet<String> = record
        .events("tool-identified")
        .iter()
        .map(|tool: &&Value| tool["name"].as_str().unwrap().to_owned())
        .collect();
    assert!(tools.contains("pip") && tools.contains("python"));
}

#[test]
fn hashes_of_requirements_are_the_anchor() {
    let registry = Registry::start();
    let digest = Wheel::new("leaf", "1.0.0").publish(&registry);
    let python = Python::new(&registry);
    python.project.file(
        "right.txt",
        &format!("leaf==1.0.0 --hash=sha256:{digest}\n"),
    );
    let wrong = "0".repeat(64);
    python
        .project
        .file("wrong.txt", &format!("leaf==1.0.0 --hash=sha256:{wrong}\n"));
    let refused = python.v4run(&["install", "-r", "wrong.txt"]).run();
    refused
        .refuses(120, "anchor-conflict", "4.13")
        .says("wrong.txt:1");
    assert!(!python.packages().join("leaf.py").exists());
    let run = python.v4run(&["install", "-r", "right.txt"]).run();
    run.succeeds();
    let released = run
        .record()
        .event("released", |event| event["name"] == "leaf");
    assert_eq!(released["anchor"], "lockfile");
}

#[test]
fn files_go_where_the_command_line_says() {
    let registry = Registry::start();
    plant(&registry);
    let python = Python::new(&registry);
    let project = &python.project;
    python.v4run(&["download", "leaf"]).run().succeeds();
    assert!(project.path("leaf-1.4.0-py3-none-any.whl").is_file());
    python
        .v4run(&["download", "-d", "wheels", "oak"])
        .run()
        .succeeds();
    assert!(project.path("wheels/oak-1.0.0-py3-none-any.whl").is_file());
    python
        .v4run(&["wheel", "-w", "made", "fern"])
        .run()
        .succeeds();
    assert!(project.path("made/fern-2.0.0-py3-none-any.whl").is_file());
    python
        .v4run(&["install", "--target", "tree", "oak[more]"])
        .run()
        .succeeds();
    assert!(project.path("tree/leaf.py").is_file());
    assert!(project.path("tree/bin/fern").is_file());
    python
        .v4run(&["install", "--prefix", "prefix", "fern"])
        .run()
        .succeeds();
    assert!(project.path("prefix/bin/fern").is_file());
    python
        .v4run(&["install", "--root", "root", "leaf"])
        .run()
        .succeeds();
    assert!(project.path("root").is_dir());
    let run = python
        .v4run(&["install", "--dry-run", "--report", "report.json", "oak"])
        .run();
    run.succeeds();
    let report: Value =
        serde_json::from_slice(&fs::read(project.path("report.json")).unwrap()).unwrap();
    assert_eq!(report["install"].as_array().unwrap().len(), 2);
    let run = python
        .v4run(&["install", "--quiet", "--dry-run", "--report=-", "leaf"])
        .run();
    let report: Value = serde_json::from_str(&run.succeeds().stdout).unwrap();
    assert_eq!(report["install"][0]["metadata"]["name"], "leaf");
    assert!(!python.packages().join("leaf.py").exists());
}

#[test]
fn pip_has_several_names() {
    let registry = Registry::start();
    Wheel::new("leaf", "1.0.0").publish(&registry);
    let python = Python::new(&registry);
    let interpreter = python.program("python3").display().to_string();
    let path = format!("{}:/usr/bin:/bin", python.program("").display());
    for words in [
        vec!["pip", "list"],
        vec!["pip3", "list"],
        vec!["python", "-m", "pip", "list"],
        vec!["python3", "-I", "-m", "pip", "list"],
        vec![interpreter.as_str(), "-m", "pip", "list"],
    ] {
        let run = python.v4run_word(&words).env("PATH", &path).run();
        run.succeeds();
        assert_eq!(run.stdout.lines().count(), 3, "{words:?}\n{}", run.told());
    }
    let run = python
        .v4run_word(&["python", "-c", "1"])
        .env("PATH", &path)
        .run();
    run.refuses(126, "command-runs-code", "4.18");
}

#[test]
fn pip_can_be_replaced_by_itself() {
    let registry = Registry::start();
    Wheel::bare("pip", "99.0")
        .file("pip/__init__.py", b"__version__ = '99.0'\n")
        .publish(&registry);
    let python = Python::new(&registry);
    let run = same(&python, &[], &["install", "--upgrade", "pip"]);
    run.succeeds();
    assert_eq!(
        python.installed("pip/__init__.py"),
        "__version__ = '99.0'\n"
    );
}

#[test]
fn an_environment_without_pip_says_so() {
    let registry = Registry::start();
    let python = Python::new(&registry);
    fs::remove_dir_all(python.packages().join("pip")).unwrap();
    let run = python.v4run(&["list"]).run();
    run.exits(127).says("no pip in the environment");
}

/// What pip asks for in vain thousands of times is read once, and again when the file is another.
#[test]
fn names_of_installed_packages_are_read_once_for_each_file() {
    const BOOTSTRAP: &str = include_str!("../../src/manager/pip/bootstrap.py");
    const SCRIPT: &str = r#"
import os, sys
from importlib.metadata import PathDistribution
from pathlib import Path
bootstrap = {"__name__": "bootstrap"}
exec(sys.argv[1], bootstrap)
place = Path(sys.argv[2], "leaf-1.0.dist-info")
place.mkdir()
write = lambda name: (place / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\n")
reads = []
plain = PathDistribution.read_text
PathDistribution.read_text = lambda self, name: reads.append(name) or plain(self, name)
name = lambda: PathDistribution(place).name
write("leaf")
print(name(), name(), len(reads))
bootstrap["remember_names"]()
reads.clear()
print(name(), name(), len(reads))
write("fern")
os.utime(place / "METADATA", (1, 1))
print(name(), name(), len(reads))
(place / "METADATA").unlink()
try:
    print(name())
except Exception as error:
    print(type(error).__name__)
"#;
    let registry = Registry::start();
    let python = Python::new(&registry);
    let place = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(python.program("python"))
        .args(["-I", "-c", SCRIPT, BOOTSTRAP])
        .arg(place.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = said.lines().collect();
    let error = String::from_utf8_lossy(&output.stderr);
    // The positive control counts two reads where there are two questions.
    assert_eq!(
        lines[..3],
        ["leaf leaf 2", "leaf leaf 1", "fern fern 2"],
        "{said}{error}"
    );
    assert_eq!(lines.len(), 4, "{said}{error}");
}
