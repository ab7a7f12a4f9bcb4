//! `record.cdx.json`: CycloneDX 1.6 with inventory, standard and declarations.
//!
//! A fold over the events of a run and the verdicts on them; made once, at the seal. References
//! are package URLs for components and prefixed names (`tool:`, `service:`, `claim:`, `scvs-1.0:`)
//! for everything else, so that nothing collides when documents are merged.
//! No embedded signature: the file is covered by the journal's seal and by the statements beside it. ECMA-424, CycloneDX 1.6.

use super::Outcome;
use super::index::Index;
use crate::model::{Algorithm, ControlId, Digest};
use schema::{
    Composition, ExternalReference, Hash, Lifecycle, Metadata, Property, Tools, property,
};

pub(super) use schema::Bom;

mod components;
mod declarations;
mod definitions;
mod iri;
mod schema;
mod services;

/// Reference of the project.
const PROJECT: &str = "project";

/// What the document says about the statements on it.
#[derive(Debug)]
pub(super) struct Attested<'a> {
    /// Identifier of the key that signs them.
    pub(super) key: Option<String>,
    /// The file with the trace.
    pub(super) file: &'static str,
    /// The trace itself.
    pub(super) trace: &'a Digest,
}

/// Makes the document.
pub(super) fn build(index: &Index<'_>, outcome: &Outcome, attested: &Attested<'_>) -> Bom {
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
        external_references: vec![ExternalReference {
            kind: "attestation",
            url: attested.file.to_owned(),
            comment: Some(
                "runtime trace of this install; the digest is that of the statement".into(),
            ),
            hashes: hash(attested.trace).into_iter().collect(),
        }],
        properties: declarations::properties(&outcome.assessment)
            .into_iter()
            .chain(signed(attested))
            .collect(),
    }
}

fn signed(attested: &Attested<'_>) -> Vec<Property> {
    let mut properties = vec![property("v4run:signed", attested.key.is_some().to_string())];
    if let Some(key) = &attested.key {
        properties.push(property("v4run:signed:key", key));
    }
    properties
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
