//! What the session adds to the events when a run ends.
//!
//! Plain input of [`super::Recorded::seal`]. Everything that is an event is not repeated here.

use std::time::SystemTime;

use uuid::Uuid;

use crate::diag::ManagerStatus;
use crate::manager::Project;
use crate::model::Assessment;

/// The end of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Identity of the run; becomes the serial number of the CycloneDX file.
    pub run: Uuid,
    /// When v4run started.
    pub started: SystemTime,
    /// When the run ended.
    pub ended: SystemTime,
    /// The manager's name as typed.
    pub manager: String,
    /// The project that was installed into.
    pub project: Project,
    /// How the manager ended; none when it never ran.
    pub status: Option<ManagerStatus>,
    /// Whether the run was refused, or failed, before the manager's start.
    pub before_start: bool,
    /// The verdicts on the recorded events.
    pub assessment: Assessment,
}
