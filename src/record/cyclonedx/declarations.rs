//! Claims with evidence, and what they mean for each control.
//!
//! CycloneDX has a score and a confidence for a requirement, and no word for "unknown" or "not
//! applicable". So: unknown leaves the conformance out (0 would say "fails") with confidence 0; not
//! applicable leaves both out and claims why; violated scores below 1 with a counter-claim. The
//! A waived control keeps its true score, with the exception as mitigation. The
//! status word itself comes first in every rationale, in a property of the document, and in the
//! evidence. v4run assesses itself: the assessor is no third party.

use std::collections::BTreeSet;

use serde_json::Value;

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
    let mut mitigation = Vec::new();
    // A bare unknown rests on nothing and claims nothing.
    if verdict.status != Status::Unknown || !verdict.evidence.is_null() {
        let claim = format!("claim:{control}");
        let base = format!("evidence:{control}");
        let content = result(verdict, assessment);
        let expires = earliest(&verdict.evidence);
        evidence.push(attach(&base, verdict, &content, created, expires));
        if let Some(exception) = exception(verdict) {
            let base = format!("mitigation:{control}");
            let expires = earliest(exception);
            evidence.push(attach(&base, verdict, exception, created, expires));
            mitigation.push(base);
        }
        claims.push(Claim {
            bom_ref: claim.clone(),
            target: target(verdict.subject).to_owned(),
            predicate: verdict.detail.clone(),
            reasoning: Some(reason.clone()),
            evidence: vec![base],
            mitigation_strategies: mitigation.clone(),
            ..Claim::default()
        });
        mapping.claims.push(claim);
    }
    if violated {
        let claim = format!("counter-claim:{control}");
        let base = format!("counter-evidence:{control}");
        let content = refusals(control, index);
        evidence.push(attach(&base, verdict, &content, created, None));
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
    if let Some(conformance) = &mut mapping.conformance {
        conformance.mitigation_strategies = mitigation;
    }
    mapping
}

fn scores(verdict: &ControlVerdict, rationale: String) -> (Option<Score>, Option<Score>) {
    let (conformance, confidence) = match verdict.status {
        Status::NotApplicable => (None, None),
        Status::Unknown => (None, Some(0.0)),
        Status::Violated => (Some(share(verdict).min(0.99)), Some(1.0)),
        Status::Waived => (Some(share(verdict)), None),
        Status::Declared => (Some(whole(verdict)), Some(0.4)),
        Status::Observed => (Some(whole(verdict)), Some(0.7)),
        Status::Verified | Status::Enforced => (Some(whole(verdict)), Some(1.0)),
    };
    let score = |score| Score {
        score,
        rationale: rationale.clone(),
        mitigation_strategies: Vec::new(),
    };
    (conformance.map(score), confidence.map(score))
}

/// The score of what is met: 1, or the share where the verdict has one.
fn whole(verdict: &ControlVerdict) -> f64 {
    match verdict.conforming {
        Some((_, whole)) if whole > 0 => share(verdict),
        Some(_) | None => 1.0,
    }
}

/// The exception that a waived verdict rests on.
fn exception(verdict: &ControlVerdict) -> Option<&Value> {
    let waived = verdict.status == Status::Waived;
    let found = verdict.evidence.get("exception").filter(|_| waived);
    found.filter(|exception| exception.is_object())
}

