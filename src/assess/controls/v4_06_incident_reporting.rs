//! Control 4.6: the repository takes reports of security incidents.
//!
//! Folds what is stated about the operators of the repositories used and what probes saw of them;
//! an install alone shows nothing of it.
//! SCVS 1.0, chapter V4, control 4.6.

use crate::assess::repository::operator;
use crate::assess::{Control, Evidence, Verdict};
use crate::model::{ControlId, Level, Subject};

/// Control 4.6.
#[derive(Debug)]
pub(super) struct IncidentReporting;

impl Control for IncidentReporting {
    fn id(&self) -> ControlId {
        const { ControlId::new(6) }
    }

    fn title(&self) -> &'static str {
        "The repository takes reports of security incidents"
    }

    fn level(&self) -> Level {
        Level::L2
    }

    fn subject(&self) -> Subject {
        Subject::Repository
    }

    fn interpretation(&self) -> &'static str {
        "There is a published way to report a malicious or compromised component to the \
         operator, and it is current."
    }

    fn cannot_see(&self) -> &'static str {
        "Whether reports are read and acted upon."
    }

    fn assess(&self, evidence: &Evidence<'_>) -> Verdict {
        operator(evidence, self.id())
    }
}
