//! The lock that a sync installed from, as a view of the environment beside the disk's and the proxy's.
//!
//! What uv was shown is noted before the start, so that a file that changes meanwhile changes nothing.
//! Afterwards every package that is new has to be one of the lock, in the version of the lock. What of
//! the lock is not there is no difference: groups, extras and markers leave parts of it out.

use std::collections::{BTreeMap, BTreeSet};

use crate::manager::Installed;
use crate::model::{Code, Expected, Finding};

/// Key among the notes of the preparation.
const LOCKED: &str = "locked";
/// Differences that are listed.
const LISTED: usize = 20;

/// A package of the lock, with its version.
pub(super) fn entry(expected: &Expected) -> String {
    format!("{}=={}", expected.name, expected.version)
}

/// The note for [`read`].
pub(super) fn note(entries: &[String]) -> (String, String) {
    let all: BTreeSet<&str> = entries.iter().map(String::as_str).collect();
    let lines: Vec<&str> = all.into_iter().collect();
    (LOCKED.to_owned(), lines.join("\n"))
}

/// The packages of the lock, when the run installed from one.
pub(super) fn read(notes: &BTreeMap<String, String>) -> Option<BTreeSet<&str>> {
    Some(notes.get(LOCKED)?.lines().collect())
}

/// Adds what is new and not of the lock.
pub(super) fn compare(locked: &BTreeSet<&str>, mut installed: Installed) -> Installed {
    let new = installed
        .packages
        .iter()
        .filter(|package| !package.retained);
    let stated = new.map(|package| format!("{}=={}", package.name, package.version));
    let stray = stated.filter(|entry| !locked.contains(entry.as_str()));
    let findings = stray.map(|entry| {
        let message = "is new, but the lock that was installed from does not name it";
        Finding::new(Code::ViewMismatch, entry, message)
    });
    let findings: Vec<Finding> = findings.take(LISTED).collect();
    installed.findings.extend(findings);
    installed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::InstalledPackage;

    fn package(name: &str, version: &str, retained: bool) -> InstalledPackage {
        InstalledPackage {
            purl: String::new(),
            name: name.to_owned(),
            version: version.to_owned(),
            path: name.to_owned(),
            integrity: None,
            resolved: None,
            dev: false,
            optional: false,
            bundled: false,
            retained,
            local: false,
            scripts: Vec::new(),
            dependencies: Vec::new(),
            details: BTreeMap::new(),
        }
    }

    #[test]
    fn what_is_new_is_of_the_lock() {
        let entries = ["a==1", "b==2", "a==1"].map(str::to_owned);
        let notes = BTreeMap::from([note(&entries)]);
        let locked = read(&notes).unwrap();
        assert_eq!(locked.len(), 2);
        assert!(read(&BTreeMap::new()).is_none());
        let installed = Installed {
            packages: vec![
                package("a", "1", false),
                package("b", "3", false),
                package("c", "1", false),
                package("d", "1", true),
            ],
            ..Installed::default()
        };
        let compared = compare(&locked, installed);
        let stray: Vec<&str> = compared
            .findings
            .iter()
            .map(|one| one.subject.as_str())
            .collect();
        assert_eq!(stray, ["b==3", "c==1"]);
        assert!(!compared.chooses);
        // A lock of nothing allows nothing new.
        let notes = BTreeMap::from([note(&[])]);
        let installed = Installed {
            packages: vec![package("a", "1", false)],
            ..Installed::default()
        };
        assert_eq!(compare(&read(&notes).unwrap(), installed).findings.len(), 1);
    }
}
