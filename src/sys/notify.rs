//! seccomp(2) user notification: install a filter with a listener, receive, answer, add descriptors.
//!
//! Follows the kernel's `seccomp_filter` document and seccomp_unotify(2). A notification number
//! stays valid only while the task waits; whoever read the task's memory or `/proc` entries asks
//! [`Listener::is_valid`] afterwards and before using what was read.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use libc::{seccomp_data, seccomp_notif, seccomp_notif_addfd, seccomp_notif_resp};

/// One BPF instruction, as the kernel's `struct sock_filter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// Operation.
    pub code: u16,
    /// Jump if true.
    pub jt: u8,
    /// Jump if false.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

const _: () = assert!(size_of::<Instruction>() == size_of::<libc::sock_filter>());
const _: () = assert!(size_of::<seccomp_notif>() == 80);
const _: () = assert!(size_of::<seccomp_notif_resp>() == 24);
const _: () = assert!(size_of::<seccomp_notif_addfd>() == 24);
const _: () = assert!(size_of::<seccomp_data>() == 64);

/// Ioctl numbers of `linux/seccomp.h`: type `!`, directions and sizes as above.
const NOTIF_RECV: libc::c_ulong = 0xc050_2100;
const NOTIF_SEND: libc::c_ulong = 0xc018_2101;
const NOTIF_ID_VALID: libc::c_ulong = 0x4008_2102;
const NOTIF_ADDFD: libc::c_ulong = 0x4018_2103;
const NOTIF_SET_FLAGS: libc::c_ulong = 0x4008_2104;

const ADDFD_FLAG_SETFD: u32 = 1;
const ADDFD_FLAG_SEND: u32 = 2;

/// `SECCOMP_FILTER_FLAG_NEW_LISTENER`.
const FLAG_NEW_LISTENER: libc::c_ulong = 1 << 3;
/// `SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV` (Linux 5.19): once received, only a fatal signal
/// interrupts the call, so that a timer in the manager cannot starve it.
const FLAG_WAIT_KILLABLE_RECV: libc::c_ulong = 1 << 5;

