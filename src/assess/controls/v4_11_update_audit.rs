//! Control 4.11: updates of components can be audited.
//!
//! The evidence for it is not among the events of an install, so the verdict is unknown, with the
//! reason, unless a refusal contradicts it (applied for all controls alike in the parent module).
//! SCVS 1.0, chapter V4, control 4.11.

use crate::assess::{Control, Evidence, Verdict};
use crate::model::{ControlId, Level, Subject};

/// Control 4.11.
#[derive(Debug)]
pub(super) struct UpdateAudit;

impl Control for UpdateAudit {
    fn id(&self) -> ControlId {
        const { ControlId::new(11) }
    }

    fn title(&self) -> &'static str {
        "Updates of components can be audited"
    }

    fn level(&self) -> Level {
        Level::L1
    }

    fn subject(&self) -> Subject {
        Subject::Repository
    }

    fn interpretation(&self) -> &'static str {
        "The repository states when each version was published and changed, and a version never \
         changes its digest between runs."
    }

    fn cannot_see(&self) -> &'static str {
        "Changes between two runs of which neither saw the other's digest."
    }

    fn assess(&self, _evidence: &Evidence<'_>) -> Verdict {
        Verdict::unknown("publication times were not evaluated in this run")
    }
}
