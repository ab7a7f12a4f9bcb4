//! Control 4.17: components are analysed before publication, with results to read.
//!
//! Folds what is stated about the operators of the repositories used and what probes saw of them;
//! an install alone shows nothing of it.
//! SCVS 1.0, chapter V4, control 4.17.

use crate::assess::repository::operator;
use crate::assess::{Control, Evidence, Verdict};
use crate::model::{ControlId, Level, Subject};

/// Control 4.17.
#[derive(Debug)]
pub(super) struct StaticAnalysis;

impl Control for StaticAnalysis {
    fn id(&self) -> ControlId {
        const { ControlId::new(17) }
    }

    fn title(&self) -> &'static str {
        "Components are analysed before publication, with results to read"
    }

    fn level(&self) -> Level {
        Level::L3
    }

    fn subject(&self) -> Subject {
        Subject::Repository
    }

    fn interpretation(&self) -> &'static str {
        "The operator analyses every version before it can be installed, and the result for the \
         exact digest can be read. A scan of v4run's own or of the user is compensation."
    }

    fn cannot_see(&self) -> &'static str {
        "How good the analysis is."
    }

    fn assess(&self, evidence: &Evidence<'_>) -> Verdict {
        operator(evidence, self.id())
    }
}
