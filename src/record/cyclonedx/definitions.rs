//! The standard that the declarations refer to: chapter V4 of OWASP SCVS 1.0.
//!
//! References inside a document may not leave it, so the 19 requirements are named here: number and
//! v4run's own short title, with a BOM-Link to the official text. The official text is not copied
//! (its licence, CC-BY-SA-4.0, would then bind every record).

use super::schema::{Definitions, ExternalReference, LevelEntry, Requirement, Standard};
use crate::model::{Assessment, ControlId, Level};

/// Reference of the standard, and prefix of its parts.
const STANDARD: &str = "scvs-1.0";
/// BOM-Link of the official document of the standard.
const OFFICIAL: &str = "urn:cdx:8d0d5d1e-6a4d-4c1e-ad6c-314108f38a7d/1";

/// The chapter with its levels.
pub(super) fn definitions(assessment: &Assessment) -> Definitions {
    let requirements = assessment
        .controls
        .iter()
        .map(|verdict| Requirement {
            bom_ref: requirement(verdict.control),
            identifier: verdict.control.to_string(),
            title: verdict.title.clone(),
            external_references: vec![official(&verdict.control.to_string())],
        })
        .collect();
    let levels = Level::ALL
        .into_iter()
        .map(|level| LevelEntry {
            bom_ref: format!("{STANDARD}:level-{}", level.number()),
            identifier: format!("Level {}", level.number()),
            requirements: assessment
                .controls
                .iter()
                .filter(|verdict| verdict.level <= level)
                .map(|verdict| requirement(verdict.control))
                .collect(),
        })
        .collect();
    Definitions {
        standards: vec![Standard {
            bom_ref: STANDARD.to_owned(),
            name: "Software Component Verification Standard, chapter V4 only".to_owned(),
            version: "1.0".to_owned(),
            description: format!(
                "Numbers and short titles of the 19 controls; texts are in the official document. \
                 Read as in interpretation {}.",
                assessment.interpretation
            ),
            owner: "OWASP Foundation".to_owned(),
            requirements,
            levels,
            external_references: vec![official("SCVS-1.0")],
        }],
    }
}

fn official(item: &str) -> ExternalReference {
    ExternalReference {
        kind: "bom",
        url: format!("{OFFICIAL}#{item}"),
        ..ExternalReference::default()
    }
}

/// Reference of a requirement.
pub(super) fn requirement(control: ControlId) -> String {
    format!("{STANDARD}:{control}")
}
