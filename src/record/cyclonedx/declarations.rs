//! Claims with evidence, and what they mean for each control.
//!
//! CycloneDX has a score and a confidence for a requirement, and no word for "unknown" or "not
//! applicable". So: unknown leaves the conformance out (0 would say "fails") with confidence 0; not
//! applicable leaves both out and claims why; violated scores below 1 with a counter-claim. The
//! status word itself comes first in every rationale, in a property of the document, and in the
//! evidence. v4run assesses itself: the assessor is no third party.

use std::collections::BTreeSet;

use super::definitions::requirement;
use super::schema::{
    Assessor, Attachment, Attestation, Claim, Component, Contents, Data, Declarations, Evidence,
    Mapping, Organization, Property, Score, Service, Targets, property,
};
use super::services::reference;
use crate::model::{Assessment, ControlId, ControlVerdict, Status, Subject};
use crate::record::Outcome;
use crate::record::index::Index;

const ASSESSOR: &str = "assessor:v4run";
const CLIENT: &str = "target:client";
const INSTALL: &str = "target:install";
const REPOSITORIES: &str = "target:repositories";

/// All declarations.
pub(super) fn declarations(index: &Index<'_>, outcome: &Outcome, created: &str) -> Declarations {
    let assessment = &outcome.assessment;
    let mut claims = Vec::new();
    let mut evidence = Vec::new();
    let mut map = Vec::new();
    for verdict in &assessment.controls {
        map.push(declare(
            verdict,
            index,
            assessment,
            created,
            &mut claims,
            &mut evidence,
        ));
    }
    Declarations {
        assessors: vec![Assessor {
            bom_ref: ASSESSOR.to_owned(),
            third_party: false,
            organization: Organization {
                name: "v4run, run by the builder".to_owned(),
            },
        }],
        targets: targets(index, outcome),
        attestations: vec![Attestation {
            summary: summary(assessment),
            assessor: ASSESSOR.to_owned(),
            map,
        }],
        claims,
        evidence,
    }
}

fn declare(
    verdict: &ControlVerdict,
    index: &Index<'_>,
    assessment: &Assessment,
    created: &str,
    claims: &mut Vec<Claim>,
    evidence: &mut Vec<Evidence>,
) -> Mapping {
    let control = verdict.control;
    let mut mapping = Mapping {
        requirement: requirement(control),
        ..Mapping::default()
    };
    let reason = rationale(verdict);
    let violated = verdict.status == Status::Violated;
    // A bare unknown rests on nothing and claims nothing.
    if verdict.status != Status::Unknown || !verdict.evidence.is_null() {
        let claim = format!("claim:{control}");
        let base = format!("evidence:{control}");
        evidence.push(attach(
            &base,
            verdict,
            &result(verdict, assessment),
            created,
        ));
        claims.push(Claim {
            bom_ref: claim.clone(),
            target: target(verdict.subject).to_owned(),
            predicate: verdict.detail.clone(),
            reasoning: Some(reason.clone()),
            evidence: vec![base],
            ..Claim::default()
        });
        mapping.claims.push(claim);
    }
    if violated {
        let claim = format!("counter-claim:{control}");
        let base = format!("counter-evidence:{control}");
        evidence.push(attach(&base, verdict, &refusals(control, index), created));
        claims.push(Claim {
            bom_ref: claim.clone(),
            target: target(verdict.subject).to_owned(),
            predicate: format!("the run contradicts control {control}"),
            counter_evidence: vec![base],
            ..Claim::default()
        });
        mapping.counter_claims.push(claim);
    }
    (mapping.conformance, mapping.confidence) = scores(verdict, reason);
    mapping
}

fn scores(verdict: &ControlVerdict, rationale: String) -> (Option<Score>, Option<Score>) {
    let (conformance, confidence) = match verdict.status {
        Status::NotApplicable => (None, None),
        Status::Unknown => (None, Some(0.0)),
        Status::Violated => (Some(share(verdict).min(0.99)), Some(1.0)),
        Status::Waived => (Some(share(verdict)), None),
        Status::Declared => (Some(1.0), Some(0.4)),
        Status::Observed => (Some(1.0), Some(0.7)),
        Status::Verified | Status::Enforced => (Some(1.0), Some(1.0)),
    };
    let score = |score| Score {
        score,
        rationale: rationale.clone(),
    };
    (conformance.map(score), confidence.map(score))
}

