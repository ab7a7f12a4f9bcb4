//! Where a run keeps its things: record, store, private directories.
//!
//! Private directories live below the store's root, on the same file system, one folder a run, held
//! by a lock. What a killed run left is removed by a later one.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::fcntl::{Flock, FlockArg};

use crate::manager::PrivateDirs;
use crate::model::{Code, Finding};

/// Environment of the caller.
pub(super) type Environment = BTreeMap<OsString, OsString>;

/// A variable that is set and not empty.
pub(super) fn variable<'a>(environment: &'a Environment, name: &str) -> Option<&'a OsStr> {
    environment
        .get(OsStr::new(name))
        .map(OsString::as_os_str)
        .filter(|value| !value.is_empty())
}

/// HOME, if it is set.
pub(super) fn home(environment: &Environment) -> Option<PathBuf> {
    variable(environment, "HOME").map(PathBuf::from)
}

fn xdg(environment: &Environment, name: &str, below_home: &str) -> Option<PathBuf> {
    variable(environment, name)
        .map(PathBuf::from)
        // The specification has relative values ignored.
        .filter(|path| path.is_absolute())
        .or_else(|| Some(home(environment)?.join(below_home)))
        .map(|base| base.join("v4run"))
}

/// Where this run's record goes by default.
pub(super) fn record(environment: &Environment, run: &str) -> Result<PathBuf, Finding> {
    let base = xdg(environment, "XDG_STATE_HOME", ".local/state").ok_or_else(|| {
        Finding::new(
            Code::RecordFailed,
            "HOME",
            "no place for the record: HOME is not set",
        )
        .with_hint("name one with --record DIR or XDG_STATE_HOME")
    })?;
    // Names sort by time; colons are no good in file names.
    let now = humantime::format_rfc3339_seconds(SystemTime::now())
        .to_string()
        .replace(':', "");
    let short: String = run.chars().take(8).collect();
    Ok(base.join("records").join(format!("{now}-{short}")))
}

/// Root of the store.
pub(super) fn store(environment: &Environment, policy: Option<&Path>) -> Result<PathBuf, Finding> {
    if let Some(path) = policy {
        return Ok(path.to_owned());
    }
    xdg(environment, "XDG_CACHE_HOME", ".cache").ok_or_else(|| {
        Finding::new(
            Code::StoreFailed,
            "HOME",
            "no place for the store: HOME is not set",
        )
        .with_hint("name one with XDG_CACHE_HOME")
    })
}

/// The private directories of one run. Removed when dropped.
#[derive(Debug)]
pub(super) struct RunDirs {
    root: PathBuf,
    /// Directories for the driver.
    pub(super) private: PrivateDirs,
    /// Held while the run lasts, so that others leave the folder alone.
    _lock: Flock<File>,
}

impl RunDirs {
    /// Makes them below `store`.
    pub(super) fn create(store: &Path, run: &str) -> Result<Self, Finding> {
        Self::make(store, run).map_err(|error| {
            let shown = store.display().to_string();
            Finding::new(
                Code::StoreFailed,
                &shown,
                format!("cannot make the run's private directories below `{shown}`: {error}"),
            )
            .with_hint("name a writable place with XDG_CACHE_HOME")
        })
    }

    fn make(store: &Path, run: &str) -> io::Result<Self> {
        let root = store.join("run").join(run);
        let mut directory = DirBuilder::new();
        directory.recursive(true).mode(0o700).create(&root)?;
        let root = root.canonicalize()?;
        let lock = File::create(root.join("lock"))?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock)
            .map_err(|(_file, errno)| io::Error::from(errno))?;
        let make = |name: &str| {
            let path = root.join(name);
            directory.create(&path)?;
            Ok::<_, io::Error>(path)
        };
        let private = PrivateDirs {
            home: make("home")?,
            cache: make("cache")?,
            tmp: make("tmp")?,
            config: make("config")?,
        };
        Ok(Self {
            root,
            private,
            _lock: lock,
        })
    }
}

impl Drop for RunDirs {
    fn drop(&mut self) {
        // What cannot be removed now is removed by a later run.
        let _ = std::fs::remove_dir_all(&self.root);
        sweep(self.root.parent());
    }
}

/// Removes the folders of runs that are no more.
fn sweep(runs: Option<&Path>) {
    let entries = runs
        .and_then(|runs| std::fs::read_dir(runs).ok())
        .into_iter()
        .flatten();
    for entry in entries.flatten() {
        let path = entry.path();
        // A folder without a lock file is one that is being made or removed.
        let Ok(lock) = File::open(path.join("lock")) else {
            continue;
        };
        if Flock::lock(lock, FlockArg::LockExclusiveNonblock).is_ok() {
            let _ = std::fs::remove_dir_all(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_run_is_swept_and_a_living_one_is_not() {
        let store = tempfile::tempdir().unwrap();
        let dead = store.path().join("run/dead");
        std::fs::create_dir_all(dead.join("cache/x")).unwrap();
        std::fs::write(dead.join("lock"), "").unwrap();
        let living = RunDirs::create(store.path(), "living").unwrap();
        drop(RunDirs::create(store.path(), "ending").unwrap());
        assert!(!dead.exists());
        assert!(living.private.cache.exists());
        assert!(!store.path().join("run/ending").exists());
    }

    #[test]
    fn without_home_the_message_says_what_to_set() {
        let finding = record(&Environment::new(), "x").unwrap_err();
        assert_eq!(finding.code, Code::RecordFailed);
        assert!(finding.hint.unwrap().contains("--record"));
    }
}
