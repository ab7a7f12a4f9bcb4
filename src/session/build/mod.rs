//! `v4run build`, and `--build` on an install: components that the policy approves run their code once.
//!
//! After a clean install, nothing of the manager left. For each component that wants to run code the policy is
//! asked; its artifact is taken from the store by the digest of the approval and compared with the folder, so
//! that what runs is what was approved. Then each script runs in a sandbox of its own ([`stage`]): no network,
//! its folder and private directories to write, programs of its toolchain only, limits. What it left is recorded
//! ([`produced`]). The first script that does not succeed ends it. Nothing is approved here.

use std::io::{Cursor, Read, Seek as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::unistd::Pid;

use super::children::{children, end_all};
use super::confined::{internal, unenforceable};
use super::places::Environment;
use super::signals::Signals;
use super::{Ended, Run, SYSTEM_POLICY, places, prepare, say};
use crate::diag::ManagerStatus;
use crate::manager::{BuildRequest, Builder, Manager, PrivateDirs, Step, Wanted};
use crate::model::{BuildStart, Code, Event, Finding, Integrity, Limits};
use crate::profile::Policy;
use crate::profile::build::Build;
use crate::record::Recorder;
use crate::sandbox;
use crate::store::{Blobs, Content, Directory};
use crate::verify::hash::sha256_from;

mod produced;
mod propose;
mod stage;
mod usage;

pub use propose::propose;

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
        let message = format!("{} has no builds that could be approved", manager.name());
        Finding::new(Code::Usage, "build", message)
    })
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
            true => own(builder, &request)?,
            false => None,
        };
        let Some(approved) = select(around, &wanted, ended) else {
            return Ok(());
        };
        let builds = Builds {
            around,
            builder,
            manager: self.options.manager,
            request,
            spared: &spared,
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

/// The project itself with the approval that the command line is.
fn own(
    builder: &'static dyn Builder,
    request: &BuildRequest<'_>,
) -> Result<Option<(Wanted, Build)>, Finding> {
    let Some(wanted) = builder.own(request)? else {
        return Ok(None);
    };
    if request.policy.lockdown {
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
    let build = Build {
        purl: wanted.purl.clone(),
        digest: digest.map_err(|error| internal("digest", error))?,
        owner: "the command line".to_owned(),
        reason: "the project's own scripts".to_owned(),
        expires: now.get(..10).unwrap_or_default().to_owned(),
        platform: None,
        toolchain: wanted.toolchain.iter().map(PathBuf::from).collect(),
        headers: None,
        limits: Limits::default(),
        stated_in: "--project".to_owned(),
    };
    Ok(Some((wanted, build)))
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
        let message = format!("`{}` is not built: {why}", one.purl);
        let finding = Finding::new(Code::BuildUnapproved, &one.path, message)
            .with_hint("review it again, then correct the approval: `v4run build --propose`");
        found(finding);
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
            let message = format!(
                "`{}` wants to run {}, and nobody approves it; to approve it:\n{}",
                one.purl,
                propose::scripts(one),
                propose::table(one)
            );
            found(Finding::new(Code::BuildUnapproved, &one.path, message));
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
struct Builds<'a> {
    around: &'a Surroundings<'a>,
    builder: &'static dyn Builder,
    manager: &'static dyn Manager,
    request: BuildRequest<'a>,
    spared: &'a [Pid],
}

impl Builds<'_> {
    fn all(
        &self,
        approved: &[(&Wanted, &Build)],
        own: Option<&(Wanted, Build)>,
        ended: &mut Ended,
    ) -> Result<(), Finding> {
        for (wanted, build) in approved {
            self.kept_apart(&wanted.folder)?;
            // Nothing starts before everything is known to be what was approved.
            self.compare(wanted, build)?;
        }
        if let Some((own, _)) = own {
            self.kept_apart(&own.folder)?;
        }
        // What there is to do is done, if that is nothing.
        if approved.is_empty() && own.is_none() {
            (ended.started, ended.status) = (true, Some(ManagerStatus::Exited(0)));
        }
        let mut signals = Signals::open()?;
        let own = own.map(|(wanted, build)| (wanted, build));
        let all = approved.iter().copied().chain(own);
        for (number, (wanted, build)) in all.enumerate() {
            let private = self.private(number)?;
            let before = produced::Snapshot::take(&wanted.folder)?;
            let status = self.one(wanted, build, &private, &mut signals, ended);
            let changes = before.changes(wanted, &ended.project.root, build.limits);
            let clean = !changes.iter().any(|event| matches!(event, Event::Found(_)));
            changes
                .into_iter()
                .for_each(|event| self.around.recorder.send(event));
            ended.built.push(wanted.path.clone());
            ended.status = status?;
            // What it changed elsewhere must not run as something that was compared before.
            if ended.status != Some(ManagerStatus::Exited(0)) || !clean {
                return Ok(());
            }
        }
        Ok(())
    }

    /// All scripts of one component.
    fn one(
        &self,
        wanted: &Wanted,
        build: &Build,
        private: &PrivateDirs,
        signals: &mut Signals,
        ended: &mut Ended,
    ) -> Result<Option<ManagerStatus>, Finding> {
        let mut status = Some(ManagerStatus::Exited(0));
        for script in &wanted.scripts {
            let step = Step {
                wanted,
                script,
                build,
                private,
            };
            let planned = self.builder.plan(&self.request, &step)?;
            self.around.recorder.send(Event::BuildStarted(BuildStart {
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
                recorder: self.around.recorder,
                manager: self.manager,
                step: &step,
                spared: self.spared,
            };
            status = stage.run(planned, signals, &mut ended.started)?;
            if status != Some(ManagerStatus::Exited(0)) {
                let message = format!("{} of `{}` did not succeed", script.name, wanted.purl);
                let finding = Finding::new(Code::BuildFailed, &wanted.path, message);
                self.around.recorder.send(Event::Found(finding));
                break;
            }
        }
        Ok(status)
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

    /// Directories of one build; whatever it leaves there goes with the run.
    fn private(&self, number: usize) -> Result<PrivateDirs, Finding> {
        let base = self.around.private.tmp.join(format!("build-{number}"));
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
        let places: [PathBuf; 2] = [real(self.around.record), real(self.around.store)];
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

/// The policy of a project, as every run reads it.
fn policy(explicit: Option<&Path>, directory: &Path) -> Result<Policy, Finding> {
    let project = prepare::policy_directory(directory);
    Policy::load(explicit, &project, Path::new(SYSTEM_POLICY))
}

/// The caller's environment.
fn environment() -> Environment {
    std::env::vars_os().collect()
}
