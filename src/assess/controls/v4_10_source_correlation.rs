//! Control 4.10: a version can be traced to its source, verifiably.
//!
//! The evidence for it is not among the events of an install, so the verdict is unknown, with the
//! reason, unless a refusal contradicts it (applied for all controls alike in the parent module).
//! SCVS 1.0, chapter V4, control 4.10.

use crate::assess::{Control, Evidence, Verdict};
use crate::model::{ControlId, Level, Subject};

/// Control 4.10.
#[derive(Debug)]
pub(super) struct SourceCorrelation;

impl Control for SourceCorrelation {
    fn id(&self) -> ControlId {
        const { ControlId::new(10) }
    }

    fn title(&self) -> &'static str {
        "A version can be traced to its source, verifiably"
    }

    fn level(&self) -> Level {
        Level::L2
    }

    fn subject(&self) -> Subject {
        Subject::Repository
    }

    fn interpretation(&self) -> &'static str {
        "For every installed version a verified attestation binds the digest to a repository and \
         commit. The publisher's own field without a signature is an observation, not a \
         verification."
    }

    fn cannot_see(&self) -> &'static str {
        "Whether the source at that commit is what a reviewer would expect."
    }

    fn assess(&self, _evidence: &Evidence<'_>) -> Verdict {
        Verdict::unknown("attestations of the installed versions were not verified in this run")
    }
}
