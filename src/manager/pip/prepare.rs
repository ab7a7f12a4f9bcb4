//! Makes the plan of a pip run: finds, checks, and writes the launch down.
//!
//! In this order, each step only when the former holds: how pip was called, interpreter and
//! environment, everything that pip would take options from, then the launch. pip is shown full
//! option names, a private configuration directory and nothing of the caller's environment that the
//! profile does not name. The only writes are into the run's private directories.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use super::check;
use super::checked::{Checked, Command, Index, PipVersion};
use super::distribution;
use super::find::Search;
use super::inspect;
use super::invocation;
use super::target::Target;
use super::writes::{Install, Places, Scene, resolved};
use crate::manager::rules::{self, Grounds};
use crate::manager::{Call, Prepared, Project, Promotion, Reach, Refusal, Request, Seed};
use crate::model::{
    Code, Event, FileGuard, Finding, Launch, Layout, Network, Occupied, Repository, Tool, View,
};
use crate::profile::Profile;

/// Runs pip with nothing else of the environment.
const BOOTSTRAP: &str = include_str!("bootstrap.py");

/// Name of pip's report in the private directory, when the user names none.
const REPORT: &str = "report.json";

/// An empty directory in the place of the machine's certificates.
const CERTIFICATES: &str = "certificates";

/// Seconds that pip waits for bytes. The proxy holds an artifact back until its digest matched, and
/// large ones take their time.
const PATIENCE: &str = "3600";

/// See [`crate::manager::Manager::prepare`].
pub(super) fn prepare(request: &Request<'_>) -> Result<Prepared, Refusal> {
    let profile = Profile::parse(super::PROFILE)
        .map_err(|error| Finding::new(Code::Internal, "profiles/pip.toml", error.to_string()))?;
    let arguments = invocation::arguments(request.word, request.arguments)?;
    let target = find(
        request.word,
        &request.directory,
        request.environment,
        request.home.as_deref(),
        request.policy.managers.get("pip").map(PathBuf::as_path),
    )?;
    let version = target.pip_number()?;
    let inner = Request {
        word: request.word,
        arguments,
        directory: request.directory.clone(),
        environment: request.environment,
        home: request.home.clone(),
        policy: request.policy,
        private: request.private,
        proxy_port: request.proxy_port,
        token: request.token.clone(),
    };
    let checked = check::check(&inner, &target, version)?;
    let plan = Plan {
        request,
        profile,
        target,
        version,
        checked,
    };
    plan.write()
}

/// See [`crate::manager::Manager::reach`].
pub(super) fn reach(call: &Call<'_>) -> Reach {
    let mut reach = Reach::default();
    if let Some(home) = call.home {
        reach.read.extend(
            [".config/pip/pip.conf", ".pip/pip.conf", ".netrc"].map(|name| home.join(name)),
        );
    }
    // What is wrong with it is said when the run is prepared.
    if let Ok(target) = find(call.word, call.directory, call.environment, call.home, None) {
        reach.write.extend(target.site_packages);
        reach.write.push(target.scripts);
        reach.read.push(target.interpreter);
        reach.read.push(target.pip);
    }
    reach
}

fn find(
    word: &OsStr,
    directory: &Path,
    environment: &BTreeMap<OsString, OsString>,
    home: Option<&Path>,
    pinned: Option<&Path>,
) -> Result<Target, Finding> {
    let found = Search {
        word,
        directory,
        environment,
        home,
        pinned,
    }
    .run()?;
    Target::of(&found, environment, home)
}

/// Everything that is known before the launch is written down.
struct Plan<'a> {
    request: &'a Request<'a>,
    profile: Profile,
    target: Target,
    version: PipVersion,
    checked: Checked,
}

