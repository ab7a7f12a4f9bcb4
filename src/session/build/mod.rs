//! `v4run build`, and `--build` on an install: components that the policy approves run their code once. Managers
//! that install from source build before the install ([`sources`]); the rest of this is about the others.
//!
//! After a clean install, nothing of the manager left. For each component that wants to run code the policy is
//! asked; its artifact is taken from the store by the digest of the approval and compared with the folder, so
//! that what runs is what was approved. Then each script runs in a sandbox of its own ([`stage`]): no network,
//! its folder and private directories to write, programs of its toolchain only, limits. What it left is recorded
//! ([`produced`]). The first script that does not succeed ends it. Nothing is approved here.

use std::io::{Cursor, Read, Seek as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::SystemTime;

use nix::unistd::Pid;

use super::children::{children, end_all};
use super::confined::{internal, unenforceable};
use super::places::Environment;
use super::signals::Signals;
use super::{Ended, Run, SYSTEM_POLICY, places, prepare, say};
use crate::diag::ManagerStatus;
use crate::manager::{BuildRequest, Builder, Manager, Planned, PrivateDirs, Step, Wanted};
use crate::model::{BuildStart, Code, Event, Finding, Integrity, Limits};
use crate::profile::Policy;
use crate::profile::build::Build;
use crate::record::Recorder;
use crate::sandbox;
use crate::store::{Blobs, Content, Directory};
use crate::verify::hash::sha256_from;

mod produced;
mod propose;
mod sources;
mod stage;
mod usage;

pub use propose::propose;

/// Whether a run builds what the policy approves, and with `project` the project's own code too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Builds {
    /// It only installs.
    #[default]
    None,
    /// With the install.
    Beside {
        /// See above.
        project: bool,
    },
    /// It builds what was installed before, and installs nothing.
    Alone {
        /// See above.
        project: bool,
    },
    /// It fetches what would have to be built and tells it, and neither builds nor installs anything.
    Proposed {
        /// See above.
        project: bool,
    },
}

impl Builds {
    pub(super) const fn project(self) -> bool {
        match self {
            Self::None => false,
            Self::Beside { project } | Self::Alone { project } | Self::Proposed { project } => {
                project
            }
        }
    }
}

/// Components that are named in one message.
const NAMED: usize = 10;

/// What the policy says of a component.
enum Standing<'a> {
    /// It may be built.
    Approved(&'a Build),
    /// It is named, and the approval does not count.
    Refused(String),
    /// Nobody names it.
    Unnamed,
}

fn standing<'a>(policy: &'a Policy, wanted: &Wanted) -> Standing<'a> {
    let named = policy
        .builds
        .iter()
        .filter(|build| build.purl == wanted.purl);
    let mut why = None;
    for build in named {
        match build.objection(wanted.integrity.as_ref(), SystemTime::now()) {
            None => return Standing::Approved(build),
            Some(objection) => why = Some(objection),
        }
    }
    why.map_or(Standing::Unnamed, Standing::Refused)
}

pub(super) fn builder(manager: &'static dyn Manager) -> Result<&'static dyn Builder, Finding> {
    manager.builder().ok_or_else(|| {
        let name = manager.name();
        if manager.maker().is_none() {
            let message = format!("{name} has no builds that could be approved");
            return Finding::new(Code::Usage, "build", message);
        }
        let message = format!("{name} builds before it installs, in one run");
        Finding::new(Code::Usage, "build", message).with_hint(format!(
            "`v4run --build {name} install …`; what that would be: `v4run build --propose {name} install …`"
        ))
    })
}

/// Whether the manager can do what is asked of it here.
pub(super) fn possible(manager: &'static dyn Manager, asked: Builds) -> Result<(), Finding> {
    match asked {
        Builds::None => Ok(()),
        Builds::Proposed { .. } | Builds::Beside { .. } if manager.maker().is_some() => Ok(()),
        Builds::Proposed { .. } => {
            let message = "what is installed here is asked without a command after `--propose`";
            Err(Finding::new(Code::Usage, "build", message))
        }
        Builds::Beside { .. } | Builds::Alone { .. } => builder(manager).map(|_| ()),
    }
}

/// What surrounds the builds of a run.
pub(super) struct Surroundings<'a> {
    pub(super) recorder: &'a Recorder,
    pub(super) policy: &'a Policy,
    pub(super) store: &'a Path,
    pub(super) private: &'a PrivateDirs,
    /// Where the record goes.
    pub(super) record: &'a Path,
    /// Whether no install in this run has listed what was not run.
    pub(super) alone: bool,
    /// Whether the caller wants the project's own code to run.
    pub(super) own: bool,
}

