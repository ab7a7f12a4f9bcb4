//! The launch of npm: command line, environment, Landlock rules, seeds, file judgement.
//!
//! Everything is built from nothing. npm gets its own runtime to read, the project to read, what
//! the subcommand changes to write, and private directories. Roots that code may be mapped from are
//! kept narrow, so that none of them contains a place that the run writes to.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::find::Runtime;
use crate::manager::{PrivateDirs, Seed};
use crate::model::{Access, PathRule};
use crate::profile::{PathAccess, Profile};

/// Where the run may write in the project or the global tree.
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
    /// npm and node as they are run: installed ones or private copies.
    pub(super) runtime: &'a Runtime,
    pub(super) private: &'a PrivateDirs,
    /// The project, unless the run is about the global tree.
    pub(super) project: Option<&'a Path>,
    /// The global tree, when the run is about it.
    pub(super) global: Option<&'a Path>,
    /// The caller's home directory.
    pub(super) home: Option<&'a Path>,
    /// Workspaces.
    pub(super) workspaces: &'a [PathBuf],
    pub(super) writes: &'a Writes,
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
        grant(&self.runtime.node, Access::Execute, "node runs npm");
        if let Some(loader) = &self.runtime.needs.interpreter {
            grant(loader, Access::Execute, "the program loader starts node");
            roots.insert(loader.clone());
        }
        roots.insert(self.runtime.node.clone());
        for library in &self.runtime.needs.libraries {
            // A directory of libraries also holds what they load later (name service, character
            // sets); where it is a place that the run writes to, only the library itself counts.
            let directory = library
                .parent()
                .filter(|directory| self.is_quiet(directory));
            let root = directory.unwrap_or(library);
            grant(root, Access::Read, "libraries of node");
            roots.insert(root.to_path_buf());
        }
        grant(&self.runtime.npm, Access::Read, "npm itself");
        if self.is_quiet(&self.runtime.npm) {
            roots.insert(self.runtime.npm.to_path_buf());
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
        for (path, why) in self.readable() {
            grant(&path, Access::Read, why);
        }
        for (path, why) in [
            (&self.private.home, "home directory of this run"),
            (&self.private.cache, "npm's cache of this run"),
            (&self.private.tmp, "temporary files of this run"),
        ] {
            grant(path, Access::Write, why);
        }
        grant(
            &self.private.config,
            Access::Read,
            "configuration that npm is shown",
        );
        for (path, why) in &self.writes.directories {
            grant(path, Access::Write, why);
        }
        for (path, _) in &self.writes.files {
            grant(
                path,
                Access::WriteFile,
                "npm writes what it installed into it",
            );
        }
        (rules, narrowed(roots))
    }

    /// What of the project may be read. Where the project is the home directory, or holds it, only
    /// the parts that npm needs: the rest is the user's.
    fn readable(&self) -> Vec<(PathBuf, &'static str)> {
        let Some(project) = self.project else {
            let tree = self.global.filter(|tree| tree.is_dir());
            return tree
                .map(|tree| (tree.to_path_buf(), "global packages"))
                .into_iter()
                .collect();
        };
        if !self.is_broad(project) {
            return vec![(project.to_path_buf(), "the project")];
        }
        let names = [
            "package.json",
            "package-lock.json",
            "npm-shrinkwrap.json",
            "yarn.lock",
            ".npmrc",
            "node_modules",
        ];
        let files = names
            .iter()
            .map(|name| project.join(name))
            .filter(|path| path.exists());
        let places = files.chain(self.workspaces.iter().cloned());
        places
            .map(|path| (path, "a part of the project that npm reads"))
            .collect()
    }

    /// Whether the project is the home directory or holds it, so that it is the user's own place.
    fn is_broad(&self, project: &Path) -> bool {
        let holds = |path: &Path| path.starts_with(project);
        self.home.is_some_and(holds) || holds(&self.private.home)
    }

    /// Whether a path lies apart from all that the run writes and from the project.
    fn is_quiet(&self, path: &Path) -> bool {
        let private = [&self.private.home, &self.private.cache, &self.private.tmp];
        let written = self.writes.directories.iter().map(|(path, _)| path);
        let written = written
            .chain(self.writes.files.iter().map(|(path, _)| path))
            .chain(private);
        let project = self.project.filter(|project| !self.is_broad(project));
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
