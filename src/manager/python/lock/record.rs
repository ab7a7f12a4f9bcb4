//! From the events of a record to the lock of what its run installed.
//!
//! Only what v4run released with a verified digest is locked. A package that was there before the
//! run was never seen as a wheel: where one of the installed packages needs it, a lock without it
//! would be incomplete, and one with it would claim a digest that nobody compared; that is refused.

use std::collections::BTreeSet;

use url::Url;

use super::write::{Locked, WriteError, write};
use crate::model::{Event, InstalledPackage, Released, python};

/// Why a record gives no lock.
#[derive(Debug, thiserror::Error)]
pub(in crate::manager) enum LockRecordError {
    /// Packages that the run found installed.
    #[error(
        "{0} is needed and was installed before the run, so that its wheel was not seen; lock from an \
         install into a fresh environment"
    )]
    Retained(String),
    /// Packages on disk that nothing was released for.
    #[error("{0} is installed and was not released by the proxy of this run")]
    Unseen(String),
    /// The lock itself.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The text of `pylock.toml` for what a run installed; for a run that installs nothing (`download`),
/// for what it fetched.
pub(in crate::manager) fn from_events(events: &[Event]) -> Result<String, LockRecordError> {
    let mut installed: Option<Vec<&InstalledPackage>> = None;
    let mut released = Vec::new();
    for event in events {
        if let Event::Inspected { .. } = event {
            installed.get_or_insert_default();
        } else if let Event::Installed(package) = event {
            installed.get_or_insert_default().push(package);
        } else if let Event::Released(one) = event {
            released.push(one);
        }
    }
    if let Some(installed) = installed {
        let of = |package: &InstalledPackage| identity(&package.name, &package.version);
        let fresh: Vec<_> = installed
            .iter()
            .filter(|package| !package.local && !package.retained)
            .collect();
        let needed: BTreeSet<_> = fresh.iter().flat_map(|one| &one.dependencies).collect();
        let retained = installed
            .iter()
            .find(|package| package.retained && needed.contains(&package.path));
        if let Some(package) = retained {
            return Err(LockRecordError::Retained(package.purl.clone()));
        }
        let wanted: BTreeSet<_> = fresh.iter().map(|package| of(package)).collect();
        released.retain(|one| wanted.contains(&identity(&one.name, &one.version)));
        let seen: BTreeSet<_> = released
            .iter()
            .map(|one| identity(&one.name, &one.version))
            .collect();
        if let Some(package) = fresh.iter().find(|package| !seen.contains(&of(package))) {
            return Err(LockRecordError::Unseen(package.purl.clone()));
        }
    }
    let locked: Vec<Locked> = released.into_iter().map(locked).collect();
    Ok(write(&locked)?)
}

fn identity(name: &str, version: &str) -> (String, String) {
    (
        python::normalize_name(name).unwrap_or_else(|| name.to_owned()),
        python::normalize_version(version).unwrap_or_else(|| version.to_owned()),
    )
}

fn locked(one: &Released) -> Locked {
    let file = Url::parse(&one.url)
        .ok()
        .and_then(|url| url.path_segments()?.next_back().map(decoded))
        .unwrap_or_default();
    Locked {
        name: one.name.clone(),
        version: one.version.clone(),
        file,
        url: one.url.clone(),
        sha256: one.sha256.hex(),
        size: one.size,
        index: None,
        marker: None,
    }
}

fn decoded(segment: &str) -> String {
    percent_encoding::percent_decode_str(segment)
        .decode_utf8_lossy()
        .into_owned()
}
