//! npm's install commands end as they do without v4run: same files, same lockfile, same status.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};

use crate::project::{Project, forest, lockfile, tree};
use crate::registry::Registry;
use crate::registry::package::Package;
use crate::run::Run;

/// Runs the same command in two equal projects, bare and with v4run, and compares everything that
/// is in the project afterwards, and the exit status.
#[track_caller]
fn same(registry: &Registry, prepare: impl Fn(&Project), arguments: &[&str]) -> (Project, Run) {
    let (bare, ours) = (Project::new(registry), Project::new(registry));
    prepare(&bare);
    prepare(&ours);
    let mut plain = arguments.to_vec();
    plain.push("--ignore-scripts");
    let expected = bare.npm(&plain).run();
    let run = ours.v4run(&[&["npm"], arguments].concat()).run();
    assert_eq!(
        run.ended.code,
        expected.ended.code,
        "bare:\n{}\n{}",
        expected.told(),
        run.told()
    );
    tree::assert_equal(&tree::read(bare.directory()), &tree::read(ours.directory()));
    (ours, run)
}

fn forest_locked(registry: &Registry) -> impl Fn(&Project) {
    let manifest = forest::plant(registry);
    move |project| project.lock(registry, &manifest)
}

#[test]
fn the_lockfiles_of_this_suite_are_those_that_npm_makes() {
    let registry = Registry::start();
    let manifest = forest::plant(&registry);
    let project = Project::new(&registry);
    project.manifest(&manifest);
    project
        .npm(&["install", "--package-lock-only"])
        .run()
        .succeeds();
    let mut ours = lockfile::lockfile(&registry, &manifest);
    let theirs = project.read_lock()["packages"].take();
    // npm 9 and older write no licences.
    if !theirs.to_string().contains("\"license\"") {
        for package in ours["packages"].as_object_mut().unwrap().values_mut() {
            package.as_object_mut().unwrap().remove("license");
        }
    }
    assert_eq!(theirs, ours["packages"]);
    let paths: Vec<&String> = ours["packages"]
        .as_object()
        .unwrap()
        .keys()
        .skip(1)
        .collect();
    assert_eq!(paths, forest::PATHS);
}

#[test]
fn ci_makes_the_tree_of_bare_npm() {
    let registry = Registry::start();
    let (project, run) = same(&registry, forest_locked(&registry), &["ci"]);
    run.succeeds();
    run.says(&run.record().folder.to_string_lossy());
    assert_eq!(
        project.installed("oak/node_modules/leaf/index.js"),
        "module.exports = 'leaf@1.4.2';\n"
    );
    let link = fs::read_link(project.path("node_modules/.bin/leaf-two")).unwrap();
    assert_eq!(link.to_string_lossy(), "../leaf/cli.js");
}

#[test]
fn ci_accepts_the_lockfile_of_version_2() {
    let registry = Registry::start();
    let manifest = forest::plant(&registry);
    let prepare = |project: &Project| {
        project.manifest(&manifest);
        project.write_lock(&lockfile::lockfile_v2(&registry, &manifest));
    };
    same(&registry, prepare, &["ci"]).1.succeeds();
}

