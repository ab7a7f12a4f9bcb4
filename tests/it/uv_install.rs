//! `uv pip`: the environment of bare uv, file by file, and refusals before and while it installs.

use std::fs;

use crate::project::tree;
use crate::python::wheel::Wheel;
use crate::registry::Registry;
use crate::run::Run;
use crate::uv::{Uv, plant};

/// Runs the same commands bare and with v4run in equal environments, and compares what is there
/// afterwards and the exit status.
#[track_caller]
fn same(uv: &Uv, before: &[&str], arguments: &[&str]) -> Run {
    let prepare = || {
        uv.python.renew();
        if !before.is_empty() {
            uv.bare(before).run().succeeds();
        }
    };
    prepare();
    let bare = uv.bare(arguments).run();
    let expected = uv.python.tree();
    prepare();
    let ours = uv.v4run(arguments).run();
    assert_eq!(
        ours.ended.code,
        bare.ended.code,
        "{}\n{}",
        bare.told(),
        ours.told()
    );
    tree::assert_equal(&expected, &uv.python.tree());
    ours
}

#[test]
fn an_install_makes_the_environment_of_bare_uv() {
    let registry = Registry::start();
    plant(&registry);
    let uv = Uv::new(&registry);
    let run = same(&uv, &[], &["pip", "install", "oak", "fern"]);
    run.succeeds();
    assert_eq!(uv.python.installed("leaf.py"), "WHO = 'leaf 1.4.0'\n");
    let purls = fs::read_to_string(run.record().folder.join("record.cdx.json")).unwrap();
    for purl in [
        "pkg:pypi/oak@1.0.0",
        "pkg:pypi/leaf@1.4.0",
        "pkg:pypi/fern@2.0.0",
    ] {
        assert!(purls.contains(purl), "{purl}");
    }
    for (before, arguments) in [
        (
            vec!["pip", "install", "leaf==1.0.0"],
            vec!["pip", "install", "leaf>=1.4"],
        ),
        (
            vec!["pip", "install", "oak"],
            vec!["pip", "uninstall", "oak"],
        ),
        (vec![], vec!["pip", "install", "--dry-run", "oak"]),
        (vec![], vec!["pip", "install", "nothing-of-that-name"]),
        (vec![], vec!["pip", "list"]),
    ] {
        same(&uv, &before, &arguments);
    }
}

#[test]
fn requirement_files_and_their_digests_hold() {
    let registry = Registry::start();
    let digest = Wheel::new("leaf", "1.0.0").publish(&registry);
    let uv = Uv::new(&registry);
    let file = |digest: &str| {
        let text = format!("# what is needed\nleaf==1.0.0 --hash=sha256:{digest}\n");
        uv.python.project.file("requirements.txt", &text);
    };
    file(&digest);
    same(
        &uv,
        &[],
        &[
            "pip",
            "install",
            "--require-hashes",
            "-r",
            "requirements.txt",
        ],
    )
    .succeeds();
    same(
        &uv,
        &["pip", "install", "leaf"],
        &["pip", "sync", "requirements.txt"],
    )
    .succeeds();
    let target = uv.python.project.path("lib").display().to_string();
    uv.v4run(&["pip", "install", "--target", &target, "leaf"])
        .run()
        .succeeds();
    assert!(uv.python.project.path("lib/leaf.py").is_file());
    uv.python.renew();
    file(&"00".repeat(32));
    let run = uv
        .v4run(&["pip", "install", "-r", "requirements.txt"])
        .run();
    run.refuses(120, "anchor-conflict", "4.13");
    assert!(!uv.python.packages().join("leaf.py").exists());
}

#[test]
fn reading_commands_print_what_bare_uv_prints() {
    let registry = Registry::start();
    plant(&registry);
    let uv = Uv::new(&registry);
    uv.bare(&["pip", "install", "oak", "fern"]).run().succeeds();
    uv.python.project.file("wanted.in", "oak\n");
    for arguments in [
        vec!["pip", "list"],
        vec!["pip", "freeze"],
        vec!["pip", "show", "oak"],
        vec!["pip", "check"],
        vec!["pip", "tree"],
        vec!["pip", "compile", "--no-header", "wanted.in"],
        vec!["--version"],
    ] {
        let bare = uv.bare(&arguments).run();
        let ours = uv.v4run(&arguments).run();
        assert_eq!(ours.stdout, bare.stdout, "{arguments:?}\n{}", ours.told());
        assert_eq!(ours.code(), bare.code(), "{arguments:?}\n{}", ours.told());
    }
}

