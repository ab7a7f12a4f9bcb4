//! `record.cdx.json`: CycloneDX 1.6 with inventory, standard and declarations.
//!
//! A fold over the events of a run and the verdicts on them; made once, at the seal. References
//! are package URLs for components and prefixed names (`tool:`, `service:`, `claim:`, `scvs-1.0:`)
//! for everything else, so that nothing collides when documents are merged.
//! No embedded signature: the file is covered by the journal's seal. ECMA-424, CycloneDX 1.6.

use super::Outcome;
use super::index::Index;
use crate::model::{Algorithm, ControlId, Digest};
use schema::{Bom, Composition, Hash, Lifecycle, Metadata, Tools, property};

mod components;
mod declarations;
mod definitions;
mod iri;
mod schema;
mod services;

/// Reference of the project.
const PROJECT: &str = "project";

/// Makes the document.
pub(super) fn build(index: &Index<'_>, outcome: &Outcome) -> Bom {
    let ended = humantime::format_rfc3339_millis(outcome.ended).to_string();
    let components = components::installed(index);
    let dependencies = components::dependencies(index);
    // The one verdict that says whether all three views of the install agree.
    let complete = outcome
        .assessment
        .control(ControlId::new(19))
        .is_some_and(|verdict| verdict.status.result() == "met");
    let aggregate = if complete { "complete" } else { "incomplete" };
    let references: Vec<String> = components
        .iter()
        .map(|component| component.bom_ref.clone())
        .collect();
    Bom {
        schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
        bom_format: "CycloneDX",
        spec_version: "1.6",
        serial_number: outcome.run.urn().to_string(),
        version: 1,
        metadata: Metadata {
            timestamp: ended.clone(),
            lifecycles: vec![Lifecycle { phase: "build" }],
            tools: Tools {
                components: components::tools(index),
            },
            component: components::project(index, outcome),
            properties: vec![
                property("v4run:run", outcome.run.to_string()),
                property("v4run:manager", outcome.manager.clone()),
                property("v4run:arguments", index.arguments.join(" ")),
            ],
        },
        services: services::contacted(index),
        compositions: vec![Composition {
            aggregate,
            assemblies: std::iter::once(PROJECT.to_owned())
                .chain(references)
                .collect(),
            dependencies: vec![PROJECT.to_owned()],
        }],
        components,
        dependencies,
        definitions: definitions::definitions(&outcome.assessment),
        declarations: declarations::declarations(index, outcome, &ended),
        properties: declarations::properties(&outcome.assessment),
    }
}

/// A digest in CycloneDX words; none for algorithms that decide nothing.
fn hash(digest: &Digest) -> Option<Hash> {
    let alg = match digest.algorithm() {
        Algorithm::Sha256 => "SHA-256",
        Algorithm::Sha384 => "SHA-384",
        Algorithm::Sha512 => "SHA-512",
        Algorithm::Md5 | Algorithm::Sha1 => return None,
    };
    Some(Hash {
        alg,
        content: digest.hex(),
    })
}
