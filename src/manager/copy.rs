//! Private copies of a package manager, for a run that replaces the one it runs from.
//!
//! Shared by the drivers. The source is the machine's own installation; it is bounded all the same,
//! because links in it could lead anywhere and back.

use std::io;
use std::path::{Path, PathBuf};

/// No installation is nested deeper.
const DEPTH: usize = 64;

/// What becomes of links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Links {
    /// What they lead to is copied.
    Followed,
    /// They are left out.
    LeftOut,
}

/// Copies a file, or a directory of at most `most` files and directories.
pub(super) fn copy(from: &Path, to: &Path, links: Links, most: usize) -> io::Result<()> {
    let mut left = most;
    let mut pending: Vec<(PathBuf, PathBuf, usize)> =
        vec![(from.to_path_buf(), to.to_path_buf(), 0)];
    while let Some((source, target, depth)) = pending.pop() {
        if depth > DEPTH {
            return Err(io::Error::other("the directory is nested too deeply"));
        }
        left = left
            .checked_sub(1)
            .ok_or_else(|| io::Error::other(format!("there are more than {most} files")))?;
        let kind = match links {
            Links::LeftOut => std::fs::symlink_metadata(&source),
            Links::Followed => std::fs::metadata(&source),
        };
        let kind = match kind {
            Ok(metadata) => metadata.file_type(),
            // A link that leads nowhere.
            Err(error) if error.kind() == io::ErrorKind::NotFound && depth > 0 => continue,
            Err(error) => return Err(error),
        };
        if kind.is_dir() {
            std::fs::create_dir_all(&target)?;
            for entry in std::fs::read_dir(&source)? {
                let entry = entry?;
                pending.push((entry.path(), target.join(entry.file_name()), depth + 1));
            }
        } else if kind.is_file() {
            std::fs::copy(&source, &target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_are_followed_or_left_out_and_never_without_end() {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path();
        std::fs::create_dir_all(root.join("from/folder")).unwrap();
        std::fs::write(root.join("from/folder/file"), "x").unwrap();
        symlink("folder", root.join("from/link")).unwrap();
        symlink("nowhere", root.join("from/dangling")).unwrap();
        let from = root.join("from");
        copy(&from, &root.join("with"), Links::Followed, 100).unwrap();
        assert_eq!(std::fs::read(root.join("with/link/file")).unwrap(), b"x");
        copy(&from, &root.join("without"), Links::LeftOut, 100).unwrap();
        assert!(root.join("without/folder/file").is_file());
        assert!(!root.join("without/link").exists());
        assert!(copy(&from, &root.join("few"), Links::LeftOut, 2).is_err());
        // Two links that lead back double what there is to copy at every level.
        for name in ["back", "again"] {
            symlink("..", root.join("from/folder").join(name)).unwrap();
        }
        assert!(copy(&from, &root.join("endless"), Links::Followed, 100).is_err());
        copy(&from, &root.join("bounded"), Links::LeftOut, 100).unwrap();
    }
}
