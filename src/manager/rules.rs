//! Landlock rules of a run, built from nothing; shared by the drivers.
//!
//! A driver says what its manager reads, runs and writes; here that becomes rules and the roots that
//! code may be mapped from. Those roots are kept narrow, so that none of them contains a place that
//! the run writes to, nor lies in one. It knows no manager and opens nothing but the profile's paths.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::elf::Needs;
use super::{PrivateDirs, Seed};
use crate::model::{Access, PathRule};
use crate::profile::{PathAccess, Profile};

/// Where a run may write outside its private directories.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Writes {
    /// Directories, with what they are for.
    pub(super) directories: Vec<(PathBuf, &'static str)>,
    /// Files, with the content that they are made with when they do not exist.
    pub(super) files: Vec<(PathBuf, Option<Vec<u8>>)>,
}

impl Writes {
    /// What has to be made before the start.
    pub(super) fn seeds(&self) -> Vec<Seed> {
        let directories = self
            .directories
            .iter()
            .map(|(path, _)| Seed::Directory(path.clone()));
        let files = self.files.iter().filter_map(|(path, content)| {
            content
                .as_ref()
                .map(|content| Seed::File(path.clone(), content.clone()))
        });
        let all = directories.chain(files);
        all.filter(|seed| match seed {
            Seed::Directory(path) | Seed::File(path, _) => !path.exists(),
        })
        .collect()
    }
}

/// What the rules are made from.
#[derive(Debug)]
pub(super) struct Grounds<'a> {
    pub(super) profile: &'a Profile,
    pub(super) private: &'a PrivateDirs,
    /// The manager's name, for reasons.
    pub(super) manager: &'static str,
    /// The program that is started, with the reason.
    pub(super) program: (&'a Path, &'static str),
    /// What it needs to start.
    pub(super) needs: &'a Needs,
    /// What belongs to the manager and its runtime: read, and code may be mapped from there where
    /// the run does not write.
    pub(super) runtime: Vec<(PathBuf, &'static str)>,
    /// What else may be read.
    pub(super) readable: Vec<(PathBuf, &'static str)>,
    /// The project; no code is mapped from it, nor from a directory that holds it.
    pub(super) project: Option<&'a Path>,
    /// Whether the project is the user's own place ([`is_broad`]), so that the runtime may lie in it.
    pub(super) broad: bool,
    pub(super) writes: &'a Writes,
}

/// Whether a project is the home directory or holds it, so that it is the user's own place.
pub(super) fn is_broad(project: &Path, home: Option<&Path>, private: &PrivateDirs) -> bool {
    let holds = |path: &Path| path.starts_with(project);
    home.is_some_and(holds) || holds(&private.home)
}

impl Grounds<'_> {
    /// Landlock rules and the roots that code may be mapped from.
    pub(super) fn rules(&self) -> (Vec<PathRule>, Vec<OsString>) {
        let mut rules = Vec::new();
        let mut roots = BTreeSet::new();
        let mut grant = |path: &Path, access: Access, why: &str| {
            let rule = PathRule {
                path: path.as_os_str().to_owned(),
                access,
                why: why.to_owned(),
            };
            if !rules.contains(&rule) {
                rules.push(rule);
            }
        };
        let (program, why) = self.program;
        grant(program, Access::Execute, why);
        if let Some(loader) = &self.needs.interpreter {
            grant(loader, Access::Execute, "the program loader starts it");
            roots.insert(loader.clone());
        }
        roots.insert(program.to_path_buf());
        for library in &self.needs.libraries {
            // A directory of libraries also holds what they load later (name service, character
            // sets); where it is a place that the run writes to, only the library itself counts.
            let directory = library
                .parent()
                .filter(|directory| self.is_quiet(directory));
            let root = directory.unwrap_or(library);
            grant(root, Access::Read, "libraries of the runtime");
            roots.insert(root.to_path_buf());
        }
        for (path, why) in &self.runtime {
            grant(path, Access::Read, why);
            if self.is_quiet(path) {
                roots.insert(path.clone());
            }
        }
        for entry in &self.profile.paths {
            for path in entry
                .paths
                .iter()
                .filter_map(|path| Path::new(path).canonicalize().ok())
            {
                let access = match entry.access {
                    PathAccess::Read | PathAccess::Runtime => Access::Read,
                    PathAccess::Device => Access::Device,
                };
                if entry.access == PathAccess::Runtime && self.is_quiet(&path) {
                    roots.insert(path.clone());
                }
                grant(&path, access, &entry.why);
            }
        }
        for (path, why) in &self.readable {
            grant(path, Access::Read, why);
        }
        for (path, why) in [
            (&self.private.home, "home directory of this run"),
            (&self.private.cache, "the manager's cache of this run"),
            (&self.private.tmp, "temporary files of this run"),
        ] {
            grant(path, Access::Write, why);
        }
        let why = format!("configuration that {} is shown", self.manager);
        grant(&self.private.config, Access::Read, &why);
        for (path, why) in &self.writes.directories {
            grant(path, Access::Write, why);
        }
        let why = format!("{} writes its results into it", self.manager);
        for (path, _) in &self.writes.files {
            grant(path, Access::WriteFile, &why);
        }
        (rules, narrowed(roots))
    }

    /// Whether a path lies apart from all that the run writes and from the project.
    fn is_quiet(&self, path: &Path) -> bool {
        let private = [&self.private.home, &self.private.cache, &self.private.tmp];
        let written = self.writes.directories.iter().map(|(path, _)| path);
        let written = written
            .chain(self.writes.files.iter().map(|(path, _)| path))
            .chain(private);
        let project = self.project.filter(|_| !self.broad);
        let mut all = written.map(PathBuf::as_path).chain(project);
        let holds = |other: &Path| other.starts_with(path);
        path.parent().is_some()
            && !holds(&self.private.config)
            && !self.project.is_some_and(holds)
            && all.all(|other| !holds(other) && !path.starts_with(other))
    }
}

/// Without roots that lie below another one.
fn narrowed(roots: BTreeSet<PathBuf>) -> Vec<OsString> {
    let mut kept: Vec<PathBuf> = Vec::new();
    for root in roots {
        if !kept.iter().any(|known| root.starts_with(known)) {
            kept.push(root);
        }
    }
    kept.into_iter().map(PathBuf::into_os_string).collect()
}
