//! Makes the plan of a run: reads, checks, and puts the parts together.
//!
//! In this order, each step only when the former holds: command line, project, runtime,
//! configuration, repositories, manifests and lockfile, launch. All problems of a step are reported
//! together. Nothing is written outside the run's private directories.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::args::{self, Parsed};
use super::check::{self, Checker, Promises};
use super::config::{Config, Surroundings};
use super::find::{Runtime, Search};
use super::lockfile::{self, Lock};
use super::manifest::Manifest;
use super::network::{self, Places};
use super::project::{self, Location};
use super::subcommand::Task;
use super::{definitions, spec};
use crate::manager::{Prepared, Refusal, Request, read};
use crate::model::{Code, Event, Finding, Severity};
use crate::profile::{Does, Profile};

mod launch;
#[cfg(test)]
mod tests;

/// Everything that is known before the plan is written down.
struct Facts<'a> {
    request: &'a Request<'a>,
    profile: Profile,
    parsed: Parsed,
    task: Task,
    location: Location,
    global: bool,
    runtime: Runtime,
    config: Config,
    places: Places,
    /// npm's built-in registry.
    standard: Option<url::Url>,
    manifest: Option<Manifest>,
    workspaces: Vec<PathBuf>,
    /// Other directories of the project that are linked into the tree and may get one of their own.
    directories: Vec<PathBuf>,
    lock: Option<Lock>,
    promises: Promises,
    events: Vec<Event>,
}

/// See [`crate::manager::Manager::prepare`].
pub(super) fn prepare(request: &Request<'_>) -> Result<Prepared, Refusal> {
    let profile = Profile::parse(super::PROFILE)
        .map_err(|error| Finding::new(Code::Internal, "profiles/npm.toml", error.to_string()))?;
    let words = texts(request.arguments)?;
    let parsed = args::parse(&words, &profile.argv);
    let task = Task::of(&parsed, &profile)?;
    let global = is_global(&parsed, request);
    let prefix = parsed.last("prefix").filter(|_| !global);
    let alone = parsed.last("workspaces") == Some("false");
    let location = project::locate(&request.directory, prefix, alone || global)?;
    let runtime = Search {
        environment: request.environment,
        project: &location.root,
        home: request.home.as_deref(),
        pinned: request.policy.managers.get("npm").map(PathBuf::as_path),
    }
    .run()?;
    let config = Config::load(
        &Surroundings {
            environment: request.environment,
            home: request.home.as_deref(),
            directory: &request.directory,
            root: &location.root,
            global,
            npm: &runtime.npm,
            prefix: runtime.prefix(),
        },
        &parsed,
        &profile,
    );
    let mut events = Vec::new();
    stop_on(&config.findings, &mut events)?;
    let standard = definitions::text(&runtime.npm)
        .as_deref()
        .and_then(definitions::registry);
    let places =
        network::places(&config, request.policy, standard.as_ref()).map_err(|findings| {
            Refusal {
                findings,
                events: events.clone(),
            }
        })?;
    let facts = Facts {
        request,
        profile,
        parsed,
        task,
        location,
        global,
        runtime,
        config,
        places,
        standard,
        manifest: None,
        workspaces: Vec::new(),
        directories: Vec::new(),
        lock: None,
        promises: Promises::default(),
        events,
    };
    facts.with_project()?.plan()
}

/// Arguments as npm will see them.
pub(super) fn texts(arguments: &[OsString]) -> Result<Vec<String>, Finding> {
    let text = |word: &OsString| {
        word.to_str().map(str::to_owned).ok_or_else(|| {
            let message = "is not UTF-8, and node cannot pass it on";
            Finding::new(Code::Usage, word.to_string_lossy(), message)
        })
    };
    arguments.iter().map(text).collect()
}

/// Whether the run is about the global tree: option or variable.
fn is_global(parsed: &Parsed, request: &Request<'_>) -> bool {
    let variable = |name: &str| {
        let hits = request.environment.iter().filter_map(|(key, value)| {
            Some((key.to_str()?, value.to_str()?)).filter(|(_, value)| !value.is_empty())
        });
        hits.rev()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
    };
    let global = parsed
        .last("global")
        .map(str::to_owned)
        .or_else(|| variable("npm_config_global"));
    let location = parsed.last("location").map(str::to_owned);
    let location = location.or_else(|| variable("npm_config_location"));
    global.as_deref() == Some("true") || location.as_deref() == Some("global")
}

/// Turns findings into notes, or into a refusal when one of them is more than a note.
fn stop_on(findings: &[Finding], events: &mut Vec<Event>) -> Result<(), Refusal> {
    let (notes, problems): (Vec<_>, Vec<_>) = findings
        .iter()
        .cloned()
        .partition(|finding| finding.code.severity() == Severity::Note);
    events.extend(notes.into_iter().map(Event::Found));
    if problems.is_empty() {
        return Ok(());
    }
    Err(Refusal {
        findings: problems,
        events: std::mem::take(events),
    })
}

/// Directories of the project, other than installed packages, that are linked into the tree.
fn linked(root: &Path, lock: Option<&Lock>, manifests: &[(PathBuf, Manifest)]) -> Vec<PathBuf> {
    let stated = manifests.iter().flat_map(|(from, manifest)| {
        let values = manifest
            .dependencies
            .iter()
            .map(|(_, _, value)| spec::of_value(value));
        values.filter_map(move |kind| match kind {
            spec::Spec::Directory(path) => Some(project::resolve(from, &path)),
            spec::Spec::Registry
            | spec::Spec::Alias(_)
            | spec::Spec::File(_)
            | spec::Spec::Git
            | spec::Spec::Remote
            | spec::Spec::Unknown => None,
        })
    });
    let links = lock
        .into_iter()
        .flat_map(|lock| lock.packages.values())
        .filter(|entry| entry.link);
    let links = links.filter_map(|entry| Some(project::resolve(root, entry.resolved.as_deref()?)));
    let all = stated
        .chain(links)
        .filter(|path| path != root && path.is_dir());
    all.filter(|path| project::lies_inside(root, path))
        .collect()
}

