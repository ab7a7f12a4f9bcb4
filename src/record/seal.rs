//! The seal: last lines of the journal, CycloneDX file and summary.
//!
//! Called once by the session after everything of the run is gone. Order: verdicts into the
//! journal, CycloneDX file in place, seal with its digest into the journal and made durable, summary
//! in place. So a journal with a seal has its CycloneDX file, and a summary has its seal. Files are
//! written beside their place and moved, never over something that is there (renameat2(2)
//! `RENAME_NOREPLACE` or link(2)).

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::index::Index;
use super::summary::Summary;
use super::{BOM, Outcome, RecordError, Recorded, SUMMARY, cyclonedx};
use crate::diag::{Exit, decide};
use crate::model::{Algorithm, Digest, Event};

/// A finished record.
#[derive(Debug)]
pub struct Sealed {
    /// The record directory, absolute.
    pub directory: PathBuf,
    /// v4run's exit status.
    pub exit: Exit,
    /// SHA-256 of the CycloneDX file.
    pub bom: Digest,
    /// What the summary file says.
    pub summary: Summary,
}

impl Recorded {
    /// Writes the rest of the record. The exit status is decided here, from the recorded findings,
    /// so that status, seal and list of violations cannot disagree.
    pub fn seal(mut self, outcome: &Outcome) -> Result<Sealed, RecordError> {
        let exit = decide(self.findings(), outcome.status, outcome.before_start);
        for verdict in &outcome.assessment.controls {
            self.push(Event::Assessed {
                control: verdict.control,
                status: verdict.status,
            });
        }
        if !self.healthy() {
            return Err(self.failure.take().unwrap_or(RecordError::Failed));
        }
        let directory = self.directory().to_owned();
        let index = Index::new(&self.events);
        let bom = json(&cyclonedx::build(&index, outcome))?;
        let summary = Summary::new(&index, outcome, exit);
        let written = json(&summary)?;
        drop(index);
        let digest = sha256(&bom)?;
        place(&directory, BOM, &bom)?;
        self.push(Event::Sealed {
            exit_code: exit.status(),
            bom: digest.clone(),
        });
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        self.journal.finish()?;
        place(&directory, SUMMARY, &written)?;
        Ok(Sealed {
            directory,
            exit,
            bom: digest,
            summary,
        })
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, RecordError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(RecordError::Json)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// SHA-256 as a digest value.
pub(super) fn sha256(bytes: &[u8]) -> Result<Digest, RecordError> {
    // The length is right by construction; the error names the impossible case instead of a panic.
    Digest::new(Algorithm::Sha256, Sha256::digest(bytes).to_vec())
        .map_err(|_length| RecordError::Failed)
}

/// Puts a whole, durable file at its place.
fn place(directory: &Path, name: &str, bytes: &[u8]) -> Result<(), RecordError> {
    let path = directory.join(name);
    let io = |source| RecordError::Io {
        path: path.clone(),
        source,
    };
    let mut file = tempfile::Builder::new()
        .prefix(".writing-")
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(directory)
        .map_err(io)?;
    file.write_all(bytes).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.persist_noclobber(&path)
        .map_err(|error| io(error.error))?;
    Ok(())
}
