//! The system-call table: the one list behind filter and handlers.
//!
//! The launcher compiles it into the filter, the supervisor looks a notification up in it, so they
//! cannot disagree. A call that is not in the table gets `ENOSYS`. A call in the table is allowed
//! unless one of its arms matches; the first matching arm decides. Arguments are compared by their
//! low 32 bits where the kernel reads an `int`, in full only for pointers.
//!
//! The table is a floor for every manager; a profile cannot lower it. An approved build has a table
//! of its own ([`Rules::Build`]): the same calls, of which `profiles/build.toml` puts a few under
//! another rule. Numbers come from the kernel's headers by way of `libc`.

use libc::{
    CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER,
    CLONE_NEWUTS, CLONE_THREAD, EACCES, ENOSYS, EOPNOTSUPP, EPERM,
};

use crate::model::Code;

/// Which handler of the supervisor judges a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judge {
    /// `execve`, `execveat`.
    Exec,
    /// `connect`.
    Connect,
    /// `mmap` of a file with `PROT_EXEC`.
    Map,
    /// Opens.
    Open,
    /// Renames and links: Landlock decides, the supervisor sees.
    Change,
    /// Mode, owner and time of files: Landlock does not see them.
    Metadata,
    /// A new process or thread of a build.
    Process,
    /// A signal of a build.
    Signal,
}

/// What a matching arm does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Ask the supervisor.
    Judge(Judge),
    /// Refused by the supervisor with this errno, and recorded.
    Refuse(i32, Code),
    /// Refused by the filter itself: part of ordinary operation, not worth a notification.
    Deny(i32),
}

/// A condition on one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// Low word equals.
    Is(u8, u32),
    /// Low word differs.
    Not(u8, u32),
    /// Low word and mask equals.
    Masked(u8, u32, u32),
    /// Low word and a mask of adjoining low bits differs.
    NotMasked(u8, u32, u32),
    /// Low word is not the process id of the manager itself.
    NotSelf(u8),
    /// A pointer that is not null: all 64 bits count.
    NotNull(u8),
}

impl Test {
    /// Whether the condition holds; `me` is the manager's process id.
    pub fn holds(self, arguments: &[u64; 6], me: u32) -> bool {
        let full = |index: u8| {
            arguments
                .get(usize::from(index))
                .copied()
                .unwrap_or_default()
        };
        let low = |index: u8| u32::try_from(full(index) & u64::from(u32::MAX)).unwrap_or_default();
        match self {
            Self::Is(index, value) => low(index) == value,
            Self::Not(index, value) => low(index) != value,
            Self::Masked(index, mask, value) => low(index) & mask == value,
            Self::NotMasked(index, mask, value) => low(index) & mask != value,
            Self::NotSelf(index) => low(index) != me,
            Self::NotNull(index) => full(index) != 0,
        }
    }
}

/// Conditions that must all hold, and what follows.
#[derive(Clone, Copy, Debug)]
pub struct Arm {
    /// All must hold; none means always.
    pub tests: &'static [Test],
    /// What follows.
    pub verdict: Verdict,
}

/// One system call.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    /// Its number on this architecture.
    pub number: i64,
    /// Its name.
    pub name: &'static str,
    /// The first match decides; no match allows.
    pub arms: &'static [Arm],
}

impl Call {
    /// What is done with these arguments; `None` allows.
    pub fn verdict(&self, arguments: &[u64; 6], me: u32) -> Option<Verdict> {
        self.arms
            .iter()
            .find(|arm| arm.tests.iter().all(|test| test.holds(arguments, me)))
            .map(|arm| arm.verdict)
    }
}

/// Which table a process is under.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rules {
    /// That of every install.
    #[default]
    Install,
    /// That of an approved build.
    Build,
}

impl Rules {
    /// Every call.
    pub fn all(self) -> Box<dyn Iterator<Item = &'static Call>> {
        match self {
            Self::Install => Box::new(all()),
            Self::Build => Box::new(super::build::calls().iter()),
        }
    }

    /// The call of that number.
    pub fn by_number(self, number: i64) -> Option<&'static Call> {
        match self {
            Self::Install => by_number(number),
            Self::Build => super::build::calls()
                .iter()
                .find(|call| call.number == number),
        }
    }
}