#[test]
fn the_record_names_every_installed_package() {
    let registry = Registry::start();
    let project = Project::new(&registry);
    project.lock(&registry, &forest::plant(&registry));
    let run = project.v4run(&["npm", "ci"]).run();
    run.succeeds();
    let record = run.record();
    for published in registry.published() {
        if published.version == "1.0.0" && published.name == "leaf" {
            continue;
        }
        let released = record.event("released", |event| {
            event["name"] == published.name.as_str()
                && event["version"] == published.version.as_str()
        });
        assert_eq!(released["anchor"], "lockfile");
        assert_eq!(released["source"], "network");
        assert_eq!(released["url"], registry.tarball_url(&published).as_str());
        assert_eq!(released["size"], published.tarball.len());
    }
    let connected = record.event("connected", |event| {
        event["host"] == registry.host().as_str()
    });
    assert_eq!(connected["tls"]["version"], "TLSv1.3");
    assert_eq!(connected["tls"]["anchor_class"], "user-configured");
    record.event("input-read", |event| event["name"] == "package-lock.json");
    record.event("contained", |_| true);
    for probe in record
        .events("found")
        .iter()
        .filter(|e| e["code"] == "probe-suppressed")
    {
        let listed =
            |entry: &&Value| entry["kind"] == "probe" && entry["subject"] == probe["subject"];
        assert!(
            record.suppressed().iter().any(|entry| listed(&entry)),
            "{probe}"
        );
    }
    record.event("manager-exited", |event| event["code"] == 0);
    let components = purls(record.bom["components"].as_array().unwrap());
    let listed = project.npm(&["ls", "--all", "--json"]).run();
    let mut expected = BTreeSet::new();
    collect(
        &serde_json::from_str(&listed.stdout).unwrap(),
        &mut expected,
    );
    assert_eq!(components, expected);
}

fn purls(components: &[Value]) -> BTreeSet<String> {
    components
        .iter()
        .filter_map(|component| component["purl"].as_str())
        .filter(|purl| purl.starts_with("pkg:npm/"))
        .map(|purl| purl.replace("%40", "@"))
        .collect()
}

fn collect(node: &Value, found: &mut BTreeSet<String>) {
    for (name, child) in node["dependencies"].as_object().into_iter().flatten() {
        if let Some(version) = child["version"].as_str() {
            found.insert(format!("pkg:npm/{name}@{version}"));
        }
        collect(child, found);
    }
}

#[test]
fn a_second_install_takes_the_archives_from_the_store() {
    let registry = Registry::start();
    let project = Project::new(&registry);
    project.lock(&registry, &forest::plant(&registry));
    project.v4run(&["npm", "ci"]).run().succeeds();
    let first = tree::read(&project.path("node_modules"));
    let fetched = registry.tarballs().len();
    assert_eq!(fetched, forest::PATHS.len());
    let run = project.v4run(&["npm", "ci"]).run();
    run.succeeds();
    assert_eq!(
        registry.tarballs().len(),
        fetched,
        "an archive was fetched twice"
    );
    run.record()
        .event("released", |event| event["source"] == "store");
    tree::assert_equal(&first, &tree::read(&project.path("node_modules")));
}

#[test]
fn ci_replaces_what_was_changed_on_disk() {
    let registry = Registry::start();
    let prepare = forest_locked(&registry);
    let prepare = |project: &Project| {
        prepare(project);
        project.file("node_modules/oak/index.js", "changed");
        project.file("node_modules/stray/index.js", "stray");
    };
    let (project, _) = same(&registry, prepare, &["ci"]);
    assert_eq!(
        project.installed("oak/index.js"),
        "module.exports = 'oak@1.0.0';\n"
    );
    assert!(!project.path("node_modules/stray").exists());
}

#[test]
fn install_without_a_lockfile_makes_one() {
    let registry = Registry::start();
    let manifest = forest::plant(&registry);
    let (project, run) = same(
        &registry,
        |project| project.manifest(&manifest),
        &["install"],
    );
    run.succeeds();
    assert_eq!(
        project.read_lock()["packages"]["node_modules/leaf"]["version"],
        "2.0.0"
    );
    let released = run
        .record()
        .event("released", |event| event["name"] == "oak");
    assert_eq!(released["anchor"], "index");
}

