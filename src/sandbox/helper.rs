//! Confinement of v4run's own helper processes: the proxy, and the one that looks into artifacts.
//!
//! They parse hostile bytes, so they may neither execute, nor trace, nor start anything, nor open what
//! their work does not need. The proxy keeps the network: IP sockets of its own, for repositories and
//! names; the other has none. No notification: everything outside is an errno. No thread can be made
//! after it; the one that the proxy needs is made in between and has every restriction too.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use super::{Failure, filesystem, seccomp};
use crate::model::PathRule;
use crate::profile::kernel;
use crate::profile::kernel::{Judge, Verdict};
use crate::sys;

/// Calls that the manager is denied and that the proxy's work needs: sockets of its own.
const NEEDED: &[i64] = &[
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_setsockopt,
    libc::SYS_mmap,
];

/// Calls that the table allows with some arguments: the same hold here.
const CONDITIONAL: &[i64] = &[
    libc::SYS_ioctl,
    libc::SYS_fcntl,
    libc::SYS_prctl,
    libc::SYS_prlimit64,
    libc::SYS_tgkill,
];

/// Restricts the calling process: files to `rules`, calls to the table's harmless ones, the
/// conditional ones under their conditions, and IP sockets. Call before any thread exists.
pub fn confine(rules: &[PathRule]) -> Result<(), Failure> {
    restrict(rules, NEEDED, || Ok(()))
}

/// The same for a process that needs threads: `start` makes them between the restriction of files,
/// which they inherit, and that of calls, which is put on all of them.
pub fn confine_with<T>(
    rules: &[PathRule],
    start: impl FnOnce() -> io::Result<T>,
) -> Result<T, Failure> {
    restrict(rules, NEEDED, start)
}

/// The same without any socket.
pub fn confine_offline(rules: &[PathRule]) -> Result<(), Failure> {
    restrict(rules, &[libc::SYS_mmap], || Ok(()))
}

fn restrict<T>(
    rules: &[PathRule],
    needed: &[i64],
    start: impl FnOnce() -> io::Result<T>,
) -> Result<T, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new("confining the proxy", error);
    sys::process::hide().map_err(|e| failed(&e))?;
    nix::sys::prctl::set_no_new_privs().map_err(|e| failed(&e))?;
    let (abi, _) = filesystem::required(sys::probe::landlock())?;
    filesystem::restrict_files(abi, rules)?;
    let started = start().map_err(|e| failed(&e))?;
    let mut allowed = BTreeMap::new();
    let mut refused = BTreeMap::new();
    for call in kernel::all() {
        let harmless = match call.arms.first().map(|arm| arm.verdict) {
            None => true,
            // Files are Landlock's: it stands below this filter.
            Some(Verdict::Judge(Judge::Open | Judge::Change | Judge::Metadata)) => true,
            Some(Verdict::Judge(
                Judge::Exec | Judge::Connect | Judge::Map | Judge::Process | Judge::Signal,
            ))
            | Some(Verdict::Refuse(..) | Verdict::Deny(_)) => needed.contains(&call.number),
        };
        if CONDITIONAL.contains(&call.number) {
            refused.insert(call.number, seccomp::rules(call, std::process::id())?);
        } else if !harmless {
            continue;
        }
        allowed.insert(call.number, Vec::new());
    }
    refused.insert(libc::SYS_socket, vec![no_internet()?]);
    let errno = || SeccompAction::Errno(libc::EPERM.unsigned_abs());
    apply(refused, SeccompAction::Allow, errno())?;
    apply(allowed, errno(), SeccompAction::Allow)?;
    Ok(started)
}

/// A socket that is neither IPv4 nor IPv6.
fn no_internet() -> Result<SeccompRule, Failure> {
    let failed = |error: seccompiler::BackendError| Failure::new("confining the proxy", error);
    let other = |family: i32| {
        SeccompCondition::new(
            0,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::Ne,
            family.unsigned_abs().into(),
        )
    };
    let conditions = [libc::AF_INET, libc::AF_INET6]
        .into_iter()
        .map(other)
        .collect::<Result<_, _>>()
        .map_err(failed)?;
    SeccompRule::new(conditions).map_err(failed)
}

fn apply(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new("confining the proxy", error);
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| failed(&e))?;
    let filter = SeccompFilter::new(rules, otherwise, matched, architecture);
    let filter = filter.map_err(|e| failed(&e))?;
    let program: BpfProgram = filter
        .try_into()
        .map_err(|e: seccompiler::BackendError| failed(&e))?;
    seccompiler::apply_filter_all_threads(&program).map_err(|e| failed(&e))
}
