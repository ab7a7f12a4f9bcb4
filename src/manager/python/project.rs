//! What the project says of itself, for the record only.

use std::path::Path;

use serde::Deserialize;

use crate::manager::read;

/// Longest `pyproject.toml` that is looked at.
const LIMIT: u64 = 4 << 20;

#[derive(Default, Deserialize)]
struct Document {
    #[serde(default)]
    project: Table,
}

#[derive(Default, Deserialize)]
struct Table {
    name: Option<String>,
    version: Option<String>,
}

/// Name and version of the project in a directory, where its `pyproject.toml` states them.
pub(in crate::manager) fn stated(directory: &Path) -> (Option<String>, Option<String>) {
    let bytes = read::inside(directory, &directory.join("pyproject.toml"), LIMIT);
    let text = bytes
        .ok()
        .flatten()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    let document = text.and_then(|text| toml::from_str::<Document>(&text).ok());
    let project = document.unwrap_or_default().project;
    (project.name, project.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_names_itself_or_not() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        assert_eq!(stated(&root), (None, None));
        let text = "[project]\nname = 'a'\ndynamic = ['version']\n[tool.x]\ny = 1\n";
        std::fs::write(root.join("pyproject.toml"), text).unwrap();
        assert_eq!(stated(&root), (Some("a".to_owned()), None));
        std::fs::write(root.join("pyproject.toml"), "[project").unwrap();
        assert_eq!(stated(&root), (None, None));
    }
}
