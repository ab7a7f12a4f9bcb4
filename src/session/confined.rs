//! The part of a run in which foreign data is handled: proxy, launcher, supervisor.
//!
//! Main thread: starts the two processes, waits for signals and for their ends. Two worker threads
//! answer notifications, one thread reads the proxy's messages. The manager starts only after proxy
//! and launcher have both said that they stand. It ends with nothing left but the session.

use std::io::BufReader;
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Ended;
use super::children::{Launcher, Proxy, children, end_all, next_line};
use super::places::Environment;
use super::query;
use super::say;
use super::signals::Signals;
use crate::diag::ManagerStatus;
use crate::manager::{Manager, Prepared, PrivateDirs};
use crate::model::{Code, Event, Finding, ProxyMessage, redact_url};
use crate::protocol::{self, Inspector};
use crate::record::Recorder;
use crate::sandbox;
use crate::store::{Directory, Ledger};
use crate::supervisor::{Gate, KnownDigests, Parts, Recall, Sink, Supervisor};
use crate::sys::memory::Reader;
use crate::sys::notify::Listener;
use crate::sys::process;

/// Workers that answer notifications: one may be busy with a large file.
const WORKERS: usize = 2;
/// Longest wait for the proxy to stand.
const READY: Duration = Duration::from_secs(20);
/// Time for the proxy to hand over what is still to be said and to end: more than it takes for both.
const LAST_WORDS: Duration = Duration::from_secs(12);
/// The same where nothing was started, so that nothing is to be said.
const NO_WORDS: Duration = Duration::from_secs(1);

/// A run that is about to start: both helpers are coming up meanwhile.
#[derive(Debug)]
pub(super) struct Start {
    proxy: Proxy,
    launcher: Launcher,
    gate: Gate,
    port: u16,
    /// Children that this process had before: a shell that executes v4run leaves it its own.
    spared: Vec<Pid>,
}

pub(super) fn internal(what: &str, error: impl std::fmt::Display) -> Finding {
    Finding::new(Code::Internal, what, format!("{what}: {error}"))
}

/// A layer that cannot be enforced, as a finding.
pub(super) fn unenforceable(failure: &sandbox::Failure) -> Finding {
    let code = if failure.busy {
        Code::ListenerBusy
    } else {
        Code::SandboxUnenforceable
    };
    let message = format!("not started: {failure}");
    Finding::new(code, &failure.step, message).with_hint(code.remedy())
}

impl Start {
    /// Starts the proxy, opens the gate to it, and starts the launcher: both wait for their plans,
    /// and get ready while these are made.
    /// `silent`: nobody reads what the manager prints.
    pub(super) fn new(
        store: &Path,
        environment: &Environment,
        silent: bool,
    ) -> Result<Self, Finding> {
        sandbox::offered().map_err(|failure| unenforceable(&failure))?;
        let spared = children().unwrap_or_default();
        nix::sys::prctl::set_child_subreaper(true).map_err(|e| internal("subreaper", e))?;
        let (proxy, connections) = Proxy::start(store, environment)?;
        let gate = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| {
                let port = listener.local_addr()?.port();
                Ok((Gate::new(listener, connections)?, port))
            })
            .map_err(|error| internal("loopback listener", error));
        let (gate, port) = gate?;
        Ok(Self {
            proxy,
            launcher: match silent {
                true => Launcher::silent()?,
                false => Launcher::start()?,
            },
            gate,
            port,
            spared,
        })
    }

    /// The port that the manager is told as its proxy.
    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// Runs the manager to its end. Whatever happens, nothing of it is left afterwards.
    pub(super) fn run(
        self,
        recorder: &Recorder,
        manager: &'static dyn Manager,
        prepared: &Prepared,
        private: &PrivateDirs,
        ended: &mut Ended,
    ) -> Result<(), Finding> {
        let Self {
            mut proxy,
            mut launcher,
            gate,
            spared,
            ..
        } = self;
        let known = KnownDigests::default();
        let result = (|| {
            let messages = proxy.plan(&prepared.network)?;
            let mut signals = Signals::open()?;
            let living: Vec<Pid> = spared
                .iter()
                .copied()
                .chain([proxy.id(), launcher.id()])
                .collect();
            query::announce(prepared, recorder);
            for query in &prepared.queries {
                ended.started = true;
                query::ask(query, manager, recorder, &mut signals, proxy.id(), &living)?;
            }
            launcher.plan(&prepared.launch)?;
            let (ready, certificate) = channel();
            let (reading, read) = channel();
            let reader = listen(messages, recorder, known.clone(), ready, reading)?;
            let result = supervise(Stage {
                recorder,
                manager,
                prepared,
                private,
                proxy: &proxy,
                spared: &spared,
                launcher: &mut launcher,
                gate,
                known,
                certificate,
                signals,
                ended,
            });
            // Nothing is left of the manager by now; what the proxy still says is read to its end.
            proxy.stop();
            let patience = if ended.started { LAST_WORDS } else { NO_WORDS };
            let silent = matches!(read.recv_timeout(patience), Err(RecvTimeoutError::Timeout));
            if silent {
                // It closes the socket and so ends the reader.
                let _ = kill(proxy.id(), Signal::SIGKILL);
            }
            let _ = reader.join();
            if silent && result.is_ok() {
                let message =
                    "the proxy did not end; it was ended, and what it had left to say is lost";
                return Err(Finding::new(Code::HelperLost, "proxy", message));
            }
            result
        })();
        let contained = end_all(&spared);
        contained.complete("processes")?;
        recorder.send(Event::Contained {
            killed: contained.killed,
        });
        result
    }
}