/// The call of that number in the table of installs.
pub fn by_number(number: i64) -> Option<&'static Call> {
    TABLE
        .iter()
        .chain(LEGACY)
        .find(|call| call.number == number)
}

/// Every call of the table.
pub fn all() -> impl Iterator<Item = &'static Call> {
    TABLE.iter().chain(LEGACY)
}

const fn always(verdict: Verdict) -> Arm {
    Arm {
        tests: &[],
        verdict,
    }
}

/// MSG_FASTOPEN sends data with the connection request and so passes by `connect` and Landlock.
const FAST_OPEN: u32 = 0x2000_0000;

const OPEN: &[Arm] = &[always(Verdict::Judge(Judge::Open))];
const EXEC: &[Arm] = &[always(Verdict::Judge(Judge::Exec))];
const CHANGE: &[Arm] = &[always(Verdict::Judge(Judge::Change))];
const METADATA: &[Arm] = &[always(Verdict::Judge(Judge::Metadata))];
const PROCESS: &[Arm] = &[always(Verdict::Refuse(EACCES, Code::ProcessRefused))];
const NETWORK: &[Arm] = &[always(Verdict::Refuse(EACCES, Code::NetworkRefused))];
const FILES: &[Arm] = &[always(Verdict::Refuse(EACCES, Code::FileAccessRefused))];
const KERNEL: &[Arm] = &[always(Verdict::Refuse(EPERM, Code::KernelSurfaceRefused))];
/// Answered as if the kernel lacked it, so that a library falls back, but recorded.
const ABSENT: &[Arm] = &[always(Verdict::Refuse(ENOSYS, Code::KernelSurfaceRefused))];
const QUIET: &[Arm] = &[always(Verdict::Deny(EPERM))];

const NOT_SELF_0: &[Arm] = &[Arm {
    tests: &[Test::NotSelf(0)],
    verdict: Verdict::Refuse(EPERM, Code::KernelSurfaceRefused),
}];
/// Acting on a process is allowed for the caller itself only: 0 or its own number.
const OTHERS_0: &[Arm] = &[Arm {
    tests: &[Test::Not(0, 0), Test::NotSelf(0)],
    verdict: Verdict::Refuse(EPERM, Code::KernelSurfaceRefused),
}];
/// `setpriority` with `PRIO_PROCESS` only, and of the caller only.
const PRIORITY: &[Arm] = &[
    Arm {
        tests: &[Test::Not(0, 0)],
        verdict: Verdict::Refuse(EPERM, Code::KernelSurfaceRefused),
    },
    Arm {
        tests: &[Test::Not(1, 0), Test::NotSelf(1)],
        verdict: Verdict::Refuse(EPERM, Code::KernelSurfaceRefused),
    },
];
const FAST_OPEN_2: &[Arm] = &[Arm {
    tests: &[Test::Masked(2, FAST_OPEN, FAST_OPEN)],
    verdict: Verdict::Refuse(EOPNOTSUPP, Code::NetworkRefused),
}];
const FAST_OPEN_3: &[Arm] = &[Arm {
    tests: &[Test::Masked(3, FAST_OPEN, FAST_OPEN)],
    verdict: Verdict::Refuse(EOPNOTSUPP, Code::NetworkRefused),
}];

const fn bits(flag: i32) -> u32 {
    flag.cast_unsigned()
}

/// A flag of clone(2) that would make a namespace.
const fn namespace(flag: &'static [Test]) -> Arm {
    Arm {
        tests: flag,
        verdict: Verdict::Refuse(EPERM, Code::KernelSurfaceRefused),
    }
}

/// `clone` with that last word on what makes no namespace.
macro_rules! cloning {
    ($last:expr) => {
        &[
            namespace(&[Test::Masked(0, bits(CLONE_NEWUSER), bits(CLONE_NEWUSER))]),
            namespace(&[Test::Masked(0, bits(CLONE_NEWNS), bits(CLONE_NEWNS))]),
            namespace(&[Test::Masked(0, bits(CLONE_NEWPID), bits(CLONE_NEWPID))]),
            namespace(&[Test::Masked(0, bits(CLONE_NEWNET), bits(CLONE_NEWNET))]),
            namespace(&[Test::Masked(0, bits(CLONE_NEWIPC), bits(CLONE_NEWIPC))]),
            namespace(&[Test::Masked(0, bits(CLONE_NEWUTS), bits(CLONE_NEWUTS))]),
            namespace(&[Test::Masked(
                0,
                bits(CLONE_NEWCGROUP),
                bits(CLONE_NEWCGROUP),
            )]),
            $last,
        ]
    };
}

