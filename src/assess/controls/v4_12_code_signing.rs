//! Control 4.12: the repository demands signed components.
//!
//! Folds what is stated about the operators of the repositories used and what probes saw of them;
//! an install alone shows nothing of it.
//! SCVS 1.0, chapter V4, control 4.12.

use crate::assess::repository::operator;
use crate::assess::{Control, Evidence, Verdict};
use crate::model::{ControlId, Level, Subject};

/// Control 4.12.
#[derive(Debug)]
pub(super) struct CodeSigning;

impl Control for CodeSigning {
    fn id(&self) -> ControlId {
        const { ControlId::new(12) }
    }

    fn title(&self) -> &'static str {
        "The repository demands signed components"
    }

    fn level(&self) -> Level {
        Level::L2
    }

    fn subject(&self) -> Subject {
        Subject::Repository
    }

    fn interpretation(&self) -> &'static str {
        "The operator accepts a component only with a signature of its publisher. A signature \
         that the repository itself makes over every version is compensation, not fulfilment."
    }

    fn cannot_see(&self) -> &'static str {
        "What the repository would do with an unsigned upload: an install only reads."
    }

    fn assess(&self, evidence: &Evidence<'_>) -> Verdict {
        operator(evidence, self.id())
    }
}