fn install(program: &[Instruction], flags: libc::c_ulong) -> io::Result<libc::c_long> {
    let length = u16::try_from(program.len())
        .map_err(|source| io::Error::new(io::ErrorKind::InvalidInput, source))?;
    let program = libc::sock_fprog {
        len: length,
        filter: program.as_ptr().cast_mut().cast(),
    };
    // SAFETY: `program` points at `length` instructions that outlive the call (layout asserted
    // above); the kernel copies them and does not write.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::c_ulong::from(libc::SECCOMP_SET_MODE_FILTER),
            flags,
            &raw const program,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Installs a filter for the calling thread. Needs `no_new_privs`.
pub fn install_filter(program: &[Instruction]) -> io::Result<()> {
    install(program, 0).map(drop)
}

/// Installs a filter for the calling thread and returns its listener.
/// `EBUSY`: another listener already stands above this thread.
pub fn install_listener(program: &[Instruction]) -> io::Result<OwnedFd> {
    let number = install(program, FLAG_NEW_LISTENER | FLAG_WAIT_KILLABLE_RECV)?;
    let number = RawFd::try_from(number)
        .map_err(|source| io::Error::new(io::ErrorKind::InvalidData, source))?;
    // SAFETY: the kernel has just made this descriptor for the caller; nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// A call that waits for an answer.
#[derive(Clone, Copy, Debug)]
pub struct Notification {
    /// Cookie of this call.
    pub id: u64,
    /// Thread that made it, in the caller's process-id namespace; 0 if not visible.
    pub thread: i32,
    /// System call number.
    pub number: i64,
    /// Arguments.
    pub arguments: [u64; 6],
}

/// The supervisor's end of a filter.
#[derive(Debug)]
pub struct Listener(OwnedFd);

impl From<OwnedFd> for Listener {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Listener {
    /// Wakes the supervisor on the caller's processor (Linux 6.6). `false` where not supported.
    pub fn wake_synchronously(&self) -> bool {
        // SAFETY: this request takes its flags by value.
        unsafe { libc::ioctl(self.0.as_raw_fd(), NOTIF_SET_FLAGS, 1_u64) == 0 }
    }

    /// Whether [`Listener::receive`] ends with the last task of the filter (Linux 6.11; asked for is
    /// the release after it). Elsewhere it waits for ever, and whoever waits polls first.
    pub fn receiving_ends() -> bool {
        super::probe::is_kernel_since(6, 12)
    }

    /// Waits for the next call. `NotFound`: the caller was gone, or the last task is; `Interrupted`:
    /// ask again.
    pub fn receive(&self) -> io::Result<Notification> {
        // SAFETY: the structure is plain integers; the kernel demands it zeroed.
        let mut raw: seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: `raw` has the size that the request number encodes and is writable.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), NOTIF_RECV, &raw mut raw) };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Notification {
            id: raw.id,
            thread: i32::try_from(raw.pid).unwrap_or_default(),
            number: i64::from(raw.data.nr),
            arguments: raw.data.args,
        })
    }

    /// Whether the call still waits: then its thread lived while its memory was read.
    pub fn is_valid(&self, id: u64) -> bool {
        // SAFETY: the request reads one `u64` through a valid pointer.
        unsafe { libc::ioctl(self.0.as_raw_fd(), NOTIF_ID_VALID, &raw const id) == 0 }
    }

    fn send(&self, id: u64, value: i64, error: i32, flags: u32) -> io::Result<()> {
        let response = seccomp_notif_resp {
            id,
            val: value,
            error,
            flags,
        };
        // SAFETY: the request reads the structure through a valid pointer.
        let result = unsafe { libc::ioctl(self.0.as_raw_fd(), NOTIF_SEND, &raw const response) };
        if result == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    /// Answers with an errno.
    pub fn refuse(&self, id: u64, errno: i32) -> io::Result<()> {
        self.send(id, 0, -errno, 0)
    }

    /// Answers with a value; the call itself is not made.
    pub fn answer(&self, id: u64, value: i64) -> io::Result<()> {
        self.send(id, value, 0, 0)
    }

    /// Lets the kernel make the call. Never a decision on anything that a pointer argument names:
    /// the caller must give the reason.
    pub fn go_on(&self, id: u64, _reason: Continue) -> io::Result<()> {
        self.send(id, 0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32)
    }

    /// Puts `file` into the caller's table and makes its number the result, in one step.
    pub fn hand_out(&self, id: u64, file: BorrowedFd<'_>, cloexec: bool) -> io::Result<()> {
        self.add(id, file, ADDFD_FLAG_SEND, 0, cloexec).map(drop)
    }

    /// Replaces descriptor `number` of the caller by `file`. The call still waits for its answer.
    pub fn replace(
        &self,
        id: u64,
        file: BorrowedFd<'_>,
        number: u32,
        cloexec: bool,
    ) -> io::Result<()> {
        self.add(id, file, ADDFD_FLAG_SETFD, number, cloexec)
            .map(drop)
    }

    fn add(
        &self,
        id: u64,
        file: BorrowedFd<'_>,
        flags: u32,
        number: u32,
        cloexec: bool,
    ) -> io::Result<()> {
        let request = seccomp_notif_addfd {
            id,
            flags,
            srcfd: u32::try_from(file.as_raw_fd()).unwrap_or(u32::MAX),
            newfd: number,
            newfd_flags: if cloexec { libc::O_CLOEXEC as u32 } else { 0 },
        };
        loop {
            // SAFETY: the request reads the structure through a valid pointer.
            let result =
                unsafe { libc::ioctl(self.0.as_raw_fd(), NOTIF_ADDFD, &raw const request) };
            if result >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            // The kernel asks to try again while the target is between two states.
            if !matches!(error.raw_os_error(), Some(libc::EINPROGRESS | libc::EAGAIN)) {
                return Err(error);
            }
        }
    }
}

/// Why the kernel may make a notified call after all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continue {
    /// The launcher's one exec: no foreign code has run in that process.
    FirstExec,
    /// The exec of a planned child: by whichever name, Landlock executes nothing but the programs of
    /// the plan, and the plan trusts them.
    PlannedExec,
    /// The exec of a build: by whichever name, Landlock executes nothing but the toolchain that an
    /// approval names.
    Toolchain,
    /// Only numbers were judged.
    Scalars,
    /// Landlock answers the call with the same rules, whatever the pointers say by then.
    LandlockDecides,
}
