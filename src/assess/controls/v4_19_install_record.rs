//! Control 4.19: the client documents what it installed, for machines.
//!
//! The record exists by construction; it is complete only when what the proxy released, what the
//! manager recorded and what is on disk are the same. A difference contradicts the control.
//! SCVS 1.0, chapter V4, control 4.19.

use serde_json::json;

use crate::assess::verdict::things;
use crate::assess::views::{compare, retained};
use crate::assess::{Control, Evidence, Verdict};
use crate::model::{ControlId, Level, Status, Subject};

/// Control 4.19.
#[derive(Debug)]
pub(super) struct InstallRecord;

impl Control for InstallRecord {
    fn id(&self) -> ControlId {
        const { ControlId::new(19) }
    }

    fn title(&self) -> &'static str {
        "The client documents what it installed, for machines"
    }

    fn level(&self) -> Level {
        Level::L1
    }

    fn subject(&self) -> Subject {
        Subject::Client
    }

    fn interpretation(&self) -> &'static str {
        "v4run leaves a machine-readable record of every install, also of a failed or refused \
         one. It counts as complete when three views agree: what the proxy released, what the \
         package manager recorded, what is on disk afterwards."
    }

    fn cannot_see(&self) -> &'static str {
        "Changes to the install after the run."
    }

    fn assess(&self, evidence: &Evidence<'_>) -> Verdict {
        let index = &evidence.index;
        if index.direct.is_none() {
            return Verdict::unknown("no install tree was read back");
        }
        let differences = compare(index);
        let packages = index.packages.len();
        let retained = retained(index);
        let rows = json!({
            "released": index.released.len(),
            "installed": packages,
            "components": index.purls().len(),
            "differences": differences.iter().map(|finding| &finding.message).collect::<Vec<_>>(),
        });
        let verdict = if !differences.is_empty() {
            Verdict::new(
                Status::Violated,
                format!(
                    "{} between the three views of the install",
                    things(differences.len(), "difference")
                ),
            )
        } else if packages == 0 {
            Verdict::unknown("nothing was installed")
        } else if !index.manager_succeeded() {
            Verdict::unknown("the package manager did not finish the install")
        } else {
            // What was there before has two views only.
            let status = if retained == 0 {
                Status::Enforced
            } else {
                Status::Observed
            };
            let mut detail = format!(
                "{}: proxy, package manager and disk agree",
                things(packages - retained, "installed package")
            );
            if retained > 0 {
                detail.push_str(&format!("; {retained} more were there before the run"));
            }
            Verdict::new(status, detail)
        };
        verdict
            .count("installed", packages)
            .count("released", index.released.len())
            .count("differences", differences.len())
            .count("retained", retained)
            .restrict(retained > 0, format!("retained {retained}"))
            .share(packages.saturating_sub(differences.len()), packages)
            .resting_on(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Event;
    use crate::record::fixture::{ended, healthy, package, started};

    fn status(events: &[Event]) -> Status {
        InstallRecord.assess(&Evidence::new(events)).status
    }

    #[test]
    fn three_views_must_agree() {
        assert_eq!(status(&healthy()), Status::Enforced);
        assert_eq!(status(&started()), Status::Unknown);
        let mut empty = started();
        empty.extend(ended(vec![]));
        assert_eq!(status(&empty), Status::Unknown);
        let mut unseen = started();
        unseen.extend(ended(vec![package("x", "1.0.0", 1)]));
        assert_eq!(status(&unseen), Status::Violated);
    }

    #[test]
    fn an_unfinished_install_is_unknown() {
        let mut events = healthy();
        for event in &mut events {
            if let Event::ManagerExited { code, .. } = event {
                *code = Some(1);
            }
        }
        assert_eq!(status(&events), Status::Unknown);
    }
}
