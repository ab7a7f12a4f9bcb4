//! Makes the plan of a uv run: finds, checks, and writes the launch down.
//!
//! In this order, each step only when the former holds: command line, uv's program, everything that
//! uv would take settings from, interpreter and environment, then query and launch. The only writes
//! are into the run's private directories.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::find::{self, Program, Wanted};
use super::launch::CERTIFICATES;
use super::line::{self, Command, Line, variable};
use super::locked;
use super::query::Question;
use super::wants::{self, Wants};
use crate::manager::place::resolved;
use crate::manager::python::find::absolute;
use crate::manager::python::network::{layout, pins, repositories};
use crate::manager::python::scheme::{Install, LANDMARKS};
use crate::manager::python::target::Target;
use crate::manager::python::{inspect, project};
use crate::manager::rules::{self, Grounds, Writes};
use crate::manager::{Call, Prepared, Project, Promotion, Reach, Refusal, Request};
use crate::model::{Code, Event, FileGuard, Finding, Launch, Layout, Network, Signing, Tool, View};
use crate::profile::Profile;

/// Places below the base of an installation that packages put files in.
const PARTS: &[&str] = &["bin", "include", "share", "etc", "man"];

/// See [`crate::manager::Manager::prepare`].
pub(super) fn prepare(request: &Request<'_>) -> Result<Prepared, Refusal> {
    let profile = Profile::parse(super::PROFILE)
        .map_err(|error| Finding::new(Code::Internal, "profiles/uv.toml", error.to_string()))?;
    let (line, notes) = line::read(request.arguments, request.environment, &profile)?;
    let call = Call {
        word: request.word,
        directory: &request.directory,
        environment: request.environment,
        home: request.home.as_deref(),
    };
    let pinned = request.policy.managers.get("uv").map(PathBuf::as_path);
    let program = find::program(&call, pinned)?;
    let mut wants = wants::read(request, &line, &program, &profile)?;
    wants.events.extend(notes.into_iter().map(Event::Found));
    let environment = environment_of(request, &wants, &line);
    let target = interpreter(call, &line, &wants, environment.as_deref())?;
    Plan {
        request,
        profile,
        line,
        program,
        wants,
        environment,
        target,
    }
    .write()
}

/// See [`crate::manager::Manager::reach`].
pub(super) fn reach(call: &Call<'_>) -> Reach {
    let mut reach = Reach::default();
    if let Some(home) = call.home {
        let files = [".config/uv/uv.toml", ".netrc"];
        reach.read.extend(files.map(|name| home.join(name)));
    }
    // What is wrong with it is said when the run is prepared.
    reach
        .read
        .extend(find::program(call, None).map(|program| program.path));
    let active = variable(call.environment, "VIRTUAL_ENV").map(PathBuf::from);
    let own = call.directory.join(".venv");
    let environments = active
        .into_iter()
        .chain(Some(own))
        .filter(|path| path.exists());
    reach.write.extend(environments);
    reach
}

/// The environment that a project command is about, or that is made.
fn environment_of(request: &Request<'_>, wants: &Wants, line: &Line) -> Option<PathBuf> {
    let directory = &request.directory;
    if line.command == Command::Venv {
        let word = wants.words.first().map_or(".venv", String::as_str);
        return Some(directory.join(word));
    }
    let project = wants
        .project
        .as_ref()
        .filter(|_| line.command == Command::Sync)?;
    let active = variable(request.environment, "VIRTUAL_ENV")
        .filter(|_| wants.judged.last("active").is_some());
    let named = active.or_else(|| variable(request.environment, "UV_PROJECT_ENVIRONMENT"));
    Some(project.join(named.unwrap_or(".venv")))
}

fn interpreter(
    call: Call<'_>,
    line: &Line,
    wants: &Wants,
    environment: Option<&Path>,
) -> Result<Option<Target>, Finding> {
    if line.command == Command::Help {
        return Ok(None);
    }
    let judged = &wants.judged;
    let python = judged.last("python");
    let found = Wanted {
        call,
        command: line.command,
        python: python.map(|setting| (setting.text(), setting.place.as_str())),
        system: judged.last("system").is_some(),
        elsewhere: judged.last("target").is_some() || judged.last("prefix").is_some(),
        project: environment.filter(|_| line.command == Command::Sync),
    }
    .find()?;
    Target::bare(&found, call.environment, call.home).map(Some)
}

