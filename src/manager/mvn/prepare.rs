//! Makes the plan of a Maven run: finds, checks, and writes the launch down.
//!
//! In this order, each step only when the former holds: how Maven was called, Maven and the JDK,
//! options, goals, settings and repositories, then the launch. Nothing is written outside the run's
//! private directories.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::anchors::{self, Anchors};
use super::checked::{self, Checked};
use super::find::{Runtime, Search};
use super::goals::Kind;
use super::options::Word;
use super::places;
use super::pom::Reference;
use super::reactor::Reactor;
use super::security::Vault;
use super::settings::{self, Author, Scope, Settings};
use super::words::{Gathered, Surroundings};
use super::{extensions, goals, inspect, invocation, lineage, options};
use crate::manager::place::resolved;
use crate::manager::{Call, Prepared, Project, Reach, Refusal, Request, read};
use crate::model::{
    Code, Event, FileGuard, Finding, Layout, Lineage, Network, Repository, Secret, Signing,
    StandIns, Tool, Trust, Twin, View,
};
use crate::profile::Profile;

mod launch;
mod poms;

/// Where the operating system keeps artifacts that it installed.
pub(super) const INSTALLED: &str = "/usr/share/maven-repo";

/// See [`crate::manager::Manager::prepare`].
pub(super) fn prepare(request: &Request<'_>) -> Result<Prepared, Refusal> {
    let profile = Profile::parse(super::PROFILE)
        .map_err(|error| Finding::new(Code::Internal, "profiles/mvn.toml", error.to_string()))?;
    let home = request.home.as_deref();
    if let Some(finding) = invocation::refusal(request.word, &request.directory, home) {
        return Err(finding.into());
    }
    let arguments = checked::arguments(request.arguments)?;
    let base = base(&arguments, &request.directory)?;
    let root = invocation::root(&base.directory);
    let runtime = Search {
        word: request.word,
        environment: request.environment,
        directory: &request.directory,
        project: &root,
        home,
        pinned: request.policy.managers.get("mvn").map(PathBuf::as_path),
    }
    .run()?;
    let gathered = Surroundings {
        environment: request.environment,
        home,
        root: &root,
        version: runtime.number(),
    }
    .gather()?;
    let checked = checked::check(&gathered, &arguments, &profile).map_err(|findings| Refusal {
        findings,
        events: Vec::new(),
    })?;
    // Of what does not run, no goal is worse than another.
    let kind = match request.rehearsal {
        true => goals::rehearsed(&checked.goals)?,
        false => {
            let (options, properties) = (&checked.passed, &checked.properties);
            let approves = |group: Option<&str>, artifact: &str| {
                anchors::approves(request.policy, group, artifact)
            };
            let kind = goals::check(&checked.goals, properties, options, &profile, &approves)?;
            let answers =
                |what: &Reference| anchors::answered(request.policy, Path::new(INSTALLED), what);
            goals::answered(&checked.goals, answers, &approves)?;
            let hint = goals::trust_hint(&checked.goals);
            extensions::check(&root, request.policy, &hint)?;
            kind
        }
    };
    let plan = Plan::new(Found {
        request,
        profile,
        runtime,
        base,
        root,
        gathered,
        checked,
        kind,
    })?;
    plan.write()
}

/// See [`crate::manager::Manager::reach`].
pub(super) fn reach(call: &Call<'_>) -> Reach {
    let mut reach = Reach::default();
    if let Some(home) = call.home {
        let folder = home.join(".m2");
        let files = ["settings.xml", "settings-security.xml"];
        reach.read.extend(files.map(|name| folder.join(name)));
        reach.write.push(folder.join("repository"));
    }
    reach
}

/// The POM that was named, and the directory that it lies in.
#[derive(Debug)]
struct Base {
    directory: PathBuf,
    file: Option<PathBuf>,
}

impl Base {
    /// The POM, which need not be there.
    fn pom(&self) -> PathBuf {
        let file = self.file.clone().filter(|file| file.is_file());
        file.unwrap_or_else(|| self.directory.join("pom.xml"))
    }
}

