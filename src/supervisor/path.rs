//! Paths as the manager names them, turned into objects that the supervisor holds.
//!
//! A path is copied once from the manager's memory. Relative ones start at the manager's working
//! directory or descriptor, reached through `/proc/<tid>`. Two readings exist and must not be mixed
//! up: the *lexical* path (for quick answers where Landlock decides as well) and the *real* path of
//! an opened object (for everything that the supervisor decides alone).

use std::ffi::OsStr;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use nix::fcntl::{AT_FDCWD, FcntlArg, OFlag, OpenHow, ResolveFlag, fcntl, open, openat2};
use nix::sys::stat::Mode;

use super::Supervisor;
use crate::sys::notify::Notification;

/// Directory descriptor that stands for the working directory.
const CURRENT: i32 = libc::AT_FDCWD;

/// A path of a call, read once.
#[derive(Debug, Clone)]
pub(super) struct Named {
    thread: i32,
    directory: i32,
    /// As given.
    pub(super) text: OsString,
    /// Absolute, without `.`, `..` and links resolved by name only.
    pub(super) lexical: PathBuf,
    /// Whether the text has a `..` component, so that lexical and real path may differ.
    pub(super) climbs: bool,
}

/// The low word of a descriptor argument.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the kernel reads descriptor arguments as 32-bit integers"
)]
pub(super) fn descriptor(argument: u64) -> i32 {
    argument as u32 as i32
}

impl Supervisor {
    /// Reads the path at `address`, relative to descriptor `directory`.
    pub(super) fn named(
        &self,
        notification: &Notification,
        directory: i32,
        address: u64,
    ) -> io::Result<Named> {
        let thread = notification.thread;
        let text = self.memory.path(thread, address)?;
        let path = Path::new(&text);
        let base = if path.is_absolute() {
            PathBuf::new()
        } else {
            fs::read_link(base_link(thread, directory))?
        };
        // Memory and links were read of a thread that still waits for this very call.
        if !self.listener.is_valid(notification.id) {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
        let joined = base.join(path);
        let (lexical, climbs) = if is_normal(&joined) {
            (joined, false)
        } else {
            let climbs = joined.components().any(|part| part == Component::ParentDir);
            (normal(&joined), climbs)
        };
        Ok(Named {
            thread,
            directory,
            lexical,
            climbs,
            text,
        })
    }

    /// Whether a real path lies below a place that the run may write.
    pub(super) fn is_writable(&self, path: &Path) -> bool {
        self.writable.iter().any(|root| lies_below(path, root)) && !self.is_protected(path)
    }

    /// Whether a path is one that the run must leave alone, or lies below one.
    fn is_protected(&self, path: &Path) -> bool {
        let mut protected = self.protected.iter();
        protected.any(|root| lies_below(path, root))
    }

    /// Whether a path holds one that the run must leave alone, so that it must stay where it is.
    pub(super) fn holds_protected(&self, named: &Named) -> bool {
        if self.protected.is_empty() {
            return false;
        }
        let real = named.lexical.parent().and_then(|parent| {
            let real = real_directory(parent).ok()?;
            Some(real.join(named.lexical.file_name()?))
        });
        let holds = |path: &Path| {
            let mut protected = self.protected.iter();
            protected.any(|root| root.starts_with(path))
        };
        holds(&named.lexical) || real.is_some_and(|real| holds(&real))
    }

    /// Whether a real path lies below a place that the run may read.
    pub(super) fn is_readable(&self, path: &Path) -> bool {
        self.readable.iter().any(|root| lies_below(path, root))
    }

    /// Whether a real path is a directory that the run may list, or lies below one.
    pub(super) fn is_listable(&self, path: &Path) -> bool {
        self.listable.iter().any(|root| path.starts_with(root))
    }

    /// Whether a real path lies below the runtime's own roots and not below a writable place.
    pub(super) fn is_runtime(&self, path: &Path) -> bool {
        self.runtime.iter().any(|root| lies_below(path, root)) && !self.is_writable(path)
    }
}

fn base_link(thread: i32, directory: i32) -> String {
    if directory == CURRENT {
        format!("/proc/{thread}/cwd")
    } else {
        format!("/proc/{thread}/fd/{directory}")
    }
}

impl Named {
    /// Opens what the path names, as the manager would reach it, without access rights.
    ///
    /// Links of `/proc` that stand for a process's own descriptors would lead to those of the
    /// session: they are not followed (`ELOOP`).
    pub(super) fn hold(&self, follow: bool) -> io::Result<OwnedFd> {
        let mut flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
        if !follow {
            flags |= OFlag::O_NOFOLLOW;
        }
        let how = OpenHow::new()
            .flags(flags)
            .resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
        if Path::new(&self.text).is_absolute() {
            return Ok(openat2(AT_FDCWD, self.text.as_os_str(), how)?);
        }
        let base = open(
            base_link(self.thread, self.directory).as_str(),
            OFlag::O_PATH | OFlag::O_CLOEXEC,
            Mode::empty(),
        )?;
        Ok(openat2(&base, self.text.as_os_str(), how)?)
    }

    /// The same for the directory that the last name is looked for in.
    pub(super) fn hold_directory(&self) -> io::Result<OwnedFd> {
        let above = Path::new(&self.text).parent().unwrap_or(Path::new("/"));
        let text = match above.as_os_str().is_empty() {
            true => OsString::from("."),
            false => above.into(),
        };
        Self {
            text,
            ..self.clone()
        }
        .hold(true)
    }

