//! Package managers: argv, environment, paths, configuration, lockfile. One folder a manager.
//!
//! A driver reads trusted configuration and checks untrusted project files before the start, and
//! reads the installed tree back afterwards. It starts nothing and opens no connection.
//! Adding a manager: a folder here, a profile in `profiles/`, a line in [`ALL`].

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::model::{
    Code, Digest, Event, FileGuard, Finding, InstalledPackage, Launch, Network, Secret, Tool, Trust,
};
use crate::profile::{Pass, Policy};

mod bare;
mod build;
mod copy;
mod elf;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod mvn;
pub mod npm;
pub mod pip;
mod place;
mod python;
mod read;
mod rules;
mod toolchain;
pub mod uv;
mod version;

pub use bare::{bare, project_above};
pub use build::{BuildRequest, Builder, Built, Maker, Planned, Sources, Step, Wanted};
pub use elf::interpreter;
pub use place::{MARKER, is_program, is_self, others_write};

/// Where and as what a manager was called, before anything was read.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The manager as it was named on the command line.
    pub word: &'a OsStr,
    /// The caller's working directory.
    pub directory: &'a Path,
    /// The caller's environment.
    pub environment: &'a BTreeMap<OsString, OsString>,
    /// The caller's home directory, when there is one.
    pub home: Option<&'a Path>,
}

/// What the user of a run has to reach beside the project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Files and directories that must be readable; missing ones do not count.
    pub read: Vec<PathBuf>,
    /// Directories that must be writable, or the nearest existing ancestor.
    pub write: Vec<PathBuf>,
}

/// Everything a driver may look at.
#[derive(Debug)]
pub struct Request<'a> {
    /// The manager as it was named on the command line.
    pub word: &'a OsStr,
    /// Arguments after the manager's name.
    pub arguments: &'a [OsString],
    /// The caller's working directory, canonical.
    pub directory: PathBuf,
    /// The caller's environment.
    pub environment: &'a BTreeMap<OsString, OsString>,
    /// The caller's home directory, when there is one.
    pub home: Option<PathBuf>,
    /// Effective policy.
    pub policy: &'a Policy,
    /// Private directories of this run; they exist.
    pub private: &'a PrivateDirs,
    /// Loopback port that the manager is told as its proxy.
    pub proxy_port: u16,
    /// Token that the manager presents there.
    pub token: Secret,
    /// Whether the run only finds out what it would load as code; see [`Manager::rehearses`].
    pub rehearsal: bool,
    /// What is built before the install.
    pub sources: &'a Sources,
}

impl Request<'_> {
    /// The address of the run's proxy, with the token.
    fn proxy(&self) -> String {
        format!(
            "http://v4run:{}@127.0.0.1:{}",
            self.token.expose(),
            self.proxy_port
        )
    }
}

/// Directories that exist for this run only.
#[derive(Clone, Debug)]
pub struct PrivateDirs {
    /// HOME of the manager; writable.
    pub home: PathBuf,
    /// Cache of the manager; writable.
    pub cache: PathBuf,
    /// TMPDIR; writable.
    pub tmp: PathBuf,
    /// Generated configuration and the CA certificate; readable.
    pub config: PathBuf,
}

impl PrivateDirs {
    /// Where the run's CA certificate is written before the manager starts.
    pub fn certificate(&self) -> PathBuf {
        self.config.join("ca.pem")
    }
}

/// A result file that the manager makes in a private directory and that the session moves to its
/// place when the manager succeeded (`npm pack`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promotion {
    /// Private directory whose files are moved.
    pub from: PathBuf,
    /// Directory they are moved to.
    pub to: PathBuf,
}

/// A file or directory that must exist so that Landlock can grant it, made before the start and
/// removed afterwards if the manager left it as it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seed {
    /// A directory.
    Directory(PathBuf),
    /// A file with its first content.
    File(PathBuf, Vec<u8>),
}

/// A program that is asked something before the manager starts: confined as the manager will be,
/// without any network and before anything was fetched. Its standard output goes nowhere; it must
/// succeed.
#[derive(Debug)]
pub struct Query {
    /// How to start it.
    pub launch: Launch,
    /// How to judge files.
    pub files: FileGuard,
    /// What to do when it fails, if that is known.
    pub hint: Option<&'static str>,
}

