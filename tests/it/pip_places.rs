//! Bad surroundings: each ends in a message that a user can act on, the right exit status, and
//! nothing half-installed.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::disk::{Small, noise, read_only};
use crate::project::tree;
use crate::python::Python;
use crate::python::wheel::Wheel;
use crate::registry::{On, Registry, What};
use crate::run::Run;

fn one() -> (Registry, Python) {
    let registry = Registry::start();
    Wheel::new("leaf", "1.0").publish(&registry);
    let python = Python::new(&registry);
    (registry, python)
}

/// It ends before pip starts, with that status and these words.
#[track_caller]
fn ends(python: &Python, status: i32, words: &[&str]) -> Run {
    let run = python.v4run(&["install", "leaf"]).run();
    run.exits(status);
    for word in words {
        run.says(word);
    }
    run
}

#[test]
fn environments_that_are_broken() {
    let (_registry, python) = one();
    // The interpreter behind the environment is gone.
    for name in ["python", "python3"] {
        fs::remove_file(python.program(name)).unwrap();
    }
    symlink("/nonexistent/bin/python3", python.program("python3")).unwrap();
    symlink("python3", python.program("python")).unwrap();
    ends(&python, 127, &["manager-not-found", "python", "hint:"]);
    // It is something else.
    fs::remove_file(python.program("python3")).unwrap();
    fs::write(python.program("python3"), "#!/bin/sh\nexec sh\n").unwrap();
    fs::set_permissions(python.program("python3"), fs::Permissions::from_mode(0o755)).unwrap();
    ends(&python, 127, &["manager-not-found"]);
    // Settings that are none, or lead nowhere: the interpreter is not of an environment then.
    for text in ["", "home = /nonexistent\n", "\u{0}\u{1}", "home\n"] {
        python.renew();
        let before = python.tree();
        fs::write(python.environment().join("pyvenv.cfg"), text).unwrap();
        let bare = python.pip(&["--version"]).run();
        let run = python.v4run(&["--version"]).run();
        if run.code() == 0 {
            assert_eq!(run.stdout, bare.stdout, "{text:?}");
        } else {
            assert!(!run.stderr.is_empty(), "{text:?}");
        }
        let mut after = python.tree();
        after.insert("pyvenv.cfg".into(), before["pyvenv.cfg"].clone());
        tree::assert_equal(&before, &after);
    }
}

#[test]
fn a_pip_that_is_missing_or_unreadable() {
    let (_registry, python) = one();
    fs::remove_dir_all(python.packages().join("pip")).unwrap();
    ends(&python, 127, &["no pip in the environment", "hint:"]);
    python.renew();
    fs::remove_file(python.program("pip")).unwrap();
    ends(&python, 127, &["manager-not-found"]);
    symlink("/nonexistent/pip", python.program("pip")).unwrap();
    ends(&python, 127, &["manager-not-found", "leads nowhere"]);
    python.renew();
    let init = python.packages().join("pip/__init__.py");
    fs::write(init, "__version__ = '1.0'\n").unwrap();
    ends(&python, 127, &["1.0", "22.2", "hint:"]);
    python.renew();
    // A directory that others may write is no place for a program.
    let bin = python.program("");
    fs::set_permissions(&bin, fs::Permissions::from_mode(0o777)).unwrap();
    ends(&python, 127, &["manager-not-found"]);
    fs::set_permissions(&bin, fs::Permissions::from_mode(0o755)).unwrap();
    ends(&python, 0, &[]);
}

#[test]
fn an_environment_that_cannot_be_written() {
    let (_registry, python) = one();
    let packages = python.packages();
    let before = python.tree();
    let bare = read_only(python.pip(&["install", "leaf"]), &packages).run();
    assert_ne!(bare.code(), 0);
    let run = read_only(python.v4run(&["install", "leaf"]), &packages).run();
    run.exits(bare.code());
    assert!(
        run.stderr.contains("Read-only") || run.stderr.contains("Permission denied"),
        "{}",
        run.told()
    );
    // What only looks needs no right to write.
    read_only(python.v4run(&["list"]), &packages)
        .run()
        .succeeds();
    fs::set_permissions(&packages, fs::Permissions::from_mode(0o755)).unwrap();
    tree::assert_equal(&before, &python.tree());
}

