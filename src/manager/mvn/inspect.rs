//! Reads back what a run left in the local repository.
//!
//! The local repository is shared by all projects of a user, so it is no install tree: what belongs to
//! this run is what this run fetched or opened, and that is in the record already, with its digest.

use std::collections::BTreeMap;
use std::path::Path;

use crate::manager::{Installed, Prepared, Snapshot};

/// What [`inspect`] wants to know again.
pub(super) fn notes(local: &Path, goals: &str) -> BTreeMap<String, String> {
    let entry = |key: &str, value: String| (key.to_owned(), value);
    BTreeMap::from([
        entry("local", local.display().to_string()),
        entry("goals", goals.to_owned()),
    ])
}

/// Nothing: what lies in the local repository before a run says nothing about the run.
pub(super) fn snapshot(_prepared: &Prepared) -> Snapshot {
    Snapshot::new()
}

/// See [`crate::manager::Manager::inspect`].
pub(super) fn inspect(_prepared: &Prepared, _before: &Snapshot) -> Installed {
    Installed {
        chooses: true,
        ..Installed::default()
    }
}
