//! What the lockfile pins is what is installed. The rows of the measured lock and integrity table.
//!
//! Bare npm installs the altered package with status 0 in most of them; the controls show it.

use std::fs;

use serde_json::{Value, json};

use crate::attack::{Refusal, Stage};
use crate::project::{Project, lockfile};
use crate::registry::package::{Package, sri_sha1, sri_sha512, tampered};
use crate::registry::{On, Registry, Statement, What};

/// A registry that serves an altered archive of a package that a project has locked.
struct Case {
    registry: Registry,
    project: Project,
    good: String,
}

impl Case {
    fn new() -> Self {
        let registry = Registry::start();
        let package = Package::new("thing", "1.0.0");
        let good = registry.publish(&package).sha512;
        registry.fault(On::Tarball("thing"), What::Bytes(tampered(&package)));
        let project = Project::locked(&registry, json!({ "thing": "1.0.0" }));
        Self {
            registry,
            project,
            good,
        }
    }

    fn edit(self, edit: impl FnOnce(&mut Value)) -> Self {
        self.project.edit_lock("thing", edit);
        self
    }

    fn implanted(&self) -> bool {
        self.project.path("node_modules/thing/implant.js").exists()
    }

    /// Bare npm installs the altered package and says that all is well.
    #[track_caller]
    fn bare_installs_it(&self) {
        self.project.npm(&["ci"]).run().succeeds();
        assert!(self.implanted(), "the control does not fire");
        fs::remove_dir_all(self.project.path("node_modules")).unwrap();
    }

    #[track_caller]
    fn refused(&self, status: i32, code: &str) {
        let run = self.project.v4run(&["npm", "ci"]).run();
        assert!(!self.implanted(), "{}", run.told());
        run.refuses(status, code, "4.13")
            .says("thing")
            .says("hint:");
    }
}

fn remove(entry: &mut Value, field: &str) {
    entry.as_object_mut().unwrap().remove(field).unwrap();
}

#[test]
fn an_altered_archive_is_refused_and_both_digests_are_told() {
    let case = Case::new();
    assert_ne!(case.project.npm(&["ci"]).run().code(), 0);
    let run = case.project.v4run(&["npm", "ci"]).run();
    run.refuses(120, "integrity-mismatch", "4.13").says("thing");
    assert!(!case.implanted());
    // Either form of the digest that was promised, in full.
    run.says(&case.good.trim_start_matches("sha512-")[..20]);
}

#[test]
fn an_altered_archive_does_not_enter_the_store() {
    let registry = Registry::start();
    let package = Package::new("thing", "1.0.0");
    registry.publish(&package);
    registry.fault_times(On::Tarball("thing"), What::Bytes(tampered(&package)), 0, 1);
    let project = Project::locked(&registry, json!({ "thing": "1.0.0" }));
    project
        .v4run(&["npm", "ci"])
        .run()
        .refuses(120, "integrity-mismatch", "4.13");
    let run = project.v4run(&["npm", "ci"]).run();
    run.succeeds();
    run.record()
        .event("released", |event| event["source"] == "network");
    assert!(!project.path("node_modules/thing/implant.js").exists());
}

#[test]
fn bytes_that_change_between_two_requests_are_refused() {
    let registry = Registry::start();
    let package = Package::new("thing", "1.0.0");
    registry.publish(&package);
    registry.fault_times(On::Tarball("thing"), What::Bytes(tampered(&package)), 1, 9);
    let first = Project::locked(&registry, json!({ "thing": "1.0.0" }));
    first.v4run(&["npm", "ci"]).run().succeeds();
    let second = Project::locked(&registry, json!({ "thing": "1.0.0" }));
    second
        .v4run(&["npm", "ci"])
        .run()
        .refuses(120, "integrity-mismatch", "4.13");
}

#[test]
fn a_lock_entry_without_integrity() {
    let case = Case::new().edit(|entry| remove(entry, "integrity"));
    case.bare_installs_it();
    let before = case.registry.seen().len();
    case.refused(126, "integrity-missing");
    assert_eq!(case.registry.seen().len(), before, "something was fetched");
}

