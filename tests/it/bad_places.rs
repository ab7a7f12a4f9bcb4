//! Users and places as images have them: a user whom no file names, `/` for a home, a cache and a
//! secret that belong to root, a disk without symbolic links. Each ends in a message with the way out,
//! and works once that way is taken. Root becomes such a user; anybody else is one already.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, lchown};
use std::path::Path;

use serde_json::json;

use crate::project::{Project, program};
use crate::registry::Registry;
use crate::registry::package::Package;
use crate::run::Invocation;

/// A user whom no file names.
const NOBODY: u32 = 424_242;

fn one() -> (Registry, Project) {
    let registry = Registry::start();
    registry.publish(&Package::new("thing", "1.0.0"));
    let project = Project::locked(&registry, json!({ "thing": "1.0.0" }));
    (registry, project)
}

fn given(path: &Path) {
    lchown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        given(&entry.path());
    }
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// The command as such a user, who has the project and not what lies beside it.
fn as_nobody(project: &Project, invocation: Invocation) -> Invocation {
    if !is_root() {
        return invocation;
    }
    for path in [
        project.directory(),
        &project.home(),
        &project.outside("tmp"),
    ] {
        given(path);
    }
    let own = program("setpriv").display().to_string();
    let user = format!("--reuid={NOBODY}");
    let group = format!("--regid={NOBODY}");
    invocation.below(&[&own, &user, &group, "--clear-groups", "--"])
}

/// A folder that everybody may write.
fn open(project: &Project, name: &str) -> std::path::PathBuf {
    let path = project.outside(name);
    fs::create_dir_all(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    path
}

/// v4run with npm's configuration, which is in no home here.
fn ci(project: &Project, home: &str, record: bool) -> Invocation {
    let invocation = match record {
        true => project.v4run(&["npm", "ci"]).env("V4RUN_RECORD", ""),
        false => project.v4run_plain(&["npm", "ci"]),
    };
    let config = project.home().join(".npmrc");
    let invocation = invocation.env("HOME", home);
    as_nobody(project, invocation.env("npm_config_userconfig", config))
}

#[test]
fn a_user_without_a_home_is_told_what_to_set() {
    let (_registry, project) = one();
    let state = open(&project, "state");
    for home in ["/", "/proc"] {
        let run = ci(&project, home, false).run();
        run.exits(125).says("record-failed");
        run.says("hint:").says("--record").says("V4RUN_RECORD");
        let run = ci(&project, home, false).env("XDG_STATE_HOME", &state);
        let run = run.run();
        run.exits(125).says("store-failed");
        run.says("hint:").says("XDG_CACHE_HOME");
        assert!(!project.path("node_modules").exists());
    }
    let cache = open(&project, "cache");
    let run = ci(&project, "/", false)
        .env("XDG_CACHE_HOME", &cache)
        .env("XDG_STATE_HOME", &state)
        .run();
    run.succeeds();
    project.installed("thing/package.json");
}

#[test]
fn a_cache_that_belongs_to_somebody_else_is_told() {
    let (_registry, project) = one();
    let cache = match is_root() {
        true => project.outside("cache"),
        // Whoever is not root finds root's everywhere.
        false => "/usr/lib".into(),
    };
    let _ = fs::create_dir(&cache);
    let state = open(&project, "state");
    let run = ci(&project, "/", false)
        .env("XDG_CACHE_HOME", &cache)
        .env("XDG_STATE_HOME", &state)
        .run();
    run.exits(125).says("store-failed").says("XDG_CACHE_HOME");
    run.says("Permission denied");
    assert!(!project.path("node_modules").exists());
}

#[test]
fn a_secret_that_cannot_be_read_is_told() {
    let (_registry, project) = one();
    let secret = project.outside("npmrc");
    fs::copy(project.home().join(".npmrc"), &secret).unwrap();
    let mode = if is_root() { 0o400 } else { 0 };
    fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
    let cache = open(&project, "cache");
    let state = open(&project, "state");
    let run = |mode| {
        fs::set_permissions(&secret, fs::Permissions::from_mode(mode)).unwrap();
        ci(&project, "/", false)
            .env("npm_config_userconfig", &secret)
            .env("XDG_CACHE_HOME", &cache)
            .env("XDG_STATE_HOME", &state)
            .run()
    };
    let refused = run(mode);
    refused.exits(125).says(&secret.display().to_string());
    refused.says("Permission denied").says("hint:");
    assert!(!project.path("node_modules").exists());
    run(0o444).succeeds();
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_disk_without_links_has_no_shims_and_nothing_half() {
    let (_registry, project) = one();
    let folder = project.outside("shims");
    let words = ["shims", "install", folder.to_str().unwrap()];
    let run = project
        .v4run_plain(&words)
        .fails(libc::SYS_symlink, libc::EPERM)
        .fails(libc::SYS_symlinkat, libc::EPERM)
        .run();
    run.exits(125).says("no symbolic links").says("hint:");
    let left: Vec<_> = fs::read_dir(&folder).unwrap().flatten().collect();
    assert!(
        left.iter().all(|entry| !entry.path().is_symlink()),
        "{left:?}"
    );
    project.v4run_plain(&words).run().succeeds();
}
