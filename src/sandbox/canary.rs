//! Built-in hostile canaries: what a compromised manager would try, with the expected refusal.
//!
//! `v4run doctor` runs them inside the real sandbox on this very machine; the tests run them bare
//! first, where each must succeed, and then inside. A canary that fires leaves its name in the
//! result file as `NAME fired`; a refused one as `NAME errno N`.

use std::ffi::{CStr, CString};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::net::{SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use libc::{EACCES, ENOSYS, EOPNOTSUPP, EPERM};
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::manager;
use crate::sys::attempt;
use crate::sys::attempt::Door;

/// Hidden first argument of the canary process.
pub const ARGUMENT: &str = "__canary";
/// The result file in the scene's inner directory.
pub const RESULTS: &str = "results";

/// The program in the scene's inner directory that some canaries start. It is made beforehand
/// ([`prepare`]): inside, the shell may not even be read, and that is not what they are about.
pub const PAYLOAD: &str = "payload";

/// What a new terminal is opened by; in a container the usual name is a link.
pub fn terminals() -> PathBuf {
    let name = Path::new("/dev/ptmx");
    name.canonicalize().unwrap_or_else(|_| name.to_owned())
}

/// Makes what the canaries find inside. Where there is no shell, v4run itself is the written program:
/// also there it may not be started, and a canary that is replaced by it has written no result.
pub fn prepare(inside: &Path) -> io::Result<()> {
    let payload = inside.join(PAYLOAD);
    match std::fs::copy("/bin/sh", &payload) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::copy("/proc/self/exe", payload).map(drop)
        }
        copied => copied.map(drop),
    }
}

/// The surroundings of an attempt.
#[derive(Debug, Clone)]
pub struct Scene {
    /// A directory that the run may write.
    pub inside: PathBuf,
    /// A directory outside the run's places that holds `secret`, a file, and `socket`, a Unix
    /// socket that somebody listens on.
    pub outside: PathBuf,
    /// Somebody listens here, and it is not the proxy.
    pub listener: SocketAddrV4,
    /// A process outside the run.
    pub bystander: i32,
}

/// One attempt.
#[derive(Clone, Copy)]
pub struct Canary {
    /// Name on the command line and in results.
    pub name: &'static str,
    /// What a success would mean.
    pub danger: &'static str,
    /// The errno of the refusal.
    pub errno: i32,
    attempt: fn(&Scene) -> io::Result<()>,
}

impl std::fmt::Debug for Canary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Canary")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

const fn canary(
    name: &'static str,
    errno: i32,
    danger: &'static str,
    attempt: fn(&Scene) -> io::Result<()>,
) -> Canary {
    Canary {
        name,
        danger,
        errno,
        attempt,
    }
}

