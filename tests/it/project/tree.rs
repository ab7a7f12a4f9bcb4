//! A directory tree as data: kinds, modes, link targets, digests of contents.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Node {
    /// Permission bits.
    Directory(u32),
    /// Permission bits and SHA-256.
    File(u32, String),
    /// Target as written.
    Link(String),
    /// Anything else: never right in an install.
    Other,
}

/// Everything below a directory, by relative path.
pub(crate) type Tree = BTreeMap<String, Node>;

/// Reads a tree; an absent directory is an empty one.
pub(crate) fn read(directory: &Path) -> Tree {
    let mut tree = Tree::new();
    descend(directory, "", &mut tree);
    tree
}

fn descend(directory: &Path, prefix: &str, tree: &mut Tree) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let path = entry.path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        let mode = metadata.permissions().mode() & 0o7777;
        let node = if metadata.is_symlink() {
            Node::Link(fs::read_link(&path).unwrap().to_string_lossy().into_owned())
        } else if metadata.is_dir() {
            descend(&path, &format!("{name}/"), tree);
            Node::Directory(mode)
        } else if metadata.is_file() {
            Node::File(mode, hex::encode(Sha256::digest(fs::read(&path).unwrap())))
        } else {
            Node::Other
        };
        tree.insert(name, node);
    }
}

/// Requires two trees to be equal and says where they are not.
#[track_caller]
pub(crate) fn assert_equal(expected: &Tree, found: &Tree) {
    let mut differences = Vec::new();
    for (path, node) in expected {
        match found.get(path) {
            Some(other) if other == node => {}
            other => differences.push(format!("{path}: expected {node:?}, found {other:?}")),
        }
    }
    for path in found.keys().filter(|path| !expected.contains_key(*path)) {
        differences.push(format!("{path}: unexpected {:?}", found[path]));
    }
    assert!(
        differences.is_empty(),
        "trees differ:\n{}",
        differences.join("\n")
    );
}
