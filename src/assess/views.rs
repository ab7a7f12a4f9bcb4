//! Three views of one install: what the proxy released, what the manager recorded, what is on disk.
//!
//! The manager's driver compares its own record with the disk; here both are compared with the
//! proxy. Called by the session before the seal, so that differences become findings, and by
//! control 4.19. It needs the tree to have been read back; without that it says nothing.

use std::collections::HashSet;

use url::Url;

use crate::model::{Code, Finding, InstalledPackage, Released};
use crate::record::{Index, Origin};

/// Differences that are reported one by one.
const REPORTED: usize = 50;

/// Where an installed package came from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Provenance<'a> {
    /// Released by the proxy in this run.
    Released(&'a Released),
    /// Inside another package.
    Bundled,
    /// There before the run.
    Retained,
    /// An artifact file on this machine.
    File,
    /// A directory of the project itself.
    Own,
    /// Released with another digest than the manager recorded.
    Conflict(&'a Released),
    /// From nowhere that was seen.
    Unseen,
}

/// Where a package came from, as far as this run shows.
pub(super) fn provenance<'a>(index: &Index<'a>, package: &InstalledPackage) -> Provenance<'a> {
    if package.bundled {
        return Provenance::Bundled;
    }
    if package.local {
        return Provenance::Own;
    }
    match index.origin_of(package) {
        // What was there before and was fetched again counts as fetched.
        Origin::Released(released) => Provenance::Released(released),
        _ if package.retained => Provenance::Retained,
        Origin::Conflict(released) => Provenance::Conflict(released),
        Origin::None if is_file(package) => Provenance::File,
        Origin::None => Provenance::Unseen,
    }
}

/// Whether the manager's record names an artifact file with its digest: no web address.
fn is_file(package: &InstalledPackage) -> bool {
    package.integrity.is_some()
        && package.resolved.as_deref().is_some_and(|text| {
            !Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
        })
}

/// How many packages were there before the run and not fetched again.
pub(super) fn retained(index: &Index<'_>) -> usize {
    let is_retained =
        |package: &&&InstalledPackage| matches!(provenance(index, package), Provenance::Retained);
    index.packages.iter().filter(is_retained).count()
}

/// The differences between the three views, as findings.
pub fn compare(index: &Index<'_>) -> Vec<Finding> {
    if index.direct.is_none() {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let mut used = HashSet::new();
    for package in &index.packages {
        if let Origin::Released(released) = index.origin_of(package) {
            used.insert(&released.sha256);
        }
        findings.extend(difference(index, package));
    }
    // A failed install is rolled back or left in part: only a success has to hold all of it. Where
    // the manager chooses, what it says it took is compared with the disk by its driver.
    if index.manager_succeeded() && !index.chooses {
        let unused = index
            .released
            .iter()
            .filter(|released| !used.contains(&released.sha256));
        findings.extend(unused.map(|released| {
            let label = format!("{}@{}", released.name, released.version);
            let message = format!("`{label}` was fetched and is not installed");
            Finding::new(Code::ViewMismatch, label, message)
        }));
    }
    let hidden = findings.len().saturating_sub(REPORTED);
    if hidden > 0 {
        findings.truncate(REPORTED);
        findings.push(Finding::new(
            Code::ViewMismatch,
            "install tree",
            format!("{hidden} more packages differ between what was fetched and what is installed"),
        ));
    }
    findings
}

fn difference(index: &Index<'_>, package: &InstalledPackage) -> Option<Finding> {
    let label = format!("{}@{}", package.name, package.version);
    let message = match provenance(index, package) {
        Provenance::Unseen => {
            format!(
                "`{label}` is installed at `{}` and was not fetched in this run",
                package.path
            )
        }
        Provenance::Conflict(released) => {
            let recorded = package
                .integrity
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default();
            let given: Vec<_> = released.digests().map(ToString::to_string).collect();
            format!(
                "the package manager recorded another digest for `{label}` than the bytes it was \
                 given\nrecorded {recorded}\nreleased {}",
                given.join(" ")
            )
        }
        Provenance::Released(_)
        | Provenance::Bundled
        | Provenance::Retained
        | Provenance::File
        | Provenance::Own => return None,
    };
    Some(Finding::new(Code::ViewMismatch, label, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Event;
    use crate::record::fixture::{ended, healthy, package, released, started};

    fn compared(events: &[Event]) -> Vec<String> {
        compare(&Index::new(events))
            .into_iter()
            .map(|finding| finding.message)
            .collect()
    }

    fn run(fetched: Vec<Released>, packages: Vec<InstalledPackage>) -> Vec<Event> {
        let mut events = started();
        events.extend(fetched.into_iter().map(Event::Released));
        events.extend(ended(packages));
        events
    }

    #[test]
    fn an_ordinary_install_has_no_difference() {
        assert_eq!(compared(&healthy()), [""; 0]);
    }

    #[test]
    fn a_package_that_nobody_fetched_is_found() {
        let found = compared(&run(vec![], vec![package("x", "1.0.0", 1)]));
        assert!(found[0].contains("was not fetched"), "{found:?}");
    }

    #[test]
    fn another_digest_than_released_is_found() {
        let found = compared(&run(
            vec![released("x", "1.0.0", 1)],
            vec![package("x", "1.0.0", 2)],
        ));
        assert!(found[0].contains("another digest"), "{found:?}");
    }

    #[test]
    fn what_was_fetched_and_is_not_there_is_found_after_success_only() {
        let mut events = run(vec![released("x", "1.0.0", 1)], vec![]);
        assert!(compared(&events)[0].contains("not installed"));
        for event in &mut events {
            if let Event::ManagerExited { code, .. } = event {
                *code = Some(1);
            }
        }
        assert_eq!(compared(&events), [""; 0]);
    }

    #[test]
    fn a_manager_that_chooses_may_leave_what_it_fetched() {
        let fetched = vec![released("x", "2.0.0", 2), released("x", "1.0.0", 1)];
        let mut events = run(fetched, vec![package("x", "1.0.0", 1)]);
        assert!(compared(&events)[0].contains("`x@2.0.0` was fetched"));
        for event in &mut events {
            if let Event::Inspected { chooses, .. } = event {
                *chooses = true;
            }
        }
        assert_eq!(compared(&events), [""; 0]);
    }

    #[test]
    fn bundled_retained_and_local_packages_need_no_fetch() {
        let base = || package("x", "1.0.0", 1);
        let local = |path: &str| Some(path.to_owned());
        let packages = vec![
            InstalledPackage {
                bundled: true,
                ..base()
            },
            InstalledPackage {
                retained: true,
                ..base()
            },
            InstalledPackage {
                resolved: local("file:vendor/x.tgz"),
                ..base()
            },
            InstalledPackage {
                resolved: None,
                integrity: None,
                local: true,
                ..base()
            },
        ];
        assert_eq!(compared(&run(vec![], packages)), [""; 0]);
    }

    #[test]
    fn many_differences_are_bounded() {
        let packages = (0..200)
            .map(|index| package(&format!("x{index}"), "1.0.0", 1))
            .collect::<Vec<_>>();
        assert_eq!(compared(&run(vec![], packages)).len(), REPORTED + 1);
    }
}