/// A run that may start.
#[derive(Debug)]
pub struct Prepared {
    /// What is asked before, in this order.
    pub queries: Vec<Query>,
    /// How to start it.
    pub launch: Launch,
    /// How to judge files.
    pub files: FileGuard,
    /// What the proxy may do.
    pub network: Network,
    /// Manager and runtime; their digests are taken while the run is going on.
    pub tools: Vec<Tool>,
    /// Inputs read, suppressed scripts known before the start, ignored configuration.
    pub events: Vec<Event>,
    /// Files to make before the start.
    pub seeds: Vec<Seed>,
    /// Files to move after success.
    pub promotions: Vec<Promotion>,
    /// Name and version of the project, for the record.
    pub project: Project,
    /// Whether the command changes an install tree that is to be inspected afterwards.
    pub installs: bool,
    /// Whether the lockfile on disk, after a run that succeeded, speaks of that tree.
    pub locked: bool,
    /// What the driver wants to know again in [`Manager::inspect`]; its own text.
    pub notes: BTreeMap<String, String>,
}

/// The project that is installed into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Project {
    /// Root directory.
    pub root: PathBuf,
    /// Name, if it states one.
    pub name: Option<String>,
    /// Version, if it states one.
    pub version: Option<String>,
}

/// Why a run may not start. Never empty; the worst severity decides the exit status.
#[derive(Debug)]
pub struct Refusal {
    /// What was found.
    pub findings: Vec<Finding>,
    /// Inputs read so far, for the record.
    pub events: Vec<Event>,
}

impl From<Finding> for Refusal {
    fn from(finding: Finding) -> Self {
        Self {
            findings: vec![finding],
            events: Vec::new(),
        }
    }
}

/// The install as it stands after the run.
#[derive(Debug, Default)]
pub struct Installed {
    /// Every package on disk below the install tree, in path order.
    pub packages: Vec<InstalledPackage>,
    /// Install paths that the project itself depends on.
    pub direct: Vec<String>,
    /// Differences between the manager's own record, the disk and the plan.
    pub findings: Vec<Finding>,
    /// Whether the manager fetches artifacts to choose among them and its own record, which was
    /// read, says which it took: then one that was fetched need not be installed.
    pub chooses: bool,
}

/// A file of a place that outlives a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptFile {
    /// Its path.
    pub path: PathBuf,
    /// What was verified of it in this run, if anything was.
    pub digest: Option<Digest>,
}

/// A verified artifact file that the manager opens, of a run that does not trust all of them.
#[derive(Debug)]
pub struct Opened<'a> {
    /// Canonical path of the file.
    pub path: &'a Path,
    /// SHA-256 of the content.
    pub sha256: &'a Digest,
    /// A private copy of the content.
    pub content: &'a File,
    /// What the run trusts.
    pub trust: &'a Trust,
    /// Whether the run made the file itself, so that nothing verified it.
    pub own: bool,
}

/// What the manager gets when it opens a verified artifact file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HandOut {
    /// The file as it is, because it holds no code.
    Whole,
    /// The file as it is, because its bytes are trusted: for that reason.
    Trusted(String),
    /// A view of it without code.
    View(Vec<u8>),
    /// Nothing, for that reason.
    Refused(Box<Finding>),
}

/// A command that runs code by design, or does something else that is no install. Through a shim it
/// may go to the bare manager, because v4run would refuse it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passing {
    /// The command: `npm run`.
    pub subject: String,
    /// Why it is none of v4run's.
    pub why: String,
}

impl Passing {
    /// That a rule of a manager's profile lets a subcommand pass.
    fn by(manager: &dyn Manager, subcommand: &str, rule: &Pass) -> Self {
        Self {
            subject: format!("{} {subcommand}", manager.name()),
            why: rule.why.clone(),
        }
    }
}

