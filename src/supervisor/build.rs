//! Approved builds: processes are counted, programs recorded, signals kept inside.
//!
//! An install is one process; a build starts many. Each new process and thread passes here and is counted,
//! living or not, because the kernel's own limit does not bind root. What may be executed is Landlock's: the
//! toolchain. The path and the arguments of an `execve` are read for the record and so that a refusal is told;
//! the kernel reads them again, and finds the same rules. The program loader runs whatever it is given, so it
//! is not started by itself, and files are mapped as code only from the toolchain and from libraries.

use std::collections::HashMap;
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::path::{descriptor, hold_descriptor, lies_below, real, shown};
use super::{Answer, Supervisor};
use crate::model::{BuildProgram, Code, Digest, Event, Finding};
use crate::sys::notify::{Continue, Notification};
use crate::sys::process::{parent_of, process_of};
use crate::verify::hash::sha256_of;

/// Arguments that are recorded of one program, and bytes of them together.
const ARGUMENTS: u64 = 256;
const TEXT: usize = 8192;

/// Where libc looks for a name service cache before it reads its files.
const NAMES: &str = "/var/run/nscd/socket";
/// Generations of processes that are looked at.
const DEPTH: usize = 64;
/// Size of a Unix socket's address.
const ADDRESS: usize = 110;

/// What a build may start.
#[derive(Clone, Debug)]
pub struct Toolchain {
    /// Directories that programs are executed from.
    pub roots: Vec<PathBuf>,
    /// Processes and threads.
    pub processes: u64,
    /// Whether Landlock keeps signals inside the sandbox on this kernel.
    pub signals: bool,
}

/// Device, inode, size, last change.
type Identity = (u64, u64, u64, i64, i64);

/// The state of a build.
#[derive(Debug)]
pub(super) struct Building {
    toolchain: Toolchain,
    started: AtomicU64,
    /// Whether no process may be started any more.
    closed: AtomicBool,
    over: AtomicBool,
    digests: Mutex<HashMap<Identity, Digest>>,
}

impl Building {
    pub(super) fn new(toolchain: Toolchain) -> Self {
        Self {
            toolchain,
            started: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            over: AtomicBool::new(false),
            digests: Mutex::default(),
        }
    }

    /// Whether a file lies in the toolchain.
    pub(super) fn has(&self, path: &Path) -> bool {
        self.toolchain
            .roots
            .iter()
            .any(|root| lies_below(path, root))
    }

    /// Each program is hashed once.
    fn digest(&self, file: &File, metadata: &Metadata) -> Option<Digest> {
        let identity = (
            metadata.dev(),
            metadata.ino(),
            metadata.size(),
            metadata.ctime(),
            metadata.ctime_nsec(),
        );
        let known = |digests: &HashMap<Identity, Digest>| digests.get(&identity).cloned();
        if let Some(digest) = self.digests.lock().ok().as_deref().and_then(known) {
            return Some(digest);
        }
        let digest = sha256_of(file).ok()?;
        if let Ok(mut digests) = self.digests.lock() {
            digests.insert(identity, digest.clone());
        }
        Some(digest)
    }
}

impl Supervisor {
    /// Lets a build start nothing more.
    pub fn close(&self) {
        if let Some(build) = &self.build {
            build.closed.store(true, Ordering::SeqCst);
        }
    }

    /// Processes and threads that a build started, and whether it wanted more than it may.
    pub fn processes(&self) -> (u64, bool) {
        let read = |build: &Building| {
            let started = build.started.load(Ordering::SeqCst);
            (started, build.over.load(Ordering::SeqCst))
        };
        self.build.as_ref().map(read).unwrap_or_default()
    }

    /// A new process or thread.
    pub(super) fn process(&self, name: &str) -> Answer {
        let Some(build) = &self.build else {
            return Answer::Fail(libc::EACCES);
        };
        if build.closed.load(Ordering::SeqCst) {
            return Answer::Fail(libc::EAGAIN);
        }
        let most = build.toolchain.processes;
        if build.started.fetch_add(1, Ordering::SeqCst) < most {
            return Answer::GoOn(Continue::Scalars);
        }
        build.started.fetch_sub(1, Ordering::SeqCst);
        build.over.store(true, Ordering::SeqCst);
        let message = format!("`{name}` refused: the build started {most} processes, its limit");
        let finding = Finding::new(Code::BuildLimit, "processes", message);
        Answer::Refuse(libc::EAGAIN, Box::new(finding))
    }

    /// A connection of a build: it is never made. What the address says only decides how that is told.
    pub(super) fn nowhere(&self, notification: &Notification) -> Answer {
        let [_, address, length, ..] = notification.arguments;
        let mut bytes = [0_u8; ADDRESS];
        let length = usize::try_from(length).unwrap_or(ADDRESS).min(ADDRESS);
        let window = bytes.get_mut(..length).unwrap_or_default();
        let count = self.memory.read(notification.thread, address, window);
        let read = bytes.get(..count.unwrap_or_default()).unwrap_or_default();
        let path = read.get(2..).unwrap_or_default();
        let path = path.split(|byte| *byte == 0).next().unwrap_or_default();
        let path = String::from_utf8_lossy(path).into_owned();
        if path == NAMES {
            return Answer::Fail(libc::ENOENT);
        }
        let message = format!("connect to `{path}` refused: a build has no network");
        let finding = Finding::new(Code::NetworkRefused, path, message);
        Answer::Refuse(libc::EACCES, Box::new(finding))
    }

