//! Bounded reads of another process's memory.
//!
//! Two ways, because containers differ: `process_vm_readv(2)`, or `/proc/<tid>/mem` where an outer
//! filter refuses the first (Docker's older default profiles). Which one works is found once, by
//! trying. Contents may change while they are read: callers judge only what they copied.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, IoSliceMut};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicU8, Ordering};

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

/// Longest path that the kernel accepts, final zero included.
const PATH_MAX: usize = 4096;
const PAGE: u64 = 4096;

/// How memory is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `process_vm_readv(2)`.
    Vm,
    /// `/proc/<tid>/mem`.
    Proc,
}

impl Way {
    /// Name for the record.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vm => "process_vm_readv",
            Self::Proc => "/proc/tid/mem",
        }
    }
}

/// Reader of foreign memory; remembers the way that works.
#[derive(Debug, Default)]
pub struct Reader(AtomicU8);

impl Reader {
    /// Uses one way only.
    pub fn only(way: Way) -> Self {
        Self(AtomicU8::new(match way {
            Way::Vm => 1,
            Way::Proc => 2,
        }))
    }

    /// The way in use, once something was read.
    pub fn way(&self) -> Option<Way> {
        match self.0.load(Ordering::Relaxed) {
            1 => Some(Way::Vm),
            2 => Some(Way::Proc),
            _ => None,
        }
    }

    /// Fills as much of `buffer` as can be read at `address`; returns how much.
    pub fn read(&self, thread: i32, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match self.way() {
            Some(Way::Vm) => vm(thread, address, buffer),
            Some(Way::Proc) => proc(thread, address, buffer),
            None => match vm(thread, address, buffer) {
                Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS)) => {
                    let count = proc(thread, address, buffer)?;
                    self.0.store(2, Ordering::Relaxed);
                    Ok(count)
                }
                Ok(count) => {
                    self.0.store(1, Ordering::Relaxed);
                    Ok(count)
                }
                error @ Err(_) => error,
            },
        }
    }

    /// A zero-terminated path. `ENAMETOOLONG` when no zero comes within the kernel's limit.
    pub fn path(&self, thread: i32, address: u64) -> io::Result<OsString> {
        let mut path = Vec::new();
        let mut buffer = [0_u8; 512];
        let mut at = address;
        while path.len() < PATH_MAX {
            // Never across a page that need not exist.
            let until_page = usize::try_from(PAGE - at % PAGE).unwrap_or(1);
            let want = until_page.min(buffer.len());
            let Some(window) = buffer.get_mut(..want) else {
                break;
            };
            let count = self.read(thread, at, window)?;
            let read = window.get(..count).unwrap_or_default();
            if count == 0 {
                return Err(io::Error::from_raw_os_error(libc::EFAULT));
            }
            if let Some(end) = read.iter().position(|&byte| byte == 0) {
                path.extend_from_slice(read.get(..end).unwrap_or_default());
                if path.len() >= PATH_MAX {
                    break;
                }
                return Ok(OsString::from_vec(path));
            }
            path.extend_from_slice(read);
            at = at.wrapping_add(count as u64);
        }
        Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG))
    }

    /// A structure of exactly this size.
    pub fn exact<const N: usize>(&self, thread: i32, address: u64) -> io::Result<[u8; N]> {
        let mut buffer = [0_u8; N];
        if self.read(thread, address, &mut buffer)? == N {
            Ok(buffer)
        } else {
            Err(io::Error::from_raw_os_error(libc::EFAULT))
        }
    }
}

fn vm(thread: i32, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let base =
        usize::try_from(address).map_err(|_source| io::Error::from_raw_os_error(libc::EFAULT))?;
    let remote = [RemoteIoVec {
        base,
        len: buffer.len(),
    }];
    Ok(process_vm_readv(
        Pid::from_raw(thread),
        &mut [IoSliceMut::new(buffer)],
        &remote,
    )?)
}

fn proc(thread: i32, address: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let memory = File::open(format!("/proc/{thread}/mem"))?;
    match memory.read_at(buffer, address) {
        // The file answers EIO where the address is not mapped.
        Err(error) if error.raw_os_error() == Some(libc::EIO) => {
            Err(io::Error::from_raw_os_error(libc::EFAULT))
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> i32 {
        std::process::id() as i32
    }

    /// Both, except where an outer filter refuses the first: then the second is all there is.
    fn ways() -> Vec<Way> {
        let refused = vm(me(), b"x".as_ptr() as u64, &mut [0])
            .is_err_and(|error| error.raw_os_error() == Some(libc::EPERM));
        if refused {
            vec![Way::Proc]
        } else {
            vec![Way::Vm, Way::Proc]
        }
    }

    #[test]
    fn both_ways_read_the_same() {
        let text = b"/some/path\0rest";
        for way in ways() {
            let reader = Reader::only(way);
            let address = text.as_ptr() as u64;
            assert_eq!(reader.path(me(), address).unwrap(), "/some/path", "{way:?}");
            assert_eq!(&reader.exact::<5>(me(), address).unwrap(), b"/some");
        }
    }

    #[test]
    fn bad_addresses_and_endless_paths_are_errors() {
        let endless = vec![b'a'; 3 * PATH_MAX];
        for way in ways() {
            let reader = Reader::only(way);
            assert_eq!(
                reader
                    .path(me(), endless.as_ptr() as u64)
                    .unwrap_err()
                    .raw_os_error(),
                Some(libc::ENAMETOOLONG)
            );
            for address in [0, 1, u64::MAX, u64::MAX - 4095] {
                assert!(reader.path(me(), address).is_err(), "{way:?} {address:x}");
            }
        }
    }

    #[test]
    fn the_way_that_works_is_remembered() {
        let reader = Reader::default();
        reader.exact::<1>(me(), b"x".as_ptr() as u64).unwrap();
        assert!(reader.way().is_some());
    }
}
