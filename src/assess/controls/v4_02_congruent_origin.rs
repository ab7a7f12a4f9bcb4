//! Control 4.2: the repository serves what the authoritative origin serves.
//!
//! The evidence for it is not among the events of an install, so the verdict is unknown, with the
//! reason, unless a refusal contradicts it (applied for all controls alike in the parent module).
//! SCVS 1.0, chapter V4, control 4.2.

use crate::assess::{Control, Evidence, Verdict};
use crate::model::{ControlId, Level, Subject};

/// Control 4.2.
#[derive(Debug)]
pub(super) struct CongruentOrigin;

impl Control for CongruentOrigin {
    fn id(&self) -> ControlId {
        const { ControlId::new(2) }
    }

    fn title(&self) -> &'static str {
        "The repository serves what the authoritative origin serves"
    }

    fn level(&self) -> Level {
        Level::L1
    }

    fn subject(&self) -> Subject {
        Subject::Repository
    }

    fn interpretation(&self) -> &'static str {
        "Where the repository is itself the origin of the ecosystem, a dated statement says so. \
         Where it is a mirror, the digest of every artifact used must equal the one that the \
         origin states, or a signature of the origin must verify over name, version and digest."
    }

    fn cannot_see(&self) -> &'static str {
        "Whether two channels that agree were changed in the same way, and what the repository \
         serves to others."
    }

    fn assess(&self, _evidence: &Evidence<'_>) -> Verdict {
        Verdict::unknown("no comparison with an authoritative origin was made in this run")
    }
}
