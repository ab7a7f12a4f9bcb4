//! Process attributes: capabilities, death signal, descriptors, children.
//!
//! Kernel: capabilities(7), prctl(2), close_range(2), proc(5).

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

/// `CAP_DAC_OVERRIDE`.
pub const CAP_DAC_OVERRIDE: u32 = 1;
/// `CAP_FOWNER`.
pub const CAP_FOWNER: u32 = 3;

#[repr(C)]
struct CapabilityHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct CapabilityData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`: two data words.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

/// The permitted capabilities of the calling thread as a bit set.
pub fn permitted_capabilities() -> io::Result<u64> {
    let mut header = CapabilityHeader {
        version: CAPABILITY_VERSION,
        pid: 0,
    };
    let mut data = [CapabilityData {
        effective: 0,
        permitted: 0,
        inheritable: 0,
    }; 2];
    // SAFETY: the header is valid and version 3 writes two data elements, which the array has.
    let result = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    let [low, high] = data;
    Ok(u64::from(low.permitted) | u64::from(high.permitted) << 32)
}

/// Keeps exactly these capabilities and drops everything else, from the bounding set too where that
/// is allowed. With `no_new_privs` set as well, an exec as user 0 gives nothing back.
pub fn keep_capabilities(keep: &[u32]) -> io::Result<()> {
    for capability in 0..64_u32 {
        if !keep.contains(&capability) {
            // EINVAL past the last capability, EPERM without CAP_SETPCAP: the permitted set, set
            // below, decides; the bounding set is one more lock where it is available.
            let _ = prctl(libc::PR_CAPBSET_DROP, capability.into());
        }
    }
    let set = keep
        .iter()
        .fold(0_u32, |set, capability| set | 1 << capability);
    let header = CapabilityHeader {
        version: CAPABILITY_VERSION,
        pid: 0,
    };
    let data = [
        CapabilityData {
            effective: set,
            permitted: set,
            inheritable: set,
        },
        CapabilityData {
            effective: 0,
            permitted: 0,
            inheritable: 0,
        },
    ];
    // SAFETY: header and the two data elements of version 3 are valid for reading.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

fn prctl(option: i32, argument: u64) -> io::Result<()> {
    // SAFETY: the options used in this file take one integer and no pointer.
    let result = unsafe { libc::prctl(option, argument, 0_u64, 0_u64, 0_u64) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// This process dies when the thread that started it does. Set after any change of user, which
/// clears it; the parent must be checked afterwards, because it may have died before.
pub fn die_with_parent() -> io::Result<()> {
    Ok(nix::sys::prctl::set_pdeathsig(Some(Signal::SIGKILL))?)
}

/// Nobody without privilege may look into this process.
pub fn hide() -> io::Result<()> {
    Ok(nix::sys::prctl::set_dumpable(false)?)
}

/// This process gets only time that nobody else wants. See `sched(7)`, `SCHED_IDLE`.
pub fn idle() -> io::Result<()> {
    let parameter = libc::sched_param { sched_priority: 0 };
    // SAFETY: the structure is valid and only read; the call concerns this thread's scheduling.
    match unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &raw const parameter) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Closes every descriptor from `first` to `last`, both included.
pub fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: the call changes the descriptor table only; the caller names numbers that no Rust
    // object of this process owns.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0_u32) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Closes everything but the standard three and these.
pub fn close_all_but(kept: &[&OwnedFd]) -> io::Result<()> {
    let mut numbers: Vec<u32> = kept.iter().map(|fd| fd.as_raw_fd() as u32).collect();
    numbers.sort_unstable();
    let mut first = 3;
    for number in numbers {
        if number > first {
            close_range(first, number - 1)?;
        }
        first = number + 1;
    }
    close_range(first, u32::MAX)
}

/// A child that has ended, reaped; `None` while it runs. Unlike nix's wait it knows real-time
/// signals.
pub fn try_wait(process: Pid) -> io::Result<Option<ExitStatus>> {
    let mut status = 0;
    // SAFETY: the status is a valid integer to write to.
    let result = unsafe { libc::waitpid(process.as_raw(), &raw mut status, libc::WNOHANG) };
    match result {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(None),
        _ => Ok(Some(ExitStatus::from_raw(status))),
    }
}

/// The process that a thread belongs to; `None` where there is none of that number.
pub fn process_of(thread: i32) -> Option<i32> {
    stated(thread, "Tgid:")
}

/// The parent of a process; `None` where there is none of that number.
pub fn parent_of(process: i32) -> Option<i32> {
    stated(process, "PPid:")
}

/// A number in `/proc/ID/status`.
fn stated(id: i32, field: &str) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().parse().ok()
}

/// Default action for SIGCHLD: an ignored one, inherited from the caller, loses exit statuses.
pub fn notice_children() -> io::Result<()> {
    // SAFETY: setting the default action installs no handler of this program.
    unsafe { nix::sys::signal::signal(Signal::SIGCHLD, nix::sys::signal::SigHandler::SigDfl)? };
    Ok(())
}

/// A file that grows beyond the limit of its size is an error like a full disk, not the end of the
/// process. See `setrlimit(2)`, `RLIMIT_FSIZE`.
pub fn outlive_file_limit() -> io::Result<()> {
    // SAFETY: ignoring a signal installs no handler of this program.
    unsafe { nix::sys::signal::signal(Signal::SIGXFSZ, nix::sys::signal::SigHandler::SigIgn)? };
    Ok(())
}

/// Default actions and an empty mask for every signal: what a program expects at its start.
/// Rust's own start ignores SIGPIPE and v4run SIGXFSZ, and an ignored signal stays ignored across
/// exec.
pub fn reset_signals() -> io::Result<()> {
    for ignored in [Signal::SIGPIPE, Signal::SIGXFSZ] {
        // SAFETY: setting the default action installs no handler of this program.
        unsafe { nix::sys::signal::signal(ignored, nix::sys::signal::SigHandler::SigDfl)? };
    }
    nix::sys::signal::SigSet::empty().thread_set_mask()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_is_told_from_a_process() {
        let own = std::process::id().cast_signed();
        assert_eq!(process_of(own), Some(own));
        let thread = std::thread::spawn(|| process_of(nix::unistd::gettid().as_raw()));
        assert_eq!(thread.join().unwrap(), Some(own));
        assert_eq!(process_of(-1), None);
    }

    #[test]
    fn a_parent_is_found() {
        let own = std::process::id().cast_signed();
        let parent = std::os::unix::process::parent_id().cast_signed();
        assert_eq!(parent_of(own), Some(parent));
        assert_eq!(parent_of(-1), None);
    }
}
