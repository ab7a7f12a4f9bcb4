//! `Pipfile.lock`: packages with the digests that any of their files may have.
//!
//! It names no files, so each statement speaks of every file of a version. Entries without
//! `version` (git, path, editable) are passed over; an entry without digests is an error, because
//! the tool itself always writes them.
//! Form: <https://pipenv.pypa.io/en/latest/pipfile.html#pipfile-lock>.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{LockError, Promise};

#[derive(Deserialize)]
struct Lock {
    #[serde(rename = "_meta")]
    meta: Meta,
    #[serde(flatten)]
    categories: BTreeMap<String, BTreeMap<String, Package>>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "pipfile-spec")]
    version: u64,
}

#[derive(Deserialize)]
struct Package {
    version: Option<String>,
    #[serde(default)]
    hashes: Vec<String>,
}

/// Reads a lock.
pub(super) fn promises(text: &str) -> Result<Vec<Promise>, LockError> {
    let lock: Lock =
        serde_json::from_str(text).map_err(|error| LockError::Form(error.to_string()))?;
    if lock.meta.version != 6 {
        return Err(LockError::Version(lock.meta.version.to_string()));
    }
    let mut promises = Vec::new();
    for (name, package) in lock.categories.into_values().flatten() {
        let Some(version) = package.version else {
            continue;
        };
        let Some(version) = version
            .strip_prefix("==")
            .filter(|rest| !rest.contains('*'))
        else {
            return Err(LockError::Entry(name, "has no exact version".to_owned()));
        };
        promises.push(Promise {
            name,
            version: version.trim_start_matches('=').to_owned(),
            file: None,
            digests: package.hashes,
        });
    }
    Ok(promises)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_is_read() {
        let text = r#"{"_meta":{"hash":{"sha256":"x"},"pipfile-spec":6,"requires":{},"sources":[]},
            "default":{"a":{"hashes":["sha256:aa","sha256:bb"],"index":"i","version":"==1.0"},"g":{"git":"https://x"}},
            "develop":{"b":{"hashes":["sha256:cc"],"version":"===2"}}}"#;
        let found = promises(text).unwrap();
        let rows: Vec<_> = found
            .iter()
            .map(|p| (p.name.as_str(), p.version.as_str(), p.digests.len()))
            .collect();
        assert_eq!(rows, [("a", "1.0", 2), ("b", "2", 1)]);
        assert!(promises(&text.replace("==1.0", ">=1.0")).is_err());
        assert!(promises(&text.replace(":6", ":7")).is_err());
    }
}
