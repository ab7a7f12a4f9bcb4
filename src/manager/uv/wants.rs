//! Everything that a uv run is asked for, read and judged before the start.
//!
//! Command line and variables, configuration, indexes, then requirements or the project's lock. All
//! problems of a step are reported together. Nothing is written here.

use std::path::{Path, PathBuf};

use super::config::{self, Config};
use super::document::Document;
use super::find::Program;
use super::index::{self, Indexes};
use super::line::{Command, Line, variable};
use super::{locked, lockfile};
use crate::manager::pip;
use crate::manager::python::asked::{Origin, Requirement};
use crate::manager::python::gather::{self, Gatherer, Grounds};
use crate::manager::python::index::Scope;
use crate::manager::python::links::Links;
use crate::manager::python::settings::{self, Judged, Setting};
use crate::manager::python::trust::Trust;
use crate::manager::python::{find, groups, lock, stated};
use crate::manager::{Refusal, Request};
use crate::model::python;
use crate::model::{Code, Event, Expected, Finding, Integrity, Severity};
use crate::profile::Profile;

/// What a run is asked for.
#[derive(Debug)]
pub(super) struct Wants {
    /// Settings after they met their rules.
    pub(super) judged: Judged,
    /// What files say.
    pub(super) config: Config,
    /// Effective indexes.
    pub(super) indexes: Indexes,
    /// Words for uv.
    pub(super) words: Vec<String>,
    /// Everything asked for.
    pub(super) requirements: Vec<Requirement>,
    /// Digests known before the start.
    pub(super) expected: Vec<Expected>,
    /// Packages of the lock that is installed from.
    pub(super) locked: Vec<String>,
    /// Local wheels with their digest.
    pub(super) pinned: Vec<(PathBuf, Integrity)>,
    /// Files that uv reads.
    pub(super) reads: Vec<PathBuf>,
    /// What it is shown in place of them.
    pub(super) views: Vec<(PathBuf, Vec<u8>)>,
    /// Files made for it.
    pub(super) generated: Vec<(String, Vec<u8>)>,
    /// Directories of wheels.
    pub(super) links: Vec<PathBuf>,
    /// Certificates and the way out.
    pub(super) trust: Trust,
    /// The project's directory, for a command that is about one.
    pub(super) project: Option<PathBuf>,
    /// Root of the checkout.
    pub(super) root: PathBuf,
    /// Inputs read.
    pub(super) events: Vec<Event>,
}

/// Reads everything.
pub(super) fn read(
    request: &Request<'_>,
    line: &Line,
    program: &Program,
    profile: &Profile,
) -> Result<Wants, Refusal> {
    let judged = settings::judge(&line.settings, profile);
    stop_on(&judged.findings, &mut Vec::new())?;
    let root = find::root(&request.directory, request.home.as_deref());
    let root = root.unwrap_or_else(|| request.directory.clone());
    let named = judged.last("config-file").map(Setting::text);
    let named = named.or_else(|| variable(request.environment, "UV_CONFIG_FILE"));
    let none = judged.last("no-config").is_some();
    let config = config::load(request, &root, profile, named, none);
    let mut events = config.events.clone();
    stop_on(&config.findings, &mut events)?;
    let closed = judged.passed.iter().any(|word| word == "--no-index");
    let files = if none { &[][..] } else { &config.indexes };
    let mut indexes = index::collect(request, &program.path, &judged, files, closed);
    if !line.command.resolves() {
        indexes.findings.clear();
    }
    stop_on(&indexes.findings, &mut events)?;
    Reading {
        request,
        line,
        root: &root,
        judged: &judged,
        config: &config,
        indexes: &indexes,
    }
    .run(events)
    .map(|read| Wants {
        root: root.clone(),
        indexes: Indexes {
            effective: read.effective,
            ..indexes
        },
        words: read.words,
        requirements: read.requirements,
        expected: read.expected,
        locked: read.locked,
        pinned: read.pinned,
        reads: read.reads,
        views: read.views,
        generated: read.generated,
        links: read.links,
        trust: read.trust,
        project: read.project,
        events: read.events,
        judged,
        config,
    })
}

struct Reading<'a> {
    request: &'a Request<'a>,
    line: &'a Line,
    root: &'a Path,
    judged: &'a Judged,
    config: &'a Config,
    indexes: &'a Indexes,
}

/// What [`Reading`] finds.
#[derive(Default)]
struct Read {
    locked: Vec<String>,
    effective: Vec<crate::manager::python::asked::Index>,
    words: Vec<String>,
    requirements: Vec<Requirement>,
    expected: Vec<Expected>,
    pinned: Vec<(PathBuf, Integrity)>,
    reads: Vec<PathBuf>,
    views: Vec<(PathBuf, Vec<u8>)>,
    generated: Vec<(String, Vec<u8>)>,
    links: Vec<PathBuf>,
    trust: Trust,
    project: Option<PathBuf>,
    events: Vec<Event>,
}