#[test]
fn a_home_that_cannot_be_written() {
    let (_registry, python) = one();
    let home = python.project.home();
    let run = read_only(python.v4run(&["install", "leaf"]).unrecorded(), &home).run();
    run.exits(125).says("XDG_CACHE_HOME");
    let cache = python.project.outside("cache");
    let run = python
        .v4run(&["install", "leaf"])
        .env("XDG_CACHE_HOME", &cache);
    read_only(run, &home).run().succeeds();
    assert!(python.packages().join("leaf.py").exists());
}

#[test]
fn a_store_on_a_full_disk() {
    let (registry, python) = one();
    Wheel::bare("big", "1.0")
        .file("big.bin", &noise(3 << 20))
        .publish(&registry);
    let full = python.project.outside("full");
    let disk = Small::on(&python.project, &full);
    let before = python.tree();
    if !disk.is_mounted() {
        let run = python.v4run(&["install", "leaf", "big"]).unrecorded();
        let run = disk.holds(run).run();
        run.exits(125).says("File too large").says("store-failed");
        tree::assert_equal(&before, &python.tree());
        return;
    }
    let run = python.v4run(&["install", "leaf", "big"]);
    let run = disk.holds(run.env("XDG_CACHE_HOME", &full)).run();
    assert_ne!(run.code(), 0, "{}", run.told());
    run.says("No space left")
        .says("XDG_CACHE_HOME")
        .says("store-failed");
    tree::assert_equal(&before, &python.tree());
}

#[test]
fn an_environment_on_a_full_disk() {
    let (registry, python) = one();
    // Small enough as a wheel for the limit that stands in for the disk, too large as a file.
    let content: Vec<u8> = noise(512 << 10)
        .into_iter()
        .flat_map(|byte| [byte; 16])
        .collect();
    Wheel::bare("big", "1.0")
        .packed("big.bin", &content)
        .publish(&registry);
    let packages = python.packages();
    let listing = python.project.outside("listing");
    // The packages' directory on a disk of its own, with room for pip and little more.
    let line = format!(
        "cp -a '{0}' '{1}' && size=$(du -sk '{0}' | cut -f1) && \
         mount -t tmpfs -o size=$((size + 2500))k tmpfs '{0}' && \
         cp -a '{1}/.' '{0}/' && {{ \"$@\"; code=$?; ls '{0}' > '{2}'; exit $code; }}",
        packages.display(),
        python.project.outside("copy").display(),
        listing.display()
    );
    let disk = Small::with(&python.project, line);
    if !disk.is_mounted() {
        let run = python.v4run(&["install", "--no-compile", "leaf", "big"]);
        disk.holds(run).run().exits(1).says("File too large");
        assert!(!python.packages().join("big-1.0.dist-info").exists());
        return;
    }
    fs::remove_dir_all(python.project.outside("copy")).unwrap();
    let run = python.v4run(&["install", "--no-compile", "leaf", "big"]);
    let run = disk.holds(run).run();
    // pip does not take back what it has written, so it is stopped before it writes anything.
    run.exits(125).says("no-room").says("big-1.0");
    let left = fs::read_to_string(&listing).unwrap();
    assert!(!left.contains("leaf") && !left.contains("big"), "{left}");
    let found = run.record().bom["components"].to_string();
    assert!(!found.contains("pkg:pypi/big"), "{found}");
    // Bare pip begins.
    fs::remove_dir_all(python.project.outside("copy")).unwrap();
    let run = python.pip(&["install", "--no-compile", "leaf", "big"]);
    let run = disk.holds(run).run();
    run.exits(1).says("No space left");
    let left = fs::read_to_string(&listing).unwrap();
    assert!(left.contains("leaf") || left.contains("big"), "{left}");
}

#[test]
fn a_run_that_breaks_off_leaves_nothing() {
    // The first package has arrived when the second is refused.
    let (registry, python) = one();
    Wheel::new("oak", "1.0").requires("leaf").publish(&registry);
    let other = Wheel::new("leaf", "1.0").file("evil.py", b"");
    registry.fault(
        On::Path("/leaf-1.0-py3-none-any.whl"),
        What::Bytes(other.build()),
    );
    let before = python.tree();
    let run = python.v4run(&["install", "--no-compile", "oak"]).run();
    run.refuses(120, "integrity-mismatch", "4.13");
    tree::assert_equal(&before, &python.tree());
    for arguments in [
        vec!["install", "--target", "tree", "oak"],
        vec!["download", "-d", "wheels", "oak"],
    ] {
        python.v4run(&arguments).run().exits(120);
        for name in ["tree", "wheels"] {
            let left = tree::read(&python.project.path(name));
            assert!(left.is_empty(), "{arguments:?}: {left:?}");
        }
    }
}
