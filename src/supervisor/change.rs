//! Renames, links, removals: Landlock decides them, the supervisor sees and records refusals.

use std::path::{Path, PathBuf};

use super::path::{Named, descriptor, real_directory, shown};
use super::{Answer, Supervisor};
use crate::model::{Code, Finding};
use crate::profile::kernel;
use crate::sys::notify::{Continue, Notification};

impl Supervisor {
    pub(super) fn change(&self, notification: &Notification) -> Answer {
        let [a, b, c, d, ..] = notification.arguments;
        let here = libc::AT_FDCWD;
        let name = kernel::by_number(notification.number).map_or("", |call| call.name);
        // The text of a symbolic link is data: only the place of the link is judged.
        let places = match name {
            "rename" | "link" => vec![(here, a), (here, b)],
            "renameat" | "renameat2" | "linkat" => {
                vec![(descriptor(a), b), (descriptor(c), d)]
            }
            "symlink" => vec![(here, b)],
            "symlinkat" => vec![(descriptor(b), c)],
            "unlink" | "rmdir" | "truncate" => vec![(here, a)],
            "unlinkat" => vec![(descriptor(a), b)],
            _ => return Answer::Fail(libc::ENOSYS),
        };
        for (directory, address) in places {
            let named = match self.named(notification, directory, address) {
                Ok(named) => named,
                Err(error) => return Answer::Fail(error.raw_os_error().unwrap_or(libc::EACCES)),
            };
            if let Some(outside) = self.leads_outside(&named) {
                return refused(name, &outside);
            }
            // A directory that holds something cannot be removed, but it could be moved away.
            if name.starts_with("rename") && self.holds_protected(&named) {
                return refused(name, &named.lexical);
            }
        }
        Answer::GoOn(Continue::LandlockDecides)
    }

    /// Where a path to be changed leads, if that is no place the run may write.
    ///
    /// For the record: Landlock refuses such a change by itself, silently. Parents are looked at
    /// once, because a run writes thousands of files into few directories.
    pub(super) fn leads_outside(&self, named: &Named) -> Option<PathBuf> {
        let path = &named.lexical;
        if !self.is_writable(path) {
            return Some(path.clone());
        }
        // The root of a grant itself may be replaced only by whoever may write its parent.
        let parent = path.parent()?;
        if !self.is_writable(parent) {
            return None;
        }
        let straight = |path| self.straight.lock().is_ok_and(|seen| seen.contains(path));
        if !straight(parent) || named.climbs {
            // A directory of its own in a place that was looked at leads nowhere else.
            let own = !named.climbs
                && parent.parent().is_some_and(straight)
                && std::fs::symlink_metadata(parent).is_ok_and(|found| found.is_dir());
            let real = if own {
                parent.to_owned()
            } else {
                real_directory(parent).ok()?
            };
            let full = real.join(path.file_name().unwrap_or_default());
            if !self.is_writable(&full) {
                return Some(full);
            }
            // Through a link a protected place has two names: each is looked at anew.
            let same = self.protected.is_empty() || real == *parent;
            if same && let Ok(mut seen) = self.straight.lock() {
                seen.insert(parent.to_owned());
            }
        }
        None
    }
}

pub(super) fn refused(call: &str, path: &Path) -> Answer {
    let subject = shown(path);
    let message = format!("{call} of `{subject}` refused: not a place that this run may change");
    Answer::Refuse(
        libc::EACCES,
        Box::new(Finding::new(Code::FileAccessRefused, subject, message)),
    )
}
