//! `v4run doctor`: what this machine offers, and whether the sandbox really holds on it.
//!
//! Runs the built-in canaries as "the manager" inside the very layers of a run, and compares each
//! answer with the expected one. Writes no record and needs no network.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::sys::wait::waitpid;
use serde::Serialize;

use super::children::{Launcher, children, end_all};
use super::confined::{engage, internal, unenforceable};
use super::identity;
use crate::manager;
use crate::model::{Access, Event, FileGuard, Finding, Launch, PathRule};
use crate::sandbox;
use crate::sandbox::canary;
use crate::supervisor::{Gate, Parts, Sink};
use crate::sys::fd;
use crate::sys::probe;

/// What the self-test found.
#[derive(Debug, Default, Serialize)]
pub struct Diagnosis {
    /// Kernel release.
    pub kernel: String,
    /// How user and capabilities were chosen.
    pub user: String,
    /// Landlock ABI, 0 when there is none.
    pub landlock_abi: u32,
    /// Landlock errata bits.
    pub landlock_errata: u32,
    /// Landlock protections that the kernel lacks; the filter closes them alone.
    pub single_layer: Vec<String>,
    /// How the manager's memory is read.
    pub memory: String,
    /// Canaries that were refused as expected.
    pub refused: Vec<String>,
    /// Canaries that were not, with what happened.
    pub failed: Vec<String>,
    /// Refusals that the supervisor reported.
    pub reported: usize,
    /// Why the sandbox could not be set up at all.
    pub error: Option<Finding>,
}

impl Diagnosis {
    /// Whether a run can be enforced here.
    pub fn holds(&self) -> bool {
        self.error.is_none() && self.failed.is_empty() && !self.refused.is_empty()
    }
}

/// Runs the self-test.
pub fn diagnose() -> Diagnosis {
    let mut diagnosis = Diagnosis {
        kernel: nix::sys::utsname::uname()
            .map(|name| name.release().to_string_lossy().into_owned())
            .unwrap_or_default(),
        ..Diagnosis::default()
    };
    if let probe::Landlock::Active { abi, errata } = probe::landlock() {
        diagnosis.landlock_abi = abi;
        diagnosis.landlock_errata = errata;
        diagnosis.single_layer = sandbox::single_layer(abi);
    }
    let before = children().unwrap_or_default();
    if let Err(finding) = test(&mut diagnosis) {
        diagnosis.error = Some(finding);
    }
    end_all(&before);
    diagnosis
}

fn test(diagnosis: &mut Diagnosis) -> Result<(), Finding> {
    let io = |what: &'static str| move |error: std::io::Error| internal(what, error);
    sandbox::offered().map_err(|failure| unenforceable(&failure))?;
    let directory = std::env::current_dir().map_err(io("working directory"))?;
    diagnosis.user = identity::settle(&directory, &identity::Needs::default())?;
    nix::sys::prctl::set_child_subreaper(true).map_err(|e| internal("subreaper", e))?;

    let root = tempfile::tempdir().map_err(io("temporary directory"))?;
    let real = root
        .path()
        .canonicalize()
        .map_err(io("temporary directory"))?;
    let (inside, outside) = (real.join("inside"), real.join("outside"));
    std::fs::create_dir(&inside).map_err(io("temporary directory"))?;
    std::fs::create_dir(&outside).map_err(io("temporary directory"))?;
    std::fs::write(outside.join("secret"), "secret").map_err(io("temporary directory"))?;
    canary::prepare(&inside).map_err(io("copy of the shell"))?;
    let _service = UnixListener::bind(outside.join("socket")).map_err(io("unix socket"))?;
    let sentinel = TcpListener::bind("127.0.0.1:0").map_err(io("loopback listener"))?;
    let address = sentinel.local_addr().map_err(io("loopback listener"))?;

    let launch = launch(&inside, &outside, address)?;
    let mut launcher = Launcher::start()?;
    launcher.plan(&launch)?;
    let (_report, listener) = launcher.confined()?;
    let listener_of_gate = TcpListener::bind("127.0.0.1:0").map_err(io("loopback listener"))?;
    let (near, _far) = fd::pair().map_err(|e| internal("socket pair", e))?;
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&events);
    let manager = manager::ALL.first().copied();
    let (supervisor, workers) = engage(
        listener,
        Parts {
            gate: Some(Gate::new(listener_of_gate, near).map_err(io("gate"))?),
            ..Parts::alone(
                manager.ok_or_else(|| internal("manager", "none"))?,
                launcher.id().as_raw(),
                FileGuard {
                    runtime_roots: library_roots(),
                    ..FileGuard::default()
                },
                launch.rules.clone(),
                Sink::new(move |event| {
                    sink.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(event);
                }),
            )
        },
    )?;
    launcher.go()?;
    let _ = waitpid(launcher.id(), None);
    for worker in workers {
        let _ = worker.join();
    }
    diagnosis.memory = supervisor
        .memory_way()
        .unwrap_or("nothing was read")
        .to_owned();
    let results = std::fs::read_to_string(inside.join(canary::RESULTS)).unwrap_or_default();
    compare(&results, diagnosis);
    let events = events.lock().unwrap_or_else(PoisonError::into_inner);
    diagnosis.reported = events
        .iter()
        .filter(|e| matches!(e, Event::Found(_)))
        .count();
    Ok(())
}

