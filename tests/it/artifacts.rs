//! Artifact files on disk: pinned ones work, altered or unpinned ones do not. Rows F18 and P26.

use std::fs;

use serde_json::json;

use crate::attack::{Refusal, Stage};
use crate::exec::wait_until;
use crate::project::{Project, tree};
use crate::registry::Registry;
use crate::registry::package::{Package, tampered};

/// A project that depends on an archive in its own folder, pinned by the lock.
fn vendored(registry: &Registry) -> (Project, Package) {
    let package = Package::new("local", "1.0.0");
    let published = package.build();
    let project = Project::new(registry);
    fs::create_dir(project.path("vendor")).unwrap();
    fs::write(project.path("vendor/local.tgz"), &published.tarball).unwrap();
    let dependencies = json!({ "local": "file:vendor/local.tgz" });
    project
        .manifest(&json!({ "name": "project", "version": "1.0.0", "dependencies": dependencies }));
    project.write_lock(&json!({
        "name": "project", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
        "packages": {
            "": { "name": "project", "version": "1.0.0", "dependencies": dependencies },
            "node_modules/local": {
                "version": "1.0.0", "resolved": "file:vendor/local.tgz",
                "integrity": published.sha512, "license": "Apache-2.0",
            },
        },
    }));
    (project, package)
}

#[test]
fn a_pinned_archive_is_installed_as_by_bare_npm() {
    let registry = Registry::start();
    let (bare, _) = vendored(&registry);
    let (ours, _) = vendored(&registry);
    bare.npm(&["ci"]).run().succeeds();
    let run = ours.v4run(&["npm", "ci"]).run();
    run.succeeds();
    tree::assert_equal(
        &tree::read(&bare.path("node_modules")),
        &tree::read(&ours.path("node_modules")),
    );
}

#[test]
fn an_altered_archive_is_refused() {
    let registry = Registry::start();
    let (project, package) = vendored(&registry);
    fs::write(project.path("vendor/local.tgz"), tampered(&package)).unwrap();
    let run = project.v4run(&["npm", "ci"]).run();
    assert!([120, 126].contains(&run.code()), "{}", run.told());
    run.refuses(run.code(), "file-mismatch", "4.14")
        .says("vendor/local.tgz");
    assert!(!project.path("node_modules/local").exists());
}

#[test]
fn an_archive_without_a_digest_is_refused() {
    let registry = Registry::start();
    let (project, package) = vendored(&registry);
    project.edit_lock("local", |entry| {
        entry.as_object_mut().unwrap().remove("integrity");
    });
    fs::write(project.path("vendor/local.tgz"), tampered(&package)).unwrap();
    project.npm(&["ci"]).run().succeeds();
    assert!(
        project.path("node_modules/local/implant.js").exists(),
        "the control does not fire"
    );
    fs::remove_dir_all(project.path("node_modules")).unwrap();
    let run = project.v4run(&["npm", "ci"]).run();
    assert!([120, 126].contains(&run.code()), "{}", run.told());
    assert!(!project.path("node_modules/local").exists());
    run.says("local").says("hint:");
}

#[test]
fn an_archive_that_nobody_named_is_not_opened() {
    let stage = Stage::new();
    let archive = Package::new("stray", "1.0.0").build().tarball;
    // By its ending, and by what it is.
    for name in ["stray.tgz", "stray.bin"] {
        fs::create_dir_all(stage.project.path("vendor")).unwrap();
        let path = stage.project.path("vendor").join(name);
        fs::write(&path, &archive).unwrap();
        let attack = format!(
            "fs.writeFileSync(where.fired, fs.readFileSync(`${{where.project}}/vendor/{name}`));"
        );
        let refusal = Refusal {
            errno: &["EACCES"],
            codes: &["file-unverified"],
            control: "4.14",
        };
        stage.fires(&attack, refusal);
    }
}

#[test]
fn f18_an_archive_that_changes_while_it_is_read() {
    // The script reads the first half, lets the test change the file, and reads the second half.
    let attack = r"
        const descriptor = fs.openSync(`${where.project}/vendor/local.tgz`, 'r');
        const size = fs.fstatSync(descriptor).size;
        const bytes = Buffer.alloc(size);
        fs.readSync(descriptor, bytes, 0, size >> 1, 0);
        const modules = path.join(where.project, 'node_modules');
        fs.writeFileSync(path.join(modules, 'half'), '');
        while (!fs.existsSync(path.join(modules, 'changed'))) await sleep(3);
        fs.readSync(descriptor, bytes, size >> 1, size - (size >> 1), size >> 1);
        return require('crypto').createHash('sha512').update(bytes).digest('base64');
    ";
    let stage = Stage::new();
    let package = Package::new("local", "1.0.0");
    let published = package.build();
    let archive = stage.project.path("vendor/local.tgz");
    fs::create_dir(stage.project.path("vendor")).unwrap();
    let dependencies = json!({ "local": "file:vendor/local.tgz" });
    stage.project.manifest(&json!({
        "name": "project", "version": "1.0.0", "dependencies": dependencies,
    }));
    stage.project.write_lock(&json!({
        "name": "project", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
        "packages": {
            "": { "name": "project", "version": "1.0.0", "dependencies": dependencies },
            "node_modules/local": {
                "version": "1.0.0", "resolved": "file:vendor/local.tgz",
                "integrity": published.sha512, "license": "Apache-2.0",
            },
        },
    }));
    let read = |invocation: crate::run::Invocation| {
        fs::write(&archive, &published.tarball).unwrap();
        let _ = fs::remove_file(stage.project.path("node_modules/half"));
        let _ = fs::remove_file(stage.project.path("node_modules/changed"));
        let running = invocation.start();
        wait_until(|| stage.project.path("node_modules/half").exists());
        fs::write(&archive, vec![b'x'; published.tarball.len()]).unwrap();
        fs::write(stage.project.path("node_modules/changed"), "").unwrap();
        let run = running.wait();
        let result = fs::read_to_string(stage.project.path("node_modules/result.json")).unwrap();
        (result, run)
    };
    let digest = published.sha512.trim_start_matches("sha512-");
    let (result, _) = read(stage.bare(attack));
    assert!(
        !result.contains(digest),
        "the control does not fire: {result}"
    );
    let (result, run) = read(stage.hostile(attack));
    assert!(result.contains(digest), "{result}\n{}", run.told());
}

