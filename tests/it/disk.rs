//! Disks that are read-only or full, for whoever runs the suite.
//!
//! Root gets a mount in a mount namespace of its own; others get modes and limits, which are the
//! nearest thing that an ordinary user can make.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::project::{Project, program};
use crate::run::Invocation;

/// Words before a command: a shell line in a mount namespace of its own, which ends in the command.
fn namespace(line: &str) -> [&str; 6] {
    ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", line, "sh"]
}

/// Makes a directory that this user cannot write and runs below it. A user whose capabilities
/// override modes gets a read-only mount.
pub(crate) fn read_only(invocation: Invocation, directory: &Path) -> Invocation {
    fs::set_permissions(directory, fs::Permissions::from_mode(0o555)).unwrap();
    let probe = directory.join("probe");
    if fs::write(&probe, "").is_err() {
        return invocation;
    }
    fs::remove_file(&probe).unwrap();
    let line = format!(
        "mount --bind '{0}' '{0}' && mount -o remount,bind,ro '{0}' && cd . && exec \"$@\"",
        directory.display()
    );
    invocation.below(&namespace(&line))
}

/// What it takes to run a command on a small disk.
pub(crate) struct Small {
    line: String,
    possible: bool,
}

impl Small {
    /// `line` mounts the disk and runs the command in `"$@"`.
    pub(crate) fn with(project: &Project, line: String) -> Self {
        let probe = project.command(vec!["/bin/true".into()]);
        let possible = probe.below(&namespace(&line)).run().ended.code == Some(0);
        Self { line, possible }
    }

    /// A disk of one megabyte on `directory`, which is made.
    pub(crate) fn on(project: &Project, directory: &Path) -> Self {
        fs::create_dir(directory).unwrap();
        let line = format!(
            "mount -t tmpfs -o size=1m tmpfs '{}' && exec \"$@\"",
            directory.display()
        );
        Self::with(project, line)
    }

    /// Whether this user can mount it; else a limit of one megabyte a file stands in its place.
    pub(crate) fn is_mounted(&self) -> bool {
        self.possible
    }

    /// The command on that disk, or under that limit.
    pub(crate) fn holds(&self, invocation: Invocation) -> Invocation {
        if self.possible {
            return invocation.below(&namespace(&self.line));
        }
        let limit = program("prlimit");
        invocation.below(&[limit.to_str().unwrap(), "--fsize=1000000"])
    }
}

/// Bytes that do not compress.
pub(crate) fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..count).map(|_| next()).collect()
}
