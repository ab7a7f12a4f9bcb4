//! `summary.json`: the run for scripts.
//!
//! Fields and their meaning are a contract (README). What must always hold: `violations` is
//! non-empty exactly when `exit_code` is 120 or 126; when v4run itself failed (125) what was
//! refused before is in `findings`, which always has everything that is not a note.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Outcome;
use super::index::Index;
use crate::diag::{Exit, ManagerStatus, REFUSED, REFUSED_BEFORE_START, severity};
use crate::model::{
    Anchor, BuildEnd, BuildStart, Code, ControlId, ControlVerdict, Finding, Level, LevelVerdict,
    Severity, Status,
};

/// Version of the record's form; grows when a reader of the old form would misread the new one.
pub(super) const FORMAT: u32 = 1;

/// The summary file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Version of the record's form.
    pub format: u32,
    /// Version of v4run.
    pub v4run: String,
    /// Identity of the run.
    pub run: String,
    /// Start, RFC 3339.
    pub started: String,
    /// End, RFC 3339.
    pub ended: String,
    /// Name of the manager.
    pub manager: String,
    /// Its arguments, credentials removed.
    pub arguments: Vec<String>,
    /// v4run's exit status.
    pub exit_code: u8,
    /// The manager's exit status; null when it did not exit by itself.
    pub manager_exit_code: Option<i32>,
    /// The signal that ended the manager, if one did.
    pub manager_signal: Option<i32>,
    /// Distinct components on disk.
    pub components: u64,
    /// Where released bytes came from.
    pub repositories: Vec<RepositoryEntry>,
    /// Number of released artifacts by the strongest statement they were compared with.
    pub anchors: BTreeMap<String, u64>,
    /// Version of the interpretation texts.
    pub interpretation: String,
    /// One entry a control.
    pub controls: Vec<ControlEntry>,
    /// One entry a level.
    pub levels: Vec<LevelVerdict>,
    /// Highest level that is at least supported.
    pub level: Option<Level>,
    /// What was refused; decides the exit status.
    pub violations: Vec<Violation>,
    /// Everything found that is not a note.
    pub findings: Vec<FindingEntry>,
    /// What is worth a line and changes nothing, apart from what is in `suppressed`.
    #[serde(default)]
    pub notes: Vec<Finding>,
    /// What was not run, and harmless probes that were refused; never changes the exit status.
    pub suppressed: Vec<Suppression>,
    /// Components that ran their code by approval.
    #[serde(default)]
    pub builds: Vec<BuildEntry>,
}

/// A script of a component that ran by approval, in the summary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildEntry {
    /// The approval, component and script.
    #[serde(flatten)]
    pub start: BuildStart,
    /// How it ended and what it used; none where that was not seen.
    pub end: Option<BuildEnd>,
    /// Files that the component's builds left.
    pub files: u64,
}

/// A repository in the summary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RepositoryEntry {
    /// Identifier in the plan.
    pub id: String,
    /// Scheme, host and port that answered for it.
    pub origins: Vec<String>,
    /// Artifacts released from it.
    pub artifacts: u64,
}

/// A control in the summary.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ControlEntry {
    /// The control.
    pub id: ControlId,
    /// What was found and how it is known.
    pub status: Status,
    /// What was found.
    pub result: String,
    /// How it is known.
    pub basis: String,
    /// One sentence with the numbers.
    pub detail: String,
    /// Restrictions.
    pub modifiers: Vec<String>,
}

/// A violation in the summary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    /// Stable code.
    pub code: Code,
    /// The control it touches.
    pub control: Option<ControlId>,
    /// What it is about.
    pub subject: String,
    /// What happened.
    pub message: String,
}

/// A finding in the summary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingEntry {
    /// `refused`, `error` or `failed`.
    pub severity: String,
    /// The finding itself.
    #[serde(flatten)]
    pub finding: Finding,
}

