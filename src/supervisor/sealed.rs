//! The sealed copies that were handed out last.
//!
//! A manager opens one archive several times in a row (pip five times), and copying and hashing it
//! each time would cost more than everything else here. A copy stays what was verified, whatever
//! becomes of the file, so it is safe to hand out again; the identity only tells whether the file is
//! still the one that was meant. Bounded, because a copy is memory that nobody can swap out.

use std::collections::VecDeque;
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::Digest;

/// Most bytes in all copies together; a larger archive is verified each time.
const MOST: u64 = 32 << 20;

/// A sealed copy of a file that was verified.
#[derive(Debug)]
pub(super) struct Copy {
    /// What is handed out.
    pub(super) content: File,
    /// SHA-256 of the verified file.
    pub(super) sha256: Digest,
    /// Whether the run itself made the file.
    pub(super) own: bool,
}

/// Which file a copy was made of, and when that was last changed.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    path: PathBuf,
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    fn of(path: &Path, metadata: &Metadata) -> Self {
        Self {
            path: path.to_owned(),
            inode: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// Copies with what they were made of, the newest last.
#[derive(Debug, Default)]
pub(super) struct Sealed(Mutex<VecDeque<(Identity, Arc<Copy>)>>);

impl Sealed {
    /// The copy of that file, if it is at hand and the file is as it was.
    pub(super) fn find(&self, path: &Path, metadata: &Metadata) -> Option<Arc<Copy>> {
        let wanted = Identity::of(path, metadata);
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = kept.iter().rev();
        kept.find_map(|(identity, copy)| (*identity == wanted).then(|| Arc::clone(copy)))
    }

    /// Keeps a copy and drops the oldest ones that are too many. `metadata` was read before the copy
    /// was made.
    pub(super) fn keep(&self, path: &Path, metadata: &Metadata, copy: &Arc<Copy>) {
        if metadata.size() > MOST {
            return;
        }
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(identity, _)| identity.path != path);
        kept.push_back((Identity::of(path, metadata), Arc::clone(copy)));
        while kept.iter().map(|(identity, _)| identity.size).sum::<u64>() > MOST {
            kept.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::model::Algorithm;

    fn copy() -> Arc<Copy> {
        Arc::new(Copy {
            content: tempfile::tempfile().unwrap(),
            sha256: Digest::new(Algorithm::Sha256, vec![0; 32]).unwrap(),
            own: false,
        })
    }

    #[test]
    fn a_file_is_found_until_it_changes() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a");
        fs::write(&path, "one").unwrap();
        let sealed = Sealed::default();
        let metadata = path.metadata().unwrap();
        assert!(sealed.find(&path, &metadata).is_none());
        sealed.keep(&path, &metadata, &copy());
        assert!(sealed.find(&path, &metadata).is_some());
        assert!(sealed.find(&place.path().join("b"), &metadata).is_none());
        fs::rename(&path, place.path().join("b")).unwrap();
        fs::write(&path, "two").unwrap();
        assert!(sealed.find(&path, &path.metadata().unwrap()).is_none());
    }

    #[test]
    fn the_oldest_make_room() {
        let place = tempfile::tempdir().unwrap();
        let sealed = Sealed::default();
        let files: Vec<_> = [MOST / 2, MOST / 2, MOST / 4, MOST + 1]
            .into_iter()
            .enumerate()
            .map(|(number, size)| {
                let path = place.path().join(number.to_string());
                File::create(&path).unwrap().set_len(size).unwrap();
                let metadata = path.metadata().unwrap();
                sealed.keep(&path, &metadata, &copy());
                (path, metadata)
            })
            .collect();
        let found: Vec<_> = files
            .iter()
            .map(|(path, metadata)| sealed.find(path, metadata).is_some())
            .collect();
        assert_eq!(found, [false, true, true, false]);
    }
}
