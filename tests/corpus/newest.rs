//! Doors that kernels of the last two years opened: new calls, new requests to old ones, and ways round.
//!
//! Linux 6.5 to 6.18, by the headers below `include/uapi`. A call that the table does not
//! know is answered as an older kernel would; a request or option counts only where it is listed.
//!
//! `uretprobe` (335) and `uprobe` (336) are no cases: the kernel asks no filter about them
//! (`kernel/seccomp.c`), and they do nothing for a program that nobody probes.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

use libc::{EACCES, ENOSYS, EPERM};

use crate::case::Attempt::Own;
use crate::case::{Case, KERNEL, case, fresh, surface, unknown};
use crate::process::allowed;
use crate::raw;

/// `PIDFD_SELF_THREAD_GROUP`: oneself without a descriptor.
const ONESELF: i32 = -10_001;

pub(crate) const CASES: &[Case] = &[
    unknown(
        "K20+wake",
        "a wait that ends by the newest call",
        &["unknown:454"],
        |_| {
            let word = [0_u32];
            raw::done(454, &[raw::at(&word), u64::from(u32::MAX), 1, 2])
        },
    ),
    unknown(
        "K20+requeue",
        "waits that are moved",
        &["unknown:456"],
        |_| allowed(456, &[0, 0, 0, 0]),
    ),
    unknown(
        "F09+getxattrat",
        "an attribute is read by the newest call",
        &["unknown:464"],
        |_| allowed(464, &[0, 0, 0, 0, 0, 0]),
    ),
    unknown(
        "F09+removexattrat",
        "an attribute is removed by the newest call",
        &["unknown:466"],
        |_| allowed(466, &[0, 0, 0, 0]),
    ),
    surface(
        "I12",
        "a verdict for a judged call",
        &["call:ioctl"],
        |_| request("/dev/null", 0xc018_2101),
    ),
    surface(
        "I12+add",
        "a descriptor for a judged call",
        &["call:ioctl"],
        |_| request("/dev/null", 0x4018_2103),
    ),
    surface(
        "I21",
        "what a process is, by the descriptor of a socket's peer",
        &["call:ioctl"],
        |_| {
            let peer = peer()?;
            let mut answer = [0_u64; 8];
            allowed(
                libc::SYS_ioctl,
                &[
                    raw::int(peer.as_raw_fd()),
                    0xc040_ff0b,
                    raw::room(&mut answer),
                ],
            )
        },
    ),
    surface(
        "I21+space",
        "a namespace by that descriptor",
        &["call:ioctl"],
        |_| allowed(libc::SYS_ioctl, &[raw::int(peer()?.as_raw_fd()), 0xff04, 0]),
    ),
    surface(
        "I21+signal",
        "a signal by that descriptor",
        &["call:pidfd_send_signal"],
        |_| {
            raw::done(
                libc::SYS_pidfd_send_signal,
                &[raw::int(peer()?.as_raw_fd()), 0, 0, 0],
            )
        },
    ),
    surface(
        "I21+steal",
        "a descriptor by that descriptor",
        &["call:pidfd_getfd"],
        |_| {
            raw::made(
                libc::SYS_pidfd_getfd,
                &[raw::int(peer()?.as_raw_fd()), 1, 0],
            )
            .map(drop)
        },
    ),
    surface(
        "I06+self",
        "a signal to oneself without a descriptor",
        &["call:pidfd_send_signal"],
        |_| raw::done(libc::SYS_pidfd_send_signal, &[raw::int(ONESELF), 0, 0, 0]),
    ),
    surface(
        "K09+quiet",
        "refusals that nobody logs",
        &["call:landlock_restrict_self"],
        |_| {
            let _ = nix::sys::prctl::set_no_new_privs();
            raw::done(libc::SYS_landlock_restrict_self, &[raw::int(-1), 4])
        },
    ),
    surface(
        "I17+merge",
        "memory that is merged with that of others",
        &["call:prctl"],
        |_| allowed(libc::SYS_prctl, &[67, 1, 0, 0, 0]),
    ),
    surface("I17+hash", "how waits are hashed", &["call:prctl"], |_| {
        allowed(libc::SYS_prctl, &[78, 2, 0, 0, 0])
    }),
    surface(
        "I17+restore",
        "timers with numbers of its choice",
        &["call:prctl"],
        |_| allowed(libc::SYS_prctl, &[77, 2, 0, 0, 0]),
    ),
    surface(
        "K13+poll",
        "a processor that only waits for the network",
        &["call:ioctl"],
        |_| {
            let queue = raw::made(libc::SYS_epoll_create1, &[0])?;
            let mut answer = [0_u64];
            raw::done(
                libc::SYS_ioctl,
                &[
                    raw::int(queue.as_raw_fd()),
                    0x8008_8a02,
                    raw::room(&mut answer),
                ],
            )
        },
    ),
    surface(
        "K13+maps",
        "a map of memory by request",
        &["call:ioctl"],
        |_| request("/proc/self/maps", 0xc068_6611),
    ),
    surface(
        "K13+seal",
        "a file that nothing can change any more",
        &["call:ioctl"],
        |scene| {
            let file = File::open(fresh(scene, "sealed")?)?;
            // FS_IOC_ENABLE_VERITY without its argument.
            allowed(
                libc::SYS_ioctl,
                &[raw::int(file.as_raw_fd()), 0x4080_6685, 0],
            )
        },
    ),
    surface(
        "K13+key",
        "a key for a file system",
        &["call:ioctl"],
        |scene| {
            let place = File::open(&scene.inside)?;
            // FS_IOC_ADD_ENCRYPTION_KEY without its argument.
            allowed(
                libc::SYS_ioctl,
                &[raw::int(place.as_raw_fd()), 0xc050_6617, 0],
            )
        },
    ),
    surface(
        "X06+asked",
        "a memory file that asks to be executable",
        &["call:memfd_create"],
        |_| raw::made(libc::SYS_memfd_create, &[raw::at(c"x"), 0x10]).map(drop),
    ),
    case(
        "K01+blind",
        "a message to a ring without one of its own",
        &["call:io_uring_register"],
        &[ENOSYS],
        KERNEL,
        Own(|_| allowed(libc::SYS_io_uring_register, &[raw::int(-1), 31, 0, 1])),
    ),
    case(
        "X03+check",
        "whether a program would start, by the newest flag",
        &["call:execveat", "landlock"],
        &[EACCES],
        "exec-refused",
        Own(|_| {
            let words = [raw::at(c"sh"), 0];
            let environment = [0_u64];
            raw::done(
                libc::SYS_execveat,
                &[
                    raw::int(libc::AT_FDCWD),
                    raw::at(c"/bin/sh"),
                    raw::at(&words),
                    raw::at(&environment),
                    0x1_0000,
                ],
            )
        }),
    ),
    case(
        "N12+generic",
        "generic messages of the kernel",
        &["filter:socket:0", "filter:socket:1", "filter:socket:2"],
        &[EACCES],
        "network-refused",
        Own(|_| raw::made(libc::SYS_socket, &[16, 3, 16]).map(drop)),
    ),
    case(
        "N12+filter",
        "the rules of the packet filter",
        &["filter:socket:0", "filter:socket:1", "filter:socket:2"],
        &[EACCES],
        "network-refused",
        Own(|_| raw::made(libc::SYS_socket, &[16, 3, 12]).map(drop)),
    ),
    case(
        "N25+peer",
        "descriptors of processes with messages",
        &["call:setsockopt"],
        &[EPERM],
        "network-refused",
        Own(|_| {
            let (near, _far) = pair()?;
            let on = [1_i32];
            let words = [raw::int(near.as_raw_fd()), 1, 76, raw::at(&on), 4];
            raw::done(libc::SYS_setsockopt, &words)
        }),
    ),
    case(
        "N25+sign",
        "a key for signed connections",
        &["call:setsockopt"],
        &[EPERM],
        "network-refused",
        Own(|_| {
            let socket = raw::made(libc::SYS_socket, &[2, 1, 0])?;
            let words = [raw::int(socket.as_raw_fd()), 6, 38, 0, 0];
            allowed(libc::SYS_setsockopt, &words)
        }),
    ),
];

/// A request to a file; any answer but a refusal shows that the door is open.
fn request(path: &str, number: u64) -> io::Result<()> {
    let file = File::open(path)?;
    let mut answer = [0_u64; 16];
    let words = [raw::int(file.as_raw_fd()), number, raw::room(&mut answer)];
    allowed(libc::SYS_ioctl, &words)
}

fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (near, far) = std::os::unix::net::UnixStream::pair()?;
    Ok((near.into(), far.into()))
}

/// A descriptor of the process at the other end of a pair: this one, by a way that needs no number.
fn peer() -> io::Result<OwnedFd> {
    let (near, _far) = pair()?;
    let (mut number, mut length) = ([-1_i32], [4_u32]);
    let words = [
        raw::int(near.as_raw_fd()),
        1,
        77,
        raw::room(&mut number),
        raw::room(&mut length),
    ];
    raw::done(libc::SYS_getsockopt, &words)?;
    raw::owned(number[0])
}
