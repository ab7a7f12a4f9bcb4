//! Control 4.4: the repository supports publishing with a second factor.
//!
//! Folds what is stated about the operators of the repositories used and what probes saw of them;
//! an install alone shows nothing of it.
//! SCVS 1.0, chapter V4, control 4.4.

use crate::assess::repository::operator;
use crate::assess::{Control, Evidence, Verdict};
use crate::model::{ControlId, Level, Subject};

/// Control 4.4.
#[derive(Debug)]
pub(super) struct MfaPublishing;

impl Control for MfaPublishing {
    fn id(&self) -> ControlId {
        const { ControlId::new(4) }
    }

    fn title(&self) -> &'static str {
        "The repository supports publishing with a second factor"
    }

    fn level(&self) -> Level {
        Level::L2
    }

    fn subject(&self) -> Subject {
        Subject::Repository
    }

    fn interpretation(&self) -> &'static str {
        "The operator offers publishers a second factor for publishing. Supported by a dated \
         statement, or by versions whose metadata shows that it was used."
    }

    fn cannot_see(&self) -> &'static str {
        "Whether a publisher who could use it does."
    }

    fn assess(&self, evidence: &Evidence<'_>) -> Verdict {
        operator(evidence, self.id())
    }
}
