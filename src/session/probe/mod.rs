//! `v4run probe`: a read-only look at the repositories that a command would use.
//!
//! Two steps with the caller's confinement between them: [`prepare`] reads configuration and project as
//! a run would and starts nothing; [`Plan::run`] asks, in a process that can no longer read them. At most
//! [`REQUESTS`] requests a repository, each once, and for a day none again: what was seen is kept and
//! counted by every run until then. Nothing is ever written to a repository.
//! What is seen supports or contradicts a control and proves none.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use url::Url;
use uuid::Uuid;

use super::places::{self, RunDirs};
use super::signing::Signing;
use super::{Options, Run, identity};
use crate::model::{
    Code, Digest, Expected, Finding, Network, Outcome, Probed, Repository, redact_url,
};
use crate::profile::facts;
use crate::protocol::{self, Probes, Query};
use crate::proxy::{Inquiry, ProbeAnswer, Question};

mod judge;
pub(super) mod kept;

use judge::Said;

/// Most requests to one repository.
pub const REQUESTS: usize = 10;
/// How long an observation counts.
const LIFE: Duration = Duration::from_secs(24 * 3600);
/// Versions that are asked for advisories in one request.
const SET: usize = 5_000;

/// What is to be asked.
#[derive(Debug)]
pub struct Plan {
    network: Network,
    state: PathBuf,
}

/// What was seen of one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Identifier in the plan.
    pub repository: String,
    /// Base address, credentials removed.
    pub base: String,
    /// Whether it was kept from an earlier probe.
    pub kept: bool,
    /// Requests that were made.
    pub requests: usize,
    /// The observations.
    pub probes: Vec<Probed>,
}

/// Works out which repositories a command would use. Findings are why it cannot.
pub fn prepare(options: Options) -> Result<Plan, Vec<Finding>> {
    let one = |finding: Finding| vec![finding];
    let directory = places::working_directory().map_err(one)?;
    let run = Run {
        id: Uuid::new_v4(),
        started: SystemTime::now(),
        options,
        environment: std::env::vars_os().collect(),
        directory,
        // Nothing is recorded, so nothing is signed.
        signing: Signing::default(),
    };
    identity::settle(&run.directory, &run.needs()).map_err(one)?;
    let policy = run.policy().map_err(one)?;
    let state = places::probes(&run.environment).ok_or_else(|| {
        one(Finding::new(
            Code::Usage,
            "HOME",
            "no place to keep what is seen: HOME is not set",
        )
        .with_hint("name one with XDG_STATE_HOME"))
    })?;
    let store = places::store(&run.environment, policy.store.as_deref()).map_err(one)?;
    let dirs = RunDirs::create(&store, &run.id.simple().to_string()).map_err(one)?;
    let prepared = run
        .options
        .manager
        .prepare(&run.request(
            &policy,
            &dirs.private,
            &crate::manager::Sources::default(),
            0,
        ))
        .map_err(|refusal| refusal.findings)?;
    std::fs::create_dir_all(&state).map_err(|error| {
        let shown = state.display().to_string();
        let message = format!("cannot make `{shown}`: {error}");
        one(Finding::new(Code::RecordFailed, shown, message)
            .with_hint("name a writable directory with XDG_STATE_HOME"))
    })?;
    Ok(Plan {
        network: prepared.network,
        state,
    })
}

impl Plan {
    /// The only directory that is written from now on.
    pub fn place(&self) -> &Path {
        &self.state
    }

    /// Asks every repository that was not asked within a day, and keeps what was seen.
    pub fn run(&self) -> Result<Vec<Seen>, Finding> {
        let mut all = Vec::new();
        for repository in &self.network.repositories {
            let base = redact_url(&repository.base);
            let now = SystemTime::now();
            let before = kept::load(&self.state, &base);
            let mut seen = Seen {
                repository: repository.id.clone(),
                base,
                kept: true,
                requests: 0,
                probes: before,
            };
            if seen.probes.is_empty() || !seen.probes.iter().all(|probe| is_fresh(probe, now)) {
                // One client a repository: another one may have other certificates.
                let client = Inquiry::new(&self.network).map_err(|error| {
                    let cause = std::error::Error::source(&error);
                    let cause = cause.map(|cause| format!(": {cause}"));
                    let message = format!("probe: {error}{}", cause.unwrap_or_default());
                    Finding::new(Code::Internal, "probe", message)
                })?;
                let mut asking = Asking::new(&client, repository, &self.network, now)?;
                asking.all();
                seen.kept = false;
                seen.requests = asking.requests;
                seen.probes = asking.probes;
                kept::store(&self.state, &seen.base, &seen.probes)?;
            }
            all.push(seen);
        }
        Ok(all)
    }
}

fn is_fresh(probe: &Probed, now: SystemTime) -> bool {
    let read = |text: &str| humantime::parse_rfc3339(text).ok();
    // One from the future was not seen by this clock.
    read(&probe.at).is_some_and(|at| at <= now)
        && read(&probe.expires).is_some_and(|end| now <= end && end <= now + LIFE)
}

/// The questions to one repository.
struct Asking<'a> {
    inquiry: &'a Inquiry,
    repository: &'a Repository,
    probes_of: &'static dyn Probes,
    canary: Option<facts::Canary>,
    expected: Vec<&'a Expected>,
    now: SystemTime,
    requests: usize,
    probes: Vec<Probed>,
}

