//! Which of a version manager's installed versions is meant.
//!
//! Reads what the version managers read: variables, version files of the project and its parent
//! directories, the manager's own default. The project only chooses among what the user installed.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::manager::read;

/// Version files are one line long.
const LIMIT: u64 = 1 << 16;

/// Variables of asdf, mise and nodenv.
const VARIABLES: &[&str] = &[
    "ASDF_NODEJS_VERSION",
    "MISE_NODE_VERSION",
    "RTX_NODE_VERSION",
    "NODENV_VERSION",
];

/// Names of installed versions, sorted as versions.
pub(super) fn installed(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .take(1000)
        .filter(|entry| entry.path().join("bin/npm").exists())
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort_by_key(|name| numbers(name));
    names
}

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
        wanted.extend(tool_version(&directory.join(".tool-versions")));
    }
    wanted.extend(first_word(&root.join("version")));
    wanted.extend(volta_default(&root.join("tools/user/platform.json")));
    wanted
}

/// The installed version that the first satisfiable wish means, or the only one.
pub(super) fn choose<'a>(wanted: &[String], installed: &'a [String]) -> Option<&'a str> {
    let hit = wanted.iter().find_map(|wish| {
        let wish = numbers(wish);
        let fits = |name: &&String| !wish.is_empty() && numbers(name).starts_with(&wish);
        installed.iter().rev().find(fits)
    });
    match installed {
        [only] => Some(only),
        _ => hit.map(String::as_str),
    }
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

/// The numbers of `v20.1.0`; nothing for names such as `lts/iron`.
fn numbers(text: &str) -> Vec<u64> {
    let text = text.trim().trim_start_matches(['v', 'V']);
    text.split('.')
        .map_while(|part| part.parse().ok())
        .collect()
}

fn text_of(path: &Path) -> Option<String> {
    let bytes = read::file(path, LIMIT).ok().flatten()?;
    String::from_utf8(bytes).ok()
}

fn first_word(path: &Path) -> Option<String> {
    text_of(path)?.split_whitespace().next().map(str::to_owned)
}

fn tool_version(path: &Path) -> Option<String> {
    let text = text_of(path)?;
    text.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let tool = words.next()?;
        if matches!(tool, "nodejs" | "node") {
            words.next().map(str::to_owned)
        } else {
            None
        }
    })
}

fn volta_default(path: &Path) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(&text_of(path)?).ok()?;
    value.pointer("/node/runtime")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_wish_that_is_installed_wins() {
        let installed: Vec<String> = ["18.2.0", "20.1.0", "20.10.0"].map(str::to_owned).into();
        let choose = |wanted: &[&str]| {
            let wanted: Vec<String> = wanted.iter().map(|w| (*w).to_owned()).collect();
            choose(&wanted, &installed).map(str::to_owned)
        };
        assert_eq!(choose(&["v20"]).as_deref(), Some("20.10.0"));
        assert_eq!(choose(&["22", "18"]).as_deref(), Some("18.2.0"));
        assert_eq!(choose(&["lts/iron", "system"]), None);
        assert_eq!(choose(&[]), None);
    }

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
