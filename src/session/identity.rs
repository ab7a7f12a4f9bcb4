//! User and capabilities of a run.
//!
//! An ordinary user has nothing to drop. Root becomes the owner of the project where that is another
//! user who can reach everything the run needs; else root stays and keeps exactly
//! `CAP_DAC_OVERRIDE` and `CAP_FOWNER`, because root in a container often does not own the workspace.
//! Session, proxy and launcher share the result, so that memory of the manager stays readable.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, User, geteuid, setgroups, setresgid, setresuid};

use crate::model::{Code, Finding};
use crate::sys::process;

/// What the owner of the project would have to reach.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// Files and directories that must be readable; missing ones do not count.
    pub(super) read: Vec<PathBuf>,
    /// Directories that must be writable, or the nearest existing ancestor.
    pub(super) write: Vec<PathBuf>,
}

/// Sets user and capabilities of this process for good and says what was chosen.
pub(super) fn settle(project: &Path, needs: &Needs) -> Result<String, Finding> {
    let failed = |step: &str, error: &dyn std::fmt::Display| {
        Finding::new(
            Code::SandboxUnenforceable,
            step,
            format!("cannot set the user: {step}: {error}"),
        )
    };
    let chosen = if geteuid().is_root() {
        match owner(project).filter(|owner| owner.can_run(needs)) {
            Some(owner) => {
                setgroups(&[owner.group]).map_err(|e| failed("setgroups", &e))?;
                setresgid(owner.group, owner.group, owner.group)
                    .map_err(|e| failed("setresgid", &e))?;
                setresuid(owner.user, owner.user, owner.user)
                    .map_err(|e| failed("setresuid", &e))?;
                format!("became the project's owner, uid {}", owner.user)
            }
            None => {
                let held =
                    process::permitted_capabilities().map_err(|e| failed("capabilities", &e))?;
                let keep: Vec<u32> = [process::CAP_DAC_OVERRIDE, process::CAP_FOWNER]
                    .into_iter()
                    .filter(|capability| held & 1 << capability != 0)
                    .collect();
                process::keep_capabilities(&keep).map_err(|e| failed("capabilities", &e))?;
                format!("root with {} capabilities (file access only)", keep.len())
            }
        }
    } else {
        // Whatever an ordinary user holds, the run needs none of it.
        process::keep_capabilities(&[]).map_err(|e| failed("capabilities", &e))?;
        "ordinary user".to_owned()
    };
    // With this no exec below gives a privilege back, not even to user 0.
    nix::sys::prctl::set_no_new_privs().map_err(|e| failed("no_new_privs", &e))?;
    Ok(chosen)
}

#[derive(Debug, Clone, Copy)]
struct Owner {
    user: Uid,
    group: Gid,
}

fn owner(project: &Path) -> Option<Owner> {
    let metadata = std::fs::metadata(project).ok()?;
    let user = Uid::from_raw(metadata.uid());
    if user.is_root() {
        return None;
    }
    // The group of the account where there is one; containers often have none.
    let group = match User::from_uid(user) {
        Ok(Some(account)) => account.gid,
        Ok(None) | Err(_) => Gid::from_raw(metadata.gid()),
    };
    Some(Owner { user, group })
}

impl Owner {
    fn can_run(&self, needs: &Needs) -> bool {
        needs
            .read
            .iter()
            .all(|path| !path.exists() || self.may(path, 4))
            && needs.write.iter().all(|path| {
                path.ancestors()
                    .find(|p| p.exists())
                    .is_some_and(|near| self.may(near, 2))
            })
    }

    /// Mode bits along the real path. Access lists are not looked at: they can only make the answer
    /// too strict or lead to a plain error later, never to more than the kernel allows.
    fn may(&self, path: &Path, want: u32) -> bool {
        let Ok(path) = std::fs::canonicalize(path) else {
            return false;
        };
        let searchable = path.ancestors().skip(1).all(|parent| self.has(parent, 1));
        searchable && self.has(&path, want)
    }

    fn has(&self, path: &Path, want: u32) -> bool {
        let Ok(metadata) = std::fs::metadata(path) else {
            return false;
        };
        let mode = metadata.permissions().mode();
        let bits = if metadata.uid() == self.user.as_raw() {
            mode >> 6
        } else if metadata.gid() == self.group.as_raw() {
            mode >> 3
        } else {
            mode
        };
        bits & want == want
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn access_is_judged_by_mode_bits_along_the_path() {
        let root = tempfile::tempdir().unwrap();
        let closed = root.path().join("closed");
        std::fs::create_dir(&closed).unwrap();
        let file = closed.join("file");
        std::fs::write(&file, "x").unwrap();
        std::fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
        let stranger = Owner {
            user: Uid::from_raw(54321),
            group: Gid::from_raw(54321),
        };
        std::fs::set_permissions(&closed, Permissions::from_mode(0o755)).unwrap();
        assert!(stranger.may(&file, 4));
        assert!(!stranger.may(&file, 2));
        std::fs::set_permissions(&closed, Permissions::from_mode(0o700)).unwrap();
        assert!(!stranger.may(&file, 4));
        let needs = Needs {
            read: vec![file],
            write: Vec::new(),
        };
        assert!(!stranger.can_run(&needs));
    }
}