/// `-f` decides where the project is, so it is read before the rest.
fn base(arguments: &[Word], directory: &Path) -> Result<Base, Finding> {
    let read = options::read(arguments);
    let named = read.given.iter().find(|given| given.name == "file");
    let Some(text) = named.and_then(|given| given.value.as_deref()) else {
        return Ok(Base {
            directory: directory.to_path_buf(),
            file: None,
        });
    };
    let file = directory.join(text).canonicalize().map_err(|error| {
        let message = format!("the POM that `-f` names cannot be read: {error}");
        Finding::new(Code::Usage, text, message)
    })?;
    let parent = match file.is_dir() {
        true => Some(file.as_path()),
        false => file.parent(),
    };
    Ok(Base {
        directory: parent.unwrap_or(directory).to_path_buf(),
        file: Some(file),
    })
}

/// What was found before the plan is made.
struct Found<'a> {
    request: &'a Request<'a>,
    profile: Profile,
    runtime: Runtime,
    base: Base,
    root: PathBuf,
    gathered: Gathered,
    checked: Checked,
    kind: Kind,
}

/// Everything that is known before the launch is written down.
struct Plan<'a> {
    found: Found<'a>,
    user: Option<Settings>,
    global: Option<Settings>,
    local: PathBuf,
    anchors: Anchors,
    /// The POMs that were read.
    project: Vec<Event>,
    reactor: Reactor,
    /// A file that the user wants written.
    outputs: Vec<PathBuf>,
    repositories: Vec<Repository>,
    upstream_proxy: Option<Secret>,
    no_proxy: String,
}

impl<'a> Plan<'a> {
    fn new(found: Found<'a>) -> Result<Self, Refusal> {
        let request = found.request;
        let home = request.home.as_deref();
        let scope = Scope {
            environment: request.environment,
            home,
            properties: &found.checked.properties,
        };
        let read = |key: &str, default: Option<PathBuf>| match found.checked.taken.get(key) {
            Some(taken) => {
                let path = taken.path(&request.directory, &found.root)?;
                let read = settings::load(&path, taken.author(), &found.root, &scope)?;
                let missing = || {
                    let message = format!("there is no settings file {}", path.display());
                    Finding::new(Code::Usage, taken.source.to_string(), message)
                };
                read.map(Some).ok_or_else(missing)
            }
            None => match default {
                Some(path) => settings::load(&path, Author::User, &found.root, &scope),
                None => Ok(None),
            },
        };
        let user = read("settings", home.map(|home| home.join(".m2/settings.xml")))?;
        let conf = found.runtime.home.join("conf/settings.xml");
        let global = read("global-settings", Some(conf))?;
        let local = local(&found, user.as_ref(), global.as_ref())?;
        let mut anchors = Anchors::read(request.policy, &found.root, &local)?;
        let security = found.checked.taken.get("-Dsettings.security");
        let security = security
            .map(|taken| taken.path(&request.directory, &found.root))
            .transpose()?;
        let security = security.or_else(|| Some(home?.join(".m2/settings-security.xml")));
        let vault = Vault::new(&security.unwrap_or_default());
        let all: Vec<&Settings> = user.iter().chain(&global).collect();
        let grounds = places::Grounds {
            settings: &all,
            policy: request.policy,
            central: found.runtime.central.as_deref(),
            vault: &vault,
        };
        let repositories = grounds.repositories()?;
        anchors.state(request.policy, &repositories, &local, request.rehearsal);
        let (reactor, project) = poms::read(&found, &all)?;
        let variable = |names: &[&str]| {
            let mut values = names.iter().filter_map(|name| {
                let value = request.environment.get(std::ffi::OsStr::new(name))?;
                value.to_str().filter(|value| !value.is_empty())
            });
            values.next().map(str::to_owned)
        };
        let (upstream_proxy, no_proxy) = match grounds.way_out()? {
            Some((address, without)) => (Some(address), without),
            None => (
                variable(&["https_proxy", "HTTPS_PROXY"]).map(Secret::new),
                variable(&["no_proxy", "NO_PROXY"]).unwrap_or_default(),
            ),
        };
        let outputs = outputs(&found, &reactor)?;
        Ok(Self {
            user,
            global,
            local,
            anchors,
            project,
            reactor,
            outputs,
            repositories,
            upstream_proxy,
            no_proxy,
            found,
        })
    }

