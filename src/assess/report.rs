//! The 19 controls of a record, for a person and for a program.
//!
//! Called by `v4run assess DIR`. Verdicts are folded again from the journal as far as its chain
//! holds; the summary file is read for the exit status only and may be missing. Text from a record
//! is foreign and passes `sanitize` on its way to a terminal.

use std::path::Path;

use serde_json::{Value, json};

use super::{client_score, reassess, remedy};
use crate::diag::sanitize;
use crate::model::{Assessment, ControlId, ControlVerdict, Event, Level};
use crate::record::{Chain, Reading, RecordError, load_summary, read};

/// An earlier record, assessed.
#[derive(Debug)]
pub struct Report {
    /// The verdicts.
    pub assessment: Assessment,
    /// State of the journal's chain.
    pub chain: Chain,
    /// The command line of the run.
    pub command: Vec<String>,
    /// SHA-256 of the policy files that the run was under.
    pub policy: Vec<String>,
    /// v4run's exit status, when the run was sealed or has a summary.
    pub exit_code: Option<u8>,
}

/// Assesses a record directory.
pub fn report(directory: &Path) -> Result<Report, RecordError> {
    Ok(of(read(directory)?, directory))
}

/// What was read of a record directory, assessed.
pub(super) fn of(reading: Reading, directory: &Path) -> Report {
    let mut command = Vec::new();
    let mut policy = Vec::new();
    let mut exit_code = None;
    for entry in &reading.entries {
        match &entry.event {
            Some(Event::RunStarted {
                manager, arguments, ..
            }) => {
                command = std::iter::once(manager).chain(arguments).cloned().collect();
            }
            Some(Event::InputRead { name, sha256, .. }) if name == "policy" => {
                policy.push(sha256.to_string());
            }
            Some(Event::Sealed {
                exit_code: sealed, ..
            }) => exit_code = Some(*sealed),
            _ => {}
        }
    }
    let summary = || {
        load_summary(directory)
            .ok()
            .map(|summary| summary.exit_code)
    };
    Report {
        assessment: reassess(&reading),
        chain: reading.chain,
        command,
        policy,
        exit_code: exit_code.or_else(summary),
    }
}