/// Everything that is known before the launch is written down.
pub(super) struct Plan<'a> {
    pub(super) request: &'a Request<'a>,
    pub(super) profile: Profile,
    pub(super) line: Line,
    pub(super) program: Program,
    pub(super) wants: Wants,
    /// The project's environment, or the one that is made.
    pub(super) environment: Option<PathBuf>,
    /// The interpreter and its environment.
    pub(super) target: Option<Target>,
}

impl Plan<'_> {
    fn write(mut self) -> Result<Prepared, Refusal> {
        let changed = self.changed();
        let mut writes = Writes::default();
        let mut protected = Vec::new();
        if let (Some(install), Some(target)) = (&changed, &self.target) {
            self.stays(&install.base)?;
            self.grant(install, target, &mut writes, &mut protected);
        }
        // A rehearsal takes the environment's lock too, and installs nothing.
        let install = changed.filter(|_| !self.is_rehearsal());
        self.write_files()?;
        let (rules, runtime_roots) = self.grounds(&writes).rules();
        let queries = self.target.iter().map(|target| {
            Question {
                profile: &self.profile,
                program: &self.program,
                target,
                private: self.request.private,
                environment: self.query_environment(),
            }
            .plan()
        });
        let queries = queries.collect();
        let launch = Launch {
            executable: self.program.path.clone().into(),
            arguments: self.command_line()?,
            environment: self.environment(),
            directory: self.request.directory.clone().into(),
            rules,
            child: None,
            build: None,
        };
        let files = self.guard(runtime_roots, protected)?;
        let network = self.network(install.as_ref())?;
        let installs = install.is_some();
        let looked = install.or_else(|| self.target.as_ref().map(Install::of));
        let looked = looked.unwrap_or_default();
        let stated = project::stated(&self.request.directory);
        Ok(Prepared {
            queries,
            launch,
            files,
            network,
            tools: self.tools(),
            seeds: writes.seeds(),
            promotions: self.promotions(),
            project: Project {
                root: looked.base.clone(),
                name: stated.0,
                version: stated.1,
            },
            installs,
            locked: false,
            notes: self.notes(&looked),
            events: std::mem::take(&mut self.wants.events),
        })
    }

    /// What the look afterwards has to know.
    fn notes(&self, looked: &Install) -> BTreeMap<String, String> {
        let mut notes = inspect::notes(looked, None, &self.wants.requirements);
        if self.line.command == Command::Sync {
            notes.extend([locked::note(&self.wants.locked)]);
        }
        notes
    }

    /// Where packages go, if the command is one that changes an environment.
    fn changed(&self) -> Option<Install> {
        let target = self.target.as_ref()?;
        let changes = matches!(
            self.line.command,
            Command::Install
                | Command::PipSync
                | Command::Uninstall
                | Command::Sync
                | Command::Venv
        );
        if !changes {
            return None;
        }
        let judged = &self.wants.judged;
        let named = |rule: &str| {
            let setting = judged.last(rule)?;
            Some(self.request.directory.join(setting.text()))
        };
        Some(if let Some(directory) = named("target") {
            Install::flat(directory)
        } else if let Some(prefix) = named("prefix") {
            Install::below(target, &prefix)
        } else {
            match &self.environment {
                Some(place) if *place != target.prefix => Install::below(target, place),
                Some(_) | None => Install::of(target),
            }
        })
    }

    fn grant(
        &self,
        install: &Install,
        target: &Target,
        writes: &mut Writes,
        protected: &mut Vec<OsString>,
    ) {
        let why = "the environment that is installed into";
        let base = &install.base;
        let own = !target.is_virtual() && *base == target.data;
        let directories = &mut writes.directories;
        if own || !self.is_whole(base, target) {
            let packages = install.packages.iter().cloned();
            let parts = PARTS.iter().map(|part| base.join(part));
            let there = packages.chain(parts).filter(|path| path.is_dir());
            directories.extend(there.map(|path| (path, why)));
        } else {
            directories.push((base.clone(), why));
        }
        for (path, _) in directories {
            if let Ok(real) = path.canonicalize() {
                *path = real;
            }
        }
        // Wherever they lie below what is granted.
        protected.extend(names(target));
    }

    /// Whether a directory is for packages alone, so that it can be granted as a whole.
    fn is_whole(&self, base: &Path, target: &Target) -> bool {
        let real = base
            .canonicalize()
            .unwrap_or_else(|_new| base.to_path_buf());
        let home = self.request.home.as_deref();
        let holds = |path: &Path| path.starts_with(&real);
        let others = [&target.library, &target.interpreter, &self.program.path];
        !others.into_iter().any(|path| holds(path))
            && !home.is_some_and(holds)
            && !holds(&self.request.private.config)
    }

    /// A directory of the project that a link leads out of it is not what the user named.
    fn stays(&self, base: &Path) -> Result<(), Finding> {
        let root = &self.wants.root;
        let path = absolute(&self.request.directory.join(base));
        let real = path.ancestors().find_map(|place| place.canonicalize().ok());
        if !path.starts_with(root) || real.as_ref().is_some_and(|real| real.starts_with(root)) {
            return Ok(());
        }
        let shown = path.display().to_string();
        let message = format!(
            "leads out of the project through a link, to {}",
            real.unwrap_or_default().display()
        );
        let hint = "name that directory itself if you mean it, with VIRTUAL_ENV or `--python`";
        Err(Finding::new(Code::ConfigRefused, shown, message).with_hint(hint))
    }

    fn grounds<'b>(&'b self, writes: &'b Writes) -> Grounds<'b> {
        let request = self.request;
        let mut readable = Vec::new();
        let mut read = |path: &Path, why: &'static str| {
            readable.extend(path.canonicalize().ok().map(|path| (path, why)));
        };
        if let Some(target) = &self.target {
            let packages = target.search.iter().chain(&target.site_packages);
            packages.for_each(|path| read(path, "packages that are installed already"));
            read(
                &target.prefix.join("pyvenv.cfg"),
                "settings of the environment",
            );
            read(
                &target.interpreter,
                "the interpreter that scripts will name",
            );
            let managed = target.library.join("EXTERNALLY-MANAGED");
            read(&managed, "whether the distribution manages its packages");
        }
        for document in &self.wants.config.documents {
            read(&document.path, "the project's own statements");
        }
        if let Some(project) = &self.wants.project {
            read(&super::lockfile::path(project), "the project's lock");
        }
        for directory in request.directory.ancestors() {
            read(
                &directory.join(".python-version"),
                "the version that is asked for",
            );
        }
        for path in self.wants.reads.iter().chain(&self.wants.links) {
            read(path, "a file or directory that the command names");
        }
        for setting in self.wants.judged.all("path") {
            let path = request.directory.join(setting.text());
            read(&path, "a directory that the command names");
        }
        Grounds {
            profile: &self.profile,
            private: request.private,
            manager: "uv",
            program: (&self.program.path, "uv installs"),
            needs: &self.program.needs,
            runtime: Vec::new(),
            readable,
            project: Some(request.directory.as_path()).filter(|path| path.parent().is_some()),
            broad: rules::is_broad(&request.directory, request.home.as_deref(), request.private),
            writes,
        }
    }

    fn guard(
        &self,
        runtime_roots: Vec<OsString>,
        protected: Vec<OsString>,
    ) -> Result<FileGuard, Finding> {
        let magic = self
            .profile
            .magic()
            .map_err(|error| Finding::new(Code::Internal, "profiles/uv.toml", error.to_string()))?;
        let real = |path: &Path| resolved(&self.request.directory.join(path)).into_os_string();
        let shown = self.wants.views.iter();
        let shown = shown.map(|(path, content)| View {
            path: real(path),
            content: content.clone(),
        });
        // A file that changes after the check changes nothing.
        let documents = self.wants.config.documents.iter().map(|document| View {
            path: document.path.clone().into(),
            content: document.text.clone().into_bytes(),
        });
        let pinned = self.wants.pinned.iter();
        Ok(FileGuard {
            runtime_roots,
            protected,
            artifact_names: self.profile.artifacts.names.clone(),
            artifact_magic: magic,
            views: shown.chain(documents).collect(),
            pinned: pinned
                .map(|(path, integrity)| (real(path), integrity.clone()))
                .collect(),
            probes: self.profile.probes.clone(),
            ..FileGuard::default()
        })
    }

    fn network(&mut self, install: Option<&Install>) -> Result<Network, Finding> {
        let repositories = repositories(&self.wants.indexes.effective, self.request);
        let trust = &mut self.wants.trust;
        Ok(Network {
            protocol: self.profile.protocol.clone(),
            token: self.request.token.clone(),
            pins: pins(&self.request.policy.pins, &repositories)?,
            release_age: None,
            repositories,
            extra_anchors: std::mem::take(&mut trust.anchors),
            expected: std::mem::take(&mut self.wants.expected),
            signing: Signing::default(),
            audit: false,
            closed: false,
            sources: false,
            built: Vec::new(),
            upstream_proxy: trust.proxy.take(),
            no_proxy: std::mem::take(&mut trust.no_proxy),
            refused: Vec::new(),
            store: OsString::new(),
            run: String::new(),
            layout: match (install, &self.target) {
                (Some(install), Some(target)) => layout(target, install, &self.profile.programs),
                _ => Layout::default(),
            },
        })
    }

    fn tools(&self) -> Vec<Tool> {
        let tool = |name: &str, version: Option<String>, path: &Path| Tool {
            name: name.to_owned(),
            version,
            path: path.display().to_string(),
            sha256: None,
        };
        let mut tools = vec![tool("uv", None, &self.program.path)];
        tools.extend(self.target.iter().map(|target| {
            let version = Some(target.python.clone()).filter(|version| !version.is_empty());
            tool("python", version, &target.interpreter)
        }));
        tools
    }

    /// Files that the command line and the environment refer to.
    fn write_files(&self) -> Result<(), Finding> {
        let config = &self.request.private.config;
        make(&config.join(CERTIFICATES))?;
        for place in ["user", "system"] {
            make(&self.shown_files(place).join("uv"))?;
        }
        for (place, text) in &self.wants.config.written {
            let directory = self.shown_files(place).join("uv");
            make(&directory)?;
            write(&directory.join("uv.toml"), text.as_bytes())?;
        }
        for (name, content) in &self.wants.generated {
            write(&config.join(name), content)?;
        }
        if let Some(project) = self.locked_project() {
            let place = self.lock_directory();
            make(&place)?;
            let failed = |error| unwritable(&place, &error);
            let own = project.join("pyproject.toml");
            std::os::unix::fs::symlink(own, place.join("pyproject.toml")).map_err(failed)?;
            let lock = super::lockfile::path(project);
            // To upgrade all is to resolve without the former lock.
            let anew = self.wants.judged.last("upgrade-all").is_some();
            if lock.is_file() && !anew {
                std::fs::copy(&lock, place.join("uv.lock")).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// The project whose lock is made.
    fn locked_project(&self) -> Option<&PathBuf> {
        let project = self.wants.project.as_ref();
        project.filter(|_| self.line.command == Command::Lock)
    }

    /// A lock moves to its place when uv succeeded.
    fn promotions(&self) -> Vec<Promotion> {
        let changes = !self.is_rehearsal() && self.wants.judged.last("locked").is_none();
        let project = self.locked_project().filter(|_| changes);
        let promotion = project.map(|project| Promotion {
            from: self.lock_directory(),
            to: project.clone(),
        });
        promotion.into_iter().collect()
    }
}

/// The interpreter's names and the environment's settings.
fn names(target: &Target) -> Vec<OsString> {
    let (major, minor) = target.python_version;
    let programs = ["python".to_owned(), "python3".to_owned()];
    let programs = programs
        .into_iter()
        .chain([format!("python{major}.{minor}")]);
    let mut names: Vec<PathBuf> = programs.map(|name| target.scripts.join(name)).collect();
    names.push(target.prefix.join("pyvenv.cfg"));
    names.push(target.interpreter.clone());
    names.push(target.executable.clone());
    names.retain(|path| std::fs::symlink_metadata(path).is_ok());
    let beside = [Some(target.scripts.as_path()), target.interpreter.parent()];
    for place in beside.into_iter().flatten() {
        // Made beside a program they would move its standard library.
        names.extend(LANDMARKS.map(|name| place.join(name)));
    }
    let real = |path: PathBuf| match (path.parent().map(Path::canonicalize), path.file_name()) {
        (Some(Ok(parent)), Some(name)) => parent.join(name),
        _ => path,
    };
    names
        .into_iter()
        .map(|path| real(path).into_os_string())
        .collect()
}

fn make(directory: &Path) -> Result<(), Finding> {
    std::fs::create_dir_all(directory).map_err(|error| unwritable(directory, &error))
}

fn write(path: &Path, content: &[u8]) -> Result<(), Finding> {
    std::fs::write(path, content).map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Finding {
    let message = format!("cannot be made: {error}");
    Finding::new(
        Code::SandboxUnenforceable,
        path.display().to_string(),
        message,
    )
}
