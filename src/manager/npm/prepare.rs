//! Makes the plan of a run: reads, checks, and puts the parts together.
//!
//! In this order, each step only when the former holds: command line, project, runtime,
//! configuration, repositories, manifests and lockfile, launch. All problems of a step are reported
//! together. Nothing is written outside the run's private directories.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::args::{self, Parsed};
use super::check::{self, Checker, Promises};
use super::config::{Config, Origin, Surroundings};
use super::find::{Runtime, Search};
use super::lockfile::{self, Lock};
use super::manifest::{Manifest, PROJECT_HOOKS};
use super::network::{self, Places};
use super::plan::{Grounds, Writes};
use super::project::{self, Location};
use super::subcommand::Task;
use super::{definitions, spec};
use crate::manager::{Prepared, Project, Promotion, Refusal, Request, read};
use crate::model::{Code, Event, FileGuard, Finding, Launch, Network, Severity, Tool, View};
use crate::profile::{Does, Profile, Writes as Scope};

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
    manifest: Option<Manifest>,
    workspaces: Vec<PathBuf>,
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
        manifest: None,
        workspaces: Vec::new(),
        lock: None,
        promises: Promises::default(),
        events,
    };
    facts.with_project()?.plan()
}

/// Arguments as npm will see them.
fn texts(arguments: &[OsString]) -> Result<Vec<String>, Finding> {
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
        hits.filter(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.to_owned())
            .last()
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
        let mut findings = project::check(&root, &[]);
        let mut manifests = Vec::new();
        if self.task.installs() || self.task.does == Does::Read {
            self.manifest = project::read_manifest(&root)?;
        }
        if let Some(manifest) = &self.manifest {
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

    /// Reads the lockfile when npm will.
    fn read_lock(&mut self) -> Result<(), Refusal> {
        let clean = self.task.name == "ci";
        let off = ["package-lock", "shrinkwrap"]
            .iter()
            .any(|key| self.config.passed(key) == Some("false"));
        if off && !clean {
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
        let adds = matches!(self.task.name.as_str(), "install" | "update") && self.task.installs();
        for word in self.task.words.iter().filter(|_| adds) {
            let kind = spec::of_argument(word);
            if self.global && matches!(kind, spec::Spec::Directory(_) | spec::Spec::File(_)) {
                let message = "is a local path; the global tree takes packages of a registry only";
                findings.push(Finding::new(Code::DependencyRefused, word, message));
                continue;
            }
            findings.extend(checker.specification(
                &kind,
                word,
                &self.request.directory,
                &self.promises,
                word,
            ));
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

    fn is_dry(&self) -> bool {
        ["dry-run", "package-lock-only"]
            .iter()
            .any(|key| self.config.passed(key) == Some("true"))
    }

    /// Whether advisories are asked for, as npm would.
    fn audits(&self) -> bool {
        self.task.name == "audit" || self.config.passed("audit") != Some("false")
    }

    /// Writes the plan down.
    fn plan(mut self) -> Result<Prepared, Refusal> {
        let (anchors, notes) = network::anchors(
            &self.config,
            &self.request.directory,
            self.request.home.as_deref(),
        );
        self.events.extend(notes.into_iter().map(Event::Found));
        let writes = self.writes();
        let npm = self.npm_to_run(&writes)?;
        let project = (!self.global).then_some(self.location.root.as_path());
        let tree = self.config.prefix.join("lib/node_modules");
        let (rules, runtime_roots) = Grounds {
            profile: &self.profile,
            runtime: &self.runtime,
            private: self.request.private,
            npm: &npm,
            project,
            global: Some(tree.as_path()).filter(|_| self.global),
            home: self.request.home.as_deref(),
            workspaces: &self.workspaces,
            writes: &writes,
        }
        .rules();
        let (home, empty) = self.write_configuration()?;
        let promotions = self.promotions()?;
        let mut arguments = vec![self.runtime.node.clone().into_os_string()];
        arguments.push(npm.join("bin/npm-cli.js").into_os_string());
        arguments.extend(self.command_line().into_iter().map(OsString::from));
        let launch = Launch {
            executable: self.runtime.node.clone().into_os_string(),
            arguments,
            environment: self.environment(&home, &empty),
            directory: self.request.directory.clone().into_os_string(),
            rules,
        };
        let files = self.guard(runtime_roots)?;
        let (upstream_proxy, no_proxy) = network::way_out(&self.config, self.request.environment);
        let network = Network {
            protocol: self.profile.protocol.clone(),
            token: self.request.token.clone(),
            repositories: self.places.repositories.clone(),
            extra_anchors: anchors,
            expected: std::mem::take(&mut self.promises.expected),
            audit: self.audits(),
            upstream_proxy,
            no_proxy,
            store: OsString::new(),
            run: String::new(),
        };
        self.suppressed();
        Ok(Prepared {
            launch,
            files,
            network,
            tools: self.tools(),
            seeds: writes.seeds(),
            promotions,
            project: self.identity(),
            installs: self.task.installs() && !self.is_dry(),
            events: self.events,
        })
    }

    /// What the task changes.
    fn writes(&self) -> Writes {
        let mut writes = Writes::default();
        if !self.task.installs() {
            return writes;
        }
        if self.global {
            let prefix = &self.config.prefix;
            for (path, why) in [
                ("lib/node_modules", "global packages"),
                ("bin", "links to the programs of global packages"),
                ("share/man", "links to the manuals of global packages"),
            ] {
                writes.directories.push((prefix.join(path), why));
            }
            return writes;
        }
        let on = |key: &str| self.config.passed(key) == Some("true");
        if on("dry-run") {
            return writes;
        }
        let root = &self.location.root;
        if !on("package-lock-only") {
            let places = std::iter::once(root).chain(&self.workspaces);
            let trees = places.map(|place| (place.join("node_modules"), "installed packages"));
            writes.directories.extend(trees);
        }
        if self.task.writes == Scope::Project {
            writes.files = self.written_files();
        }
        writes
    }

    /// Manifests and lockfiles that the task changes.
    fn written_files(&self) -> Vec<(PathBuf, Option<Vec<u8>>)> {
        let root = &self.location.root;
        let mut files = vec![(root.join("package.json"), Some(b"{}".to_vec()))];
        let shrinkwrap = root.join("npm-shrinkwrap.json");
        if shrinkwrap.is_file() {
            files.push((shrinkwrap, None));
        } else {
            let name = root
                .file_name()
                .map(|name| name.to_string_lossy().into_owned());
            let value = serde_json::json!({
                "name": name.unwrap_or_default(),
                "lockfileVersion": 3,
                "requires": true,
                "packages": {},
            });
            let text = serde_json::to_string_pretty(&value).unwrap_or_default();
            files.push((
                root.join("package-lock.json"),
                Some(format!("{text}\n").into_bytes()),
            ));
        }
        let yarn = root.join("yarn.lock");
        if yarn.is_file() {
            files.push((yarn, None));
        }
        files.extend(
            self.workspaces
                .iter()
                .map(|place| (place.join("package.json"), None)),
        );
        files
    }

    /// npm's package as it is run. A run that writes to the tree that npm lies in runs a copy: code
    /// that runs must not be writable.
    fn npm_to_run(&self, writes: &Writes) -> Result<PathBuf, Finding> {
        let npm = &self.runtime.npm;
        let inside = |path: &Path| path.canonicalize().is_ok_and(|path| npm.starts_with(path));
        if !writes.directories.iter().any(|(path, _)| inside(path)) {
            return Ok(npm.clone());
        }
        let copy = self.request.private.config.join("npm");
        super::tree::copy(npm, &copy).map_err(|error| {
            let message = format!("npm cannot be copied to a private directory: {error}");
            Finding::new(
                Code::SandboxUnenforceable,
                npm.display().to_string(),
                message,
            )
        })?;
        Ok(copy)
    }

    /// Writes the configuration that npm is shown. npm insists on two different files.
    fn write_configuration(&self) -> Result<(PathBuf, PathBuf), Finding> {
        let directory = &self.request.private.config;
        let (user, global) = (directory.join("user.npmrc"), directory.join("global.npmrc"));
        let text = self.config.user_file(&self.places.registries.scopes);
        for (path, text) in [(&user, text.as_str()), (&global, "")] {
            std::fs::write(path, text).map_err(|error| {
                let message = format!("npm's configuration cannot be written: {error}");
                Finding::new(
                    Code::SandboxUnenforceable,
                    path.display().to_string(),
                    message,
                )
            })?;
        }
        Ok((user, global))
    }

    /// Subcommand, the user's options that were handed on, v4run's own, then the words.
    fn command_line(&self) -> Vec<String> {
        let mut line = Vec::new();
        if !self.task.name.is_empty() {
            line.push(self.task.name.clone());
        }
        line.extend(self.config.foreign.iter().cloned());
        for setting in self
            .config
            .passed
            .iter()
            .filter(|s| s.origin == Origin::Cli)
        {
            line.push(format!("--{}={}", setting.key, setting.value));
        }
        line.extend(self.fixed());
        if !self.task.words.is_empty() {
            line.push("--".to_owned());
            line.extend(self.task.words.iter().cloned());
        }
        line
    }

    /// v4run's own options. Options that this npm does not define would only draw a warning.
    fn fixed(&self) -> Vec<String> {
        let known = definitions::text(&self.runtime.npm).unwrap_or_default();
        let mut options = vec![
            ("ignore-scripts", "true".to_owned()),
            ("allow-git", "none".to_owned()),
            ("strict-ssl", "true".to_owned()),
            ("registry", self.places.registries.default.to_string()),
            ("audit", self.audits().to_string()),
            ("fund", "false".to_owned()),
            ("update-notifier", "false".to_owned()),
            ("fetch-retries", "0".to_owned()),
            ("offline", "false".to_owned()),
            ("browser", "false".to_owned()),
            ("logs-max", "0".to_owned()),
            ("cache", text_of(&self.request.private.cache)),
        ];
        if self.task.does == Does::Pack {
            options.push(("pack-destination", text_of(&self.pack_directory())));
        }
        if self.global {
            options.push(("global", "true".to_owned()));
            options.push(("prefix", text_of(&self.config.prefix)));
        } else if self.parsed.last("prefix").is_some() {
            options.push(("prefix", text_of(&self.location.root)));
        }
        let defined = |key: &str| known.is_empty() || definitions::defines(&known, key);
        options.retain(|(key, _)| defined(key));
        options
            .into_iter()
            .map(|(key, value)| format!("--{key}={value}"))
            .collect()
    }

    fn environment(&self, user: &Path, global: &Path) -> Vec<(OsString, OsString)> {
        let request = self.request;
        let private = request.private;
        let proxy = format!(
            "http://v4run:{}@127.0.0.1:{}",
            request.token.expose(),
            request.proxy_port
        );
        let authority = private.certificate().into_os_string();
        let mut environment: Vec<(OsString, OsString)> = Vec::new();
        let mut set = |name: &str, value: &dyn AsRef<std::ffi::OsStr>| {
            environment.push((OsString::from(name), value.as_ref().to_owned()));
        };
        let node = self.runtime.node.parent().unwrap_or(Path::new("/usr/bin"));
        set("PATH", &node);
        set("HOME", &private.home);
        set("TMPDIR", &private.tmp);
        for (name, value) in request.environment {
            if name.to_str().is_some_and(|name| self.profile.passes(name)) {
                set(&name.to_string_lossy(), value);
            }
        }
        for name in [
            "HTTPS_PROXY",
            "https_proxy",
            "npm_config_https_proxy",
            "npm_config_proxy",
        ] {
            set(name, &proxy);
        }
        set("npm_config_noproxy", &"v4run.invalid");
        set("NODE_EXTRA_CA_CERTS", &authority);
        set("npm_config_cafile", &authority);
        set("npm_config_strict_ssl", &"true");
        set("npm_config_ignore_scripts", &"true");
        set("npm_config_update_notifier", &"false");
        set("npm_config_cache", &private.cache);
        set("npm_config_logs_dir", &private.cache.join("_logs"));
        set("npm_config_userconfig", &user);
        set("npm_config_globalconfig", &global);
        if !self.global {
            // Where npm looks for global packages stays what it is for the caller.
            set("npm_config_prefix", &self.config.prefix);
        }
        for setting in self
            .config
            .passed
            .iter()
            .filter(|s| s.origin == Origin::Environment)
        {
            set(
                &format!("npm_config_{}", setting.key.replace('-', "_")),
                &setting.value,
            );
        }
        environment
    }

    fn guard(&self, runtime_roots: Vec<OsString>) -> Result<FileGuard, Finding> {
        let magic = self.profile.magic().map_err(|error| {
            Finding::new(Code::Internal, "profiles/npm.toml", error.to_string())
        })?;
        let mut views = Vec::new();
        if let Some((path, _)) = &self.config.project_file {
            let content = self.config.project_text().into_bytes();
            views.push(View {
                path: path.clone().into_os_string(),
                content,
            });
        }
        if let Some(lock) = self
            .lock
            .as_ref()
            .filter(|_| self.task.writes == Scope::Tree)
        {
            // What was checked is what npm reads, whoever changes the file meanwhile.
            let path = lock
                .path
                .canonicalize()
                .unwrap_or_else(|_error| lock.path.clone());
            views.push(View {
                path: path.into_os_string(),
                content: lock.bytes.clone(),
            });
        }
        Ok(FileGuard {
            runtime_roots,
            artifact_names: self.profile.artifacts.names.clone(),
            artifact_magic: magic,
            views,
            known: self
                .promises
                .archives
                .iter()
                .map(|(_, integrity)| integrity.clone())
                .collect(),
            probes: self.profile.probes.clone(),
        })
    }

    fn pack_directory(&self) -> PathBuf {
        self.request.private.tmp.join("pack")
    }

    /// Where packed files go after success.
    fn promotions(&self) -> Result<Vec<Promotion>, Finding> {
        if self.task.does != Does::Pack || self.is_dry() {
            return Ok(Vec::new());
        }
        let from = self.pack_directory();
        let stated = self
            .config
            .taken("pack-destination")
            .map(|setting| setting.value.as_str());
        let to = self.request.directory.join(stated.unwrap_or("."));
        std::fs::create_dir_all(&from).map_err(|error| {
            let message = format!("cannot be made: {error}");
            Finding::new(
                Code::SandboxUnenforceable,
                from.display().to_string(),
                message,
            )
        })?;
        Ok(vec![Promotion { from, to }])
    }

    fn tools(&self) -> Vec<Tool> {
        let tool = |name: &str, version: &Option<String>, path: &Path| Tool {
            name: name.to_owned(),
            version: version.clone(),
            path: path.display().to_string(),
            sha256: None,
        };
        vec![
            tool("npm", &self.runtime.version, &self.runtime.script()),
            tool("node", &self.runtime.node_version, &self.runtime.node),
        ]
    }

    fn identity(&self) -> Project {
        if self.global {
            return Project {
                root: self.config.prefix.join("lib"),
                name: None,
                version: None,
            };
        }
        let manifest = self.manifest.as_ref();
        Project {
            root: self.location.root.clone(),
            name: manifest.and_then(|manifest| manifest.name.clone()),
            version: manifest.and_then(|manifest| manifest.version.clone()),
        }
    }

    /// The project's own hooks, which npm would run after an install without arguments.
    fn suppressed(&mut self) {
        let bare =
            self.task.words.is_empty() && matches!(self.task.name.as_str(), "ci" | "install");
        let Some(manifest) = self.manifest.as_ref().filter(|_| bare && !self.global) else {
            return;
        };
        let name = manifest.name.clone().unwrap_or_default();
        let version = manifest.version.clone().unwrap_or_default();
        let hooks =
            manifest
                .hooks(PROJECT_HOOKS)
                .map(|(script, command)| Event::ScriptSuppressed {
                    name: name.clone(),
                    version: version.clone(),
                    path: String::new(),
                    script: script.to_owned(),
                    command: command.to_owned(),
                });
        let hooks: Vec<Event> = hooks.collect();
        self.events.extend(hooks);
    }
}

fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