impl Reading<'_> {
    fn run(&self, mut events: Vec<Event>) -> Result<Read, Refusal> {
        // Requirement files have one grammar, whichever manager reads them.
        let grammar = Profile::parse(pip::PROFILE).map_err(|error| {
            Finding::new(Code::Internal, "profiles/pip.toml", error.to_string())
        })?;
        let request = self.request;
        let mut findings = Vec::new();
        let links = self.links(&mut findings);
        let grounds = Grounds {
            directory: &request.directory,
            project: self.root,
            environment: request.environment,
            profile: &grammar,
            policy: request.policy,
            allowed: &self.indexes.allowed,
            config: &request.private.config,
            sources: None,
        };
        let scope = Scope {
            indexes: self.indexes.effective.clone(),
            none: false,
        };
        let mut gatherer = Gatherer::new(&grounds, scope, links);
        let words = self.words(&mut gatherer, &mut findings);
        for (text, place) in &self.config.requirements {
            gatherer.word(text, place);
        }
        let project = self.project(&mut gatherer, &mut findings);
        let gathered = gatherer.found;
        findings.extend(gathered.findings.iter().cloned());
        let mut expected = stated::stated(&gathered);
        expected.extend(gathered.expected.iter().cloned());
        let mut views = gathered.views.clone();
        let mut names = Vec::new();
        if self.line.command.resolves() {
            let (promised, shown) = self.locked(
                project.as_deref(),
                &gathered.directories,
                &mut events,
                &mut findings,
            );
            names = promised.iter().map(locked::entry).collect();
            expected.extend(promised);
            views.extend(shown);
        }
        for artifact in &request.policy.artifacts {
            if let Some(wheel) = python::wheel_name(&artifact.file) {
                expected.push(gather::statement(artifact, &wheel));
            }
        }
        let mut pinned = gathered.pinned.clone();
        pinned.extend(gathered.links.pinned(&expected));
        events.extend(gathered.events.iter().cloned());
        let trust = Trust::read(self.judged.last("cert"), None, request);
        findings.extend(trust.findings.iter().cloned());
        let findings = gather::bounded(findings);
        stop_on(&findings, &mut events)?;
        events.extend(findings.into_iter().map(Event::Found));
        Ok(Read {
            effective: gathered.scope.indexes,
            words,
            requirements: gathered.requirements,
            expected,
            locked: names,
            pinned,
            reads: gathered.reads,
            views,
            generated: gathered.generated,
            links: gathered.links.directories,
            trust,
            project,
            events,
        })
    }

    fn links(&self, findings: &mut Vec<Finding>) -> Links {
        let mut links = Links::default();
        let around = (
            self.request.directory.as_path(),
            self.request.home.as_deref(),
        );
        let said = self.judged.all("find-links");
        let said = said.map(|one| (one.text(), one.origin, one.place.as_str()));
        let files = self.config.links.iter();
        let files = files.map(|(text, origin, place)| (text.as_str(), *origin, place.as_str()));
        for (text, origin, place) in said.chain(files) {
            findings.extend(links.add(text, around, origin, place, self.root).err());
        }
        links
    }

    /// What uv is given as words and files.
    fn words(&self, gatherer: &mut Gatherer<'_>, findings: &mut Vec<Finding>) -> Vec<String> {
        let mut given = Vec::new();
        let mut refuse = |message: String| {
            findings.push(Finding::new(Code::Usage, "command line", message));
        };
        let words = self.line.words.iter();
        match self.line.command {
            Command::Install | Command::PipSync | Command::Compile | Command::Uninstall => {
                for setting in self.judged.all("constraints") {
                    let path = gatherer.file(setting.text(), &setting.place, true);
                    let name = setting.option.name();
                    given.extend(path.map(|path| format!("--{name}={path}")));
                }
                for setting in self.judged.all("group") {
                    given.extend(self.group(setting, gatherer));
                }
                let named = matches!(self.line.command, Command::Install | Command::Uninstall);
                for word in words {
                    if named {
                        given.extend(gatherer.word(word, "command line"));
                    } else {
                        given.extend(self.file(word, "command line", gatherer));
                    }
                }
                for setting in self.judged.all("requirements") {
                    let path = self.file(setting.text(), &setting.place, gatherer);
                    given.extend(path.map(|path| format!("--requirements={path}")));
                }
            }
            Command::Read | Command::Venv => {
                for word in words {
                    if word.starts_with('-') {
                        refuse(format!("is no word that this subcommand takes: {word}"));
                    } else {
                        given.push(word.clone());
                    }
                }
            }
            Command::Sync | Command::Lock => {
                for word in words {
                    refuse(format!("is no word that this subcommand takes: {word}"));
                }
            }
            Command::Help => given.extend(words.cloned()),
        }
        given
    }

    /// A file of requirements. Metadata of a source tree is not read: that may need its build.
    fn file(&self, path: &str, place: &str, gatherer: &mut Gatherer<'_>) -> Option<String> {
        let tree = ["pyproject.toml", "setup.py", "setup.cfg"];
        let name = Path::new(path).file_name().unwrap_or_default();
        if tree.iter().any(|tree| name == *tree) {
            let message = format!("names the metadata of a source tree: {path}");
            let finding = Finding::new(Code::DependencyRefused, place, message);
            let finding = finding.with_hint("install a project's dependencies with `uv sync`");
            gatherer.found.findings.push(finding);
            return None;
        }
        gatherer.file(path, place, false)
    }

    /// The requirements of `--group`, as words.
    fn group(&self, setting: &Setting, gatherer: &mut Gatherer<'_>) -> Vec<String> {
        let own = self.request.directory.join("pyproject.toml");
        let mut documents = self.config.documents.iter();
        let read = documents.find(|document| own.canonicalize().is_ok_and(|p| p == document.path));
        let outcome = match read {
            Some(document) => groups::requirements(&document.text, setting.text())
                .map_err(|error| format!("{} {error}", document.shown)),
            None => Err("names a group, but there is no pyproject.toml here".to_owned()),
        };
        match outcome {
            Ok(list) => {
                let place = format!("pyproject.toml: {}", setting.text());
                let words = list.iter();
                words
                    .filter_map(|text| gatherer.word(text, &place))
                    .collect()
            }
            Err(message) => {
                let finding = Finding::new(Code::ConfigRefused, &setting.place, message);
                gatherer.found.findings.push(finding);
                Vec::new()
            }
        }
    }

    /// The project that the command is about: the nearest `pyproject.toml`.
    fn project(&self, gatherer: &mut Gatherer<'_>, findings: &mut Vec<Finding>) -> Option<PathBuf> {
        if !self.line.command.is_project() {
            return None;
        }
        let mut documents = self.config.documents.iter();
        let Some(own) = documents.find(|one| one.shown == "pyproject.toml") else {
            let message = "there is no pyproject.toml here or above";
            findings.push(Finding::new(Code::Usage, "uv", message));
            return None;
        };
        if self.line.command == Command::Lock {
            for (text, place) in requirements(own) {
                gatherer.word(&text, &place);
            }
        }
        own.path.parent().map(Path::to_path_buf)
    }

    /// Locks as anchors: the one that is installed from, with what uv is shown of it, or those
    /// beside the requirements.
    fn locked(
        &self,
        project: Option<&Path>,
        directories: &[PathBuf],
        events: &mut Vec<Event>,
        findings: &mut Vec<Finding>,
    ) -> (Vec<Expected>, Option<(PathBuf, Vec<u8>)>) {
        let Some(project) = project else {
            let mut places = vec![self.request.directory.clone()];
            places.extend(directories.iter().cloned());
            let mut locks = lock::find(&places);
            findings.append(&mut locks.findings);
            events.append(&mut locks.events);
            return (locks.expected, None);
        };
        let path = lockfile::path(project);
        let read = Document::read(&path, Some(self.root), events);
        if self.line.command == Command::Lock {
            // A lock that is about to be made anew may say what it likes; it lies in the project.
            findings.extend(read.err());
            return (Vec::new(), None);
        }
        match read {
            Ok(Some(document)) => {
                let builds = self.judged.last("no-install-project").is_none();
                let checked = lockfile::check(&document, &self.indexes.allowed, builds);
                findings.extend(checked.findings);
                let shown = (document.path, document.text.into_bytes());
                (checked.expected, Some(shown))
            }
            Ok(None) => {
                let message = "there is no uv.lock to install from";
                let finding = Finding::new(Code::LockMissing, path.display().to_string(), message);
                findings.push(finding.with_hint("create it with `v4run uv lock` and commit it"));
                (Vec::new(), None)
            }
            Err(finding) => {
                findings.push(finding);
                (Vec::new(), None)
            }
        }
    }
}

