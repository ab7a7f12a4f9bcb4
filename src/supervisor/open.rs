//! Opens: artifact files are verified and handed out as sealed copies; the rest is Landlock's.
//!
//! Write-opens are looked at by name, so that a refusal that Landlock makes silently becomes an
//! event; a handle that can write is not verified, because its content is the manager's to change.
//! Reads below the runtime's roots go on at once. Any other regular file that can be read is opened
//! here and that very descriptor is handed out: an artifact, by name or leading bytes, is read whole,
//! hashed, and answered with a sealed copy of the very bytes that were hashed; a replaced file is
//! answered with its view; `/proc/self` files are opened for the manager, because `/proc` as a whole
//! is closed to it.

use std::fs::{File, Metadata};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::change::refused;
use super::path::{Named, by_descriptor, descriptor, hold_descriptor, real, shown};
use super::recall::Recalled;
use super::sealed::Copy;
use super::{Answer, Supervisor, Turn};
use crate::manager::{HandOut, Opened};
use crate::model::{Code, Decision, Digest, Event, Finding, Integrity, Trust};
use crate::profile::kernel;
use crate::protocol::Artifact;
use crate::sys::fd;
use crate::sys::notify::{Continue, Notification};
use crate::sys::process::process_of;
use crate::verify::{Digests, Hashed};

/// Largest artifact that is verified; a sealed copy is memory.
const LARGEST: u64 = 2 << 30;

/// Entries of `/proc/self` that a runtime reads about itself.
const OWN: &[&str] = &[
    "auxv",
    "cgroup",
    "cmdline",
    "comm",
    "limits",
    "maps",
    "mountinfo",
    "mounts",
    "stat",
    "statm",
    "status",
    "smaps_rollup",
    "oom_score_adj",
];

/// Entries of `/proc` that describe the machine and no process.
const MACHINE: &[&str] = &[
    "cpuinfo",
    "filesystems",
    "loadavg",
    "meminfo",
    "stat",
    "sys/kernel/cap_last_cap",
    "sys/kernel/random/uuid",
    "sys/vm/overcommit_memory",
    "sys/vm/max_map_count",
    "sys/fs/file-max",
    "uptime",
    "version",
    "version_signature",
];

/// An open for reading that is being judged.
struct Reading<'a, 't> {
    notification: &'a Notification,
    call: &'a str,
    flags: i32,
    turn: &'a Turn<'t>,
}

