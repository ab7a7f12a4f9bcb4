//! Attempts at what a sandbox must refuse, one function each, for the self-test.
//!
//! Each makes one hostile call with otherwise good arguments and says what the kernel answered.
//! Nothing here is used outside the canary process.

use std::ffi::CStr;
use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use libc::{c_int, c_long, c_ulong};

fn result(value: c_long) -> io::Result<c_long> {
    if value < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(value)
    }
}

/// A descriptor that a call just made.
fn owned(value: c_long) -> io::Result<OwnedFd> {
    let number = c_int::try_from(result(value)?)
        .map_err(|source| io::Error::new(io::ErrorKind::InvalidData, source))?;
    // SAFETY: the kernel has just made this descriptor for the caller; nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Calls whose arguments are numbers only, or null pointers that the kernel never follows because
/// it refuses earlier or rejects them.
fn by_numbers(
    number: c_long,
    a: c_ulong,
    b: c_ulong,
    c: c_ulong,
    d: c_ulong,
) -> io::Result<c_long> {
    // SAFETY: no argument is a pointer to memory of this process.
    result(unsafe { libc::syscall(number, a, b, c, d, 0 as c_ulong, 0 as c_ulong) })
}

/// `socket` with 64-bit arguments, so that high words can be set.
pub fn socket(domain: u64, kind: u64, protocol: u64) -> io::Result<OwnedFd> {
    owned(by_numbers(libc::SYS_socket, domain, kind, protocol, 0)?)
}

/// `memfd_create`, executable.
pub fn memory_file() -> io::Result<OwnedFd> {
    // SAFETY: the name is a zero-terminated string.
    owned(unsafe { libc::syscall(libc::SYS_memfd_create, c"canary".as_ptr(), 0_u32) })
}

/// `sendto` with `MSG_FASTOPEN`: data with the connection request.
pub fn send_fast_open(socket: BorrowedFd<'_>, to: SocketAddrV4) -> io::Result<()> {
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: to.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(*to.ip()).to_be(),
        },
        sin_zero: [0; 8],
    };
    let data = b"canary";
    // SAFETY: data and address are valid for the lengths that are given.
    let sent = unsafe {
        libc::sendto(
            socket.as_raw_fd(),
            data.as_ptr().cast(),
            data.len(),
            libc::MSG_FASTOPEN,
            (&raw const address).cast(),
            size_of::<libc::sockaddr_in>() as libc::socklen_t,
        )
    };
    result(sent as c_long).map(drop)
}

/// `setsockopt(TCP_FASTOPEN_CONNECT)`.
pub fn fast_open_connect(socket: BorrowedFd<'_>) -> io::Result<()> {
    let on: c_int = 1;
    // SAFETY: the option value is an integer of the length that is given.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_FASTOPEN_CONNECT,
            (&raw const on).cast(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
    result(set.into()).map(drop)
}

/// `mmap` of a file, executable.
pub fn map_code(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: a new private mapping that nothing refers to and that lives until the process ends.
    let address = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            4096,
            libc::PROT_READ | libc::PROT_EXEC,
            libc::MAP_PRIVATE,
            file.as_raw_fd(),
            0,
        )
    };
    if address == libc::MAP_FAILED {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// `io_uring_setup` of a ring with so many entries.
pub fn ring(entries: u32) -> io::Result<()> {
    let mut parameters = [0_u8; 120];
    // SAFETY: `struct io_uring_params` has 120 bytes, which the array has.
    let ring = unsafe { libc::syscall(libc::SYS_io_uring_setup, entries, parameters.as_mut_ptr()) };
    owned(ring).map(drop)
}

/// `ptrace(PTRACE_SEIZE)` on another process, let go again.
pub fn trace(process: i32) -> io::Result<()> {
    let process = process as c_ulong;
    by_numbers(
        libc::SYS_ptrace,
        c_ulong::from(libc::PTRACE_SEIZE),
        process,
        0,
        0,
    )
    .map(drop)
}

/// `process_vm_readv` with nothing to read: the permission check alone.
pub fn read_memory(process: i32) -> io::Result<()> {
    let mut byte = 0_u8;
    let local = libc::iovec {
        iov_base: (&raw mut byte).cast(),
        iov_len: 1,
    };
    let remote = libc::iovec {
        iov_base: 0x1000 as *mut _,
        iov_len: 1,
    };
    // SAFETY: the local vector names one byte that may be written; the remote one is not memory of
    // this process.
    let read =
        unsafe { libc::process_vm_readv(process, &raw const local, 1, &raw const remote, 1, 0) };
    match result(read as c_long) {
        // Allowed, and nothing is mapped there.
        Err(error) if error.raw_os_error() == Some(libc::EFAULT) => Ok(()),
        other => other.map(drop),
    }
}

/// `pidfd_open` and `pidfd_send_signal(0)`.
pub fn signal_by_descriptor(process: i32) -> io::Result<()> {
    let descriptor = owned(by_numbers(
        libc::SYS_pidfd_open,
        process as c_ulong,
        0,
        0,
        0,
    )?)?;
    let number = descriptor.as_raw_fd() as c_ulong;
    by_numbers(libc::SYS_pidfd_send_signal, number, 0, 0, 0).map(drop)
}

/// `ioctl(TIOCSTI)` of one character into a terminal.
pub fn type_into(terminal: BorrowedFd<'_>) -> io::Result<()> {
    let character = b'#';
    // SAFETY: the request reads one byte through the pointer.
    let typed = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSTI, &raw const character) };
    result(typed.into()).map(drop)
}

