//! What an npm run reads: npm, node, the project; from it the rules of the launch are made.
//!
//! npm gets its own runtime to read, the project to read, what the subcommand changes to write, and
//! private directories. The rules themselves are made in [`crate::manager::rules`].

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::find::Runtime;
use crate::manager::PrivateDirs;
use crate::manager::rules;
use crate::manager::rules::Writes;
use crate::model::PathRule;
use crate::profile::Profile;

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
        rules::Grounds {
            profile: self.profile,
            private: self.private,
            manager: "npm",
            program: (&self.runtime.node, "node runs npm"),
            needs: &self.runtime.needs,
            runtime: vec![(self.runtime.npm.clone(), "npm itself")],
            readable: self.readable(),
            project: self.project,
            broad: self.project.is_some_and(|project| self.is_broad(project)),
            writes: self.writes,
        }
        .rules()
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

    fn is_broad(&self, project: &Path) -> bool {
        rules::is_broad(project, self.home, self.private)
    }
}