#[test]
fn a_lock_entry_whose_integrity_cannot_be_read() {
    for text in ["sha999-abc", "", "sha512-", "sha512-!!!!", "sha512-YWJj"] {
        let case = Case::new().edit(|entry| entry["integrity"] = text.into());
        // The last two are digests to npm, and wrong ones.
        if !["sha512-!!!!", "sha512-YWJj"].contains(&text) {
            case.bare_installs_it();
        }
        let run = case.project.v4run(&["npm", "ci"]).run();
        assert!(!case.implanted(), "{text}");
        run.exits(126);
        let code = run.record().violations()[0]["code"].as_str().unwrap();
        assert!(
            ["integrity-missing", "integrity-weak", "lock-invalid"].contains(&code),
            "{text}: {code}"
        );
    }
}

#[test]
fn a_lock_entry_with_a_weak_digest_only() {
    let package = Package::new("thing", "1.0.0");
    let weak = sri_sha1(&crate::registry::package::sha1_hex(&tampered(&package)));
    let case = Case::new().edit(|entry| entry["integrity"] = weak.into());
    case.bare_installs_it();
    case.refused(126, "integrity-weak");
}

#[test]
fn the_strongest_digest_of_several_decides() {
    let package = Package::new("thing", "1.0.0");
    let altered = tampered(&package);
    let weak = sri_sha1(&crate::registry::package::sha1_hex(&altered));
    let case = Case::new();
    let both = format!("{weak} {}", case.good);
    let case = case.edit(|entry| entry["integrity"] = both.into());
    case.refused(120, "integrity-mismatch");
}

#[test]
fn a_lock_entry_without_address_uses_the_index() {
    let registry = Registry::start();
    registry.publish(&Package::new("thing", "1.0.0"));
    let project = Project::locked(&registry, json!({ "thing": "1.0.0" }));
    project.edit_lock("thing", |entry| remove(entry, "resolved"));
    project.v4run(&["npm", "ci"]).run().succeeds();
    assert!(project.path("node_modules/thing/index.js").exists());
}

#[test]
fn a_lock_entry_without_address_and_integrity() {
    let case = Case::new().edit(|entry| {
        remove(entry, "integrity");
        remove(entry, "resolved");
    });
    let run = case.project.v4run(&["npm", "ci"]).run();
    assert!(!case.implanted());
    assert!([120, 126].contains(&run.code()), "{}", run.told());
}

#[test]
fn a_lock_entry_that_points_at_another_package() {
    for keep_digest in [false, true] {
        let registry = Registry::start();
        registry.publish(&Package::new("thing", "1.0.0"));
        let other = registry.publish(&Package::new("implant", "6.6.6"));
        let project = Project::locked(&registry, json!({ "thing": "1.0.0" }));
        project.edit_lock("thing", |entry| {
            entry["resolved"] = registry.tarball_url(&other).into();
            entry["integrity"] = other.sha512.clone().into();
            if !keep_digest {
                remove(entry, "integrity");
            }
        });
        project.npm(&["ci"]).run().succeeds();
        assert_eq!(
            project.installed("thing/index.js"),
            "module.exports = 'implant@6.6.6';\n"
        );
        fs::remove_dir_all(project.path("node_modules")).unwrap();
        let run = project.v4run(&["npm", "ci"]).run();
        run.exits(126);
        assert!(!project.path("node_modules/thing").exists());
        run.says("thing").says("implant");
    }
}

#[test]
fn a_lock_entry_that_points_at_another_version() {
    let registry = Registry::start();
    let old = registry.publish(&Package::new("thing", "1.0.0"));
    registry.publish(&Package::new("thing", "1.0.1"));
    let project = Project::locked(&registry, json!({ "thing": "^1.0.0" }));
    project.edit_lock("thing", |entry| {
        entry["resolved"] = registry.tarball_url(&old).into();
        entry["integrity"] = old.sha512.clone().into();
    });
    project.npm(&["ci"]).run().succeeds();
    assert!(
        project.installed("thing/package.json").contains("1.0.0"),
        "the control does not fire"
    );
    fs::remove_dir_all(project.path("node_modules")).unwrap();
    project.v4run(&["npm", "ci"]).run().exits(126);
}

