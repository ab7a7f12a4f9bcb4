//! The parent's side of the sandbox: answers the manager's notified system calls.
//!
//! Threads of the session receive, judge and answer; one file a kind of call. What Landlock decides
//! too is let go on after a look; what only the supervisor can decide is done by it on objects it
//! opened itself (injected descriptors, replaced sockets, metadata on held files), so that nothing
//! the manager changes meanwhile matters. A call that cannot be read or judged is refused.
//! It does not know packages: files are judged by digests that others promised.

use std::cell::Cell;
use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::manager::Manager;
use crate::model::{Access, Code, Decision, Event, FileGuard, Finding, PathRule};
use crate::profile::kernel::{Judge, Rules, Verdict};
use crate::protocol::Inspector;
use crate::sys::memory::Reader;
use crate::sys::notify::{Continue, Listener, Notification};

mod build;
mod change;
mod child;
mod connect;
mod exec;
mod known;
mod map;
mod marks;
mod metadata;
mod open;
mod path;
mod probes;
mod recall;
mod sealed;
mod views;

pub use build::Toolchain;
pub use connect::Gate;
pub use known::KnownDigests;
pub use recall::{Recall, Recalled};

use build::Building;
use child::Child;
use probes::Probes;
use sealed::Sealed;
use views::Views;

/// Everything the workers share.
#[derive(Debug)]
pub struct Supervisor {
    listener: Listener,
    manager: &'static dyn Manager,
    inspector: Option<Inspector>,
    /// Process id of the manager.
    process: i32,
    started: AtomicBool,
    child: Child,
    build: Option<Building>,
    memory: Reader,
    gate: Option<Gate>,
    files: FileGuard,
    views: Views,
    readable: Vec<PathBuf>,
    listable: Vec<PathBuf>,
    writable: Vec<PathBuf>,
    devices: Vec<PathBuf>,
    /// Directories that programs are executed from, and single programs; of builds only.
    programs: Vec<PathBuf>,
    executable: Vec<PathBuf>,
    runtime: Vec<PathBuf>,
    protected: Vec<PathBuf>,
    probes: Probes,
    known: KnownDigests,
    recall: Option<Recall>,
    sealed: Sealed,
    /// Parents of written files that were seen to be what their path says; for events only.
    straight: Mutex<HashSet<PathBuf>>,
    events: Sink,
    counts: Counts,
    turn: Mutex<()>,
}

#[derive(Debug, Default)]
struct Counts {
    notifications: AtomicU64,
    opens: AtomicU64,
    connections: AtomicU64,
    failed: AtomicBool,
}

/// What a handler decided.
#[derive(Debug)]
enum Answer {
    /// Already answered by injecting a descriptor.
    Done,
    /// The kernel makes the call.
    GoOn(Continue),
    /// The call was made by the supervisor.
    Value(i64),
    /// Refused, with the finding that says why.
    Refuse(i32, Box<Finding>),
    /// The call fails as it would have without v4run.
    Fail(i32),
}

/// Where events go. The supervisor does not know the recorder.
pub struct Sink(Box<dyn Fn(Event) + Send + Sync>);

impl Sink {
    /// Calls this with every event, from any worker.
    pub fn new(take: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Box::new(take))
    }
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sink")
    }
}

/// What the supervisor is made from.
#[derive(Debug)]
pub struct Parts {
    /// The manager's driver, for what an artifact looks like to it.
    pub manager: &'static dyn Manager,
    /// What artifact files on disk must satisfy beside their digest.
    pub inspector: Option<Inspector>,
    /// Process id of the manager.
    pub process: i32,
    /// The ELF that one child process may execute, once.
    pub child: Option<PathBuf>,
    /// What an approved build may start.
    pub build: Option<Toolchain>,
    /// How to reach the proxy; without it there is no network at all.
    pub gate: Option<Gate>,
    /// How to judge files.
    pub files: FileGuard,
    /// The Landlock rules of the run.
    pub rules: Vec<PathRule>,
    /// Digests that open artifacts may have.
    pub known: KnownDigests,
    /// What earlier runs verified of files that are kept.
    pub recall: Option<Recall>,
    /// How to read the manager's memory.
    pub memory: Reader,
    /// Where events go.
    pub events: Sink,
}

