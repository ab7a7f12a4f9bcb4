//! The 19 controls of a record, for a person and for a program.
//!
//! Called by `v4run assess DIR`. Verdicts are folded again from the journal as far as its chain
//! holds; the summary file is read for the exit status only and may be missing. Text from a record
//! is foreign and passes `sanitize` on its way to a terminal.

use std::path::Path;

use serde_json::{Value, json};

use super::{client_score, reassess};
use crate::diag::sanitize;
use crate::model::{Assessment, Event};
use crate::record::{Chain, RecordError, load_summary, read};

/// An earlier record, assessed.
#[derive(Debug)]
pub struct Report {
    /// The verdicts.
    pub assessment: Assessment,
    /// State of the journal's chain.
    pub chain: Chain,
    /// The command line of the run.
    pub command: Vec<String>,
    /// v4run's exit status, when the run was sealed or has a summary.
    pub exit_code: Option<u8>,
}

/// Assesses a record directory.
pub fn report(directory: &Path) -> Result<Report, RecordError> {
    let reading = read(directory)?;
    let mut command = Vec::new();
    let mut exit_code = None;
    for entry in &reading.entries {
        match &entry.event {
            Some(Event::RunStarted {
                manager, arguments, ..
            }) => {
                command = std::iter::once(manager).chain(arguments).cloned().collect();
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
    Ok(Report {
        assessment: reassess(&reading),
        chain: reading.chain,
        command,
        exit_code: exit_code.or_else(summary),
    })
}

/// The report for a person: a line and a sentence a control, then the levels.
pub fn human(report: &Report) -> String {
    let assessment = &report.assessment;
    let mut lines = vec![
        format!(
            "{}: {} components, assessed against SCVS 1.0 V4 (interpretation {})",
            sanitize(&report.command.join(" ")),
            assessment.components,
            sanitize(&assessment.interpretation)
        ),
        format!("record: {}", chain(&report.chain)),
        String::new(),
    ];
    for verdict in &assessment.controls {
        let modifiers = match verdict.modifiers.as_slice() {
            [] => String::new(),
            some => format!(" ({})", some.join(", ")),
        };
        lines.push(format!(
            "{:<5} {}+  {:<15} {}",
            verdict.control.to_string(),
            verdict.level,
            verdict.status.name(),
            verdict.title
        ));
        lines.push(format!(
            "                           {}",
            sanitize(&verdict.detail)
        ));
        if !modifiers.is_empty() {
            lines.push(format!(
                "                          {}",
                sanitize(&modifiers)
            ));
        }
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
    lines.push(String::new());
    lines.join("\n")
}

fn chain(chain: &Chain) -> String {
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
                "counts": verdict.counts,
                "evidence": verdict.evidence,
            })
        })
        .collect();
    json!({
        "command": report.command,
        "exit_code": report.exit_code,
        "chain": { "state": state, "line": line },
        "interpretation": assessment.interpretation,
        "components": assessment.components,
        "controls": controls,
        "levels": assessment.levels,
        "level": assessment.headline(),
        "client_controls": { "met": met, "of": all },
    })
}
