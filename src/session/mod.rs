//! One run from start to end; the only place that knows all parts.
//!
//! Order: user and capabilities → record → policy and manager configuration → proxy and launcher →
//! answer notifications → end everything → read the tree back → assess → seal. Whatever happens
//! after the record exists ends in a sealed record; what happens before is said on standard error.
//! Threads only; the async part is the proxy's own process.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use uuid::Uuid;

use crate::assess;
use crate::diag::{ERROR, ManagerStatus, finding as render};
use crate::manager::{
    Call, Installed, Manager, Prepared, PrivateDirs, Project, Refusal, Request, Sources,
};
use crate::model::{Access, Assessment, Code, Event, Finding, Level, Secret, Severity};
use crate::profile::Policy;
use crate::record;
use crate::record::{Index, Outcome, Recorded, Recorder};

mod arguments;
mod assurance;
mod build;
pub mod children;
mod ci;
mod confined;
pub mod doctor;
pub mod effective;
mod identity;
pub mod init;
mod keep;
mod keys;
mod look;
mod places;
mod prepare;
pub mod probe;
mod query;
mod runtime;
mod seeds;
pub mod shims;
mod signals;
mod signing;

pub use build::{Builds, propose};
pub use places::records;

use ci::Stage;
use identity::Needs;
use look::{Feed, Look};
use places::{Environment, RunDirs};
use signing::Signing;

/// What the command line says.
#[derive(Debug)]
pub struct Options {
    /// `--record`.
    pub record: Option<PathBuf>,
    /// `--policy`.
    pub policy: Option<PathBuf>,
    /// `--level`.
    pub level: Option<Level>,
    /// `--sign-key`.
    pub sign_key: Option<PathBuf>,
    /// `--repair`: move away what is kept and not what was verified.
    pub repair: bool,
    /// `v4run trust`: find out what would be loaded as code, and run none of it.
    pub rehearsal: bool,
    /// Whether what the policy approves is built.
    pub build: Builds,
    /// The manager's driver.
    pub manager: &'static dyn Manager,
    /// The manager as it was named on the command line.
    pub word: OsString,
    /// The manager's arguments.
    pub arguments: Vec<OsString>,
}

/// The machine's policy.
const SYSTEM_POLICY: &str = "/etc/v4run/policy.toml";

/// One run in the making.
struct Run {
    id: Uuid,
    started: SystemTime,
    options: Options,
    environment: Environment,
    directory: PathBuf,
    signing: Signing,
}

/// Runs the manager and returns v4run's exit status.
pub fn run(options: Options) -> u8 {
    let directory = match places::working_directory() {
        Ok(directory) => directory,
        Err(finding) => return fail(&finding),
    };
    let mut environment: Environment = std::env::vars_os().collect();
    let signing = match Signing::open(options.sign_key.as_deref(), &mut environment) {
        Ok(signing) => signing,
        Err(finding) => return fail(&finding),
    };
    let run = Run {
        id: Uuid::new_v4(),
        started: SystemTime::now(),
        options,
        environment,
        directory,
        signing,
    };
    let stage = Stage::open(&run.options, &run.environment);
    match run.finish(&stage) {
        Ok(status) => status,
        Err(finding) => {
            stage.annotate(&finding);
            fail(&finding)
        }
    }
}

/// The first event of a record; `user` says as whom the manager runs.
fn run_started(options: &Options, directory: &Path, user: String) -> Event {
    Event::RunStarted {
        v4run: env!("CARGO_PKG_VERSION").to_owned(),
        manager: options.manager.name().to_owned(),
        arguments: arguments::shown(&options.arguments),
        directory: directory.display().to_string(),
        uid: nix::unistd::getuid().as_raw(),
        user,
    }
}

/// Says why nothing could be done, on standard error.
fn fail(finding: &Finding) -> u8 {
    say(&render(finding));
    ERROR
}

fn say(text: &str) {
    use std::io::Write as _;
    // One write, so that a line of the manager's does not end up in the midst of it. Nobody is left to
    // be told if standard error is closed.
    let _ = std::io::stderr().write_all(format!("{}\n", text.trim_end()).as_bytes());
}

/// Findings that are printed while they happen; the record has all.
const PRINTED: usize = 20;

/// Prints what deserves a line while it happens, each once.
fn live(feed: Feed) -> record::Observer {
    let mut printed = HashSet::new();
    Box::new(move |event| {
        if let Event::Released(released) = event {
            feed.ask(released);
        }
        if let Event::Found(finding) = event
            && finding.code.severity() != Severity::Note
            && printed.len() < PRINTED
            && printed.insert(finding.clone())
        {
            say(&render(finding));
        }
    })
}

