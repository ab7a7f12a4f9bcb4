//! Landlock: the floor under every file access and every TCP connection.
//!
//! Hard requirements only. Rights are all that the kernel's ABI knows: whatever a rule does not
//! grant is refused. No TCP right is ever granted, the supervisor connects. Rules bind to the
//! directory that was opened, so a link swapped in later changes nothing.
//!
//! Kernel: Documentation/userspace-api/landlock.rst.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, PathBeneath,
    Ruleset, RulesetAttr as _, RulesetCreatedAttr as _, RulesetStatus, Scope,
};
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{SFlag, fstat};

use super::Failure;
use crate::model::Access;
use crate::model::PathRule;
use crate::sys::probe::{self, Landlock};

/// Oldest ABI that is accepted: 3 (Linux 6.2) is the first that covers truncation.
pub const FLOOR: u32 = 3;

/// Landlock protections that this ABI lacks. Each is closed by the system-call filter as well; the
/// record says that only one layer stands.
pub fn single_layer(abi: u32) -> Vec<String> {
    [
        (4, "tcp connect and bind"),
        (5, "device ioctl"),
        (6, "abstract unix sockets and signals"),
    ]
    .into_iter()
    .filter(|(since, _)| abi < *since)
    .map(|(_, protection)| protection.to_owned())
    .collect()
}

/// Checks what the kernel says of itself against [`FLOOR`].
pub(super) fn required(offer: Landlock) -> Result<(u32, u32), Failure> {
    let missing = |cause: &str| Err(Failure::new("Landlock", cause));
    match offer {
        Landlock::Active { abi, errata } if abi >= FLOOR => Ok((abi, errata)),
        Landlock::Active { abi, .. } => missing(&format!(
            "the kernel offers ABI {abi}, at least {FLOOR} (Linux 6.2) is needed"
        )),
        Landlock::Disabled => missing("built in but not active; add `landlock` to the `lsm=` list"),
        Landlock::Forbidden => missing("refused by an outer filter"),
        Landlock::Absent if probe::is_gvisor() => missing(
            "this kernel is gVisor, which has none; run the install under the ordinary container runtime",
        ),
        Landlock::Absent => missing("the kernel has none; Linux 6.2 or newer is needed"),
    }
}

fn open(path: &OsStr) -> Result<OwnedFd, Failure> {
    // Plans hold canonical paths: a link on the way means that something was swapped since.
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS);
    openat2(AT_FDCWD, path, how)
        .map_err(|source| Failure::new(&format!("opening {}", path.display()), source))
}

fn rights(access: Access, directory: bool, abi: ABI) -> BitFlags<AccessFs> {
    let granted = match access {
        Access::Read => AccessFs::ReadFile | AccessFs::ReadDir,
        Access::List => AccessFs::ReadDir.into(),
        Access::Execute => AccessFs::ReadFile | AccessFs::Execute,
        Access::Programs => AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::Execute,
        Access::WriteFile => AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::Truncate,
        Access::Device => AccessFs::ReadFile | AccessFs::WriteFile,
        Access::Write => {
            AccessFs::ReadFile
                | AccessFs::ReadDir
                | AccessFs::WriteFile
                | AccessFs::Truncate
                | AccessFs::RemoveDir
                | AccessFs::RemoveFile
                | AccessFs::MakeDir
                | AccessFs::MakeReg
                | AccessFs::MakeSym
                | AccessFs::Refer
        }
    };
    if directory {
        granted
    } else {
        granted & AccessFs::from_file(abi)
    }
}

/// Restricts this process to `rules`: files, TCP, signals and abstract sockets.
pub fn restrict(abi: u32, rules: &[PathRule]) -> Result<(), Failure> {
    apply(abi, rules, false)
}

/// Restricts this process to `rules` for files only: the proxy connects on its own.
pub(super) fn restrict_files(abi: u32, rules: &[PathRule]) -> Result<(), Failure> {
    apply(abi, rules, true)
}

fn apply(abi: u32, rules: &[PathRule], connects: bool) -> Result<(), Failure> {
    let failed = |error: landlock::RulesetError| Failure::new("Landlock", error);
    let abi = ABI::from(i32::try_from(abi).unwrap_or_default());
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(abi))
        .map_err(failed)?;
    if abi >= ABI::V4 && !connects {
        ruleset = ruleset
            .handle_access(AccessNet::from_all(abi))
            .map_err(failed)?;
    }
    if abi >= ABI::V6 {
        ruleset = ruleset.scope(Scope::from_all(abi)).map_err(failed)?;
    }
    let mut created = ruleset.create().map_err(failed)?;
    for rule in rules {
        let fd = open(&rule.path)?;
        let kind = fstat(&fd)
            .map_err(|source| Failure::new("fstat", source))?
            .st_mode;
        let directory = SFlag::from_bits_truncate(kind) & SFlag::S_IFMT == SFlag::S_IFDIR;
        created = created
            .add_rule(PathBeneath::new(fd, rights(rule.access, directory, abi)))
            .map_err(|error| {
                Failure::new(&format!("Landlock rule for {}", rule.path.display()), error)
            })?;
    }
    let status = created.restrict_self().map_err(failed)?;
    if status.ruleset == RulesetStatus::FullyEnforced {
        Ok(())
    } else {
        Err(Failure::new(
            "Landlock",
            format!("only {:?}", status.ruleset),
        ))
    }
}
