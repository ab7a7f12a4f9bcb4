//! `mmap` of a file with `PROT_EXEC`: only files of the runtime itself.
//!
//! Judged by the object behind the descriptor: below the runtime's roots, and writable by nobody but
//! its owner. The descriptor could be exchanged between look and call by code that already runs in
//! the manager; that code has nothing left to gain from a mapping.

use std::os::unix::fs::MetadataExt as _;

use super::path::{by_descriptor, descriptor, hold_descriptor, real, shown};
use super::{Answer, Supervisor};
use crate::model::{Code, Finding};
use crate::sys::notify::{Continue, Notification};

impl Supervisor {
    pub(super) fn map(&self, notification: &Notification) -> Answer {
        let number = descriptor(notification.arguments[4]);
        let subject = match self.mapped(notification, number) {
            Ok(None) => return Answer::GoOn(Continue::Scalars),
            Ok(Some(subject)) => subject,
            // A descriptor that is not open: the kernel's own answer.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                return Answer::Fail(libc::EBADF);
            }
            Err(_) => format!("descriptor {number}"),
        };
        let message = format!(
            "native code from `{subject}` refused: not part of the package manager's runtime"
        );
        Answer::Refuse(
            libc::EACCES,
            Box::new(Finding::new(Code::CodeMapRefused, subject, message)),
        )
    }

    /// The path of a file that may not be mapped; `None` for one of the runtime.
    fn mapped(&self, notification: &Notification, number: i32) -> std::io::Result<Option<String>> {
        let held = hold_descriptor(notification.thread, number)?;
        let path = real(&held)?;
        let metadata = std::fs::metadata(by_descriptor(&held))?;
        let others_may_write = metadata.mode() & 0o022 != 0;
        let own = !others_may_write && self.is_runtime(&path);
        // A build maps what it may execute, also where it made that itself.
        let build = self.build.as_ref().is_some_and(|build| build.has(&path));
        let allowed = metadata.is_file() && (own || build);
        Ok(if allowed { None } else { Some(shown(path)) })
    }
}
