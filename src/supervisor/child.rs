//! The one child process that a plan may allow, and the one program that it may execute.
//!
//! An ordinary plan has none: a run is one process. Where a manager cannot do without asking another
//! program, the plan names that program's ELF, and the run is a preliminary one, without network and
//! before anything foreign is there. Then one new process is let go on, whichever call makes it, and
//! in it one `execve` of exactly that file, compared by identity. A thread of the manager itself
//! cannot take that exec, and neither can a second child.
//!
//! The path is read again by the kernel afterwards. What it could say by then is bounded by
//! Landlock, which executes only the programs that the plan names.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use super::Supervisor;
use super::path::{by_descriptor, real};
use crate::sys::notify::Notification;
use crate::sys::process::process_of;

/// What is left of the allowance.
#[derive(Debug, Default)]
pub(super) struct Child {
    program: Option<(u64, u64)>,
    made: AtomicBool,
    started: AtomicBool,
}

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

impl Child {
    /// The allowance of a plan. A program that is not there is none.
    pub(super) fn new(program: Option<&Path>) -> Self {
        let metadata = program.and_then(|path| std::fs::metadata(path).ok());
        Self {
            program: metadata.map(|metadata| identity(&metadata)),
            ..Self::default()
        }
    }

    /// Takes the one new process of the plan; `false` if there is none, or none left.
    pub(super) fn is_made_now(&self) -> bool {
        self.program.is_some() && !self.made.swap(true, Ordering::SeqCst)
    }

    /// Takes the one exec of the plan.
    fn starts(&self, program: (u64, u64)) -> bool {
        self.made.load(Ordering::SeqCst)
            && self.program == Some(program)
            && !self.started.swap(true, Ordering::SeqCst)
    }
}

impl Supervisor {
    /// The program of the planned child, if this is its exec.
    pub(super) fn planned(&self, notification: &Notification) -> Option<PathBuf> {
        self.child.program?;
        let allowed = notification.number == libc::SYS_execve
            && self.started.load(Ordering::SeqCst)
            && process_of(notification.thread)? != self.process;
        if !allowed {
            return None;
        }
        let address = notification.arguments[0];
        let named = self.named(notification, libc::AT_FDCWD, address).ok()?;
        let held = named.hold(true).ok()?;
        let metadata = std::fs::metadata(by_descriptor(&held)).ok()?;
        let path = real(&held).ok()?;
        (metadata.is_file() && self.child.starts(identity(&metadata))).then_some(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_and_one_exec_of_the_planned_program() {
        let none = Child::new(None);
        assert!(!none.is_made_now() && !none.starts((0, 0)));
        assert!(!Child::new(Some(Path::new("/nowhere/program"))).is_made_now());

        let own = std::env::current_exe().unwrap();
        let program = identity(&std::fs::metadata(&own).unwrap());
        let child = Child::new(Some(&own));
        assert!(!child.starts(program), "no process was made yet");
        assert!(child.is_made_now() && !child.is_made_now());
        assert!(!child.starts((program.0, program.1 + 1)));
        assert!(child.starts(program) && !child.starts(program));
    }
}