/// The report for a person: exceptions first, a line and a sentence a control, the levels, and what
/// holds them up.
pub fn human(report: &Report) -> String {
    let assessment = &report.assessment;
    let policy = match report.policy.as_slice() {
        [] => "no policy".to_owned(),
        some => format!("policy {}", some.join(" ")),
    };
    let mut lines = vec![
        format!(
            "{}: {} components, assessed against SCVS 1.0 V4 (interpretation {}, {})",
            sanitize(&report.command.join(" ")),
            assessment.components,
            sanitize(&assessment.interpretation),
            sanitize(&policy)
        ),
        format!("record: {}", chain(&report.chain)),
    ];
    for verdict in assessment.waived() {
        let detail = sanitize(&verdict.detail);
        lines.push(format!("WAIVED {}: {detail}", verdict.control));
    }
    lines.push(String::new());
    for verdict in &assessment.controls {
        lines.extend(control(verdict));
    }
    lines.push(String::new());
    for entry in &assessment.levels {
        let mut line = format!("{}    {}", entry.level, entry.verdict.name());
        if !entry.blocking.is_empty() {
            let blocking: Vec<String> = entry.blocking.iter().map(ToString::to_string).collect();
            line.push_str(&format!(", blocked by {}", blocking.join(" ")));
        }
        lines.push(line);
    }
    let (met, all) = client_score(assessment);
    lines.push(format!(
        "client controls met or not applicable: {met} of {all}"
    ));
    for (level, verdicts) in obstacles(assessment) {
        lines.push(String::new());
        lines.push(format!("what holds {level} up{}:", also(level)));
        for verdict in verdicts {
            let (id, status) = (verdict.control.to_string(), verdict.status.name());
            lines.push(format!("{id:<5} {status:<9} {}", remedy(verdict.control)));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn control(verdict: &ControlVerdict) -> Vec<String> {
    let mut lines = vec![
        format!(
            "{:<5} {}+  {:<15} {}",
            verdict.control.to_string(),
            verdict.level,
            verdict.status.name(),
            verdict.title
        ),
        format!("                           {}", sanitize(&verdict.detail)),
    ];
    if !verdict.modifiers.is_empty() {
        let modifiers = verdict.modifiers.join(", ");
        lines.push(format!(
            "                           ({})",
            sanitize(&modifiers)
        ));
    }
    lines
}

/// The controls that hold a level up, each under the lowest level that it holds up.
fn obstacles(assessment: &Assessment) -> Vec<(Level, Vec<&ControlVerdict>)> {
    let of_level = |level: Level| {
        let entry = assessment.level(level)?;
        let blocks = |control: &ControlId| {
            let verdict = assessment.control(*control)?;
            (verdict.level == level).then_some(verdict)
        };
        let verdicts: Vec<_> = entry.blocking.iter().filter_map(blocks).collect();
        (!verdicts.is_empty()).then_some((level, verdicts))
    };
    Level::ALL.into_iter().filter_map(of_level).collect()
}

fn also(level: Level) -> &'static str {
    match level {
        Level::L1 => "",
        Level::L2 | Level::L3 => ", beside what holds the lower level up",
    }
}

pub(super) fn chain(chain: &Chain) -> String {
    match chain {
        Chain::Sealed => "intact and sealed".to_owned(),
        Chain::Unsealed => "not sealed, the run did not end".to_owned(),
        Chain::Broken { line, reason } => {
            format!(
                "broken at line {line}: {}; nothing after it is believed",
                sanitize(reason)
            )
        }
    }
}

/// The report for a program.
pub fn json(report: &Report) -> Value {
    let assessment = &report.assessment;
    let (met, all) = client_score(assessment);
    let (state, line) = match &report.chain {
        Chain::Sealed => ("sealed", None),
        Chain::Unsealed => ("unsealed", None),
        Chain::Broken { line, .. } => ("broken", Some(line)),
    };
    let controls: Vec<Value> = assessment
        .controls
        .iter()
        .map(|verdict| {
            json!({
                "id": verdict.control,
                "title": verdict.title,
                "level": verdict.level,
                "subject": verdict.subject,
                "status": verdict.status,
                "result": verdict.status.result(),
                "basis": verdict.status.basis(),
                "detail": verdict.detail,
                "modifiers": verdict.modifiers,
                "conforming": verdict.conforming,
                "counts": verdict.counts,
                "evidence": verdict.evidence,
            })
        })
        .collect();
    let obstacles: Vec<Value> = obstacles(assessment)
        .into_iter()
        .flat_map(|(level, verdicts)| verdicts.into_iter().map(move |verdict| (level, verdict)))
        .map(|(level, verdict)| {
            json!({
                "level": level,
                "id": verdict.control,
                "status": verdict.status,
                "remedy": remedy(verdict.control),
            })
        })
        .collect();
    json!({
        "command": report.command,
        "exit_code": report.exit_code,
        "chain": { "state": state, "line": line },
        "interpretation": assessment.interpretation,
        "policy": report.policy,
        "components": assessment.components,
        "controls": controls,
        "levels": assessment.levels,
        "level": assessment.headline(),
        "obstacles": obstacles,
        "client_controls": { "met": met, "of": all },
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::{assess, compare};
    use super::*;
    use crate::diag;
    use crate::model::{Code, Finding, LevelStatus, Status};
    use crate::record::fixture::{healthy, outcome, package, started};
    use crate::record::{BOM, EVENTS, Index, Outcome, Recorder, SUMMARY, Sealed, verify};

    /// What the session does at the end of a run.
    fn run(
        directory: &Path,
        events: Vec<Event>,
        change: impl FnOnce(&mut Outcome),
    ) -> (Sealed, Assessment) {
        let recorder = Recorder::start(directory, Box::new(|_event| {})).unwrap();
        for event in events {
            recorder.send(event);
        }
        let mut recorded = recorder.finish().unwrap();
        for finding in compare(&Index::new(recorded.events())) {
            recorded.push(Event::Found(finding));
        }
        let assessment = assess(recorded.events());
        let mut outcome = outcome(assessment.clone());
        change(&mut outcome);
        (recorded.seal(&outcome).unwrap(), assessment)
    }

    fn found(code: Code) -> Event {
        Event::Found(Finding::new(
            code,
            "left-pad@1.0.0",
            "something happened\nexpected a\ngot b",
        ))
    }

    fn status(assessment: &Assessment, number: u8) -> Status {
        assessment.control(ControlId::new(number)).unwrap().status
    }

    #[test]
    fn a_whole_run_is_recorded_verified_and_assessed_alike() {
        let place = tempfile::tempdir().unwrap();
        let (sealed, assessment) = run(place.path(), healthy(), |_outcome| {});
        assert_eq!((sealed.exit.status(), sealed.summary.components), (0, 3));
        assert!(sealed.summary.is_consistent());
        let verification = verify(place.path()).unwrap();
        assert!(verification.holds(), "{:?}", verification.checks);
        assert_eq!(verification.checks.len(), 9);
        let report = report(place.path()).unwrap();
        assert_eq!(report.assessment, assessment);
        assert_eq!(
            (report.exit_code, report.command.join(" ")),
            (Some(0), "npm ci".into())
        );
        assert_eq!(client_score(&assessment), (7, 7));
        assert_eq!(assessment.headline(), None);
        let first = assessment.level(Level::L1).unwrap();
        assert_eq!(first.verdict, LevelStatus::Undetermined);
        assert_eq!(first.blocking, [ControlId::new(2), ControlId::new(11)]);
        let text = human(&report);
        assert!(
            text.contains("intact and sealed") && text.contains("7 of 7"),
            "{text}"
        );
        let value = json(&report);
        assert_eq!(value["controls"][12]["status"], "enforced");
        assert_eq!(value["chain"]["state"], "sealed");
        let obstacles = value["obstacles"].as_array().unwrap();
        assert_eq!(obstacles[0]["id"], "4.2");
        assert_eq!(obstacles.len(), 12);
        assert!(text.contains("what holds L2 up, beside"), "{text}");
        assert!(text.contains("4.12  unknown   Only the operator"), "{text}");
    }

    #[test]
    fn the_files_have_the_promised_form() {
        let place = tempfile::tempdir().unwrap();
        let (sealed, _) = run(place.path(), healthy(), |_outcome| {});
        let read = |name| -> Value {
            serde_json::from_slice(&fs::read(place.path().join(name)).unwrap()).unwrap()
        };
        let summary = read(SUMMARY);
        for name in [
            "manager",
            "exit_code",
            "manager_exit_code",
            "components",
            "controls",
            "levels",
            "violations",
            "suppressed",
        ] {
            assert!(!summary[name].is_null(), "{name}");
        }
        assert_eq!(summary["suppressed"][0]["script"], "postinstall");
        assert_eq!(summary["controls"][17]["id"], "4.18");
        assert_eq!(summary["controls"][17]["basis"], "mechanism");
        let bom = read(BOM);
        assert_eq!(bom["specVersion"], "1.6");
        assert_eq!(bom["components"].as_array().unwrap().len(), 3);
        assert_eq!(
            bom["components"][2]["evidence"]["occurrences"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
        assert_eq!(bom["compositions"][0]["aggregate"], "complete");
        assert_eq!(bom["dependencies"][0]["dependsOn"][0], "pkg:npm/a@1.0.0");
        assert_eq!(bom["services"][0]["name"], "default");
        let last = fs::read_to_string(place.path().join(EVENTS)).unwrap();
        assert!(
            last.lines()
                .last()
                .unwrap()
                .contains(&sealed.bom.to_string()),
            "{last}"
        );
    }

    #[test]
    fn a_refusal_is_a_violation_with_120() {
        let place = tempfile::tempdir().unwrap();
        let mut events = healthy();
        events.push(found(Code::ExecRefused));
        let (sealed, assessment) = run(place.path(), events, |_outcome| {});
        assert_eq!(sealed.exit.status(), diag::REFUSED);
        assert_eq!(sealed.summary.violations.len(), 1);
        assert!(sealed.summary.is_consistent());
        assert_eq!(status(&assessment, 18), Status::Violated);
        assert!(
            assessment
                .levels
                .iter()
                .all(|level| level.verdict == LevelStatus::NotMet)
        );
    }

    #[test]
    fn a_run_refused_before_the_start_leaves_a_record_too() {
        let place = tempfile::tempdir().unwrap();
        let events = vec![started().remove(0), found(Code::CommandRunsCode)];
        let (sealed, assessment) = run(place.path(), events, |outcome| {
            outcome.status = None;
            outcome.before_start = true;
        });
        assert_eq!(sealed.exit.status(), diag::REFUSED_BEFORE_START);
        assert!(verify(place.path()).unwrap().holds());
        assert_eq!(status(&assessment, 13), Status::Unknown);
        let none = LevelStatus::NothingAssessed;
        assert!(assessment.levels.iter().all(|level| level.verdict == none));
    }

    #[test]
    fn an_error_of_v4run_wins_and_refusals_stay_in_the_findings() {
        let place = tempfile::tempdir().unwrap();
        let mut events = healthy();
        events.push(found(Code::NetworkRefused));
        events.push(found(Code::ContainmentIncomplete));
        let (sealed, assessment) = run(place.path(), events, |_outcome| {});
        assert_eq!(sealed.exit.status(), diag::ERROR);
        assert!(sealed.summary.is_consistent() && sealed.summary.violations.is_empty());
        assert_eq!(sealed.summary.findings.len(), 2);
        assert_eq!(status(&assessment, 1), Status::Violated);
        for number in [13, 14, 15, 16, 18, 19] {
            assert_eq!(status(&assessment, number), Status::Unknown, "4.{number}");
        }
    }

    #[test]
    fn a_difference_between_the_views_is_found_and_refused() {
        let place = tempfile::tempdir().unwrap();
        let mut events = healthy();
        let contained = events.len() - 1;
        events.insert(contained, Event::Installed(package("extra", "1.0.0", 9)));
        let (sealed, assessment) = run(place.path(), events, |_outcome| {});
        assert_eq!(sealed.exit.status(), diag::REFUSED);
        assert_eq!(status(&assessment, 19), Status::Violated);
        let bom: Value =
            serde_json::from_slice(&fs::read(place.path().join(BOM)).unwrap()).unwrap();
        assert_eq!(bom["compositions"][0]["aggregate"], "incomplete");
    }

    #[test]
    fn every_violation_code_violates_its_control() {
        for code in Code::ALL {
            let Some(control) = code.control() else {
                continue;
            };
            let mut events = healthy();
            events.push(found(*code));
            assert_eq!(
                status(&assess(&events), control.number()),
                Status::Violated,
                "{code:?}"
            );
        }
    }

    #[test]
    fn changed_files_do_not_verify() {
        for (name, from, to) in [
            (EVENTS, "registry.invalid", "registry.invalie"),
            (BOM, "pkg:npm/a@1.0.0", "pkg:npm/a@1.0.1"),
            (SUMMARY, "\"exit_code\": 0", "\"exit_code\": 3"),
            (SUMMARY, "\"exit_code\": 0", "\"exit_code\": 120"),
        ] {
            let place = tempfile::tempdir().unwrap();
            run(place.path(), healthy(), |_outcome| {});
            let path = place.path().join(name);
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(from), "{name}: {from}");
            fs::write(&path, text.replacen(from, to, 1)).unwrap();
            assert!(!verify(place.path()).unwrap().holds(), "{name}: {to}");
        }
    }

    #[test]
    fn a_broken_or_unsealed_record_proves_nothing_about_the_client() {
        let place = tempfile::tempdir().unwrap();
        run(place.path(), healthy(), |_outcome| {});
        let path = place.path().join(EVENTS);
        let text = fs::read_to_string(&path).unwrap();
        let unsealed: Vec<&str> = text.lines().collect();
        let unsealed = unsealed[..unsealed.len() - 1].join("\n") + "\n";
        for changed in [unsealed, text.replacen("\"seq\":18", "\"seq\":81", 1)] {
            assert_ne!(changed, text);
            fs::write(&path, changed).unwrap();
            let report = report(place.path()).unwrap();
            assert_eq!(client_score(&report.assessment).0, 0, "{:?}", report.chain);
            assert!(human(&report).contains("record: "));
        }
    }

    #[test]
    fn a_hostile_record_cannot_write_to_the_terminal() {
        let place = tempfile::tempdir().unwrap();
        let mut events = started();
        if let Some(Event::RunStarted { arguments, .. }) = events.first_mut() {
            arguments.push("\u{1b}[2J".into());
        }
        events.push(Event::Found(Finding::new(
            Code::ExecRefused,
            "x",
            "\u{1b}[31mred\u{202e}",
        )));
        run(place.path(), events, |_outcome| {});
        let text = human(&report(place.path()).unwrap());
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{202e}'),
            "{text}"
        );
    }
}
