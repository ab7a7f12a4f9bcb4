//! Control 4.8: the repository notifies publishers of security issues.
//!
//! Folds what is stated about the operators of the repositories used and what probes saw of them;
//! an install alone shows nothing of it.
//! SCVS 1.0, chapter V4, control 4.8.

use crate::assess::repository::operator;
use crate::assess::{Control, Evidence, Verdict};
use crate::model::{ControlId, Level, Subject};

/// Control 4.8.
#[derive(Debug)]
pub(super) struct PublisherNotification;

impl Control for PublisherNotification {
    fn id(&self) -> ControlId {
        const { ControlId::new(8) }
    }

    fn title(&self) -> &'static str {
        "The repository notifies publishers of security issues"
    }

    fn level(&self) -> Level {
        Level::L2
    }

    fn subject(&self) -> Subject {
        Subject::Repository
    }

    fn interpretation(&self) -> &'static str {
        "The operator tells the publishers of a component when a security issue in it becomes \
         known."
    }

    fn cannot_see(&self) -> &'static str {
        "Messages between operator and publishers, in any run."
    }

    fn assess(&self, evidence: &Evidence<'_>) -> Verdict {
        operator(evidence, self.id())
    }
}