impl<'a> Asking<'a> {
    fn new(
        inquiry: &'a Inquiry,
        repository: &'a Repository,
        network: &'a Network,
        now: SystemTime,
    ) -> Result<Self, Finding> {
        let internal = |what: String| Finding::new(Code::Internal, "probe", what);
        let protocol = protocol::by_name(&network.protocol)
            .ok_or_else(|| internal(format!("no protocol `{}`", network.protocol)))?;
        let sheet = facts::sheet(&network.protocol)
            .transpose()
            .map_err(|error| internal(format!("built-in facts: {error}")))?;
        let below = |one: &&Expected| {
            one.url
                .as_ref()
                .is_none_or(|url| url.as_str().starts_with(repository.base.as_str()))
        };
        Ok(Self {
            inquiry,
            repository,
            probes_of: protocol.probes(),
            canary: sheet.and_then(|sheet| sheet.canary),
            expected: network.expected.iter().filter(below).take(SET).collect(),
            now,
            requests: 0,
            probes: Vec::new(),
        })
    }

    fn all(&mut self) {
        let Some(absent) = self.well_known(&format!("v4run-{}", Uuid::new_v4().simple())) else {
            return;
        };
        let (_, nowhere) = self.ask(absent, None, true);
        let portal = judge::portal(&nowhere);
        if let Some(question) = self.well_known("security.txt") {
            let (asked, answer) = self.ask(question, None, true);
            let said = judge::reporting(&answer, self.now);
            self.note(asked, &answer, said);
        }
        self.transport();
        if let Some(question) = self.probes_of.identity(&self.repository.base) {
            let (asked, answer) = self.ask(question, None, true);
            let said = judge::authentication(&answer);
            self.note(asked, &answer, said);
        }
        self.advisories();
        if let Some(reason) = portal {
            // What was seen was seen of somebody else.
            for probe in &mut self.probes {
                probe.outcome = Outcome::CannotTell;
                probe.detail.clone_from(&reason);
            }
        }
    }

    fn transport(&mut self) {
        let base = self.repository.base.clone();
        let (_, protected) = self.ask(base.clone(), None, false);
        let mut plain = base;
        // A port of its own speaks for itself; the port without TLS belongs to the one with it.
        if plain.set_scheme("http").is_err() {
            return;
        }
        let (asked, answer) = self.ask(plain, None, true);
        let older = match self.requests < REQUESTS {
            true => self.inquiry.older(&self.repository.base),
            false => Err("enough requests were made".to_owned()),
        };
        self.requests = (self.requests + 1).min(REQUESTS);
        let public = self.inquiry.is_public();
        let said = judge::transport(&answer, &protected, public);
        let said = judge::versions(said, &older);
        self.note(asked, &answer, said);
    }

    fn advisories(&mut self) {
        let Some(canary) = self.canary.clone() else {
            return;
        };
        let label = format!("{}@{}", canary.name, canary.version);
        let set = [(canary.name.as_str(), canary.version.as_str())];
        let Some(query) = self.probes_of.advisories(&self.repository.base, &set) else {
            return;
        };
        let (asked, answer) = self.put(query);
        let issues = self.probes_of.issues(&answer.body, &set);
        let mut said = judge::canary(&answer, &label, issues.as_deref());
        if said.outcome == Outcome::Supports {
            said.detail.push_str(&self.set());
        }
        self.note(asked, &answer, said);
    }

    /// What the channel, which named the canary, says of the versions that the plan expects.
    fn set(&mut self) -> String {
        let versions: Vec<(&str, &str)> = self
            .expected
            .iter()
            .map(|one| (one.name.as_str(), one.version.as_str()))
            .collect();
        if versions.is_empty() {
            return String::new();
        }
        let Some(query) = self.probes_of.advisories(&self.repository.base, &versions) else {
            return String::new();
        };
        let (_, answer) = self.put(query);
        let digest = answer
            .sha256
            .as_ref()
            .map(Digest::to_string)
            .unwrap_or_default();
        match self.probes_of.issues(&answer.body, &versions) {
            Some(found) if answer.status == Some(200) => {
                let names: Vec<&str> = found.iter().take(20).map(String::as_str).collect();
                let which = match found.len() {
                    0 => "none has a known issue".to_owned(),
                    count => format!("{count} have known issues: {}", names.join(", ")),
                };
                format!(
                    "; of {} versions of this project {which} (answer {digest})",
                    versions.len()
                )
            }
            Some(_) | None => {
                "; the question for this project's versions was not answered".to_owned()
            }
        }
    }

    fn put(&mut self, query: Query) -> (String, ProbeAnswer) {
        self.ask(query.url, query.body, false)
    }

    fn well_known(&self, name: &str) -> Option<Url> {
        let mut url = self.repository.base.clone();
        url.set_path(&format!("/.well-known/{name}"));
        (url.scheme() == "https").then_some(url)
    }

    fn ask(&mut self, url: Url, body: Option<Vec<u8>>, anonymous: bool) -> (String, ProbeAnswer) {
        let method = if body.is_some() { "POST" } else { "GET" };
        let asked = format!("{method} {}", redact_url(&url));
        if self.requests >= REQUESTS {
            let trouble = Some("not asked: enough requests were made".to_owned());
            return (
                asked,
                ProbeAnswer {
                    trouble,
                    ..ProbeAnswer::default()
                },
            );
        }
        self.requests += 1;
        let answer = self.inquiry.ask(&Question {
            url,
            body,
            anonymous,
        });
        (asked, answer)
    }

    fn note(&mut self, asked: String, answer: &ProbeAnswer, said: Said) {
        let stamp = |time| humantime::format_rfc3339_seconds(time).to_string();
        self.probes.push(Probed {
            base: redact_url(&self.repository.base),
            control: said.control,
            outcome: said.outcome,
            asked,
            status: answer.status,
            detail: said.detail,
            body: answer.sha256.clone(),
            at: stamp(self.now),
            expires: stamp(self.now + LIFE),
        });
    }
}