impl Plan<'_> {
    fn write(mut self) -> Result<Prepared, Refusal> {
        let mut events = std::mem::take(&mut self.checked.events);
        let notes = std::mem::take(&mut self.checked.findings);
        events.extend(notes.into_iter().map(Event::Found));
        let cache = self.cache();
        let mut places = Scene {
            target: &self.target,
            checked: &self.checked,
            directory: &self.request.directory,
            home: self.request.home.as_deref(),
            private: self.request.private,
            cache: cache.as_deref(),
        }
        .places();
        let report = self.report(&mut places)?;
        for promotion in &places.promotions {
            make(&promotion.from)?;
        }
        let pip = self.running()?;
        self.write_files(&pip, &places, report.as_deref())?;
        let (rules, runtime_roots) = self.grounds(&places, &pip, cache.as_deref()).rules();
        let config = &self.request.private.config;
        let mut arguments = vec![self.target.interpreter.clone().into_os_string()];
        arguments.extend(["-I", "-S", "-B"].map(OsString::from));
        arguments.push(config.join("bootstrap.py").into());
        arguments.push(config.join("pip.json").into());
        let launch = Launch {
            executable: self.target.interpreter.clone().into_os_string(),
            arguments,
            environment: self.environment(),
            directory: self.request.directory.clone().into_os_string(),
            rules,
        };
        let files = self.guard(runtime_roots, &places)?;
        let installs = places.install.is_some();
        let install = places.install.clone().unwrap_or_else(|| self.looked_at());
        let network = self.network(&places);
        let mut seeds = places.writes.seeds();
        // pip takes a cache that is not there for one that it may not use.
        seeds.extend(cache.filter(|cache| !cache.exists()).map(Seed::Directory));
        Ok(Prepared {
            launch,
            files,
            network,
            tools: self.tools(),
            seeds,
            promotions: places.promotions,
            project: self.project(&install),
            installs,
            locked: false,
            notes: inspect::notes(&install, report.as_deref(), &self.checked.requirements),
            events,
        })
    }

    /// Where packages lie for a command that installs nothing.
    fn looked_at(&self) -> Install {
        Install {
            base: self.target.data.clone(),
            packages: self.target.site_packages.clone(),
            ..Install::default()
        }
    }

    /// pip's cache of the caller, for the commands that are about it.
    fn cache(&self) -> Option<PathBuf> {
        if !matches!(self.checked.command, Command::Cache(_)) {
            return None;
        }
        let environment = self.request.environment;
        let stated = environment
            .get(OsStr::new("XDG_CACHE_HOME"))
            .map(PathBuf::from)
            .filter(|path| path.is_absolute());
        let base = stated.or_else(|| Some(self.request.home.as_ref()?.join(".cache")));
        base.map(|base| resolved(&base.join("pip")))
    }

    /// pip's report: written for every install, and moved to where the user wants it.
    fn report(&self, places: &mut Places) -> Result<Option<PathBuf>, Finding> {
        if self.checked.command != Command::Install {
            return Ok(None);
        }
        let folder = self.request.private.tmp.join("report");
        make(&folder)?;
        let wanted = self.checked.destination.report.as_deref();
        let file = wanted.filter(|path| *path != Path::new("-"));
        let name = file.and_then(Path::file_name);
        let report = folder.join(name.unwrap_or(OsStr::new(REPORT)));
        if let Some(to) = file.map(|path| self.request.directory.join(path))
            && let Some(to) = to.parent()
        {
            places.promotions.push(Promotion {
                from: folder,
                to: to.to_path_buf(),
            });
        }
        places
            .options
            .push(format!("--report={}", report.display()));
        Ok(Some(report))
    }

    /// The directory that pip is imported from. A pip that is about to be replaced runs from a copy.
    fn running(&self) -> Result<PathBuf, Finding> {
        if !self.checked.upgrades_pip {
            let place = self.target.pip.parent().unwrap_or(Path::new("/"));
            return Ok(place.to_path_buf());
        }
        let place = self.request.private.config.join("running");
        copy(&self.target.pip, &place.join("pip")).map_err(|error| {
            let message = format!("pip cannot be copied to a private directory: {error}");
            let subject = self.target.pip.display().to_string();
            Finding::new(Code::SandboxUnenforceable, subject, message)
        })?;
        Ok(place)
    }

    /// Bootstrap, its parameters, and the files that the command line refers to.
    fn write_files(
        &self,
        pip: &Path,
        places: &Places,
        report: Option<&Path>,
    ) -> Result<(), Finding> {
        let target = &self.target;
        let echo = self.checked.destination.report.as_deref() == Some(Path::new("-"));
        let search: Vec<&Path> = target.search.iter().map(PathBuf::as_path).collect();
        let parameters = serde_json::json!({
            "prefix": text(&target.prefix)?,
            "executable": text(&target.executable)?,
            "program": text(&target.program)?,
            "pip": text(pip)?,
            "paths": search.into_iter().map(text).collect::<Result<Vec<_>, _>>()?,
            "user_base": text(&target.user.base)?,
            "user_site": text(&target.user.site)?,
            "user_site_enabled": target.user.enabled,
            "echo": report.filter(|_| echo).map(text).transpose()?,
            "arguments": self.command_line(places)?,
        });
        let config = &self.request.private.config;
        make(&config.join(CERTIFICATES))?;
        let mut files = vec![
            ("bootstrap.py".to_owned(), BOOTSTRAP.as_bytes().to_vec()),
            ("pip.json".to_owned(), parameters.to_string().into_bytes()),
        ];
        files.extend(self.checked.generated.iter().cloned());
        for (name, content) in files {
            let path = config.join(name);
            std::fs::write(&path, content).map_err(|error| unwritable(&path, &error))?;
        }
        Ok(())
    }

    /// Subcommand, v4run's own options, the user's.
    fn command_line(&self, places: &Places) -> Result<Vec<String>, Finding> {
        let command = self.checked.command;
        let mut line = vec![command.word().to_owned()];
        if matches!(command, Command::Help | Command::Version) {
            line.extend(self.checked.arguments.iter().cloned());
            return Ok(line);
        }
        line.push("--disable-pip-version-check".to_owned());
        line.extend(places.options.iter().cloned());
        if command.resolves() || command == Command::IndexVersions || command == Command::List {
            line.extend(self.index_options()?);
        }
        if command.resolves() || command == Command::IndexVersions {
            line.push("--only-binary=:all:".to_owned());
        }
        if command.resolves() && self.checked.hash_mode {
            // Said outright, so that pip and v4run cannot be of two minds.
            line.push("--require-hashes".to_owned());
        }
        if command != Command::Uninstall {
            // Removing asks before it starts; the rest would ask for credentials only.
            line.push("--no-input".to_owned());
        }
        if !matches!(command, Command::Cache(_)) {
            line.push("--no-cache-dir".to_owned());
        }
        line.extend(self.checked.arguments.iter().cloned());
        Ok(line)
    }

    fn index_options(&self) -> Result<Vec<String>, Finding> {
        let request = self.request;
        let mut line = vec![
            format!("--cert={}", text(&request.private.certificate())?),
            format!("--proxy={}", self.proxy()),
            "--retries=0".to_owned(),
            format!("--timeout={PATIENCE}"),
        ];
        if self.version >= PipVersion::new(23, 1) {
            line.push("--keyring-provider=disabled".to_owned());
        }
        for (number, index) in self.checked.indexes.iter().enumerate() {
            let option = if number == 0 {
                "index-url"
            } else {
                "extra-index-url"
            };
            // pip names its indexes unless there is only its own, which has no final stroke.
            let url = index.url.as_str().trim_end_matches('/');
            line.push(format!("--{option}={url}"));
        }
        if self.checked.indexes.is_empty() {
            line.push("--no-index".to_owned());
        }
        for place in &self.checked.find_links {
            line.push(format!("--find-links={}", text(place)?));
        }
        Ok(line)
    }

    fn proxy(&self) -> String {
        let request = self.request;
        format!(
            "http://v4run:{}@127.0.0.1:{}",
            request.token.expose(),
            request.proxy_port
        )
    }

    fn environment(&self) -> Vec<(OsString, OsString)> {
        let request = self.request;
        let private = request.private;
        let mut environment: Vec<(OsString, OsString)> = Vec::new();
        let mut set = |name: &str, value: &dyn AsRef<OsStr>| {
            environment.push((OsString::from(name), value.as_ref().to_owned()));
        };
        for (name, value) in request.environment {
            if name.to_str().is_some_and(|name| self.profile.passes(name)) {
                set(&name.to_string_lossy(), value);
            }
        }
        set("HOME", &private.home);
        set("TMPDIR", &private.tmp);
        if !self.target.user.base.as_os_str().is_empty() {
            // HOME is another one; what is asked of the user's base means the caller's.
            set("PYTHONUSERBASE", &self.target.user.base);
        }
        let authority = private.certificate();
        for name in [
            "PIP_CERT",
            "REQUESTS_CA_BUNDLE",
            "CURL_CA_BUNDLE",
            "SSL_CERT_FILE",
        ] {
            set(name, &authority);
        }
        let proxy = self.proxy();
        for name in ["PIP_PROXY", "HTTPS_PROXY", "https_proxy"] {
            set(name, &proxy);
        }
        // Nothing of the machine's own store is to be looked for either.
        set("SSL_CERT_DIR", &private.config.join(CERTIFICATES));
        set("PIP_CONFIG_FILE", &"/dev/null");
        match self.cache() {
            Some(cache) => set("PIP_CACHE_DIR", &cache),
            None => set("PIP_CACHE_DIR", &private.cache),
        }
        environment
    }

    fn grounds<'b>(&'b self, places: &'b Places, pip: &Path, cache: Option<&Path>) -> Grounds<'b> {
        let target = &self.target;
        let request = self.request;
        let mut runtime = Vec::new();
        let written = |place: &Path| {
            let mut directories = places.writes.directories.iter();
            directories.any(|(path, _)| path.starts_with(place))
        };
        let mut readable = vec![(target.library.clone(), "the standard library")];
        if written(&target.library) {
            // Packages lie in the library's own directory: its parts count one by one.
            runtime.extend(parts(&target.library));
        } else {
            runtime.push((target.library.clone(), "the standard library"));
        }
        runtime.push((pip.join("pip"), "pip itself"));
        let search = target.search.iter().chain(&target.site_packages);
        let search = search.filter_map(|path| path.canonicalize().ok());
        readable.extend(search.map(|path| (path, "packages that are installed already")));
        let settings = ["pyvenv.cfg", "pip.conf"].map(|name| target.prefix.join(name));
        let settings = settings.iter().filter_map(|path| path.canonicalize().ok());
        readable.extend(settings.map(|path| (path, "settings of the environment")));
        let links = self.checked.find_links.iter().chain(&self.checked.reads);
        let links = links.chain(&self.checked.destination.paths);
        let links = links.filter_map(|path| request.directory.join(path).canonicalize().ok());
        readable.extend(links.map(|path| (path, "a file or directory that the command names")));
        readable.extend(cache.map(|cache| (cache.to_path_buf(), "pip's cache")));
        let home = request.home.as_deref();
        Grounds {
            profile: &self.profile,
            private: request.private,
            manager: "pip",
            program: (&target.interpreter, "Python runs pip"),
            needs: &target.needs,
            runtime,
            readable,
            project: Some(request.directory.as_path()).filter(|path| path.parent().is_some()),
            broad: rules::is_broad(&request.directory, home, request.private),
            writes: &places.writes,
        }
    }

    fn guard(&self, runtime_roots: Vec<OsString>, places: &Places) -> Result<FileGuard, Finding> {
        let magic = self.profile.magic().map_err(|error| {
            Finding::new(Code::Internal, "profiles/pip.toml", error.to_string())
        })?;
        let real = |path: &Path| resolved(&self.request.directory.join(path)).into_os_string();
        let views = self.checked.views.iter().map(|(path, content)| View {
            path: real(path),
            content: content.clone(),
        });
        let pinned = self.checked.pinned.iter();
        Ok(FileGuard {
            runtime_roots,
            protected: places.protected.clone(),
            artifact_names: self.profile.artifacts.names.clone(),
            artifact_magic: magic,
            views: views.collect(),
            pinned: pinned
                .map(|(path, integrity)| (real(path), integrity.clone()))
                .collect(),
            probes: self.profile.probes.clone(),
        })
    }

    fn network(&mut self, places: &Places) -> Network {
        let checked = &mut self.checked;
        Network {
            protocol: self.profile.protocol.clone(),
            token: self.request.token.clone(),
            repositories: repositories(&checked.indexes, self.request),
            extra_anchors: std::mem::take(&mut checked.extra_anchors),
            expected: std::mem::take(&mut checked.expected),
            audit: false,
            upstream_proxy: checked.upstream_proxy.take(),
            no_proxy: std::mem::take(&mut checked.no_proxy),
            store: OsString::new(),
            run: String::new(),
            pins: Vec::new(),
            layout: match &places.install {
                Some(install) => layout(&self.target, install),
                None => Layout::default(),
            },
        }
    }

    fn tools(&self) -> Vec<Tool> {
        let target = &self.target;
        let tool = |name: &str, version: &str, path: &Path| Tool {
            name: name.to_owned(),
            version: Some(version.to_owned()).filter(|version| !version.is_empty()),
            path: path.display().to_string(),
            sha256: None,
        };
        vec![
            tool("pip", &target.pip_version, &target.pip.join("__init__.py")),
            tool("python", &target.python, &target.interpreter),
        ]
    }

    /// The environment is what is installed into; the name is the project's, where it states one.
    fn project(&self, install: &Install) -> Project {
        let stated = super::project::stated(&self.request.directory);
        Project {
            root: install.base.clone(),
            name: stated.0,
            version: stated.1,
        }
    }
}