impl Parts {
    /// Those of a process that is judged by its plan alone: it reaches no proxy, opens no artifacts and
    /// starts nothing.
    pub fn alone(
        manager: &'static dyn Manager,
        process: i32,
        files: FileGuard,
        rules: Vec<PathRule>,
        events: Sink,
    ) -> Self {
        Self {
            manager,
            inspector: None,
            process,
            child: None,
            build: None,
            gate: None,
            files,
            rules,
            known: KnownDigests::default(),
            recall: None,
            memory: Reader::default(),
            events,
        }
    }
}

/// What a notification refers to: an address, a path, a call of any number; for the fuzz target.
#[cfg(any(test, feature = "fuzz"))]
pub fn fuzz(bytes: &[u8]) {
    connect::fuzz(bytes);
    path::fuzz(bytes);
    let mut numbers = [0_u64; 7];
    for (number, eight) in numbers.iter_mut().zip(bytes.chunks_exact(8)) {
        *number = eight.try_into().map_or(0, u64::from_ne_bytes);
    }
    let [number, arguments @ ..] = numbers;
    let _ = describe(&kind(number), &arguments);
    let _ = family(number);
}

impl Supervisor {
    /// Takes the listener; answers nothing until [`Supervisor::work`] runs.
    pub fn new(listener: Listener, mut parts: Parts) -> Result<Self, globset::Error> {
        let having = |wanted: &[Access]| {
            parts
                .rules
                .iter()
                .filter(|rule| wanted.contains(&rule.access))
                .map(|rule| plain(&rule.path))
                .collect::<Vec<_>>()
        };
        let all = |places: &[OsString]| places.iter().map(|place| plain(place)).collect();
        let probes = Probes::new(&parts.files.probes)?;
        let writable = having(&[Access::Write, Access::WriteFile]);
        let views = std::mem::take(&mut parts.files.views);
        let views = Views::new(views, |path| {
            !writable.iter().any(|root| path::lies_below(path, root))
        });
        Ok(Self {
            listener,
            manager: parts.manager,
            inspector: parts.inspector,
            process: parts.process,
            started: AtomicBool::new(false),
            child: Child::new(parts.child.as_deref()),
            build: parts.build.take().map(Building::new),
            programs: having(&[Access::Programs]),
            executable: having(&[Access::Execute]),
            memory: parts.memory,
            gate: parts.gate,
            readable: having(&[
                Access::Read,
                Access::Execute,
                Access::Programs,
                Access::Write,
                Access::WriteFile,
                Access::Device,
            ]),
            listable: having(&[Access::List]),
            writable,
            views,
            devices: having(&[Access::Device]),
            runtime: all(&parts.files.runtime_roots),
            protected: all(&parts.files.protected),
            files: parts.files,
            probes,
            known: parts.known,
            recall: parts.recall,
            sealed: Sealed::default(),
            straight: Mutex::new(HashSet::new()),
            events: parts.events,
            counts: Counts::default(),
            turn: Mutex::new(()),
        })
    }

    /// Answers until the last task of the filter is gone. Several threads may run it.
    pub fn work(&self) {
        let turn = Turn(Cell::new(None));
        let always = !Listener::receiving_ends();
        let mut polls = always;
        loop {
            // One worker at a time waits, so that none is stuck in a receive after the last call.
            if !turn.take(&self.turn) || (polls && !self.awaits_call()) {
                return;
            }
            let received = self.listener.receive();
            // An error means that this caller died before it was received, or that the last one did.
            polls = always || received.is_err();
            if let Ok(notification) = received {
                self.answer(&notification, &turn);
            }
        }
    }