/// Every canary. Those that replace the process when they fire come first in no particular order;
/// each is run alone when it is run bare.
pub const ALL: &[Canary] = &[
    canary("exec-path", EACCES, "a shell is started", exec_path),
    canary(
        "exec-payload",
        EACCES,
        "a written program is started",
        exec_payload,
    ),
    canary(
        "exec-descriptor",
        EACCES,
        "an unnamed file is started",
        exec_descriptor,
    ),
    canary(
        "exec-directory",
        EACCES,
        "a program is started by way of its folder",
        exec_directory,
    ),
    canary(
        "exec-loader",
        EACCES,
        "the program interpreter runs a written program",
        exec_loader,
    ),
    canary(
        "exec-preload",
        EACCES,
        "the program interpreter loads a written library",
        exec_preload,
    ),
    canary(
        "memory-file",
        EPERM,
        "code is placed in memory that can be executed",
        |_| attempt::memory_file().map(drop),
    ),
    canary("fork", EACCES, "a process outlives the run", |_| {
        attempt::fork()
    }),
    canary(
        "map-code",
        EACCES,
        "native code of a package is loaded",
        map_code,
    ),
    canary("connect", EACCES, "data leaves beside the proxy", |scene| {
        TcpStream::connect(scene.listener).map(drop)
    }),
    canary(
        "fast-open",
        EOPNOTSUPP,
        "data leaves with a connection request",
        |scene| {
            let socket = attempt::socket(2, 1, 0)?;
            attempt::send_fast_open(socket.as_fd(), scene.listener)
        },
    ),
    canary(
        "fast-open-message",
        EOPNOTSUPP,
        "data leaves with a connection request",
        |scene| {
            let socket = attempt::socket(2, 1, 0)?;
            let to = nix::sys::socket::SockaddrIn::from(scene.listener);
            let flags = nix::sys::socket::MsgFlags::from_bits_retain(libc::MSG_FASTOPEN);
            let data = [io::IoSlice::new(b"canary")];
            nix::sys::socket::sendmsg(socket.as_raw_fd(), &data, &[], flags, Some(&to))?;
            Ok(())
        },
    ),
    canary(
        "fast-open-option",
        EPERM,
        "data leaves with a connection request",
        |_| attempt::fast_open_connect(attempt::socket(2, 1, 0)?.as_fd()),
    ),
    canary(
        "multipath",
        EACCES,
        "a connection that Landlock does not see",
        |_| attempt::socket(2, 1, 262).map(drop),
    ),
    canary("datagram", EACCES, "data leaves by UDP or DNS", |_| {
        attempt::socket(2, 2, 0).map(drop)
    }),
    // UDP-Lite: of the less usual transports the one that kernels have built in.
    canary(
        "other-transport",
        EACCES,
        "data leaves by a transport that nothing else looks at",
        |_| attempt::socket(2, 2, 136).map(drop),
    ),
    canary(
        "netlink",
        EACCES,
        "the kernel's network set-up is read",
        |_| attempt::socket(16, 3, 0).map(drop),
    ),
    canary(
        "high-words",
        EACCES,
        "a Unix socket behind high argument words",
        |_| attempt::socket(1 << 32 | 1, 1 << 32 | 1, 1 << 32).map(drop),
    ),
    canary(
        "unix-socket",
        EACCES,
        "a local service is reached",
        |scene| UnixStream::connect(scene.outside.join("socket")).map(drop),
    ),
    canary(
        "datagram-pair",
        EACCES,
        "a local service is reached from a connected pair",
        |_| {
            let flags = nix::sys::socket::SockFlag::empty();
            let kind = nix::sys::socket::SockType::Datagram;
            let family = nix::sys::socket::AddressFamily::Unix;
            nix::sys::socket::socketpair(family, kind, None, flags).map(drop)?;
            Ok(())
        },
    ),
    canary(
        "listen",
        EACCES,
        "the run is reachable from outside",
        |_| TcpListener::bind("127.0.0.1:0").map(drop),
    ),
    canary("ring", ENOSYS, "operations pass by the filter", |_| {
        attempt::ring(4)
    }),
    canary("trace", EPERM, "another process is taken over", |scene| {
        attempt::trace(scene.bystander)
    }),
    canary(
        "read-memory",
        EPERM,
        "another process's memory is read",
        |scene| attempt::read_memory(scene.bystander),
    ),
    canary("signal", EPERM, "another process is signalled", |scene| {
        Ok(kill(Pid::from_raw(scene.bystander), None)?)
    }),
    canary(
        "signal-descriptor",
        EPERM,
        "another process is signalled",
        |scene| attempt::signal_by_descriptor(scene.bystander),
    ),
    canary("renice", EPERM, "another process is slowed down", |scene| {
        attempt::renice(scene.bystander)
    }),
    canary("read-outside", EACCES, "a secret is read", |scene| {
        File::open(scene.outside.join("secret")).map(drop)
    }),
    canary(
        "read-by-link",
        EACCES,
        "a secret is read through a link",
        |scene| {
            let link = scene.inside.join("link");
            let _ = std::fs::remove_file(&link);
            symlink(scene.outside.join("secret"), &link)?;
            File::open(link).map(drop)
        },
    ),
    canary(
        "read-environment",
        EACCES,
        "another process's environment is read",
        |scene| File::open(format!("/proc/{}/environ", scene.bystander)).map(drop),
    ),
    canary(
        "write-outside",
        EACCES,
        "a file outside is changed",
        |scene| {
            OpenOptions::new()
                .append(true)
                .open(scene.outside.join("secret"))
                .map(drop)
        },
    ),
    canary(
        "create-outside",
        EACCES,
        "a file outside is made",
        |scene| File::create(scene.outside.join("created")).map(drop),
    ),
    canary(
        "mode-outside",
        EACCES,
        "the mode of a file outside is changed",
        |scene| {
            let mode = std::fs::Permissions::from_mode(0o640);
            std::fs::set_permissions(scene.outside.join("secret"), mode)
        },
    ),
    canary(
        "time-outside",
        EACCES,
        "the time of a file outside is changed",
        |scene| {
            let now = nix::sys::time::TimeSpec::UTIME_NOW;
            let path = scene.outside.join("secret");
            let follow = nix::sys::stat::UtimensatFlags::FollowSymlink;
            Ok(nix::sys::stat::utimensat(
                nix::fcntl::AT_FDCWD,
                &path,
                &now,
                &now,
                follow,
            )?)
        },
    ),
    canary(
        "setuid",
        EPERM,
        "a setuid program is left behind",
        |scene| {
            let file = scene.inside.join("setuid");
            File::create(&file)?;
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o4755))
        },
    ),
    canary(
        "link-outside",
        EACCES,
        "a file outside gets a name inside",
        |scene| std::fs::hard_link(scene.outside.join("secret"), scene.inside.join("hard")),
    ),
    canary("rename-outside", EACCES, "a file is moved out", |scene| {
        let file = scene.inside.join("moved");
        File::create(&file)?;
        std::fs::rename(file, scene.outside.join("moved"))
    }),
    canary("node", EACCES, "a pipe or device is made", |scene| {
        let mode = nix::sys::stat::Mode::S_IRUSR;
        Ok(nix::unistd::mkfifo(&scene.inside.join("pipe"), mode)?)
    }),
    canary(
        "terminal",
        EPERM,
        "a command is typed into the terminal",
        |_| {
            let master = OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(libc::O_NOCTTY)
                .open(terminals())?;
            attempt::type_into(master.as_fd())
        },
    ),
    canary("own-filter", EPERM, "the supervisor is shut out", |_| {
        attempt::own_filter()
    }),
    canary("unshare", EPERM, "a namespace is made", |_| {
        attempt::door(Door::Unshare)
    }),
    canary(
        "userfault",
        EPERM,
        "the supervisor's reads are stalled",
        |_| attempt::door(Door::Userfault),
    ),
    canary("keyring", EPERM, "kernel keys are reached", |_| {
        attempt::door(Door::Keys)
    }),
    canary("personality", EPERM, "data becomes code", |_| {
        attempt::door(Door::Personality)
    }),
    canary("undumpable", EPERM, "the supervisor is blinded", |_| {
        attempt::door(Door::Dumpable)?;
        // Where it fires, the result must still be readable.
        Ok(nix::sys::prctl::set_dumpable(true)?)
    }),
    canary("orphan", EPERM, "the run outlives the session", |_| {
        attempt::door(Door::Orphan)
    }),
    canary(
        "shared-memory",
        EPERM,
        "memory is shared with others",
        |_| attempt::door(Door::Shared),
    ),
    canary("ruleset", EPERM, "rulesets are piled up", |_| {
        attempt::door(Door::Landlock)
    }),
    canary("watch", EACCES, "files of others are watched", |_| {
        attempt::door(Door::Inotify)
    }),
];