    fn write(self) -> Result<Prepared, Refusal> {
        let found = &self.found;
        let mut events = self.inputs();
        let notes = found.checked.notes.iter().cloned();
        events.extend(notes.map(Event::Found));
        events.extend(self.anchors.events.iter().cloned());
        events.extend(self.project.iter().cloned());
        let path = self.local.display().to_string();
        events.push(Event::ArtifactsKept { path });
        let writes = self.writes();
        let (rules, runtime_roots) = self.rules(&writes);
        let launch = self.launch(rules)?;
        let files = self.guard(runtime_roots)?;
        Ok(Prepared {
            queries: Vec::new(),
            launch,
            files,
            network: self.network(),
            tools: self.tools(),
            seeds: writes.seeds(),
            promotions: Vec::new(),
            project: Project {
                root: found.root.clone(),
                name: self.reactor.name.clone(),
                version: self.reactor.version.clone(),
            },
            installs: !found.checked.goals.is_empty() && !found.request.rehearsal,
            locked: false,
            notes: inspect::notes(
                &self.local,
                &found.request.private.tmp,
                &goals::named(&found.checked.goals),
                &self.reactor.places(&found.root),
            ),
            events,
        })
    }

    /// What the run is anchored to.
    fn inputs(&self) -> Vec<Event> {
        let settings = self.user.iter().chain(&self.global);
        let settings = settings.map(|settings| (&settings.path, &settings.bytes));
        let files = self.found.gathered.files.iter();
        let files = files.map(|held| (&held.path, &held.bytes));
        let event = |(path, bytes): (&PathBuf, &Vec<u8>)| {
            let name = path.file_name()?.to_string_lossy().into_owned();
            Some(Event::InputRead {
                name,
                path: path.display().to_string(),
                sha256: read::sha256(bytes)?,
            })
        };
        settings.chain(files).filter_map(event).collect()
    }

    fn guard(&self, runtime_roots: Vec<OsString>) -> Result<FileGuard, Finding> {
        let profile = &self.found.profile;
        let magic = profile.magic().map_err(|error| {
            Finding::new(Code::Internal, "profiles/mvn.toml", error.to_string())
        })?;
        // What was read and judged is handed over by v4run; Maven finds nothing there to read again.
        let views = self.found.gathered.files.iter().map(|held| View {
            path: held.path.clone().into_os_string(),
            content: Vec::new(),
        });
        let views = views.chain(self.listener()?);
        let installed = Path::new(INSTALLED).canonicalize().ok();
        let twins = installed.map(|installed| Twin {
            below: self.local.clone().into_os_string(),
            installed: installed.into_os_string(),
        });
        let builds = self.found.kind == Kind::Build;
        let workers = goals::WORKERS.iter().filter(|_| builds);
        Ok(FileGuard {
            runtime_roots,
            protected: Vec::new(),
            artifact_names: profile.artifacts.names.clone(),
            artifact_magic: magic,
            views: views.collect(),
            pinned: self.anchors.pinned.clone(),
            kept: vec![self.local.clone().into_os_string()],
            probes: profile.probes.clone(),
            trust: Some(Trust {
                approved: self.anchors.approved.clone(),
                twins: twins.into_iter().collect(),
                declarations: builds,
                workers: workers.map(|name| (*name).to_owned()).collect(),
                wanted: self.wanted(),
                stand_ins: self.stand_ins(),
                rehearsal: self.found.request.rehearsal,
                lineage: self.lineage(),
            }),
            own: self.outputs_of_build(),
        })
    }

    /// What parents are judged by that only a repository has.
    fn lineage(&self) -> Option<Lineage> {
        let request = self.found.request;
        if request.rehearsal || self.reactor.parents.is_empty() {
            return None;
        }
        Some(Lineage {
            kept: self.local.clone().into_os_string(),
            parents: lineage::named(&self.reactor.parents),
            members: self.reactor.names.clone(),
            approved: anchors::approved(request.policy),
            builds: self.found.kind == Kind::Build,
            hint: goals::trust_hint(&self.found.checked.goals),
        })
    }