/// Judges the result file: every canary must be there, with its errno.
fn compare(results: &str, diagnosis: &mut Diagnosis) {
    let results: BTreeMap<&str, &str> = results
        .lines()
        .filter_map(|line| line.split_once(' '))
        .collect();
    // An outer filter may have refused first; engines answer with one of these two.
    let outer = [Errno::EPERM, Errno::ENOSYS].map(|errno| format!("errno {}", errno as i32));
    for canary in canary::ALL {
        let expected = format!("errno {}", canary.errno);
        match results.get(canary.name) {
            Some(result) if **result == expected || outer.iter().any(|other| other == result) => {
                diagnosis.refused.push(canary.name.to_owned())
            }
            Some(result) => diagnosis.failed.push(format!(
                "{}: {result}, expected {expected} ({})",
                canary.name, canary.danger
            )),
            None => diagnosis
                .failed
                .push(format!("{}: did not run", canary.name)),
        }
    }
}

fn launch(inside: &Path, outside: &Path, address: SocketAddr) -> Result<Launch, Finding> {
    let executable = std::fs::read_link("/proc/self/exe").map_err(|e| internal("own file", e))?;
    let rule = |path: PathBuf, access, why: &str| PathRule {
        path: path.into_os_string(),
        access,
        why: why.to_owned(),
    };
    let mut rules = vec![
        rule(executable.clone(), Access::Execute, "the canary program"),
        rule(inside.to_owned(), Access::Write, "results"),
        rule(
            canary::terminals(),
            Access::Device,
            "a terminal to type into",
        ),
    ];
    rules.retain(|rule| Path::new(&rule.path).exists());
    for path in mapped_files() {
        let loader = path
            .file_name()
            .is_some_and(|n| n.to_string_lossy().starts_with("ld-"));
        let access = if loader {
            Access::Execute
        } else {
            Access::Read
        };
        rules.push(rule(path, access, "libraries of the canary program"));
    }
    let arguments: Vec<OsString> = vec![
        "v4run".into(),
        canary::ARGUMENT.into(),
        inside.into(),
        outside.into(),
        address.to_string().into(),
        std::process::id().to_string().into(),
    ];
    Ok(Launch {
        executable: executable.into_os_string(),
        arguments,
        environment: Vec::new(),
        directory: inside.into(),
        rules,
        child: None,
        build: None,
    })
}

/// Files mapped into this process, the program itself left out: what its copy will load as well.
fn mapped_files() -> Vec<PathBuf> {
    let own = std::fs::read_link("/proc/self/exe").unwrap_or_default();
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut files: Vec<PathBuf> = maps
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().nth(5))
        .map(PathBuf::from)
        .filter(|path| path.is_absolute() && *path != own && path.is_file())
        .collect();
    files.push("/etc/ld.so.cache".into());
    files.retain(|file| file.exists());
    files.sort();
    files.dedup();
    files
}

fn library_roots() -> Vec<OsString> {
    let parents = mapped_files()
        .into_iter()
        .filter_map(|file| Some(file.parent()?.to_owned()));
    let mut roots: Vec<OsString> = parents.map(PathBuf::into_os_string).collect();
    roots.sort();
    roots.dedup();
    roots
}
