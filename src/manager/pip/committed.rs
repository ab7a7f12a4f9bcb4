//! Whether the pip of an environment came with the checkout.
//!
//! Asked before the launch. An environment mostly lies in the project and its pip is trusted as the
//! user's own, which it is where the user or the build made the environment. Where version control
//! brought it, whoever can change the project chooses the program that would be run. Only the list
//! of tracked files is read, and only git's; nothing is started. A list that cannot be read, and a
//! checkout without one, say nothing.
//!
//! <https://git-scm.com/docs/index-format>.

use std::path::{Path, PathBuf};

use crate::manager::read;
use crate::model::{Code, Finding};

/// The lists of the largest checkouts have some hundred megabytes.
const LIMIT: u64 = 512 << 20;
/// A file that names a directory.
const LINK: u64 = 64 << 10;
/// Fixed part of an entry, up to its flags.
const FIXED: usize = 62;
/// Bit of the flags that two more bytes follow.
const EXTENDED: u8 = 0x40;

/// The refusal, when a directory with pip's package is tracked by the checkout that holds it.
pub(super) fn refusal(pip: &Path, directory: &Path) -> Option<Finding> {
    let mut roots = pip.ancestors().filter(|path| directory.starts_with(path));
    let root = roots.find(|path| is_tracked(path, pip))?;
    let message = format!(
        "the environment's pip is part of the checkout `{}`: a change to the project would change \
         the program that is run",
        root.display()
    );
    let hint = "take the environment out of version control and make it anew";
    let finding = Finding::new(Code::ConfigRefused, pip.display().to_string(), message);
    Some(finding.with_hint(hint))
}

fn is_tracked(root: &Path, pip: &Path) -> bool {
    let path = pip.join("__init__.py");
    let wanted = path.strip_prefix(root).ok().and_then(Path::to_str);
    let list = index_of(root).and_then(|path| read::file(&path, LIMIT).ok().flatten());
    wanted
        .zip(list)
        .is_some_and(|(wanted, list)| names(&list, wanted.as_bytes()) == Some(true))
}

/// The list of a checkout, which lies elsewhere for a linked one.
fn index_of(root: &Path) -> Option<PathBuf> {
    let git = root.join(".git");
    if git.is_dir() {
        return Some(git.join("index"));
    }
    let text = String::from_utf8(read::file(&git, LINK).ok().flatten()?).ok()?;
    let place = text.strip_prefix("gitdir:")?.trim();
    Some(root.join(place).join("index"))
}

/// Whether a list names a path. `None` when it is of no known form.
fn names(list: &[u8], wanted: &[u8]) -> Option<bool> {
    let (head, entries) = list.split_first_chunk::<12>()?;
    let [b'D', b'I', b'R', b'C', 0, 0, 0, version, count @ ..] = head else {
        return None;
    };
    match version {
        // Each entry holds its whole path, ended by a zero.
        2 | 3 => {
            let whole = [wanted, b"\0"].concat();
            Some(entries.windows(whole.len()).any(|part| part == whole))
        }
        4 => compressed(entries, u32::from_be_bytes(*count), wanted),
        _ => None,
    }
}

/// The fourth version gives of each path what differs from the one before.
fn compressed(mut rest: &[u8], count: u32, wanted: &[u8]) -> Option<bool> {
    let mut path: Vec<u8> = Vec::new();
    for _ in 0..count {
        let more = if rest.get(FIXED.checked_sub(2)?)? & EXTENDED == 0 {
            0
        } else {
            2
        };
        rest = rest.get(FIXED.checked_add(more)?..)?;
        let (mut dropped, mut first) = (0_usize, true);
        loop {
            let (byte, after) = rest.split_first()?;
            rest = after;
            if !first {
                dropped = dropped.checked_add(1)?.checked_mul(128)?;
            }
            first = false;
            dropped = dropped.checked_add(usize::from(byte & 0x7f))?;
            if byte & 0x80 == 0 {
                break;
            }
        }
        path.truncate(path.len().checked_sub(dropped)?);
        let end = rest.iter().position(|byte| *byte == 0)?;
        path.extend_from_slice(rest.get(..end)?);
        rest = rest.get(end.checked_add(1)?..)?;
        if path == wanted {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A list of the second version.
    fn plain(paths: &[&str]) -> Vec<u8> {
        let mut list = b"DIRC\0\0\0\x02".to_vec();
        list.extend(u32::try_from(paths.len()).unwrap().to_be_bytes());
        for path in paths {
            list.extend([1; FIXED]);
            list.extend(path.as_bytes());
            list.push(0);
        }
        list
    }

    #[test]
    fn a_pip_that_is_tracked_is_found() {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path().canonicalize().unwrap();
        let pip = root.join("v/site-packages/pip");
        std::fs::create_dir_all(&pip).unwrap();
        std::fs::create_dir_all(root.join("sub")).unwrap();
        let found = |directory: &Path| refusal(&pip, directory).is_some();
        assert!(!found(&root));
        std::fs::create_dir(root.join(".git")).unwrap();
        let write = |paths: &[&str]| std::fs::write(root.join(".git/index"), plain(paths)).unwrap();
        write(&["v/site-packages/pip/__init__.pyc", "v/a"]);
        assert!(!found(&root));
        write(&["v/a", "v/site-packages/pip/__init__.py"]);
        assert!(found(&root) && found(&root.join("sub")));
        assert!(!found(Path::new("/")));
        std::fs::rename(root.join(".git"), root.join("real")).unwrap();
        std::fs::write(root.join(".git"), "gitdir: real\n").unwrap();
        assert!(found(&root));
    }

    #[test]
    fn compressed_lists_are_read() {
        let mut list = b"DIRC\0\0\0\x04\0\0\0\x03".to_vec();
        for (drop, rest, extended) in [(0, "v/pip-1/A", false), (4, "/_", true), (1, "a", false)] {
            let mut fixed = vec![0; FIXED];
            if extended {
                fixed[FIXED - 2] = EXTENDED;
                fixed.extend([0, 0]);
            }
            list.extend(fixed);
            list.push(drop);
            list.extend(rest.as_bytes());
            list.push(0);
        }
        assert_eq!(names(&list, b"v/pip/_"), Some(true));
        assert_eq!(names(&list, b"v/pip/a"), Some(true));
        assert_eq!(names(&list, b"v/pip/"), Some(false));
        list.truncate(list.len() - 3);
        assert_eq!(names(&list, b"v/pip/a"), None);
    }

    proptest! {
        #[test]
        fn reading_never_panics(mut list in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = names(&list, b"a");
            list.splice(0..0, *b"DIRC\0\0\0\x04");
            let _ = names(&list, b"a");
        }
    }
}