impl Surroundings<'_> {
    /// Private directories of one step; whatever it leaves there goes with the run.
    fn directories(&self, name: &str) -> Result<PrivateDirs, Finding> {
        let base = self.private.tmp.join(name);
        let make = |name: &str| {
            let path = base.join(name);
            let made = std::fs::create_dir_all(&path);
            made.map(|()| path)
                .map_err(|error| internal("private directory", error))
        };
        Ok(PrivateDirs {
            home: make("home")?,
            cache: make("cache")?,
            tmp: make("tmp")?,
            config: make("config")?,
        })
    }

    /// What v4run writes must not lie where a build may write.
    fn kept_apart(&self, folder: &Path) -> Result<(), Finding> {
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.into());
        let places: [PathBuf; 2] = [real(self.record), real(self.store)];
        match places.iter().find(|place| place.starts_with(folder)) {
            Some(place) => {
                let shown = place.display().to_string();
                let message = format!("`{shown}` would lie where a build may write");
                Err(Finding::new(Code::Usage, shown, message)
                    .with_hint("name another place for it"))
            }
            None => Ok(()),
        }
    }
}

impl Run {
    /// Builds what is approved.
    pub(super) fn build(
        &self,
        around: &Surroundings<'_>,
        ended: &mut Ended,
    ) -> Result<(), Finding> {
        let builder = builder(self.options.manager)?;
        sandbox::offered().map_err(|failure| unenforceable(&failure))?;
        let spared = children().unwrap_or_default();
        nix::sys::prctl::set_child_subreaper(true).map_err(|e| internal("subreaper", e))?;
        let home = places::home(&self.environment);
        let request = BuildRequest {
            directory: &self.directory,
            environment: &self.environment,
            home: home.as_deref(),
            policy: around.policy,
        };
        let root = builder.root(&request)?;
        if !around.alone && ended.project.root != root {
            let message = "`--build` is for the install tree of the project here";
            return Err(Finding::new(Code::Usage, "--build", message));
        }
        ended.project.root = root;
        let wanted = builder.wanted(&request)?;
        let own = match around.own {
            true => builder.own(&request)?,
            false => None,
        };
        let own = match own {
            Some(wanted) => {
                let build = own_approval(around.policy, &wanted)?;
                Some((wanted, build))
            }
            None => None,
        };
        let Some(approved) = select(around, &wanted, ended) else {
            return Ok(());
        };
        let stages = Stages {
            recorder: around.recorder,
            manager: self.options.manager,
            spared: &spared,
            refused: Arc::default(),
        };
        let builds = Installed {
            around,
            builder,
            request,
            stages,
        };
        let result = builds.all(&approved, own.as_ref(), ended);
        let contained = end_all(&spared);
        contained.complete("processes")?;
        around.recorder.send(Event::Contained {
            killed: contained.killed,
        });
        result
    }
}

/// The approval that the command line is, for the project itself.
fn own_approval(policy: &Policy, wanted: &Wanted) -> Result<Build, Finding> {
    if policy.lockdown {
        let message = "the system policy is locked down, so that nobody else lets code run";
        let finding = Finding::new(Code::BuildUnapproved, "--project", message);
        return Err(finding.with_hint("run the project's own scripts apart from the install"));
    }
    let texts: Vec<String> = wanted
        .scripts
        .iter()
        .map(|one| one.command.clone())
        .collect();
    let digest = sha256_from(&mut texts.join("\n").as_bytes());
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    Ok(Build {
        purl: wanted.purl.clone(),
        digest: digest.map_err(|error| internal("digest", error))?,
        owner: "the command line".to_owned(),
        reason: "the project's own scripts".to_owned(),
        expires: now.get(..10).unwrap_or_default().to_owned(),
        platform: None,
        toolchain: wanted.toolchain.iter().map(PathBuf::from).collect(),
        headers: None,
        requires: Vec::new(),
        limits: Limits::default(),
        stated_in: "--project".to_owned(),
    })
}