/// Entry of the hidden re-execution: runs the named canaries, or all, and writes the results.
pub fn main(scene: &Scene, names: &[String]) -> io::Result<()> {
    let path = scene.inside.join(RESULTS);
    for canary in ALL
        .iter()
        .filter(|c| names.is_empty() || names.iter().any(|n| n == c.name))
    {
        let outcome = match (canary.attempt)(scene) {
            Ok(()) => "fired".to_owned(),
            Err(error) => format!("errno {}", error.raw_os_error().unwrap_or_default()),
        };
        let mut results = OpenOptions::new().create(true).append(true).open(&path)?;
        writeln!(results, "{} {outcome}", canary.name)?;
    }
    Ok(())
}

/// What a started program does: it leaves the canary's name in the result file.
fn script(scene: &Scene, name: &str) -> io::Result<CString> {
    let results = scene.inside.join(RESULTS);
    let mut line = format!("echo {name} fired >> ").into_bytes();
    line.extend_from_slice(results.as_os_str().as_bytes());
    Ok(CString::new(line)?)
}

fn exec_path(scene: &Scene) -> io::Result<()> {
    let script = script(scene, "exec-path")?;
    Err(attempt::execute(c"/bin/sh", &[c"sh", c"-c", &script]))
}

/// A copy of the shell, as a package would bring its own program.
fn payload(scene: &Scene) -> PathBuf {
    scene.inside.join(PAYLOAD)
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

fn exec_payload(scene: &Scene) -> io::Result<()> {
    let payload = c_path(&payload(scene))?;
    let script = script(scene, "exec-payload")?;
    Err(attempt::execute(&payload, &[c"payload", c"-c", &script]))
}

fn exec_descriptor(scene: &Scene) -> io::Result<()> {
    let file = File::open(payload(scene))?;
    let script = script(scene, "exec-descriptor")?;
    let arguments: [&CStr; 3] = [c"payload", c"-c", &script];
    Err(attempt::execute_at(file.as_fd(), c"", &arguments))
}

fn exec_directory(scene: &Scene) -> io::Result<()> {
    let directory = File::open(&scene.inside)?;
    let script = script(scene, "exec-directory")?;
    let arguments: [&CStr; 3] = [c"payload", c"-c", &script];
    Err(attempt::execute_at(
        directory.as_fd(),
        c"payload",
        &arguments,
    ))
}

fn exec_loader(scene: &Scene) -> io::Result<()> {
    let payload = c_path(&payload(scene))?;
    let script = script(scene, "exec-loader")?;
    let loader = c_path(&interpreter(scene)?)?;
    Err(attempt::execute(
        &loader,
        &[&loader, &payload, c"-c", &script],
    ))
}

fn exec_preload(scene: &Scene) -> io::Result<()> {
    let payload = c_path(&payload(scene))?;
    let script = script(scene, "exec-preload")?;
    let loader = c_path(&interpreter(scene)?)?;
    let library = scene.inside.join("library");
    let any = mapped("libgcc_s").unwrap_or_else(|| self::payload(scene));
    std::fs::copy(any, &library)?;
    let library = c_path(&library)?;
    Err(attempt::execute(
        &loader,
        &[&loader, c"--preload", &library, &payload, c"-c", &script],
    ))
}

/// A program interpreter: that of this process, and where v4run is a static program that of the
/// payload. Where both are static nothing interprets programs, and the payload stands for it.
fn interpreter(scene: &Scene) -> io::Result<PathBuf> {
    let payload = payload(scene);
    match mapped("ld-") {
        Some(loader) => Ok(loader),
        None => Ok(manager::interpreter(&payload)?.unwrap_or(payload)),
    }
}

/// The file of this process's memory whose name begins so.
fn mapped(start: &str) -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines()
        .filter_map(|line| line.split_ascii_whitespace().nth(5))
        .find(|path| {
            path.rsplit('/')
                .next()
                .is_some_and(|name| name.starts_with(start))
        })
        .map(PathBuf::from)
}

fn map_code(scene: &Scene) -> io::Result<()> {
    attempt::map_code(File::open(payload(scene))?.as_fd())
}
