//! Reads every place that pip takes options from, judges it, and says what the user asked for.
//!
//! Called once before the start. In pip's own order: the subcommand, configuration, indexes, then
//! requirements and locks. All problems of a step are reported together; nothing is written.

use std::path::{Path, PathBuf};

use super::argv::{self, Line};
use super::asked::{Origin, Requirement};
use super::checked::{Checked, Command, Destination};
use super::configuration::{Configuration, Places};
use super::find::absolute;
use super::gather::{self, Gathered, Gatherer, Grounds};
use super::index::{self, Allowed, Scope};
use super::links::Links;
use super::options::Grammar;
use super::settings::{self, Judged, Setting};
use super::target::{PipVersion, Target};
use super::trust;
use super::{find, lock, netrc, stated, subcommand};
use crate::manager::place::resolved;
use crate::manager::{Refusal, Request};
use crate::model::python;
use crate::model::{Code, Event, Expected, Finding, Integrity, Severity};
use crate::profile::Profile;

mod destination;
#[cfg(test)]
mod tests;
mod words;

/// Files with logins are short.
const LIMIT: u64 = 1 << 20;

/// The machine's configuration.
const SYSTEM: &str = "/etc";

/// See [`Checked`].
pub(super) fn check(
    request: &Request<'_>,
    target: &Target,
    _version: PipVersion,
) -> Result<Checked, Refusal> {
    Check::new(request, target, Path::new(SYSTEM))?.run()
}

struct Check<'a> {
    request: &'a Request<'a>,
    target: &'a Target,
    profile: Profile,
    project: PathBuf,
    /// Everything stated outside the command line.
    configuration: Configuration,
    command: Command,
    grammar: &'static str,
    line: Line,
    judged: Judged,
    /// `--editable` of the command line, where the caller lets the project be built.
    editables: Vec<Setting>,
    events: Vec<Event>,
}

impl<'a> Check<'a> {
    /// Reads command line and configuration.
    fn new(request: &'a Request<'a>, target: &'a Target, system: &Path) -> Result<Self, Refusal> {
        let profile = Profile::parse(super::PROFILE).map_err(|error| {
            Finding::new(Code::Internal, "profiles/pip.toml", error.to_string())
        })?;
        let words = argv::texts(request.arguments)?;
        let split = argv::split(&words).map_err(|mistake| usage(&mistake))?;
        let version = split
            .general
            .given
            .iter()
            .any(|one| one.option.rule == "version");
        let (mut command, grammar) = match split.command.as_deref() {
            _ if version => (Command::Version, "help"),
            Some(typed) if !split.general.help => subcommand::find(typed, &profile)?,
            Some(_) | None => (Command::Help, "help"),
        };
        let mut line = argv::parse(&split.arguments, Grammar::of(grammar), true)
            .map_err(|mistake| usage(&mistake))?;
        if line.help && command != Command::Help {
            let topic = if command == Command::Version {
                None
            } else {
                Some(grammar.to_owned())
            };
            (command, line) = (
                Command::Help,
                Line {
                    words: topic.into_iter().collect(),
                    ..line
                },
            );
        }
        if command == Command::Version || (line.help && split.command.is_none()) {
            line.words.clear();
        }
        let command = subcommand::action(command, &line)?;
        let project = find::root(&request.directory, request.home.as_deref());
        let isolated = split.arguments.iter().any(|word| word == "--isolated");
        let configuration = Configuration::load(&Places {
            environment: request.environment,
            home: request.home.as_deref(),
            directory: &request.directory,
            project: project.as_deref(),
            site: target.site_config.as_deref(),
            system,
            isolated,
        });
        let mut events = configuration.events.clone();
        stop_on(&configuration.findings, &mut events)?;
        let settings = settings::effective(&configuration.stated, &line, grammar)?;
        let (editables, settings): (Vec<_>, Vec<_>) = settings.into_iter().partition(|setting| {
            let named = setting.option.rule == "editable" && setting.origin == Origin::Cli;
            named && request.sources.own
        });
        let mut judged = settings::judge(&settings, &profile);
        judged
            .findings
            .splice(0..0, configuration.findings.iter().cloned());
        stop_on(&judged.findings, &mut events)?;
        let project = project.unwrap_or_else(|| request.directory.clone());
        Ok(Self {
            request,
            target,
            profile,
            project,
            configuration,
            command,
            grammar,
            line,
            judged,
            editables,
            events,
        })
    }

