//! The subset of CycloneDX 1.6 JSON that v4run writes, as serde structures.
//!
//! Field names and order follow the specification (ECMA-424, `bom-1.6.schema.json`). Empty lists
//! and absent values are left out, because the schema gives an empty value a meaning. Uniform data,
//! no logic.

use serde::Serialize;

fn no_items<T>(items: &[T]) -> bool {
    items.is_empty()
}

/// Declares serialised structures whose optional fields are left out when empty.
macro_rules! documents {
    ($($(#[$meta:meta])* $name:ident {
        $(= $($required:ident $(as $rname:literal)?: $rtype:ty),+;)?
        $(? $($optional:ident $(as $oname:literal)?: $otype:ty),+;)?
        $(* $($list:ident $(as $lname:literal)?: $ltype:ty),+;)?
    })*) => {
        $(
            $(#[$meta])*
            #[derive(Debug, Default, Serialize)]
            #[serde(rename_all = "camelCase")]
            pub(super) struct $name {
                $($($(#[serde(rename = $rname)])? pub(super) $required: $rtype,)+)?
                $($(#[serde(skip_serializing_if = "Option::is_none" $(, rename = $oname)?)]
                    pub(super) $optional: Option<$otype>,)+)?
                $($(#[serde(skip_serializing_if = "no_items" $(, rename = $lname)?)]
                    pub(super) $list: Vec<$ltype>,)+)?
            }
        )*
    };
}

/// The document. Written by hand, because its fields have a customary order.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Bom {
    #[serde(rename = "$schema")]
    pub(super) schema: &'static str,
    pub(super) bom_format: &'static str,
    pub(super) spec_version: &'static str,
    pub(super) serial_number: String,
    pub(super) version: u32,
    pub(super) metadata: Metadata,
    #[serde(skip_serializing_if = "no_items")]
    pub(super) components: Vec<Component>,
    #[serde(skip_serializing_if = "no_items")]
    pub(super) services: Vec<Service>,
    pub(super) external_references: Vec<ExternalReference>,
    pub(super) dependencies: Vec<Dependency>,
    pub(super) compositions: Vec<Composition>,
    pub(super) definitions: Definitions,
    pub(super) declarations: Declarations,
    pub(super) properties: Vec<Property>,
}

documents! {
    /// Who made the document, when, about what.
    Metadata {
        = timestamp: String, tools: Tools, component: Component;
        * lifecycles: Lifecycle, properties: Property;
    }
    /// A phase.
    Lifecycle { = phase: &'static str; }
    /// Programs that took part.
    Tools { * components: Component; }
    /// A component, tool, project or target.
    Component {
        = kind as "type": &'static str, bom_ref as "bom-ref": String, name: String;
        ? version: String, description: String, scope: &'static str, purl: String,
          evidence: ComponentEvidence;
        * hashes: Hash, external_references: ExternalReference, properties: Property;
    }
    /// A digest, hex.
    Hash { = alg: &'static str, content: String; }
    /// A name and a value.
    Property { = name: String, value: String; }
    /// Where else something is.
    ExternalReference {
        = kind as "type": &'static str, url: String;
        ? comment: String;
        * hashes: Hash;
    }
    /// How a component was identified and where it stands.
    ComponentEvidence { * identity: Identity, occurrences: Occurrence; }
    /// What was identified.
    Identity { = field: &'static str, confidence: f64; * methods: Method; }
    /// How.
    Method { = technique: &'static str, confidence: f64, value: String; }
    /// A place on disk.
    Occurrence { = location: String; }
    /// A repository.
    Service {
        = bom_ref as "bom-ref": String, name: String;
        ? description: String, trust_boundary as "x-trust-boundary": bool;
        * endpoints: String, properties: Property;
    }
    /// What something needs.
    Dependency { = reference as "ref": String; * depends_on: String; }
    /// How complete a list is.
    Composition { = aggregate: &'static str; * assemblies: String, dependencies: String; }
    /// Standards.
    Definitions { * standards: Standard; }
    /// A standard.
    Standard {
        = bom_ref as "bom-ref": String, name: String, version: String, description: String,
          owner: String;
        * requirements: Requirement, levels: LevelEntry, external_references: ExternalReference;
    }
    /// A requirement.
    Requirement {
        = bom_ref as "bom-ref": String, identifier: String, title: String;
        * external_references: ExternalReference;
    }
    /// A level.
    LevelEntry {
        = bom_ref as "bom-ref": String, identifier: String;
        * requirements: String;
    }
    /// What is declared about conformance.
    Declarations {
        = targets: Targets;
        * assessors: Assessor, attestations: Attestation, claims: Claim, evidence: Evidence;
    }
    /// Who assessed.
    Assessor {
        = bom_ref as "bom-ref": String, third_party as "thirdParty": bool,
          organization: Organization;
    }
    /// A name for an assessor.
    Organization { = name: String; }
    /// What claims are about.
    Targets { * components: Component, services: Service; }
    /// A claim.
    Claim {
        = bom_ref as "bom-ref": String, target: String, predicate: String;
        ? reasoning: String;
        * mitigation_strategies: String, evidence: String, counter_evidence: String;
    }
    /// What a claim rests on.
    Evidence {
        = bom_ref as "bom-ref": String, property_name: String, description: String,
          created: String;
        ? expires: String;
        * data: Data;
    }
    /// A piece of evidence.
    Data { = name: String, contents: Contents, classification: &'static str; }
    /// Its content.
    Contents { = attachment: Attachment; }
    /// Text with its type.
    Attachment { = content_type: &'static str, content: String; }
    /// What was found for every requirement.
    Attestation { = summary: String, assessor: String; * map: Mapping; }
    /// What was found for one requirement.
    Mapping {
        = requirement: String;
        ? conformance: Score, confidence: Score;
        * claims: String, counter_claims: String;
    }
    /// A number between 0 and 1 with its reason.
    Score { = score: f64, rationale: String; * mitigation_strategies: String; }
}

/// A property.
pub(super) fn property(name: impl Into<String>, value: impl Into<String>) -> Property {
    Property {
        name: name.into(),
        value: value.into(),
    }
}
