//! What the files of a record say of each other.
//!
//! Called by the check of a record whose chain and digests hold. Journal, CycloneDX file and summary
//! are three outputs of one run, so whoever rewrites one has to rewrite all: each control, component
//! and digest is looked up in the others. It does not judge again; that is `v4run assess`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::attest::bundle::property;
use super::index::Index;
use super::reader::Reading;
use super::summary::Summary;
use super::verify::Check;
use super::{BOM, EVENTS, SUMMARY};
use crate::model::{ControlId, Event, Finding, Severity, Status};

/// Differences that are named.
const NAMED: usize = 3;

/// All comparisons.
pub(super) fn checks(reading: &Reading, bom: &Value, summary: &Summary) -> Vec<Check> {
    let events = reading.events();
    let index = Index::new(&events);
    let check = |name, wrong: Vec<String>, detail: String| Check {
        name,
        holds: wrong.is_empty(),
        compared: true,
        detail: if wrong.is_empty() {
            detail
        } else {
            told(&wrong)
        },
    };
    let components = index.purls().len();
    vec![
        check(
            "run",
            run(&index, bom, summary),
            format!("{SUMMARY} and {BOM} are of one run"),
        ),
        check(
            "controls",
            controls(&events, bom, summary),
            format!(
                "{} controls read alike in all files",
                summary.controls.len()
            ),
        ),
        check(
            "components",
            installed(&index, bom, summary),
            format!("{components} components with their digests read alike in all files"),
        ),
        check(
            "findings",
            findings(&index, summary),
            format!(
                "{} violations and {} findings are in {EVENTS}",
                summary.violations.len(),
                summary.findings.len()
            ),
        ),
    ]
}

fn told(wrong: &[String]) -> String {
    let mut text = wrong
        .iter()
        .take(NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join("; ");
    if wrong.len() > NAMED {
        text.push_str(&format!("; and {} more", wrong.len() - NAMED));
    }
    text
}

fn run(index: &Index<'_>, bom: &Value, summary: &Summary) -> Vec<String> {
    let mut wrong = Vec::new();
    if bom["serialNumber"] != Value::from(format!("urn:uuid:{}", summary.run)) {
        wrong.push(format!("{BOM} is of another run than {SUMMARY}"));
    }
    if index
        .manager
        .is_some_and(|manager| manager != summary.manager)
    {
        wrong.push(format!("{SUMMARY} names another manager than {EVENTS}"));
    }
    if let Some(ended) = index.manager_exit
        && ended != (summary.manager_exit_code, summary.manager_signal)
    {
        wrong.push(format!(
            "{SUMMARY} names another end of the manager than {EVENTS}"
        ));
    }
    wrong
}

fn controls(events: &[Event], bom: &Value, summary: &Summary) -> Vec<String> {
    let assessed: BTreeMap<ControlId, Status> = events
        .iter()
        .filter_map(|event| {
            if let Event::Assessed { control, status } = event {
                Some((*control, *status))
            } else {
                None
            }
        })
        .collect();
    let stated: BTreeMap<ControlId, Status> = summary
        .controls
        .iter()
        .map(|control| (control.id, control.status))
        .collect();
    let mut wrong = Vec::new();
    for control in ControlId::all() {
        let journal = assessed.get(&control).map(|status| status.name());
        let name = format!("v4run:scvs:4_{}", control.number());
        for (file, other) in [
            (SUMMARY, stated.get(&control).map(|status| status.name())),
            (BOM, property(bom, &name)),
        ] {
            if other != journal {
                wrong.push(format!(
                    "control {control} is {} in {file} and {} in {EVENTS}",
                    other.unwrap_or("missing"),
                    journal.unwrap_or("missing")
                ));
            }
        }
    }
    wrong
}

fn installed(index: &Index<'_>, bom: &Value, summary: &Summary) -> Vec<String> {
    let mut wrong = Vec::new();
    let components = bom["components"].as_array().map_or(&[][..], Vec::as_slice);
    let stated: BTreeMap<&str, &Value> = components
        .iter()
        .filter_map(|component| Some((component["purl"].as_str()?, component)))
        .collect();
    let recorded = index.purls();
    let named: BTreeSet<&str> = stated.keys().copied().collect();
    for purl in recorded.difference(&named) {
        wrong.push(format!("{purl} is missing in {BOM}"));
    }
    for purl in named.difference(&recorded) {
        wrong.push(format!("{purl} is in {BOM} only"));
    }
    if summary.components != recorded.len() as u64 {
        wrong.push(format!(
            "{SUMMARY} counts {} components, {EVENTS} {}",
            summary.components,
            recorded.len()
        ));
    }
    let mut seen = BTreeSet::new();
    for package in &index.packages {
        let (Some(released), Some(component)) =
            (index.release_of(package), stated.get(package.purl.as_str()))
        else {
            continue;
        };
        let hashes = component["hashes"]
            .as_array()
            .map_or(&[][..], Vec::as_slice);
        let has = |hex: &str| hashes.iter().any(|hash| hash["content"] == hex);
        if seen.insert(&package.purl) && !released.digests().all(|digest| has(&digest.hex())) {
            wrong.push(format!(
                "{} has another digest in {BOM} than it was released with",
                package.purl
            ));
        }
    }
    wrong
}

fn findings(index: &Index<'_>, summary: &Summary) -> Vec<String> {
    let mut wrong = Vec::new();
    let known = |test: &dyn Fn(&Finding) -> bool| index.findings.iter().any(|one| test(one));
    for violation in &summary.violations {
        let same = |finding: &Finding| {
            finding.code == violation.code
                && finding.subject == violation.subject
                && finding.message == violation.message
        };
        if !known(&same) {
            wrong.push(format!(
                "the violation {} of {} is in {SUMMARY} only",
                violation.code.name(),
                violation.subject
            ));
        }
    }
    for finding in &index.findings {
        let counts = finding.code.severity() != Severity::Note;
        if counts && !summary.findings.iter().any(|one| one.finding == **finding) {
            wrong.push(format!(
                "the finding {} of {} is missing in {SUMMARY}",
                finding.code.name(),
                finding.subject
            ));
        }
    }
    wrong
}