/// What the confined part of a run left behind.
#[derive(Debug, Default)]
struct Ended {
    status: Option<ManagerStatus>,
    started: bool,
    installed: Option<Installed>,
    /// Programs that ran before the install, in their order.
    before: Vec<String>,
    /// Install paths of components that ran their code.
    built: Vec<String>,
    project: Project,
    /// The plan, once there was one.
    prepared: Option<Prepared>,
    /// What the policy asks for.
    level: Option<Level>,
    /// Removed after the record is sealed.
    dirs: Option<RunDirs>,
    /// What looks into artifacts beside the run.
    look: Option<Look>,
}

impl Run {
    fn finish(self, stage: &Stage) -> Result<u8, Finding> {
        signals::block()?;
        let user = identity::settle(&self.directory, &self.needs())?;
        let place = match &self.options.record {
            Some(record) => record.clone(),
            None => places::record(&self.environment, &self.id.simple().to_string())?,
        };
        let feed = Feed::default();
        let recorder = Recorder::start(&place, live(feed.clone())).map_err(|e| e.finding())?;
        recorder.send(run_started(&self.options, &self.directory, user));
        let mut ended = Ended::default();
        if let Err(finding) = self.confined_part(&recorder, &place, feed, &mut ended) {
            recorder.send(Event::Found(finding));
        }
        self.seal(recorder, ended, stage)
    }

    /// What the project's owner would have to reach, if root is to become that user.
    fn needs(&self) -> Needs {
        let home = places::home(&self.environment);
        let reach = self.options.manager.reach(&Call {
            word: &self.options.word,
            directory: &self.directory,
            environment: &self.environment,
            home: home.as_deref(),
        });
        let mut needs = Needs {
            read: reach.read,
            write: reach.write,
        };
        needs.read.extend(home);
        needs.read.extend(self.options.policy.clone());
        needs.write.push(self.directory.clone());
        needs
            .write
            .extend(places::store(&self.environment, None).ok());
        needs.write.extend(match &self.options.record {
            Some(record) => Some(record.clone()),
            None => places::record(&self.environment, "x").ok(),
        });
        needs
    }

    fn confined_part(
        &self,
        recorder: &Recorder,
        place: &Path,
        feed: Feed,
        ended: &mut Ended,
    ) -> Result<(), Finding> {
        let manager = self.options.manager;
        if self.options.rehearsal && !manager.rehearses() {
            let message = format!(
                "nothing to find out: {} runs nothing that it downloads under v4run",
                manager.name()
            );
            return Err(Finding::new(Code::Usage, "trust", message));
        }
        build::possible(manager, self.options.build)?;
        let policy = self.policy()?;
        ended.level = policy.level.and_then(|number| {
            Level::ALL
                .into_iter()
                .find(|level| level.number() == number)
        });
        for (path, sha256) in &policy.sources {
            recorder.send(Event::InputRead {
                name: "policy".to_owned(),
                path: path.display().to_string(),
                sha256: sha256.clone(),
            });
        }
        assurance::exceptions(&policy).for_each(|event| recorder.send(event));
        let store = places::store(&self.environment, policy.store.as_deref())?;
        let dirs = RunDirs::create(&store, &self.id.simple().to_string())?;
        let private = dirs.private.clone();
        ended.dirs = Some(dirs);
        let around = build::Surroundings {
            recorder,
            policy: &policy,
            store: &store,
            private: &private,
            record: place,
            own: self.options.build.project(),
            alone: matches!(self.options.build, Builds::Alone { .. }),
        };
        if around.alone {
            return self.build(&around, ended);
        }
        let Some(sources) = self.build_sources(&around, ended)? else {
            return Ok(());
        };
        ended.look = Look::start(&store, policy.look.unwrap_or_default(), feed)?;
        let start = confined::Start::new(&store, &self.environment, self.options.rehearsal)?;
        let request = self.request(&policy, &private, &sources, start.port());
        let mut prepared = match self.options.manager.prepare(&request) {
            Ok(prepared) => prepared,
            Err(refusal) => {
                tell(recorder, refusal);
                return Ok(());
            }
        };
        kept_apart(
            "record",
            &place.canonicalize().unwrap_or_else(|_| place.into()),
            &prepared,
        )?;
        kept_apart(
            "store",
            &store.canonicalize().unwrap_or_else(|_| store.clone()),
            &prepared,
        )?;
        self.equip(&mut prepared, &policy, &store)?;
        // What the manager may write is no observation of anybody's.
        let state = places::probes(&self.environment)
            .map(|state| state.canonicalize().unwrap_or(state))
            .filter(|state| !is_exposed(state, &prepared));
        assurance::known(
            &prepared.network,
            &policy,
            state.as_deref(),
            SystemTime::now(),
        )?
        .into_iter()
        .for_each(|event| recorder.send(event));
        ended.project = prepared.project.clone();
        std::mem::take(&mut prepared.events)
            .into_iter()
            .for_each(|event| recorder.send(event));
        let before = self.options.manager.snapshot(&prepared);
        if self.options.repair {
            keep::repair(self.options.manager, &prepared, recorder)?;
        }
        let seeds = seeds::sow(&prepared.seeds)?;
        if !ended.before.is_empty() {
            let own = prepared.launch.executable.to_string_lossy().into_owned();
            let programs = ended.before.iter().cloned().chain([own]).collect();
            recorder.send(Event::Planned { programs });
        }
        let result = self.supervise(recorder, start, &prepared, &private, ended);
        if ended.started && prepared.installs {
            ended.installed = Some(self.options.manager.inspect(&prepared, &before));
        }
        if ended.status == Some(ManagerStatus::Exited(0)) && result.is_ok() {
            seeds::promote(&prepared.promotions)?;
        }
        seeds.weed();
        ended.prepared = Some(prepared);
        result?;
        let succeeded = ended.status == Some(ManagerStatus::Exited(0));
        let after = manager.builder().is_some() && self.options.build != Builds::None;
        if after && ended.installed.is_some() && succeeded {
            self.build(&around, ended)?;
        }
        Ok(())
    }

