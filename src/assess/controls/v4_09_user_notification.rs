//! Control 4.9: the repository notifies users of security issues.
//!
//! Folds what is stated about the operators of the repositories used and what probes saw of them;
//! an install alone shows nothing of it.
//! SCVS 1.0, chapter V4, control 4.9.

use crate::assess::repository::operator;
use crate::assess::{Control, Evidence, Verdict};
use crate::model::{ControlId, Level, Subject};

/// Control 4.9.
#[derive(Debug)]
pub(super) struct UserNotification;

impl Control for UserNotification {
    fn id(&self) -> ControlId {
        const { ControlId::new(9) }
    }

    fn title(&self) -> &'static str {
        "The repository notifies users of security issues"
    }

    fn level(&self) -> Level {
        Level::L3
    }

    fn subject(&self) -> Subject {
        Subject::Repository
    }

    fn interpretation(&self) -> &'static str {
        "The repository tells, in its own protocol, which versions have known security issues. A \
         dated statement declares it; a probe shows it when the interface names a version with a \
         known issue, and an empty answer for others counts only after that."
    }

    fn cannot_see(&self) -> &'static str {
        "Issues that nobody has published."
    }

    fn assess(&self, evidence: &Evidence<'_>) -> Verdict {
        operator(evidence, self.id())
    }
}
