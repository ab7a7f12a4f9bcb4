//! What makes a file an artifact: where it lies, its name, or bytes that mark a format.
//!
//! Names are a hint and bytes decide, at the begin or, for what is read from its end, in the tail.
//! Places, names and bytes are data of the run; nothing is verified here.

use std::fs::{File, Metadata};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use memchr::memmem;

use super::Supervisor;
use crate::model::Magic;

impl Supervisor {
    pub(super) fn is_artifact(&self, path: &Path, file: &File, metadata: &Metadata) -> bool {
        if self.recall.as_ref().is_some_and(|kept| kept.covers(path)) {
            return true;
        }
        let name = path.file_name().unwrap_or_default().as_bytes();
        let named = |ending: &String| ends_with(name, ending.as_bytes());
        if self.files.artifact_names.iter().any(named) {
            return true;
        }
        // What cannot be read here cannot be read by the manager either.
        let mut head = [0_u8; Magic::WITHIN];
        let Ok(length) = file.read_at(&mut head, 0) else {
            return false;
        };
        let head = head.get(..length).unwrap_or_default();
        let marks = |magic: &Magic| match magic.tail {
            true => is_in_tail(magic, file, metadata.len()),
            false => is_at_head(magic, head),
        };
        self.files.artifact_magic.iter().any(marks)
    }
}

/// Whether a name has that ending, in lower case, in any case.
fn ends_with(name: &[u8], ending: &[u8]) -> bool {
    let from = name.len().checked_sub(ending.len());
    let end = from.and_then(|from| name.get(from..));
    end.is_some_and(|end| end.eq_ignore_ascii_case(ending))
}

fn is_at_head(magic: &Magic, head: &[u8]) -> bool {
    let from = usize::try_from(magic.offset).unwrap_or(usize::MAX);
    head.get(from..)
        .is_some_and(|head| head.starts_with(&magic.bytes))
}

fn is_in_tail(magic: &Magic, file: &File, size: u64) -> bool {
    let Ok(length) = usize::try_from(magic.offset.min(size)) else {
        return false;
    };
    let mut tail = vec![0; length];
    // A file may be shorter than it says, as those of the kernel are.
    let read = file.read_at(&mut tail, size.saturating_sub(magic.offset));
    read.is_ok_and(|read| {
        tail.get(..read)
            .is_some_and(|tail| holds(tail, &magic.bytes))
    })
}

/// Whether a text is in another one. An empty one marks nothing.
fn holds(text: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && memmem::find(text, part).is_some()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn magic(offset: u64, bytes: &[u8], tail: bool) -> Magic {
        let bytes = bytes.to_vec();
        Magic {
            offset,
            bytes,
            tail,
        }
    }

    #[test]
    fn a_name_ends_so_in_any_case() {
        assert!(ends_with(b"A.JaR", b".jar") && ends_with(b".jar", b".jar"));
        assert!(!ends_with(b"jar", b".jar") && !ends_with(b"a.jar.txt", b".jar"));
    }

    #[test]
    fn marks_stand_at_the_head_or_in_the_tail() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"junk, then PK\x05\x06 and a comment")
            .unwrap();
        let size = file.metadata().unwrap().len();
        let end = b"PK\x05\x06";
        assert!(is_in_tail(&magic(1000, end, true), &file, size));
        assert!(is_in_tail(&magic(18, end, true), &file, size));
        assert!(!is_in_tail(&magic(10, end, true), &file, size));
        assert!(is_at_head(&magic(1, b"unk", false), b"junk"));
        assert!(!is_at_head(&magic(2, b"unk", false), b"junk"));
        assert!(!is_at_head(&magic(9, b"unk", false), b"junk"));
        assert!(!holds(b"text", b"") && !holds(b"PPK", end) && holds(b"PPK\x05\x06", end));
    }
}