impl Supervisor {
    pub(super) fn open(&self, notification: &Notification, turn: &Turn<'_>) -> Answer {
        let name = kernel::by_number(notification.number).map_or("", |call| call.name);
        let (named, flags) = match self.asked(notification, name) {
            Ok(asked) => asked,
            Err(error) => return Answer::Fail(error.raw_os_error().unwrap_or(libc::EACCES)),
        };
        if flags & libc::O_PATH != 0 {
            // No access rights come with it; using it later is a call of its own.
            return Answer::GoOn(Continue::LandlockDecides);
        }
        let reads = flags & libc::O_ACCMODE == libc::O_RDONLY;
        let asked = Reading {
            notification,
            call: name,
            flags,
            turn,
        };
        if named.is_own_descriptor() {
            return match reads {
                true => self.own_descriptor(&asked, &named),
                false => Answer::GoOn(Continue::LandlockDecides),
            };
        }
        let writes = if reads && flags & libc::O_TRUNC == 0 && flags & libc::O_CREAT != 0 {
            // A file that is there is not made: reading it is reading it.
            // Nor is one made where a link leads through a descriptor of the manager's.
            match named.hold(true) {
                Ok(_there) => false,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    match named.hold_directory() {
                        Ok(_place) => true,
                        Err(error) => return failed(&error),
                    }
                }
                Err(error) => return failed(&error),
            }
        } else {
            !reads || flags & libc::O_TRUNC != 0
        };
        if writes {
            return self.write(name, &named, flags);
        }
        if !named.climbs && self.is_runtime(&named.lexical) {
            return Answer::GoOn(Continue::LandlockDecides);
        }
        if Path::new(&named.text).starts_with("/proc") && named.climbs {
            // Through links of `/proc` and back out: nothing of that can be judged by name.
            return unreadable(name, Path::new(&named.text));
        }
        if let Ok(below) = named.lexical.strip_prefix("/proc") {
            return self.proc(notification, name, &named, below, flags);
        }
        self.read(&asked, &named)
    }

    fn asked(&self, notification: &Notification, name: &str) -> io::Result<(Named, i32)> {
        let [a, b, c, d, ..] = notification.arguments;
        let here = libc::AT_FDCWD;
        let (directory, address, flags) = match name {
            "open" => (here, a, descriptor(b)),
            "creat" => (here, a, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC),
            "openat" => (descriptor(a), b, descriptor(c)),
            "openat2" => {
                if d < 24 {
                    return Err(io::Error::from_raw_os_error(libc::EINVAL));
                }
                let flags: [u8; 8] = self.memory.exact(notification.thread, c)?;
                (descriptor(a), b, descriptor(u64::from_ne_bytes(flags)))
            }
            _ => return Err(io::Error::from_raw_os_error(libc::ENOSYS)),
        };
        Ok((self.named(notification, directory, address)?, flags))
    }

    fn write(&self, name: &str, named: &Named, flags: i32) -> Answer {
        if self.devices.contains(&named.lexical) {
            return Answer::GoOn(Continue::LandlockDecides);
        }
        if let Some(outside) = self.leads_outside(named) {
            return refused(name, &outside);
        }
        // A link at the end is followed unless the call says otherwise.
        if flags & (libc::O_NOFOLLOW | libc::O_EXCL) == 0
            && let Ok(link) = std::fs::read_link(&named.lexical)
        {
            let target = named.lexical.parent().unwrap_or(Path::new("/")).join(link);
            let real = std::fs::canonicalize(&target).unwrap_or(target);
            if !self.is_writable(&real) {
                return refused(name, &real);
            }
        }
        Answer::GoOn(Continue::LandlockDecides)
    }

    /// `/proc/self/…` and `/proc/<own number>/…` are opened here: no rule on `/proc` is needed, and
    /// no other process can be named.
    fn proc(
        &self,
        notification: &Notification,
        name: &str,
        named: &Named,
        below: &Path,
        flags: i32,
    ) -> Answer {
        let text = below.to_string_lossy();
        let (first, rest) = text.split_once('/').unwrap_or((text.as_ref(), ""));
        let process = match &self.build {
            Some(_) => process_of(notification.thread).unwrap_or(self.process),
            None => self.process,
        };
        let own = ["self", "thread-self", process.to_string().as_str()].contains(&first);
        let opened = if own && OWN.contains(&rest) {
            File::open(format!("/proc/{process}/{rest}"))
        } else if own && rest == "exe" && self.build.is_some() {
            // Its own program tells an interpreter which libc it has.
            std::fs::read_link(format!("/proc/{process}/exe")).and_then(|program| {
                match self.is_readable(&program) {
                    true => File::open(program),
                    false => Err(io::Error::from_raw_os_error(libc::EACCES)),
                }
            })
        } else if MACHINE.contains(&text.as_ref()) {
            File::open(&named.lexical)
        } else {
            // What is not there may say so; what is there belongs to others, or leads to them.
            let there = if own {
                Path::new("/proc").join(process.to_string()).join(rest)
            } else {
                Path::new("/proc").join(first)
            };
            // Interpreters list their descriptors before they start a program, and go on without.
            let lists = own && rest == "fd" && self.build.is_some();
            return match std::fs::symlink_metadata(there) {
                Ok(_) if lists => Answer::Fail(libc::ENOENT),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Answer::Fail(libc::ENOENT),
                Ok(_) | Err(_) => unreadable(name, &named.lexical),
            };
        };
        match opened {
            Ok(file) => self.inject(notification, &file.into(), flags),
            Err(error) => Answer::Fail(error.raw_os_error().unwrap_or(libc::EACCES)),
        }
    }

    /// Another name of one of the manager's own descriptors. A file may be held without any right, so
    /// opening it anew is an open as any other; streams and directories are Landlock's.
    fn own_descriptor(&self, asked: &Reading<'_, '_>, named: &Named) -> Answer {
        let go_on = Answer::GoOn(Continue::LandlockDecides);
        let Some(number) = named.own_descriptor() else {
            return match named.lexical == Path::new("/dev/fd") {
                true => go_on,
                false => unreadable(asked.call, &named.lexical),
            };
        };
        let held = match hold_descriptor(asked.notification.thread, number) {
            Ok(held) => File::from(held),
            Err(error) => return failed(&error),
        };
        match (real(&held), held.metadata()) {
            (Ok(path), Ok(metadata))
                if metadata.is_file() && self.is_readable(&path) && !self.is_runtime(&path) =>
            {
                self.open_anew(asked, &path, &held, &metadata)
            }
            (Ok(_), Ok(_)) => go_on,
            (Err(error), _) | (_, Err(error)) => failed(&error),
        }
    }

    fn read(&self, asked: &Reading<'_, '_>, named: &Named) -> Answer {
        self.counts.opens.fetch_add(1, Ordering::Relaxed);
        let go_on = Answer::GoOn(Continue::LandlockDecides);
        if asked.flags & libc::O_DIRECTORY == 0
            && self.is_readable(&named.lexical)
            && let Ok(file) = named.open_straight()
            && let Ok(metadata) = file.metadata()
            && metadata.is_file()
        {
            return self.hand_over(asked, &named.lexical, file, &metadata);
        }
        // What cannot be reached from here cannot be reached by the manager either: same user, same
        // capabilities, fewer rights. Nor does the call go on: a link may lead to what is only held, and
        // what a path leads to may change.
        let held = match named.hold(asked.flags & libc::O_NOFOLLOW == 0) {
            Ok(held) => File::from(held),
            Err(error) => return failed(&error),
        };
        let (path, metadata) = match (real(&held), held.metadata()) {
            (Ok(path), Ok(metadata)) => (path, metadata),
            (Err(error), _) | (_, Err(error)) => return failed(&error),
        };
        if metadata.is_dir() && self.is_listable(&path) {
            return go_on;
        }
        if !self.is_readable(&path) {
            return unreadable(asked.call, &path);
        }
        if !metadata.is_file() || self.is_runtime(&path) {
            return go_on;
        }
        self.open_anew(asked, &path, &held, &metadata)
    }

    /// Opens a file that is held and answers with it.
    fn open_anew(
        &self,
        asked: &Reading<'_, '_>,
        path: &Path,
        held: &File,
        metadata: &Metadata,
    ) -> Answer {
        match File::open(by_descriptor(held)) {
            Ok(file) => self.hand_over(asked, path, file, metadata),
            Err(error) => failed(&error),
        }
    }

    /// Answers with a file that was opened here, or with what the manager is given in its place.
    fn hand_over(
        &self,
        asked: &Reading<'_, '_>,
        path: &Path,
        mut file: File,
        metadata: &Metadata,
    ) -> Answer {
        let (notification, flags) = (asked.notification, asked.flags);
        if let Some(content) = self.views.of(path, metadata) {
            return self.inject_bytes(notification, content, flags);
        }
        if !self.is_artifact(path, &file, metadata) {
            // The file that was looked at, whatever its name leads to by now.
            return self.inject(notification, &file.into(), flags);
        }
        let at_hand = self.sealed.find(path, metadata);
        let verified = match at_hand {
            Some(copy) => Ok(copy),
            None => {
                asked.turn.pass();
                self.artifact(path, &mut file, metadata)
            }
        };
        match verified {
            Ok(copy) => {
                if !copy.own {
                    self.send(Event::Call {
                        call: asked.call.to_owned(),
                        subject: shown(path),
                        decision: Decision::Allowed,
                        digest: Some(copy.sha256.clone()),
                    });
                }
                self.inject_memory(notification, &copy.content, flags)
            }
            Err(answer) => answer,
        }
    }

    /// Verifies an artifact file and makes the sealed copy that is handed out in its place.
    fn artifact(
        &self,
        path: &Path,
        file: &mut File,
        metadata: &Metadata,
    ) -> Result<Arc<Copy>, Answer> {
        let subject = shown(path);
        let size = metadata.len();
        let failed = |error: io::Error, or| Answer::Fail(error.raw_os_error().unwrap_or(or));
        if size > LARGEST {
            let message = format!("`{subject}` refused: larger than any artifact ({size} bytes)");
            return Err(refuse_file(Code::FileUnverified, subject, message));
        }
        // Hashed is the copy that nobody else can reach, so what was hashed is what is handed out.
        let promised = self.promised(path);
        let copied = fd::memory().and_then(|mut copy| {
            io::copy(&mut file.take(LARGEST), &mut copy)?;
            Hashed::read(copy, promised)
        });
        let hashed = copied.map_err(|error| failed(error, libc::EIO))?;
        let digests = hashed.digests().clone();
        let own = promised.is_none() && self.is_own(path);
        let promise = match promised {
            Some(promised) => promised.clone(),
            None if own => Integrity::of(digests.sha256.clone()),
            None => match self.expected(path, &digests) {
                Ok(()) => Integrity::of(digests.sha256.clone()),
                Err(finding) => return Err(Answer::Refuse(libc::EACCES, finding)),
            },
        };
        let verified = match hashed.verify([&promise]) {
            Ok(verified) => verified,
            Err(mismatch) => {
                let computed = mismatch.computed.unwrap_or(digests.sha256);
                let message = format!(
                    "`{subject}` refused: its digest differs\nexpected {promise}\ncomputed {computed}"
                );
                return Err(refuse_file(Code::FileMismatch, subject, message));
            }
        };
        let (copy, digests) = verified.into_parts();
        if let Some(finding) = self.objection(path, &copy, promised, &digests.sha256) {
            return Err(Answer::Refuse(libc::EACCES, finding));
        }
        let content = match &self.files.trust {
            None => copy,
            Some(trust) => self.handed_out(copy, path, &digests.sha256, trust, own)?,
        };
        fd::seal(&content).map_err(|error| failed(error, libc::ENOMEM))?;
        let copy = Arc::new(Copy {
            content,
            sha256: digests.sha256,
            own,
        });
        // What the run makes itself it may make again, faster than clocks of files tell.
        if !own {
            self.sealed.keep(path, metadata, &copy);
        }
        Ok(copy)
    }

    /// Whether the run itself made a file.
    fn is_own(&self, path: &Path) -> bool {
        self.files.own.iter().any(|place| path.starts_with(place))
    }

    /// What a manager that may run artifacts is given in place of this one: what its driver says.
    fn handed_out(
        &self,
        content: File,
        path: &Path,
        sha256: &Digest,
        trust: &Trust,
        own: bool,
    ) -> Result<File, Answer> {
        let subject = shown(path);
        let handed = |trusted| {
            // What the run made itself is no artifact of anybody.
            if !own {
                self.send(Event::HandedOut {
                    path: subject.clone(),
                    sha256: sha256.clone(),
                    trusted,
                });
            }
        };
        let opened = Opened {
            path,
            sha256,
            content: &content,
            trust,
            own,
        };
        match self.manager.hand_out(&opened) {
            Ok(HandOut::Whole) => Ok(content),
            Ok(HandOut::Trusted(why)) => {
                handed(Some(why));
                Ok(content)
            }
            Ok(HandOut::View(view)) => {
                handed(None);
                in_memory(&view)
                    .map_err(|error| Answer::Fail(error.raw_os_error().unwrap_or(libc::ENOMEM)))
            }
            Ok(HandOut::Refused(finding)) => Err(Answer::Refuse(libc::EACCES, finding)),
            Err(error) => {
                let message = format!("`{subject}` refused: no view of it can be made: {error}");
                Err(refuse_file(Code::ArtifactInvalid, subject, message))
            }
        }
    }

    /// Whether the file may have these digests. What is known of its path comes before what is known
    /// of its bytes: those of one artifact do not stand for another.
    fn expected(&self, path: &Path, digests: &Digests) -> Result<(), Box<Finding>> {
        let recalled = match &self.recall {
            Some(recall) => recall.of(path, digests),
            None => Ok(Recalled::Unknown),
        };
        let subject = shown(path);
        let computed = &digests.sha256;
        let hint = "`v4run --repair` moves the file away, so that it is fetched again and verified";
        let kept = self.files.kept.iter().any(|place| path.starts_with(place));
        let (code, message) = match recalled {
            Ok(Recalled::Same) => return Ok(()),
            Ok(Recalled::Changed(first)) => {
                let message = format!(
                    "`{subject}` refused: it is not what was first verified\nexpected {first}\n\
                     computed {computed}"
                );
                (Code::FileMismatch, message)
            }
            Ok(Recalled::Unknown) => {
                if self.known.has(computed) {
                    return Ok(());
                }
                let who = match kept {
                    true => {
                        "neither lockfile, policy nor any run's download names it with that digest"
                    }
                    false => "neither lockfile, policy nor a download of this run names its digest",
                };
                let message = format!("`{subject}` refused: {who}\ncomputed {computed}");
                (Code::FileUnverified, message)
            }
            Err(error) => (
                Code::FileUnverified,
                format!("`{subject}` refused: {error}\ncomputed {computed}"),
            ),
        };
        let finding = Finding::new(code, subject, message);
        Err(Box::new(match kept {
            true => finding.with_hint(hint),
            false => finding,
        }))
    }

    /// What a look into the file finds against it. What the proxy released was looked into there.
    fn objection(
        &self,
        path: &Path,
        content: &File,
        promised: Option<&Integrity>,
        sha256: &Digest,
    ) -> Option<Box<Finding>> {
        let inspector = self.inspector.as_ref().filter(|_| promised.is_some())?;
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        let artifact = Artifact {
            name: None,
            version: None,
            file: &file,
        };
        let look = inspector.look(&artifact, content, sha256, &mut |event| self.send(event));
        look.err()
    }

    fn promised(&self, path: &Path) -> Option<&Integrity> {
        self.files
            .pinned
            .iter()
            .find(|(pinned, _)| Path::new(pinned) == path)
            .map(|(_, i)| i)
    }

    fn inject_bytes(&self, notification: &Notification, content: &[u8], flags: i32) -> Answer {
        let sealed = in_memory(content).and_then(|memory| fd::seal(&memory).map(|()| memory));
        match sealed {
            Ok(memory) => self.inject_memory(notification, &memory, flags),
            Err(error) => Answer::Fail(error.raw_os_error().unwrap_or(libc::ENOMEM)),
        }
    }

    /// Hands out a new description of sealed memory, read-only, at its beginning.
    fn inject_memory(&self, notification: &Notification, memory: &File, flags: i32) -> Answer {
        match File::open(by_descriptor(memory)) {
            Ok(file) => self.inject(notification, &file.into(), flags),
            Err(error) => Answer::Fail(error.raw_os_error().unwrap_or(libc::ENOMEM)),
        }
    }

    fn inject(&self, notification: &Notification, file: &OwnedFd, flags: i32) -> Answer {
        let cloexec = flags & libc::O_CLOEXEC != 0;
        match self
            .listener
            .hand_out(notification.id, file.as_fd(), cloexec)
        {
            Ok(()) => Answer::Done,
            Err(error) => Answer::Fail(error.raw_os_error().unwrap_or(libc::EACCES)),
        }
    }
}

fn in_memory(content: &[u8]) -> io::Result<File> {
    let mut memory = fd::memory()?;
    memory.write_all(content)?;
    Ok(memory)
}

/// The call fails as it did here.
fn failed(error: &io::Error) -> Answer {
    Answer::Fail(error.raw_os_error().unwrap_or(libc::EACCES))
}

fn unreadable(call: &str, path: &Path) -> Answer {
    let subject = shown(path);
    let message = format!("{call} of `{subject}` refused: not a place that this run may read");
    refuse_file(Code::FileAccessRefused, subject, message)
}

fn refuse_file(code: Code, subject: String, message: String) -> Answer {
    Answer::Refuse(libc::EACCES, Box::new(Finding::new(code, subject, message)))
}
