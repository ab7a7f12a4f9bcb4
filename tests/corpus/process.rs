//! Other processes: their signals, memory, descriptors, and what they share.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

use libc::{EACCES, EPERM};
use v4run::sandbox::canary::Scene;

use crate::case::Attempt::{Canary, Own};
use crate::case::{Case, FILE, KERNEL, QUIET, case, surface};
use crate::raw;

pub(crate) const CASES: &[Case] = &[
    case(
        "I05",
        "a signal to another process",
        &["call:kill", "landlock"],
        &[EPERM],
        KERNEL,
        Canary("signal"),
    ),
    surface(
        "I05+thread",
        "a signal to a thread of it",
        &["call:tgkill", "landlock"],
        |scene| raw::done(libc::SYS_tgkill, &[bystander(scene), bystander(scene), 0]),
    ),
    surface(
        "I05+old",
        "a signal to a thread by the old call",
        &["call:tkill", "landlock"],
        |scene| raw::done(libc::SYS_tkill, &[bystander(scene), 0]),
    ),
    surface(
        "I05+value",
        "a signal with a value",
        &["call:rt_sigqueueinfo", "landlock"],
        |scene| {
            // SI_QUEUE in the third word.
            let information = [
                0_u64,
                u64::from(u32::MAX),
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
            ];
            raw::done(
                libc::SYS_rt_sigqueueinfo,
                &[bystander(scene), 0, raw::at(&information)],
            )
        },
    ),
    surface(
        "I05+threadvalue",
        "the same to a thread",
        &["call:rt_tgsigqueueinfo", "landlock"],
        |scene| {
            let information = [
                0_u64,
                u64::from(u32::MAX),
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
            ];
            raw::done(
                libc::SYS_rt_tgsigqueueinfo,
                &[bystander(scene), bystander(scene), 0, raw::at(&information)],
            )
        },
    ),
    surface("I05+all", "a signal to everybody", &["call:kill"], |_| {
        raw::done(libc::SYS_kill, &[u64::MAX, 0])
    }),
    surface("I05+group", "a signal to a group", &["call:kill"], |_| {
        raw::done(libc::SYS_kill, &[0, 0])
    }),
    case(
        "I06",
        "a signal through a descriptor",
        &["call:pidfd_open", "call:pidfd_send_signal", "landlock"],
        &[EPERM],
        KERNEL,
        Canary("signal-descriptor"),
    ),
    surface(
        "I06+thread",
        "a descriptor of itself, for signals",
        &["call:pidfd_open"],
        |_| raw::made(libc::SYS_pidfd_open, &[u64::from(std::process::id()), 0]).map(drop),
    ),
    surface(
        "I07",
        "signals of a file to another process",
        &["filter:fcntl:0"],
        |scene| {
            let file = File::open(crate::case::fresh(scene, "owned")?)?;
            raw::done(
                libc::SYS_fcntl,
                &[raw::int(file.as_raw_fd()), 8, bystander(scene)],
            )
        },
    ),
    surface(
        "I07+kind",
        "another kind of signal",
        &["filter:fcntl:1"],
        |scene| {
            let file = File::open(crate::case::fresh(scene, "owned")?)?;
            raw::done(libc::SYS_fcntl, &[raw::int(file.as_raw_fd()), 10, 9])
        },
    ),
    surface(
        "I07+extended",
        "signals to a thread",
        &["filter:fcntl:2"],
        |scene| {
            let file = File::open(crate::case::fresh(scene, "owned")?)?;
            let owner = [1_i32, scene.bystander];
            raw::done(
                libc::SYS_fcntl,
                &[raw::int(file.as_raw_fd()), 15, raw::at(&owner)],
            )
        },
    ),
    surface(
        "I08",
        "another process is attached to",
        &["call:ptrace", "landlock"],
        |scene| {
            raw::done(libc::SYS_ptrace, &[16, bystander(scene), 0, 0])?;
            let _ = raw::done(
                libc::SYS_wait4,
                &[bystander(scene), 0, raw::int(libc::__WALL), 0],
            );
            raw::done(libc::SYS_ptrace, &[17, bystander(scene), 0, 0])
        },
    ),
    surface(
        "I08+me",
        "the parent is made a tracer",
        &["call:ptrace"],
        |_| raw::done(libc::SYS_ptrace, &[0, 0, 0, 0]),
    ),
    surface(
        "I09",
        "another process's memory is written",
        &["call:process_vm_writev", "landlock"],
        |scene| {
            let byte = [0_u8];
            let (from, to) = ([raw::at(&byte), 1], [0x1000_u64, 1]);
            let words = [bystander(scene), raw::at(&from), 1, raw::at(&to), 1, 0];
            match raw::done(libc::SYS_process_vm_writev, &words) {
                // Allowed, and nothing is mapped there.
                Err(error) if error.raw_os_error() == Some(libc::EFAULT) => Ok(()),
                other => other,
            }
        },
    ),
    case(
        "I09+read",
        "another process's memory is read",
        &["call:process_vm_readv", "landlock"],
        &[EPERM],
        KERNEL,
        Canary("read-memory"),
    ),
    case(
        "I10",
        "another process's environment",
        &["call:openat", "landlock"],
        &[EACCES],
        FILE,
        Canary("read-environment"),
    ),
    case(
        "I10+memory",
        "another process's memory as a file",
        &["call:openat", "landlock"],
        &[EACCES],
        FILE,
        Own(|scene| File::open(format!("/proc/{}/mem", scene.bystander)).map(drop)),
    ),
    case(
        "I10+maps",
        "another process's map of memory",
        &["call:openat", "landlock"],
        &[EACCES],
        FILE,
        Own(|scene| File::open(format!("/proc/{}/maps", scene.bystander)).map(drop)),
    ),
    case(
        "I10+files",
        "another process's descriptors",
        &["call:openat", "landlock"],
        &[EACCES],
        FILE,
        Own(|scene| std::fs::read_dir(format!("/proc/{}/fd", scene.bystander)).map(drop)),
    ),
    case(
        "I10+line",
        "another process's command line",
        &["call:openat", "landlock"],
        &[EACCES],
        FILE,
        Own(|scene| File::open(format!("/proc/{}/cmdline", scene.bystander)).map(drop)),
    ),
    case(
        "I10+parent",
        "the memory of whoever watches",
        &["call:openat", "landlock"],
        &[EACCES],
        FILE,
        Own(|_| File::open(format!("/proc/{}/mem", std::os::unix::process::parent_id())).map(drop)),
    ),
    surface(
        "I11",
        "a descriptor of another process",
        &["call:pidfd_open", "call:pidfd_getfd", "landlock"],
        |scene| {
            let process = raw::made(libc::SYS_pidfd_open, &[bystander(scene), 0])?;
            raw::made(
                libc::SYS_pidfd_getfd,
                &[raw::int(process.as_raw_fd()), 0, 0],
            )
            .map(drop)
        },
    ),
    case(
        "I13",
        "a command is typed into the terminal",
        &["call:ioctl", "landlock"],
        &[EPERM, EACCES],
        KERNEL,
        Canary("terminal"),
    )
    // Of a run the terminal is no place: it cannot even be opened.
    .at("openat"),
    surface(
        "I13+discipline",
        "another line discipline",
        &["call:ioctl"],
        |_| terminal(0x5423),
    ),
    surface(
        "I13+control",
        "a terminal becomes the controlling one",
        &["call:ioctl"],
        |_| terminal(0x540e),
    ),
    surface(
        "I13+console",
        "the selection of the console",
        &["call:ioctl"],
        |_| terminal(0x541c),
    ),
    case(
        "I14",
        "shared memory",
        &["call:shmget"],
        &[EPERM],
        KERNEL,
        Canary("shared-memory"),
    ),
    // Of no name that exists: nothing is left behind where it is allowed.
    surface("I14+message", "a message queue", &["call:msgget"], |_| {
        allowed(libc::SYS_msgget, &[0x7634_7275, 0])
    }),
    surface("I14+semaphore", "a semaphore", &["call:semget"], |_| {
        allowed(libc::SYS_semget, &[0x7634_7275, 1, 0])
    }),
    surface(
        "I14+posix",
        "a named message queue",
        &["call:mq_open"],
        |_| allowed(libc::SYS_mq_open, &[raw::at(c"v4run-none"), 2, 0, 0]),
    ),
    case(
        "I15",
        "the priority of another process",
        &["call:setpriority"],
        &[EPERM],
        KERNEL,
        Canary("renice"),
    ),
    surface(
        "I15+user",
        "the priority of all processes of a user",
        &["filter:setpriority:0", "filter:setpriority:1"],
        |_| allowed(libc::SYS_setpriority, &[2, 0x7fff_fff0, 5]),
    ),
    surface(
        "I15+processors",
        "the processors of another process",
        &["call:sched_setaffinity"],
        |scene| {
            let all = [u64::MAX];
            raw::done(
                libc::SYS_sched_setaffinity,
                &[bystander(scene), 8, raw::at(&all)],
            )
        },
    ),
    surface(
        "I15+limits",
        "the limits of another process",
        &["call:prlimit64"],
        |scene| {
            let mut old = [0_u64; 2];
            raw::done(
                libc::SYS_prlimit64,
                &[bystander(scene), 7, 0, raw::room(&mut old)],
            )?;
            raw::done(
                libc::SYS_prlimit64,
                &[bystander(scene), 7, raw::at(&old), 0],
            )
        },
    ),
    surface(
        "I15+scheduler",
        "the scheduler of another process",
        &["call:sched_setscheduler"],
        |scene| {
            let priority = [0_i32];
            raw::done(
                libc::SYS_sched_setscheduler,
                &[bystander(scene), 3, raw::at(&priority)],
            )
        },
    ),
    surface(
        "I15+attributes",
        "the deadline of another process",
        &["call:sched_setattr"],
        |scene| {
            let attributes = [48_u64, 0, 0, 0, 0, 0];
            raw::done(
                libc::SYS_sched_setattr,
                &[bystander(scene), raw::at(&attributes), 0],
            )
        },
    ),
    surface(
        "I15+parameters",
        "the parameters of another process",
        &["call:sched_setparam"],
        |scene| {
            let priority = [0_i32];
            raw::done(
                libc::SYS_sched_setparam,
                &[bystander(scene), raw::at(&priority)],
            )
        },
    ),
    surface(
        "I15+disk",
        "the disk priority of another process",
        &["call:ioprio_set"],
        |scene| raw::done(libc::SYS_ioprio_set, &[1, bystander(scene), 0x4004]),
    )
    .silent(QUIET),
    surface(
        "I15+pages",
        "memory of another process is moved",
        &["call:migrate_pages", "landlock"],
        |scene| {
            let node = [1_u64];
            raw::done(
                libc::SYS_migrate_pages,
                &[bystander(scene), 2, raw::at(&node), raw::at(&node)],
            )
        },
    ),
    surface(
        "I15+move",
        "pages of another process are found",
        &["call:move_pages", "landlock"],
        |scene| raw::done(libc::SYS_move_pages, &[bystander(scene), 0, 0, 0, 0, 0]),
    ),
    case(
        "I17",
        "the supervisor is blinded",
        &["call:prctl"],
        &[EPERM],
        KERNEL,
        Canary("undumpable"),
    ),
    case(
        "I17+orphan",
        "the run outlives the session",
        &["call:prctl"],
        &[EPERM],
        KERNEL,
        Canary("orphan"),
    ),
    surface("I17+reaper", "orphans are taken", &["call:prctl"], |_| {
        control(36, &[1])
    }),
    surface(
        "I17+memory",
        "the program's picture of itself",
        &["call:prctl"],
        |_| {
            // Where nobody else looks: the size of the structure, asked for.
            let mut size = [0_u32];
            control(35, &[15, raw::room(&mut size), 0, 0])
        },
    ),
    surface(
        "I17+filter",
        "a filter by the old call",
        &["call:prctl"],
        |_| {
            let instruction = [6_u8, 0, 0, 0, 0, 0, 0xff, 0x7f];
            let program = [1, raw::at(&instruction)];
            control(22, &[2, raw::at(&program)])
        },
    ),
    surface(
        "I17+dispatch",
        "calls that are sent elsewhere",
        &["call:prctl"],
        |_| control(59, &[0, 0, 0, 0]),
    ),
    surface(
        "I17+bits",
        "the rules of privileges",
        &["call:prctl"],
        |_| control(28, &[0]),
    ),
    surface(
        "I17+ambient",
        "capabilities that are kept",
        &["call:prctl"],
        |_| control(47, &[4, 0, 0, 0]),
    ),
    surface(
        "I17+drop",
        "a capability that is given up for good",
        &["call:prctl"],
        |_| control(24, &[36]),
    ),
    surface(
        "I17+timing",
        "a processor without a clock",
        &["call:prctl"],
        |_| control(26, &[1]),
    ),
    surface(
        "I17+machine",
        "errors of memory kept from the parent",
        &["call:prctl"],
        |_| control(33, &[1, 2, 0, 0]),
    ),
    surface("I17+speculation", "speculation", &["call:prctl"], |_| {
        control(52, &[0, 0, 0, 0])
    }),
    surface(
        "I18",
        "two processes are compared",
        &["call:kcmp", "landlock"],
        |scene| {
            raw::done(
                libc::SYS_kcmp,
                &[u64::from(std::process::id()), bystander(scene), 1, 0, 0],
            )
        },
    ),
    case(
        "I19",
        "where another process keeps its locks",
        &["landlock"],
        &[EPERM],
        "",
        Own(|scene| {
            let (mut head, mut length) = ([0_u64], [0_u64]);
            raw::done(
                libc::SYS_get_robust_list,
                &[
                    bystander(scene),
                    raw::room(&mut head),
                    raw::room(&mut length),
                ],
            )
        }),
    )
    .silent("Landlock's alone: runtimes ask it of themselves"),
    surface(
        "I20",
        "advice on the memory of another process",
        &["call:pidfd_open", "call:process_madvise", "landlock"],
        |scene| {
            let process = raw::made(libc::SYS_pidfd_open, &[bystander(scene), 0])?;
            raw::done(
                libc::SYS_process_madvise,
                &[raw::int(process.as_raw_fd()), 0, 0, 20, 0],
            )
        },
    ),
    surface(
        "I20+advice",
        "advice on memory by the call for others",
        &["call:process_madvise"],
        |_| allowed(libc::SYS_process_madvise, &[u64::MAX, 0, 0, 20, 0]),
    ),
    surface(
        "I20+release",
        "memory of a dying process",
        &["call:process_mrelease"],
        |_| allowed(libc::SYS_process_mrelease, &[u64::MAX, 0]),
    ),
];

fn bystander(scene: &Scene) -> u64 {
    raw::int(scene.bystander)
}

fn control(option: u64, more: &[u64]) -> io::Result<()> {
    let mut words = vec![option];
    words.extend(more);
    raw::done(libc::SYS_prctl, &words)
}

/// A call whose arguments name nothing: any answer but a refusal shows that the way is open.
pub(crate) fn allowed(number: i64, words: &[u64]) -> io::Result<()> {
    match raw::done(number, words) {
        Err(error) if matches!(error.raw_os_error(), Some(libc::EPERM | libc::ENOSYS)) => {
            Err(error)
        }
        _ => Ok(()),
    }
}

/// A request to a terminal that has none: any answer but a refusal shows that the way is open.
fn terminal(request: u64) -> io::Result<()> {
    let null = File::open("/dev/null")?;
    allowed(libc::SYS_ioctl, &[raw::int(null.as_raw_fd()), request, 0])
}
