//! Starting the two re-executions of this binary, and ending everything that is left.
//!
//! Both are started from the session's main thread: their death signal hangs on it. Descriptors
//! they need stay open across the exec by number; nothing else does.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, BufRead as _, BufReader, IsTerminal, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use super::confined::unenforceable;
use super::places::Environment;
use crate::model::{Code, Finding, Launch, Network};
use crate::sandbox::Report;
use crate::sys::fd;
use crate::sys::notify::Listener;
use crate::sys::process;

/// Hidden first argument of the proxy.
pub const PROXY: &str = "__proxy";
/// Hidden first argument of the launcher.
pub const LAUNCHER: &str = "__launch";

/// Hidden first argument of the process that looks into artifacts.
pub const LOOK: &str = "__look";

/// Its last argument where it only gets time that nobody else wants.
pub const IDLE: &str = "idle";

/// This very binary, also if its file was replaced since.
pub(super) const SELF: &str = "/proc/self/exe";

/// Longest wait for a helper to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Variables that the proxy's libraries read: trust store, nothing else.
const PROXY_ENVIRONMENT: &[&str] = &["SSL_CERT_FILE", "SSL_CERT_DIR"];

fn lost(which: &str, error: impl std::fmt::Display) -> Finding {
    Finding::new(
        Code::HelperLost,
        which,
        format!("the {which} process failed: {error}"),
    )
}

/// The proxy process.
#[derive(Debug)]
pub(super) struct Proxy {
    child: Child,
    /// Plan down, messages up.
    control: UnixStream,
}

impl Proxy {
    /// Starts it; it waits for its plan. Returns the socket that carries connections to it as well.
    pub(super) fn start(
        store: &Path,
        environment: &Environment,
    ) -> Result<(Self, OwnedFd), Finding> {
        Self::spawn(store, environment).map_err(|error| lost("proxy", error))
    }

    fn spawn(store: &Path, environment: &Environment) -> io::Result<(Self, OwnedFd)> {
        let (control, theirs) = UnixStream::pair()?;
        let (connections, their_connections) = fd::pair()?;
        let kept = [OwnedFd::from(theirs), their_connections];
        for descriptor in &kept {
            fd::set_inheritable(descriptor.as_fd(), true)?;
        }
        let mut command = Command::new(SELF);
        command.env_clear().arg(PROXY);
        command.args(
            kept.iter()
                .map(|descriptor| descriptor.as_raw_fd().to_string()),
        );
        command.arg(std::process::id().to_string()).arg(store);
        for name in PROXY_ENVIRONMENT {
            if let Some(value) = environment.get(std::ffi::OsStr::new(name)) {
                command.env(name, value);
            }
        }
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        drop(kept);
        Ok((Self { child, control }, connections))
    }

    /// Sends the plan and returns the stream of messages.
    pub(super) fn plan(&mut self, network: &Network) -> Result<BufReader<UnixStream>, Finding> {
        let failed = |error: io::Error| lost("proxy", error);
        let mut line = serde_json::to_vec(network).map_err(|e| failed(e.into()))?;
        line.push(b'\n');
        self.control.write_all(&line).map_err(failed)?;
        Ok(BufReader::new(self.control.try_clone().map_err(failed)?))
    }

    /// Process id.
    pub(super) fn id(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Tells it to end. Its messages can be read to their end afterwards.
    pub(super) fn stop(&self) {
        let _ = self.control.shutdown(std::net::Shutdown::Write);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // On the ordinary way it has ended and was waited for; this is for runs that never start.
        self.stop();
        end(self.id());
    }
}

/// The launcher, later the manager.
#[derive(Debug)]
pub(super) struct Launcher {
    child: Child,
    socket: UnixStream,
}

impl Launcher {
    /// Starts it; it waits for its plan.
    pub(super) fn start() -> Result<Self, Finding> {
        let output = write_only(&std::io::stdout());
        Self::spawn(output).map_err(|error| lost("launcher", error))
    }

    /// The same for a program whose output nobody reads.
    pub(super) fn silent() -> Result<Self, Finding> {
        Self::spawn(Stdio::null()).map_err(|error| lost("launcher", error))
    }

    fn spawn(output: Stdio) -> io::Result<Self> {
        let (socket, theirs) = UnixStream::pair()?;
        let theirs = OwnedFd::from(theirs);
        fd::set_inheritable(theirs.as_fd(), true)?;
        let child = Command::new(SELF)
            .env_clear()
            .arg(LAUNCHER)
            .arg(theirs.as_raw_fd().to_string())
            .arg(std::process::id().to_string())
            // An install asks nothing; a terminal on standard input could be typed into.
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(write_only(&std::io::stderr()))
            .spawn()?;
        drop(theirs);
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { child, socket })
    }

    /// Sends the plan; it confines itself.
    pub(super) fn plan(&mut self, plan: &Launch) -> Result<(), Finding> {
        let failed = |error: io::Error| lost("launcher", error);
        let mut line = serde_json::to_vec(plan).map_err(|e| failed(e.into()))?;
        line.push(b'\n');
        self.socket.write_all(&line).map_err(failed)
    }