    fn run(self) -> Result<Checked, Refusal> {
        let grammar = Grammar::of(self.grammar);
        let asks = grammar.long("index-url").is_some() && self.command != Command::Help;
        let logins = netrc::of(self.request);
        let standard = if asks {
            index::standard(&self.target.pip)
        } else {
            None
        };
        let mut allowed = Allowed::new(self.request.policy, standard, logins);
        self.allow(&mut allowed);
        let mut findings = self.judged.findings.clone();
        let scope = if asks {
            self.scope(&allowed, &mut findings)
        } else {
            Scope::default()
        };
        let links = self.links(&mut findings);
        findings.extend(self.leaving());
        let grounds = Grounds {
            directory: &self.request.directory,
            project: &self.project,
            environment: self.request.environment,
            profile: &self.profile,
            policy: self.request.policy,
            allowed: &allowed,
            config: &self.request.private.config,
            sources: Some(self.request.sources),
        };
        let mut gatherer = Gatherer::new(&grounds, scope, links);
        let words = self.words(&mut gatherer, &mut findings);
        let gathered = gatherer.found;
        findings.extend(gathered.findings.iter().cloned());
        let mut locks = lock::Locks::default();
        if self.command.resolves() {
            let mut places = vec![self.request.directory.clone()];
            places.extend(gathered.directories.iter().cloned());
            locks = lock::find(&places);
            findings.append(&mut locks.findings);
        }
        let mut events = self.events.clone();
        events.extend(gathered.events.iter().cloned());
        events.append(&mut locks.events);
        let findings = gather::bounded(findings);
        stop_on(&findings, &mut events)?;
        Ok(self.finish(gathered, words, locks.expected, events, findings))
    }

    /// Destinations of the user that a link of the project leads out of it.
    fn leaving(&self) -> Vec<Finding> {
        let rules = [
            "target",
            "prefix",
            "root",
            "dest",
            "wheel-dir",
            "report",
            "log",
        ];
        let taken = self.judged.taken.iter();
        let named = taken.filter(|setting| rules.contains(&setting.option.rule));
        let leads = named.filter_map(|setting| {
            let path = absolute(&self.request.directory.join(setting.text()));
            let real = resolved(&path);
            let leaves = path.starts_with(&self.project) && !real.starts_with(&self.project);
            leaves.then(|| {
                let message = format!(
                    "`--{}` leads out of the project through a link, to {}",
                    setting.option.name(),
                    real.display()
                );
                Finding::new(Code::ConfigRefused, &setting.place, message)
                    .with_hint("name that directory itself if you mean it")
            })
        });
        leads.collect()
    }

    /// Everything that the user names as an index is allowed, used or not.
    fn allow(&self, allowed: &mut Allowed) {
        let index = |key: &str| matches!(key, "index-url" | "pypi-url" | "extra-index-url");
        for one in &self.configuration.stated {
            if one.origin != Origin::Project && index(&one.key) {
                for text in one.value.split_whitespace() {
                    allowed.add(text, &one.place);
                }
            }
        }
        for setting in self
            .judged
            .taken
            .iter()
            .filter(|setting| setting.origin == Origin::Cli)
        {
            if index(setting.option.name()) {
                allowed.add(setting.text(), &setting.place);
            }
        }
    }

    /// The indexes before any file was read.
    fn scope(&self, allowed: &Allowed, findings: &mut Vec<Finding>) -> Scope {
        let mut scope = Scope::default();
        let read =
            |setting: &Setting| allowed.index(setting.text(), &setting.place, setting.origin);
        match self.judged.last("index-url") {
            Some(setting) => match read(setting) {
                Ok(index) => scope.extend(index),
                Err(finding) => findings.push(finding),
            },
            None => match allowed.standard() {
                Some(index) => scope.extend(index),
                None => findings.push(
                    Finding::new(
                        Code::Usage,
                        "index-url",
                        "this pip states no default index, and no configuration names one",
                    )
                    .with_hint("set `index-url` in your user configuration"),
                ),
            },
        }
        for setting in self.judged.all("extra-index-url") {
            match read(setting) {
                Ok(index) => scope.extend(index),
                Err(finding) => findings.push(finding),
            }
        }
        if self.judged.last("no-index").is_some() {
            scope.close();
        }
        scope
    }

