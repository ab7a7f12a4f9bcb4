//! Programs and processes.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use libc::{EACCES, EPERM};
use v4run::sandbox::canary::{PAYLOAD, RESULTS, Scene};
use v4run::sys::attempt;

use crate::case::Attempt::{Canary, Own};
use crate::case::{Case, FILE, KERNEL, case};
use crate::raw;

const EXEC: &str = "exec-refused";
const PROCESS: &str = "process-refused";

pub(crate) const CASES: &[Case] = &[
    case(
        "X01",
        "a program written into the tree",
        &["call:execve", "landlock"],
        &[EACCES],
        EXEC,
        Canary("exec-payload"),
    ),
    case(
        "X02",
        "the shell",
        &["call:execve", "landlock"],
        &[EACCES],
        EXEC,
        Canary("exec-path"),
    ),
    case(
        "X03",
        "a program by way of its directory",
        &["call:execveat", "landlock"],
        &[EACCES],
        EXEC,
        Canary("exec-directory"),
    ),
    case(
        "X03+descriptor",
        "a program by its descriptor",
        &["call:execveat", "landlock"],
        &[EACCES],
        EXEC,
        Canary("exec-descriptor"),
    ),
    case(
        "X04",
        "a program in memory, by descriptor",
        &["call:memfd_create", "call:execveat"],
        &[EPERM],
        KERNEL,
        Own(memory_by_descriptor),
    ),
    case(
        "X05",
        "a program in memory, by its name in /proc",
        &["call:memfd_create", "call:execve"],
        &[EPERM],
        KERNEL,
        Own(memory_by_name),
    ),
    case(
        "X06",
        "an executable memory file",
        &["call:memfd_create"],
        &[EPERM],
        KERNEL,
        Canary("memory-file"),
    ),
    case(
        "X07",
        "the program interpreter with a written program",
        &["call:execve", "filter:mmap:0"],
        &[EACCES],
        EXEC,
        Canary("exec-loader"),
    ),
    case(
        "X08",
        "the program interpreter with a written library",
        &["call:execve", "filter:mmap:0"],
        &[EACCES],
        EXEC,
        Canary("exec-preload"),
    ),
    case(
        "X09",
        "a script with a first line that names the shell",
        &["call:execve", "landlock"],
        &[EACCES],
        EXEC,
        Own(shebang),
    ),
    case(
        "X10",
        "the shell with a script that may be read",
        &["call:execve", "landlock"],
        &[EACCES],
        EXEC,
        Own(shell_script),
    ),
    case(
        "X13",
        "a process that shares memory and executes",
        &["filter:clone:7", "call:execve", "landlock"],
        &[EACCES],
        PROCESS,
        Own(spawned),
    ),
    case(
        "X13+fork",
        "a process by the old call",
        &["call:fork"],
        &[EACCES],
        PROCESS,
        Own(|_| forked(57)),
    ),
    case(
        "X13+clone",
        "a process by the flags of fork",
        &["filter:clone:7"],
        &[EACCES],
        PROCESS,
        Own(|_| forked(56)),
    ),
    case(
        "X13+signalless",
        "a process whose parent hears nothing",
        &["filter:clone:7"],
        &[EACCES],
        PROCESS,
        Canary("fork"),
    ),
    case(
        "X15",
        "an interpreter registered with the kernel",
        &["call:openat", "landlock"],
        &[EACCES],
        FILE,
        Own(|_| for_writing("/proc/sys/fs/binfmt_misc/register")),
    ),
    case(
        "X16",
        "the program that the kernel starts for core files",
        &["call:openat", "landlock"],
        &[EACCES],
        FILE,
        Own(|_| for_writing("/proc/sys/kernel/core_pattern")),
    ),
    case(
        "X16+modprobe",
        "the program that the kernel starts for modules",
        &["call:openat", "landlock"],
        &[EACCES],
        FILE,
        Own(|_| for_writing("/proc/sys/kernel/modprobe")),
    ),
    case(
        "X17",
        "a sibling whose program is exchanged",
        &["call:ptrace", "landlock"],
        &[EPERM],
        KERNEL,
        Canary("trace"),
    ),
    case(
        "X19",
        "a file without a name that gets one",
        &["call:linkat", "call:execve", "landlock"],
        &[EACCES],
        FILE,
        Own(nameless),
    ),
    case(
        "X19+own",
        "the running program itself, again",
        &["call:execve"],
        &[EACCES],
        EXEC,
        Own(own_program),
    ),
    case(
        "X20",
        "a thousand starts in a row",
        &["call:execve", "landlock"],
        &[EACCES],
        EXEC,
        Own(storm),
    ),
    case(
        "X21",
        "memory that is executable because it is readable",
        &["filter:personality:0"],
        &[EPERM],
        KERNEL,
        Canary("personality"),
    ),
];

