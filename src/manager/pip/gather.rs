//! Everything that is asked for: words of the command line, requirement and constraint files.
//!
//! Files are read in pip's order (constraints, words, requirements), nested ones where they are
//! named. They are the project's word: what they say meets the project's rules. What passes is
//! written down again line by line, under the same line numbers, and pip is shown that text in
//! place of the file: a line that the two would read differently cannot get through, and a file
//! that changes after the check changes nothing.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::argv::{self, Given};
use super::checked::Requirement;
use super::configuration::Origin;
use super::index::{Allowed, Scope};
use super::lines::{self, Entry, LinesError};
use super::links::Links;
use super::lock::{self, pylock};
use super::requirement::{self, Kind, Named};
use super::settings::{self, Setting};
use crate::manager::read;
use crate::model::{Code, Digest, Event, Finding, Integrity};
use crate::profile::{Action, Policy, Profile};

mod artifact;

pub(super) use artifact::statement;

/// Longest requirements file.
const LIMIT: u64 = 16 << 20;
/// Files nested in files.
const DEPTH: usize = 16;
/// Files in all.
const FILES: usize = 512;
/// Problems listed one by one.
const LISTED: usize = 20;

/// What requirements are judged by.
#[derive(Debug)]
pub(super) struct Grounds<'a> {
    /// The caller's working directory.
    pub(super) directory: &'a Path,
    /// Root of the project.
    pub(super) project: &'a Path,
    /// The caller's variables.
    pub(super) environment: &'a BTreeMap<OsString, OsString>,
    /// The profile.
    pub(super) profile: &'a Profile,
    /// The policy.
    pub(super) policy: &'a Policy,
    /// Indexes that may be asked.
    pub(super) allowed: &'a Allowed,
    /// Where generated files will lie.
    pub(super) config: &'a Path,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// Everything asked for.
    pub(super) requirements: Vec<Requirement>,
    /// Addresses that the policy names, by package.
    pub(super) expected: Vec<crate::model::Expected>,
    /// Local wheels with their digest.
    pub(super) pinned: Vec<(PathBuf, Integrity)>,
    /// Files that pip reads.
    pub(super) reads: Vec<PathBuf>,
    /// What it is shown in place of them.
    pub(super) views: Vec<(PathBuf, Vec<u8>)>,
    /// Files made for it.
    pub(super) generated: Vec<(String, Vec<u8>)>,
    /// Directories with files that were installed from.
    pub(super) directories: Vec<PathBuf>,
    /// Indexes as they are after the last file.
    pub(super) scope: Scope,
    /// Directories of wheels.
    pub(super) links: Links,
    /// Whether a file asks for digests.
    pub(super) require_hashes: bool,
    /// Inputs read.
    pub(super) events: Vec<Event>,
    /// Refusals and notes.
    pub(super) findings: Vec<Finding>,
}

/// Reads and judges requirements.
#[derive(Debug)]
pub(super) struct Gatherer<'a> {
    grounds: &'a Grounds<'a>,
    /// What was found so far.
    pub(super) found: Gathered,
    files: usize,
}

