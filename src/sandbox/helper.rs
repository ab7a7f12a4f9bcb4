//! Confinement of v4run's own helper process, the proxy.
//!
//! It parses hostile bytes, so it may neither execute, nor trace, nor open what its work does not
//! need. It keeps the network. No notification: everything outside its set is an errno.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};

use super::{Failure, filesystem};
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
    libc::SYS_clone,
    libc::SYS_clone3,
    libc::SYS_mmap,
    libc::SYS_ioctl,
    libc::SYS_fcntl,
    libc::SYS_prctl,
    libc::SYS_prlimit64,
    libc::SYS_tgkill,
];

/// Restricts the calling process: files to `rules`, calls to the table's harmless ones and
/// [`NEEDED`]. Call before any thread exists.
pub fn confine(rules: &[PathRule]) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::new("confining the proxy", error);
    sys::process::hide().map_err(|e| failed(&e))?;
    nix::sys::prctl::set_no_new_privs().map_err(|e| failed(&e))?;
    let (abi, _) = filesystem::required(sys::probe::landlock())?;
    filesystem::restrict_files(abi, rules)?;
    let mut allowed = BTreeMap::new();
    for call in kernel::all() {
        let harmless = match call.arms.first().map(|arm| arm.verdict) {
            None => true,
            // Files are Landlock's: it stands below this filter.
            Some(Verdict::Judge(Judge::Open | Judge::Change | Judge::Metadata)) => true,
            Some(Verdict::Judge(Judge::Exec | Judge::Connect | Judge::Map))
            | Some(Verdict::Refuse(..) | Verdict::Deny(_)) => NEEDED.contains(&call.number),
        };
        if harmless {
            allowed.insert(call.number, Vec::new());
        }
    }
    let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(|e| failed(&e))?;
    let filter = SeccompFilter::new(
        allowed,
        SeccompAction::Errno(libc::EPERM.unsigned_abs()),
        SeccompAction::Allow,
        architecture,
    )
    .map_err(|e| failed(&e))?;
    let program: BpfProgram = filter
        .try_into()
        .map_err(|e: seccompiler::BackendError| failed(&e))?;
    seccompiler::apply_filter(&program).map_err(|e| failed(&e))
}