/// `clone` of a new process; the child ends at once.
pub fn fork() -> io::Result<()> {
    // SAFETY: the canary process has one thread; the child calls nothing but _exit.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: ends this process at once, without running destructors of the parent.
        unsafe { libc::_exit(0) };
    }
    result(child.into()).map(drop)
}

/// A call with numbers only, by name, for the kernel's rarely used doors.
pub fn door(door: Door) -> io::Result<()> {
    let (number, a, b, c) = match door {
        Door::Unshare => (libc::SYS_unshare, libc::CLONE_NEWUTS as c_ulong, 0, 0),
        Door::Userfault => (libc::SYS_userfaultfd, libc::O_CLOEXEC as c_ulong | 1, 0, 0),
        // KEYCTL_GET_KEYRING_ID of the process keyring, made when missing.
        Door::Keys => (libc::SYS_keyctl, 0, (-2_i64).cast_unsigned(), 1),
        // READ_IMPLIES_EXEC.
        Door::Personality => (libc::SYS_personality, 0x0040_0000, 0, 0),
        Door::Dumpable => (libc::SYS_prctl, libc::PR_SET_DUMPABLE as c_ulong, 0, 0),
        Door::Orphan => (libc::SYS_prctl, libc::PR_SET_PDEATHSIG as c_ulong, 0, 0),
        Door::Shared => (libc::SYS_shmget, 0, 4096, 0o1600),
        // With a null attribute and flag 1 it only answers with the version, where it is allowed.
        Door::Landlock => (libc::SYS_landlock_create_ruleset, 0, 0, 1),
        // SECCOMP_GET_ACTION_AVAIL would read memory; the sizes query is refused as well.
        Door::Inotify => (libc::SYS_inotify_init1, 0, 0, 0),
    };
    by_numbers(number, a, b, c, 0).map(drop)
}

/// See [`door`].
#[derive(Clone, Copy, Debug)]
pub enum Door {
    /// A new namespace.
    Unshare,
    /// `userfaultfd`.
    Userfault,
    /// Kernel keyrings.
    Keys,
    /// Readable memory becomes executable.
    Personality,
    /// Blinds the supervisor.
    Dumpable,
    /// Survives the session.
    Orphan,
    /// System V shared memory.
    Shared,
    /// A ruleset of its own.
    Landlock,
    /// Watches files.
    Inotify,
}

/// `seccomp` with a filter that answers every `getppid` with success: would falsify records.
pub fn own_filter() -> io::Result<()> {
    let allow = libc::sock_filter {
        code: 0x06,
        jt: 0,
        jf: 0,
        k: libc::SECCOMP_RET_ALLOW,
    };
    let program = libc::sock_fprog {
        len: 1,
        filter: (&raw const allow).cast_mut(),
    };
    // SAFETY: the program has one instruction, as it says.
    let set = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            c_ulong::from(libc::SECCOMP_SET_MODE_FILTER),
            0 as c_ulong,
            &raw const program,
        )
    };
    result(set).map(drop)
}

/// `setpriority` of another process to what it already has.
pub fn renice(process: i32) -> io::Result<()> {
    by_numbers(libc::SYS_setpriority, 0, process as c_ulong, 5, 0).map(drop)
}

/// `execve` of a path with these arguments. Returns only on failure.
pub fn execute(path: &CStr, arguments: &[&CStr]) -> io::Error {
    let pointers: Vec<_> = arguments
        .iter()
        .map(|a| a.as_ptr())
        .chain([std::ptr::null()])
        .collect();
    let environment = [std::ptr::null()];
    // SAFETY: all strings are zero-terminated and both lists end with a null pointer.
    unsafe { libc::execve(path.as_ptr(), pointers.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// `execveat` of a path below a descriptor, or of the descriptor itself where the path is empty,
/// with these arguments. Returns only on failure.
pub fn execute_at(file: BorrowedFd<'_>, path: &CStr, arguments: &[&CStr]) -> io::Error {
    let pointers: Vec<_> = arguments
        .iter()
        .map(|a| a.as_ptr())
        .chain([std::ptr::null()])
        .collect();
    let environment: [*const libc::c_char; 1] = [std::ptr::null()];
    // SAFETY: all strings are zero-terminated and both lists end with a null pointer.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            file.as_raw_fd(),
            path.as_ptr(),
            pointers.as_ptr(),
            environment.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    io::Error::last_os_error()
}
