//! Control 4.5: components were published with a second factor.
//!
//! The evidence for it is not among the events of an install, so the verdict is unknown, with the
//! reason, unless a refusal contradicts it (applied for all controls alike in the parent module).
//! SCVS 1.0, chapter V4, control 4.5.

use crate::assess::{Control, Evidence, Verdict};
use crate::model::{ControlId, Level, Subject};

/// Control 4.5.
#[derive(Debug)]
pub(super) struct MfaPublished;

impl Control for MfaPublished {
    fn id(&self) -> ControlId {
        const { ControlId::new(5) }
    }

    fn title(&self) -> &'static str {
        "Components were published with a second factor"
    }

    fn level(&self) -> Level {
        Level::L3
    }

    fn subject(&self) -> Subject {
        Subject::Component
    }

    fn interpretation(&self) -> &'static str {
        "Every installed version shows that a human confirmed its publication with a second \
         factor. A workload identity is a grade of its own and is no second factor; an account \
         that had to have one is a statement about the account."
    }

    fn cannot_see(&self) -> &'static str {
        "What happened at the publisher when metadata does not tell; absence of a mark proves \
         nothing for older versions."
    }

    fn assess(&self, _evidence: &Evidence<'_>) -> Verdict {
        Verdict::unknown(
            "the metadata of the installed versions was not read for marks of publication",
        )
    }
}
