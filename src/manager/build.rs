//! Code that components of an install want to run once: the part of it that only their manager knows.
//!
//! A driver says what wants to run, whether a folder is what its artifact holds, and how a script is started.
//! Who may run, in which sandbox and within which limits is not its to say. It starts nothing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::{Prepared, PrivateDirs, Refusal, Request};
use crate::model::{Digest, FileGuard, Finding, Integrity, Launch, Script};
use crate::profile::Policy;
use crate::profile::build::Build;

/// Where and for whom is built.
#[derive(Clone, Copy, Debug)]
pub struct BuildRequest<'a> {
    /// The caller's working directory, canonical.
    pub directory: &'a Path,
    /// The caller's environment.
    pub environment: &'a BTreeMap<OsString, OsString>,
    /// The caller's home directory, when there is one.
    pub home: Option<&'a Path>,
    /// Effective policy.
    pub policy: &'a Policy,
}

/// An installed component that wants to run code once.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Package URL.
    pub purl: String,
    /// Name in the ecosystem's own form.
    pub name: String,
    /// Version.
    pub version: String,
    /// Install path relative to the project, with `/`.
    pub path: String,
    /// Its folder, canonical.
    pub folder: PathBuf,
    /// The digest of the artifact that the lockfile, or the manager's own record, states.
    pub integrity: Option<Integrity>,
    /// What it wants to run, in that order.
    pub scripts: Vec<Script>,
    /// Folders below its own that belong to other components.
    pub others: Vec<PathBuf>,
    /// What a toolchain for it would be on this machine: a proposal, for a person to judge.
    pub toolchain: Vec<String>,
    /// Code of it that a person should read before approving, with its name, where it is short.
    pub text: Option<(String, String)>,
    /// Whether it is the project itself, for which the command line answers.
    pub own: bool,
}

/// An approved script that is about to be started.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// The component.
    pub wanted: &'a Wanted,
    /// Which of its scripts.
    pub script: &'a Script,
    /// The approval.
    pub build: &'a Build,
    /// Private directories of this build; they exist.
    pub private: &'a PrivateDirs,
}

/// How a script is started.
#[derive(Debug)]
pub struct Planned {
    /// The plan.
    pub launch: Launch,
    /// How files are judged.
    pub files: FileGuard,
    /// The directories of the toolchain, canonical.
    pub toolchain: Vec<PathBuf>,
}

/// A manager whose components can be built.
pub trait Builder: std::fmt::Debug + Sync {
    /// The root of the project.
    fn root(&self, request: &BuildRequest<'_>) -> Result<PathBuf, Finding>;

    /// What wants to run code, dependencies before those that need them.
    fn wanted(&self, request: &BuildRequest<'_>) -> Result<Vec<Wanted>, Finding>;

    /// The project itself, where it has code of its own that an install would run.
    fn own(&self, request: &BuildRequest<'_>) -> Result<Option<Wanted>, Finding>;

    /// Whether the component's folder holds what the artifact holds, and nothing else.
    fn compare(&self, wanted: &Wanted, artifact: &mut dyn Read) -> Result<(), Finding>;

    /// The plan for one script.
    fn plan(&self, request: &BuildRequest<'_>, step: &Step<'_>) -> Result<Planned, Finding>;
}

/// A manager that installs from source: that is built first, and what comes of it is installed like
/// anything else.
pub trait Maker: std::fmt::Debug + Sync {
    /// The plan of a run that fetches to `into` what the command would install from source, and runs
    /// nothing of it. `None` for a command that installs nothing.
    fn fetch(&self, request: &Request<'_>, into: &Path) -> Result<Option<Prepared>, Refusal>;

    /// What was fetched there, unpacked, and the project itself where the command names it.
    fn wanted(&self, request: &Request<'_>, into: &Path) -> Result<Vec<Wanted>, Finding>;

    /// The plan of a run that installs to `into` what a build requires. `None` where that is nothing.
    fn require(
        &self,
        request: &Request<'_>,
        wanted: &Wanted,
        build: &Build,
        into: &Path,
    ) -> Result<Option<Prepared>, Refusal>;

    /// The plan of the build.
    fn plan(
        &self,
        request: &Request<'_>,
        step: &Step<'_>,
        requires: &Path,
    ) -> Result<Planned, Finding>;

    /// What the build made, moved to `to`.
    fn made(&self, step: &Step<'_>, to: &Path) -> Result<Built, Finding>;
}

/// What a command may build before it installs, and what has been built.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// Whether the project itself may be built.
    pub own: bool,
    /// What was built: the command installs it in the place of the source.
    pub built: Vec<Built>,
}

/// Something installable that was built from source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Built {
    /// Name in the ecosystem's own form.
    pub name: String,
    /// Version.
    pub version: String,
    /// The file.
    pub file: PathBuf,
    /// Its SHA-256.
    pub digest: Digest,
    /// Its size.
    pub size: u64,
    /// The project's directory, where it was built from that.
    pub folder: Option<PathBuf>,
}