    /// Completes what a driver planned by what it does not know.
    fn equip(&self, prepared: &mut Prepared, policy: &Policy, store: &Path) -> Result<(), Finding> {
        self.signing.kept_apart(&prepared.launch.rules)?;
        let network = &mut prepared.network;
        network.refused.clone_from(&policy.refuse);
        network.release_age = assurance::release_age(policy);
        network.store = store.as_os_str().to_owned();
        network.run = self.id.simple().to_string();
        let completed = policy
            .signing
            .complete(&network.protocol, &mut network.signing);
        completed.map_err(|error| {
            Finding::new(Code::PolicyInvalid, "signing-keys", error.to_string())
        })?;
        keys::usable(&network.signing)
    }

    fn supervise(
        &self,
        recorder: &Recorder,
        start: confined::Start,
        prepared: &Prepared,
        private: &PrivateDirs,
        ended: &mut Ended,
    ) -> Result<(), Finding> {
        // Digests of the programs are taken beside the run; they cost time and nothing waits for them.
        let watch = runtime::Watch::start(
            &prepared.tools,
            &prepared.launch.rules,
            &prepared.files.protected,
            prepared.installs,
        );
        let result = start.run(recorder, self.options.manager, prepared, private, ended);
        for event in watch.finish() {
            recorder.send(event);
        }
        result
    }

    /// What a rehearsal found.
    fn rehearsed(&self, recorded: &mut Recorded, ended: &Ended) -> Option<String> {
        let prepared = ended.prepared.as_ref()?;
        if !self.options.rehearsal || !ended.started {
            return None;
        }
        let manager = self.options.manager;
        let message = "nothing that was downloaded ran: this was a rehearsal";
        recorded.push(Event::Found(Finding::new(
            Code::Rehearsed,
            manager.name(),
            message,
        )));
        match manager.rehearsed(prepared, recorded.events()) {
            Ok(text) => Some(text),
            Err(finding) => {
                recorded.push(Event::Found(finding));
                None
            }
        }
    }

