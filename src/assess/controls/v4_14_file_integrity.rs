//! Control 4.14: the client verifies the integrity of what it reads from disk.
//!
//! Folds the opens of artifact files: each handed out is a sealed copy that was hashed first. No
//! such open in a watched run is a proven absence.
//! SCVS 1.0, chapter V4, control 4.14.

use serde_json::json;

use crate::assess::verdict::things;
use crate::assess::views::retained;
use crate::assess::{Control, Evidence, Verdict};
use crate::model::{ControlId, Decision, Level, Status, Subject};

/// Control 4.14.
#[derive(Debug)]
pub(super) struct FileIntegrity;

impl Control for FileIntegrity {
    fn id(&self) -> ControlId {
        const { ControlId::new(14) }
    }

    fn title(&self) -> &'static str {
        "The client verifies the integrity of what it reads from disk"
    }

    fn level(&self) -> Level {
        Level::L1
    }

    fn subject(&self) -> Subject {
        Subject::Client
    }

    fn interpretation(&self) -> &'static str {
        "Every artifact file that the package manager opens is hashed first and handed out as a \
         sealed copy or a view of one, and only when the lockfile, the policy or a release of this \
         run names its digest, or, in a directory that the manager keeps, one of an earlier run."
    }

    fn cannot_see(&self) -> &'static str {
        "Packages that were unpacked before the run: their files are no artifacts any more."
    }

    fn assess(&self, evidence: &Evidence<'_>) -> Verdict {
        let handed: Vec<_> = evidence
            .index
            .calls
            .iter()
            .filter(|call| call.decision == Decision::Allowed)
            .filter_map(|call| Some((call.subject, call.digest?)))
            .collect();
        let retained = retained(&evidence.index);
        let count = handed.len();
        let verdict = if count == 0 {
            Verdict::new(Status::NotApplicable, "no artifact file was opened")
        } else {
            let detail = format!(
                "{} hashed, matched and handed out sealed",
                things(count, "artifact file")
            );
            let rows: Vec<_> = handed
                .iter()
                .map(|(path, digest)| json!({"path": path, "digest": digest}))
                .collect();
            Verdict::new(Status::Enforced, detail)
                .share(count, count)
                .resting_on(json!(rows))
        };
        verdict
            .count("matched", count)
            .restrict(retained > 0, format!("retained {retained}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Algorithm, Event};
    use crate::record::fixture::digest;

    fn open(decision: Decision, hashed: bool) -> Event {
        Event::Call {
            call: "openat".into(),
            subject: "/project/vendor/x.tgz".into(),
            decision,
            digest: hashed.then(|| digest(Algorithm::Sha512, 1)),
        }
    }

    #[test]
    fn only_hashed_and_handed_out_files_count() {
        let status = |events: &[Event]| FileIntegrity.assess(&Evidence::new(events)).status;
        assert_eq!(status(&[]), Status::NotApplicable);
        assert_eq!(
            status(&[open(Decision::Allowed, false)]),
            Status::NotApplicable
        );
        assert_eq!(
            status(&[open(Decision::Refused(13), true)]),
            Status::NotApplicable
        );
        assert_eq!(status(&[open(Decision::Allowed, true)]), Status::Enforced);
    }
}