    /// A signal to a process.
    pub(super) fn signal(&self, notification: &Notification, subject: String) -> Answer {
        let target = descriptor(notification.arguments[0]);
        let own = process_of(notification.thread) == Some(target);
        let build = self.build.as_ref();
        let kept = build.is_some_and(|build| build.toolchain.signals);
        if own || (kept && is_below(target)) {
            return Answer::GoOn(Continue::LandlockDecides);
        }
        let why = match kept {
            true => "it would reach a process outside the build",
            false => "this kernel cannot keep signals inside",
        };
        let message = format!("`{subject}` refused: {why}");
        let finding = Finding::new(Code::KernelSurfaceRefused, subject, message);
        Answer::Refuse(libc::EPERM, Box::new(finding))
    }

    /// A program of a build.
    pub(super) fn program(&self, build: &Building, notification: &Notification) -> Answer {
        let [first, second, third, _, flags, _] = notification.arguments;
        let at = notification.number == libc::SYS_execveat;
        let (directory, path, arguments) = match at {
            true => (descriptor(first), second, third),
            false => (libc::AT_FDCWD, first, second),
        };
        let named = match self.named(notification, directory, path) {
            Ok(named) => named,
            Err(error) => return Answer::Fail(error.raw_os_error().unwrap_or(libc::EACCES)),
        };
        let by_descriptor = at && descriptor(flags) & libc::AT_EMPTY_PATH != 0;
        let held = match by_descriptor && named.text.is_empty() {
            true => hold_descriptor(notification.thread, directory),
            false => named.hold(true),
        };
        let looked = held.and_then(|held| {
            let held = File::from(held);
            Ok((real(&held)?, held.metadata()?))
        });
        let (path, metadata) = match looked {
            Ok(looked) => looked,
            Err(error) => return Answer::Fail(error.raw_os_error().unwrap_or(libc::EACCES)),
        };
        if metadata.is_dir() {
            return Answer::Fail(libc::EACCES);
        }
        if !metadata.is_file() || !self.may_execute(build, &path) {
            let subject = shown(&path);
            let message = format!(
                "start of `{subject}` refused: it does not lie in the toolchain of the approval"
            );
            let finding = Finding::new(Code::ExecRefused, subject, message)
                .with_hint("name its directory under `toolchain`, if the build is to run it");
            return Answer::Refuse(libc::EACCES, Box::new(finding));
        }
        self.started(build, notification.thread, &path, arguments);
        Answer::GoOn(Continue::Toolchain)
    }

    /// Below the toolchain, or below a system root that the plan executes from.
    fn may_execute(&self, build: &Building, path: &Path) -> bool {
        let loader = self.executable.iter().any(|one| one == path);
        let below = self.programs.iter().any(|root| lies_below(path, root));
        !loader && (below || build.has(path))
    }

    /// Records a program that starts.
    pub(super) fn started(&self, build: &Building, thread: i32, path: &Path, arguments: u64) {
        let file = File::open(path).and_then(|file| Ok((file.metadata()?, file)));
        let sha256 = file
            .ok()
            .and_then(|(metadata, file)| build.digest(&file, &metadata));
        self.send(Event::BuildProgram(BuildProgram {
            process: process_of(thread).unwrap_or(thread),
            path: shown(path),
            sha256,
            arguments: self.arguments(thread, arguments),
        }));
    }

    /// The arguments of a program as they stand there now.
    fn arguments(&self, thread: i32, address: u64) -> Vec<String> {
        let mut found = Vec::new();
        let mut size = 0;
        for index in 0..ARGUMENTS {
            let at = address.wrapping_add(index * 8);
            let Ok(pointer) = self.memory.exact::<8>(thread, at).map(u64::from_ne_bytes) else {
                break;
            };
            if pointer == 0 {
                return found;
            }
            let text = match self.memory.path(thread, pointer) {
                Ok(text) => shown(text),
                Err(_) => "…".to_owned(),
            };
            size += text.len();
            if size > TEXT {
                break;
            }
            found.push(text);
        }
        found.push("…".to_owned());
        found
    }
}

/// Whether a signal to that number reaches nothing but processes of the build: for the record, Landlock decides.
fn is_below(target: i32) -> bool {
    let session = std::process::id().cast_signed();
    let mut process = match target {
        0 => return true,
        -1 => return false,
        other => other.saturating_abs(),
    };
    if process == session {
        return false;
    }
    for _ in 0..DEPTH {
        // What is not there is nobody's: the kernel says so.
        let Some(parent) = parent_of(process) else {
            return true;
        };
        if parent == session {
            return true;
        }
        if parent <= 1 {
            return false;
        }
        process = parent;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_one_of_somebody_else() {
        let own = std::process::id().cast_signed();
        let mut child = std::process::Command::new("sleep")
            .arg("30")
            .spawn()
            .unwrap();
        let below = child.id().cast_signed();
        assert!(is_below(below) && is_below(-below) && is_below(0));
        child.kill().unwrap();
        child.wait().unwrap();
        let parent = parent_of(own).unwrap();
        for outside in [own, parent, -1, 1] {
            assert!(!is_below(outside), "{outside}");
        }
    }
}
