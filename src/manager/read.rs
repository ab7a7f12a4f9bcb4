//! Bounded reads of foreign files, shared by the drivers.
//!
//! Project files are untrusted: they may be pipes, devices, huge, or links that lead out of the
//! project. Nothing here blocks or follows a link out of the directory that was named.
//! open(2): `O_NONBLOCK` keeps the open of a pipe from waiting.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use sha2::Digest as _;

use crate::model::{Algorithm, Code, Digest, Finding};

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    /// The system refused.
    #[error("cannot be read: {0}")]
    Io(#[source] io::Error),
    /// Not a regular file.
    #[error("is not a regular file")]
    Kind,
    /// More bytes than the bound for its kind.
    #[error("is larger than {0} bytes")]
    TooLarge(u64),
    /// A link that leads out of the project.
    #[error("is a link that leads out of the project, to {0}")]
    Outside(PathBuf),
}

/// What a file of the user's that was not read is: told where the user has none there, because a home may
/// be somebody else's; an error where it is there, because a run without what it says asks elsewhere.
pub(super) fn unread(path: &Path, error: &ReadError) -> Finding {
    let place = path.display().to_string();
    let there = matches!(error, ReadError::Io(_)) && path.symlink_metadata().is_ok();
    if !there {
        return Finding::new(Code::ConfigIgnored, place, error.to_string());
    }
    Finding::new(Code::Usage, place, error.to_string())
        .with_hint("let this user read it (a secret mount takes `uid=`), or name another file")
}

/// Reads a regular file of at most `limit` bytes. `None` when there is none.
pub(super) fn file(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, ReadError> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(OFlag::O_NONBLOCK.bits())
        .open(path);
    let file: File = match opened {
        Ok(file) => file,
        Err(error) if absent(&error) => return Ok(None),
        Err(error) => return Err(ReadError::Io(error)),
    };
    let metadata = file.metadata().map_err(ReadError::Io)?;
    if !metadata.is_file() {
        return Err(ReadError::Kind);
    }
    if metadata.len() > limit {
        return Err(ReadError::TooLarge(limit));
    }
    let mut bytes = Vec::new();
    let read = file
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(ReadError::Io)?;
    if u64::try_from(read).unwrap_or(u64::MAX) > limit {
        return Err(ReadError::TooLarge(limit));
    }
    Ok(Some(bytes))
}

/// Reads a file of a project, whose links must stay inside it. `root` is canonical.
pub(super) fn inside(root: &Path, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, ReadError> {
    let real = match path.canonicalize() {
        Ok(real) => real,
        Err(error) if absent(&error) => return Ok(None),
        Err(error) => return Err(ReadError::Io(error)),
    };
    if !real.starts_with(root) {
        return Err(ReadError::Outside(real));
    }
    file(&real, limit)
}

fn absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

/// SHA-256 of bytes that were read.
pub(super) fn sha256(bytes: &[u8]) -> Option<Digest> {
    Digest::new(Algorithm::Sha256, sha2::Sha256::digest(bytes).to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_kinds_and_links_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("project")).unwrap();
        std::fs::write(root.join("secret"), "x").unwrap();
        std::fs::write(root.join("project/a"), "abc").unwrap();
        std::os::unix::fs::symlink("../secret", root.join("project/out")).unwrap();
        std::os::unix::fs::symlink("a", root.join("project/in")).unwrap();
        nix::unistd::mkfifo(&root.join("project/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let project = root.join("project");
        let read = |name: &str, limit| inside(&project, &project.join(name), limit);
        assert_eq!(read("a", 3).unwrap().unwrap(), b"abc");
        assert!(matches!(read("a", 2), Err(ReadError::TooLarge(2))));
        assert_eq!(read("in", 3).unwrap().unwrap(), b"abc");
        assert!(matches!(read("out", 3), Err(ReadError::Outside(_))));
        assert!(matches!(read("pipe", 3), Err(ReadError::Kind)));
        assert!(read("none", 3).unwrap().is_none());
    }
}