const CLONE: &[Arm] = cloning!(Arm {
    tests: &[Test::Masked(0, bits(CLONE_THREAD), 0)],
    verdict: Verdict::Refuse(EACCES, Code::ProcessRefused),
});

/// Another rule that a call may be under in a build, by its name in `profiles/build.toml`.
pub(super) fn relaxation(rule: &str) -> Option<&'static [Arm]> {
    const PROCESSES: &[Arm] = cloning!(always(Verdict::Judge(Judge::Process)));
    const FORKS: &[Arm] = &[always(Verdict::Judge(Judge::Process))];
    const SIGNALS: &[Arm] = &[always(Verdict::Judge(Judge::Signal))];
    const NOWHERE: &[Arm] = &[always(Verdict::Judge(Judge::Connect))];
    match rule {
        "processes" => Some(PROCESSES),
        "forks" => Some(FORKS),
        "signals" => Some(SIGNALS),
        "unix-streams" => Some(SOCKETPAIR),
        "nowhere" => Some(NOWHERE),
        "free" => Some(&[]),
        _ => None,
    }
}

/// A file-backed mapping with `PROT_EXEC`; anonymous ones are the manager's own JIT.
const MAP: &[Arm] = &[Arm {
    tests: &[
        Test::Masked(2, bits(libc::PROT_EXEC), bits(libc::PROT_EXEC)),
        Test::Masked(3, bits(libc::MAP_ANONYMOUS), 0),
    ],
    verdict: Verdict::Judge(Judge::Map),
}];

/// IPv4 or IPv6, stream, TCP: MPTCP, UDP, raw, Unix, netlink, vsock and the rest are refused.
const SOCKET: &[Arm] = &[
    Arm {
        tests: &[
            Test::Not(0, bits(libc::AF_INET)),
            Test::Not(0, bits(libc::AF_INET6)),
        ],
        verdict: Verdict::Refuse(EACCES, Code::NetworkRefused),
    },
    Arm {
        tests: &[Test::NotMasked(1, 0xf, bits(libc::SOCK_STREAM))],
        verdict: Verdict::Refuse(EACCES, Code::NetworkRefused),
    },
    Arm {
        tests: &[Test::Not(2, 0), Test::Not(2, bits(libc::IPPROTO_TCP))],
        verdict: Verdict::Refuse(EACCES, Code::NetworkRefused),
    },
];

/// A pair of connected Unix streams. A datagram pair could send to any path.
const SOCKETPAIR: &[Arm] = &[
    Arm {
        tests: &[Test::Not(0, bits(libc::AF_UNIX))],
        verdict: Verdict::Refuse(EACCES, Code::NetworkRefused),
    },
    Arm {
        tests: &[Test::NotMasked(1, 0xf, bits(libc::SOCK_STREAM))],
        verdict: Verdict::Refuse(EACCES, Code::NetworkRefused),
    },
];

const SENDTO: &[Arm] = &[
    Arm {
        tests: &[Test::Masked(3, FAST_OPEN, FAST_OPEN)],
        verdict: Verdict::Refuse(EOPNOTSUPP, Code::NetworkRefused),
    },
    Arm {
        tests: &[Test::NotNull(4)],
        verdict: Verdict::Refuse(EACCES, Code::NetworkRefused),
    },
];

const fn option_refused(tests: &'static [Test]) -> Arm {
    Arm {
        tests,
        verdict: Verdict::Refuse(EPERM, Code::NetworkRefused),
    }
}

