//! Everything that is asked for: words of the command line, requirement and constraint files.
//!
//! Files are read in pip's order (constraints, words, requirements), nested ones where they are
//! named. They are the project's word: what they say meets the project's rules. What passes is
//! written down again line by line, under the same line numbers, and pip is shown that text in
//! place of the file: a line that the two would read differently cannot get through, and a file
//! that changes after the check changes nothing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::asked::Requirement;
use super::index::{Allowed, Scope};
use super::links::Links;
use super::lock;
use super::requirement::{self, Kind, Named};
use crate::manager::Sources;
use crate::model::{Code, Digest, Event, Finding, Integrity};
use crate::profile::{Policy, Profile};

mod artifact;
mod files;
#[cfg(test)]
mod tests;

pub(in crate::manager) use artifact::statement;

/// Problems listed one by one.
const LISTED: usize = 20;

/// What requirements are judged by.
#[derive(Debug)]
pub(in crate::manager) struct Grounds<'a> {
    /// The caller's working directory.
    pub(in crate::manager) directory: &'a Path,
    /// Root of the project.
    pub(in crate::manager) project: &'a Path,
    /// The caller's variables.
    pub(in crate::manager) environment: &'a BTreeMap<OsString, OsString>,
    /// The profile.
    pub(in crate::manager) profile: &'a Profile,
    /// The policy.
    pub(in crate::manager) policy: &'a Policy,
    /// Indexes that may be asked.
    pub(in crate::manager) allowed: &'a Allowed,
    /// Where generated files will lie.
    pub(in crate::manager) config: &'a Path,
    /// What is built before the install, for a manager that does that.
    pub(in crate::manager) sources: Option<&'a Sources>,
}

/// What was found.
#[derive(Debug, Default)]
pub(in crate::manager) struct Gathered {
    /// Everything asked for.
    pub(in crate::manager) requirements: Vec<Requirement>,
    /// Addresses that the policy names, by package.
    pub(in crate::manager) expected: Vec<crate::model::Expected>,
    /// Local wheels with their digest.
    pub(in crate::manager) pinned: Vec<(PathBuf, Integrity)>,
    /// Files that pip reads.
    pub(in crate::manager) reads: Vec<PathBuf>,
    /// What it is shown in place of them.
    pub(in crate::manager) views: Vec<(PathBuf, Vec<u8>)>,
    /// Files made for it.
    pub(in crate::manager) generated: Vec<(String, Vec<u8>)>,
    /// Directories of the project that are to be built: whether in place.
    pub(in crate::manager) own: Vec<(PathBuf, bool)>,
    /// Directories with files that were installed from.
    pub(in crate::manager) directories: Vec<PathBuf>,
    /// Indexes as they are after the last file.
    pub(in crate::manager) scope: Scope,
    /// Directories of wheels.
    pub(in crate::manager) links: Links,
    /// Whether a file asks for digests.
    pub(in crate::manager) require_hashes: bool,
    /// Inputs read.
    pub(in crate::manager) events: Vec<Event>,
    /// Refusals and notes.
    pub(in crate::manager) findings: Vec<Finding>,
}

/// Reads and judges requirements.
#[derive(Debug)]
pub(in crate::manager) struct Gatherer<'a> {
    grounds: &'a Grounds<'a>,
    /// What was found so far.
    pub(in crate::manager) found: Gathered,
    files: usize,
}

impl<'a> Gatherer<'a> {
    /// Starts with the indexes and links of command line and configuration.
    pub(in crate::manager) fn new(grounds: &'a Grounds<'a>, scope: Scope, links: Links) -> Self {
        let found = Gathered {
            scope,
            links,
            ..Gathered::default()
        };
        Self {
            grounds,
            found,
            files: 0,
        }
    }

    /// A requirement of the command line, as pip is to be given it.
    pub(in crate::manager) fn word(&mut self, text: &str, place: &str) -> Option<String> {
        self.requirement(text, &[], place, false)
    }

