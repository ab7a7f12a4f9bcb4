//! `poetry.lock`: packages with their files, in two forms.
//!
//! Lock versions 2.x keep the files with each package; 1.x keeps them in a table of their own. A
//! package with a `source` that is no index (git, url, directory, file) is passed over.
//! Form: <https://python-poetry.org/docs/basic-usage/#installing-with-poetrylock>.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{LockError, Promise};

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Package>,
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(rename = "lock-version")]
    version: Option<String>,
    #[serde(default)]
    files: BTreeMap<String, Vec<File>>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    files: Option<Vec<File>>,
    source: Option<Source>,
}

#[derive(Deserialize)]
struct Source {
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Clone, Deserialize)]
struct File {
    file: String,
    hash: String,
}

/// Reads a lock.
pub(super) fn promises(text: &str) -> Result<Vec<Promise>, LockError> {
    let lock: Lock =
        toml::from_str(text).map_err(|error| LockError::Form(error.message().to_owned()))?;
    let version = lock.metadata.version.unwrap_or_default();
    if !["1.", "2."].iter().any(|known| version.starts_with(known)) {
        return Err(LockError::Version(version));
    }
    let index = |package: &Package| {
        let kind = package
            .source
            .as_ref()
            .and_then(|source| source.kind.as_deref());
        matches!(kind, None | Some("legacy" | "pypi"))
    };
    let mut promises = Vec::new();
    for package in lock.package.into_iter().filter(index) {
        let apart = || lock.metadata.files.get(&package.name).cloned();
        let files = package.files.clone().or_else(apart).unwrap_or_default();
        promises.extend(files.into_iter().map(|file| Promise {
            name: package.name.clone(),
            version: package.version.clone(),
            file: Some(file.file),
            digests: vec![file.hash],
        }));
    }
    Ok(promises)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGE: &str = "[[package]]\nname = 'a'\nversion = '1'\n";

    #[test]
    fn both_forms_are_read() {
        let new = format!(
            "{PACKAGE}files = [{{ file = 'a-1.whl', hash = 'sha256:aa' }}]\n[metadata]\nlock-version = '2.1'\n"
        );
        let old = format!(
            "{PACKAGE}[metadata]\nlock-version = '1.1'\n[metadata.files]\na = [{{ file = 'a-1.whl', hash = 'sha256:aa' }}]\n"
        );
        assert_eq!(promises(&new).unwrap(), promises(&old).unwrap());
        assert_eq!(promises(&new).unwrap()[0].file.as_deref(), Some("a-1.whl"));
    }

    #[test]
    fn other_versions_and_sources_do_not_count() {
        assert!(matches!(
            promises("[metadata]\nlock-version = '3.0'\n"),
            Err(LockError::Version(_))
        ));
        let git = format!(
            "{PACKAGE}files = [{{ file = 'a', hash = 'sha256:aa' }}]\nsource = {{ type = 'git' }}\n[metadata]\nlock-version = '2.0'\n"
        );
        assert_eq!(promises(&git), Ok(Vec::new()));
    }
}
