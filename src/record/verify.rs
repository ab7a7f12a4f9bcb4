//! Is a record intact: chain, digests of the files, statements, what the files say of each other,
//! and the tree on disk.
//!
//! Called by `v4run verify`. It says what each check found instead of one yes or no. An intact
//! record is consistent in itself; only a signature can tell who made it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::attest::bundle::{self, Files};
use super::reader::{Chain, Reading, read};
use super::seal::sha256;
use super::summary::{FORMAT, Summary};
use super::{BOM, EVENTS, PublicKey, RecordError, SUMMARY, bounds, cross};
use crate::model::{Digest, Event};

/// One check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// Whether it holds; also where there was nothing to compare.
    pub holds: bool,
    /// Whether there was something to compare.
    pub compared: bool,
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

/// Checks a record directory without a key.
pub fn verify(directory: &Path) -> Result<Verification, RecordError> {
    verify_with(directory, None)
}

/// Checks a record directory. With a key it has to be signed by that key. Errors are for what cannot
/// be read at all.
pub fn verify_with(directory: &Path, key: Option<&PublicKey>) -> Result<Verification, RecordError> {
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
    // What is broken in itself is not compared any further.
    if checks.iter().all(|check| check.holds) {
        let bom: Value = document(directory, BOM)?;
        let summary = load_summary(directory)?;
        let mut digests = BTreeMap::new();
        for name in [BOM, EVENTS, SUMMARY] {
            digests.insert(name, sha256(&load(directory, name)?)?.hex());
        }
        let files = Files {
            directory,
            bom: &bom,
            summary: &summary,
            digests,
        };
        checks.extend(bundle::check(&files, key));
        checks.extend(cross::checks(&reading, &bom, &summary));
    }
    if let Some(key) = key
        && !checks.iter().any(|check| check.name == "attestation")
    {
        checks.push(Check {
            name: "attestation",
            holds: false,
            compared: true,
            detail: format!("nothing was found that key {} signed", key.id()),
        });
    }
    Ok(Verification { checks, reading })
}

fn document<T: DeserializeOwned>(directory: &Path, name: &'static str) -> Result<T, RecordError> {
    let bytes = load(directory, name)?;
    serde_json::from_slice(&bytes).map_err(|source| RecordError::Malformed {
        path: directory.join(name),
        source,
    })
}

fn chain(reading: &Reading) -> Check {
    let count = reading.entries.len();
    let (holds, detail) = match &reading.chain {
        Chain::Sealed if reading.unknown() > 0 => (
            false,
            format!(
                "{} lines are of a kind that this version does not know, the first is line {}: \
                 the record was made by a newer v4run",
                reading.unknown(),
                reading.first_unknown().unwrap_or_default()
            ),
        ),
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
        compared: true,
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
        compared: true,
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
        compared: true,
        detail,
    }
}

/// Reads the summary of a record directory.
pub(crate) fn load_summary(directory: &Path) -> Result<Summary, RecordError> {
    #[derive(Deserialize)]
    struct Form {
        format: u32,
    }
    // A newer form would be misread, so its number is read first.
    let Form { format } = document(directory, SUMMARY)?;
    if format > FORMAT {
        return Err(RecordError::Newer { format });
    }
    document(directory, SUMMARY)
}

/// Reads a file of a record, within its bound.
pub(super) fn load(directory: &Path, name: &'static str) -> Result<Vec<u8>, RecordError> {
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

#[cfg(test)]
mod tests;
