//! Mode, owner and time of files: done by the supervisor on files it holds.
//!
//! Landlock does not see these calls, so they are decided here alone: the object is opened once,
//! its real place is checked, and the change is made through that very descriptor. Setuid and
//! setgid bits are refused. Owners change only as far as the session itself could change them.

use std::fs::Permissions;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt as _, chown};

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{UtimensatFlags, utimensat};
use nix::sys::time::TimeSpec;
use nix::unistd::geteuid;

use super::change::refused;
use super::path::{by_descriptor, descriptor, hold_descriptor, real, shown};
use super::{Answer, Supervisor};
use crate::model::{Code, Finding};
use crate::profile::kernel;
use crate::sys::notify::Notification;

/// What is to be changed.
enum Change {
    Mode(u32),
    Owner(Option<u32>, Option<u32>),
    Times(TimeSpec, TimeSpec),
}

/// Which file.
enum Place {
    Descriptor(i32),
    Path {
        directory: i32,
        address: u64,
        follow: bool,
    },
}

impl Supervisor {
    pub(super) fn metadata(&self, notification: &Notification) -> Answer {
        let name = kernel::by_number(notification.number).map_or("", |call| call.name);
        let fail = |error: &io::Error| Answer::Fail(error.raw_os_error().unwrap_or(libc::EACCES));
        let (place, change) = match self.wanted(notification, name) {
            Ok(wanted) => wanted,
            Err(error) => return fail(&error),
        };
        let held = match self.held(notification, &place) {
            Ok(held) => held,
            Err(error) => return fail(&error),
        };
        let path = match real(&held) {
            Ok(path) => path,
            Err(error) => return fail(&error),
        };
        if !self.listener.is_valid(notification.id) {
            return Answer::Fail(libc::EACCES);
        }
        if !self.is_writable(&path) {
            return refused(name, &path);
        }
        if let Change::Mode(mode) = change
            && mode & 0o6000 != 0
        {
            let subject = shown(&path);
            let message =
                format!("{name} of `{subject}` to {mode:o} refused: setuid and setgid bits");
            let finding = Finding::new(Code::FileAccessRefused, subject, message);
            return Answer::Refuse(libc::EPERM, Box::new(finding));
        }
        match apply(&held, &change) {
            Ok(()) => Answer::Value(0),
            Err(error) => fail(&error),
        }
    }

    fn wanted(&self, notification: &Notification, name: &str) -> io::Result<(Place, Change)> {
        let [a, b, c, d, e, _] = notification.arguments;
        let here = |address, follow| Place::Path {
            directory: libc::AT_FDCWD,
            address,
            follow,
        };
        let at = |flags: u64| Place::Path {
            directory: descriptor(a),
            address: b,
            follow: descriptor(flags) & libc::AT_SYMLINK_NOFOLLOW == 0,
        };
        let id = |value: u64| u32::try_from(descriptor(value)).ok();
        let mode = |value: u64| Change::Mode(id(value).unwrap_or_default() & 0o7777);
        Ok(match name {
            "chmod" => (here(a, true), mode(b)),
            "fchmod" => (Place::Descriptor(descriptor(a)), mode(b)),
            "fchmodat" => (at(0), mode(c)),
            "fchmodat2" => (at(d), mode(c)),
            "chown" => (here(a, true), Change::Owner(id(b), id(c))),
            "lchown" => (here(a, false), Change::Owner(id(b), id(c))),
            "fchown" => (
                Place::Descriptor(descriptor(a)),
                Change::Owner(id(b), id(c)),
            ),
            "fchownat" => (at(e), Change::Owner(id(c), id(d))),
            "utime" => (here(a, true), self.times(notification, b, Form::Utime)?),
            "utimes" => (here(a, true), self.times(notification, b, Form::Utimes)?),
            "futimesat" => (at(0), self.times(notification, c, Form::Utimes)?),
            "utimensat" => {
                let times = self.times(notification, c, Form::Utimens)?;
                if b == 0 {
                    (Place::Descriptor(descriptor(a)), times)
                } else {
                    (at(d), times)
                }
            }
            _ => return Err(io::Error::from_raw_os_error(libc::ENOSYS)),
        })
    }

    fn held(&self, notification: &Notification, place: &Place) -> io::Result<OwnedFd> {
        match *place {
            Place::Descriptor(number) => hold_descriptor(notification.thread, number)
                .map_err(|_source| io::Error::from_raw_os_error(libc::EBADF)),
            Place::Path {
                directory,
                address,
                follow,
            } => {
                let named = self.named(notification, directory, address)?;
                if named.text.is_empty() {
                    return hold_descriptor(notification.thread, directory);
                }
                named.hold(follow)
            }
        }
    }

    fn times(&self, notification: &Notification, address: u64, form: Form) -> io::Result<Change> {
        if address == 0 {
            return Ok(Change::Times(TimeSpec::UTIME_NOW, TimeSpec::UTIME_NOW));
        }
        let bytes = match form {
            Form::Utime => {
                let mut wide = [0_u8; 32];
                let short: [u8; 16] = self.memory.exact(notification.thread, address)?;
                let (access, change) = short.split_at(8);
                wide[..8].copy_from_slice(access);
                wide[16..24].copy_from_slice(change);
                wide
            }
            Form::Utimes | Form::Utimens => self.memory.exact(notification.thread, address)?,
        };
        let number = |index: usize| {
            let bytes = bytes
                .get(index * 8..index * 8 + 8)
                .and_then(|b| b.try_into().ok());
            i64::from_ne_bytes(bytes.unwrap_or_default())
        };
        let scale = if matches!(form, Form::Utimes) {
            1000
        } else {
            1
        };
        let time =
            |index: usize| TimeSpec::new(number(index), number(index + 1).saturating_mul(scale));
        Ok(Change::Times(time(0), time(2)))
    }
}

/// Layout of a time argument.
#[derive(Clone, Copy)]
enum Form {
    /// Two seconds.
    Utime,
    /// Two pairs of seconds and microseconds.
    Utimes,
    /// Two pairs of seconds and nanoseconds.
    Utimens,
}

fn apply(held: &OwnedFd, change: &Change) -> io::Result<()> {
    let path = by_descriptor(held);
    // Through the descriptor a link would be followed; nobody needs to change links themselves.
    if std::fs::symlink_metadata(&path)?.is_symlink() && std::fs::metadata(&path).is_err() {
        return Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP));
    }
    match *change {
        Change::Mode(mode) => std::fs::set_permissions(&path, Permissions::from_mode(mode)),
        Change::Owner(user, group) => passed_over(chown(&path, user, group), geteuid().is_root()),
        Change::Times(access, modification) => Ok(utimensat(
            AT_FDCWD,
            &path,
            &access,
            &modification,
            UtimensatFlags::FollowSymlink,
        )?),
    }
}

/// Archives name the owners of the machine that they were made on, and some managers give files to
/// them when they run as root. Root has no right to do that here: the files stay root's own, as with
/// managers that pass such owners over, and the manager need not hear of it for each file.
fn passed_over(result: io::Result<()>, root: bool) -> io::Result<()> {
    match result {
        Err(error) if root && error.raw_os_error() == Some(libc::EPERM) => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_root_is_spared_the_owners_of_archives() {
        let failed = |errno| Err(io::Error::from_raw_os_error(errno));
        assert!(passed_over(failed(libc::EPERM), true).is_ok());
        assert!(passed_over(failed(libc::EPERM), false).is_err());
        assert!(passed_over(failed(libc::EROFS), true).is_err());
        assert!(passed_over(Ok(()), false).is_ok());
    }
}