    /// Waits until there is a call to receive. `false` after the last task of the filter.
    fn awaits_call(&self) -> bool {
        loop {
            let mut ready = [PollFd::new(self.listener.as_fd(), PollFlags::POLLIN)];
            match poll(&mut ready, PollTimeout::NONE) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(_) => {
                    self.counts.failed.store(true, Ordering::Relaxed);
                    return false;
                }
            }
            let state = ready[0].revents().unwrap_or(PollFlags::empty());
            if state.contains(PollFlags::POLLIN) {
                return true;
            }
            if state.intersects(PollFlags::POLLHUP | PollFlags::POLLERR) {
                return false;
            }
        }
    }

    /// Whether every notification was answered by its handler.
    pub fn is_healthy(&self) -> bool {
        !self.counts.failed.load(Ordering::Relaxed)
    }

    /// The way in which memory was read, once anything was.
    pub fn memory_way(&self) -> Option<&'static str> {
        self.memory.way().map(crate::sys::memory::Way::name)
    }

    /// Wakes the supervisor on the manager's processor, where the kernel can.
    pub fn wake_synchronously(&self) -> bool {
        self.listener.wake_synchronously()
    }

    /// The counts for the record; `repeated` is the recorder's.
    pub fn counted(&self) -> Event {
        Event::Counted {
            notifications: self.counts.notifications.load(Ordering::Relaxed),
            opens: self.counts.opens.load(Ordering::Relaxed),
            connections: self.counts.connections.load(Ordering::Relaxed),
            repeated: 0,
        }
    }

    fn answer(&self, notification: &Notification, turn: &Turn<'_>) {
        self.counts.notifications.fetch_add(1, Ordering::Relaxed);
        // A handler that fails must not leave the manager waiting, nor let the call through.
        let answer = catch_unwind(AssertUnwindSafe(|| match self.judge(notification, turn) {
            Answer::Refuse(errno, finding) => {
                self.report(notification, errno, *finding);
                Answer::Fail(errno)
            }
            answer @ (Answer::Done | Answer::GoOn(_) | Answer::Value(_) | Answer::Fail(_)) => {
                answer
            }
        }));
        let id = notification.id;
        let sent = match answer {
            Ok(Answer::Done) => Ok(()),
            Ok(Answer::GoOn(reason)) => self.listener.go_on(id, reason),
            Ok(Answer::Value(value)) => self.listener.answer(id, value),
            Ok(Answer::Fail(errno) | Answer::Refuse(errno, _)) => self.listener.refuse(id, errno),
            Err(_panic) => {
                self.counts.failed.store(true, Ordering::Relaxed);
                self.listener.refuse(id, libc::EACCES)
            }
        };
        // A failure to answer means that the caller is gone.
        drop(sent);
    }

    fn judge(&self, notification: &Notification, turn: &Turn<'_>) -> Answer {
        let Some(call) = self.rules().by_number(notification.number) else {
            return Answer::Fail(libc::ENOSYS);
        };
        let me = u32::try_from(self.process).unwrap_or_default();
        match call.verdict(&notification.arguments, me) {
            Some(Verdict::Judge(judge)) => match judge {
                Judge::Exec => self.exec(notification),
                Judge::Connect if self.build.is_some() => self.nowhere(notification),
                Judge::Connect => {
                    turn.pass();
                    self.connect(notification)
                }
                Judge::Map => self.map(notification),
                Judge::Open => self.open(notification, turn),
                Judge::Change => self.change(notification),
                Judge::Metadata => self.metadata(notification),
                Judge::Process => self.process(call.name),
                Judge::Signal => {
                    self.signal(notification, describe(call.name, &notification.arguments))
                }
            },
            Some(Verdict::Refuse(_, Code::ProcessRefused)) if self.child.is_made_now() => {
                Answer::GoOn(Continue::Scalars)
            }
            Some(Verdict::Refuse(errno, code)) => {
                let subject = describe(call.name, &notification.arguments);
                let message = match (code, &self.build) {
                    (Code::ProcessRefused, _) => {
                        format!("a new process (`{subject}`) refused: a run is one process")
                    }
                    (Code::NetworkRefused, Some(_)) => {
                        format!("`{subject}` refused: a build has no network")
                    }
                    (_, Some(_)) => format!("`{subject}` refused: no build needs it"),
                    (_, None) => format!("`{subject}` refused: no install needs it"),
                };
                Answer::Refuse(errno, Box::new(Finding::new(code, subject, message)))
            }
            Some(Verdict::Deny(errno)) => Answer::Fail(errno),
            // The filter notified what the table allows: they disagree, which tests exclude.
            None => Answer::Fail(libc::EACCES),
        }
    }

    /// The table that the calls are under.
    const fn rules(&self) -> Rules {
        match self.build {
            Some(_) => Rules::Build,
            None => Rules::Install,
        }
    }

    /// Records a refusal: as a violation, or as the harmless probe that the profile expects.
    fn report(&self, notification: &Notification, errno: i32, finding: Finding) {
        let call = self.rules().by_number(notification.number);
        let call = call.map_or("unknown", |call| call.name);
        let decision = Decision::Refused(errno);
        self.send(if finding.code == Code::ExecRefused {
            Event::Exec {
                path: finding.subject.clone(),
                decision,
            }
        } else {
            Event::Call {
                call: call.to_owned(),
                subject: finding.subject.clone(),
                decision,
                digest: None,
            }
        });
        self.send(Event::Found(
            match self.probes.why(call, &finding.subject) {
                Some(why) => Finding::new(
                    Code::SuppressedProbe,
                    finding.subject,
                    format!("{}; expected: {why}", finding.message),
                ),
                None => finding,
            },
        ));
    }

    fn send(&self, event: Event) {
        (self.events.0)(event);
    }
}