    /// Waits until it is confined. Nothing foreign runs before [`Launcher::go`].
    pub(super) fn confined(&mut self) -> Result<(Report, Listener), Finding> {
        let failed = |error: io::Error| lost("launcher", error);
        // Byte by byte: the descriptor comes right behind the line.
        let mut line = Vec::new();
        let mut byte = [0_u8; 1];
        while self.socket.read(&mut byte).map_err(failed)? == 1 && byte != *b"\n" {
            line.extend_from_slice(&byte);
        }
        let report: Report = serde_json::from_slice(&line).map_err(|e| failed(e.into()))?;
        if let Some(failure) = &report.error {
            return Err(unenforceable(failure));
        }
        let listener = fd::receive(self.socket.as_fd()).map_err(failed)?;
        let listener = listener.ok_or_else(|| lost("launcher", "no listener"))?;
        Ok((report, Listener::from(listener)))
    }

    /// Lets it execute the manager.
    pub(super) fn go(&mut self) -> Result<(), Finding> {
        self.socket
            .write_all(b"g")
            .map_err(|error| lost("launcher", error))
    }

    /// Process id of launcher and manager.
    pub(super) fn id(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        // On the ordinary way it has ended and was waited for; this is for runs that never start.
        end(self.id());
    }
}

/// Ends a child that may have ended already.
fn end(child: Pid) {
    if matches!(process::try_wait(child), Ok(None)) {
        let _ = kill(child, Signal::SIGKILL);
        let _ = waitpid(child, None);
    }
}

/// Longest message; a certificate or an event is far shorter.
const LINE: u64 = 1 << 20;

/// A terminal to write to and not to read from: what is typed there is not the manager's to see.
/// A terminal that belongs to somebody else cannot be opened anew and is inherited as it is.
fn write_only(stream: &(impl IsTerminal + AsRawFd)) -> Stdio {
    if !stream.is_terminal() {
        return Stdio::inherit();
    }
    let path = format!("/proc/self/fd/{}", stream.as_raw_fd());
    let opened = OpenOptions::new()
        .write(true)
        .custom_flags(OFlag::O_NOCTTY.bits())
        .open(path);
    opened.map_or_else(|_error| Stdio::inherit(), Stdio::from)
}

/// Reads one message line; `None` at the end.
pub(super) fn next_line(reader: &mut BufReader<UnixStream>) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    match reader.take(LINE).read_until(b'\n', &mut line) {
        Ok(0) | Err(_) => None,
        Ok(_) => Some(line),
    }
}

/// What is left when everything should be gone.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Contained {
    /// Processes that had to be killed.
    pub(super) killed: u32,
    /// Processes that could not be.
    pub(super) left: Vec<i32>,
}

impl Contained {
    /// An error where something is left; `whose` is its subject.
    pub(super) fn complete(&self, whose: &str) -> Result<(), Finding> {
        if self.left.is_empty() {
            return Ok(());
        }
        let left = format!("{:?}", self.left);
        let message = format!("{whose} that could not be ended: {left}");
        Err(Finding::new(Code::ContainmentIncomplete, left, message))
    }
}

/// Longest time for everything to end.
const ENDING: Duration = Duration::from_secs(10);

/// Kills every child but those in `spared`, and whatever is re-parented to this subreaper
/// meanwhile, until there is none.
pub(super) fn end_all(spared: &[Pid]) -> Contained {
    let mut killed = BTreeSet::new();
    let end = Instant::now() + ENDING;
    let mut pause = Duration::from_micros(100);
    loop {
        let (listed, mut left) = match children() {
            Ok(children) => (true, children),
            Err(_) => (false, Vec::new()),
        };
        left.retain(|child| !spared.contains(child));
        left.retain(|child| {
            // Reaped, or reaped by somebody else before.
            !matches!(process::try_wait(*child), Ok(Some(_)) | Err(_))
        });
        // Without a list of children only the kernel's word that there are none counts.
        let none = listed
            || matches!(
                waitpid(None, Some(WaitPidFlag::WNOHANG)),
                Err(Errno::ECHILD)
            );
        let over = Instant::now() > end;
        if (left.is_empty() && none) || over {
            return Contained {
                killed: u32::try_from(killed.len()).unwrap_or(u32::MAX),
                left: if none {
                    left.iter().map(|child| child.as_raw()).collect()
                } else {
                    vec![-1]
                },
            };
        }
        for child in left {
            if kill(child, Signal::SIGKILL).is_ok() {
                killed.insert(child.as_raw());
            }
        }
        // Most end at once; a proxy that still writes takes a little longer.
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(2));
    }
}

/// Direct children of this process, of every thread.
pub(super) fn children() -> io::Result<Vec<Pid>> {
    let mut found = Vec::new();
    for task in std::fs::read_dir("/proc/self/task")? {
        // A thread may end while the list is read.
        match std::fs::read_to_string(task?.path().join("children")) {
            Ok(list) => found.extend(
                list.split_ascii_whitespace()
                    .filter_map(|id| id.parse().ok())
                    .map(Pid::from_raw),
            ),
            Err(error) if error.raw_os_error() == Some(Errno::ESRCH as i32) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && !found.is_empty() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}