    /// Opens what an absolute path names for reading, if no part of it is a link: then
    /// [`Named::lexical`] is where the file really is. `ELOOP` where that cannot be told.
    ///
    /// Only for paths below places that the manager may read, because opening is an access; it never
    /// waits for anybody.
    pub(super) fn open_straight(&self) -> io::Result<File> {
        if self.climbs || !Path::new(&self.text).is_absolute() {
            return Err(io::Error::from_raw_os_error(libc::ELOOP));
        }
        let how = OpenHow::new()
            .flags(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY)
            .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
        let file = openat2(AT_FDCWD, &self.lexical, how)?;
        // The description is handed out: the manager did not ask for that flag.
        fcntl(&file, FcntlArg::F_SETFL(OFlag::empty()))?;
        Ok(file.into())
    }

    /// The number, where the path is another name of exactly one of the manager's own descriptors.
    pub(super) fn own_descriptor(&self) -> Option<i32> {
        let below = self.lexical.strip_prefix("/dev").ok()?;
        match below.to_str()? {
            "stdin" => Some(libc::STDIN_FILENO),
            "stdout" => Some(libc::STDOUT_FILENO),
            "stderr" => Some(libc::STDERR_FILENO),
            below => below.strip_prefix("fd/")?.parse().ok(),
        }
    }

    /// Whether the path is another name of one of the manager's own descriptors.
    pub(super) fn is_own_descriptor(&self) -> bool {
        ["/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/fd"]
            .iter()
            .any(|name| self.lexical.starts_with(name))
    }
}

/// Opens the object behind a descriptor of the manager, without access rights.
pub(super) fn hold_descriptor(thread: i32, number: i32) -> io::Result<OwnedFd> {
    let link = format!("/proc/{thread}/fd/{number}");
    Ok(open(
        link.as_str(),
        OFlag::O_PATH | OFlag::O_CLOEXEC,
        Mode::empty(),
    )?)
}

/// The path by which a held object can be used again.
pub(super) fn by_descriptor(held: &impl AsRawFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", held.as_raw_fd()))
}

/// Where a directory really is. Mostly where its name says, which one call tells; only a path with
/// links in it is followed part by part.
pub(super) fn real_directory(directory: &Path) -> io::Result<PathBuf> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    match openat2(AT_FDCWD, directory, how) {
        Ok(_) => Ok(directory.to_owned()),
        Err(_) => fs::canonicalize(directory),
    }
}

/// Where a held object really is.
pub(super) fn real(held: &impl AsRawFd) -> io::Result<PathBuf> {
    fs::read_link(by_descriptor(held))
}

/// `path.starts_with(root)` for two paths without `.`, `..` and doubled separators: they are compared
/// as bytes, because every call of a run is compared with every root.
pub(super) fn lies_below(path: &Path, root: &Path) -> bool {
    let (path, root) = (path.as_os_str().as_bytes(), root.as_os_str().as_bytes());
    let root = root.strip_suffix(b"/").unwrap_or(root);
    path.strip_prefix(root)
        .is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
}

/// Whether [`normal`] would change nothing, which is so for nearly every path of a run.
/// Brings any bytes into the form that is judged; for the fuzz target.
#[cfg(any(test, feature = "fuzz"))]
pub(super) fn fuzz(bytes: &[u8]) {
    let out = normal(Path::new(OsStr::from_bytes(bytes)));
    assert!(
        is_normal(&out) || out == Path::new("/"),
        "it keeps its form"
    );
}

fn is_normal(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    let Some(rest) = bytes.strip_prefix(b"/") else {
        return false;
    };
    let mut parts = rest.split(|&byte| byte == b'/');
    parts.all(|part| !matches!(part, b"" | b"." | b".."))
}

/// Resolves `.` and `..` by name.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => out.push(name),
            Component::ParentDir => {
                out.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    out
}

/// Text for messages and records.
pub(super) fn shown(path: impl AsRef<OsStr>) -> String {
    path.as_ref().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_resolved_without_leaving_the_root() {
        for (given, expected) in [
            ("/a/./b/../c", "/a/c"),
            ("/../../etc/passwd", "/etc/passwd"),
            ("//a///b", "/a/b"),
            ("/", "/"),
        ] {
            assert_eq!(normal(Path::new(given)), Path::new(expected), "{given}");
            assert!(!is_normal(Path::new(given)), "{given}");
        }
        for given in ["/a", "/a/b.c/..d/.e/f", "/a/b/c"] {
            assert_eq!(normal(Path::new(given)), Path::new(given), "{given}");
            assert!(is_normal(Path::new(given)), "{given}");
        }
        for given in ["a/b", "", "/a/", "/a/.", "/a/..", "/./a"] {
            assert!(!is_normal(Path::new(given)), "{given}");
        }
    }

    #[test]
    fn a_place_lies_below_its_roots_by_whole_names() {
        for (path, root, expected) in [
            ("/a/b", "/a", true),
            ("/a", "/a", true),
            ("/a", "/a/", true),
            ("/ab", "/a", false),
            ("/a", "/a/b", false),
            ("/a", "/", true),
            ("/", "/", true),
        ] {
            let (path, root) = (Path::new(path), Path::new(root));
            assert_eq!(lies_below(path, root), expected, "{path:?} {root:?}");
            assert_eq!(path.starts_with(root), expected, "{path:?} {root:?}");
        }
    }

    #[test]
    fn a_descriptor_is_its_low_word() {
        assert_eq!(descriptor(u64::MAX), -1);
        assert_eq!(descriptor(1 << 32 | 5), 5);
        assert_eq!(descriptor(0xffff_ff9c), CURRENT);
    }
}