/// The indexes as the proxy will allow them.
fn repositories(indexes: &[Index], request: &Request<'_>) -> Vec<Repository> {
    let policy = &request.policy.repositories;
    let mut found: Vec<Repository> = Vec::new();
    for (number, index) in indexes.iter().enumerate() {
        let allowed = policy.iter().find(|allowed| allowed.url == index.url);
        let origin = allowed.and_then(|allowed| allowed.origin.clone());
        let id = match number {
            0 => "index".to_owned(),
            more => format!("index-{}", more + 1),
        };
        if found.iter().all(|known| known.base != index.url) {
            found.push(Repository {
                id,
                base: index.url.clone(),
                origin: origin.unwrap_or_else(|| index.url.clone()),
                configured_in: index.configured_in.clone(),
                may_be_private: index.may_be_private,
                credential: index.credential.clone(),
            });
        }
    }
    found
}

/// Where the parts of a wheel go, and what is there already.
fn layout(target: &Target, install: &Install) -> Layout {
    let relative = |path: &Path| {
        let path = path.strip_prefix(&install.base).ok()?;
        path.to_str().map(str::to_owned)
    };
    let mut occupied = Vec::new();
    for place in &install.packages {
        let (found, _) = distribution::read(place, true);
        for distribution in found {
            for entry in distribution.files.into_iter().flatten() {
                let compiled = entry.path.extension() == Some(OsStr::new("pyc"));
                if let Some(path) = relative(&entry.path).filter(|_| !compiled) {
                    occupied.push(Occupied {
                        path,
                        owner: distribution.name.clone(),
                        digest: entry.digest,
                    });
                }
            }
        }
    }
    let (major, minor) = target.python_version;
    let own = [
        target.prefix.join("pyvenv.cfg"),
        target.scripts.join("python"),
        target.scripts.join("python3"),
        target.scripts.join(format!("python{major}.{minor}")),
    ];
    let own = own.iter().filter(|path| path.exists());
    occupied.extend(own.filter_map(|path| relative(path)).map(|path| Occupied {
        path,
        owner: String::new(),
        digest: None,
    }));
    let reserved = relative(&target.pip).map(|path| (path, "pip".to_owned()));
    Layout {
        places: install.by_word(),
        occupied,
        reserved: reserved.into_iter().collect(),
        programs: Vec::new(),
    }
}

