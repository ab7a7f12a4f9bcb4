//! One script of an approved component, in its sandbox, to its end.
//!
//! Like the manager's own run, without a proxy and with limits: a launcher confines itself and executes the
//! shell, two workers answer notifications, this thread watches. Over a limit everything is ended. Afterwards
//! nothing is left; what had to be ended then is a violation, because a build that is over is over.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::super::children::{Launcher, end_all};
use super::super::confined::{ended, engage, internal, judged, tell_enforced};
use super::super::signals::Signals;
use super::usage;
use crate::diag::ManagerStatus;
use crate::manager::{Manager, Planned, Step};
use crate::model::{BuildEnd, Code, Event, Finding, Limits, Severity};
use crate::record::Recorder;
use crate::supervisor::{Parts, Sink, Supervisor, Toolchain};
use crate::sys::process;

/// Time between two looks at what a build uses.
const LOOK: u16 = 200;
/// Landlock that keeps signals inside.
const SIGNALS: u32 = 6;

/// What a script runs with.
pub(super) struct Stage<'a> {
    pub(super) recorder: &'a Recorder,
    pub(super) manager: &'static dyn Manager,
    pub(super) step: &'a Step<'a>,
    pub(super) spared: &'a [Pid],
    /// Becomes true when anything was refused, or was left behind.
    pub(super) refused: &'a Arc<AtomicBool>,
}

/// What is known when the script has ended.
#[derive(Default)]
struct Watched {
    status: Option<ManagerStatus>,
    memory: u64,
    disk: u64,
    over: Option<String>,
    interrupted: bool,
}

impl Stage<'_> {
    /// Runs it. `started` becomes true with the first program.
    pub(super) fn run(
        &self,
        planned: Planned,
        signals: &mut Signals,
        started: &mut bool,
    ) -> Result<Option<ManagerStatus>, Finding> {
        let limits = self.step.build.limits;
        let mut launcher = Launcher::start()?;
        launcher.plan(&planned.launch)?;
        let (report, listener) = launcher.confined()?;
        let events = self.recorder.sender();
        let refused = Arc::clone(self.refused);
        let told = move |event: Event| {
            if matches!(&event, Event::Found(found) if found.code.severity() == Severity::Violation)
            {
                refused.store(true, Ordering::SeqCst);
            }
            events.send(event);
        };
        let (supervisor, workers) = engage(
            listener,
            Parts {
                build: Some(Toolchain {
                    roots: planned.toolchain,
                    processes: limits.processes.into(),
                    signals: report.landlock_abi >= SIGNALS,
                }),
                ..Parts::alone(
                    self.manager,
                    launcher.id().as_raw(),
                    planned.files,
                    planned.launch.rules,
                    Sink::new(told),
                )
            },
        )?;
        let (begin, before) = (Instant::now(), usage::waited_for());
        *started = true;
        launcher.go()?;
        let watched = self.watch(&supervisor, signals, launcher.id(), limits);
        supervisor.close();
        let contained = end_all(self.spared);
        for worker in workers {
            let _ = worker.join();
        }
        let watched = watched?;
        tell_enforced(self.recorder, &report, &supervisor);
        self.report(&watched, contained.killed);
        let (code, signal) = match watched.status {
            Some(ManagerStatus::Exited(code)) => (Some(code), None),
            Some(ManagerStatus::Signalled(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.recorder.send(Event::BuildEnded(BuildEnd {
            purl: self.step.wanted.purl.clone(),
            script: self.step.script.name.clone(),
            code,
            signal,
            milliseconds: milliseconds(begin.elapsed()),
            cpu_milliseconds: milliseconds(usage::waited_for().saturating_sub(before)),
            memory: watched.memory,
            processes: supervisor.processes().0,
            disk: watched.disk,
        }));
        contained.complete("processes of a build")?;
        judged(&supervisor)?;
        Ok(watched.status)
    }

    fn report(&self, watched: &Watched, killed: u32) {
        let purl = &self.step.wanted.purl;
        if watched.over.is_some() || killed > 0 {
            self.refused.store(true, Ordering::SeqCst);
        }
        if let Some(over) = &watched.over {
            let message = format!("the build of `{purl}` was ended: {over}");
            let finding = Finding::new(Code::BuildLimit, &self.step.wanted.path, message)
                .with_hint("`limits` of the approval may be more, if it really needs that");
            self.recorder.send(Event::Found(finding));
        } else if killed > 0 && !watched.interrupted {
            let message = format!("{killed} processes had to be ended after the build of `{purl}`");
            let finding = Finding::new(Code::ProcessRefused, "leftover processes", message);
            self.recorder.send(Event::Found(finding));
        }
    }

    /// Waits for the end; ends everything over a limit, or when the record is lost.
    fn watch(
        &self,
        supervisor: &Supervisor,
        signals: &mut Signals,
        main: Pid,
        limits: Limits,
    ) -> Result<Watched, Finding> {
        let private = self.step.private;
        let folders: Vec<PathBuf> = [
            &self.step.wanted.folder,
            &private.home,
            &private.cache,
            &private.tmp,
        ]
        .into_iter()
        .cloned()
        .collect();
        let (begin, used, reaped) = (Instant::now(), usage::disk(&folders), usage::waited_for());
        let mut watched = Watched::default();
        loop {
            while let Some(signal) = signals.next() {
                // Whoever interrupts v4run wants all of it to end.
                watched.interrupted = true;
                let _ = kill(main, signal);
                let ends = [
                    Signal::SIGINT,
                    Signal::SIGTERM,
                    Signal::SIGHUP,
                    Signal::SIGQUIT,
                ];
                if ends.contains(&signal) {
                    supervisor.close();
                    let _ = kill(main, Signal::SIGKILL);
                }
            }
            if let Some(status) =
                process::try_wait(main).map_err(|error| internal("waiting for a build", error))?
            {
                watched.status = Some(ended(status));
                watched.disk = usage::disk(&folders).saturating_sub(used);
                return Ok(watched);
            }
            let living = usage::living(self.spared);
            watched.memory = watched.memory.max(living.memory);
            let disk = usage::disk(&folders).saturating_sub(used);
            let processor = living.processor + usage::waited_for().saturating_sub(reaped);
            let mib = |number: u32| u64::from(number).saturating_mul(Limits::MIB);
            let seconds = |number: u32| Duration::from_secs(number.into());
            let over = if begin.elapsed() > seconds(limits.seconds) {
                Some(format!("it took longer than {} s", limits.seconds))
            } else if processor > seconds(limits.cpu_seconds) {
                Some(format!(
                    "it used more than {} s of processor time",
                    limits.cpu_seconds
                ))
            } else if living.memory > mib(limits.memory) {
                Some(format!("it used more than {} MiB of memory", limits.memory))
            } else if disk > mib(limits.disk) {
                Some(format!("it put more than {} MiB on disk", limits.disk))
            } else if supervisor.processes().1 {
                Some(format!(
                    "it started more than {} processes",
                    limits.processes
                ))
            } else {
                None
            };
            if !self.recorder.healthy() {
                supervisor.close();
                let _ = kill(main, Signal::SIGKILL);
                let message = "the record cannot be written; the build was stopped";
                return Err(Finding::new(Code::RecordFailed, "record", message));
            }
            if over.is_some() && watched.over.is_none() {
                watched.over = over;
                supervisor.close();
                let _ = kill(main, Signal::SIGKILL);
            }
            // A child notice wakes it; the time limit is for what it uses.
            let mut ready = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut ready, PollTimeout::from(LOOK));
        }
    }
}