/// Socket options that tune a TCP connection; none that choose routes, devices or filters.
const SETSOCKOPT: &[Arm] = &[
    option_refused(&[
        Test::Not(1, bits(libc::SOL_SOCKET)),
        Test::Not(1, bits(libc::IPPROTO_TCP)),
        Test::Not(1, bits(libc::IPPROTO_IPV6)),
    ]),
    option_refused(&[
        Test::Is(1, bits(libc::SOL_SOCKET)),
        Test::Not(2, bits(libc::SO_KEEPALIVE)),
        Test::Not(2, bits(libc::SO_REUSEADDR)),
        Test::Not(2, bits(libc::SO_SNDBUF)),
        Test::Not(2, bits(libc::SO_RCVBUF)),
        Test::Not(2, bits(libc::SO_LINGER)),
        Test::Not(2, bits(libc::SO_RCVTIMEO)),
        Test::Not(2, bits(libc::SO_SNDTIMEO)),
    ]),
    option_refused(&[
        Test::Is(1, bits(libc::IPPROTO_TCP)),
        Test::Not(2, bits(libc::TCP_NODELAY)),
        Test::Not(2, bits(libc::TCP_KEEPIDLE)),
        Test::Not(2, bits(libc::TCP_KEEPINTVL)),
        Test::Not(2, bits(libc::TCP_KEEPCNT)),
        Test::Not(2, bits(libc::TCP_CORK)),
        Test::Not(2, bits(libc::TCP_QUICKACK)),
        Test::Not(2, bits(libc::TCP_USER_TIMEOUT)),
    ]),
    option_refused(&[
        Test::Is(1, bits(libc::IPPROTO_IPV6)),
        Test::Not(2, bits(libc::IPV6_V6ONLY)),
    ]),
];

/// Terminal geometry, descriptor flags, file cloning. No TIOCSTI, TIOCLINUX, TIOCSCTTY.
const IOCTL: &[Arm] = &[Arm {
    tests: &[
        Test::Not(1, 0x5401),      // TCGETS
        Test::Not(1, 0x540f),      // TIOCGPGRP
        Test::Not(1, 0x5413),      // TIOCGWINSZ
        Test::Not(1, 0x541b),      // FIONREAD
        Test::Not(1, 0x8004_5430), // TIOCGPTN
        Test::Not(1, 0x5421),      // FIONBIO
        Test::Not(1, 0x5450),      // FIONCLEX
        Test::Not(1, 0x5451),      // FIOCLEX
        Test::Not(1, 0x802c_542a), // TCGETS2
        Test::Not(1, 0x4004_9409), // FICLONE
    ],
    verdict: Verdict::Refuse(EPERM, Code::KernelSurfaceRefused),
}];

const fn fcntl_refused(tests: &'static [Test]) -> Arm {
    Arm {
        tests,
        verdict: Verdict::Refuse(EPERM, Code::KernelSurfaceRefused),
    }
}

/// No signal-driven I/O to others, no leases, no directory notification.
const FCNTL: &[Arm] = &[
    fcntl_refused(&[Test::Is(1, 8)]),    // F_SETOWN
    fcntl_refused(&[Test::Is(1, 10)]),   // F_SETSIG
    fcntl_refused(&[Test::Is(1, 15)]),   // F_SETOWN_EX
    fcntl_refused(&[Test::Is(1, 1024)]), // F_SETLEASE
    fcntl_refused(&[Test::Is(1, 1026)]), // F_NOTIFY
];

/// Names and reads. Nothing that blinds the supervisor, outlives it or installs a filter.
const PRCTL: &[Arm] = &[Arm {
    tests: &[
        Test::Not(0, 3),           // PR_GET_DUMPABLE
        Test::Not(0, 15),          // PR_SET_NAME
        Test::Not(0, 16),          // PR_GET_NAME
        Test::Not(0, 21),          // PR_GET_SECCOMP
        Test::Not(0, 23),          // PR_CAPBSET_READ
        Test::Not(0, 29),          // PR_SET_TIMERSLACK
        Test::Not(0, 30),          // PR_GET_TIMERSLACK
        Test::Not(0, 38),          // PR_SET_NO_NEW_PRIVS
        Test::Not(0, 39),          // PR_GET_NO_NEW_PRIVS
        Test::Not(0, 41),          // PR_SET_THP_DISABLE
        Test::Not(0, 42),          // PR_GET_THP_DISABLE
        Test::Not(0, 65),          // PR_SET_MDWE
        Test::Not(0, 66),          // PR_GET_MDWE
        Test::Not(0, 0x5356_4d41), // PR_SET_VMA
    ],
    verdict: Verdict::Refuse(EPERM, Code::KernelSurfaceRefused),
}];