impl<'a> Facts<'a> {
    /// Reads and checks manifests and lockfile, as far as the task depends on them.
    fn with_project(mut self) -> Result<Self, Refusal> {
        let root = self.location.root.clone();
        if let Some((path, Some(digest))) = &self.config.project_file {
            self.events.push(Event::InputRead {
                name: ".npmrc".to_owned(),
                path: path.display().to_string(),
                sha256: digest.clone(),
            });
        }
        if self.global {
            return self.with_words(&[]);
        }
        let mut findings = Vec::new();
        let mut manifests = Vec::new();
        if self.task.installs() {
            self.manifest = project::read_manifest(&root)?;
        } else if self.task.does == Does::Read {
            // A command that only prints says itself what it cannot read.
            self.manifest = project::read_manifest(&root).ok().flatten();
        }
        if let Some(manifest) = self.manifest.as_ref().filter(|_| self.task.installs()) {
            self.workspaces = project::workspaces(&root, manifest)?;
            manifests.push((root.clone(), manifest.clone()));
        }
        if self.task.installs() {
            findings = project::check(&root, &self.workspaces);
            for workspace in &self.workspaces {
                match project::read_manifest(workspace) {
                    Ok(manifest) => manifests.extend(manifest.map(|m| (workspace.clone(), m))),
                    Err(finding) => findings.push(finding),
                }
            }
        }
        stop_on(&findings, &mut self.events)?;
        if self.task.installs() {
            self.read_lock()?;
            for (directory, _) in &manifests {
                self.input("package.json", &directory.join("package.json"));
            }
        }
        self.with_words(&manifests)
    }

    /// Whether npm reads and writes a lockfile.
    fn uses_lock(&self) -> bool {
        let keys = ["package-lock", "shrinkwrap"];
        let off = keys
            .iter()
            .any(|key| self.config.passed(key) == Some("false"));
        self.task.name == "ci" || !off
    }

    /// Reads the lockfile when npm will.
    fn read_lock(&mut self) -> Result<(), Refusal> {
        let clean = self.task.name == "ci";
        if !self.uses_lock() {
            return Ok(());
        }
        self.lock = lockfile::load(&self.location.root)?;
        if clean && self.lock.is_none() {
            return Err(lockfile::missing(&self.location.root).into());
        }
        if let Some(lock) = &self.lock {
            let (name, path) = (lock.name(), lock.path.clone());
            self.input(&name, &path);
        }
        Ok(())
    }

    /// Records an input that the run is anchored to.
    fn input(&mut self, name: &str, path: &Path) {
        let known = self
            .lock
            .as_ref()
            .filter(|lock| lock.path == path)
            .map(|lock| lock.bytes.clone());
        let bytes = known.or_else(|| {
            read::inside(&self.location.root, path, super::manifest::LIMIT)
                .ok()
                .flatten()
        });
        if let Some(sha256) = bytes.and_then(|bytes| read::sha256(&bytes)) {
            self.events.push(Event::InputRead {
                name: name.to_owned(),
                path: path.display().to_string(),
                sha256,
            });
        }
    }

    /// Checks lock entries, dependencies and the words of the command line.
    fn with_words(mut self, manifests: &[(PathBuf, Manifest)]) -> Result<Self, Refusal> {
        let checker = Checker {
            root: &self.location.root,
            registries: &self.places.registries,
            repositories: &self.places.repositories,
        };
        let mut findings = Vec::new();
        if let Some(lock) = &self.lock {
            let all: Vec<Manifest> = manifests
                .iter()
                .map(|(_, manifest)| manifest.clone())
                .collect();
            self.promises = checker.lock(lock, &all);
            findings.append(&mut self.promises.findings);
        }
        if self.task.installs() {
            for (directory, manifest) in manifests {
                findings.extend(checker.manifest(manifest, directory, &self.promises));
            }
        }
        self.directories = linked(&self.location.root, self.lock.as_ref(), manifests);
        let adds = matches!(self.task.name.as_str(), "install" | "update") && self.task.installs();
        for word in self.task.words.iter().filter(|_| adds) {
            let kind = spec::of_argument(word);
            if self.global && matches!(kind, spec::Spec::Directory(_) | spec::Spec::File(_)) {
                let message = "is a local path; the global tree takes packages of a registry only";
                findings.push(Finding::new(Code::DependencyRefused, word, message));
                continue;
            }
            // npm takes a relative path from the project's root, a shell user from where he stands.
            let places = [&self.request.directory, &self.location.root];
            let check =
                |from: &&PathBuf| checker.specification(&kind, word, from, &self.promises, word);
            findings.extend(places.iter().find_map(check));
            if let spec::Spec::Directory(path) = &kind {
                let found = places.map(|from| project::resolve(from, path));
                let own = |path: &PathBuf| path.is_dir() && *path != self.location.root;
                self.directories.extend(found.into_iter().filter(own));
            }
        }
        if self.global && adds && self.task.words.is_empty() {
            let message = "would link the working directory into the global tree";
            findings.push(Finding::new(
                Code::DependencyRefused,
                "npm install -g",
                message,
            ));
        }
        let root = self.location.root.display().to_string();
        stop_on(&check::bounded(findings, &root), &mut self.events)?;
        Ok(self)
    }
}