#[test]
fn bytes_that_are_not_what_was_promised_are_not_installed() {
    let registry = Registry::start();
    let uv = Uv::new(&registry);
    let lie = format!("sha256={}", "00".repeat(32));
    for (name, fragment, code) in [
        ("tampered", lie.as_str(), "integrity-mismatch"),
        ("silent", "", "integrity-missing"),
    ] {
        let wheel = Wheel::new(name, "1.0.0");
        registry.publish_file_as(name, &wheel.file_name(), &wheel.build(), fragment);
        let run = uv.v4run(&["pip", "install", name]).run();
        assert!(!uv.python.packages().join(format!("{name}.py")).exists());
        if code == "integrity-missing" {
            // A file without a digest is taken off the page, so that nothing is left to choose.
            assert_ne!(run.code(), 0, "{}", run.told());
        } else {
            run.refuses(120, code, "4.13");
        }
    }
    // Positive control: bare uv installs what has no digest.
    uv.bare(&["pip", "install", "silent"]).run().succeeds();
    assert!(uv.python.packages().join("silent.py").exists());
}

#[test]
fn what_would_be_built_or_fetched_elsewhere_is_refused_before_the_start() {
    let registry = Registry::start();
    plant(&registry);
    let uv = Uv::new(&registry);
    let project = &uv.python.project;
    for (line, code, control) in [
        (
            "leaf @ git+https://g.invalid/leaf",
            "dependency-refused",
            "4.1",
        ),
        (
            "https://f.invalid/leaf-1.0.0.tar.gz",
            "dependency-refused",
            "4.1",
        ),
        ("./tree", "dependency-refused", "4.1"),
        ("-e ./tree", "dependency-refused", "4.1"),
        (
            "--extra-index-url https://other.invalid/simple",
            "registry-not-allowed",
            "4.1",
        ),
        ("--trusted-host other.invalid", "config-refused", "4.18"),
    ] {
        project.file(
            "tree/pyproject.toml",
            "[project]\nname = 'tree'\nversion = '1'\n",
        );
        project.file("requirements.txt", &format!("leaf\n{line}\n"));
        let run = uv
            .v4run(&["pip", "install", "-r", "requirements.txt"])
            .run();
        run.refuses(126, code, control).says("requirements.txt:2");
    }
    for arguments in [
        vec![
            "pip",
            "install",
            "--allow-insecure-host",
            "h.invalid",
            "leaf",
        ],
        vec!["pip", "install", "--no-binary", ":all:", "leaf"],
        vec!["pip", "install", "--compile-bytecode", "leaf"],
        vec!["pip", "install", "-e", "tree"],
        vec!["pip", "install", "-U", "leaf"],
        vec!["sync", "--reinstall"],
    ] {
        assert_eq!(uv.v4run(&arguments).run().code(), 126, "{arguments:?}");
    }
    let registry_files = registry.files_seen();
    assert!(registry_files.is_empty(), "{registry_files:?}");
}

#[test]
fn settings_of_the_project_cannot_name_an_index() {
    let registry = Registry::start();
    plant(&registry);
    let uv = Uv::new(&registry);
    let text = "[project]\nname = 'demo'\nversion = '0'\n[[tool.uv.index]]\nurl = 'https://other.invalid/simple'\n";
    uv.python.project.file("pyproject.toml", text);
    let run = uv.v4run(&["pip", "install", "leaf"]).run();
    run.refuses(126, "registry-not-allowed", "4.1")
        .says("pyproject.toml:");
    let text = format!("[[index]]\nurl = '{}'\n", registry.python_index());
    fs::remove_file(uv.python.project.path("pyproject.toml")).unwrap();
    uv.python.project.file("uv.toml", &text);
    uv.v4run(&["pip", "install", "leaf"]).run().succeeds();
}

#[test]
fn a_name_on_two_indexes_is_refused() {
    let registry = Registry::start();
    let other = Registry::start();
    Wheel::new("leaf", "1.0.0").publish(&registry);
    Wheel::new("leaf", "9.0.0").publish(&other);
    let uv = Uv::new(&registry);
    // Both registries are trusted by the user: their certificates stand in one file.
    let bundle = uv.python.project.outside("both.pem");
    let own = fs::read_to_string(uv.python.project.authority_file()).unwrap();
    fs::write(&bundle, format!("{own}\n{}", other.authority().pem())).unwrap();
    let arguments = ["pip", "install", "--index", &other.python_index(), "leaf"];
    let run = uv.v4run(&arguments).env("SSL_CERT_FILE", &bundle).run();
    run.refuses(120, "name-ambiguous", "4.1");
    assert!(!uv.python.packages().join("leaf.py").exists());
    // Positive control: bare uv takes it from the index that was added.
    uv.bare(&arguments)
        .env("SSL_CERT_FILE", &bundle)
        .run()
        .succeeds();
    assert_eq!(uv.python.installed("leaf.py"), "WHO = 'leaf 9.0.0'\n");
}

#[test]
fn an_index_that_has_source_packages_only_installs_nothing() {
    let registry = Registry::start();
    registry.publish_file("leaf", "leaf-1.0.0.tar.gz", b"not looked into");
    let uv = Uv::new(&registry);
    let run = uv.v4run(&["pip", "install", "leaf"]).run();
    assert_ne!(run.code(), 0, "{}", run.told());
    run.says("source-withheld");
    assert!(registry.files_seen().is_empty());
}
