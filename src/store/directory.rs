//! The store in a directory, shared by any number of v4runs at once.
//!
//! An object is staged as a temporary file below `v1/tmp` and enters by one rename that fails when
//! the name exists (`RENAME_NOREPLACE`, else a hard link), so no reader ever sees half an object
//! and no writer replaces one. Objects are read-only for everybody. Nothing is flushed to disk:
//! blobs are hashed again whenever they are read, and a ledger entry lost in a power failure is
//! first seen once more. Under Landlock the rename needs `REFER` on the store's root.
//!
//! rename(2), link(2).

use std::fs::{self, DirBuilder, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

use super::{Put, Store, StoreError};

/// Where content is staged, below the root.
pub(super) const STAGING: &str = "v1/tmp";

/// Longest listing; more keys than that are not asked for by anybody.
const LISTING: usize = 1_000_000;

/// A store directory.
#[derive(Clone, Debug)]
pub struct Directory {
    root: PathBuf,
}

/// Content on its way into the store. Removed when it is dropped.
#[derive(Debug)]
pub struct Staged {
    file: NamedTempFile,
}

impl Directory {
    /// Opens the store, makes what is missing of it, and proves that it can be written.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let directory = Self {
            root: root.to_owned(),
        };
        directory.make(&directory.root.join(STAGING))?;
        drop(directory.stage()?);
        Ok(directory)
    }

    /// For somebody who only reads; nothing is made and nothing is proven.
    pub fn reading(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The root directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A new empty staged content.
    pub fn stage(&self) -> Result<Staged, StoreError> {
        let staging = self.root.join(STAGING);
        let make = || {
            Builder::new()
                .prefix("")
                .permissions(Permissions::from_mode(0o444))
                .tempfile_in(&staging)
        };
        let file = match make() {
            // Somebody tidied up while we run.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make(&staging)?;
                make()
            }
            other => other,
        };
        file.map(|file| Staged { file })
            .map_err(|source| StoreError::Io {
                path: staging.clone(),
                source,
            })
    }

    /// Removes an object that turned out to be corrupt.
    pub(super) fn remove(&self, key: &str) -> Result<(), StoreError> {
        let path = self.path(key)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::Io {
                path,
                source: error,
            }),
            _ => Ok(()),
        }
    }

    /// The file of a key. Keys are checked, so that nothing leads out of the root.
    pub(super) fn path(&self, key: &str) -> Result<PathBuf, StoreError> {
        let safe = |segment: &str| {
            !segment.is_empty()
                && !segment.starts_with('.')
                && segment
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
        };
        if key.split('/').all(safe) {
            Ok(self.root.join(key))
        } else {
            Err(StoreError::Key(key.to_owned()))
        }
    }

    fn make(&self, path: &Path) -> Result<(), StoreError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|source| StoreError::Io {
                path: path.to_owned(),
                source,
            })
    }
}

impl Staged {
    /// The staged file, for reading back.
    pub fn file(&self) -> &File {
        self.file.as_file()
    }
}

impl Write for Staged {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_file_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_file_mut().flush()
    }
}

impl Store for Directory {
    fn get(&self, key: &str) -> Result<Option<File>, StoreError> {
        let path = self.path(key)?;
        match File::open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::Io { path, source }),
        }
    }

    fn put_if_absent(&self, key: &str, content: Staged) -> Result<Put, StoreError> {
        let path = self.path(key)?;
        let persisted = match content.file.persist_noclobber(&path) {
            // Directories are made when the first object needs them: most puts find theirs.
            Err(failed) if failed.error.kind() == io::ErrorKind::NotFound => {
                if let Some(parent) = path.parent() {
                    self.make(parent)?;
                }
                failed.file.persist_noclobber(&path)
            }
            other => other,
        };
        match persisted {
            Ok(_file) => Ok(Put::Created),
            Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => Ok(Put::Existed),
            Err(failed) => Err(StoreError::Io {
                path,
                source: failed.error,
            }),
        }
    }

    fn head(&self, key: &str) -> Result<Option<u64>, StoreError> {
        let path = self.path(key)?;
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_file() => Ok(Some(found.len())),
            Ok(_other) => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::Io { path, source }),
        }
    }

    fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        let start = self.path(prefix)?;
        let mut keys = Vec::new();
        walk(&start, &mut |path, _metadata| {
            if let Some(key) = path.strip_prefix(&self.root).ok().and_then(Path::to_str) {
                keys.push(key.to_owned());
            }
            keys.len() < LISTING
        })?;
        keys.sort_unstable();
        Ok(keys)
    }
}

/// Visits the files below `start` until the visitor says `false`. Links are not followed; what
/// vanishes meanwhile is passed over.
pub(super) fn walk(
    start: &Path,
    visit: &mut dyn FnMut(&Path, &fs::Metadata) -> bool,
) -> Result<(), StoreError> {
    let mut pending = vec![start.to_owned()];
    while let Some(directory) = pending.pop() {
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(source) => {
                return Err(StoreError::Io {
                    path: directory,
                    source,
                });
            }
        };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            if metadata.is_dir() {
                pending.push(entry.path());
            } else if metadata.is_file() && !visit(&entry.path(), &metadata) {
                return Ok(());
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::thread;

    use super::*;

    fn text(directory: &Directory, key: &str) -> Option<String> {
        directory.get(key).unwrap().map(|mut file| {
            let mut text = String::new();
            file.read_to_string(&mut text).unwrap();
            text
        })
    }

    fn put(directory: &Directory, key: &str, content: &str) -> Put {
        let mut staged = directory.stage().unwrap();
        staged.write_all(content.as_bytes()).unwrap();
        directory.put_if_absent(key, staged).unwrap()
    }

    #[test]
    fn the_first_content_stays_and_is_read_only() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::open(root.path()).unwrap();
        assert_eq!(text(&directory, "v1/a/b"), None);
        assert_eq!(put(&directory, "v1/a/b", "first"), Put::Created);
        assert_eq!(put(&directory, "v1/a/b", "second"), Put::Existed);
        assert_eq!(text(&directory, "v1/a/b").unwrap(), "first");
        assert_eq!(directory.head("v1/a/b").unwrap(), Some(5));
        assert_eq!(directory.list("v1/a").unwrap(), ["v1/a/b"]);
        let mode = fs::metadata(root.path().join("v1/a/b"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o444);
        assert!(directory.list(STAGING).unwrap().is_empty());
    }

    #[test]
    fn of_many_writers_one_wins() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::open(root.path()).unwrap();
        let writers: Vec<_> = (0..8)
            .map(|number| {
                let directory = directory.clone();
                thread::spawn(move || put(&directory, "v1/x/y", &number.to_string()))
            })
            .collect();
        let created = writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .filter(|put| *put == Put::Created)
            .count();
        assert_eq!(created, 1);
    }

    #[test]
    fn keys_do_not_leave_the_root() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::open(root.path()).unwrap();
        for key in [
            "",
            "..",
            "v1/../x",
            "/etc/passwd",
            "v1//x",
            "v1/.x",
            "v1/a b",
            "v1/a\0",
        ] {
            assert!(
                matches!(directory.get(key), Err(StoreError::Key(_))),
                "{key:?}"
            );
        }
    }

    #[test]
    fn a_root_that_is_a_file_is_an_error_with_its_path() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Directory::open(file.path()).unwrap_err();
        assert!(
            error
                .to_string()
                .contains(&file.path().display().to_string()),
            "{error}"
        );
    }
}
