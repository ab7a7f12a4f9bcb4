//! Shims: links with a manager's name that lead to v4run, so that whoever calls `npm` calls v4run.
//!
//! A folder of them is made, removed and checked here (`folder`, `check`); [`called`] tells whether
//! this very start was by one, and [`Shim::run`] does what it stands for: an install runs confined as
//! under `v4run npm …`, and what runs code by design goes to the bare manager (`passthrough`) where
//! the folder's mode is `gate`. The mode is a line in the folder's marker file; a folder that others
//! can write, and a marker that cannot be read, count as `strict`. No variable changes the mode.
//!
//! It does not see what is not called by name through PATH: `python -m pip`, absolute paths, the
//! programs of an active environment.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::{Options, fail, places};
use crate::diag::ERROR;
use crate::manager;
use crate::manager::{Manager, Passing};
use crate::model::{Code, Finding};
use crate::profile::Policy;
use crate::sys;

pub mod check;
mod depth;
pub mod folder;
mod passthrough;
mod runner;

use folder::Mode;

/// A start by a shim.
#[derive(Debug)]
pub struct Shim {
    /// Name of the link.
    name: String,
    manager: &'static dyn Manager,
    /// Words that the name stands for.
    stands_for: &'static [&'static str],
    mode: Mode,
}

/// The shim that this program was started by, if it was. The path that the kernel executed decides;
/// the first argument is the caller's to choose.
pub fn called() -> Option<Shim> {
    let executed = PathBuf::from(sys::start::executed()?);
    let name = executed.file_name()?.to_str()?.to_owned();
    let (manager, stands_for) = manager::by_shim(&name)?;
    Some(Shim {
        mode: folder::mode_of(&executed),
        name,
        manager,
        stands_for,
    })
}

impl Shim {
    /// The manager that it stands for.
    pub fn manager(&self) -> &'static dyn Manager {
        self.manager
    }

    /// Does what the shim stands for. `options` are those of the environment, `words` the caller's.
    pub fn run(&self, options: Options, words: &[OsString]) -> u8 {
        if let Err(finding) = depth::guard(&self.name) {
            return fail(&finding);
        }
        let prefix = self.stands_for.iter().map(OsString::from);
        let arguments: Vec<OsString> = prefix.chain(words.iter().cloned()).collect();
        // A runner has no driver of its own name.
        let word = match self.stands_for {
            [] => OsString::from(&self.name),
            [..] => OsString::from(self.manager.name()),
        };
        let options = Options {
            record: options.record.map(|base| base.join(fresh())),
            word,
            arguments,
            ..options
        };
        match self.passing(&options.arguments, Path::new(super::SYSTEM_POLICY)) {
            Some(passing) => match passthrough::run(&options, &passing) {
                Ok(status) => status,
                Err(finding) => fail(&finding),
            },
            None => super::run(options),
        }
    }

    /// Whether this command goes to the bare manager. What the command line says decides, and who
    /// installed the shims; nothing that lies in the project.
    fn passing(&self, words: &[OsString], system: &Path) -> Option<Passing> {
        if self.mode == Mode::Strict || !self.stands_for.is_empty() {
            return None;
        }
        let passing = self.manager.passes(words)?;
        // A policy that cannot be read is told by the run that is confined instead.
        let policy = Policy::load(None, Path::new("/nonexistent"), system);
        let free = policy.is_ok_and(|policy| policy.hands_on());
        free.then_some(passing)
    }
}

/// A new name in a folder of records.
fn fresh() -> String {
    places::named(&uuid::Uuid::new_v4().simple().to_string())
}

/// What a usage error about shims is.
fn refused(what: &Path, message: &str, hint: &str) -> Finding {
    Finding::new(Code::Usage, what.display().to_string(), message).with_hint(hint)
}

/// Names of all shims of that mode, in the order of the managers.
pub fn names(mode: Mode) -> Vec<&'static str> {
    let all = manager::ALL.iter();
    all.flat_map(|manager| {
        let runners = manager.runners().iter().map(|(name, _)| *name);
        let runners = runners.filter(move |_| mode == Mode::Strict);
        manager.shims().iter().copied().chain(runners)
    })
    .collect()
}

/// Whether a path leads to this program or to another copy of it.
fn is_v4run(path: &Path) -> bool {
    path.canonicalize().is_ok_and(|real| {
        manager::is_self(&real) || sys::start::is_own_kind(&real).unwrap_or_default()
    })
}

/// The first executable file of that name in a list of directories, as execvp(3) looks for it.
fn first_in(path: &OsStr, name: &str) -> Option<PathBuf> {
    let mut candidates = std::env::split_paths(path).map(|folder| folder.join(name));
    candidates.find(|path| manager::is_program(path))
}

/// The exit status of a check that does not hold.
pub const UNCOVERED: u8 = ERROR;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_in_lockdown_hands_nothing_on() {
        let guard = tempfile::tempdir().unwrap();
        let policy = guard.path().join("policy.toml");
        let passes = |mode, words: &[&str]| {
            let (manager, stands_for) = manager::by_shim("npm").unwrap();
            let shim = Shim {
                name: "npm".to_owned(),
                manager,
                stands_for,
                mode,
            };
            let words: Vec<OsString> = words.iter().map(OsString::from).collect();
            shim.passing(&words, &policy).is_some()
        };
        assert!(passes(Mode::Gate, &["run", "x"]));
        assert!(!passes(Mode::Gate, &["ci"]));
        assert!(!passes(Mode::Strict, &["run", "x"]));
        for (text, free) in [
            ("level = \"L1\"\n", true),
            ("lockdown = false\n", true),
            ("lockdown = true\n", false),
            ("lockdown = true\npassthrough = true\n", true),
            ("lockdown = true\npassthrough = false\n", false),
            ("passthrough = false\n", false),
            ("lockdown = \n", false),
        ] {
            std::fs::write(&policy, text).unwrap();
            assert_eq!(passes(Mode::Gate, &["run", "x"]), free, "{text}");
        }
    }

    #[test]
    fn every_shim_has_a_manager_and_runners_are_strict_only() {
        for name in names(Mode::Strict) {
            assert!(manager::by_shim(name).is_some(), "{name}");
        }
        assert!(names(Mode::Strict).contains(&"npx") && !names(Mode::Gate).contains(&"npx"));
        assert!(manager::by_shim("v4run").is_none() && manager::by_shim("python").is_none());
        let (manager, words) = manager::by_shim("npx").unwrap();
        assert_eq!((manager.name(), words), ("npm", &["exec"][..]));
    }
}