/// When the first part of the evidence stops to count, if any does.
fn earliest(evidence: &Value) -> Option<String> {
    match evidence {
        Value::Array(parts) => parts.iter().filter_map(earliest).min(),
        Value::Object(fields) => {
            let own = fields
                .get("expires")
                .and_then(Value::as_str)
                .and_then(moment);
            let below = fields.values().filter_map(earliest);
            below.chain(own).min()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// A day counts to its end.
fn moment(text: &str) -> Option<String> {
    let text = match text.len() {
        10 => format!("{text}T23:59:59Z"),
        _ => text.to_owned(),
    };
    let time = humantime::parse_rfc3339(&text).ok()?;
    Some(humantime::format_rfc3339_seconds(time).to_string())
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
fn result(verdict: &ControlVerdict, assessment: &Assessment) -> Value {
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

fn refusals(control: ControlId, index: &Index<'_>) -> Value {
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
    content: &Value,
    created: &str,
    expires: Option<String>,
) -> Evidence {
    Evidence {
        bom_ref: reference.to_owned(),
        // `v4run` is no registered namespace of the CycloneDX property taxonomy.
        property_name: format!("internal:{}", name(verdict.control)),
        description: verdict.title.clone(),
        created: created.to_owned(),
        expires,
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
        .chain(
            assessment
                .levels
                .iter()
                .map(|entry| property(format!("v4run:scvs:{}", entry.level), entry.verdict.name())),
        )
        .collect()
}

/// Property name of a control; the taxonomy's rule for names has no dot.
fn name(control: ControlId) -> String {
    format!("v4run:scvs:4_{}", control.number())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{Code, Event, Finding};
    use crate::record::fixture::{assessment, healthy, outcome};

    fn declared(status: Status, evidence: &Value) -> Value {
        let mut assessment = assessment(status);
        for verdict in &mut assessment.controls {
            verdict.evidence = evidence.clone();
            verdict.conforming = Some((7, 10));
        }
        let mut events = healthy();
        events.push(Event::Found(Finding::new(Code::ExecRefused, "sh", "no")));
        let index = Index::new(&events);
        let outcome = outcome(assessment);
        json!(declarations(&index, &outcome, "2026-11-22T00:00:00.000Z"))
    }

    /// Every reference of a document points at something of it.
    fn assert_resolved(declared: &Value) {
        let mut known = BTreeSet::new();
        for list in ["claims", "evidence"] {
            for item in declared[list].as_array().into_iter().flatten() {
                assert!(known.insert(item["bom-ref"].as_str().unwrap()), "{item}");
            }
        }
        let map = declared["attestations"][0]["map"].as_array().unwrap();
        assert_eq!(map.len(), 19);
        let claims = declared["claims"].as_array().into_iter().flatten();
        for item in map.iter().chain(claims) {
            for list in [
                &item["claims"],
                &item["counterClaims"],
                &item["evidence"],
                &item["counterEvidence"],
                &item["mitigationStrategies"],
                &item["conformance"]["mitigationStrategies"],
            ] {
                for reference in list.as_array().into_iter().flatten() {
                    assert!(known.contains(reference.as_str().unwrap()), "{item}");
                }
            }
        }
    }

    #[test]
    fn every_status_has_its_scores() {
        let cases = [
            (Status::Enforced, Some(0.7), Some(1.0)),
            (Status::Verified, Some(0.7), Some(1.0)),
            (Status::Observed, Some(0.7), Some(0.7)),
            (Status::Declared, Some(0.7), Some(0.4)),
            (Status::Waived, Some(0.7), None),
            (Status::Violated, Some(0.7), Some(1.0)),
            (Status::Unknown, None, Some(0.0)),
            (Status::NotApplicable, None, None),
        ];
        for (status, conformance, confidence) in cases {
            let declared = declared(status, &json!({ "rows": [] }));
            assert_resolved(&declared);
            let entry = &declared["attestations"][0]["map"][17];
            assert_eq!(
                entry["conformance"]["score"].as_f64(),
                conformance,
                "{status:?}"
            );
            assert_eq!(
                entry["confidence"]["score"].as_f64(),
                confidence,
                "{status:?}"
            );
            let counter = entry["counterClaims"].as_array().map_or(0, Vec::len);
            assert_eq!(counter, usize::from(status == Status::Violated));
            let word = entry["conformance"]["rationale"].as_str();
            assert!(word.is_none_or(|text| text.starts_with(status.name())));
        }
    }

    #[test]
    fn an_unknown_without_evidence_claims_nothing() {
        let declared = declared(Status::Unknown, &Value::Null);
        assert!(declared["claims"].is_null() && declared["evidence"].is_null());
        assert_resolved(&declared);
    }

    #[test]
    fn what_a_claim_rests_on_ends_when_its_first_part_does() {
        let facts = json!([
            { "expires": "2027-03-01" },
            { "expires": "2026-12-01T10:00:00Z" },
            { "expires": "some day" },
        ]);
        let declared = declared(Status::Declared, &facts);
        assert_eq!(declared["evidence"][0]["expires"], "2026-12-01T10:00:00Z");
        assert_eq!(moment("2027-03-01").unwrap(), "2027-03-01T23:59:59Z");
    }

    #[test]
    fn an_exception_is_a_mitigation_with_an_end() {
        let exception = json!({ "owner": "o", "reason": "r", "expires": "2026-12-31" });
        let evidence = json!({ "exception": exception, "underlying": null });
        let declared = declared(Status::Waived, &evidence);
        assert_resolved(&declared);
        let entry = &declared["attestations"][0]["map"][11];
        assert_eq!(
            entry["conformance"]["mitigationStrategies"][0],
            "mitigation:4.12"
        );
        let all = declared["evidence"].as_array().unwrap();
        let found = all.iter().find(|one| one["bom-ref"] == "mitigation:4.12");
        assert_eq!(found.unwrap()["expires"], "2026-12-31T23:59:59Z");
    }
}
