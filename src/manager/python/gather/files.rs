//! Requirement and constraint files, nested ones where they are named, and locks in their place.
//!
//! They are the project's word. pip is shown what was understood, under the same line numbers.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::Gatherer;
use crate::manager::python::argv::{self, Given};
use crate::manager::python::asked::Origin;
use crate::manager::python::find::absolute;
use crate::manager::python::lines::{self, Entry, LinesError};
use crate::manager::python::lock::{self, pylock};
use crate::manager::python::settings::{self, Setting};
use crate::manager::read;
use crate::model::{Code, Event, Finding};
use crate::profile::Action;

/// Longest requirements file.
const LIMIT: u64 = 16 << 20;
/// Files nested in files.
const DEPTH: usize = 16;
/// Files in all.
const FILES: usize = 512;

impl Gatherer<'_> {
    /// `--requirement` or `--constraint`: the value that pip is to be given.
    pub(in crate::manager) fn file(
        &mut self,
        path: &str,
        place: &str,
        constraint: bool,
    ) -> Option<String> {
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
        if self.leaves(path, &real, open.first()) {
            let message = format!(
                "names a file of requirements outside the project: {shown}; what is in it would \
                 be shown or asked for at the index"
            );
            let finding = Finding::new(Code::ConfigRefused, place, message);
            let hint = "run v4run in a directory that holds both files";
            self.found.findings.push(finding.with_hint(hint));
            return None;
        }
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

    /// Whether a file lies where only the user may send the reader: a file that the user names may
    /// lie anywhere, one that a file names lies in the project or beside the user's, and a link of
    /// the project stays in it.
    fn leaves(&self, path: &Path, real: &Path, first: Option<&PathBuf>) -> bool {
        let project = self.grounds.project;
        if real.starts_with(project) {
            return false;
        }
        match first.and_then(|first| first.parent()) {
            Some(beside) => !real.starts_with(beside),
            None => absolute(&self.grounds.directory.join(path)).starts_with(project),
        }
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
                Ok(Action::Take) => self.take(one, path, place, entry.secret),
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

    fn take(&mut self, given: &Given, path: &Path, place: &str, secret: bool) {
        let value = given.value.as_deref().unwrap_or_default();
        let index = || {
            let index = self.grounds.allowed.index(value, place, Origin::Project)?;
            // Which variable is sent is the project's choice: never to an index that you did not name.
            if secret && index.credential.is_some() && !index.may_be_private {
                return Err(Finding::new(Code::ConfigRefused, place, lines::HIDDEN));
            }
            Ok(index)
        };
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
}

/// Whether pip would fetch it, or take it for an address.
fn is_address(text: &str) -> bool {
    let scheme = text
        .split_once(':')
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    scheme.is_some_and(|scheme| matches!(scheme.as_str(), "http" | "https" | "file"))
}
