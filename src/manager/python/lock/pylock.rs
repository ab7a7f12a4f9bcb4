//! `pylock.toml`: the lock format that all tools share, as an anchor and as requirements.
//!
//! An older pip cannot read it, and a newer one reads it by its own rules; either is given plain
//! requirements with digests made from it ([`requirements`]), so that v4run's reading is the one
//! that counts. Only packages with wheels can be installed from it.
//! Form: version 1, <https://packaging.python.org/en/latest/specifications/pylock-toml/>.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{LockError, Promise, file_name};
use crate::manager::python::requirement::{self, Kind};
use crate::model::python;

/// The file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Lock {
    pub(super) lock_version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) requires_python: Option<String>,
    pub(super) created_by: String,
    #[serde(default)]
    pub(super) packages: Vec<Package>,
}

/// One package.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Package {
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) marker: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) index: Option<String>,
    #[serde(default, skip_serializing)]
    pub(super) sdist: Option<Artifact>,
    #[serde(default)]
    pub(super) wheels: Vec<Artifact>,
}

/// One file.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Artifact {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    #[serde(default, skip_serializing)]
    path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<u64>,
    pub(super) hashes: BTreeMap<String, String>,
}

impl Artifact {
    /// A file at an address.
    pub(super) fn at(name: String, url: String, size: u64, sha256: String) -> Self {
        Self {
            name: Some(name),
            url: Some(url),
            path: None,
            size: Some(size),
            hashes: BTreeMap::from([("sha256".to_owned(), sha256)]),
        }
    }

    fn file(&self) -> Option<String> {
        let place = || self.url.as_deref().or(self.path.as_deref());
        self.name.clone().or_else(|| file_name(place()?))
    }

    fn digests(&self) -> Vec<String> {
        self.hashes
            .iter()
            .map(|(algorithm, hex)| format!("{algorithm}:{hex}"))
            .collect()
    }
}

fn parse(text: &str) -> Result<Lock, LockError> {
    let lock: Lock =
        toml::from_str(text).map_err(|error| LockError::Form(error.message().to_owned()))?;
    if lock.lock_version == "1" || lock.lock_version.starts_with("1.") {
        Ok(lock)
    } else {
        Err(LockError::Version(lock.lock_version))
    }
}

/// The version that a package has: stated, or in the name of its wheels.
fn version(package: &Package) -> Option<String> {
    let named = || python::wheel_name(&package.wheels.first()?.file()?).map(|wheel| wheel.version);
    package.version.clone().or_else(named)
}

/// Reads a lock as an anchor.
pub(super) fn promises(text: &str) -> Result<Vec<Promise>, LockError> {
    let mut promises = Vec::new();
    for package in parse(text)?.packages {
        let entry = |what: &str| LockError::Entry(package.name.clone(), what.to_owned());
        let files: Vec<&Artifact> = package.wheels.iter().chain(&package.sdist).collect();
        if files.is_empty() {
            continue;
        }
        let version = version(&package).ok_or_else(|| entry("has no version"))?;
        for file in files {
            promises.push(Promise {
                name: package.name.clone(),
                version: version.clone(),
                file: Some(
                    file.file()
                        .ok_or_else(|| entry("has a file without a name"))?,
                ),
                digests: file.digests(),
            });
        }
    }
    Ok(promises)
}

/// Whether pip takes a file of this name for a lock of this form.
pub(in crate::manager) fn is_name(file: &str) -> bool {
    let middle = file
        .strip_prefix("pylock.")
        .and_then(|rest| rest.strip_suffix(".toml"));
    file == "pylock.toml" || middle.is_some_and(|name| !name.is_empty() && !name.contains('.'))
}