/// Reads the proxy's messages: the certificate to whoever waits for it, events to the recorder.
fn listen(
    mut messages: BufReader<UnixStream>,
    recorder: &Recorder,
    known: KnownDigests,
    ready: Sender<String>,
    reading: Sender<()>,
) -> Result<JoinHandle<()>, Finding> {
    let events = recorder.sender();
    std::thread::Builder::new()
        .name("proxy".to_owned())
        .spawn(move || {
            // Dropped at the end, which is what is waited for.
            let _reading = reading;
            let mut ready = Some(ready);
            while let Some(line) = next_line(&mut messages) {
                match serde_json::from_slice(&line) {
                    Ok(ProxyMessage::Ready { certificate }) => {
                        if let Some(ready) = ready.take() {
                            // The main thread may have given up already.
                            let _ = ready.send(certificate);
                        }
                    }
                    Ok(ProxyMessage::Event(event)) if !is_the_proxy_s(&event) => {
                        let message = "the proxy reported what is not its to report";
                        let finding = Finding::new(Code::HelperLost, "proxy", message);
                        events.send(Event::Found(finding));
                        return;
                    }
                    Ok(ProxyMessage::Event(event)) => {
                        if let Event::Released(released) = event.as_ref() {
                            known.add(&released.sha256);
                        }
                        if let Event::MetadataServed {
                            sha256: Some(sha256),
                            ..
                        } = event.as_ref()
                        {
                            known.add(sha256);
                        }
                        events.send(*event);
                    }
                    Err(error) => {
                        let message = format!("the proxy said something unreadable: {error}");
                        let finding = Finding::new(Code::HelperLost, "proxy", message);
                        events.send(Event::Found(finding));
                        return;
                    }
                }
            }
        })
        .map_err(|error| internal("thread", error))
}

/// What earlier runs verified of the files that the manager keeps. A lock that names everything
/// speaks alone.
pub(super) fn recall(prepared: &Prepared) -> Result<Option<Recall>, Finding> {
    let network = &prepared.network;
    let Some(protocol) = protocol::by_name(&network.protocol) else {
        return Ok(None);
    };
    if prepared.files.kept.is_empty() || network.closed {
        return Ok(None);
    }
    let store = Directory::open(Path::new(&network.store)).map_err(|e| internal("store", e))?;
    let origins = network.repositories.iter();
    Ok(Some(Recall {
        ledger: Ledger::new(&store, &network.run),
        protocol,
        origins: origins.map(|one| redact_url(&one.origin)).collect(),
        places: prepared.files.kept.iter().map(Into::into).collect(),
    }))
}

/// The proxy parses hostile bytes: it is believed about its own work only.
const fn is_the_proxy_s(event: &Event) -> bool {
    matches!(
        event,
        Event::ProxyReady { .. }
            | Event::Connected { .. }
            | Event::MetadataServed { .. }
            | Event::Released(_)
            | Event::Examined(_)
            | Event::Vouched(_)
            | Event::Found(_)
            | Event::Counted { .. }
    )
}

struct Stage<'a> {
    recorder: &'a Recorder,
    manager: &'static dyn Manager,
    prepared: &'a Prepared,
    private: &'a PrivateDirs,
    proxy: &'a Proxy,
    spared: &'a [Pid],
    launcher: &'a mut Launcher,
    gate: Gate,
    known: KnownDigests,
    certificate: Receiver<String>,
    signals: Signals,
    ended: &'a mut Ended,
}

