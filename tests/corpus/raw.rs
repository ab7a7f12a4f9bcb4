//! System calls by number, for attempts that no library makes.
//!
//! The one place of the attack program with unsafe code. Arguments are words; whoever passes the
//! address of a value keeps that value alive and as large as the call reads or writes.
#![allow(unsafe_code, reason = "hostile calls have no safe wrappers")]

use std::ffi::CString;
use std::io;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

/// A call with up to six words.
pub(crate) fn call(number: i64, words: &[u64]) -> io::Result<i64> {
    let word = |index: usize| words.get(index).copied().unwrap_or_default();
    // SAFETY: addresses among the words are those of values that the caller holds.
    let result =
        unsafe { libc::syscall(number, word(0), word(1), word(2), word(3), word(4), word(5)) };
    match result {
        0.. => Ok(result),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The same for a call that must succeed and whose value does not matter.
pub(crate) fn done(number: i64, words: &[u64]) -> io::Result<()> {
    call(number, words).map(drop)
}

/// The same for a call that makes a descriptor.
pub(crate) fn made(number: i64, words: &[u64]) -> io::Result<OwnedFd> {
    owned(i32::try_from(call(number, words)?).unwrap())
}

/// A descriptor that the kernel has just made for this process.
pub(crate) fn owned(number: i32) -> io::Result<OwnedFd> {
    if number < 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    // SAFETY: the caller has it from the kernel; nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// The address of a value.
pub(crate) fn at<T: ?Sized>(value: &T) -> u64 {
    (&raw const *value).cast::<u8>() as u64
}

/// The address of a value that the kernel writes.
pub(crate) fn room<T: ?Sized>(value: &mut T) -> u64 {
    (&raw mut *value).cast::<u8>() as u64
}

/// An `int` argument.
pub(crate) fn int(value: i32) -> u64 {
    u64::from(value.cast_unsigned())
}

/// A path as the kernel reads it.
pub(crate) fn path(path: impl AsRef<Path>) -> CString {
    CString::new(path.as_ref().as_os_str().as_bytes()).unwrap()
}

static HANDLED: AtomicU64 = AtomicU64::new(0);

extern "C" fn handle(_signal: libc::c_int) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

/// Brings a signal each so many microseconds, none with 0; a pause is broken off by it. What was not yet
/// looked at is made again, as the runtimes of managers ask for: without `SA_RESTART` the kernel breaks off
/// a judged call too, up to the moment that the supervisor takes it.
pub(crate) fn storm(microseconds: i64) -> io::Result<()> {
    let action = SigAction::new(
        SigHandler::Handler(handle),
        SaFlags::SA_RESTART,
        SigSet::empty(),
    );
    // SAFETY: the handler does nothing but add to a number.
    unsafe { sigaction(Signal::SIGALRM, &action) }?;
    let pace = [0, microseconds, 0, microseconds];
    done(libc::SYS_setitimer, &[0, at(&pace), 0])
}

/// Signals so far.
pub(crate) fn signals() -> u64 {
    HANDLED.load(Ordering::Relaxed)
}

/// A call by the entry of 32-bit programs, whose numbers are others.
#[cfg(target_arch = "x86_64")]
pub(crate) fn by_old_entry(number: i32, first: i32) -> io::Result<()> {
    let mut result = number;
    // SAFETY: the entry takes numbers in registers and changes no other than those it is told.
    unsafe {
        std::arch::asm!(
            "xchg rbx, {first:r}",
            "int 0x80",
            "xchg rbx, {first:r}",
            first = inout(reg) i64::from(first) => _,
            inout("eax") result,
            inout("ecx") 0 => _,
            inout("edx") 0 => _,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    match result {
        0.. => Ok(()),
        _ => Err(io::Error::from_raw_os_error(-result)),
    }
}

/// The same where there is none.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn by_old_entry(_number: i32, _first: i32) -> io::Result<()> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}
