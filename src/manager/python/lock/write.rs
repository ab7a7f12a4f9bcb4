//! Writes a `pylock.toml` from what a run installed, so that the next run has a committed anchor.
//!
//! Called by `v4run lock` with the components of a record. A pure function: the same components
//! give the same text. It states only what v4run saw: the wheel that was released for this platform
//! with its digest, not the other files of the version.
//! Form: version 1, <https://packaging.python.org/en/latest/specifications/pylock-toml/>.

use super::pylock::{Artifact, Lock, Package};
use crate::model::python;

/// One released wheel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Locked {
    /// Package name.
    pub(super) name: String,
    /// Its version.
    pub(super) version: String,
    /// File name of the wheel.
    pub(super) file: String,
    /// Where it was fetched, without credentials.
    pub(super) url: String,
    /// SHA-256, hex.
    pub(super) sha256: String,
    /// Size in bytes.
    pub(super) size: u64,
    /// The index that named it, without credentials.
    pub(super) index: Option<String>,
    /// Environment marker of its requirement.
    pub(super) marker: Option<String>,
}

/// Why no lock can be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(in crate::manager) enum WriteError {
    /// There is nothing to lock.
    #[error("the record names no wheel that was released")]
    Empty,
    /// A file that is not the wheel that it should be.
    #[error("`{0}` is not the name of a wheel of `{1}`")]
    File(String, String),
    /// Two versions of one package: no lock for one environment.
    #[error("`{0}` was released in two versions")]
    Versions(String),
    /// The text could not be made.
    #[error("the lock cannot be written as TOML")]
    Toml(#[source] toml::ser::Error),
}

/// The lock as text.
pub(super) fn write(components: &[Locked]) -> Result<String, WriteError> {
    let mut sorted: Vec<&Locked> = components.iter().collect();
    sorted.sort_by(|a, b| (&a.name, &a.file).cmp(&(&b.name, &b.file)));
    sorted.dedup();
    let mut packages: Vec<Package> = Vec::new();
    for one in sorted {
        let other = || WriteError::File(one.file.clone(), one.name.clone());
        let name = python::normalize_name(&one.name).ok_or_else(other)?;
        python::wheel_name(&one.file)
            .filter(|wheel| wheel.name == name)
            .ok_or_else(other)?;
        let wheel = Artifact::at(
            one.file.clone(),
            one.url.clone(),
            one.size,
            one.sha256.clone(),
        );
        match packages.iter_mut().find(|package| package.name == name) {
            Some(known) if known.version.as_deref() == Some(one.version.as_str()) => {
                known.wheels.push(wheel)
            }
            Some(_) => return Err(WriteError::Versions(name)),
            None => packages.push(Package::locked(name, one, wheel)),
        }
    }
    if packages.is_empty() {
        return Err(WriteError::Empty);
    }
    packages.sort_by(|a, b| a.name.cmp(&b.name));
    let lock = Lock {
        lock_version: "1.0".to_owned(),
        requires_python: None,
        created_by: "v4run".to_owned(),
        packages,
    };
    toml::to_string(&lock).map_err(WriteError::Toml)
}

impl Package {
    fn locked(name: String, one: &Locked, wheel: Artifact) -> Self {
        Self {
            name,
            version: Some(one.version.clone()),
            marker: one.marker.clone(),
            index: one.index.clone(),
            sdist: None,
            wheels: vec![wheel],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::python::lock::pylock;

    fn locked(name: &str, version: &str, file: &str) -> Locked {
        Locked {
            name: name.to_owned(),
            version: version.to_owned(),
            file: file.to_owned(),
            url: format!("https://f.invalid/{file}"),
            sha256: "ab".repeat(32),
            size: 7,
            index: Some("https://i.invalid/simple/".to_owned()),
            marker: (name == "b").then(|| "python_version >= '3.9'".to_owned()),
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let components = [
            locked("b", "2", "b-2-py3-none-any.whl"),
            locked("A.c", "1.0", "a_c-1.0-py3-none-any.whl"),
            locked("b", "2", "b-2-py3-none-any.whl"),
        ];
        let text = write(&components).unwrap();
        assert!(
            text.starts_with("lock-version = \"1.0\"\ncreated-by = \"v4run\"\n"),
            "{text}"
        );
        let digest = "ab".repeat(32);
        assert_eq!(
            pylock::requirements(&text).unwrap(),
            [
                format!("a-c==1.0 --hash=sha256:{digest}"),
                format!("b==2; python_version >= '3.9' --hash=sha256:{digest}"),
            ]
        );
        let files: Vec<_> = pylock::promises(&text)
            .unwrap()
            .into_iter()
            .map(|p| p.file.unwrap())
            .collect();
        assert_eq!(files, ["a_c-1.0-py3-none-any.whl", "b-2-py3-none-any.whl"]);
        let mut turned = components.clone();
        turned.reverse();
        assert_eq!(write(&turned).unwrap(), text);
    }

    #[test]
    fn what_is_no_single_environment_is_an_error() {
        assert_eq!(write(&[]), Err(WriteError::Empty));
        assert!(matches!(
            write(&[locked("a", "1", "a-1.tar.gz")]),
            Err(WriteError::File(..))
        ));
        assert!(matches!(
            write(&[locked("a", "1", "b-1-py3-none-any.whl")]),
            Err(WriteError::File(..))
        ));
        let two = [
            locked("a", "1", "a-1-py3-none-any.whl"),
            locked("a", "2", "a-2-py3-none-any.whl"),
        ];
        assert!(matches!(write(&two), Err(WriteError::Versions(_))));
    }
}
