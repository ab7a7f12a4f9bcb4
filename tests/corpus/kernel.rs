//! Doors of the kernel that no install needs, and limits of the machine.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;

use libc::{EACCES, ENOSYS, EPERM};

use crate::case::Attempt::{Canary, Own};
use crate::case::{Case, KERNEL, QUIET, case, fresh, surface, unknown};
use crate::process::allowed;
use crate::raw;

pub(crate) const CASES: &[Case] = &[
    case(
        "K01",
        "a ring is registered with",
        &["call:io_uring_register"],
        &[ENOSYS],
        KERNEL,
        Own(|_| allowed(libc::SYS_io_uring_register, &[u64::MAX, 0, 0, 0])),
    ),
    case(
        "K02",
        "faults handled by the program",
        &["call:userfaultfd"],
        &[EPERM],
        KERNEL,
        Canary("userfault"),
    ),
    surface("K03", "a program in the kernel", &["call:bpf"], |_| {
        // A map of one element.
        let attributes = [4_u64 << 32 | 2, 1 << 32 | 4, 0, 0, 0, 0, 0, 0, 0];
        raw::made(libc::SYS_bpf, &[0, raw::at(&attributes), 72]).map(drop)
    }),
    surface(
        "K04",
        "counters of the processor",
        &["call:perf_event_open"],
        |_| {
            let mut attributes = [0_u64; 16];
            attributes[0] = 128 << 32 | 1;
            raw::made(
                libc::SYS_perf_event_open,
                &[raw::at(&attributes), 0, u64::MAX, u64::MAX, 0],
            )
            .map(drop)
        },
    ),
    case(
        "K05",
        "kernel keys",
        &["call:keyctl"],
        &[EPERM],
        KERNEL,
        Canary("keyring"),
    ),
    surface("K05+add", "a key is added", &["call:add_key"], |_| {
        raw::done(
            libc::SYS_add_key,
            &[
                raw::at(c"user"),
                raw::at(c"v4run"),
                raw::at(b"x"),
                1,
                raw::int(-2),
            ],
        )
    }),
    surface(
        "K05+ask",
        "a key is asked for",
        &["call:request_key"],
        |_| {
            allowed(
                libc::SYS_request_key,
                &[raw::at(c"user"), raw::at(c"v4run"), 0, 0],
            )
        },
    ),
    case(
        "K06",
        "a namespace",
        &["call:unshare"],
        &[EPERM],
        KERNEL,
        Canary("unshare"),
    ),
    surface(
        "K06+user",
        "a namespace of users",
        &["call:unshare"],
        |_| raw::done(libc::SYS_unshare, &[0x1000_0000]),
    ),
    surface(
        "K06+clone",
        "a process in a namespace of users",
        &["call:clone"],
        |_| match raw::call(
            libc::SYS_clone,
            &[0x1000_0000 | raw::int(libc::SIGCHLD), 0, 0, 0, 0],
        )? {
            0 => raw::done(libc::SYS_exit_group, &[0]),
            child => raw::done(libc::SYS_wait4, &[child.cast_unsigned(), 0, 0, 0]),
        },
    ),
    surface(
        "K06+enter",
        "a namespace of others",
        &["call:setns"],
        |_| allowed(libc::SYS_setns, &[u64::MAX, 0]),
    ),
    unknown(
        "K07",
        "a thread or process by a structure",
        &["call:clone3"],
        |_| {
            let arguments = [0_u64, 0, 0, 0, raw::int(libc::SIGCHLD), 0, 0, 0];
            match raw::call(libc::SYS_clone3, &[raw::at(&arguments), 64])? {
                0 => raw::done(libc::SYS_exit_group, &[0]),
                child => raw::done(libc::SYS_wait4, &[child.cast_unsigned(), 0, 0, 0]),
            }
        },
    ),
    case(
        "K08",
        "a filter of its own",
        &["call:seccomp"],
        &[EPERM],
        KERNEL,
        Canary("own-filter"),
    ),
    surface("K08+ask", "what filters can do", &["call:seccomp"], |_| {
        let action = [0x7fff_0000_u32];
        raw::done(libc::SYS_seccomp, &[2, 0, raw::at(&action)])
    }),
    case(
        "K09",
        "a ruleset of its own",
        &["call:landlock_create_ruleset"],
        &[EPERM],
        KERNEL,
        Canary("ruleset"),
    ),
    surface(
        "K09+restrict",
        "restrictions that pile up",
        &["call:landlock_restrict_self"],
        |_| allowed(libc::SYS_landlock_restrict_self, &[u64::MAX, 0]),
    ),
    surface("K09+rule", "a rule", &["call:landlock_add_rule"], |_| {
        allowed(libc::SYS_landlock_add_rule, &[u64::MAX, 1, 0, 0])
    }),
    case(
        "K10",
        "a call by the entry of 32-bit programs",
        &["architecture"],
        &[0],
        "",
        Own(|_| raw::by_old_entry(20, 0)),
    )
    .silent("the kernel kills before anybody is asked"),
    unknown(
        "K11",
        "a call by the numbers of a third kind of program",
        &["unknown:1073741863"],
        |_| raw::done(0x4000_0027, &[]),
    ),
    surface("K13", "a request with high words", &["call:ioctl"], |_| {
        let null = File::open("/dev/null")?;
        allowed(
            libc::SYS_ioctl,
            &[raw::int(null.as_raw_fd()), 1 << 32 | 0x5412, 0],
        )
    }),
    surface("K14", "a segment of its own", &["call:modify_ldt"], |_| {
        let mut table = [0_u8; 16];
        raw::done(libc::SYS_modify_ldt, &[0, raw::room(&mut table), 16])
    }),
    surface("K14+ports", "ports of devices", &["call:iopl"], |_| {
        raw::done(libc::SYS_iopl, &[0])
    }),
    surface("K14+range", "a range of ports", &["call:ioperm"], |_| {
        raw::done(libc::SYS_ioperm, &[0x80, 1, 0])
    }),
    surface(
        "K15",
        "memory that the kernel cannot see",
        &["call:memfd_secret"],
        |_| raw::made(libc::SYS_memfd_secret, &[0]).map(drop),
    ),
    unknown(
        "K15+cache",
        "what the cache holds of a file",
        &["unknown:451"],
        |scene| {
            let file = File::open(fresh(scene, "cached")?)?;
            let range = [0_u64, 4096];
            let mut answer = [0_u64; 5];
            raw::done(
                451,
                &[
                    raw::int(file.as_raw_fd()),
                    raw::at(&range),
                    raw::room(&mut answer),
                    0,
                ],
            )
        },
    ),
    unknown(
        "K16",
        "memory that becomes a pipe",
        &["unknown:278"],
        |_| {
            let mut both = [0_i32; 2];
            raw::done(libc::SYS_pipe2, &[raw::room(&mut both), 0])?;
            let data = [raw::at(b"x"), 1];
            let sent = raw::done(
                libc::SYS_vmsplice,
                &[raw::int(both[1]), raw::at(&data), 1, 0],
            );
            for number in both {
                let _ = raw::done(libc::SYS_close, &[raw::int(number)]);
            }
            sent
        },
    ),
    surface("K18", "a module", &["call:init_module"], |_| {
        allowed(libc::SYS_init_module, &[0, 0, 0])
    }),
    surface(
        "K18+file",
        "a module of a file",
        &["call:finit_module"],
        |_| allowed(libc::SYS_finit_module, &[u64::MAX, 0, 0]),
    ),
    surface(
        "K18+remove",
        "a module that goes",
        &["call:delete_module"],
        |_| allowed(libc::SYS_delete_module, &[raw::at(c"v4run-none"), 0x800]),
    ),
    surface("K18+kexec", "another kernel", &["call:kexec_load"], |_| {
        allowed(libc::SYS_kexec_load, &[0, 17, 0, 0])
    }),
    surface(
        "K18+kernel",
        "another kernel of a file",
        &["call:kexec_file_load"],
        |_| allowed(libc::SYS_kexec_file_load, &[u64::MAX, u64::MAX, 0, 0, 0]),
    ),
    // Wrong magic numbers, so that nothing happens where it is allowed.
    surface("K18+reboot", "the machine's end", &["call:reboot"], |_| {
        allowed(libc::SYS_reboot, &[1, 2, 3, 0])
    }),
    surface("K18+swap", "a swap file", &["call:swapon"], |_| {
        allowed(libc::SYS_swapon, &[raw::at(c"/nowhere"), 0])
    }),
    surface("K18+noswap", "no swap", &["call:swapoff"], |_| {
        allowed(libc::SYS_swapoff, &[raw::at(c"/nowhere")])
    }),
    surface("K18+account", "accounting", &["call:acct"], |_| {
        allowed(libc::SYS_acct, &[raw::at(c"/nowhere/acct")])
    }),
    surface("K18+log", "the kernel's log", &["call:syslog"], |_| {
        raw::done(libc::SYS_syslog, &[10, 0, 0])
    }),
    surface(
        "K18+name",
        "the machine's name",
        &["call:sethostname"],
        |_| {
            let name = nix::sys::utsname::uname().map_err(io::Error::from)?;
            let name = name.nodename().to_str().unwrap();
            raw::done(
                libc::SYS_sethostname,
                &[raw::at(name.as_bytes()), name.len() as u64],
            )
        },
    ),
    surface(
        "K18+domain",
        "the machine's domain",
        &["call:setdomainname"],
        |_| allowed(libc::SYS_setdomainname, &[0, 65]),
    ),
    surface("K18+clock", "the clock", &["call:clock_settime"], |_| {
        allowed(libc::SYS_clock_settime, &[0, 0])
    }),
    surface("K18+time", "the time", &["call:settimeofday"], |_| {
        allowed(libc::SYS_settimeofday, &[1, 0])
    }),
    surface(
        "K18+adjust",
        "the clock's speed",
        &["call:adjtimex"],
        |_| {
            let mut nothing = [0_u64; 26];
            raw::done(libc::SYS_adjtimex, &[raw::room(&mut nothing)])
        },
    ),
    surface(
        "K18+speed",
        "the speed of one clock",
        &["call:clock_adjtime"],
        |_| {
            let mut nothing = [0_u64; 26];
            raw::done(libc::SYS_clock_adjtime, &[0, raw::room(&mut nothing)])
        },
    ),
    surface(
        "K18+hang",
        "the terminal is hung up",
        &["call:vhangup"],
        |_| {
            // Without a terminal of its own nothing happens where it is allowed.
            let _ = nix::unistd::setsid();
            raw::done(libc::SYS_vhangup, &[])
        },
    ),
    surface("K18+quota", "quotas", &["call:quotactl"], |_| {
        allowed(libc::SYS_quotactl, &[0x8000_0100, 0, 0, 0])
    }),
    surface(
        "K18+quotafile",
        "quotas by descriptor",
        &["call:quotactl_fd"],
        |_| allowed(libc::SYS_quotactl_fd, &[u64::MAX, 0x8000_0100, 0, 0]),
    ),
    surface(
        "K18+root",
        "another root for everybody",
        &["call:pivot_root"],
        |_| {
            allowed(
                libc::SYS_pivot_root,
                &[raw::at(c"/nowhere"), raw::at(c"/nowhere")],
            )
        },
    ),
    surface(
        "K18+unmount",
        "a mount that goes",
        &["call:umount2"],
        |_| allowed(libc::SYS_umount2, &[raw::at(c"/nowhere"), 0]),
    ),
    surface(
        "K18+move",
        "a mount that moves",
        &["call:move_mount"],
        |_| {
            allowed(
                libc::SYS_move_mount,
                &[u64::MAX, raw::at(c""), u64::MAX, raw::at(c""), 0x44],
            )
        },
    ),
    surface(
        "K18+attributes",
        "a mount that changes",
        &["call:mount_setattr"],
        |_| {
            let attributes = [0_u64; 4];
            allowed(
                libc::SYS_mount_setattr,
                &[u64::MAX, raw::at(c"nowhere"), 0, raw::at(&attributes), 32],
            )
        },
    ),
    surface(
        "K18+mounted",
        "a mount that is made",
        &["call:fsmount"],
        |_| allowed(libc::SYS_fsmount, &[u64::MAX, 0, 0]),
    ),
    surface(
        "K18+set",
        "a file system that is set up",
        &["call:fsconfig"],
        |_| allowed(libc::SYS_fsconfig, &[u64::MAX, 0, raw::at(c"ro"), 0, 0]),
    ),
    surface("K19", "another user", &["call:setuid"], |_| {
        raw::done(
            libc::SYS_setuid,
            &[u64::from(nix::unistd::getuid().as_raw())],
        )
    })
    .silent(QUIET),
    surface("K19+group", "other groups", &["call:setgroups"], |_| {
        raw::done(libc::SYS_setgroups, &[0, 0])
    })
    .silent(QUIET),
    surface(
        "K19+effective",
        "another user for files",
        &["call:setresuid"],
        |_| raw::done(libc::SYS_setresuid, &[u64::MAX, u64::MAX, u64::MAX]),
    )
    .silent(QUIET),
    surface(
        "K19+capabilities",
        "other capabilities",
        &["call:capset"],
        |_| {
            let mut header = [0x2008_0522_u32, 0];
            let mut sets = [0_u32; 6];
            raw::done(
                libc::SYS_capget,
                &[raw::room(&mut header), raw::room(&mut sets)],
            )?;
            raw::done(libc::SYS_capset, &[raw::at(&header), raw::at(&sets)])
        },
    )
    .silent(QUIET),
    unknown("K20", "what is mounted where", &["unknown:457"], |_| {
        let request = [24_u64, u64::MAX, 0];
        let mut answer = [0_u64; 64];
        allowed(457, &[raw::at(&request), raw::room(&mut answer), 512, 0])
    }),
    unknown("K20+list", "a list of mounts", &["unknown:458"], |_| {
        let request = [24_u64, u64::MAX, 0];
        let mut answer = [0_u64; 64];
        allowed(458, &[raw::at(&request), raw::room(&mut answer), 64, 0])
    }),
    unknown(
        "K20+modules",
        "which security modules there are",
        &["unknown:461"],
        |_| {
            let (mut list, mut size) = ([0_u64; 32], [256_u32]);
            raw::done(461, &[raw::room(&mut list), raw::room(&mut size), 0])
        },
    ),
    unknown(
        "K20+own",
        "its own security attributes",
        &["unknown:459"],
        |_| allowed(459, &[100, 0, 0, 0]),
    ),
    unknown(
        "K20+self",
        "its own security attributes, set",
        &["unknown:460"],
        |_| allowed(460, &[100, 0, 0, 0]),
    ),
    unknown("K20+shadow", "a second stack", &["unknown:453"], |_| {
        allowed(453, &[0, 4096, 0])
    }),
    unknown(
        "K20+node",
        "memory of another node",
        &["unknown:450"],
        |_| raw::done(450, &[0, 0, 0, 0]),
    ),
    unknown(
        "K20+remap",
        "pages in another order",
        &["unknown:216"],
        |_| {
            let flags = raw::int(libc::MAP_SHARED | libc::MAP_ANONYMOUS);
            let place =
                raw::call(libc::SYS_mmap, &[0, 8192, 3, flags, u64::MAX, 0])?.cast_unsigned();
            raw::done(libc::SYS_remap_file_pages, &[place, 4096, 0, 1, 0])
        },
    ),
    unknown(
        "K20+delay",
        "sleeps of all its threads",
        &["unknown:455"],
        |_| allowed(455, &[1, 1, 0]),
    ),
    case(
        "P08",
        "native code of a package",
        &["filter:mmap:0"],
        &[EACCES],
        "code-map-refused",
        Canary("map-code"),
    ),
    case(
        "P08+shared",
        "the same as a shared mapping",
        &["filter:mmap:0"],
        &[EACCES],
        "code-map-refused",
        Own(|scene| {
            let file = File::open(fresh(scene, "code")?)?;
            let words = [
                0,
                4096,
                5,
                raw::int(libc::MAP_SHARED),
                raw::int(file.as_raw_fd()),
                0,
            ];
            raw::done(libc::SYS_mmap, &words)
        }),
    ),
    case(
        "P08+all",
        "the same readable, writable and executable",
        &["filter:mmap:0"],
        &[EACCES],
        "code-map-refused",
        Own(|scene| {
            let file = File::open(fresh(scene, "code")?)?;
            let words = [
                0,
                4096,
                1 << 32 | 7,
                raw::int(libc::MAP_PRIVATE),
                1 << 32 | raw::int(file.as_raw_fd()),
                0,
            ];
            raw::done(libc::SYS_mmap, &words)
        }),
    ),
    case(
        "P08+sent",
        "code from a copy in shared memory",
        &["call:memfd_create", "filter:mmap:0"],
        &[EPERM],
        KERNEL,
        Own(|_| {
            let file = raw::made(libc::SYS_memfd_create, &[raw::at(c"x"), 0])?;
            raw::done(libc::SYS_ftruncate, &[raw::int(file.as_raw_fd()), 4096])?;
            let words = [
                0,
                4096,
                5,
                raw::int(libc::MAP_SHARED),
                raw::int(file.as_raw_fd()),
                0,
            ];
            raw::done(libc::SYS_mmap, &words)
        }),
    ),
];
