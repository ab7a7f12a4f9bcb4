//! Control 4.9: the repository notifies users of security issues.
//!
//! The evidence for it is not among the events of an install, so the verdict is unknown, with the
//! reason, unless a refusal contradicts it (applied for all controls alike in the parent module).
//! SCVS 1.0, chapter V4, control 4.9.

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
        "The repository answers, in its own protocol, which installed versions have known \
         security issues. An empty answer counts only after a version with a known issue was \
         reported by the same interface in the same run."
    }

    fn cannot_see(&self) -> &'static str {
        "Issues that nobody has published."
    }

    fn assess(&self, _evidence: &Evidence<'_>) -> Verdict {
        Verdict::unknown("the advisory interface was not asked with a known case in this run")
    }
}
