//! Writes the plan down: command line, environment, configuration files, rules, network.
//!
//! Second half of the preparation; everything that comes here has been checked. npm is shown full
//! option names, generated configuration and nothing of the caller's environment that the profile
//! does not name. The only writes are into the run's private directories.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Facts;
use crate::manager::copy::{Links, copy};
use crate::manager::npm::config::Origin;
use crate::manager::npm::find::Runtime;
use crate::manager::npm::manifest::PROJECT_HOOKS;
use crate::manager::npm::plan::Grounds;
use crate::manager::npm::{definitions, network, project};
use crate::manager::rules::Writes;
use crate::manager::{Prepared, Project, Promotion, Refusal};
use crate::model::{
    Code, Event, FileGuard, Finding, Integrity, Launch, Layout, Network, Signing, Tool, View,
};
use crate::profile::{Does, Writes as Scope};

/// Files of an npm with what its links lead to; distributions share packages by links.
const FILES: usize = 200_000;

impl Facts<'_> {
    fn is_dry(&self) -> bool {
        ["dry-run", "package-lock-only"]
            .iter()
            .any(|key| self.config.passed(key) == Some("true"))
    }

    /// Whether advisories are asked for, as npm would.
    fn audits(&self) -> bool {
        let wanted = self.config.passed("audit") != Some("false");
        self.task.name == "audit" || (self.task.installs() && wanted)
    }

    /// Writes the plan down.
    pub(super) fn plan(mut self) -> Result<Prepared, Refusal> {
        let (anchors, notes) = network::anchors(
            &self.config,
            &self.request.directory,
            self.request.home.as_deref(),
        );
        self.events.extend(notes.into_iter().map(Event::Found));
        let writes = self.writes();
        let running = self.running(&writes)?;
        let project = Some(self.location.root.as_path()).filter(|_| !self.global);
        let project = project.filter(|root| root.parent().is_some());
        let tree = self.config.prefix.join("lib/node_modules");
        let (rules, runtime_roots) = Grounds {
            profile: &self.profile,
            runtime: &running,
            private: self.request.private,
            project,
            global: Some(tree.as_path()).filter(|_| self.global),
            home: self.request.home.as_deref(),
            workspaces: &self.workspaces,
            writes: &writes,
        }
        .rules();
        let (home, empty) = self.write_configuration()?;
        let promotions = self.promotions()?;
        let mut arguments = vec![running.node.clone().into_os_string()];
        arguments.push(running.script().into_os_string());
        arguments.extend(self.command_line().into_iter().map(OsString::from));
        let launch = Launch {
            executable: running.node.clone().into_os_string(),
            arguments,
            environment: self.environment(&home, &empty),
            directory: self.request.directory.clone().into_os_string(),
            rules,
            child: None,
            build: None,
        };
        let files = self.guard(runtime_roots)?;
        let (upstream_proxy, no_proxy) = network::way_out(&self.config, self.request.environment);
        let network = Network {
            protocol: self.profile.protocol.clone(),
            token: self.request.token.clone(),
            repositories: self.places.repositories.clone(),
            extra_anchors: anchors,
            expected: std::mem::take(&mut self.promises.expected),
            pins: Vec::new(),
            release_age: None,
            layout: Layout::default(),
            closed: false,
            sources: false,
            built: Vec::new(),
            signing: Signing {
                standard: self.standard.clone(),
                ..Signing::default()
            },
            audit: self.audits(),
            upstream_proxy,
            no_proxy,
            refused: Vec::new(),
            store: OsString::new(),
            run: String::new(),
        };
        self.suppressed();
        Ok(Prepared {
            queries: Vec::new(),
            launch,
            files,
            network,
            tools: self.tools(),
            seeds: writes.seeds(),
            promotions,
            project: self.identity(),
            installs: self.task.installs() && !self.is_dry(),
            locked: !self.global && self.uses_lock(),
            notes: BTreeMap::new(),
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
        let places = std::iter::once(root).chain(&self.workspaces);
        let trees = places.chain(&self.directories);
        let trees = trees.map(|place| (place.join("node_modules"), "installed packages"));
        let kept = |(path, _): &(PathBuf, _)| !on("package-lock-only") || path.is_dir();
        writes.directories.extend(trees.filter(kept));
        writes.directories.sort();
        writes.directories.dedup();
        writes.files = self.programs();
        if self.task.writes == Scope::Project {
            writes.files.extend(self.written_files());
        }
        writes
    }

    /// Programs of the project's own packages: npm links them into the tree and makes them
    /// executable. Hidden folders (`.git`, `.github`) never count.
    fn programs(&self) -> Vec<(PathBuf, Option<Vec<u8>>)> {
        let places = self.workspaces.iter().chain(&self.directories);
        let all = places.flat_map(|place| {
            let manifest = project::read_manifest(place)
                .ok()
                .flatten()
                .unwrap_or_default();
            let paths = manifest.programs.into_iter();
            paths
                .map(|path| (place.clone(), project::resolve(place, &path)))
                .collect::<Vec<_>>()
        });
        let fits = |(place, path): &(PathBuf, PathBuf)| {
            let below = path.strip_prefix(place).unwrap_or(path);
            let mut parts = below.components();
            let plain = parts.all(|part| !part.as_os_str().to_string_lossy().starts_with('.'));
            let file = std::fs::symlink_metadata(path).is_ok_and(|data| data.is_file());
            plain && file && below != Path::new("package.json") && project::lies_inside(place, path)
        };
        all.filter(fits).map(|(_, path)| (path, None)).collect()
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

    /// npm and node as they are run. A run that writes to the directories that they lie in (the
    /// global tree) runs private copies: code that runs must not be writable.
    fn running(&self, writes: &Writes) -> Result<Runtime, Finding> {
        let mut running = self.runtime.clone();
        let written = |place: &Path| {
            let mut directories = writes.directories.iter();
            directories.any(|(path, _)| {
                path.canonicalize()
                    .is_ok_and(|path| place.starts_with(path))
            })
        };
        let failed = |what: &Path, error: &std::io::Error| {
            let message = format!("cannot be copied to a private directory: {error}");
            Finding::new(
                Code::SandboxUnenforceable,
                what.display().to_string(),
                message,
            )
        };
        let private = &self.request.private.config;
        if written(&running.npm) {
            let place = private.join("npm");
            copy(&running.npm, &place, Links::Followed, FILES)
                .map_err(|error| failed(&running.npm, &error))?;
            running.npm = place;
        }
        if written(&running.node) {
            let place = private.join("node");
            copy(&running.node, &place, Links::Followed, FILES)
                .map_err(|error| failed(&running.node, &error))?;
            running.node = place;
        }
        Ok(running)
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
        let proxy = request.proxy();
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
            protected: Vec::new(),
            artifact_names: self.profile.artifacts.names.clone(),
            artifact_magic: magic,
            views,
            pinned: self.pinned(),
            probes: self.profile.probes.clone(),
            ..FileGuard::default()
        })
    }

    /// Local archives with the digest that the lockfile states for each.
    fn pinned(&self) -> Vec<(OsString, Integrity)> {
        let archives = self.promises.archives.iter();
        let real = archives.filter_map(|(path, integrity)| {
            let path = path.canonicalize().ok()?;
            Some((path.into_os_string(), integrity.clone()))
        });
        real.collect()
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
        let mut hooks: Vec<(&str, &str)> = manifest.hooks(PROJECT_HOOKS).collect();
        // Without an install hook of its own, npm builds a native project by itself.
        let builds = !hooks
            .iter()
            .any(|(hook, _)| ["preinstall", "install"].contains(hook));
        if builds && self.location.root.join("binding.gyp").is_file() {
            hooks.push(("binding.gyp", "node-gyp rebuild"));
        }
        let events = hooks
            .into_iter()
            .map(|(script, command)| Event::ScriptSuppressed {
                name: name.clone(),
                version: version.clone(),
                path: String::new(),
                script: script.to_owned(),
                command: command.to_owned(),
            });
        let events: Vec<Event> = events.collect();
        self.events.extend(events);
    }
}

fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
