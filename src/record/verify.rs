//! Is a record intact: chain, digest of the CycloneDX file, summary against seal.
//!
//! Called by `v4run verify`. It says what each check found instead of one yes or no. An intact
//! record is consistent in itself; only a signature could tell who made it.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::reader::{Chain, Reading, read};
use super::seal::sha256;
use super::summary::Summary;
use super::{BOM, RecordError, SUMMARY, bounds};
use crate::model::{Digest, Event};

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// Whether it holds.
    pub holds: bool,
    /// What was found.
    pub detail: String,
}

/// All checks of a record.
#[derive(Debug)]
pub struct Verification {
    /// The checks, in order.
    pub checks: Vec<Check>,
    /// The journal as read.
    pub reading: Reading,
}

impl Verification {
    /// Whether every check holds.
    pub fn holds(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }
}

/// Checks a record directory. Errors are for what cannot be read at all.
pub fn verify(directory: &Path) -> Result<Verification, RecordError> {
    let reading = read(directory)?;
    let mut checks = vec![chain(&reading)];
    let seal = reading
        .entries
        .iter()
        .rev()
        .find_map(|entry| match &entry.event {
            Some(Event::Sealed { exit_code, bom }) => Some((*exit_code, bom.clone())),
            _ => None,
        });
    if let Some((exit_code, bom)) = seal {
        checks.push(bill(directory, &bom));
        checks.push(summary(directory, exit_code));
    }
    Ok(Verification { checks, reading })
}

fn chain(reading: &Reading) -> Check {
    let count = reading.entries.len();
    let (holds, detail) = match &reading.chain {
        Chain::Sealed => (
            true,
            format!("{count} lines, sealed, head sha256:{}", reading.head),
        ),
        Chain::Unsealed => (
            false,
            format!("{count} lines, not sealed: the run did not end"),
        ),
        Chain::Broken { line, reason } => (false, format!("line {line} {reason}")),
    };
    Check {
        name: "events",
        holds,
        detail,
    }
}

fn bill(directory: &Path, sealed: &Digest) -> Check {
    let found = load(directory, BOM).and_then(|bytes| sha256(&bytes));
    let (holds, detail) = match found {
        Ok(digest) if digest == *sealed => (true, format!("{BOM} has the sealed digest {sealed}")),
        Ok(digest) => (false, format!("{BOM} is {digest}, sealed was {sealed}")),
        Err(error) => (false, error.finding().message),
    };
    Check {
        name: "cyclonedx",
        holds,
        detail,
    }
}

fn summary(directory: &Path, exit_code: u8) -> Check {
    let (holds, detail) = match load_summary(directory) {
        Err(error) => (false, error.finding().message),
        Ok(summary) if summary.exit_code != exit_code => (
            false,
            format!(
                "{SUMMARY} says exit status {}, sealed was {exit_code}",
                summary.exit_code
            ),
        ),
        Ok(summary) if !summary.is_consistent() => (
            false,
            format!("{SUMMARY} lists violations that do not go with its exit status"),
        ),
        Ok(_) => (true, format!("{SUMMARY} agrees with the seal")),
    };
    Check {
        name: "summary",
        holds,
        detail,
    }
}

/// Reads the summary of a record directory.
pub(crate) fn load_summary(directory: &Path) -> Result<Summary, RecordError> {
    let bytes = load(directory, SUMMARY)?;
    serde_json::from_slice(&bytes).map_err(|source| RecordError::Malformed {
        path: directory.join(SUMMARY),
        source,
    })
}

fn load(directory: &Path, name: &'static str) -> Result<Vec<u8>, RecordError> {
    let path = directory.join(name);
    let io = |source| RecordError::Io {
        path: path.clone(),
        source,
    };
    let file = File::open(&path).map_err(io)?;
    let mut bytes = Vec::new();
    file.take(bounds::DOCUMENT + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    if bytes.len() as u64 > bounds::DOCUMENT {
        return Err(RecordError::TooLarge {
            what: name,
            limit: bounds::DOCUMENT,
        });
    }
    Ok(bytes)
}
