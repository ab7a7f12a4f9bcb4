//! The report in GitHub's Markdown, for the step summary of a CI job.
//!
//! Called by `v4run assess --format markdown`. What must always hold: every text of a record is shown
//! and never obeyed: no link, image, mention, code or table of a component's making. GitHub Flavored
//! Markdown, sections 6.4 (entity references) and 6.9 (autolinks).

use std::path::Path;

use super::report::{Report, chain, of};
use super::{client_score, remedy};
use crate::diag::sanitize;
use crate::model::{Event, Finding, Severity, Status};
use crate::record::{RecordError, read};

/// Entries of a list that are shown; a summary may have one mebibyte.
const SHOWN: usize = 100;
/// Characters of a foreign text that are shown.
const LONG: usize = 500;

/// The report about a record directory.
pub fn markdown(directory: &Path) -> Result<String, RecordError> {
    let reading = read(directory)?;
    let findings: Vec<Finding> = reading
        .entries
        .iter()
        .filter_map(|entry| match &entry.event {
            Some(Event::Found(finding)) => Some(finding.clone()),
            _ => None,
        })
        .collect();
    Ok(text(&of(reading, directory), &findings))
}

fn text(report: &Report, findings: &[Finding]) -> String {
    let assessment = &report.assessment;
    let ended = match report.exit_code {
        Some(0) => "nothing was refused".to_owned(),
        Some(status) => format!("exit status {status}"),
        None => "the run did not end".to_owned(),
    };
    let mut out = format!(
        "### v4run {}: {ended}\n\n{} components, assessed against SCVS 1.0 V4. Record: {}.\n",
        shown(&report.command.join(" ")),
        assessment.components,
        shown(&chain(&report.chain)),
    );
    list(&mut out, "Refused", &having(findings, Severity::Violation));
    list(&mut out, "Errors", &having(findings, Severity::Error));
    list(&mut out, "Failures", &having(findings, Severity::Failure));
    for verdict in assessment.waived() {
        out.push_str(&format!(
            "\n**Waived {}**: {}\n",
            verdict.control,
            shown(&verdict.detail)
        ));
    }
    out.push_str("\n| level | verdict | held up by |\n|---|---|---|\n");
    for entry in &assessment.levels {
        let blocking: Vec<String> = entry.blocking.iter().map(ToString::to_string).collect();
        out.push_str(&format!(
            "| {} | {} | {} |\n",
            entry.level,
            entry.verdict.name(),
            blocking.join(" ")
        ));
    }
    let (met, all) = client_score(assessment);
    out.push_str(&format!(
        "\n<details><summary>19 controls; of the client's own {met} of {all} met or not applicable</summary>\n\n\
         | control | level | status | found |\n|---|---|---|---|\n"
    ));
    for verdict in &assessment.controls {
        let mut found = shown(&verdict.detail);
        if verdict.status == Status::Unknown {
            found.push_str(&format!(" ({})", shown(remedy(verdict.control))));
        }
        out.push_str(&format!(
            "| {} {} | {} | {} | {found} |\n",
            verdict.control,
            shown(verdict.title.as_str()),
            verdict.level,
            verdict.status.name()
        ));
    }
    out.push_str("\n</details>\n");
    out
}

fn having(findings: &[Finding], severity: Severity) -> Vec<&Finding> {
    let mut having: Vec<&Finding> = Vec::new();
    for finding in findings
        .iter()
        .filter(|one| one.code.severity() == severity)
    {
        if !having.contains(&finding) {
            having.push(finding);
        }
    }
    having
}

fn list(out: &mut String, title: &str, findings: &[&Finding]) {
    if findings.is_empty() {
        return;
    }
    out.push_str(&format!("\n**{title}: {}**\n\n", findings.len()));
    for finding in findings.iter().take(SHOWN) {
        let control = match finding.control {
            Some(control) => format!(", {control}"),
            None => String::new(),
        };
        let hint = match &finding.hint {
            Some(hint) => format!(" Hint: {}", shown(hint)),
            None => String::new(),
        };
        out.push_str(&format!(
            "- {}: {} [{}{control}]{hint}\n",
            shown(&finding.subject),
            shown(&finding.message),
            finding.code.name()
        ));
    }
    if let Some(more) = findings.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        out.push_str(&format!("- {more} more in the record\n"));
    }
}

/// Foreign text as text only: whatever could mean something is an entity, which never does.
fn shown(foreign: &str) -> String {
    let mut shown = String::with_capacity(foreign.len());
    let lines: Vec<&str> = foreign.lines().map(str::trim).collect();
    for character in sanitize(&lines.join("; ")).chars().take(LONG) {
        match character {
            plain if plain.is_alphanumeric() || " -,".contains(plain) => shown.push(plain),
            plain if plain.is_ascii() => shown.push_str(&format!("&#{};", u32::from(plain))),
            plain => shown.push(plain),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Code;
    use crate::record::Chain;
    use crate::record::fixture::healthy;

    fn report() -> Report {
        Report {
            assessment: crate::assess::assess(&healthy()),
            chain: Chain::Sealed,
            command: vec!["npm".into(), "ci".into()],
            policy: Vec::new(),
            exit_code: Some(120),
        }
    }

    #[test]
    fn every_control_and_level_has_a_row_of_as_many_cells() {
        let text = text(&report(), &[]);
        for id in crate::model::ControlId::all() {
            let row = text
                .lines()
                .find(|line| line.starts_with(&format!("| {id} ")));
            assert_eq!(row.unwrap().matches('|').count(), 5, "{row:?}");
        }
        assert!(
            text.contains("exit status 120") && text.contains("| L1 |"),
            "{text}"
        );
        assert!(!text.contains("Refused"), "{text}");
    }

    #[test]
    fn foreign_text_makes_no_markup() {
        let evil = "a|b\n::error::x\n<img src=x> [l](https://evil.invalid) @all `c` **b** www.evil.invalid";
        let finding = Finding::new(Code::ExecRefused, evil, evil).with_hint(evil);
        let mut report = report();
        report.command.push(evil.to_owned());
        let text = text(&report, &[finding]);
        for mark in [
            "<img",
            "](h",
            "@all",
            "`",
            "**b",
            "www.",
            "evil.invalid",
            "a|b",
            "\n::",
        ] {
            assert!(!text.contains(mark), "{mark}\n{text}");
        }
        assert!(text.contains("Refused: 1"), "{text}");
    }

    #[test]
    fn a_record_that_cannot_be_read_is_an_error() {
        let place = tempfile::tempdir().unwrap();
        assert!(markdown(place.path()).is_err());
    }
}
