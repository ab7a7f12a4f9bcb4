//! Bad surroundings and bad files: each ends in a message that a user can act on, the right exit
//! status, and a record. What the network does wrong is in `fetch`, what the kernel lacks in
//! `v4run doctor`.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::time::Duration;

use serde_json::json;

use crate::disk::{Small, noise, read_only};
use crate::project::{Project, tree};
use crate::registry::Registry;
use crate::registry::package::Package;

fn one() -> (Registry, Project) {
    let registry = Registry::start();
    registry.publish(&Package::new("thing", "1.0.0").bin("thing", "cli.js"));
    let project = Project::locked(&registry, json!({ "thing": "1.0.0" }));
    (registry, project)
}

#[test]
fn no_lockfile() {
    let (_registry, project) = one();
    fs::remove_file(project.path("package-lock.json")).unwrap();
    let run = project.v4run(&["npm", "ci"]).run();
    run.refuses(126, "lock-missing", "4.13")
        .says("package-lock.json")
        .says("v4run npm install");
}

#[test]
fn no_manifest() {
    let (_registry, project) = one();
    for name in ["package.json", "package-lock.json"] {
        fs::remove_file(project.path(name)).unwrap();
    }
    let run = project.v4run(&["npm", "ci"]).run();
    assert_ne!(run.code(), 0);
    assert!(!run.stderr.is_empty());
}

#[test]
fn a_lockfile_that_does_not_fit_the_manifest() {
    let (registry, project) = one();
    registry.publish(&Package::new("later", "1.0.0"));
    project.manifest(&json!({
        "name": "project", "version": "1.0.0", "dependencies": { "thing": "1.0.0", "later": "1.0.0" },
    }));
    let bare = project.npm(&["ci"]).run();
    let run = project.v4run(&["npm", "ci"]).run();
    assert!(
        run.ended.code == bare.ended.code || run.ended.code == Some(126),
        "{}",
        run.told()
    );
    run.says("later");
    assert!(!project.path("node_modules/thing").exists());
}

#[test]
fn files_that_are_no_json() {
    for text in [
        "{",
        "",
        "[]",
        "null",
        "\u{feff}{",
        "{\"packages\": 3, \"lockfileVersion\": 3}",
    ] {
        let (_registry, project) = one();
        project.file("package-lock.json", text);
        let run = project.v4run(&["npm", "ci"]).run();
        run.exits(126).says("package-lock.json");
        let code = run.record().violations()[0]["code"].as_str().unwrap();
        assert!(
            ["lock-invalid", "lock-missing"].contains(&code),
            "{text:?}: {code}"
        );
    }
    for text in ["{", "[]", "{\"dependencies\": 3}"] {
        let (_registry, project) = one();
        project.file("package.json", text);
        let run = project.v4run(&["npm", "ci"]).run();
        assert_ne!(run.code(), 0, "{text}");
        assert!(
            run.stderr.contains("package.json") || run.code() == 120,
            "{}",
            run.told()
        );
    }
}

#[test]
fn very_deep_json() {
    let (_registry, project) = one();
    let deep = format!(
        "{{\"lockfileVersion\": 3, \"packages\": {}{}}}",
        "[".repeat(200_000),
        "]".repeat(200_000)
    );
    project.file("package-lock.json", &deep);
    project
        .v4run(&["npm", "ci"])
        .run()
        .exits(126)
        .says("package-lock.json");
}

