//! Signals of a run: taken as data by the main thread, passed on to the manager.
//!
//! The manager is in a session of its own, so the terminal's signals reach v4run only. As PID 1 of a
//! container v4run gets no default actions; taking signals from a descriptor works there as well.

use std::os::fd::{AsFd as _, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::model::{Code, Finding};

/// Signals that are passed on as they are.
const FORWARDED: &[Signal] = &[
    Signal::SIGINT,
    Signal::SIGTERM,
    Signal::SIGHUP,
    Signal::SIGQUIT,
    Signal::SIGUSR1,
    Signal::SIGUSR2,
    Signal::SIGWINCH,
    Signal::SIGCONT,
];

fn set() -> SigSet {
    let mut set = SigSet::empty();
    set.add(Signal::SIGCHLD);
    FORWARDED.iter().for_each(|signal| set.add(*signal));
    set
}

/// Keeps the signals for [`Signals`]. Called before any thread exists, so that all inherit it.
pub(super) fn block() -> Result<(), Finding> {
    let noticed = crate::sys::process::notice_children();
    let blocked = noticed.and_then(|()| Ok(set().thread_block()?));
    blocked.map_err(|error| {
        Finding::new(
            Code::Internal,
            "signals",
            format!("cannot block signals: {error}"),
        )
    })
}

/// The pending signals of this process.
#[derive(Debug)]
pub(super) struct Signals(SignalFd);

impl Signals {
    /// Opens the descriptor.
    pub(super) fn open() -> Result<Self, Finding> {
        SignalFd::with_flags(&set(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
            .map(Self)
            .map_err(|error| {
                Finding::new(
                    Code::Internal,
                    "signals",
                    format!("cannot take signals: {error}"),
                )
            })
    }

    /// For poll.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// The next pending signal that is to be passed on; child notices are dropped, because every
    /// wake-up looks at the children anyway.
    pub(super) fn next(&mut self) -> Option<Signal> {
        while let Ok(Some(info)) = self.0.read_signal() {
            let signal = i32::try_from(info.ssi_signo)
                .ok()
                .and_then(|n| Signal::try_from(n).ok());
            if let Some(signal) = signal.filter(|signal| FORWARDED.contains(signal)) {
                return Some(signal);
            }
        }
        None
    }
}
