//! The exit status: one table, one decision.
//!
//! Called once at the end of a run by whoever seals the record. What must always hold: the status
//! is [`REFUSED`] or [`REFUSED_BEFORE_START`] exactly when [`Exit::cause`] is a refusal, and then
//! there was at least one violation.
//!
//! # Which of several wins
//!
//! 1. An error of v4run itself (125): sandbox, containment or record failed, so that nothing else
//!    that was found can be relied on, not even that the list of refusals is complete.
//! 2. A refusal (120 during the run, 126 before the start).
//! 3. No manager (127), which is an error with a number of its own.
//! 4. The requested level was not reached (121).
//! 5. The manager's own status, 128 + n when signal n ended it. Failures of repository or network
//!    show in the manager's own status and never change it.
//!
//! A manager that itself ends with one of the five numbers is reported as [`CONFUSED`] with the
//! real number in words ([`Exit::note`]) and in the summary: the five have one meaning only.

use crate::model::{Code, Finding, Severity};

/// Something was refused during the run.
pub const REFUSED: u8 = 120;
/// The requested level was not reached.
pub const LEVEL_NOT_REACHED: u8 = 121;
/// v4run could not do its job.
pub const ERROR: u8 = 125;
/// Refused before the start, or before anything was loaded that the refusal is about.
pub const REFUSED_BEFORE_START: u8 = 126;
/// The package manager was not found.
pub const MANAGER_NOT_FOUND: u8 = 127;
/// Given instead of a manager's own status that is one of the numbers above.
pub const CONFUSED: u8 = 1;

/// The numbers that v4run gives a meaning of its own, and which.
pub const STATUSES: [(u8, &str); 5] = [
    (REFUSED, "something was refused during the run"),
    (LEVEL_NOT_REACHED, "the requested level was not reached"),
    (ERROR, "v4run could not do its job"),
    (
        REFUSED_BEFORE_START,
        "refused before the start, or before what it is about was loaded",
    ),
    (MANAGER_NOT_FOUND, "the package manager was not found"),
];

/// Whether v4run gives the number a meaning of its own.
pub fn is_reserved(status: u8) -> bool {
    STATUSES.iter().any(|(reserved, _)| *reserved == status)
}

/// How the manager ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ManagerStatus {
    /// With an exit status.
    Exited(i32),
    /// By a signal.
    Signalled(i32),
}

/// Why a run ends with its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The manager's own status.
    Manager,
    /// The manager's own status is a reserved number, or none of a process.
    Confused(i32),
    /// Something was refused.
    Refused,
    /// The level was not reached.
    Level,
    /// v4run could not do its job.
    Error,
}

/// The end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    status: u8,
    cause: Cause,
}

impl Exit {
    /// The number for the system.
    pub const fn status(self) -> u8 {
        self.status
    }

    /// Why.
    pub const fn cause(self) -> Cause {
        self.cause
    }

    /// Whether the list of violations decided it.
    pub const fn is_refusal(self) -> bool {
        matches!(self.cause, Cause::Refused)
    }

    /// What has to be said in words, because the number alone would mislead.
    pub fn note(self, manager: &str) -> Option<String> {
        match self.cause {
            Cause::Confused(own) => Some(format!(
                "{manager} itself ended with {own}, a number that v4run gives another meaning; \
                 reported as {}",
                self.status
            )),
            Cause::Manager | Cause::Refused | Cause::Level | Cause::Error => None,
        }
    }
}

/// Decides the exit status. `manager` is none when it never ran or its end was not seen;
/// `before_start` says that it never ran; what was refused when the manager read it counts as before.
pub fn decide<'a>(
    findings: impl IntoIterator<Item = &'a Finding>,
    manager: Option<ManagerStatus>,
    before_start: bool,
) -> Exit {
    let (mut error, mut violation, mut missing, mut level) = (false, false, false, false);
    let (mut late, mut handed) = (false, false);
    for finding in findings {
        handed |= finding.code == Code::Passthrough;
        late |=
            finding.code != Code::BuildRefused && finding.code.severity() == Severity::Violation;
        match (finding.code.severity(), finding.code) {
            (Severity::Violation, _) => violation = true,
            (Severity::Error, Code::ManagerNotFound) => missing = true,
            (Severity::Error, Code::LevelNotReached) => level = true,
            (Severity::Error, _) => error = true,
            (Severity::Failure | Severity::Note, _) => {}
        }
    }
    if error {
        Exit {
            status: ERROR,
            cause: Cause::Error,
        }
    } else if violation {
        // A build that was refused when it was read has loaded nothing that was refused.
        let status = if before_start || !late {
            REFUSED_BEFORE_START
        } else {
            REFUSED
        };
        Exit {
            status,
            cause: Cause::Refused,
        }
    } else if missing {
        Exit {
            status: MANAGER_NOT_FOUND,
            cause: Cause::Error,
        }
    } else if level {
        Exit {
            status: LEVEL_NOT_REACHED,
            cause: Cause::Level,
        }
    } else {
        match manager {
            Some(ManagerStatus::Exited(code)) => own(code),
            Some(ManagerStatus::Signalled(signal)) => own(128_i32.saturating_add(signal)),
            // The record ends where the bare manager begins; its status is its own.
            None if handed => own(0),
            // It did not start and nothing says why, or its end was missed.
            None => Exit {
                status: ERROR,
                cause: Cause::Error,
            },
        }
    }
}

