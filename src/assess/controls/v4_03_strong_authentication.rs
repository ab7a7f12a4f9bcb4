//! Control 4.3: the repository demands strong authentication.
//!
//! Folds what is stated about the operators of the repositories used and what probes saw of them;
//! an install alone shows nothing of it.
//! SCVS 1.0, chapter V4, control 4.3.

use crate::assess::repository::operator;
use crate::assess::{Control, Evidence, Verdict};
use crate::model::{ControlId, Level, Subject};

/// Control 4.3.
#[derive(Debug)]
pub(super) struct StrongAuthentication;

impl Control for StrongAuthentication {
    fn id(&self) -> ControlId {
        const { ControlId::new(3) }
    }

    fn title(&self) -> &'static str {
        "The repository demands strong authentication"
    }

    fn level(&self) -> Level {
        Level::L2
    }

    fn subject(&self) -> Subject {
        Subject::Repository
    }

    fn interpretation(&self) -> &'static str {
        "Publishing needs a credential that cannot be guessed or reused by whoever sees it once: \
         a second factor, a short-lived workload identity, or an equivalent. Shown by a dated \
         statement about the operator; a probe may contradict it."
    }

    fn cannot_see(&self) -> &'static str {
        "How the operator authenticates publishers: an install only reads."
    }

    fn assess(&self, evidence: &Evidence<'_>) -> Verdict {
        operator(evidence, self.id())
    }
}
