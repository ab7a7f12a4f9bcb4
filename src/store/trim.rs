//! Keeps the blobs, and what repositories answered, within a size and an age. The ledger is never trimmed.
//!
//! Called at most once a run, when it ends, and does nothing while its stamp file is younger than
//! a day. A blob that is removed while another run reads it stays readable for that run; one that
//! is removed and needed again is fetched again.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::directory::{STAGING, walk};
use super::{Directory, StoreError};

/// The file whose time says when the store was trimmed last.
const STAMP: &str = "v1/trimmed";
/// Time between two trims, and the age at which a staged file belongs to nobody any more.
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Directory {
    /// Removes blobs unused for longer than `max_age`, then the oldest until at most `max_bytes`
    /// are left. Gives the number of files removed.
    pub fn trim(&self, max_bytes: u64, max_age: Duration) -> Result<usize, StoreError> {
        let stamp = self.root().join(STAMP);
        let age = |metadata: &fs::Metadata| {
            metadata
                .modified()
                .ok()
                .and_then(|at| at.elapsed().ok())
                .unwrap_or_default()
        };
        if fs::metadata(&stamp).is_ok_and(|metadata| age(&metadata) < DAY) {
            return Ok(0);
        }
        // Stamped first, so that runs that end at the same moment do not all walk the store.
        fs::write(&stamp, b"").map_err(|source| StoreError::Io {
            path: stamp,
            source,
        })?;

        let mut removed = 0;
        let mut remove = |path: PathBuf| removed += usize::from(fs::remove_file(path).is_ok());
        let mut abandoned = Vec::new();
        walk(&self.root().join(STAGING), &mut |path, metadata| {
            if age(metadata) > DAY {
                abandoned.push(path.to_owned());
            }
            true
        })?;
        abandoned.into_iter().for_each(&mut remove);

        let mut blobs: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for part in ["v1/blob", "v1/heard"] {
            walk(&self.root().join(part), &mut |path, metadata| {
                let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                blobs.push((modified, metadata.len(), path.to_owned()));
                true
            })?;
        }
        blobs.sort_unstable();
        let oldest = SystemTime::now()
            .checked_sub(max_age)
            .unwrap_or(SystemTime::UNIX_EPOCH);
        let mut total: u64 = blobs.iter().map(|(_, size, _)| size).sum();
        for (modified, size, path) in blobs {
            if modified >= oldest && total <= max_bytes {
                break;
            }
            remove(path);
            total = total.saturating_sub(size);
        }
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn old_and_surplus_blobs_go_and_the_ledger_stays() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::open(root.path()).unwrap();
        let make = |name: &str, size: usize, days: u32| {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, vec![0; size]).unwrap();
            let file = File::options().write(true).open(&path).unwrap();
            file.set_modified(SystemTime::now() - DAY * days).unwrap();
            path
        };
        let old = make("v1/blob/sha512/aa/aa/1", 10, 40);
        let surplus = make("v1/blob/sha512/aa/aa/2", 60, 3);
        let recent = make("v1/blob/sha512/aa/aa/3", 60, 1);
        let entry = make("v1/seen/npm/aa/1", 10, 400);
        let abandoned = make("v1/tmp/x", 10, 2);

        assert_eq!(directory.trim(100, DAY * 30).unwrap(), 3);
        assert!(!old.exists() && !surplus.exists() && !abandoned.exists());
        assert!(recent.exists() && entry.exists());

        let surplus = make("v1/blob/sha512/aa/aa/2", 60, 3);
        assert_eq!(directory.trim(100, DAY * 30).unwrap(), 0);
        assert!(surplus.exists());
    }
}