fn own(code: i32) -> Exit {
    match u8::try_from(code) {
        Ok(status) if !is_reserved(status) => Exit {
            status,
            cause: Cause::Manager,
        },
        Ok(_) | Err(_) => Exit {
            status: CONFUSED,
            cause: Cause::Confused(code),
        },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(codes: &[Code]) -> Vec<Finding> {
        codes
            .iter()
            .map(|code| Finding::new(*code, "s", "m"))
            .collect()
    }

    fn status(codes: &[Code], manager: Option<ManagerStatus>, before_start: bool) -> u8 {
        decide(&found(codes), manager, before_start).status()
    }

    const WELL: Option<ManagerStatus> = Some(ManagerStatus::Exited(0));

    #[test]
    fn the_table() {
        use Code::{
            BuildRefused, CommandRunsCode, ContainmentIncomplete, ExecRefused, LevelNotReached,
            ManagerNotFound, RecordFailed, SuppressedScript, UpstreamFailed,
        };
        assert_eq!(status(&[], WELL, false), 0);
        assert_eq!(status(&[SuppressedScript, UpstreamFailed], WELL, false), 0);
        assert_eq!(
            status(&[UpstreamFailed], Some(ManagerStatus::Exited(1)), false),
            1
        );
        assert_eq!(status(&[], Some(ManagerStatus::Signalled(15)), false), 143);
        assert_eq!(status(&[ExecRefused], WELL, false), 120);
        assert_eq!(
            status(&[ExecRefused], Some(ManagerStatus::Exited(7)), false),
            120
        );
        assert_eq!(status(&[CommandRunsCode], None, true), 126);
        assert_eq!(status(&[BuildRefused], WELL, false), 126);
        assert_eq!(status(&[BuildRefused, ExecRefused], WELL, false), 120);
        assert_eq!(status(&[ManagerNotFound], None, true), 127);
        assert_eq!(status(&[LevelNotReached], WELL, false), 121);
        assert_eq!(status(&[LevelNotReached, ExecRefused], WELL, false), 120);
        assert_eq!(
            status(&[ExecRefused, ContainmentIncomplete], WELL, false),
            125
        );
        assert_eq!(status(&[RecordFailed], WELL, false), 125);
        assert_eq!(status(&[CommandRunsCode, ManagerNotFound], None, true), 126);
        assert_eq!(status(&[], None, true), 125);
        assert_eq!(status(&[], None, false), 125);
    }

    #[test]
    fn a_reserved_number_of_the_manager_is_said_in_words() {
        for code in [120, 121, 125, 126, 127, 300, -1] {
            let exit = decide(&[], Some(ManagerStatus::Exited(code)), false);
            assert_eq!(exit.status(), CONFUSED);
            assert!(exit.note("npm").unwrap().contains(&code.to_string()));
        }
        assert_eq!(decide(&[], WELL, false).note("npm"), None);
    }

    proptest! {
        #[test]
        fn refusal_statuses_mean_violations(
            picks in proptest::collection::vec(0..Code::ALL.len(), 0..6),
            code in any::<i32>(),
            before in any::<bool>(),
        ) {
            let codes: Vec<Code> = picks.iter().map(|pick| Code::ALL[*pick]).collect();
            let exit = decide(&found(&codes), Some(ManagerStatus::Exited(code)), before);
            prop_assert_eq!(exit.is_refusal(), matches!(exit.status(), 120 | 126));
            if exit.is_refusal() {
                prop_assert!(codes.iter().any(|code| code.severity() == Severity::Violation));
            }
        }
    }
}
