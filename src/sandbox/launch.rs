//! The launcher: a fresh, single-threaded process that confines itself and becomes the manager.
//!
//! Started by the session from its main thread, which is what the death signal hangs on. Reads the
//! plan from its socket, applies Landlock, then the filters, hands the listener over, waits for the
//! word, and executes the manager's ELF by descriptor. Nothing foreign runs before that exec, and
//! the filter allows no second one.

use std::ffi::CString;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;

use nix::fcntl::{AtFlags, OFlag};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::Mode;

use super::seccomp::Filters;
use super::{Failure, Report, filesystem, seccomp};
use crate::model::{Launch, Limits, PathRule};
use crate::sys;

/// Descriptors of a process of a build: interpreters close all that there could be, one by one.
const DESCRIPTORS: u64 = 4096;

/// The filters for a process of that id.
type Compile = dyn Fn(u32) -> Result<Filters, Failure>;
/// Restricts this process to the rules, on a kernel of that Landlock ABI.
type Restrict = dyn Fn(u32, &[PathRule]) -> Result<(), Failure>;

/// What the launcher puts on itself. The binary knows one value of it ([`Default`]); the suite's own
/// program takes rules out, to show that an attack then works.
pub struct Layers {
    /// System calls.
    pub filters: Box<Compile>,
    /// Files, TCP, signals.
    pub files: Box<Restrict>,
}

impl Default for Layers {
    fn default() -> Self {
        Self {
            filters: Box::new(seccomp::compile),
            files: Box::new(filesystem::restrict),
        }
    }
}

impl std::fmt::Debug for Layers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Layers")
    }
}

/// Entry of the hidden re-execution. Returns only if the manager was not started; the session has
/// been told why.
pub fn main(socket: OwnedFd, parent: i32) -> Failure {
    start(socket, parent, &Layers::default())
}

/// The same with these layers.
pub fn start(socket: OwnedFd, parent: i32, layers: &Layers) -> Failure {
    let mut socket = UnixStream::from(socket);
    match prepare(&mut socket, parent, layers) {
        Err(failure) => {
            let report = Report {
                error: Some(failure.clone()),
                ..Report::default()
            };
            // If the session is gone there is nobody left to tell.
            let _ = send(&mut socket, &report);
            failure
        }
        // The exec failed after the report was sent: the session sees the process end.
        Ok(never) => never,
    }
}

fn send(socket: &mut UnixStream, report: &Report) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(report)?;
    line.push(b'\n');
    socket.write_all(&line)
}

fn c_string(bytes: &std::ffi::OsStr) -> Result<CString, Failure> {
    CString::new(bytes.as_bytes()).map_err(|error| Failure::new("argument", error))
}

/// The limits that the kernel keeps for each process of a build. What they come to together is watched
/// from outside and told; those of the kernel stand behind that.
fn limit(limits: &Limits) -> std::io::Result<()> {
    let mib = |number: u32| u64::from(number).saturating_mul(Limits::MIB);
    for (resource, most) in [
        (Resource::RLIMIT_DATA, mib(limits.memory).saturating_mul(2)),
        (Resource::RLIMIT_FSIZE, mib(limits.file)),
        (
            Resource::RLIMIT_CPU,
            u64::from(limits.cpu_seconds).saturating_mul(2),
        ),
        (Resource::RLIMIT_NOFILE, DESCRIPTORS),
    ] {
        let (_, before) = getrlimit(resource)?;
        setrlimit(resource, most.min(before), most.min(before))?;
    }
    // A file that is too large is an error of the write, as on a full disk.
    sys::process::outlive_file_limit()
}

fn prepare(socket: &mut UnixStream, parent: i32, layers: &Layers) -> Result<Failure, Failure> {
    let step = |name: &'static str| move |error: &dyn std::fmt::Display| Failure::new(name, error);
    sys::process::die_with_parent().map_err(|e| step("death signal")(&e))?;
    if nix::unistd::getppid().as_raw() != parent {
        return Err(Failure::new("parent", "the session is gone"));
    }
    // While the session still makes the plan.
    let mut filters = (layers.filters)(std::process::id())?;
    let mut line = Vec::new();
    BufReader::new(&*socket)
        .read_until(b'\n', &mut line)
        .map_err(|e| step("plan")(&e))?;
    let plan: Launch = serde_json::from_slice(&line).map_err(|e| step("plan")(&e))?;

    nix::unistd::setsid().map_err(|e| step("setsid")(&e))?;
    let keep = u32::try_from(socket.as_raw_fd()).unwrap_or(3);
    if keep > 3 {
        sys::process::close_range(3, keep - 1).map_err(|e| step("close_range")(&e))?;
    }
    sys::process::close_range(keep + 1, u32::MAX).map_err(|e| step("close_range")(&e))?;
    setrlimit(Resource::RLIMIT_CORE, 0, 0).map_err(|e| step("setrlimit")(&e))?;
    sys::process::reset_signals().map_err(|e| step("signals")(&e))?;
    if let Some(limits) = &plan.build {
        filters = seccomp::compile_build(std::process::id())?;
        limit(limits).map_err(|e| step("limits")(&e))?;
    }
    nix::unistd::chdir(plan.directory.as_os_str())
        .map_err(|e| Failure::new(&format!("directory {}", plan.directory.display()), e))?;

    let executable = nix::fcntl::open(
        plan.executable.as_os_str(),
        OFlag::O_PATH | OFlag::O_CLOEXEC,
        Mode::empty(),
    )
    .map_err(|e| Failure::new(&format!("program {}", plan.executable.display()), e))?;
    let arguments = plan
        .arguments
        .iter()
        .map(|a| c_string(a))
        .collect::<Result<Vec<_>, _>>()?;
    let environment = plan
        .environment
        .iter()
        .map(|(name, value)| {
            let mut entry = name.clone();
            entry.push("=");
            entry.push(value);
            c_string(&entry)
        })
        .collect::<Result<Vec<_>, _>>()?;

    nix::sys::prctl::set_no_new_privs().map_err(|e| step("no_new_privs")(&e))?;
    let (landlock_abi, landlock_errata) = filesystem::required(sys::probe::landlock())?;
    (layers.files)(landlock_abi, &plan.rules)?;
    sys::notify::install_filter(&filters.known).map_err(|e| step("seccomp")(&e))?;
    sys::notify::install_filter(&filters.quiet).map_err(|e| step("seccomp")(&e))?;
    let listener = sys::notify::install_listener(&filters.notified).map_err(|error| Failure {
        busy: error.raw_os_error() == Some(libc::EBUSY),
        ..Failure::new("seccomp listener", error)
    })?;
    let report = Report {
        landlock_abi,
        landlock_errata,
        seccomp_filters: 3,
        error: None,
    };
    send(socket, &report).map_err(|e| step("report")(&e))?;
    sys::fd::send(socket.as_fd(), listener.as_fd()).map_err(|e| step("listener")(&e))?;
    drop(listener);
    let mut go = [0_u8; 1];
    socket
        .read_exact(&mut go)
        .map_err(|e| step("waiting for the session")(&e))?;
    let Err(error) = nix::unistd::execveat(
        &executable,
        c"",
        &arguments,
        &environment,
        AtFlags::AT_EMPTY_PATH,
    );
    Ok(Failure::new("exec", error))
}