    /// What the driver is asked.
    fn request<'a>(
        &'a self,
        policy: &'a Policy,
        private: &'a PrivateDirs,
        sources: &'a Sources,
        proxy_port: u16,
    ) -> Request<'a> {
        Request {
            word: &self.options.word,
            arguments: &self.options.arguments,
            directory: self.directory.clone(),
            environment: &self.environment,
            home: places::home(&self.environment),
            policy,
            private,
            proxy_port,
            token: Secret::new(Uuid::new_v4().simple().to_string()),
            rehearsal: self.options.rehearsal,
            sources,
        }
    }

    fn policy(&self) -> Result<Policy, Finding> {
        let project = prepare::policy_directory(&self.directory);
        let explicit = self.options.policy.as_deref();
        Policy::load(explicit, &project, Path::new(SYSTEM_POLICY))
    }

    fn seal(self, recorder: Recorder, mut ended: Ended, stage: &Stage) -> Result<u8, Finding> {
        let mut recorded = recorder.finish().map_err(|e| e.finding())?;
        if let Some(prepared) = ended.prepared.as_ref().filter(|_| ended.started) {
            match keep::compare(self.options.manager, prepared, recorded.events()) {
                Ok(events) => events.into_iter().for_each(|event| recorded.push(event)),
                Err(finding) => recorded.push(Event::Found(finding)),
            }
        }
        if let Some(prepared) = &ended.prepared
            && ended.status == Some(ManagerStatus::Exited(0))
        {
            let delivered = self.options.manager.deliver(prepared, recorded.events());
            delivered.into_iter().for_each(|event| recorded.push(event));
        }
        if let Some(installed) = ended.installed.take() {
            recorded.push(Event::Inspected {
                direct: installed.direct,
                chooses: installed.chooses,
            });
            let used = ended.prepared.as_ref().map_or_else(Vec::new, |prepared| {
                let manager = self.options.manager;
                manager.used(&prepared.notes, recorded.events())
            });
            for mut package in installed.packages.into_iter().chain(used) {
                if ended.built.contains(&package.path) {
                    // They were run, which is recorded apart.
                    package.scripts.clear();
                }
                for script in &package.scripts {
                    recorded.push(Event::ScriptSuppressed {
                        name: package.name.clone(),
                        version: package.version.clone(),
                        path: package.path.clone(),
                        script: script.name.clone(),
                        command: script.command.clone(),
                    });
                }
                recorded.push(Event::Installed(package));
            }
            // A manager that failed leaves a partial tree, and says so itself.
            if ended.status == Some(ManagerStatus::Exited(0)) || !ended.built.is_empty() {
                for finding in installed.findings {
                    recorded.push(Event::Found(finding));
                }
            }
        }
        let rehearsed = self.rehearsed(&mut recorded, &ended);
        if let Some(look) = ended.look {
            look.finish(&mut recorded);
        }
        for finding in assess::compare(&Index::new(recorded.events())) {
            recorded.push(Event::Found(finding));
        }
        let assessment = assess::assess(recorded.events());
        for waived in assessment.waived() {
            let subject = format!("control {}", waived.control);
            let finding = Finding::new(Code::ExceptionUsed, subject, &waived.detail);
            recorded.push(Event::Found(finding));
        }
        // Whoever asks for more decides.
        if let Some(level) = self.options.level.max(ended.level) {
            let reached = assessment
                .level(level)
                .is_some_and(|l| l.verdict.is_reached());
            if !reached {
                recorded.push(Event::Found(not_reached(level, &assessment)));
            }
        }
        let outcome = Outcome {
            run: self.id,
            started: self.started,
            ended: SystemTime::now(),
            manager: self.options.manager.name().to_owned(),
            project: ended.project,
            status: ended.status,
            before_start: !ended.started,
            assessment,
        };
        let annotations = stage.annotations(recorded.events());
        let recorded = recorded.signed_with(self.signing.key);
        let sealed = recorded.seal(&outcome).map_err(|e| e.finding())?;
        stage.end(&annotations);
        for line in record::human(&sealed.summary, &sealed.directory) {
            say(&line);
        }
        if let Some(text) = rehearsed {
            print(&text);
        }
        if let Some(note) = sealed.exit.note(self.options.manager.name()) {
            say(&format!("v4run: {note}"));
        }
        Ok(sealed.exit.status())
    }
}

/// Records why a run may not start.
fn tell(recorder: &Recorder, refusal: Refusal) {
    let found = refusal.findings.into_iter().map(Event::Found);
    let events = refusal.events.into_iter().chain(found);
    events.for_each(|event| recorder.send(event));
}

fn is_exposed(path: &Path, prepared: &Prepared) -> bool {
    let mut rules = prepared.launch.rules.iter();
    rules.any(|rule| rule.access == Access::Write && path.starts_with(&rule.path))
}

/// Prints what was asked for. A closed pipe is no error of ours.
fn print(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout().lock(), "{}", text.trim_end());
}

/// What v4run writes must not lie where the manager may write.
fn kept_apart(what: &str, path: &Path, prepared: &Prepared) -> Result<(), Finding> {
    if !is_exposed(path, prepared) {
        return Ok(());
    }
    let shown = path.display().to_string();
    let message = format!("the {what} would lie where this command may write: `{shown}`");
    Err(Finding::new(Code::Usage, shown, message).with_hint("name another place for it"))
}

fn not_reached(level: Level, assessment: &Assessment) -> Finding {
    let verdict = assessment.level(level);
    let blocking = verdict.map_or_else(Vec::new, |verdict| {
        verdict.blocking.iter().map(ToString::to_string).collect()
    });
    let word = verdict.map_or("not assessed", |verdict| verdict.verdict.name());
    Finding::new(
        Code::LevelNotReached,
        level.to_string(),
        format!(
            "{level} is {word}; it is held up by: {}",
            blocking.join(", ")
        ),
    )
    .with_hint("`v4run assess` shows each control; `v4run explain 4.x` says what it needs")
}
