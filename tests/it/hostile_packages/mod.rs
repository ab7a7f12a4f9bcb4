//! Packages that try everything that a package can during an install: one corpus a manager.
//!
//! A case is data: a name and how to make the package. Bare, the manager installs the corpus, and the
//! cases whose attack does something there must be seen to do it. With v4run each is refused, or is
//! installed and does nothing beyond its place: no file outside the tree, nothing in the tree but files,
//! directories and links that stay in it, no set-user bits, no code that ran. A run with `V4RUN_SCORES`
//! gives the score: `hostile packages: N refused or harmless of N`.

use std::fs;
use std::path::{Component, Path};

use crate::project::Project;
use crate::project::tree::{self, Node, Tree};

mod large;
mod maven;
mod npm;
mod python;

/// What is wrong round and in an install tree: `own` are the prefixes that a run may change.
fn wrong(project: &Project, before: &Tree, own: &[&str], installed: &Path) -> Vec<String> {
    let after = tree::read(&project.outside(""));
    let mut wrong: Vec<String> = after
        .iter()
        .filter(|(path, node)| before.get(*path) != Some(*node))
        .filter(|(path, _)| !own.iter().any(|own| path.starts_with(own)))
        .map(|(path, node)| format!("outside: {path}: {node:?}"))
        .collect();
    let gone = before.keys().filter(|path| !after.contains_key(*path));
    wrong.extend(
        gone.filter(|path| !own.iter().any(|own| path.starts_with(own)))
            .map(|path| format!("gone: {path}")),
    );
    for (path, node) in tree::read(installed) {
        let odd = match &node {
            Node::File(mode, _) | Node::Directory(mode) => mode & 0o6000 != 0,
            Node::Link(target) => climbs(&path, target),
            Node::Other => true,
        };
        if odd {
            wrong.push(format!("inside: {path}: {node:?}"));
        }
    }
    wrong
}

/// Whether a link leads out of the tree that it lies in.
fn climbs(path: &str, target: &str) -> bool {
    let mut depth = i64::try_from(path.matches('/').count()).unwrap();
    Path::new(target).components().any(|part| {
        match part {
            Component::ParentDir => depth -= 1,
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => depth = -1,
        }
        depth < 0
    })
}

/// Adds cases to the score, after everything about them held.
fn score(cases: usize) {
    assert!(cases > 0, "no case was tried");
    crate::score::add("hostile-packages", cases);
}

/// The check itself can fail: each kind of harm is seen.
#[test]
fn harm_is_seen() {
    let registry = crate::registry::Registry::start();
    let project = Project::new(&registry);
    let installed = project.path("node_modules");
    fs::create_dir(&installed).unwrap();
    let before = tree::read(&project.outside(""));
    let own = ["project/node_modules"];
    assert_eq!(wrong(&project, &before, &own, &installed), [""; 0]);
    fs::write(project.outside("stray"), "").unwrap();
    fs::remove_file(project.path("package.json")).unwrap();
    std::os::unix::fs::symlink("../../x", installed.join("link")).unwrap();
    std::os::unix::fs::symlink("/etc", installed.join("absolute")).unwrap();
    std::os::unix::fs::symlink("a/../b", installed.join("fine")).unwrap();
    nix::unistd::mkfifo(&installed.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let found = wrong(&project, &before, &own, &installed);
    assert_eq!(found.len(), 5, "{found:?}");
}
