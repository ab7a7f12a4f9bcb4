//! Entry points of the fuzz targets for npm's files: lockfiles, manifests and configuration.
//!
//! Compiled for tests and for the fuzz build only. Each takes any bytes and must come back.

use std::collections::BTreeMap;
use std::path::Path;

use url::Url;

use super::check::Checker;
use super::lockfile::{self, Lock};
use super::manifest::Manifest;
use super::npmrc;
use super::registry::{Registries, Replace};

/// A lockfile: read, and every entry of it checked.
pub fn lockfile(bytes: &[u8]) {
    let Ok(packages) = lockfile::parse(bytes) else {
        return;
    };
    let Ok(default) = Url::parse("https://r.invalid/") else {
        return;
    };
    let lock = Lock {
        path: "/p/package-lock.json".into(),
        bytes: bytes.to_vec(),
        packages,
    };
    let registries = Registries {
        default,
        scopes: BTreeMap::new(),
        replace: Replace::Host("r.invalid".to_owned()),
    };
    let checker = Checker {
        root: Path::new("/nonexistent"),
        registries: &registries,
        repositories: &[],
    };
    let _ = checker.lock(&lock, &[]);
}

/// A manifest.
pub fn manifest(bytes: &[u8]) {
    let _ = Manifest::parse(bytes);
}

/// A configuration file, as a user's and as a project's.
pub fn configuration(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for entry in npmrc::lenient(&text) {
        let _ = npmrc::expand(&entry.value, &BTreeMap::new());
    }
    let _ = npmrc::strict(&text);
}
