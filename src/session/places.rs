//! Where a run keeps its things: record, store, private directories.
//!
//! Private directories live below the store's root, on the same file system, one folder a run, held
//! by a lock. What a killed run left is removed by a later one.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::dir::{Dir, Type};
use nix::fcntl::{Flock, FlockArg, OFlag, renameat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use crate::manager::PrivateDirs;
use crate::model::{Code, Finding};

/// Name of the file in a run's folder that is locked while the run lasts.
const LOCK: &str = "lock";

/// Environment of the caller.
pub(super) type Environment = BTreeMap<OsString, OsString>;

/// The directory that v4run was started in.
pub(super) fn working_directory() -> Result<PathBuf, Finding> {
    std::env::current_dir()
        .map_err(|error| Finding::new(Code::Usage, ".", format!("no working directory: {error}")))
}

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
    Ok(folder_of_records(environment)?.join(named(run)))
}

/// Where all records go by default.
pub(super) fn folder_of_records(environment: &Environment) -> Result<PathBuf, Finding> {
    let base = xdg(environment, "XDG_STATE_HOME", ".local/state").ok_or_else(|| {
        Finding::new(
            Code::RecordFailed,
            "HOME",
            "no place for the record: HOME is not set",
        )
        .with_hint("name one with --record DIR, V4RUN_RECORD or XDG_STATE_HOME")
    })?;
    Ok(base.join(RECORDS))
}

/// Name of the folder of all records, in the place for state.
const RECORDS: &str = "records";

/// The same for this process, if it is known.
pub fn records() -> Option<PathBuf> {
    folder_of_records(&std::env::vars_os().collect()).ok()
}

/// The name of a run's record in a folder of records.
pub(super) fn named(run: &str) -> String {
    // Names sort by time; colons are no good in file names.
    let now = humantime::format_rfc3339_seconds(SystemTime::now())
        .to_string()
        .replace(':', "");
    let short: String = run.chars().take(8).collect();
    format!("{now}-{short}")
}

/// Where probes of repositories are kept, if there is a place for state at all.
pub(super) fn probes(environment: &Environment) -> Option<PathBuf> {
    xdg(environment, "XDG_STATE_HOME", ".local/state").map(|base| base.join("probes"))
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
        let lock = File::create(root.join(LOCK))?;
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
        let _ = remove(&self.root);
        sweep(self.root.parent());
    }
}

/// Age after which a folder without a lock is nobody's.
const ABANDONED: Duration = Duration::from_secs(3600);

/// Removes the folders of runs that are no more.
fn sweep(runs: Option<&Path>) {
    let entries = runs.and_then(|runs| std::fs::read_dir(runs).ok());
    for entry in entries.into_iter().flatten().flatten() {
        let path = entry.path();
        let dead = match File::open(path.join(LOCK)) {
            Ok(lock) => Flock::lock(lock, FlockArg::LockExclusiveNonblock).is_ok(),
            // Being made or removed, or left by a removal that was cut short.
            Err(_) => entry
                .metadata()
                .and_then(|metadata| metadata.modified())
                .is_ok_and(|at| at.elapsed().is_ok_and(|age| age > ABANDONED)),
        };
        if dead {
            let _ = remove(&path);
        }
    }
}

/// Removes a folder however deep it is, with three descriptors and no recursion: what lies in a
/// subfolder is first moved to the top. The lock goes last.
fn remove(root: &Path) -> io::Result<()> {
    let open = |name: &Path| {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        Dir::open(&root.join(name), flags, Mode::empty()).map_err(io::Error::from)
    };
    let top = open(Path::new(""))?;
    let mut folders: Vec<OsString> = Vec::new();
    let mut moved = 0_u64;
    let mut current: Option<OsString> = None;
    loop {
        let mut here = open(Path::new(current.as_deref().unwrap_or_default()))?;
        let names: Vec<(OsString, bool)> = here
            .iter()
            .flatten()
            .map(|entry| {
                let name = OsStr::from_bytes(entry.file_name().to_bytes()).to_owned();
                (name, entry.file_type() == Some(Type::Directory))
            })
            .filter(|(name, _)| name != "." && name != ".." && (current.is_some() || name != LOCK))
            .collect();
        for (name, folder) in names {
            if !folder {
                unlinkat(&here, name.as_os_str(), UnlinkatFlags::NoRemoveDir)?;
            } else if current.is_none() {
                folders.push(name);
            } else {
                moved += 1;
                let place = OsString::from(format!(".removing-{moved}"));
                renameat(&here, name.as_os_str(), &top, place.as_os_str())?;
                folders.push(place);
            }
        }
        if let Some(done) = current.take() {
            unlinkat(&top, done.as_os_str(), UnlinkatFlags::RemoveDir)?;
        }
        match folders.pop() {
            Some(next) => current = Some(next),
            None => break,
        }
    }
    let _ = std::fs::remove_file(root.join(LOCK));
    std::fs::remove_dir(root)
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
    fn a_folder_is_removed_however_deep_it_is() {
        let root = tempfile::tempdir().unwrap();
        let run = root.path().join("run");
        std::fs::create_dir(&run).unwrap();
        std::fs::write(run.join(LOCK), "").unwrap();
        // Deeper than a path can name: built from the inside out.
        let inner = root.path().join("inner");
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(inner.join("file"), "").unwrap();
        for _ in 0..5000 {
            let outer = root.path().join("outer");
            std::fs::create_dir(&outer).unwrap();
            std::os::unix::fs::symlink("/", outer.join("link")).unwrap();
            std::fs::rename(&inner, outer.join("d")).unwrap();
            std::fs::rename(&outer, &inner).unwrap();
        }
        std::fs::rename(&inner, run.join("deep")).unwrap();
        remove(&run).unwrap();
        assert!(!run.exists());
    }

    #[test]
    fn without_home_the_message_says_what_to_set() {
        let finding = record(&Environment::new(), "x").unwrap_err();
        assert_eq!(finding.code, Code::RecordFailed);
        assert!(finding.hint.unwrap().contains("--record"));
    }
}