/// The line that a started shell leaves.
fn line(scene: &Scene, id: &str) -> String {
    format!(
        "echo '{id} fired' >> '{}'",
        scene.inside.join(RESULTS).display()
    )
}

/// A copy of the written program in a file that is written through `file`.
fn copied(scene: &Scene, mut file: File) -> io::Result<File> {
    io::copy(&mut File::open(scene.inside.join(PAYLOAD))?, &mut file)?;
    Ok(file)
}

fn memory() -> io::Result<File> {
    Ok(File::from(raw::made(
        libc::SYS_memfd_create,
        &[raw::at(c"x"), 0],
    )?))
}

fn memory_by_descriptor(scene: &Scene) -> io::Result<()> {
    let file = copied(scene, memory()?)?;
    let script = raw::path(line(scene, "X04"));
    Err(attempt::execute_at(
        std::os::fd::AsFd::as_fd(&file),
        c"",
        &[c"sh", c"-c", &script],
    ))
}

fn memory_by_name(scene: &Scene) -> io::Result<()> {
    let file = copied(scene, memory()?)?;
    let script = raw::path(line(scene, "X05"));
    let name = raw::path(format!("/proc/self/fd/{}", file.as_raw_fd()));
    Err(attempt::execute(&name, &[c"sh", c"-c", &script]))
}

/// Writes a script that leaves the line, executable or not.
fn script(scene: &Scene, id: &str, mode: u32) -> io::Result<PathBuf> {
    let path = scene.inside.join(format!("script-{id}"));
    let _ = std::fs::remove_file(&path);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&path)?;
    writeln!(file, "#!/bin/sh\n{}", line(scene, id))?;
    Ok(path)
}

fn shebang(scene: &Scene) -> io::Result<()> {
    let path = raw::path(script(scene, "X09", 0o755)?);
    Err(attempt::execute(&path, &[&path]))
}

fn shell_script(scene: &Scene) -> io::Result<()> {
    let path = raw::path(script(scene, "X10", 0o644)?);
    Err(attempt::execute(c"/bin/sh", &[c"sh", &path]))
}

/// The standard library's way, which is libc's `posix_spawn`.
fn spawned(scene: &Scene) -> io::Result<()> {
    let mut command = Command::new("/bin/sh");
    command
        .arg("-c")
        .arg(line(scene, "X13"))
        .stdin(Stdio::null());
    command.status().map(drop)
}

/// A process by that call number; the child ends at once.
fn forked(number: i64) -> io::Result<()> {
    let number = if number == 57 {
        libc::SYS_fork
    } else {
        libc::SYS_clone
    };
    match raw::call(number, &[raw::int(libc::SIGCHLD)])? {
        0 => {
            // The child shares nothing with its parent and runs nothing of it.
            let _ = raw::call(libc::SYS_exit_group, &[0]);
            Ok(())
        }
        child => raw::done(libc::SYS_wait4, &[child.cast_unsigned(), 0, 0, 0]),
    }
}

/// Only opens: nothing is written to the machine's settings.
fn for_writing(path: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path).map(drop)
}

fn nameless(scene: &Scene) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .write(true)
        .mode(0o755)
        .custom_flags(libc::O_TMPFILE);
    let file = copied(scene, options.open(&scene.inside)?)?;
    let named = scene.inside.join("named");
    let _ = std::fs::remove_file(&named);
    let own = raw::path(format!("/proc/self/fd/{}", file.as_raw_fd()));
    let target = raw::path(&named);
    let here = raw::int(libc::AT_FDCWD);
    let follow = raw::int(libc::AT_SYMLINK_FOLLOW);
    raw::done(
        libc::SYS_linkat,
        &[
            here,
            raw::at(own.as_c_str()),
            here,
            raw::at(target.as_c_str()),
            follow,
        ],
    )?;
    drop(file);
    std::fs::set_permissions(&named, Permissions::from_mode(0o755))?;
    let script = raw::path(line(scene, "X19"));
    Err(attempt::execute(&target, &[c"sh", c"-c", &script]))
}

fn own_program(scene: &Scene) -> io::Result<()> {
    // Of its words only the ones that leave the line matter.
    let mut command = Command::new("/proc/self/exe");
    command
        .env_clear()
        .arg("fired")
        .arg(scene.inside.join(RESULTS))
        .arg("X19+own");
    Err(command.exec())
}

fn storm(scene: &Scene) -> io::Result<()> {
    let script = raw::path(line(scene, "X20"));
    let mut last = io::Error::from_raw_os_error(0);
    for _ in 0..1000 {
        last = attempt::execute(c"/bin/sh", &[c"sh", c"-c", &script]);
        if last.raw_os_error() != Some(EACCES) {
            break;
        }
    }
    Err(last)
}