#[test]
fn a_lock_entry_that_is_fetched_in_the_clear() {
    let plain = Registry::with(crate::registry::Setup {
        plain: true,
        ..Default::default()
    });
    let published = plain.publish(&Package::new("thing", "1.0.0"));
    let registry = Registry::start();
    registry.publish(&Package::new("thing", "1.0.0"));
    let project = Project::locked(&registry, json!({ "thing": "1.0.0" }));
    project.edit_lock("thing", |entry| {
        entry["resolved"] = plain.tarball_url(&published).into()
    });
    project.npm(&["ci"]).run().succeeds();
    assert_eq!(plain.tarballs().len(), 1, "the control does not fire");
    let run = project.v4run(&["npm", "ci"]).run();
    run.refuses(126, "plain-http", "4.15");
    assert_eq!(plain.connections(), 1);
}

#[test]
fn a_lock_entry_that_is_fetched_from_another_host() {
    let registry = Registry::start();
    let elsewhere = Registry::issued_by(
        std::sync::Arc::clone(registry.authority()),
        Default::default(),
    );
    let published = elsewhere.publish(&Package::new("thing", "1.0.0"));
    registry.publish(&Package::new("thing", "1.0.0"));
    let project = Project::locked(&registry, json!({ "thing": "1.0.0" }));
    project.edit_lock("thing", |entry| {
        entry["resolved"] = elsewhere.tarball_url(&published).into()
    });
    project.npm(&["ci"]).run().succeeds();
    assert_eq!(elsewhere.tarballs().len(), 1, "the control does not fire");
    let before = elsewhere.connections();
    let run = project.v4run(&["npm", "ci"]).run();
    run.exits(126).says(&elsewhere.host());
    assert_eq!(
        run.record().violations()[0]["control"],
        "4.1",
        "{}",
        run.told()
    );
    assert_eq!(elsewhere.connections(), before);
}

#[test]
fn an_index_without_a_strong_digest() {
    for (statement, code) in [
        (Statement::ShasumOnly, "integrity-weak"),
        (Statement::Nothing, "integrity-missing"),
        (Statement::Text("sha999-abc".into()), "integrity-missing"),
        (
            Statement::Text("sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=".into()),
            "integrity-weak",
        ),
    ] {
        let registry = Registry::start();
        registry.publish_as(&Package::new("thing", "1.0.0"), statement.clone());
        let project = Project::new(&registry);
        let run = project.v4run(&["npm", "install", "thing"]).run();
        run.refuses(120, code, "4.13");
        assert!(
            !project.path("node_modules/thing").exists(),
            "{statement:?}"
        );
    }
}

#[test]
fn an_index_without_any_digest_is_installed_by_bare_npm() {
    let registry = Registry::start();
    registry.publish_as(&Package::new("thing", "1.0.0"), Statement::Nothing);
    let project = Project::new(&registry);
    project.npm(&["install", "thing"]).run().succeeds();
    assert!(project.path("node_modules/thing/index.js").exists());
}

#[test]
fn an_index_that_promises_other_bytes_than_it_sends() {
    let registry = Registry::start();
    let wrong = Statement::Text(sri_sha512(b"something else"));
    registry.publish_as(&Package::new("thing", "1.0.0"), wrong);
    let project = Project::new(&registry);
    let run = project.v4run(&["npm", "install", "thing"]).run();
    run.refuses(120, "integrity-mismatch", "4.13");
}

/// A project whose lock is older than what a thief of the registry put there: archive and index
/// were replaced together.
fn replaced(registry: &Registry, project: &Project) {
    let package = Package::new("thing", "1.0.0");
    registry.publish(&package);
    project.lock(
        registry,
        &json!({
            "name": "project", "version": "1.0.0", "dependencies": { "thing": "1.0.0" },
        }),
    );
    registry.publish(&package.file("implant.js", b""));
}

#[test]
fn a_lockfile_and_an_index_that_disagree() {
    // npm compares the two as well, so it may be npm that gives up first.
    let registry = Registry::start();
    let project = Project::new(&registry);
    replaced(&registry, &project);
    project.edit_lock("thing", |entry| remove(entry, "resolved"));
    let run = project.v4run(&["npm", "install"]).run();
    assert_ne!(run.code(), 0, "{}", run.told());
    assert!(!project.path("node_modules/thing").exists());
}

