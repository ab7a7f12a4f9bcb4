//! in-toto statements about a run, in DSSE envelopes where there is a key.
//!
//! Made by the seal, read back by the check of a record. Four statements: the CycloneDX document, what
//! the monitor saw (runtime trace), the result of each control (test result, negatives included), and
//! only where a level is reached a verification result. With a key they are the lines of
//! [`super::ATTESTATION`]; without one each is a bare `*.statement.json`, and never an envelope with
//! an empty signature.
//!
//! A bundle as a whole is not authenticated, lines can be dropped: so the test result names the
//! digests of the record's files, and the CycloneDX file that of the trace. in-toto Attestation
//! Framework v1, DSSE 1.0.

use serde::Serialize;

use super::RecordError;
use super::cyclonedx::Bom;

pub(super) mod bundle;
pub(super) mod dsse;
pub(super) mod key;
pub(super) mod result;
pub(super) mod statement;
pub(super) mod trace;

/// Which statement it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The CycloneDX document.
    CycloneDx,
    /// What was traced.
    Trace,
    /// What each control came to.
    TestResult,
    /// What was verified; only with a level.
    Verification,
}

impl Kind {
    /// All of them, in the order of the bundle.
    pub(super) const ALL: [Self; 4] = [
        Self::CycloneDx,
        Self::Trace,
        Self::TestResult,
        Self::Verification,
    ];

    /// Its predicate type.
    pub(super) const fn predicate_type(self) -> &'static str {
        match self {
            Self::CycloneDx => "https://cyclonedx.org/bom",
            Self::Trace => "https://in-toto.io/attestation/runtime-trace/v0.1",
            Self::TestResult => "https://in-toto.io/attestation/test-result/v0.1",
            Self::Verification => "https://in-toto.io/attestation/svr/v0.2",
        }
    }

    /// The name of its file where it is not signed.
    pub(super) const fn file(self) -> &'static str {
        match self {
            Self::CycloneDx => "cyclonedx.statement.json",
            Self::Trace => "runtime-trace.statement.json",
            Self::TestResult => "test-result.statement.json",
            Self::Verification => "svr.statement.json",
        }
    }
}

/// A statement as it is signed.
#[derive(Clone, Debug)]
pub(super) struct Payload {
    /// Which one.
    pub(super) kind: Kind,
    /// Its bytes.
    pub(super) bytes: Vec<u8>,
}

/// A statement with the document as its predicate.
pub(super) fn of_bom(bom: &Bom, subject: &[statement::Resource]) -> Result<Payload, RecordError> {
    payload(Kind::CycloneDx, subject, bom)
}

/// Writes a statement.
pub(super) fn payload(
    kind: Kind,
    subject: &[statement::Resource],
    predicate: &impl Serialize,
) -> Result<Payload, RecordError> {
    let statement = statement::Statement {
        kind: statement::TYPE,
        subject,
        predicate_type: kind.predicate_type(),
        predicate,
    };
    let bytes = serde_json::to_vec(&statement).map_err(RecordError::Json)?;
    Ok(Payload { kind, bytes })
}