/// What is to be built; `None` where that is nothing, or something is refused.
fn select<'a>(
    around: &Surroundings<'a>,
    wanted: &'a [Wanted],
    ended: &mut Ended,
) -> Option<Vec<(&'a Wanted, &'a Build)>> {
    let mut approved = Vec::new();
    let (mut refused, mut unnamed) = (Vec::new(), Vec::new());
    for one in wanted {
        match standing(around.policy, one) {
            Standing::Approved(build) => approved.push((one, build)),
            Standing::Refused(why) => refused.push((one, why)),
            Standing::Unnamed => unnamed.push(one),
        }
    }
    let found = |finding| around.recorder.send(Event::Found(finding));
    let left = refused
        .iter()
        .map(|(one, _)| *one)
        .chain(unnamed.iter().copied());
    for one in left.filter(|_| around.alone) {
        for script in &one.scripts {
            around.recorder.send(Event::ScriptSuppressed {
                name: one.name.clone(),
                version: one.version.clone(),
                path: one.path.clone(),
                script: script.name.clone(),
                command: script.command.clone(),
            });
        }
    }
    for (one, why) in &refused {
        found(propose::objected(one, why));
    }
    if around.own && refused.is_empty() {
        return Some(approved);
    }
    if wanted.is_empty() {
        say("v4run: nothing that is installed here wants to be built");
        // There was nothing to do, and it was done.
        (ended.started, ended.status) = (true, Some(ManagerStatus::Exited(0)));
        return None;
    }
    if approved.is_empty() && refused.is_empty() {
        for one in unnamed.iter().take(NAMED) {
            found(propose::unnamed(one));
        }
        return None;
    }
    if !unnamed.is_empty() {
        let names: Vec<&str> = unnamed
            .iter()
            .map(|one| one.purl.as_str())
            .take(NAMED)
            .collect();
        say(&format!(
            "v4run: not built, because nobody approves them: {}; `v4run build --propose` shows what they want",
            crate::diag::sanitize(&names.join(", "))
        ));
    }
    refused.is_empty().then_some(approved)
}

/// The builds of a run.
struct Installed<'a> {
    around: &'a Surroundings<'a>,
    builder: &'static dyn Builder,
    request: BuildRequest<'a>,
    stages: Stages<'a>,
}

/// What the scripts of a run are started with.
struct Stages<'a> {
    recorder: &'a Recorder,
    manager: &'static dyn Manager,
    spared: &'a [Pid],
    /// Whether anything that they wanted was refused.
    refused: Arc<AtomicBool>,
}

/// The scripts of one component.
struct Work<'a> {
    wanted: &'a Wanted,
    build: &'a Build,
    private: &'a PrivateDirs,
    /// How each of them is started.
    plan: &'a dyn Fn(&Step<'_>) -> Result<Planned, Finding>,
}

