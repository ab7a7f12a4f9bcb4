//! Which of a version manager's installed versions is meant.
//!
//! Reads what the version managers read: variables, version files of the project and its parent
//! directories, the manager's own default. The project only chooses among what the user installed.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::manager::read;
use crate::manager::version::{LIMIT, text_of, tool_version, words};

/// Variables of asdf, mise and nodenv.
const VARIABLES: &[&str] = &[
    "ASDF_NODEJS_VERSION",
    "MISE_NODE_VERSION",
    "RTX_NODE_VERSION",
    "NODENV_VERSION",
];

/// Versions that are asked for, most specific source first.
pub(super) fn wanted(
    environment: &BTreeMap<OsString, OsString>,
    project: &Path,
    home: Option<&Path>,
    root: &Path,
) -> Vec<String> {
    let mut wanted: Vec<String> = VARIABLES
        .iter()
        .filter_map(|name| environment.get(OsStr::new(name)))
        .filter_map(|value| value.to_str().map(str::to_owned))
        .collect();
    for directory in project.ancestors().chain(home) {
        wanted.extend(first_word(&directory.join(".nvmrc")));
        wanted.extend(first_word(&directory.join(".node-version")));
        wanted.extend(tool_version(
            &directory.join(".tool-versions"),
            &["nodejs", "node"],
        ));
    }
    wanted.extend(first_word(&root.join("version")));
    wanted.extend(volta_default(&root.join("tools/user/platform.json")));
    wanted
}

/// node's version from the headers that its installation carries, or from its directory's name.
pub(super) fn of_node(node: &Path) -> Option<String> {
    let prefix = node.ancestors().nth(2)?;
    let header = prefix.join("include/node/node_version.h");
    let text = read::file(&header, LIMIT).ok().flatten();
    let text = String::from_utf8(text?).ok()?;
    let part = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.trim().strip_prefix("#define ")?.strip_prefix(name));
        line.and_then(|rest| rest.trim().parse::<u32>().ok())
    };
    let (major, minor, patch) = (
        part("NODE_MAJOR_VERSION ")?,
        part("NODE_MINOR_VERSION ")?,
        part("NODE_PATCH_VERSION ")?,
    );
    Some(format!("{major}.{minor}.{patch}"))
}

fn first_word(path: &Path) -> Option<String> {
    words(path).into_iter().next()
}

fn volta_default(path: &Path) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(&text_of(path)?).ok()?;
    value.pointer("/node/runtime")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_files_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        std::fs::write(root.join(".tool-versions"), "python 3.1\nnodejs 20.1.0\n").unwrap();
        std::fs::create_dir_all(root.join("tools/user")).unwrap();
        std::fs::write(
            root.join("tools/user/platform.json"),
            r#"{"node":{"runtime":"18.2.0"}}"#,
        )
        .unwrap();
        let wanted = wanted(&BTreeMap::new(), root, None, root);
        assert_eq!(wanted, ["20.1.0", "18.2.0"]);
    }
}
