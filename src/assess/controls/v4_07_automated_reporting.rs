//! Control 4.7: reporting of incidents can be automated.
//!
//! Folds what is stated about the operators of the repositories used and what probes saw of them;
//! an install alone shows nothing of it.
//! SCVS 1.0, chapter V4, control 4.7.

use crate::assess::repository::operator;
use crate::assess::{Control, Evidence, Verdict};
use crate::model::{ControlId, Level, Subject};

/// Control 4.7.
#[derive(Debug)]
pub(super) struct AutomatedReporting;

impl Control for AutomatedReporting {
    fn id(&self) -> ControlId {
        const { ControlId::new(7) }
    }

    fn title(&self) -> &'static str {
        "Reporting of incidents can be automated"
    }

    fn level(&self) -> Level {
        Level::L3
    }

    fn subject(&self) -> Subject {
        Subject::Repository
    }

    fn interpretation(&self) -> &'static str {
        "A program can report a component through a documented interface of the operator."
    }

    fn cannot_see(&self) -> &'static str {
        "Whether reports from programs are acted upon."
    }

    fn assess(&self, evidence: &Evidence<'_>) -> Verdict {
        operator(evidence, self.id())
    }
}
