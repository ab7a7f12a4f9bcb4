//! Control 4.3: the repository demands strong authentication.
//!
//! The evidence for it is not among the events of an install, so the verdict is unknown, with the
//! reason, unless a refusal contradicts it (applied for all controls alike in the parent module).
//! SCVS 1.0, chapter V4, control 4.3.

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

    fn assess(&self, _evidence: &Evidence<'_>) -> Verdict {
        Verdict::unknown("no dated statement about this repository was available")
    }
}
