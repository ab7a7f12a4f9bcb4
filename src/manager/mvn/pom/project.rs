//! The POMs of a build: the one that was named, its modules, and parents that lie beside them.
//!
//! Walked as Maven walks it: modules by their path, the parent by `relativePath`. All of them are files
//! of the build; what lies outside of it is not read. Parents that only a repository has are fetched and
//! verified during the run, and judged when Maven opens them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::{LIMIT, Pom, Reference, read as read_pom};
use crate::manager::read;
use crate::model::{Code, Event, Finding};

/// POMs of one build; the largest have some thousand.
const POMS: usize = 10_000;

/// One POM of the build.
#[derive(Debug)]
pub(in crate::manager::mvn) struct Member {
    pub(in crate::manager::mvn) path: PathBuf,
    pub(in crate::manager::mvn) pom: Pom,
}

/// The POMs of a build.
#[derive(Debug, Default)]
pub(in crate::manager::mvn) struct Project {
    /// In the order in which they were found.
    pub(in crate::manager::mvn) members: Vec<Member>,
    /// The parents that they name, wherever these lie.
    pub(in crate::manager::mvn) parents: Vec<Reference>,
    /// What was read.
    pub(in crate::manager::mvn) events: Vec<Event>,
}

/// Reads the build of the POM at that path. `root` is the directory of the whole build; both are
/// canonical. No POM is no build.
pub(in crate::manager::mvn) fn read(root: &Path, first: &Path) -> Result<Project, Finding> {
    let mut project = Project::default();
    let mut waiting = vec![first.to_path_buf()];
    let mut seen = HashSet::new();
    while let Some(path) = waiting.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        if seen.len() > POMS {
            return Err(invalid(&path, None, "the build has too many modules"));
        }
        let bytes = read::inside(root, &path, LIMIT)
            .map_err(|error| invalid(&path, None, &error.to_string()))?;
        // A module or parent that is not there is Maven's to complain about.
        let Some(bytes) = bytes else { continue };
        if let Some(sha256) = read::sha256(&bytes) {
            project.events.push(Event::InputRead {
                name: "pom.xml".to_owned(),
                path: path.display().to_string(),
                sha256,
            });
        }
        let pom =
            read_pom(&bytes).map_err(|error| invalid(&path, error.line(), &error.to_string()))?;
        let directory = path.parent().unwrap_or(root);
        for (module, _) in &pom.modules {
            waiting.extend(inside(root, &directory.join(pom.resolved(module))));
        }
        if let Some(parent) = &pom.parent {
            let beside = pom.parent_path.as_ref();
            let beside = beside.and_then(|path| inside(root, &directory.join(path)));
            waiting.extend(beside);
            // What lies there may be another one, which Maven passes over.
            project.parents.push(Reference {
                group: pom.resolved(&parent.group),
                artifact: pom.resolved(&parent.artifact),
                version: parent.version.as_deref().map(|text| pom.resolved(text)),
                line: parent.line,
            });
        }
        project.members.push(Member { path, pom });
    }
    Ok(project)
}

/// The POM that a path means: the file, or the one in the directory. `None` outside the build.
fn inside(root: &Path, path: &Path) -> Option<PathBuf> {
    let path = path.canonicalize().ok()?;
    let path = match path.is_dir() {
        true => path.join("pom.xml"),
        false => path,
    };
    path.starts_with(root).then_some(path)
}

fn invalid(path: &Path, line: Option<u32>, message: &str) -> Finding {
    let shown = path.display().to_string();
    let subject = line.map_or_else(|| shown.clone(), |line| format!("{shown}:{line}"));
    Finding::new(Code::ConfigRefused, subject, message)
        .with_hint("correct the POM; what cannot be read cannot be judged")
}
