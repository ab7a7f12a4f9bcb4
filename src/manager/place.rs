//! Whether a place on disk may hold a program that v4run starts, and where programs are looked for.
//!
//! Shared by the drivers' searches. The environment says where to look, never what is trusted: what
//! a project or another user can write is no package manager, and v4run's own shims are passed over.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::sys;

/// Marks a directory of v4run's own shims.
pub const MARKER: &str = ".v4run-shims";

/// Absolute directories of PATH.
pub(super) fn search_path(
    environment: &BTreeMap<OsString, OsString>,
) -> impl Iterator<Item = PathBuf> {
    let path = environment.get(OsStr::new("PATH"));
    let path = path.map(|path| std::env::split_paths(path).collect::<Vec<_>>());
    path.unwrap_or_default()
        .into_iter()
        .filter(|directory| directory.is_absolute())
}

/// Why nothing from a directory may be trusted, because it lies in the project.
pub(super) fn inside_project(
    directory: &Path,
    project: &Path,
    home: Option<&Path>,
) -> Option<&'static str> {
    let real = directory.canonicalize().ok()?;
    let broad = project.parent().is_none() || home.is_some_and(|home| home.starts_with(project));
    (real.starts_with(project) && !broad).then_some("lies inside the project")
}

/// Why nothing from a directory may be trusted, because of who may write there.
pub(super) fn open_to_others(directory: &Path) -> Option<&'static str> {
    let real = directory.canonicalize().ok()?;
    let Ok(data) = real.metadata() else {
        return Some("cannot be looked at");
    };
    others_write(&data).then_some("can be written by other users")
}

/// Whether users beside the owner and root may write. A group of the owner's own is the owner.
pub fn others_write(data: &Metadata) -> bool {
    let private_group = data.gid() == 0 || data.gid() == data.uid();
    data.mode() & 0o002 != 0 || (data.mode() & 0o020 != 0 && !private_group)
}

/// Whether a path leads to a file that may be executed, as execvp(3) takes it.
pub fn is_program(path: &Path) -> bool {
    let data = path.metadata();
    data.is_ok_and(|data| data.is_file() && data.mode() & 0o111 != 0)
}

/// Whether a path is v4run itself or another copy of it, or lies among its shims.
pub(super) fn is_ours(real: &Path, directory: &Path) -> bool {
    is_self(real)
        || directory.join(MARKER).exists()
        || sys::start::is_own_kind(real).unwrap_or_default()
}

/// Whether a path is the very file that is running.
pub fn is_self(real: &Path) -> bool {
    let identity = |path: &Path| path.metadata().ok().map(|data| (data.dev(), data.ino()));
    let own = identity(Path::new("/proc/self/exe"));
    own.is_some() && own == identity(real)
}

/// The path with the part that exists resolved.
pub(super) fn resolved(path: &Path) -> PathBuf {
    for near in path.ancestors() {
        if let Ok(real) = near.canonicalize() {
            return match path.strip_prefix(near) {
                Ok(rest) if rest.as_os_str().is_empty() => real,
                Ok(rest) => real.join(rest),
                Err(_) => path.to_path_buf(),
            };
        }
    }
    path.to_path_buf()
}
