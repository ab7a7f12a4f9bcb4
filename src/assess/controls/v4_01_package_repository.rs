//! Control 4.1: components come from a package repository.
//!
//! Folds the provenance of every installed package: released by the proxy, which only speaks to
//! allowed repositories, or not. The worst package decides.
//! SCVS 1.0, chapter V4, control 4.1.

use serde_json::json;

use crate::assess::views::{Provenance, provenance};
use crate::assess::{Control, Evidence, Verdict, worst};
use crate::model::{ControlId, Level, Status, Subject};

/// Control 4.1.
#[derive(Debug)]
pub(super) struct PackageRepository;

impl Control for PackageRepository {
    fn id(&self) -> ControlId {
        const { ControlId::new(1) }
    }

    fn title(&self) -> &'static str {
        "Components come from a package repository"
    }

    fn level(&self) -> Level {
        Level::L1
    }

    fn subject(&self) -> Subject {
        Subject::Component
    }

    fn interpretation(&self) -> &'static str {
        "Every installed component's bytes were released by the verifying proxy from an allowed \
         repository in this run. A component inside another one came with it and is counted \
         apart; one that was there before the run is unknown; one from a file or from nowhere \
         contradicts the control."
    }

    fn cannot_see(&self) -> &'static str {
        "Who stands behind the repository's name; where a component that was there before the \
         run came from."
    }

    fn assess(&self, evidence: &Evidence<'_>) -> Verdict {
        let packages = &evidence.index.packages;
        if packages.is_empty() {
            return Verdict::unknown("nothing was installed");
        }
        let (mut released, mut bundled, mut retained, mut own, mut foreign) = (0, 0, 0, 0, 0);
        let mut rows = Vec::new();
        let status = worst(packages.iter().map(|package| {
            let (kind, status, counter) = match provenance(&evidence.index, package) {
                Provenance::Released(_) => ("released", Status::Enforced, &mut released),
                Provenance::Bundled => ("bundled", Status::Observed, &mut bundled),
                Provenance::Retained => ("retained", Status::Unknown, &mut retained),
                Provenance::Own => ("project", Status::NotApplicable, &mut own),
                Provenance::File => ("file", Status::Violated, &mut foreign),
                Provenance::Conflict(_) => ("conflict", Status::Violated, &mut foreign),
                Provenance::Unseen => ("unseen", Status::Violated, &mut foreign),
            };
            *counter += 1;
            let source = evidence.index.release_of(package);
            rows.push(json!({
                "purl": package.purl,
                "path": package.path,
                "from": kind,
                "repository": source.map(|released| &released.repository),
                "url": source.map(|released| &released.url),
            }));
            status
        }));
        let applicable = packages.len() - own;
        if applicable == 0 {
            return Verdict::unknown("only directories of the project itself were installed");
        }
        let mut detail = format!(
            "{released} of {applicable} installed packages were released from allowed repositories"
        );
        for (count, what) in [
            (bundled, "came inside another one"),
            (retained, "were there before the run"),
            (foreign, "came from elsewhere"),
        ] {
            if count > 0 {
                detail.push_str(&format!(", {count} {what}"));
            }
        }
        Verdict::new(status, detail)
            .count("released", released)
            .count("bundled", bundled)
            .count("retained", retained)
            .count("elsewhere", foreign)
            .restrict(bundled > 0, format!("bundled {bundled}"))
            .restrict(retained > 0, format!("retained {retained}"))
            .share(released + bundled, applicable)
            .resting_on(json!(rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Event, InstalledPackage};
    use crate::record::fixture::{ended, healthy, package, released, started};

    fn status(packages: Vec<InstalledPackage>) -> Status {
        let mut events = started();
        events.push(Event::Released(released("x", "1.0.0", 1)));
        events.extend(ended(packages));
        PackageRepository.assess(&Evidence::new(&events)).status
    }

    #[test]
    fn the_worst_package_decides() {
        let base = || package("x", "1.0.0", 1);
        assert_eq!(status(vec![]), Status::Unknown);
        assert_eq!(status(vec![base()]), Status::Enforced);
        let bundled = InstalledPackage {
            bundled: true,
            ..base()
        };
        assert_eq!(status(vec![base(), bundled]), Status::Observed);
        let again = InstalledPackage {
            retained: true,
            ..base()
        };
        assert_eq!(status(vec![again]), Status::Enforced);
        let retained = InstalledPackage {
            retained: true,
            ..package("z", "1.0.0", 3)
        };
        assert_eq!(status(vec![base(), retained]), Status::Unknown);
        assert_eq!(
            status(vec![base(), package("y", "1.0.0", 2)]),
            Status::Violated
        );
        let file = InstalledPackage {
            resolved: Some("file:x.tgz".into()),
            ..package("z", "1.0.0", 3)
        };
        assert_eq!(status(vec![base(), file]), Status::Violated);
        let own = InstalledPackage {
            local: true,
            integrity: None,
            ..base()
        };
        assert_eq!(status(vec![own.clone()]), Status::Unknown);
        assert_eq!(status(vec![own, base()]), Status::Enforced);
    }

    #[test]
    fn the_numbers_are_told() {
        let events = healthy();
        let verdict = PackageRepository.assess(&Evidence::new(&events));
        assert_eq!(verdict.conforming, Some((4, 4)));
        assert!(verdict.detail.starts_with("4 of 4"), "{}", verdict.detail);
    }
}