#[test]
fn a_manifest_and_lockfile_that_are_links_or_devices() {
    let (_registry, project) = one();
    fs::remove_file(project.path("package-lock.json")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", project.path("package-lock.json")).unwrap();
    let run = project
        .v4run(&["npm", "ci"])
        .limit(Duration::from_secs(20))
        .run();
    assert_ne!(run.code(), 0);
    run.says("package-lock.json");
}

#[test]
fn a_directory_with_spaces_and_signs() {
    let registry = Registry::start();
    registry.publish(&Package::new("thing", "1.0.0").bin("thing", "cli.js"));
    for name in ["a project with $HOME, 'quotes\" and größe-项目", "-rf a\nb"] {
        let project = Project::named(&registry, OsStr::new(name));
        project.lock(
            &registry,
            &json!({
                "name": "project", "version": "1.0.0", "dependencies": { "thing": "1.0.0" },
            }),
        );
        project.v4run(&["npm", "ci"]).run().succeeds();
        assert!(
            project.path("node_modules/.bin/thing").is_symlink(),
            "{name}"
        );
    }
}

#[test]
fn a_directory_whose_name_is_not_utf_8() {
    let registry = Registry::start();
    registry.publish(&Package::new("thing", "1.0.0"));
    let project = Project::named(&registry, OsStr::from_bytes(b"pro\xffject"));
    project.lock(
        &registry,
        &json!({
            "name": "project", "version": "1.0.0", "dependencies": { "thing": "1.0.0" },
        }),
    );
    let bare = project.npm(&["ci"]).run();
    let works = project.path("node_modules/thing/index.js").exists();
    let _ = fs::remove_dir_all(project.path("node_modules"));
    let run = project.v4run(&["npm", "ci"]).run();
    // Node replaces the byte, so npm itself may fail there: then v4run says why or fails alike.
    if works {
        run.exits(bare.code());
    } else {
        assert_ne!(run.code(), 0, "{}", run.told());
        assert!(!run.stderr.is_empty());
    }
}

#[test]
fn a_project_that_cannot_be_written() {
    let (_registry, project) = one();
    // The directory is entered again after the mount, so it is named and not inherited.
    let run = project.v4run(&[
        "npm",
        "ci",
        "--prefix",
        project.directory().to_str().unwrap(),
    ]);
    let run = read_only(run, project.directory())
        .directory(&project.home())
        .run();
    assert_ne!(run.code(), 0, "{}", run.told());
    assert!(
        run.stderr.contains("node_modules") || run.stderr.contains("project"),
        "{}",
        run.told()
    );
}

#[test]
fn a_home_that_cannot_be_written() {
    let (_registry, project) = one();
    let run = read_only(project.v4run(&["npm", "ci"]).unrecorded(), &project.home()).run();
    run.exits(125).says("XDG_CACHE_HOME");
    let cache = project.outside("cache");
    let invocation = project.v4run(&["npm", "ci"]).env("XDG_CACHE_HOME", &cache);
    read_only(invocation, &project.home()).run().succeeds();
}

#[test]
fn no_home() {
    let (_registry, project) = one();
    let config = project.home().join(".npmrc");
    let invocation = project
        .v4run(&["npm", "ci"])
        .env("npm_config_userconfig", &config);
    let run = invocation
        .env_remove("HOME")
        .env("XDG_CACHE_HOME", project.outside("cache"))
        .run();
    run.succeeds();
}

#[test]
fn a_home_that_does_not_exist() {
    let (_registry, project) = one();
    let config = project.home().join(".npmrc");
    let invocation = project
        .v4run(&["npm", "ci"])
        .env("npm_config_userconfig", &config);
    let run = invocation
        .env("HOME", "/nonexistent/home")
        .env("XDG_CACHE_HOME", project.outside("cache"))
        .run();
    run.succeeds();
}

#[test]
fn a_full_disk() {
    let (registry, project) = one();
    registry.publish(&Package::new("big", "1.0.0").file("big.bin", &noise(3 << 20)));
    project.lock(
        &registry,
        &json!({
            "name": "project", "version": "1.0.0", "dependencies": { "big": "1.0.0" },
        }),
    );
    let full = project.outside("full");
    let disk = Small::on(&project, &full);
    let invocation = project.v4run(&["npm", "ci"]).env("XDG_CACHE_HOME", &full);
    let run = match disk.is_mounted() {
        true => disk.holds(invocation).run(),
        false => disk.holds(invocation.unrecorded()).run(),
    };
    assert_ne!(run.ended.code, Some(0), "{}", run.told());
    assert!(!project.path("node_modules/big").exists() || !run.stderr.is_empty());
    if disk.is_mounted() {
        run.says("No space left")
            .says("XDG_CACHE_HOME")
            .says("store-failed");
    }
}

#[test]
fn standard_streams_that_are_closed() {
    for line in ["exec \"$@\" <&-", "exec \"$@\" >&-", "exec \"$@\" <&- >&-"] {
        let (_registry, project) = one();
        let run = project
            .v4run(&["npm", "ci"])
            .below(&["/bin/sh", "-c", line, "sh"])
            .run();
        run.succeeds();
        assert!(
            project.path("node_modules/thing/index.js").exists(),
            "{line}"
        );
    }
}

#[test]
fn the_manager_does_not_get_the_caller_s_input() {
    let stage = crate::attack::Stage::new();
    let input = stage.victim("input", "typed by the user");
    let attack = "return fs.readFileSync(0, 'utf8');";
    let bare = stage.outcome(stage.bare(attack).stdin(&input));
    assert_eq!(bare.result["value"], "typed by the user");
    let ours = stage.outcome(stage.hostile(attack).stdin(&input));
    assert_eq!(
        ours.result["value"],
        "",
        "{}\n{}",
        ours.result,
        ours.run.told()
    );
}

#[test]
fn a_record_that_cannot_be_written() {
    let (_registry, project) = one();
    let taken = project.outside("taken");
    fs::write(&taken, "").unwrap();
    for place in [taken.to_str().unwrap(), "/proc/v4run-record"] {
        let run = project.v4run_plain(&["--record", place, "npm", "ci"]).run();
        run.exits(125).says("record-failed").says("--record");
        assert!(
            !project.path("node_modules").exists(),
            "an install without a record"
        );
    }
}

#[test]
fn a_record_is_never_written_over_another() {
    let (_registry, project) = one();
    let place = project.outside("record");
    let arguments = ["--record", place.to_str().unwrap(), "npm", "ci"];
    project.v4run_plain(&arguments).run().succeeds();
    let before = tree::read(&place);
    project
        .v4run_plain(&arguments)
        .run()
        .exits(125)
        .says("record");
    tree::assert_equal(&before, &tree::read(&place));
}

#[test]
fn records_go_below_the_state_folder_unless_told_otherwise() {
    let (_registry, project) = one();
    let state = project.outside("state");
    project
        .v4run_plain(&["npm", "ci"])
        .env("XDG_STATE_HOME", &state)
        .run()
        .succeeds();
    let found = tree::read(&state);
    let sealed = found
        .keys()
        .filter(|path| path.ends_with("/summary.json"))
        .count();
    assert_eq!(sealed, 1, "{:?}", found.keys());
    assert!(
        found
            .keys()
            .all(|path| path == "v4run" || path.starts_with("v4run/records"))
    );
}

#[test]
fn git_remote_and_file_dependencies_are_refused() {
    for (spec, code) in [
        ("git+https://localhost:1/x.git", "dependency-refused"),
        ("someone/repository", "dependency-refused"),
        ("https://localhost:1/x.tgz", "dependency-refused"),
        ("http://localhost:1/x.tgz", "dependency-refused"),
        ("file:./vendor/x.tgz", "dependency-refused"),
        ("file:../outside", "dependency-refused"),
    ] {
        let (registry, project) = one();
        project.file("vendor/x.tgz", "");
        fs::create_dir_all(project.outside("outside")).unwrap();
        fs::write(
            project.outside("outside/package.json"),
            "{\"name\":\"x\",\"version\":\"1.0.0\"}",
        )
        .unwrap();
        project.manifest(&json!({
            "name": "project", "version": "1.0.0", "dependencies": { "x": spec },
        }));
        fs::remove_file(project.path("package-lock.json")).unwrap();
        let run = project.v4run(&["npm", "install"]).run();
        run.exits(126).says("hint:").says("x");
        let codes: Vec<_> = run
            .record()
            .violations()
            .iter()
            .map(|v| v["code"].clone())
            .collect();
        assert!(
            codes.contains(&json!(code)) || codes.contains(&json!("plain-http")),
            "{spec}: {codes:?}"
        );
        assert!(registry.seen().is_empty(), "{spec}");
        // The same on the command line.
        let (_registry, project) = one();
        project.v4run(&["npm", "install", spec]).run().exits(126);
    }
}