/// A small tree with one nested version.
fn small(registry: &Registry) -> impl Fn(&Project) {
    registry.publish(&Package::new("birch", "2.1.0").dependency("leaf", "^2.0.0"));
    registry.publish(&Package::new("leaf", "1.0.0").bin("leaf", "leaf.js"));
    registry.publish(&Package::new("leaf", "2.0.0").bin("leaf", "leaf.js"));
    registry.publish(&Package::new("oak", "1.0.0").dependency("leaf", "^1.0.0"));
    let manifest = json!({
        "name": "project", "version": "1.0.0",
        "dependencies": { "birch": "^2.0.0", "oak": "1.0.0" },
    });
    move |project| project.lock(registry, &manifest)
}

#[test]
fn packages_are_added() {
    let registry = Registry::start();
    let prepare = small(&registry);
    registry.publish(&Package::new("fern", "1.2.0").dependency("leaf", "^1.0.0"));
    let (project, _) = same(&registry, &prepare, &["install", "fern@^1.0.0"]);
    assert_eq!(
        project.installed("fern/index.js"),
        "module.exports = 'fern@1.2.0';\n"
    );
    same(
        &registry,
        &prepare,
        &["add", "--save-dev", "--save-exact", "fern"],
    );
}

#[test]
fn packages_are_removed() {
    let registry = Registry::start();
    let (project, _) = same(&registry, small(&registry), &["uninstall", "birch"]);
    assert!(!project.path("node_modules/birch").exists());
}

#[test]
fn packages_are_updated() {
    let registry = Registry::start();
    let prepare = small(&registry);
    registry.publish(&Package::new("birch", "2.3.0"));
    let (project, _) = same(&registry, &prepare, &["update"]);
    assert_eq!(
        project.installed("birch/index.js"),
        "module.exports = 'birch@2.3.0';\n"
    );
}

#[test]
fn trees_are_tidied() {
    let registry = Registry::start();
    let prepare = small(&registry);
    same(&registry, &prepare, &["dedupe"]);
    same(&registry, &prepare, &["prune"]);
}

#[test]
fn development_packages_can_be_left_out() {
    let registry = Registry::start();
    let (project, run) = same(&registry, forest_locked(&registry), &["ci", "--omit=dev"]);
    run.succeeds();
    assert!(!project.path("node_modules/lint").exists());
}

#[test]
fn workspaces_are_linked() {
    let registry = Registry::start();
    registry.publish(&Package::new("leaf", "1.0.0"));
    let prepare = |project: &Project| {
        project.manifest(&json!({
            "name": "project", "version": "1.0.0", "workspaces": ["packages/*"],
        }));
        for name in ["one", "two"] {
            let manifest = json!({
                "name": name, "version": "1.0.0", "dependencies": { "leaf": "1.0.0" },
            });
            project.file(
                &format!("packages/{name}/package.json"),
                &manifest.to_string(),
            );
        }
    };
    let (project, _) = same(&registry, prepare, &["install"]);
    let link = fs::read_link(project.path("node_modules/one")).unwrap();
    assert_eq!(link.to_string_lossy(), "../packages/one");
    let lock = project.read_lock();
    let prepare = |project: &Project| {
        prepare(project);
        project.write_lock(&lock);
    };
    same(&registry, prepare, &["ci"]).1.succeeds();
    same(&registry, prepare, &["ci", "--workspace", "two"])
        .1
        .succeeds();
}

#[test]
fn another_directory_can_be_named() {
    let registry = Registry::start();
    let manifest = forest::plant(&registry);
    let prepare = |project: &Project| {
        project.manifest(&json!({ "name": "outer", "version": "1.0.0" }));
        project.file("inner/package.json", &manifest.to_string());
        let lock = lockfile::lockfile(&registry, &manifest).to_string();
        project.file("inner/package-lock.json", &lock);
    };
    let (project, run) = same(&registry, prepare, &["ci", "--prefix", "inner"]);
    run.succeeds();
    assert!(project.path("inner/node_modules/oak/index.js").exists());
    assert!(!project.path("node_modules").exists());
}

