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
use super::checked::{Checked, Command};
use super::committed;
use super::find::Search;
use super::inspect;
use super::invocation;
use super::network::{layout, pins, repositories};
use super::scheme::Install;
use super::target::{PipVersion, Target};
use super::writes::{Places, Scene};
use crate::manager::copy::{Links, copy};
use crate::manager::place::resolved;
use crate::manager::{Call, Prepared, Project, Promotion, Reach, Refusal, Request, Seed};
use crate::model::{Code, Event, FileGuard, Finding, Launch, Layout, Network, Signing, Tool, View};
use crate::profile::Profile;

mod grounds;
mod launch;

/// Name of pip's report in the private directory, when the user names none.
const REPORT: &str = "report.json";

/// An empty directory in the place of the machine's certificates.
const CERTIFICATES: &str = "certificates";

/// See [`crate::manager::Manager::prepare`].
pub(super) fn prepare(request: &Request<'_>) -> Result<Prepared, Refusal> {
    let arguments = invocation::arguments(request.word, request.arguments)?;
    plan(request, arguments)?.write()
}

/// Finds and checks everything that a plan is made from.
pub(super) fn plan<'a>(
    request: &'a Request<'a>,
    arguments: &[OsString],
) -> Result<Plan<'a>, Refusal> {
    let profile = Profile::parse(super::PROFILE)
        .map_err(|error| Finding::new(Code::Internal, "profiles/pip.toml", error.to_string()))?;
    let target = find(
        request.word,
        &request.directory,
        request.environment,
        request.home.as_deref(),
        request.policy.managers.get("pip").map(PathBuf::as_path),
    )?;
    if let Some(finding) = committed::refusal(&target.pip, &request.directory) {
        return Err(finding.into());
    }
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
        rehearsal: request.rehearsal,
        sources: request.sources,
        token: request.token.clone(),
    };
    let checked = check::check(&inner, &target, version)?;
    Ok(Plan {
        request,
        profile,
        target,
        version,
        checked,
        fetches: None,
    })
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
pub(super) struct Plan<'a> {
    request: &'a Request<'a>,
    profile: Profile,
    pub(super) target: Target,
    version: PipVersion,
    pub(super) checked: Checked,
    /// What `download` fetches in the place of what it is for; see the bootstrap.
    pub(super) fetches: Option<serde_json::Value>,
}

impl Plan<'_> {
    pub(super) fn write(mut self) -> Result<Prepared, Refusal> {
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
            child: None,
            build: None,
        };
        let files = self.guard(runtime_roots, &places)?;
        let installs = places.install.is_some();
        let install = places.install.clone().unwrap_or_else(|| self.looked_at());
        let network = self.network(&places)?;
        let mut seeds = places.writes.seeds();
        // pip takes a cache that is not there for one that it may not use.
        seeds.extend(cache.filter(|cache| !cache.exists()).map(Seed::Directory));
        Ok(Prepared {
            queries: Vec::new(),
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
        // pip has no links of its own, and others could lead anywhere.
        copy(&self.target.pip, &place.join("pip"), Links::LeftOut, FILES).map_err(|error| {
            let message = format!("pip cannot be copied to a private directory: {error}");
            let subject = self.target.pip.display().to_string();
            Finding::new(Code::SandboxUnenforceable, subject, message)
        })?;
        Ok(place)
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
            ..FileGuard::default()
        })
    }

    fn network(&mut self, places: &Places) -> Result<Network, Finding> {
        let checked = &mut self.checked;
        let repositories = repositories(&checked.indexes, self.request);
        Ok(Network {
            protocol: self.profile.protocol.clone(),
            token: self.request.token.clone(),
            pins: pins(&self.request.policy.pins, &repositories)?,
            release_age: None,
            repositories,
            extra_anchors: std::mem::take(&mut checked.extra_anchors),
            expected: std::mem::take(&mut checked.expected),
            closed: false,
            sources: self.fetches.is_some(),
            built: self
                .request
                .sources
                .built
                .iter()
                .map(|built| built.name.clone())
                .collect(),
            signing: Signing::default(),
            audit: false,
            upstream_proxy: checked.upstream_proxy.take(),
            no_proxy: std::mem::take(&mut checked.no_proxy),
            refused: Vec::new(),
            store: OsString::new(),
            run: String::new(),
            layout: match &places.install {
                Some(install) => layout(&self.target, install, &self.profile.programs),
                None => Layout::default(),
            },
        })
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

/// Files of a package; pip has some thousand.
const FILES: usize = 20_000;