/// A program beside a manager that fetches a package and runs it in one step, and what it stands for.
pub type Runner = (&'static str, &'static [&'static str]);

/// A package manager's driver.
pub trait Manager: std::fmt::Debug + Sync {
    /// Its name: key of profile and policy, and a word on the command line.
    fn name(&self) -> &'static str;

    /// Whether it is meant by that word of the command line.
    fn answers_to(&self, word: &OsStr) -> bool {
        word == self.name()
    }

    /// Names that its shims have.
    fn shims(&self) -> &'static [&'static str];

    /// Programs beside it that fetch and run in one step; only a strict shim has their names.
    fn runners(&self) -> &'static [Runner] {
        &[]
    }

    /// Ways to start it that no shim of it sees.
    fn unseen(&self) -> &'static [&'static str] {
        &[]
    }

    /// Files that make a directory a project of it.
    fn manifests(&self) -> &'static [&'static str];

    /// Whether a command line may go to the bare manager through a shim. Decided by its words alone;
    /// what is unknown, of more than one reading, or installs anything does not pass.
    fn passes(&self, _words: &[OsString]) -> Option<Passing> {
        None
    }

    /// Its programs where it is installed like a package: the next run would start them, so that no
    /// package but the one of its name may bring them.
    fn programs(&self) -> &'static [&'static str] {
        &[]
    }

    /// What a run reads and writes outside the project, so that root becomes the project's owner
    /// only where the owner can reach it.
    fn reach(&self, _call: &Call<'_>) -> Reach {
        Reach::default()
    }

    /// The manager's profile, TOML, as embedded from `profiles/`.
    fn profile(&self) -> &'static str;

    /// Checks everything that can be checked and makes the plan.
    fn prepare(&self, request: &Request<'_>) -> Result<Prepared, Refusal>;

    /// Reads the install tree back. `before` is what [`Manager::snapshot`] gave.
    fn inspect(&self, prepared: &Prepared, before: &Snapshot) -> Installed;

    /// What is installed before the start, so that packages left alone can be told from new ones.
    fn snapshot(&self, prepared: &Prepared) -> Snapshot;

    /// What a run used of a place that it shares with other runs, for a manager without an install
    /// tree of the project. `notes` are those of [`Prepared`].
    fn used(&self, _notes: &BTreeMap<String, String>, _events: &[Event]) -> Vec<InstalledPackage> {
        Vec::new()
    }

    /// The files of places that outlive a run which this run had to do with. `notes` are those of
    /// [`Prepared`].
    fn kept(&self, _notes: &BTreeMap<String, String>, _events: &[Event]) -> Vec<KeptFile> {
        Vec::new()
    }

    /// Puts in order what the manager left and could not make as it should be, because it saw less than
    /// there is. Called after a run that succeeded, when nothing of it is left.
    fn deliver(&self, _prepared: &Prepared, _events: &[Event]) -> Vec<Event> {
        Vec::new()
    }

    /// Whether a file of such a place was fetched from a repository, so that it can be fetched again.
    fn came_from_repository(&self, _path: &Path) -> bool {
        false
    }

    /// A lockfile that states what a run installed, for a manager that does not write one itself.
    fn lock(&self, _events: &[Event]) -> Result<String, Finding> {
        let name = self.name();
        let message = format!("no lock: {name} writes a lockfile of its own");
        Err(Finding::new(Code::Usage, name, message))
    }

    /// What an opened, verified artifact looks like to the manager, in a run with [`Trust`].
    fn hand_out(&self, _opened: &Opened<'_>) -> io::Result<HandOut> {
        Err(io::Error::from(io::ErrorKind::Unsupported))
    }

    /// Whether the manager can go through a run without running anything that it downloads, and tell
    /// what it would run.
    fn rehearses(&self) -> bool {
        false
    }

    /// What a rehearsal found, as text for the policy.
    fn rehearsed(&self, _prepared: &Prepared, _events: &[Event]) -> Result<String, Finding> {
        let name = self.name();
        let message = format!("no rehearsal: {name} runs nothing that it downloads");
        Err(Finding::new(Code::Usage, name, message))
    }

    /// How components of an install are built, where they can be.
    fn builder(&self) -> Option<&dyn Builder> {
        None
    }

    /// How sources are built before an install, where they can be.
    fn maker(&self) -> Option<&dyn Maker> {
        None
    }

    /// The run's certificate in another form than PEM, where the manager reads none: name of a file
    /// in the private configuration directory, and its content.
    fn authority(&self, _certificate: &str) -> Result<Option<(&'static str, Vec<u8>)>, Finding> {
        Ok(None)
    }
}

/// Install paths with what identifies what is there; the driver's own text.
pub type Snapshot = BTreeMap<String, Option<String>>;

/// All managers.
pub const ALL: &[&dyn Manager] = &[&npm::Npm, &pip::Pip, &uv::Uv, &mvn::Mvn];

/// The manager of that name.
pub fn by_name(name: &str) -> Option<&'static dyn Manager> {
    ALL.iter().copied().find(|manager| manager.name() == name)
}

/// The manager that a word of the command line means.
pub fn by_word(word: &OsStr) -> Option<&'static dyn Manager> {
    ALL.iter().copied().find(|manager| manager.answers_to(word))
}

/// The manager that a shim of that name stands for, and the words that it puts before the caller's.
pub fn by_shim(name: &str) -> Option<(&'static dyn Manager, &'static [&'static str])> {
    ALL.iter().find_map(|manager| {
        if manager.shims().contains(&name) {
            return Some((*manager, &[][..]));
        }
        let mut runners = manager.runners().iter();
        let found = runners.find(|(runner, _)| *runner == name)?;
        Some((*manager, found.1))
    })
}