impl<'a> Gatherer<'a> {
    /// Starts with the indexes and links of command line and configuration.
    pub(super) fn new(grounds: &'a Grounds<'a>, scope: Scope, links: Links) -> Self {
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
    pub(super) fn word(&mut self, text: &str, place: &str) -> Option<String> {
        self.requirement(text, &[], place, false)
    }

    /// `--requirement` or `--constraint`: the value that pip is to be given.
    pub(super) fn file(&mut self, path: &str, place: &str, constraint: bool) -> Option<String> {
        let name = Path::new(path)
            .file_name()
            .and_then(OsStr::to_str)
            .unwrap_or_default();
        if pylock::is_name(name) && !constraint {
            return self.lock(path, name);
        }
        self.read(Path::new(path), place, constraint, &mut Vec::new())?;
        Some(path.to_owned())
    }

    /// A lock named as requirements becomes a file of requirements with digests.
    fn lock(&mut self, path: &str, name: &str) -> Option<String> {
        let path = self.grounds.directory.join(path);
        let text = match lock::text(&path, &mut self.found.events, name) {
            Ok(Some(text)) => text,
            Ok(None) => {
                self.refuse(
                    Code::Usage,
                    &path.display().to_string(),
                    "there is no such file",
                );
                return None;
            }
            Err(finding) => {
                self.found.findings.push(finding);
                return None;
            }
        };
        let lines = match pylock::requirements(&text) {
            Ok(lines) => lines,
            Err(error) => {
                self.found
                    .findings
                    .push(lock::invalid(&path, &error.to_string()));
                return None;
            }
        };
        self.found
            .directories
            .extend(path.parent().map(Path::to_path_buf));
        let mut content = String::new();
        for line in &lines {
            let entry = lines::read(line.as_bytes(), |_| None).ok()?.pop()?;
            let hashes: Vec<&str> = entry
                .options
                .given
                .iter()
                .filter_map(|one| one.value.as_deref())
                .collect();
            if let Some(text) = self.requirement(&entry.requirement, &hashes, name, false) {
                content.push_str(&text);
                content.push('\n');
            }
        }
        let number = self.found.generated.len().saturating_add(1);
        let file = format!("{}-{number}.txt", name.trim_end_matches(".toml"));
        let shown = self.grounds.config.join(&file).display().to_string();
        self.found.generated.push((file, content.into_bytes()));
        Some(shown)
    }

    /// Reads one file and those that it names. `None` when it was refused.
    fn read(
        &mut self,
        path: &Path,
        place: &str,
        constraint: bool,
        open: &mut Vec<PathBuf>,
    ) -> Option<()> {
        let shown = path.display().to_string();
        if is_address(&shown) {
            let message = format!("names requirements that would be fetched: {shown}");
            let finding = Finding::new(Code::ConfigRefused, place, message);
            self.found
                .findings
                .push(finding.with_hint("download and review the file, then name its path"));
            return None;
        }
        let real = self.grounds.directory.join(path);
        let real = real.canonicalize().unwrap_or(real);
        self.files = self.files.saturating_add(1);
        if open.contains(&real) || open.len() > DEPTH || self.files > FILES {
            self.refuse(
                Code::ConfigRefused,
                place,
                "names a file of requirements in a circle, or too many",
            );
            return None;
        }
        let bytes = match read::file(&real, LIMIT) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                let message = format!("names a file that does not exist: {shown}");
                self.refuse(Code::Usage, place, &message);
                return None;
            }
            Err(error) => {
                self.refuse(
                    Code::Usage,
                    place,
                    &format!("names a file that {error}: {shown}"),
                );
                return None;
            }
        };
        if let Some(sha256) = read::sha256(&bytes) {
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            self.found.events.push(Event::InputRead {
                name,
                path: real.display().to_string(),
                sha256,
            });
        }
        let variable = |name: &str| {
            let value = self.grounds.environment.get(OsStr::new(name));
            value.and_then(|value| value.to_str()).map(str::to_owned)
        };
        let entries = match lines::read(&bytes, variable) {
            Ok(entries) => entries,
            Err(error) => {
                let place = match &error {
                    LinesError::Line { line, .. } => format!("{shown}:{line}"),
                    LinesError::Encoding(_) | LinesError::Unsupported(_) => shown,
                };
                self.refuse(Code::ConfigRefused, &place, &error.to_string());
                return None;
            }
        };
        self.found
            .directories
            .extend(real.parent().map(Path::to_path_buf));
        open.push(real.clone());
        let mut text: Vec<String> = Vec::new();
        for entry in entries {
            let place = format!("{shown}:{}", entry.line);
            let line = self.entry(&entry, path, &place, constraint, open);
            text.resize(entry.line.saturating_sub(1), String::new());
            text.push(line.unwrap_or_default());
        }
        open.pop();
        self.show(real, text);
        Some(())
    }

    /// Has pip shown what was understood.
    fn show(&mut self, path: PathBuf, lines: Vec<String>) {
        let mut text = lines.join("\n");
        text.push('\n');
        if !text.is_ascii() {
            // An older pip would take the locale's encoding otherwise.
            text.insert(0, '\u{feff}');
        }
        if !self.found.reads.contains(&path) {
            self.found.reads.push(path.clone());
            self.found.views.push((path, text.into_bytes()));
        }
    }

    fn entry(
        &mut self,
        entry: &Entry,
        path: &Path,
        place: &str,
        constraint: bool,
        open: &mut Vec<PathBuf>,
    ) -> Option<String> {
        if entry.requirement.is_empty() {
            let before = self.found.findings.len();
            let text = self.options(entry, path, place, open);
            if entry.secret {
                let own = self.found.findings.iter_mut().skip(before);
                for finding in own.filter(|finding| finding.subject == place) {
                    finding.message = lines::HIDDEN.to_owned();
                    finding.hint = None;
                }
            }
            return text;
        }
        let mut hashes = Vec::new();
        for given in &entry.options.given {
            if given.option.rule == "hash" {
                hashes.extend(given.value.as_deref());
            } else if let Err(finding) = self.verdict(given, place) {
                // Other options beside a requirement mean nothing to pip.
                self.found.findings.push(finding);
            }
        }
        self.requirement(&entry.requirement, &hashes, place, constraint)
    }

    /// A line of options: what of it pip is shown.
    fn options(
        &mut self,
        entry: &Entry,
        path: &Path,
        place: &str,
        open: &mut Vec<PathBuf>,
    ) -> Option<String> {
        let given = &entry.options.given;
        let nested = |rule: &str| given.iter().find(|one| one.option.rule == rule);
        // pip follows one file a line and passes over what else stands there.
        if let Some(one) = nested("requirement").or_else(|| nested("constraint")) {
            let constraint = one.option.rule == "constraint";
            let value = one.value.as_deref().unwrap_or_default();
            let joined = path.parent().unwrap_or(Path::new("")).join(value);
            let target = if is_address(value) {
                Path::new(value)
            } else {
                joined.as_path()
            };
            self.read(target, place, constraint, open)?;
            return Some(format!("--{} {}", one.option.name(), lines::quote(value)));
        }
        let mut kept = Vec::new();
        // `--no-index` comes first whatever the order on the line, and links count once.
        let mut ordered: Vec<&Given> = given.iter().collect();
        ordered.sort_by_key(|one| match one.option.rule {
            "no-index" => 0,
            "index-url" => 1,
            _ => 2,
        });
        for one in ordered {
            match self.verdict(one, place) {
                Ok(Action::Pass) => {
                    self.found.require_hashes |= one.option.rule == "require-hashes";
                    kept.push(lines::quote(&argv::render(
                        one.option,
                        one.value.as_deref(),
                    )));
                }
                Ok(Action::Take) => self.take(one, path, place),
                Ok(Action::Drop | Action::Refuse) => {}
                Err(finding) => self.found.findings.push(finding),
            }
        }
        Some(kept.join(" "))
    }

    fn verdict(&self, given: &Given, place: &str) -> Result<Action, Finding> {
        if given.option.rule == "hash" {
            return Ok(Action::Drop);
        }
        let setting = Setting {
            option: given.option,
            value: given.value.clone(),
            origin: Origin::Project,
            place: place.to_owned(),
        };
        settings::verdict(&setting, self.grounds.profile)
    }

    fn take(&mut self, given: &Given, path: &Path, place: &str) {
        let value = given.value.as_deref().unwrap_or_default();
        let index = || self.grounds.allowed.index(value, place, Origin::Project);
        let outcome = match given.option.rule {
            "no-index" => {
                self.found.scope.close();
                Ok(())
            }
            "index-url" => index().map(|index| self.found.scope.replace(index)),
            "extra-index-url" => index().map(|index| self.found.scope.extend(index)),
            "find-links" => {
                let beside = self.grounds.directory.join(path);
                let beside = beside
                    .parent()
                    .unwrap_or(self.grounds.directory)
                    .join(value);
                let chosen = if beside.exists() {
                    beside
                } else {
                    self.grounds.directory.join(value)
                };
                self.found
                    .links
                    .project(value, &chosen, place, self.grounds.project)
            }
            _ => Ok(()),
        };
        self.found.findings.extend(outcome.err());
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
                let message =
                    format!("is a directory: {path}; its build would run code of the project");
                Err(Finding::new(Code::DependencyRefused, place, message))
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
        let digests = digests(hashes, place)?;
        if !digests.is_empty() && named.pinned.is_none() {
            let message = format!("`{}` has a digest, but not one exact version", named.name);
            return Err(
                Finding::new(Code::IntegrityMissing, place, message).with_hint("pin it with `==`")
            );
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

/// Whether pip would fetch it, or take it for an address.
fn is_address(text: &str) -> bool {
    let scheme = text
        .split_once(':')
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    scheme.is_some_and(|scheme| matches!(scheme.as_str(), "http" | "https" | "file"))
}

/// The first problems one by one, the rest as a number; notes are kept.
pub(super) fn bounded(findings: Vec<Finding>) -> Vec<Finding> {
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

#[cfg(test)]
mod tests;