/// The requirements that a project states, with their place.
fn requirements(document: &Document) -> Vec<(String, String)> {
    use super::document::{items, scalar, table, value};
    let Ok(root) = document.parse() else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut list = |position, value| {
        for (position, item) in items(position, value) {
            let text = scalar(item);
            if !text.is_empty() {
                found.push((text, document.place(position)));
            }
        }
    };
    let project = table(&root, "project");
    if let Some((position, value)) = project.and_then(|project| value(project, "dependencies")) {
        list(position, value);
    }
    let extras = project.and_then(|project| table(project, "optional-dependencies"));
    let groups = table(&root, "dependency-groups");
    let tool = table(&root, "tool").and_then(|tool| table(tool, "uv"));
    let inner = [extras, groups].into_iter().flatten();
    for (key, value) in inner.flat_map(|table| table.iter()) {
        list(key.span().start, value.get_ref());
    }
    if let Some((position, value)) = tool.and_then(|tool| value(tool, "dev-dependencies")) {
        list(position, value);
    }
    found
}

/// Ends the preparation when something was found that is more than a note.
pub(super) fn stop_on(findings: &[Finding], events: &mut Vec<Event>) -> Result<(), Refusal> {
    let note = |finding: &Finding| finding.code.severity() == Severity::Note;
    if findings.iter().all(note) {
        return Ok(());
    }
    Err(Refusal {
        findings: findings.to_vec(),
        events: std::mem::take(events),
    })
}

/// Whether a setting of that rule was made by the user for this run.
pub(super) fn is_said(judged: &Judged, rule: &str) -> bool {
    let mut all = judged.all(rule);
    all.any(|setting| setting.origin != Origin::Project)
}