    fn links(&self, findings: &mut Vec<Finding>) -> Links {
        let mut links = Links::default();
        let around = (
            self.request.directory.as_path(),
            self.request.home.as_deref(),
        );
        for setting in self.judged.all("find-links") {
            let place = &setting.place;
            let added = links.add(setting.text(), around, setting.origin, place, &self.project);
            findings.extend(added.err());
        }
        links
    }

    fn finish(
        self,
        gathered: Gathered,
        words: Vec<String>,
        locked: Vec<Expected>,
        events: Vec<Event>,
        mut findings: Vec<Finding>,
    ) -> Checked {
        let mut expected = stated::stated(&gathered);
        expected.extend(gathered.expected.iter().cloned());
        expected.extend(locked);
        for artifact in &self.request.policy.artifacts {
            if let Some(wheel) = python::wheel_name(&artifact.file) {
                let statement = gather::statement(artifact, &wheel);
                if !expected.contains(&statement) {
                    expected.push(statement);
                }
            }
        }
        let mut pinned = gathered.pinned.clone();
        let mut find_links = gathered.links.directories.clone();
        for built in &self.request.sources.built {
            pinned.push((built.file.clone(), Integrity::of(built.digest.clone())));
            let folder = built.file.parent().filter(|_| built.folder.is_none());
            find_links.extend(folder.map(Path::to_path_buf));
        }
        find_links.dedup();
        for (path, integrity) in gathered.links.pinned(&expected) {
            if !pinned.iter().any(|(known, _)| *known == path) {
                pinned.push((path, integrity));
            }
        }
        let trusted = trust::Trust::read(
            self.judged.last("cert"),
            self.judged.last("proxy"),
            self.request,
        );
        findings.extend(trusted.findings);
        let destination = destination::destination(&self.judged);
        let passed = |name: &str| self.judged.passed.iter().any(|one| one == name);
        let required = passed("--require-hashes") || gathered.require_hashes;
        let hashed = gathered
            .requirements
            .iter()
            .any(|one| !one.hashes.is_empty());
        let hash_mode = required || (hashed && !passed("--no-require-hashes"));
        let mut arguments = self.judged.passed.clone();
        arguments.extend(
            self.judged
                .all("path")
                .map(|one| format!("--path={}", one.text())),
        );
        if destination.break_system_packages {
            arguments.push("--break-system-packages".to_owned());
        }
        arguments.extend(words);
        let own = |one: &Requirement| one.name == "pip" && !one.constraint;
        Checked {
            command: self.command,
            arguments,
            indexes: gathered.scope.indexes,
            find_links,
            own: gathered.own,
            upgrades_pip: gathered.requirements.iter().any(own),
            requirements: gathered.requirements,
            hash_mode,
            expected,
            pinned,
            reads: gathered.reads,
            views: gathered.views,
            generated: gathered.generated,
            destination: Destination {
                upgrade: passed("--upgrade"),
                dry_run: passed("--dry-run"),
                ..destination
            },
            extra_anchors: trusted.anchors,
            upstream_proxy: trusted.proxy,
            no_proxy: trusted.no_proxy,
            events,
            findings,
        }
    }
}

fn usage(mistake: &argv::Mistake) -> Finding {
    Finding::new(Code::Usage, "command line", mistake.to_string()).with_hint("see `pip help`")
}

/// Ends the preparation when something was found that is more than a note.
fn stop_on(findings: &[Finding], events: &mut Vec<Event>) -> Result<(), Refusal> {
    if findings
        .iter()
        .all(|finding| finding.code.severity() == Severity::Note)
    {
        return Ok(());
    }
    Err(Refusal {
        findings: findings.to_vec(),
        events: std::mem::take(events),
    })
}
