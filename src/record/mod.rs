//! Consumes the events of a run and leaves the record: the working modules never see it.
//!
//! [`Recorder`] owns the hash-chained journal while the run goes on; [`Recorded`] is what it hands
//! back, and [`Recorded::seal`] writes the CycloneDX file, the summary and the last line. The order
//! is such that a record with a seal is complete. [`read`] and [`verify()`] are the way back in.
//!
//! A record is untrusted input when it is read: bounds on everything, no panic, and a broken chain
//! ends what is believed. Losing the ability to write is never silent: the run ends with
//! `record-failed`.
//!
//! It does not judge: verdicts come in as plain data ([`Outcome`]).

use std::path::PathBuf;

use crate::model::{Code, Finding};

mod attest;
mod bounds;
mod compare;
mod cross;
mod cyclonedx;
#[cfg(test)]
pub(crate) mod fixture;
mod gate;
pub mod history;
mod human;
mod index;
mod journal;
mod outcome;
mod reader;
mod recorded;
mod recorder;
mod sarif;
mod seal;
mod summary;
mod tree;
mod verify;

pub use attest::key::{KeyError, PublicKey, SigningKey};
pub use compare::{Difference, compare};
pub use human::human;
pub use index::{Connection, Index, Input, Judged, Origin, Suppressed};
pub use journal::Journal;
pub use outcome::Outcome;
pub use reader::{Chain, Entry, Reading, read};
pub use recorded::Recorded;
pub use recorder::{Observer, Recorder, Sender};
pub use seal::Sealed;
pub use summary::{
    BuildEntry, ControlEntry, FindingEntry, RepositoryEntry, Summary, Suppression, Violation,
};
pub(crate) use verify::load_summary;
pub use verify::{Check, Verification, verify, verify_with};

/// The journal's name in a record directory.
pub const EVENTS: &str = "events.jsonl";
/// The CycloneDX file's name in a record directory.
pub const BOM: &str = "record.cdx.json";
/// The summary's name in a record directory.
pub const SUMMARY: &str = "summary.json";
/// The name of what a static look saw in a record directory.
pub const FINDINGS: &str = "findings.sarif";
/// The signed statements' name in a record directory.
pub const ATTESTATION: &str = "attestation.intoto.jsonl";

/// Why a record could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// The directory holds a record of another run.
    #[error("there is a record already in `{0}`")]
    Occupied(PathBuf),
    /// An I/O error at a path.
    #[error("cannot use the record at `{path}`")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A value that has no JSON form.
    #[error("an event could not be written as JSON")]
    Json(#[source] serde_json::Error),
    /// More than the bound for its kind.
    #[error("{what} is larger than {limit} bytes")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
    /// The journal failed before and takes nothing more.
    #[error("the record failed earlier")]
    Failed,
    /// More events than a record holds, or the recording thread ended.
    #[error("the record is incomplete: {0} events were lost")]
    Lost(u64),
    /// Of a form that this version cannot read.
    #[error("the record was made by a newer v4run, its form has number {format}")]
    Newer {
        /// Its number.
        format: u32,
    },
    /// The record could not be signed.
    #[error("the record could not be signed")]
    Unsigned(#[source] KeyError),
    /// A file of the record is not what it should be.
    #[error("`{path}` is not readable as a part of a record")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
}

impl RecordError {
    /// The remedy, where there is a true one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Occupied(_) => Some("name a new or empty directory with `--record DIR`"),
            Self::Io { .. } => Some(
                "name a writable directory on a disk with free space with `--record DIR` or V4RUN_RECORD",
            ),
            Self::Newer { .. } => Some("read it with that version"),
            Self::Json(_)
            | Self::TooLarge { .. }
            | Self::Failed
            | Self::Unsigned(_)
            | Self::Lost(_)
            | Self::Malformed { .. } => None,
        }
    }

    /// The finding that ends the run with it.
    pub fn finding(&self) -> Finding {
        let mut message = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            message.push_str(": ");
            message.push_str(&error.to_string());
            cause = error.source();
        }
        let subject = match self {
            Self::Occupied(path) | Self::Io { path, .. } | Self::Malformed { path, .. } => {
                path.display().to_string()
            }
            Self::Json(_)
            | Self::TooLarge { .. }
            | Self::Failed
            | Self::Unsigned(_)
            | Self::Newer { .. }
            | Self::Lost(_) => "record".to_owned(),
        };
        let finding = Finding::new(Code::RecordFailed, subject, message);
        match self.hint() {
            Some(hint) => finding.with_hint(hint),
            None => finding,
        }
    }
}

/// Reads any bytes as a signed envelope; for the fuzz target.
#[cfg(any(test, feature = "fuzz"))]
pub fn fuzz(bytes: &[u8]) {
    attest::dsse::fuzz(bytes);
}