/// The directories of a standard library that hold no packages.
fn parts(library: &Path) -> Vec<(PathBuf, &'static str)> {
    let Ok(entries) = std::fs::read_dir(library) else {
        return Vec::new();
    };
    let paths = entries.flatten().take(4096).map(|entry| entry.path());
    let plain = paths.filter(|path| {
        let name = path.file_name().unwrap_or_default();
        path.is_dir() && name != "site-packages" && name != "dist-packages"
    });
    let mut found: Vec<(PathBuf, &'static str)> = plain
        .filter_map(|path| Some((path.canonicalize().ok()?, "the standard library")))
        .collect();
    found.sort();
    found
}

fn make(directory: &Path) -> Result<(), Finding> {
    std::fs::create_dir_all(directory).map_err(|error| unwritable(directory, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> Finding {
    let message = format!("cannot be made: {error}");
    Finding::new(
        Code::SandboxUnenforceable,
        path.display().to_string(),
        message,
    )
}

/// A path as pip will print it. JSON and pip's own command line hold text only.
fn text(path: &Path) -> Result<String, Finding> {
    path.to_str().map(str::to_owned).ok_or_else(|| {
        let message = "is not UTF-8, and cannot be handed to pip as it is";
        Finding::new(Code::Usage, path.display().to_string(), message)
    })
}

/// Copies a package without what was compiled: the copy is read once.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let mut pending: Vec<(PathBuf, PathBuf, usize)> =
        vec![(from.to_path_buf(), to.to_path_buf(), 0)];
    while let Some((source, target, depth)) = pending.pop() {
        if depth > 64 {
            return Err(io::Error::other("the directory is nested too deeply"));
        }
        if source.is_dir() {
            std::fs::create_dir_all(&target)?;
            for entry in std::fs::read_dir(&source)? {
                let entry = entry?;
                pending.push((entry.path(), target.join(entry.file_name()), depth + 1));
            }
        } else if source.is_file() {
            std::fs::copy(&source, &target)?;
        }
    }
    Ok(())
}
