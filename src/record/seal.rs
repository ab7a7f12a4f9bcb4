//! The seal: last lines of the journal, CycloneDX file and summary.
//!
//! Called once by the session after everything of the run is gone. Order: verdicts into the
//! journal, CycloneDX file in place, seal with its digest into the journal and made durable, summary
//! in place, statements on all of them last. So a journal with a seal has its CycloneDX file, and a summary has its seal. Files are
//! written beside their place and moved, never over something that is there (renameat2(2)
//! `RENAME_NOREPLACE` or link(2)).

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::attest::statement::Resource;
use super::attest::{Kind, Payload, dsse, result, statement, trace};
use super::cyclonedx::Attested;
use super::index::Index;
use super::summary::Summary;
use super::{
    ATTESTATION, BOM, EVENTS, Outcome, RecordError, Recorded, SUMMARY, SigningKey, attest,
    cyclonedx,
};
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
        let trace = trace::statement(&index, outcome, self.journal.head())?;
        let key = self.key.as_ref().map(|key| key.public().id());
        let attested = Attested {
            file: key.as_ref().map_or(Kind::Trace.file(), |_key| ATTESTATION),
            key,
            trace: &sha256(&trace.bytes)?,
        };
        let document = cyclonedx::build(&index, outcome, &attested);
        let bom = json(&document)?;
        let digest = sha256(&bom)?;
        let summary = Summary::new(&index, outcome, exit);
        let written = json(&summary)?;
        let inputs = statement::inputs(&index);
        let bill = Resource::named(BOM).with(&digest);
        let mut subject = statement::artifacts(&index);
        subject.extend(inputs.iter().cloned());
        subject.push(bill.clone());
        let mut payloads = vec![attest::of_bom(&document, &subject)?, trace];
        drop(index);
        place(&directory, BOM, &bom, true)?;
        self.push(Event::Sealed {
            exit_code: exit.status(),
            bom: digest.clone(),
        });
        if let Some(error) = self.failure.take() {
            return Err(error);
        }
        let journal = self.journal.finish()?;
        place(&directory, SUMMARY, &written, true)?;
        let mut events = Resource::named(EVENTS);
        events.digest.insert("sha256".to_owned(), journal);
        let mut subject = vec![
            bill,
            events,
            Resource::named(SUMMARY).with(&sha256(&written)?),
        ];
        subject.extend(inputs);
        let index = Index::new(&self.events);
        payloads.push(result::test(&index, &outcome.assessment, &subject)?);
        payloads.extend(result::verification(&index, outcome, &subject)?);
        attest(&directory, &payloads, self.key.as_ref())?;
        Ok(Sealed {
            directory,
            exit,
            bom: digest,
            summary,
        })
    }
}

/// Writes the statements: signed and in one file, or bare.
fn attest(
    directory: &Path,
    payloads: &[Payload],
    key: Option<&SigningKey>,
) -> Result<(), RecordError> {
    let Some(key) = key else {
        // They can be made again from the record: nothing is lost with them in a crash.
        return payloads
            .iter()
            .try_for_each(|one| place(directory, one.kind.file(), &one.bytes, false));
    };
    let mut lines = Vec::new();
    for payload in payloads {
        let envelope = dsse::sign(key, &payload.bytes).map_err(RecordError::Unsigned)?;
        lines.extend(serde_json::to_vec(&envelope).map_err(RecordError::Json)?);
        lines.push(b'\n');
    }
    place(directory, ATTESTATION, &lines, true)
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

/// Puts a whole file at its place.
fn place(directory: &Path, name: &str, bytes: &[u8], durable: bool) -> Result<(), RecordError> {
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
    if durable {
        file.as_file().sync_all().map_err(io)?;
    }
    file.persist_noclobber(&path)
        .map_err(|error| io(error.error))?;
    Ok(())
}