#[test]
fn p26_directories_outside_the_project_are_not_linked() {
    for through in ["dependency", "lock"] {
        let registry = Registry::start();
        let project = Project::new(&registry);
        let outside = project.outside("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(
            outside.join("package.json"),
            "{\"name\":\"out\",\"version\":\"1.0.0\"}",
        )
        .unwrap();
        let dependencies = json!({ "out": "file:../outside" });
        project.manifest(
            &json!({ "name": "project", "version": "1.0.0", "dependencies": dependencies }),
        );
        project.write_lock(&json!({
            "name": "project", "version": "1.0.0", "lockfileVersion": 3, "requires": true,
            "packages": {
                "": { "name": "project", "version": "1.0.0", "dependencies": dependencies },
                "../outside": { "name": "out", "version": "1.0.0" },
                "node_modules/out": { "resolved": "../outside", "link": true },
            },
        }));
        let arguments: &[&str] = if through == "lock" {
            &["ci"]
        } else {
            &["install"]
        };
        project.npm(arguments).run().succeeds();
        assert!(
            project.path("node_modules/out").is_symlink(),
            "the control does not fire"
        );
        fs::remove_dir_all(project.path("node_modules")).unwrap();
        let run = project.v4run(&[&["npm"], arguments].concat()).run();
        run.refuses(126, "dependency-refused", "4.1").says("out");
        assert!(!project.path("node_modules/out").exists());
    }
}

#[test]
fn p26_bundled_packages_are_named_as_such() {
    let registry = Registry::start();
    let inner = json!({ "name": "inner", "version": "3.0.0" }).to_string();
    registry.publish(
        &Package::new("outer", "1.0.0")
            .dependency("inner", "3.0.0")
            .field("bundleDependencies", json!(["inner"]))
            .file("node_modules/inner/package.json", inner.as_bytes()),
    );
    let project = Project::new(&registry);
    project.manifest(&json!({
        "name": "project", "version": "1.0.0", "dependencies": { "outer": "1.0.0" },
    }));
    let run = project.v4run(&["npm", "install"]).run();
    run.succeeds();
    assert!(
        project
            .path("node_modules/outer/node_modules/inner/package.json")
            .exists()
    );
    let text = run.record().bom.to_string();
    assert!(text.contains("pkg:npm/inner@3.0.0"), "{text}");
    project.v4run(&["npm", "ci"]).run().succeeds();
}

#[test]
fn p26_overrides_come_from_the_repository_too() {
    let registry = Registry::start();
    registry.publish(&Package::new("outer", "1.0.0").dependency("inner", "1.0.0"));
    registry.publish(&Package::new("inner", "1.0.0"));
    registry.publish(&Package::new("inner", "2.0.0"));
    let project = Project::new(&registry);
    let manifest = |target: &str| {
        json!({
            "name": "project", "version": "1.0.0",
            "dependencies": { "outer": "1.0.0" }, "overrides": { "inner": target },
        })
    };
    project.manifest(&manifest("2.0.0"));
    project.v4run(&["npm", "install"]).run().succeeds();
    assert!(project.installed("inner/package.json").contains("2.0.0"));
    fs::remove_file(project.path("package-lock.json")).unwrap();
    project.manifest(&manifest("https://localhost:1/inner.tgz"));
    project
        .v4run(&["npm", "install"])
        .run()
        .refuses(126, "dependency-refused", "4.1");
}

#[test]
fn p07_executables_that_point_outside_the_package() {
    let registry = Registry::start();
    registry.publish(&Package::new("climber", "1.0.0").field(
        "bin",
        json!({ "../../../../canary": "./x.js", "ok": "../../../../../canary" }),
    ));
    let project = Project::new(&registry);
    project.manifest(&json!({
        "name": "project", "version": "1.0.0", "dependencies": { "climber": "1.0.0" },
    }));
    project.v4run(&["npm", "install"]).run();
    let bins = tree::read(&project.path("node_modules/.bin"));
    let outside = bins.values().any(|node| match node {
        tree::Node::Link(target) => !target.starts_with("../climber/"),
        _ => true,
    });
    assert!(!outside, "{bins:?}");
    assert!(fs::symlink_metadata(project.outside("canary")).is_err());
}

#[test]
fn p27_another_package_manager_is_not_started() {
    let registry = Registry::start();
    let project = Project::new(&registry);
    project.lock(&registry, &json!({ "name": "project", "version": "1.0.0", "packageManager": "other@9.9.9+sha512.abc" }));
    project.v4run(&["npm", "ci"]).run().succeeds();
    let before = registry.seen().len();
    project.manifest(&json!({
        "name": "project", "version": "1.0.0",
        "devEngines": { "packageManager": { "name": "other", "version": "9.9.9", "onFail": "download" } },
    }));
    let bare = project.npm(&["ci"]).run();
    let run = project.v4run(&["npm", "ci"]).run();
    run.exits(bare.code());
    assert!(
        registry
            .seen()
            .iter()
            .skip(before)
            .all(|seen| !seen.path.contains("other"))
    );
}