fn supervise(stage: Stage<'_>) -> Result<(), Finding> {
    let mut signals = stage.signals;
    let (report, listener) = stage.launcher.confined()?;
    let certificate = await_ready(&stage.certificate, &mut signals)?;
    let file = stage.private.certificate();
    std::fs::write(&file, &certificate).map_err(|error| {
        internal(
            "certificate",
            format!("cannot write `{}`: {error}", file.display()),
        )
    })?;
    if let Some((name, content)) = stage.manager.authority(&certificate)? {
        let file = stage.private.config.join(name);
        std::fs::write(&file, content).map_err(|error| {
            let shown = file.display();
            internal("certificate", format!("cannot write `{shown}`: {error}"))
        })?;
    }
    let manager = stage.launcher.id();
    let events = stage.recorder.sender();
    let (supervisor, workers) = engage(
        listener,
        Parts {
            manager: stage.manager,
            inspector: protocol::by_name(&stage.prepared.network.protocol).map(|named| {
                let network = &stage.prepared.network;
                Inspector::new(named, network.layout.clone(), network.refused.clone())
            }),
            process: manager.as_raw(),
            child: stage.prepared.launch.child.clone().map(PathBuf::from),
            build: None,
            gate: Some(stage.gate),
            files: stage.prepared.files.clone(),
            rules: stage.prepared.launch.rules.clone(),
            known: stage.known,
            recall: recall(stage.prepared)?,
            memory: Reader::default(),
            events: Sink::new(move |event| events.send(event)),
        },
    )?;
    stage.ended.started = true;
    stage.launcher.go()?;
    let outcome = watch(&mut signals, stage.recorder, manager, stage.proxy.id());
    // Only the proxy may live on; the manager's threads die with it, and anything that it managed to
    // leave behind is ended here, while its calls are still answered.
    let living: Vec<Pid> = stage
        .spared
        .iter()
        .copied()
        .chain([stage.proxy.id()])
        .collect();
    let contained = end_all(&living);
    for worker in workers {
        let _ = worker.join();
    }
    tell_enforced(stage.recorder, &report, &supervisor);
    if contained.killed > 0 {
        let message = format!(
            "{} processes had to be ended after the manager",
            contained.killed
        );
        stage.recorder.send(Event::Found(Finding::new(
            Code::ProcessRefused,
            "leftover processes",
            message,
        )));
    }
    stage.ended.status = outcome?;
    if let Some(status) = stage.ended.status {
        let (code, signal) = match status {
            ManagerStatus::Exited(code) => (Some(code), None),
            ManagerStatus::Signalled(signal) => (None, Some(signal)),
        };
        stage.recorder.send(Event::ManagerExited { code, signal });
    }
    judged(&supervisor)
}

/// A supervisor with the workers that answer its notifications. They end with the last task of the filter.
pub(super) fn engage(
    listener: Listener,
    parts: Parts,
) -> Result<(Arc<Supervisor>, Vec<JoinHandle<()>>), Finding> {
    let supervisor = Supervisor::new(listener, parts);
    let supervisor = Arc::new(supervisor.map_err(|error| internal("probe pattern", error))?);
    // Worth a processor switch per call where the kernel can; no loss where it cannot.
    supervisor.wake_synchronously();
    let worker = |index| {
        let supervisor = Arc::clone(&supervisor);
        std::thread::Builder::new()
            .name(format!("supervisor-{index}"))
            .spawn(move || supervisor.work())
            .map_err(|error| internal("thread", error))
    };
    let workers: Result<Vec<_>, Finding> = (0..WORKERS).map(worker).collect();
    Ok((supervisor, workers?))
}

/// An error where a supervisor could not judge everything.
pub(super) fn judged(supervisor: &Supervisor) -> Result<(), Finding> {
    if supervisor.is_healthy() {
        return Ok(());
    }
    let message = "a notification could not be judged; it was refused";
    Err(Finding::new(Code::HelperLost, "supervisor", message))
}