/// The right to receive the next call, which one worker at a time has. It is kept from call to call:
/// waking the other worker costs more than most answers. A handler that may be busy passes it on.
struct Turn<'a>(Cell<Option<MutexGuard<'a, ()>>>);

impl<'a> Turn<'a> {
    /// Waits for it unless this worker has it. `false` if the other worker is lost.
    fn take(&self, turn: &'a Mutex<()>) -> bool {
        let held = self.0.take().or_else(|| turn.lock().ok());
        let holds = held.is_some();
        self.0.set(held);
        holds
    }

    /// Lets another worker receive while this one is busy.
    fn pass(&self) {
        drop(self.0.take());
    }
}

/// A place as it can be compared as bytes: no doubled, trailing or empty names.
fn plain(place: &OsStr) -> PathBuf {
    Path::new(place).components().collect()
}

/// A refused call with the arguments that made it so, for messages.
fn describe(name: &str, arguments: &[u64; 6]) -> String {
    let [first, second, third, ..] = *arguments;
    let low = |value: u64| value & u64::from(u32::MAX);
    match name {
        "socket" => format!(
            "socket({}, {}, {})",
            family(low(first)),
            kind(low(second) & 0xf),
            low(third)
        ),
        "kill" | "tgkill" | "rt_sigqueueinfo" => format!("{name}({})", low(first).cast_signed()),
        "ioctl" | "fcntl" => format!("{name}(_, {:#x})", low(second)),
        "setsockopt" => format!("setsockopt(_, {}, {})", low(second), low(third)),
        "prctl" | "personality" => format!("{name}({:#x})", low(first)),
        "clone" => format!("clone({:#x})", low(first)),
        "io_uring_setup" => format!("{name}({})", low(first)),
        _ => name.to_owned(),
    }
}

fn family(number: u64) -> String {
    let name = match i32::try_from(number).unwrap_or(-1) {
        libc::AF_UNIX => "AF_UNIX",
        libc::AF_INET => "AF_INET",
        libc::AF_INET6 => "AF_INET6",
        libc::AF_NETLINK => "AF_NETLINK",
        libc::AF_PACKET => "AF_PACKET",
        libc::AF_ALG => "AF_ALG",
        libc::AF_VSOCK => "AF_VSOCK",
        other => return format!("family {other}"),
    };
    name.to_owned()
}

fn kind(number: u64) -> String {
    let name = match i32::try_from(number).unwrap_or(-1) {
        libc::SOCK_STREAM => "SOCK_STREAM",
        libc::SOCK_DGRAM => "SOCK_DGRAM",
        libc::SOCK_RAW => "SOCK_RAW",
        libc::SOCK_SEQPACKET => "SOCK_SEQPACKET",
        other => return format!("type {other}"),
    };
    name.to_owned()
}
