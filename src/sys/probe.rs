//! What this kernel offers: facts only, no policy.

use std::io;

/// What landlock_create_ruleset(2) says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landlock {
    /// The system call is missing: an old kernel, gVisor, or an outer filter.
    Absent,
    /// Built in, but not in the list of active security modules.
    Disabled,
    /// Refused by an outer filter.
    Forbidden,
    /// Active.
    Active {
        /// ABI version.
        abi: u32,
        /// Errata bits.
        errata: u32,
    },
}

fn landlock_query(flag: libc::c_ulong) -> io::Result<u32> {
    // SAFETY: with a null attribute and size 0 the call only reports a number.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<u8>(),
            0_usize,
            flag,
        )
    };
    u32::try_from(result).map_err(|_negative| io::Error::last_os_error())
}

/// What gVisor says of its kernel in every release: an outside that it took over from the first.
const GVISOR: &str = "#1 SMP Sun Jan 10 15:06:54 PST 2016";

/// Whether the kernel is gVisor, a program that answers system calls itself. For messages only.
pub fn is_gvisor() -> bool {
    nix::sys::utsname::uname().is_ok_and(|name| {
        name.version() == GVISOR || name.release().to_string_lossy().contains("gvisor")
    })
}

/// Asks the kernel for its Landlock version (flag 1) and errata (flag 2).
pub fn landlock() -> Landlock {
    match landlock_query(1) {
        Ok(abi) => Landlock::Active {
            abi,
            errata: landlock_query(2).unwrap_or_default(),
        },
        Err(error) => match error.raw_os_error() {
            Some(libc::EOPNOTSUPP) => Landlock::Disabled,
            Some(libc::EPERM) => Landlock::Forbidden,
            _ => Landlock::Absent,
        },
    }
}

/// Whether user notification exists and the structures have the size this program knows.
pub fn notification_sizes() -> io::Result<bool> {
    let mut sizes = [0_u16; 3];
    // SAFETY: the kernel writes three 16-bit numbers, the array holds exactly these.
    let result = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::c_ulong::from(libc::SECCOMP_GET_NOTIF_SIZES),
            0 as libc::c_ulong,
            sizes.as_mut_ptr(),
        )
    };
    if result == 0 {
        Ok(sizes == [80, 24, 64])
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Whether the kernel is of this release or a later one; what cannot be read is not.
pub fn is_kernel_since(major: u32, minor: u32) -> bool {
    nix::sys::utsname::uname().is_ok_and(|name| {
        name.release()
            .to_str()
            .is_some_and(|text| is_since(text, (major, minor)))
    })
}

fn is_since(release: &str, least: (u32, u32)) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next()?.parse::<u32>().ok();
    next().zip(next()).is_some_and(|found| found >= least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number() {
        for (release, since) in [
            ("6.12.0", true),
            ("6.12-rc1", true),
            ("6.18.44-x", true),
            ("7.0.1", true),
            ("6.11.9", false),
            ("6.9.0-12-generic", false),
            ("5.15.0", false),
            ("", false),
            ("6", false),
        ] {
            assert_eq!(is_since(release, (6, 12)), since, "{release}");
        }
        assert!(is_kernel_since(5, 13));
    }
}
