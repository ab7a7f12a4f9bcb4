//! A kernel with an older Landlock: a tracer round a run that answers in the kernel's place.
//!
//! What the kernel says of its own version is lowered, and a ruleset that such a kernel would not know is
//! refused as it would refuse it. Everything else is the real kernel's, so the rights that are left out are
//! really not there. landlock(7), ptrace(2), `SECCOMP_RET_TRACE`.
#![allow(unsafe_code, reason = "nothing wraps these calls here")]

use std::ptr::null_mut;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use v4run::sys::memory::Reader;

/// Words before a command that wait for the tracer.
pub(super) const WAITING: [&str; 4] = ["/bin/sh", "-c", "kill -STOP $$; exec \"$@\"", "sh"];

/// `LANDLOCK_CREATE_RULESET_VERSION`.
const VERSION: u64 = 1;

/// How a traced command ended: code, signal, whether it had to be killed.
pub(super) type End = (Option<i32>, Option<i32>, bool);

/// Traces a command that waits, and all that it starts, until it ends.
pub(super) fn trace(command: Pid, abi: u32, limit: Duration) -> End {
    let options = libc::PTRACE_O_TRACESECCOMP
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEEXEC
        | libc::PTRACE_O_EXITKILL;
    wait_for(command.as_raw(), libc::WUNTRACED);
    let options = usize::try_from(options).unwrap();
    request(libc::PTRACE_SEIZE, command.as_raw(), options);
    kill(command, Signal::SIGCONT).unwrap();
    let deadline = Instant::now() + limit;
    let mut timed_out = false;
    loop {
        let Some((process, status)) = waited(-1, libc::__WALL | libc::WNOHANG) else {
            if Instant::now() > deadline && !timed_out {
                timed_out = true;
                let _ = kill(command, Signal::SIGKILL);
            }
            sleep(Duration::from_micros(100));
            continue;
        };
        if libc::WIFSTOPPED(status) {
            let event = status >> 16;
            if event == libc::PTRACE_EVENT_SECCOMP {
                answer(process, abi);
            }
            // What is no event is a signal on its way.
            let signal = if event == 0 {
                libc::WSTOPSIG(status)
            } else {
                0
            };
            request(libc::PTRACE_CONT, process, usize::try_from(signal).unwrap());
        } else if process == command.as_raw() {
            let code = libc::WIFEXITED(status).then(|| libc::WEXITSTATUS(status));
            let signal = libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status));
            return (code, signal, timed_out);
        }
    }
}

fn wait_for(process: i32, flags: i32) {
    while waited(process, flags).is_none() {
        sleep(Duration::from_millis(1));
    }
}

fn waited(process: i32, flags: i32) -> Option<(i32, i32)> {
    let mut status = 0;
    // SAFETY: the kernel writes one number into a variable that outlives the call.
    let found = unsafe { libc::waitpid(process, &raw mut status, flags) };
    (found > 0).then_some((found, status))
}

/// A request whose failure means that the process is gone.
fn request(what: u32, process: i32, data: usize) {
    // SAFETY: these requests take numbers and touch no memory of this process.
    unsafe { libc::ptrace(what, process, null_mut::<u8>(), data) };
}

/// Answers `landlock_create_ruleset` as a kernel of that version.
#[cfg(target_arch = "x86_64")]
fn answer(process: i32, abi: u32) {
    let mut registers = std::mem::MaybeUninit::<libc::user_regs_struct>::uninit();
    let place = registers.as_mut_ptr();
    // SAFETY: the kernel writes one such structure into a variable that is as large.
    let read = unsafe { libc::ptrace(libc::PTRACE_GETREGS, process, null_mut::<u8>(), place) };
    if read != 0 {
        return;
    }
    // SAFETY: the kernel said that it has filled it.
    let mut registers = unsafe { registers.assume_init() };
    registers.rax = if registers.rdi == 0 && registers.rdx == VERSION {
        u64::from(abi)
    } else if registers.rdi != 0 && !knows(process, registers.rdi, registers.rsi, abi) {
        i64::from(-libc::EINVAL).cast_unsigned()
    } else {
        return;
    };
    // No call at all: the answer stands.
    registers.orig_rax = u64::MAX;
    let place = &raw const registers;
    // SAFETY: the kernel reads one such structure, which outlives the call.
    unsafe { libc::ptrace(libc::PTRACE_SETREGS, process, null_mut::<u8>(), place) };
}

/// Registers are the processor's own; `kernels` is for this one only.
#[cfg(not(target_arch = "x86_64"))]
fn answer(_process: i32, _abi: u32) {}

/// Whether a kernel of that version knows all that a ruleset names: files, network, scopes.
#[cfg(target_arch = "x86_64")]
fn knows(process: i32, address: u64, size: u64, abi: u32) -> bool {
    let files = [13, 14, 15, 15, 16, 16][usize::try_from(abi).unwrap() - 1];
    let network = if abi >= 4 { 2 } else { 0 };
    let scopes = if abi >= 6 { 2 } else { 0 };
    let named = (0..size / 8).zip([files, network, scopes]);
    let mut rest = named.map(|(index, bits)| {
        // The proxy's memory is closed to all but root: there its ruleset is seen when root runs the suite.
        let word = Reader::default().exact(process, address + index * 8);
        u64::from_ne_bytes(word.unwrap_or_default()) >> bits
    });
    rest.all(|unknown| unknown == 0)
}