/// Waits for the proxy's certificate; a signal ends the wait.
fn await_ready(certificate: &Receiver<String>, signals: &mut Signals) -> Result<String, Finding> {
    let lost = |message: &str| Finding::new(Code::HelperLost, "proxy", message);
    let step = Duration::from_millis(100);
    for _ in 0..READY.as_millis() / step.as_millis() {
        match certificate.recv_timeout(step) {
            Ok(certificate) => return Ok(certificate),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(lost("the proxy ended before it was ready"));
            }
            Err(RecvTimeoutError::Timeout) => {
                if let Some(Signal::SIGINT | Signal::SIGTERM | Signal::SIGHUP | Signal::SIGQUIT) =
                    signals.next()
                {
                    return Err(Finding::new(
                        Code::Usage,
                        "signal",
                        "stopped before the start",
                    ));
                }
            }
        }
    }
    Err(lost("the proxy did not become ready in time"))
}

/// Records what held the process that is over, and how often it was asked.
pub(super) fn tell_enforced(
    recorder: &Recorder,
    report: &sandbox::Report,
    supervisor: &Supervisor,
) {
    recorder.send(Event::Enforced {
        landlock_abi: report.landlock_abi,
        landlock_errata: report.landlock_errata,
        seccomp_filters: report.seccomp_filters,
        memory: supervisor
            .memory_way()
            .unwrap_or("nothing was read")
            .to_owned(),
        single_layer: sandbox::single_layer(report.landlock_abi),
    });
    recorder.send(supervisor.counted());
}

/// How a process ended.
pub(super) fn ended(status: ExitStatus) -> ManagerStatus {
    match (status.code(), status.signal()) {
        (Some(code), _) => ManagerStatus::Exited(code),
        (None, signal) => ManagerStatus::Signalled(signal.unwrap_or_default()),
    }
}

/// Time that the manager has after SIGTERM. Engines and runners kill everything ten seconds after
/// theirs, and npm goes on until a download is over: without this such a run would have no record.
const GRACE: Duration = Duration::from_secs(5);
/// The same after one more signal that asks for the end: some runners leave less between their last two.
const AGAIN: Duration = Duration::from_secs(1);

/// Passes signals on until the manager has ended. If the proxy or the record is lost, or it does not
/// end when it is told to, the manager is ended: it must not go on unverified or unrecorded. Then its
/// status is that of the signal that it did not obey.
pub(super) fn watch(
    signals: &mut Signals,
    recorder: &Recorder,
    manager: Pid,
    proxy: Pid,
) -> Result<Option<ManagerStatus>, Finding> {
    let mut lost = None;
    let mut asked: Option<Signal> = None;
    let mut end: Option<Instant> = None;
    let mut forced = false;
    loop {
        while let Some(signal) = signals.next() {
            // It may have ended this very moment.
            let _ = kill(manager, signal);
            if matches!(
                signal,
                Signal::SIGHUP | Signal::SIGINT | Signal::SIGQUIT | Signal::SIGTERM
            ) {
                // What stands still takes no other signal than this one before it goes on.
                let _ = kill(manager, Signal::SIGCONT);
                let patience = match asked {
                    Some(_) => Some(AGAIN),
                    None => (signal == Signal::SIGTERM).then_some(GRACE),
                };
                let latest = patience.map(|patience| Instant::now() + patience);
                end = end.into_iter().chain(latest).min();
                asked = Some(signal);
            }
        }
        if !forced && end.is_some_and(|end| end <= Instant::now()) {
            forced = true;
            let _ = kill(manager, Signal::SIGKILL);
        }
        match process::try_wait(manager) {
            Ok(Some(status)) => {
                let disobeyed = asked.filter(|_| forced && status.signal().is_some());
                if let Some(asked) = disobeyed {
                    say(
                        "v4run: the package manager did not end when it was told to, and was killed",
                    );
                    return lost.map_or(Ok(Some(ManagerStatus::Signalled(asked as i32))), Err);
                }
                return lost.map_or(Ok(Some(self::ended(status))), Err);
            }
            Ok(None) => {}
            Err(error) => return Err(internal("waiting for the manager", error)),
        }
        if lost.is_none() {
            let gone = !matches!(process::try_wait(proxy), Ok(None));
            lost = if gone {
                let message = "the proxy ended during the run; the manager was stopped";
                Some(Finding::new(Code::HelperLost, "proxy", message))
            } else if !recorder.healthy() {
                let message = "the record cannot be written; the manager was stopped";
                Some(Finding::new(Code::RecordFailed, "record", message))
            } else {
                None
            };
            if lost.is_some() {
                let _ = kill(manager, Signal::SIGKILL);
            }
        }
        // A child notice wakes it; the time limit is for the record's state.
        let mut ready = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut ready, PollTimeout::from(500_u16));
    }
}
