//! Test result and verification result: what the controls came to.
//!
//! The test result is always made, also for a failed run: it is the one that can carry a negative. A
//! control that is unknown or not applicable stands in none of its lists. The verification result is
//! made only where a level is reached, and lists passing properties only, so that a reader who does
//! not find one takes it as not verified. in-toto predicates test-result v0.1 and svr v0.2.

use serde_json::{Value, json};

use super::bundle::LISTS;
use super::statement::Resource;
use super::{Kind, Payload, payload};
use crate::model::{Assessment, Status};
use crate::record::index::Index;
use crate::record::{Outcome, RecordError};

/// The test result.
pub(in crate::record) fn test(
    index: &Index<'_>,
    assessment: &Assessment,
    subject: &[Resource],
) -> Result<Payload, RecordError> {
    let named = |wanted: &[Status]| -> Vec<String> {
        let verdicts = assessment.controls.iter();
        verdicts
            .filter(|verdict| wanted.contains(&verdict.status))
            .map(|verdict| format!("SCVS-1.0-{}", verdict.control))
            .collect()
    };
    let [passed, warned, failed] = LISTS.map(|(_name, statuses)| named(statuses));
    let open = named(&[Status::Unknown]);
    let result = match (failed.is_empty(), warned.is_empty() && open.is_empty()) {
        (false, _) => "FAILED",
        (true, false) => "WARNED",
        (true, true) => "PASSED",
    };
    let predicate = json!({
        "result": result,
        "configuration": configuration(index, assessment),
        "passedTests": passed,
        "warnedTests": warned,
        "failedTests": failed,
    });
    payload(Kind::TestResult, subject, &predicate)
}

/// The verification result, where there is something to say.
pub(in crate::record) fn verification(
    index: &Index<'_>,
    outcome: &Outcome,
    subject: &[Resource],
) -> Result<Option<Payload>, RecordError> {
    let assessment = &outcome.assessment;
    if assessment.headline().is_none() {
        return Ok(None);
    }
    let levels = assessment.levels.iter();
    let levels = levels
        .filter(|entry| entry.verdict.is_reached())
        .map(|entry| format!("SCVS_1_0_V4_LEVEL_{}", entry.level.number()));
    let met = assessment.controls.iter();
    let met = met
        .filter(|verdict| verdict.status.result() == "met")
        .map(|verdict| format!("SCVS_1_0_4_{}", verdict.control.number()));
    let policies: Vec<Resource> = index
        .inputs
        .iter()
        .filter(|input| input.name == "policy")
        .map(|input| Resource::named(input.path).with(input.sha256))
        .collect();
    let predicate: Value = json!({
        "verifier": {
            // Another reading of the controls is another verifier.
            "id": format!(
                "urn:v4run:verifier:{}:{}",
                env!("CARGO_PKG_VERSION"),
                assessment.interpretation
            ),
            "policies": policies,
        },
        "timeCreated": humantime::format_rfc3339_seconds(outcome.ended).to_string(),
        "properties": levels.chain(met).collect::<Vec<_>>(),
    });
    payload(Kind::Verification, subject, &predicate).map(Some)
}

fn configuration(index: &Index<'_>, assessment: &Assessment) -> Vec<Resource> {
    let interpretation = Resource::named("interpretation of the controls").at(format!(
        "urn:v4run:interpretation:{}",
        assessment.interpretation
    ));
    let policies = index.inputs.iter().filter(|input| input.name == "policy");
    let policies = policies.map(|input| Resource::named(input.path).with(input.sha256));
    std::iter::once(interpretation).chain(policies).collect()
}