const PERSONALITY: &[Arm] = &[Arm {
    tests: &[Test::Not(0, 0), Test::Not(0, u32::MAX)],
    verdict: Verdict::Refuse(EPERM, Code::KernelSurfaceRefused),
}];

/// Falls back to `clone`, whose flags a filter can read.
const CLONE3: &[Arm] = &[always(Verdict::Deny(ENOSYS))];

macro_rules! table {
    ($(#[$attribute:meta])* $list:ident: $($arms:expr => [$($number:ident)*];)*) => {
        $(#[$attribute])*
        const $list: &[Call] = &[$($(
            Call { number: libc::$number, name: trimmed(stringify!($number)), arms: $arms },
        )*)*];
    };
}

/// `SYS_read` is called `read` in messages.
const fn trimmed(constant: &'static str) -> &'static str {
    match constant.split_at_checked("SYS_".len()) {
        Some((_, name)) => name,
        None => constant,
    }
}

table! {
    TABLE:
    &[] => [
        SYS_read SYS_write SYS_close SYS_fstat SYS_lseek SYS_munmap SYS_mprotect SYS_brk
        SYS_mremap SYS_madvise SYS_msync SYS_mincore SYS_mlock SYS_mlock2 SYS_munlock
        SYS_rt_sigaction SYS_rt_sigprocmask SYS_rt_sigreturn SYS_rt_sigpending
        SYS_rt_sigtimedwait SYS_rt_sigsuspend SYS_sigaltstack SYS_restart_syscall
        SYS_pread64 SYS_pwrite64 SYS_readv SYS_writev SYS_preadv SYS_pwritev SYS_preadv2
        SYS_pwritev2 SYS_sched_yield SYS_dup SYS_dup3 SYS_nanosleep SYS_getitimer
        SYS_setitimer SYS_getpid SYS_gettid SYS_getppid SYS_getuid SYS_geteuid SYS_getgid
        SYS_getegid SYS_getresuid SYS_getresgid SYS_getgroups SYS_getpgid SYS_getsid
        SYS_setsid SYS_setpgid SYS_sendfile SYS_shutdown SYS_getsockname
        SYS_getpeername SYS_getsockopt SYS_recvfrom SYS_recvmsg SYS_recvmmsg SYS_exit
        SYS_exit_group SYS_wait4 SYS_waitid SYS_uname SYS_flock SYS_fsync SYS_fdatasync
        SYS_sync SYS_syncfs SYS_sync_file_range SYS_ftruncate SYS_getcwd
        SYS_chdir SYS_fchdir SYS_mkdirat SYS_readlinkat SYS_faccessat
        SYS_faccessat2 SYS_newfstatat SYS_statx SYS_statfs SYS_fstatfs SYS_getdents64
        SYS_umask SYS_gettimeofday SYS_getrlimit SYS_setrlimit SYS_getrusage SYS_sysinfo
        SYS_times SYS_getpriority SYS_capget SYS_sched_getaffinity SYS_sched_getparam
        SYS_sched_getscheduler SYS_sched_getattr SYS_sched_get_priority_max
        SYS_sched_get_priority_min SYS_sched_rr_get_interval SYS_getxattr SYS_lgetxattr
        SYS_fgetxattr SYS_listxattr SYS_llistxattr SYS_flistxattr SYS_futex SYS_futex_waitv
        SYS_set_robust_list
        SYS_get_robust_list SYS_set_tid_address SYS_rseq SYS_membarrier SYS_epoll_create1
        SYS_epoll_ctl SYS_epoll_pwait SYS_epoll_pwait2 SYS_ppoll SYS_pselect6 SYS_eventfd2
        SYS_signalfd4 SYS_timerfd_create SYS_timerfd_settime SYS_timerfd_gettime SYS_pipe2
        SYS_splice SYS_tee SYS_copy_file_range SYS_fallocate SYS_fadvise64 SYS_readahead
        SYS_clock_gettime SYS_clock_getres SYS_clock_nanosleep SYS_timer_create
        SYS_timer_settime SYS_timer_gettime SYS_timer_getoverrun SYS_timer_delete
        SYS_getrandom SYS_getcpu SYS_close_range SYS_pkey_alloc SYS_pkey_free
        SYS_pkey_mprotect SYS_mseal SYS_mlockall SYS_munlockall SYS_get_mempolicy
        SYS_set_mempolicy SYS_mbind
    ];
    OPEN => [
        SYS_openat SYS_openat2
    ];
    EXEC => [
        SYS_execve SYS_execveat
    ];
    CHANGE => [
        SYS_renameat SYS_renameat2 SYS_linkat SYS_symlinkat SYS_unlinkat SYS_truncate
    ];
    METADATA => [
        SYS_fchmod SYS_fchmodat SYS_fchmodat2 SYS_fchown SYS_fchownat SYS_utimensat
    ];
    FILES => [
        SYS_mknodat SYS_inotify_init1 SYS_inotify_add_watch SYS_inotify_rm_watch
        SYS_setxattr SYS_lsetxattr SYS_fsetxattr SYS_removexattr SYS_lremovexattr
        SYS_fremovexattr SYS_chroot SYS_name_to_handle_at SYS_open_by_handle_at
    ];
    NETWORK => [
        SYS_bind SYS_listen SYS_accept SYS_accept4
    ];
    MAP => [
        SYS_mmap
    ];
    CLONE => [
        SYS_clone
    ];
    CLONE3 => [
        SYS_clone3
    ];
    SOCKETPAIR => [
        SYS_socketpair
    ];
    SOCKET => [
        SYS_socket
    ];
    SENDTO => [
        SYS_sendto
    ];
    FAST_OPEN_2 => [
        SYS_sendmsg
    ];
    FAST_OPEN_3 => [
        SYS_sendmmsg
    ];
    SETSOCKOPT => [
        SYS_setsockopt
    ];
    IOCTL => [
        SYS_ioctl
    ];
    FCNTL => [
        SYS_fcntl
    ];
    PRCTL => [
        SYS_prctl
    ];
    PERSONALITY => [
        SYS_personality
    ];
    NOT_SELF_0 => [
        SYS_kill SYS_tgkill SYS_rt_sigqueueinfo SYS_rt_tgsigqueueinfo
    ];
    OTHERS_0 => [
        SYS_prlimit64 SYS_sched_setaffinity SYS_sched_setparam SYS_sched_setscheduler
        SYS_sched_setattr
    ];
    PRIORITY => [
        SYS_setpriority
    ];
    KERNEL => [
        SYS_tkill SYS_ptrace SYS_process_vm_readv SYS_process_vm_writev SYS_kcmp
        SYS_pidfd_open SYS_pidfd_getfd SYS_pidfd_send_signal SYS_process_madvise
        SYS_process_mrelease SYS_bpf SYS_perf_event_open SYS_userfaultfd SYS_keyctl
        SYS_add_key SYS_request_key SYS_fanotify_init SYS_fanotify_mark SYS_quotactl
        SYS_quotactl_fd SYS_swapon SYS_swapoff SYS_kexec_load SYS_init_module
        SYS_finit_module SYS_delete_module SYS_mount SYS_umount2 SYS_fsopen SYS_fsconfig
        SYS_fsmount SYS_fspick SYS_open_tree SYS_move_mount SYS_mount_setattr SYS_pivot_root
        SYS_setns SYS_unshare SYS_acct SYS_lookup_dcookie SYS_vhangup SYS_syslog
        SYS_settimeofday SYS_clock_settime SYS_clock_adjtime SYS_adjtimex SYS_sethostname
        SYS_setdomainname SYS_reboot SYS_memfd_create SYS_memfd_secret SYS_seccomp
        SYS_landlock_create_ruleset SYS_landlock_add_rule SYS_landlock_restrict_self
        SYS_nfsservctl SYS_migrate_pages SYS_move_pages SYS_shmget SYS_shmat SYS_shmctl
        SYS_shmdt SYS_semget SYS_semop SYS_semtimedop SYS_semctl SYS_msgget SYS_msgsnd
        SYS_msgrcv SYS_msgctl SYS_mq_open SYS_mq_unlink SYS_mq_timedsend SYS_mq_timedreceive
        SYS_mq_notify SYS_mq_getsetattr
    ];
    ABSENT => [
        SYS_io_uring_setup SYS_io_uring_enter SYS_io_uring_register
    ];
    QUIET => [
        SYS_setuid SYS_setgid SYS_setreuid SYS_setregid SYS_setresuid SYS_setresgid
        SYS_setfsuid SYS_setfsgid SYS_setgroups SYS_capset SYS_ioprio_get SYS_ioprio_set
    ];
    &[always(Verdict::Judge(Judge::Connect))] => [
        SYS_connect
    ];
}

table! {
    #[cfg(target_arch = "x86_64")]
    LEGACY:
    &[] => [
        SYS_stat SYS_lstat SYS_poll SYS_access SYS_pipe SYS_select SYS_dup2 SYS_pause
        SYS_alarm SYS_getpgrp SYS_mkdir SYS_readlink SYS_getdents
        SYS_epoll_create SYS_epoll_wait SYS_eventfd SYS_signalfd SYS_time SYS_arch_prctl
    ];
    OPEN => [
        SYS_open SYS_creat
    ];
    CHANGE => [
        SYS_rename SYS_link SYS_symlink SYS_unlink SYS_rmdir
    ];
    METADATA => [
        SYS_chmod SYS_chown SYS_lchown SYS_utime SYS_utimes SYS_futimesat
    ];
    PROCESS => [
        SYS_fork SYS_vfork
    ];
    FILES => [
        SYS_mknod SYS_inotify_init
    ];
    KERNEL => [
        SYS_uselib SYS_ustat SYS_sysfs SYS_iopl SYS_ioperm SYS_modify_ldt SYS__sysctl
        SYS_kexec_file_load
    ];
}

/// Other architectures never had the old forms.
#[cfg(not(target_arch = "x86_64"))]
const LEGACY: &[Call] = &[];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_number_stands_once() {
        let numbers: BTreeSet<i64> = all().map(|call| call.number).collect();
        assert_eq!(numbers.len(), all().count());
    }

    /// A notified call that loses its supervisor answers `ENOSYS`, and a library then tries an
    /// older or newer form: every form must be judged alike.
    #[test]
    fn all_forms_of_a_call_are_judged_alike() {
        let judged = |name: &str| {
            let call = all().find(|call| call.name == name);
            call.unwrap_or_else(|| panic!("{name}"))
                .arms
                .first()
                .map(|arm| arm.verdict)
        };
        for forms in [
            &["open", "creat", "openat", "openat2"][..],
            &["execve", "execveat"],
            &[
                "chmod",
                "fchmod",
                "fchmodat",
                "fchmodat2",
                "chown",
                "fchown",
                "lchown",
                "fchownat",
            ],
            &["utime", "utimes", "futimesat", "utimensat"],
            &[
                "rename",
                "renameat",
                "renameat2",
                "link",
                "linkat",
                "symlink",
                "symlinkat",
                "unlink",
                "unlinkat",
                "rmdir",
            ],
            &["fork", "vfork"],
        ] {
            for form in forms {
                assert_eq!(judged(form), judged(forms[0]), "{form}");
                assert!(judged(form).is_some(), "{form}");
            }
        }
    }

    #[test]
    fn groups_and_users_of_processes_are_others() {
        let priority = all().find(|call| call.name == "setpriority").unwrap();
        assert_eq!(priority.verdict(&[0, 0, 5, 0, 0, 0], 7), None);
        assert_eq!(priority.verdict(&[0, 7, 5, 0, 0, 0], 7), None);
        for arguments in [[0, 8, 5, 0, 0, 0], [1, 0, 5, 0, 0, 0], [2, 0, 5, 0, 0, 0]] {
            assert!(priority.verdict(&arguments, 7).is_some(), "{arguments:?}");
        }
    }

    #[test]
    fn only_the_low_word_of_an_integer_counts() {
        let socket = all().find(|call| call.name == "socket").unwrap();
        let high = 1_u64 << 32;
        assert_eq!(socket.verdict(&[2, 1, 0, 0, 0, 0], 1), None);
        assert_eq!(
            socket.verdict(&[high | 2, high | 1, high, 0, 0, 0], 1),
            None
        );
        assert!(socket.verdict(&[high | 1, 1, 0, 0, 0, 0], 1).is_some());
        assert!(socket.verdict(&[2, high | 2, 0, 0, 0, 0], 1).is_some());
        assert!(socket.verdict(&[2, 1, 262, 0, 0, 0], 1).is_some());
    }
}