/// Share of what was examined that conforms, to two places; 0 when the numbers do not say.
fn share(verdict: &ControlVerdict) -> f64 {
    match verdict.conforming {
        Some((part, whole)) if whole > 0 => {
            let hundredths = part.min(whole).saturating_mul(100) / whole;
            u8::try_from(hundredths).map_or(0.0, |hundredths| f64::from(hundredths) / 100.0)
        }
        Some(_) | None => 0.0,
    }
}

fn rationale(verdict: &ControlVerdict) -> String {
    let mut text = verdict.status.name().to_owned();
    if !verdict.modifiers.is_empty() {
        text.push_str(&format!(" ({})", verdict.modifiers.join(", ")));
    }
    text.push_str(": ");
    text.push_str(&verdict.detail);
    text
}

/// v4run's own result, in full.
fn result(verdict: &ControlVerdict, assessment: &Assessment) -> serde_json::Value {
    serde_json::json!({
        "control": verdict.control,
        "interpretation": assessment.interpretation,
        "status": verdict.status,
        "result": verdict.status.result(),
        "basis": verdict.status.basis(),
        "modifiers": verdict.modifiers,
        "counts": verdict.counts,
        "evidence": verdict.evidence,
    })
}

fn refusals(control: ControlId, index: &Index<'_>) -> serde_json::Value {
    let refused: Vec<_> = index
        .findings
        .iter()
        .filter(|finding| finding.control == Some(control))
        .collect();
    serde_json::json!(refused)
}

fn attach(
    reference: &str,
    verdict: &ControlVerdict,
    content: &serde_json::Value,
    created: &str,
) -> Evidence {
    Evidence {
        bom_ref: reference.to_owned(),
        // `v4run` is no registered namespace of the CycloneDX property taxonomy.
        property_name: format!("internal:{}", name(verdict.control)),
        description: verdict.title.clone(),
        created: created.to_owned(),
        data: vec![Data {
            name: reference.to_owned(),
            contents: Contents {
                attachment: Attachment {
                    content_type: "application/json",
                    content: content.to_string(),
                },
            },
            // Paths and internal addresses of the build are in it.
            classification: "internal",
        }],
    }
}

fn targets(index: &Index<'_>, outcome: &Outcome) -> Targets {
    let component = |reference: &str, name: String, version: Option<String>| Component {
        kind: "application",
        bom_ref: reference.to_owned(),
        name,
        version,
        ..Component::default()
    };
    let hosts: BTreeSet<String> = index
        .connections
        .iter()
        .map(|connection| reference(connection.host))
        .collect();
    Targets {
        components: vec![
            component(
                CLIENT,
                format!("{} under v4run", outcome.manager),
                Some(env!("CARGO_PKG_VERSION").to_owned()),
            ),
            component(INSTALL, format!("install {}", outcome.run), None),
        ],
        services: vec![Service {
            bom_ref: REPOSITORIES.to_owned(),
            name: "the repositories of this install".to_owned(),
            properties: hosts
                .into_iter()
                .map(|host| property("v4run:service", host))
                .collect(),
            ..Service::default()
        }],
    }
}

const fn target(subject: Subject) -> &'static str {
    match subject {
        Subject::Client => CLIENT,
        Subject::Component => INSTALL,
        Subject::Repository => REPOSITORIES,
    }
}

fn summary(assessment: &Assessment) -> String {
    let levels: Vec<String> = assessment
        .levels
        .iter()
        .map(|entry| format!("{} {}", entry.level, entry.verdict.name()))
        .collect();
    format!(
        "Self-assessment against SCVS 1.0 V4 (interpretation {}), {} components: {}.",
        assessment.interpretation,
        assessment.components,
        levels.join(", ")
    )
}

/// The status of every control, where a program finds it without reading claims.
pub(super) fn properties(assessment: &Assessment) -> Vec<Property> {
    assessment
        .controls
        .iter()
        .map(|verdict| property(name(verdict.control), verdict.status.name()))
        .collect()
}

/// Property name of a control; the taxonomy's rule for names has no dot.
fn name(control: ControlId) -> String {
    format!("v4run:scvs:4_{}", control.number())
}