    /// What stands for jars. A build that packs them reads them too.
    fn stand_ins(&self) -> StandIns {
        let moved = goals::stand_ins(&self.found.checked.goals);
        let packs = self.reactor.packs && self.found.kind == Kind::Build;
        match moved == StandIns::None && packs {
            true => StandIns::Views,
            false => moved,
        }
    }

    fn wanted(&self) -> Vec<String> {
        let goals = self.found.checked.goals.iter();
        goals.filter_map(|goal| goals::plugin(&goal.text)).collect()
    }

    fn network(&self) -> Network {
        let request = self.found.request;
        Network {
            protocol: self.found.profile.protocol.clone(),
            token: request.token.clone(),
            pins: places::pins(request.policy, &self.repositories),
            release_age: None,
            repositories: self.repositories.clone(),
            extra_anchors: Vec::new(),
            expected: self.anchors.expected.clone(),
            closed: self.anchors.closed,
            sources: false,
            built: Vec::new(),
            signing: Signing::default(),
            audit: false,
            upstream_proxy: self.upstream_proxy.clone(),
            no_proxy: self.no_proxy.clone(),
            refused: Vec::new(),
            store: OsString::new(),
            run: String::new(),
            layout: Layout::default(),
        }
    }

    fn tools(&self) -> Vec<Tool> {
        let runtime = &self.found.runtime;
        let tool = |name: &str, version: Option<&str>, path: &Path| Tool {
            name: name.to_owned(),
            version: version.map(str::to_owned),
            path: path.display().to_string(),
            sha256: None,
        };
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        vec![
            tool("mvn", Some(&runtime.version), &real(&runtime.classworlds)),
            tool("java", runtime.java_version.as_deref(), &runtime.java),
        ]
    }
}

/// Files that the user wants written. A plugin takes a relative path from each module's directory, Maven
/// itself from where it stands.
fn outputs(found: &Found<'_>, reactor: &Reactor) -> Result<Vec<PathBuf>, Finding> {
    let mut outputs = Vec::new();
    if let Some(taken) = found.checked.taken.get("log-file") {
        outputs.push(taken.path(&found.request.directory, &found.root)?);
    }
    if let Some(taken) = found.checked.taken.get("-DoutputFile") {
        let here = std::slice::from_ref(&found.request.directory);
        let places = match reactor.modules.is_empty() {
            true => here,
            false => reactor.modules.as_slice(),
        };
        for place in places {
            outputs.push(taken.path(place, &found.root)?);
        }
    }
    outputs.sort();
    outputs.dedup();
    Ok(outputs)
}

/// The local repository: as the user says, else as settings say, else below the home directory.
fn local(
    found: &Found<'_>,
    user: Option<&Settings>,
    global: Option<&Settings>,
) -> Result<PathBuf, Finding> {
    let request = found.request;
    if let Some(taken) = found.checked.taken.get("-Dmaven.repo.local") {
        return taken.path(&request.directory, &found.root);
    }
    let stated = [user, global].into_iter().flatten();
    let stated = stated.filter_map(|settings| Some((settings, settings.local.as_deref()?)));
    if let Some((settings, text)) = stated.into_iter().next() {
        let path = resolved(&request.directory.join(text));
        if settings.author == Author::Project && !path.starts_with(&found.root) {
            let message = format!("`localRepository` lies outside the project: {text}");
            let place = settings.path.display().to_string();
            return Err(Finding::new(Code::ConfigRefused, place, message));
        }
        return Ok(path);
    }
    let home = request.home.as_deref().ok_or_else(|| {
        let message = "no place for the local repository: HOME is not set";
        Finding::new(Code::Usage, "HOME", message)
            .with_hint("set HOME, or name a place with `-Dmaven.repo.local=DIR`")
    })?;
    Ok(resolved(&home.join(".m2/repository")))
}