impl Stages<'_> {
    /// All scripts of one component, with what they left. Whether the next one may follow: what a script
    /// changed elsewhere must not run as something that was compared before.
    fn all(
        &self,
        work: &Work<'_>,
        root: &Path,
        signals: &mut Signals,
        ended: &mut Ended,
    ) -> Result<bool, Finding> {
        let before = produced::Snapshot::take(&work.wanted.folder)?;
        let status = self.scripts(work, signals, ended);
        let changes = before.changes(work.wanted, root, work.build.limits);
        let clean = !changes.iter().any(|event| matches!(event, Event::Found(_)));
        changes
            .into_iter()
            .for_each(|event| self.recorder.send(event));
        ended.built.push(work.wanted.path.clone());
        ended.status = status?;
        Ok(ended.status == Some(ManagerStatus::Exited(0)) && clean)
    }

    fn scripts(
        &self,
        work: &Work<'_>,
        signals: &mut Signals,
        ended: &mut Ended,
    ) -> Result<Option<ManagerStatus>, Finding> {
        let (wanted, build) = (work.wanted, work.build);
        let mut status = Some(ManagerStatus::Exited(0));
        for script in &wanted.scripts {
            let step = Step {
                wanted,
                script,
                build,
                private: work.private,
            };
            let planned = (work.plan)(&step)?;
            self.recorder.send(Event::BuildStarted(BuildStart {
                purl: wanted.purl.clone(),
                path: wanted.path.clone(),
                digest: Some(build.digest.clone()),
                script: script.name.clone(),
                command: script.command.clone(),
                owner: build.owner.clone(),
                reason: build.reason.clone(),
                expires: build.expires.clone(),
                stated_in: build.stated_in.clone(),
            }));
            let stage = stage::Stage {
                recorder: self.recorder,
                manager: self.manager,
                step: &step,
                spared: self.spared,
                refused: &self.refused,
            };
            status = stage.run(planned, signals, &mut ended.started)?;
            if status != Some(ManagerStatus::Exited(0)) {
                let message = format!("{} of `{}` did not succeed", script.name, wanted.purl);
                let finding = Finding::new(Code::BuildFailed, &wanted.path, message);
                self.recorder.send(Event::Found(finding));
                break;
            }
        }
        Ok(status)
    }
}

impl Installed<'_> {
    fn all(
        &self,
        approved: &[(&Wanted, &Build)],
        own: Option<&(Wanted, Build)>,
        ended: &mut Ended,
    ) -> Result<(), Finding> {
        for (wanted, build) in approved {
            self.around.kept_apart(&wanted.folder)?;
            // Nothing starts before everything is known to be what was approved.
            self.compare(wanted, build)?;
        }
        if let Some((own, _)) = own {
            self.around.kept_apart(&own.folder)?;
        }
        // What there is to do is done, if that is nothing.
        if approved.is_empty() && own.is_none() {
            (ended.started, ended.status) = (true, Some(ManagerStatus::Exited(0)));
        }
        let mut signals = Signals::open()?;
        let own = own.map(|(wanted, build)| (wanted, build));
        let all = approved.iter().copied().chain(own);
        for (number, (wanted, build)) in all.enumerate() {
            let private = self.around.directories(&format!("build-{number}"))?;
            let work = Work {
                wanted,
                build,
                private: &private,
                plan: &|step| self.builder.plan(&self.request, step),
            };
            let root = ended.project.root.clone();
            if !self.stages.all(&work, &root, &mut signals, ended)? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether the folder is what the approved artifact holds.
    fn compare(&self, wanted: &Wanted, build: &Build) -> Result<(), Finding> {
        let blobs = Blobs::new(&Directory::reading(self.around.store));
        let found = blobs.find(&[Integrity::of(build.digest.clone())]);
        let found = found.map_err(|error| internal("store", error))?;
        let Some((content, _)) = found else {
            let message = format!(
                "`{}` is not built: the store no longer has its artifact, {}, to compare it with",
                wanted.purl, build.digest
            );
            return Err(Finding::new(Code::BuildUnapproved, &wanted.path, message)
                .with_hint("install it anew through v4run, then build at once"));
        };
        let mut content: Box<dyn Read> = match content {
            Content::Memory(chunks) => Box::new(Cursor::new(chunks.concat())),
            Content::File(file, _) => {
                let mut file = file.try_clone().map_err(|error| internal("store", error))?;
                file.rewind().map_err(|error| internal("store", error))?;
                Box::new(file)
            }
        };
        self.builder.compare(wanted, &mut content)
    }
}

/// The policy of a project, as every run reads it.
fn policy(explicit: Option<&Path>, directory: &Path) -> Result<Policy, Finding> {
    let project = prepare::policy_directory(directory);
    Policy::load(explicit, &project, Path::new(SYSTEM_POLICY))
}

/// The caller's environment.
fn environment() -> Environment {
    std::env::vars_os().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn under_a_lockdown_the_command_line_lets_nothing_run() {
        let own = |lockdown| {
            let policy = Policy {
                lockdown,
                ..Policy::default()
            };
            own_approval(&policy, &Wanted::default())
        };
        assert!(own(false).is_ok());
        assert_eq!(own(true).unwrap_err().code, Code::BuildUnapproved);
    }
}