#[test]
fn it_works_from_a_directory_below_the_project() {
    let registry = Registry::start();
    let project = Project::new(&registry);
    project.lock(&registry, &forest::plant(&registry));
    project.file("src/deep/file.js", "");
    let run = project
        .v4run(&["npm", "ci"])
        .directory(&project.path("src/deep"))
        .run();
    run.succeeds();
    assert!(project.path("node_modules/oak/index.js").exists());
}

#[test]
fn global_packages_go_below_the_prefix() {
    let registry = Registry::start();
    forest::plant(&registry);
    let prepare = |project: &Project| fs::create_dir(project.path("global")).unwrap();
    let arguments = ["install", "-g", "--prefix", "global", "lint"];
    let (project, run) = same(&registry, prepare, &arguments);
    run.succeeds();
    assert!(
        project
            .path("global/lib/node_modules/lint/index.js")
            .exists()
    );
    assert!(project.path("global/bin/lint").is_symlink());
}

#[test]
fn the_global_prefix_of_the_user_is_used() {
    let registry = Registry::start();
    forest::plant(&registry);
    let project = Project::new(&registry);
    let prefix = project.home().join("npm-global");
    fs::create_dir(&prefix).unwrap();
    project.add_user_config(&format!("prefix={}", prefix.display()));
    project
        .v4run(&["npm", "install", "--global", "lint"])
        .run()
        .succeeds();
    assert!(prefix.join("lib/node_modules/lint/index.js").exists());
}

#[test]
fn the_manager_s_own_failure_is_its_own_status() {
    let registry = Registry::start();
    let project = Project::new(&registry);
    let bare = project.npm(&["install", "absent-package"]).run();
    let run = project.v4run(&["npm", "install", "absent-package"]).run();
    run.exits(bare.code());
    assert_eq!(run.record().summary["manager_exit_code"], bare.code());
}

#[test]
fn the_proxy_speaks_http_2_upstream_and_http_1_where_it_must() {
    for (http2, version) in [(true, "HTTP/2.0"), (false, "HTTP/1.1")] {
        let registry = Registry::with(crate::registry::Setup {
            http2,
            ..crate::registry::Setup::default()
        });
        let project = Project::new(&registry);
        project.lock(&registry, &forest::plant(&registry));
        project.v4run(&["npm", "ci"]).run().succeeds();
        assert!(
            registry.seen().iter().all(|seen| seen.version == version),
            "{version}"
        );
        assert!(
            !http2 || registry.connections() <= 3,
            "{} connections",
            registry.connections()
        );
    }
}

#[test]
fn a_tree_of_four_hundred_and_fifty_packages_is_the_same() {
    let registry = Registry::start();
    let name = |number: usize| match number % 9 {
        0 => format!("@many/p{number}"),
        _ => format!("p{number}"),
    };
    let mut direct = serde_json::Map::new();
    for number in 0..450 {
        let mut package = Package::new(&name(number), "1.0.0")
            .file("lib/one.js", format!("exports.n = {number};\n").as_bytes())
            .file("README.md", b"# read me\n");
        // Every package leads on to the next ones; the first of each group is direct.
        for next in [number + 1, number + 3] {
            if next < 450 && next % 15 != 0 {
                package = package.dependency(&name(next), "^1.0.0");
            }
        }
        if number % 10 == 0 {
            package = package.bin(&format!("bin{number}"), "bin/run.js");
        }
        if number % 15 == 0 {
            direct.insert(name(number), "1.0.0".into());
        }
        registry.publish(&package);
    }
    let manifest = json!({ "name": "project", "version": "1.0.0", "dependencies": direct });
    let prepare = |project: &Project| project.lock(&registry, &manifest);
    let (project, run) = same(&registry, prepare, &["ci"]);
    run.succeeds();
    assert_eq!(run.record().summary["components"], 450);
    let modules = fs::read_dir(project.path("node_modules")).unwrap().count();
    assert_eq!(
        modules,
        400 + 3,
        "packages, the scope, `.bin` and the hidden lockfile"
    );
}