/// Something that was kept from happening and is no violation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Suppression {
    /// Install-time code that was not run.
    Script {
        /// Package name, or the project's.
        name: String,
        /// Package version.
        version: String,
        /// Install path; empty for the project itself.
        path: String,
        /// Name of the hook.
        script: String,
        /// The command line.
        command: String,
    },
    /// A harmless probe that was refused, as the profile expects.
    Probe {
        /// What it is about.
        subject: String,
        /// Why it is harmless.
        message: String,
    },
}

impl Summary {
    /// Folds the events of a run.
    pub(super) fn new(index: &Index<'_>, outcome: &Outcome, exit: Exit) -> Self {
        let time = |when| humantime::format_rfc3339_millis(when).to_string();
        let (code, signal) = match outcome.status {
            Some(ManagerStatus::Exited(code)) => (Some(code), None),
            Some(ManagerStatus::Signalled(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        let assessment = &outcome.assessment;
        let mut anchors = BTreeMap::new();
        for released in &index.released {
            *anchors
                .entry(anchor(released.anchor).to_owned())
                .or_default() += 1;
        }
        Self {
            format: FORMAT,
            v4run: env!("CARGO_PKG_VERSION").to_owned(),
            run: outcome.run.to_string(),
            started: time(outcome.started),
            ended: time(outcome.ended),
            manager: outcome.manager.clone(),
            arguments: index.arguments.to_vec(),
            exit_code: exit.status(),
            manager_exit_code: code,
            manager_signal: signal,
            components: index.purls().len() as u64,
            repositories: repositories(index),
            anchors,
            interpretation: assessment.interpretation.clone(),
            controls: assessment.controls.iter().map(entry).collect(),
            levels: assessment.levels.clone(),
            level: assessment.headline(),
            violations: violations(index, exit),
            findings: findings(index),
            notes: notes(index),
            suppressed: suppressed(index),
            builds: builds(index),
        }
    }

    /// Whether violations and exit status agree.
    pub fn is_consistent(&self) -> bool {
        let refused = matches!(self.exit_code, REFUSED | REFUSED_BEFORE_START);
        refused != self.violations.is_empty()
    }
}

fn repositories(index: &Index<'_>) -> Vec<RepositoryEntry> {
    let mut artifacts: BTreeMap<&str, u64> = BTreeMap::new();
    for released in &index.released {
        *artifacts.entry(&released.repository).or_default() += 1;
    }
    artifacts
        .into_iter()
        .map(|(id, artifacts)| RepositoryEntry {
            id: id.to_owned(),
            origins: index
                .repositories
                .iter()
                .filter(|(_, ids)| ids.contains(id))
                .map(|(origin, _)| origin.clone())
                .collect(),
            artifacts,
        })
        .collect()
}

fn entry(verdict: &ControlVerdict) -> ControlEntry {
    ControlEntry {
        id: verdict.control,
        status: verdict.status,
        result: verdict.status.result().to_owned(),
        basis: verdict.status.basis().to_owned(),
        detail: verdict.detail.clone(),
        modifiers: verdict.modifiers.clone(),
    }
}

fn violations(index: &Index<'_>, exit: Exit) -> Vec<Violation> {
    if !exit.is_refusal() {
        return Vec::new();
    }
    index
        .findings
        .iter()
        .filter(|finding| finding.code.severity() == Severity::Violation)
        .map(|finding| Violation {
            code: finding.code,
            control: finding.control,
            subject: finding.subject.clone(),
            message: finding.message.clone(),
        })
        .collect()
}

fn findings(index: &Index<'_>) -> Vec<FindingEntry> {
    index
        .findings
        .iter()
        .filter(|finding| finding.code.severity() != Severity::Note)
        .map(|finding| FindingEntry {
            severity: severity(finding.code.severity()).to_owned(),
            finding: (*finding).clone(),
        })
        .collect()
}

/// Scripts that ran by approval. Ends follow the starts in their order.
fn builds(index: &Index<'_>) -> Vec<BuildEntry> {
    let files = |purl: &str| {
        let files = index.build_files.iter().filter(|file| file.purl == purl);
        files.count() as u64
    };
    let starts = index.builds.iter().enumerate();
    let entries = starts.map(|(number, start)| BuildEntry {
        start: (*start).clone(),
        end: index.build_ends.get(number).map(|end| (*end).clone()),
        files: files(&start.purl),
    });
    entries.collect()
}

/// Notes, each once; scripts and probes have a place of their own.
fn notes(index: &Index<'_>) -> Vec<Finding> {
    let mut notes: Vec<Finding> = Vec::new();
    let stated = index.findings.iter().filter(|finding| {
        let apart = matches!(finding.code, Code::SuppressedScript | Code::SuppressedProbe);
        finding.code.severity() == Severity::Note && !apart
    });
    for finding in stated {
        if !notes.contains(finding) {
            notes.push((*finding).clone());
        }
    }
    notes
}

fn suppressed(index: &Index<'_>) -> Vec<Suppression> {
    let scripts = index.suppressed.iter().map(|script| Suppression::Script {
        name: script.name.to_owned(),
        version: script.version.to_owned(),
        path: script.path.to_owned(),
        script: script.script.to_owned(),
        command: script.command.to_owned(),
    });
    let probes: BTreeSet<Suppression> = index
        .findings
        .iter()
        .filter(|finding| finding.code == Code::SuppressedProbe)
        .map(|finding| Suppression::Probe {
            subject: finding.subject.clone(),
            message: finding.message.clone(),
        })
        .collect();
    scripts.chain(probes).collect()
}

/// The word for an anchor.
pub(super) const fn anchor(anchor: Anchor) -> &'static str {
    match anchor {
        Anchor::Policy => "policy",
        Anchor::Lockfile => "lockfile",
        Anchor::Index => "index",
        Anchor::SideFile => "side-file",
        Anchor::WeakSideFile => "weak-side-file",
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::fixture::{healthy, outcome};
    use super::*;
    use crate::diag::decide;
    use crate::model::{Assessment, Event};

    /// The summary of a run without verdicts.
    pub(in super::super) fn summarised(
        events: &[Event],
        change: impl FnOnce(&mut Outcome),
    ) -> Summary {
        let mut outcome = outcome(Assessment {
            interpretation: "v4run-1".into(),
            controls: Vec::new(),
            levels: Vec::new(),
            components: 0,
        });
        change(&mut outcome);
        let index = Index::new(events);
        let findings = index.findings.iter().copied();
        let exit = decide(findings, outcome.status, outcome.before_start);
        Summary::new(&index, &outcome, exit)
    }

    #[test]
    fn a_reserved_number_of_the_manager_is_no_violation() {
        let summary = summarised(&healthy(), |outcome| {
            outcome.status = Some(ManagerStatus::Exited(120));
        });
        assert!(summary.is_consistent());
        assert_eq!(
            (summary.exit_code, summary.manager_exit_code),
            (1, Some(120))
        );
    }

    #[test]
    fn probes_are_suppressed_and_failures_are_findings() {
        let probe = Finding::new(Code::SuppressedProbe, "uv_interface", "harmless");
        let failure = Finding::new(Code::UpstreamFailed, "registry", "timed out");
        let mut events = vec![Event::Found(probe.clone()), Event::Found(probe)];
        events.push(Event::Found(failure));
        let note = Finding::new(Code::StartupCode, "left@1.0", "left.pth: import left");
        events.extend([Event::Found(note.clone()), Event::Found(note.clone())]);
        let summary = summarised(&events, |_outcome| {});
        assert_eq!((summary.suppressed.len(), summary.findings.len()), (1, 1));
        assert_eq!(summary.findings[0].severity, "failed");
        assert_eq!(summary.notes, [note]);
        assert_eq!(summary.exit_code, 0);
        let text = serde_json::to_string(&summary).unwrap();
        assert_eq!(serde_json::from_str::<Summary>(&text).unwrap(), summary);
    }
}