#[test]
fn a_hostile_manager_gets_nothing_that_lockfile_and_index_disagree_on() {
    let stage = Stage::new();
    replaced(&stage.registry, &stage.project);
    let attack = r"
        const host = `Host: localhost:${where.registry}`;
        const to = { host: 'localhost', port: where.registry, name: 'localhost' };
        await request({ ...to, lines: ['GET /thing HTTP/1.1', host] });
        await request({ ...to, lines: ['GET /thing/-/thing-1.0.0.tgz HTTP/1.1', host] });
    ";
    let bare = stage.outcome(stage.bare(attack));
    assert!(
        bare.result["error"].is_null(),
        "the control fails: {}",
        bare.result
    );
    let ours = stage.outcome(stage.hostile(attack));
    let refusal = Refusal {
        errno: &["HTTP 403"],
        codes: &["anchor-conflict"],
        control: "4.13",
    };
    ours.is_refused(refusal);
    ours.run.says("package-lock.json");
}

#[test]
fn a_version_that_changes_after_it_was_first_seen() {
    let registry = Registry::start();
    let package = Package::new("thing", "1.0.0");
    registry.publish(&package);
    let project = Project::new(&registry);
    project.v4run(&["npm", "install", "thing"]).run().succeeds();
    registry.publish(&package.clone().file("implant.js", b""));
    for file in ["package-lock.json", "node_modules/thing/index.js"] {
        fs::remove_file(project.path(file)).unwrap();
    }
    fs::remove_dir_all(project.path("node_modules")).unwrap();
    let bare = Project::new(&registry);
    bare.npm(&["install", "thing"]).run().succeeds();
    assert!(
        bare.path("node_modules/thing/implant.js").exists(),
        "the control does not fire"
    );
    let run = project.v4run(&["npm", "install"]).run();
    run.refuses(120, "digest-changed", "4.11").says("thing");
    assert!(!project.path("node_modules/thing").exists());
}

#[test]
fn the_lockfile_that_npm_prefers_is_the_one_that_is_checked() {
    let case = Case::new();
    let mut shrinkwrap = case.project.read_lock();
    remove(
        &mut shrinkwrap["packages"]["node_modules/thing"],
        "integrity",
    );
    case.project
        .file("npm-shrinkwrap.json", &shrinkwrap.to_string());
    case.bare_installs_it();
    case.refused(126, "integrity-missing");
}

#[test]
fn install_paths_that_leave_the_tree() {
    for path in [
        "../outside",
        "node_modules/../../outside",
        "/tmp/outside",
        "node_modules/thing/../../../outside",
        "src/thing",
    ] {
        let registry = Registry::start();
        registry.publish(&Package::new("thing", "1.0.0"));
        let project = Project::locked(&registry, json!({ "thing": "1.0.0" }));
        let mut lock = project.read_lock();
        let entry = lock["packages"]["node_modules/thing"].clone();
        lock["packages"][path] = entry;
        project.write_lock(&lock);
        let run = project.v4run(&["npm", "ci"]).run();
        // The last is a place inside the project, so it is only missing in the end.
        let expected: &[&str] = match path {
            "src/thing" => &["lock-invalid", "dependency-refused", "view-mismatch"],
            _ => &["lock-invalid", "dependency-refused"],
        };
        let code = run.record().violations()[0]["code"].as_str().unwrap();
        assert!(expected.contains(&code), "{path}: {}", run.told());
        assert!(!project.outside("outside").exists() && !project.path("src").exists());
    }
}

#[test]
fn the_old_lockfile_forms_pin_too_or_are_refused() {
    let registry = Registry::start();
    registry.publish(&Package::new("thing", "1.0.0"));
    let manifest =
        json!({ "name": "project", "version": "1.0.0", "dependencies": { "thing": "1.0.0" } });
    let project = Project::new(&registry);
    project.manifest(&manifest);
    project.write_lock(&lockfile::lockfile_v1(&registry, &manifest));
    project.npm(&["ci"]).run().succeeds();
    let run = project.v4run(&["npm", "ci"]).run();
    run.refuses(126, "lock-invalid", "4.13")
        .says("package-lock.json")
        .says("hint:");
    // In the middle form npm takes the new part; a digest missing there is missing.
    let mut lock = lockfile::lockfile_v2(&registry, &manifest);
    remove(&mut lock["packages"]["node_modules/thing"], "integrity");
    project.write_lock(&lock);
    project
        .v4run(&["npm", "ci"])
        .run()
        .refuses(126, "integrity-missing", "4.13");
}