/// A lock as lines of a requirements file, one a package.
pub(in crate::manager) fn requirements(text: &str) -> Result<Vec<String>, LockError> {
    let mut lines = Vec::new();
    for package in parse(text)?.packages {
        let entry = |what: &str| LockError::Entry(package.name.clone(), what.to_owned());
        if package.wheels.is_empty() {
            return Err(entry("has no wheels, and nothing is built"));
        }
        let version = version(&package).ok_or_else(|| entry("has no version"))?;
        let marker = package.marker.as_deref().unwrap_or_default();
        if ["extras", "dependency_groups"]
            .iter()
            .any(|word| marker.contains(word))
        {
            return Err(entry(
                "is only for some extras or groups, which v4run cannot choose from a lock",
            ));
        }
        let mut text = format!("{}=={version}", package.name);
        if !marker.is_empty() {
            text = format!("{text}; {marker}");
        }
        let named = match requirement::parse(&text, |_| false) {
            Ok(Kind::Named(named)) if named.pinned.is_some() => named,
            Ok(_) => return Err(entry("has no exact version")),
            Err(error) => return Err(entry(&error.to_string())),
        };
        let mut line = named.text();
        let mut digests: Vec<String> = package.wheels.iter().flat_map(Artifact::digests).collect();
        digests.retain(|digest| matches!(super::digest(digest), Ok(Some(_))));
        if digests.is_empty() {
            return Err(entry("has no digest that suffices"));
        }
        digests.sort();
        digests.dedup();
        for digest in digests {
            line.push_str(" --hash=");
            line.push_str(&digest);
        }
        lines.push(line);
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(packages: &str) -> String {
        format!("lock-version = '1.0'\ncreated-by = 'x'\n{packages}")
    }

    fn package(more: &str) -> String {
        let digest = "aB".repeat(32);
        lock(&format!(
            "[[packages]]\nname = 'A_b'\nversion = '1.0'\n{more}\n[[packages.wheels]]\nurl = 'https://f.invalid/a_b-1.0-py3-none-any.whl'\nhashes = {{ sha256 = '{digest}', md5 = '00' }}\n"
        ))
    }

    #[test]
    fn a_lock_becomes_requirements_with_digests() {
        let lines = requirements(&package("marker = \"python_version >= '3.9'\"")).unwrap();
        let digest = "aB".repeat(32);
        assert_eq!(
            lines,
            [format!(
                "a-b==1.0; python_version >= '3.9' --hash=sha256:{digest}"
            )]
        );
    }

    #[test]
    fn an_anchor_speaks_of_each_file() {
        let promises = promises(&package("sdist = { name = 's.tar.gz', url = 'https://f.invalid/s', hashes = { sha256 = 'cc' } }")).unwrap();
        let files: Vec<_> = promises
            .iter()
            .map(|p| p.file.as_deref().unwrap())
            .collect();
        assert_eq!(files, ["a_b-1.0-py3-none-any.whl", "s.tar.gz"]);
    }

    #[test]
    fn what_cannot_be_installed_from_a_lock_is_refused() {
        for packages in [
            "[[packages]]\nname = 'a'\nvcs = { type = 'git', url = 'https://x', commit-id = 'c' }\n",
            "[[packages]]\nname = 'a'\ndirectory = { path = '.' }\n",
            "[[packages]]\nname = 'a'\nversion = '1'\nsdist = { url = 'https://f.invalid/a.tar.gz', hashes = { sha256 = 'cc' } }\n",
        ] {
            assert!(requirements(&lock(packages)).is_err(), "{packages}");
        }
        for more in [
            "marker = \"'x' in extras\"",
            "marker = 'a --pre'",
            "marker = \"\"\"a\nb\"\"\"",
        ] {
            assert!(requirements(&package(more)).is_err(), "{more}");
        }
        assert!(requirements(&package("").replace("'1.0'\ncreated", "'2.0'\ncreated")).is_err());
        assert!(
            requirements(&package("").replace("version = '1.0'\n\n", "version = '1.0 --pre'\n"))
                .is_err()
        );
    }

    #[test]
    fn names_are_those_that_pip_knows() {
        for name in ["pylock.toml", "pylock.dev.toml"] {
            assert!(is_name(name));
        }
        for name in [
            "pylock.a.b.toml",
            "pylock..toml",
            "xpylock.toml",
            "pylock.toml.txt",
        ] {
            assert!(!is_name(name), "{name}");
        }
    }
}