    /// Judges one requirement: the text that pip is to be given.
    fn requirement(
        &mut self,
        text: &str,
        hashes: &[&str],
        place: &str,
        constraint: bool,
    ) -> Option<String> {
        let directory = self.grounds.directory;
        let kind = requirement::parse(text, |path| directory.join(path).is_dir());
        let outcome = match kind {
            Ok(Kind::Named(named)) => self.named(named, hashes, place, constraint),
            Ok(Kind::Address(name, address, marker)) => {
                self.address(name.as_deref(), &address, marker, hashes, place)
            }
            Ok(Kind::File(path, marker)) => self.local(&path, marker, hashes, place),
            Ok(Kind::Directory(path)) => {
                let extras = text.trim().strip_prefix(&path).unwrap_or_default();
                self.folder(&path, extras, place, false)
            }
            Ok(Kind::Repository(_)) => {
                let message = "comes from version control, by a program and without a digest";
                Err(Finding::new(Code::DependencyRefused, place, message))
            }
            Err(error) => Err(Finding::new(
                Code::Usage,
                place,
                format!("`{text}` {error}"),
            )),
        };
        match outcome {
            Ok(text) => Some(text),
            Err(finding) => {
                self.found.findings.push(finding);
                None
            }
        }
    }

    fn named(
        &mut self,
        named: Named,
        hashes: &[&str],
        place: &str,
        constraint: bool,
    ) -> Result<String, Finding> {
        let mut digests = digests(hashes, place)?;
        if !digests.is_empty() && named.pinned.is_none() {
            let message = format!("`{}` has a digest, but not one exact version", named.name);
            return Err(
                Finding::new(Code::IntegrityMissing, place, message).with_hint("pin it with `==`")
            );
        }
        let built = self.grounds.sources.map(|sources| sources.built.as_slice());
        let mut built = built.unwrap_or_default().iter();
        let built = built.find(|one| one.folder.is_none() && one.name == named.name);
        if let Some(built) = built.filter(|_| !digests.is_empty()) {
            // What they named was compared before it was built.
            digests = vec![built.digest.clone()];
        }
        let text = with_hashes(named.text(), &digests);
        self.found.requirements.push(Requirement {
            name: named.name,
            specifier: named.specifier,
            extras: named.extras,
            marker: named.marker,
            hashes: digests,
            place: place.to_owned(),
            constraint,
        });
        Ok(text)
    }

    fn refuse(&mut self, code: Code, place: &str, message: &str) {
        self.found.findings.push(Finding::new(code, place, message));
    }
}

/// The digests of a line. Weak ones are left out; none but weak ones is a refusal.
fn digests(hashes: &[&str], place: &str) -> Result<Vec<Digest>, Finding> {
    let mut digests = Vec::new();
    for text in hashes {
        let read = lock::digest(text).map_err(|()| {
            Finding::new(
                Code::IntegrityWeak,
                place,
                format!("has a digest that cannot be read: {text}"),
            )
        })?;
        digests.extend(read);
    }
    if digests.is_empty() && !hashes.is_empty() {
        let message = format!(
            "has only digests that suffice for nothing: {}",
            hashes.join(" ")
        );
        return Err(Finding::new(Code::IntegrityWeak, place, message)
            .with_hint("recreate the digests with SHA-256, for instance by `pip hash`"));
    }
    Ok(digests)
}

fn with_hashes(mut text: String, digests: &[Digest]) -> String {
    for digest in digests {
        text.push_str(&format!(
            " --hash={}:{}",
            digest.algorithm().name(),
            digest.hex()
        ));
    }
    text
}

/// The first problems one by one, the rest as a number; notes are kept.
pub(in crate::manager) fn bounded(findings: Vec<Finding>) -> Vec<Finding> {
    let note = |finding: &Finding| finding.code == Code::ConfigIgnored;
    let (notes, mut problems): (Vec<_>, Vec<_>) = findings.into_iter().partition(note);
    let more = problems.len().saturating_sub(LISTED);
    if more > 0 {
        problems.truncate(LISTED);
        if let Some(code) = problems.last().map(|last| last.code) {
            problems.push(Finding::new(
                code,
                "requirements",
                format!("and {more} more problems"),
            ));
        }
    }
    problems.extend(notes);
    problems
}
