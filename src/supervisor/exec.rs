//! `execve` and `execveat`: exactly one, by the launcher, by descriptor, and the one of a planned child.
//! In an approved build, those of its toolchain.

use std::sync::atomic::Ordering;

use super::path::{descriptor, shown};
use super::{Answer, Supervisor};
use crate::model::{Code, Decision, Event, Finding};
use crate::sys::notify::{Continue, Notification};

impl Supervisor {
    pub(super) fn exec(&self, notification: &Notification) -> Answer {
        let by_descriptor = notification.number == libc::SYS_execveat
            && descriptor(notification.arguments[4]) & libc::AT_EMPTY_PATH != 0;
        let launcher = notification.thread == self.process;
        // The launcher is v4run itself and single-threaded: what its pointers name is what it was
        // told to execute. Afterwards the answer is always no.
        if launcher && by_descriptor && !self.started.swap(true, Ordering::SeqCst) {
            let link = descriptor(notification.arguments[0]);
            let link = format!("/proc/{}/fd/{link}", notification.thread);
            let path = std::fs::read_link(link).unwrap_or_default();
            match &self.build {
                Some(build) => {
                    let arguments = notification.arguments[2];
                    self.started(build, notification.thread, &path, arguments);
                }
                None => self.send(Event::Exec {
                    path: shown(path),
                    decision: Decision::Allowed,
                }),
            }
            return Answer::GoOn(Continue::FirstExec);
        }
        if let Some(build) = &self.build {
            return self.program(build, notification);
        }
        if let Some(path) = self.planned(notification) {
            self.send(Event::Exec {
                path: shown(path),
                decision: Decision::Allowed,
            });
            return Answer::GoOn(Continue::PlannedExec);
        }
        let address = if notification.number == libc::SYS_execveat {
            notification.arguments[1]
        } else {
            notification.arguments[0]
        };
        // For the message only: the answer does not depend on what it says.
        let program = match self.memory.path(notification.thread, address) {
            Ok(path) if path.is_empty() => "a descriptor".to_owned(),
            Ok(path) => shown(path),
            Err(_) => "unreadable".to_owned(),
        };
        let message =
            format!("start of `{program}` refused: nothing is executed during an install");
        Answer::Refuse(
            libc::EACCES,
            Box::new(Finding::new(Code::ExecRefused, program, message)),
        )
    }
}
