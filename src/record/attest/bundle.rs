//! Reads the statements of a record back and compares them with its files.
//!
//! Called by the check of a record. With a key, nothing of a line is believed before its signature
//! was verified; without one the statements are compared all the same, and the check says that who
//! signed them was not. What must always hold: a line that is missing, doubled, changed, signed by
//! another key or about another record is named.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use serde::Deserialize;
use serde_json::Value;

use super::key::PublicKey;
use super::statement::{Resource, TYPE};
use super::{Kind, dsse};
use crate::model::Status;
use crate::record::seal::sha256;
use crate::record::summary::Summary;
use crate::record::verify::{Check, load};
use crate::record::{ATTESTATION, BOM, EVENTS, RecordError, SUMMARY};

/// Statements of a bundle; a record has four.
const LINES: usize = 16;

/// The files of the record that statements are about.
#[derive(Debug)]
pub(in crate::record) struct Files<'a> {
    /// The record directory.
    pub(in crate::record) directory: &'a Path,
    /// The CycloneDX document.
    pub(in crate::record) bom: &'a Value,
    /// The summary.
    pub(in crate::record) summary: &'a Summary,
    /// Hex SHA-256 by file name.
    pub(in crate::record) digests: BTreeMap<&'static str, String>,
}

#[derive(Deserialize)]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Resource>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    predicate: Value,
}

/// One statement with the place that it was read from.
struct Found {
    place: String,
    kind: Kind,
    bytes: Vec<u8>,
    statement: Statement,
}

/// Checks the statements of a record.
pub(in crate::record) fn check(files: &Files<'_>, key: Option<&PublicKey>) -> Option<Check> {
    let stated = property(files.bom, "v4run:signed");
    let result = match (stated, key) {
        // Made before there were statements.
        (None, None) => return None,
        (Some("true"), _) => signed(files, key),
        (Some("false"), None) => unsigned(files),
        (Some("false"), Some(_)) => Err("the record says that it was not signed".to_owned()),
        (_, _) => Err(format!("{BOM} does not say whether the record was signed")),
    };
    let (holds, detail) = match result {
        Ok(detail) => (true, detail),
        Err(detail) => (false, detail),
    };
    Some(Check {
        name: "attestation",
        holds,
        compared: true,
        detail,
    })
}

/// The value of a property of the document.
pub(in crate::record) fn property<'a>(bom: &'a Value, name: &str) -> Option<&'a str> {
    let properties = bom.get("properties")?.as_array()?;
    let found = properties.iter().find(|entry| entry["name"] == name)?;
    found.get("value")?.as_str()
}

fn signed(files: &Files<'_>, key: Option<&PublicKey>) -> Result<String, String> {
    let bytes = load(files.directory, ATTESTATION).map_err(|error| {
        let error = error.finding().message;
        format!("the record was signed, but {error}")
    })?;
    if let Some(key) = key {
        timely(files, key)?;
    }
    let mut found = Vec::new();
    let mut claimed = Vec::new();
    let lines = bytes
        .strip_suffix(b"\n")
        .ok_or("its last line is cut short")?;
    for (index, line) in lines.split(|byte| *byte == b'\n').enumerate() {
        let number = index + 1;
        if number > LINES {
            return Err(format!("more than {LINES} lines"));
        }
        let payload = match key {
            Some(key) => dsse::open(line, key),
            None => dsse::peek(line).map(|(payload, keys)| {
                claimed.extend(keys);
                payload
            }),
        };
        let payload = payload.map_err(|error| format!("line {number} of {ATTESTATION} {error}"))?;
        let place = format!("line {number} of {ATTESTATION}");
        found.push(read(place, payload)?);
    }
    compare(files, &found)?;
    let count = found.len();
    claimed.sort();
    claimed.dedup();
    Ok(match key {
        Some(key) => format!("{count} statements, each signed by key {}", key.id()),
        None => format!(
            "{count} statements agree with the record; whether key {} signed them was not checked, \
             name its public half with --key",
            claimed.join(", ")
        ),
    })
}

/// Whether the key was valid when the record was made.
fn timely(files: &Files<'_>, key: &PublicKey) -> Result<(), String> {
    let Some((from, until)) = key.validity() else {
        return Ok(());
    };
    let ended = &files.summary.ended;
    let made = humantime::parse_rfc3339(ended)
        .map_err(|_error| format!("{SUMMARY} has no readable end of the run"))?;
    let shown = |time: SystemTime| humantime::format_rfc3339_seconds(time).to_string();
    if made < from {
        let from = shown(from);
        return Err(format!(
            "the key is valid from {from} only, the record is of {ended}"
        ));
    }
    if made > until {
        let until = shown(until);
        return Err(format!(
            "the key expired {until}, before the record of {ended}"
        ));
    }
    Ok(())
}

fn unsigned(files: &Files<'_>) -> Result<String, String> {
    if files.directory.join(ATTESTATION).symlink_metadata().is_ok() {
        return Err(format!(
            "the record says that it was not signed, but there is {ATTESTATION}"
        ));
    }
    let mut found = Vec::new();
    for kind in Kind::ALL {
        let bytes = match load(files.directory, kind.file()) {
            Ok(bytes) => bytes,
            Err(RecordError::Io { source, .. })
                if kind == Kind::Verification && source.kind() == std::io::ErrorKind::NotFound =>
            {
                continue;
            }
            Err(error) => return Err(error.finding().message),
        };
        found.push(read(kind.file().to_owned(), bytes)?);
    }
    compare(files, &found)?;
    let count = found.len();
    Ok(format!(
        "{count} statements agree with the record; nobody signed them"
    ))
}

fn read(place: String, bytes: Vec<u8>) -> Result<Found, String> {
    let statement: Statement = serde_json::from_slice(&bytes)
        .map_err(|error| format!("{place} is no in-toto statement: {error}"))?;
    if statement.kind != TYPE {
        return Err(format!("{place} is a statement of another version"));
    }
    let kind = Kind::ALL
        .into_iter()
        .find(|kind| kind.predicate_type() == statement.predicate_type)
        .ok_or_else(|| {
            let other = &statement.predicate_type;
            format!("{place} is a statement of a kind that this version does not know: {other}")
        })?;
    Ok(Found {
        place,
        kind,
        bytes,
        statement,
    })
}

fn compare(files: &Files<'_>, found: &[Found]) -> Result<(), String> {
    let reached = files.summary.level.is_some();
    for kind in Kind::ALL {
        let wanted = usize::from(kind != Kind::Verification || reached);
        let count = found.iter().filter(|one| one.kind == kind).count();
        if count != wanted {
            let name = kind.predicate_type();
            return Err(format!(
                "{count} statements of type {name} where the record has {wanted}"
            ));
        }
    }
    for one in found {
        let agrees = match one.kind {
            Kind::CycloneDx => document(files, &one.statement),
            Kind::Trace => trace(files, &one.bytes),
            Kind::TestResult => subjects(files, &one.statement, &[BOM, EVENTS, SUMMARY])
                .and_then(|()| results(files, &one.statement)),
            Kind::Verification => subjects(files, &one.statement, &[BOM, EVENTS, SUMMARY]),
        };
        agrees.map_err(|error| format!("{}: {error}", one.place))?;
    }
    Ok(())
}

fn document(files: &Files<'_>, statement: &Statement) -> Result<(), String> {
    subjects(files, statement, &[BOM])?;
    if statement.predicate != *files.bom {
        return Err(format!("its document is not {BOM}"));
    }
    Ok(())
}

/// The CycloneDX file names the digest of the trace.
fn trace(files: &Files<'_>, bytes: &[u8]) -> Result<(), String> {
    let references = files
        .bom
        .get("externalReferences")
        .and_then(Value::as_array);
    let stated = references
        .into_iter()
        .flatten()
        .filter(|reference| reference["type"] == "attestation")
        .find_map(|reference| reference["hashes"][0]["content"].as_str());
    let digest = sha256(bytes).map_err(|error| error.to_string())?.hex();
    match stated {
        Some(stated) if stated == digest => Ok(()),
        Some(_) => Err(format!("it is not the trace that {BOM} names")),
        None => Err(format!("{BOM} names no trace")),
    }
}

fn subjects(files: &Files<'_>, statement: &Statement, names: &[&str]) -> Result<(), String> {
    for name in names {
        let stated = statement
            .subject
            .iter()
            .find(|subject| subject.name == *name)
            .and_then(|subject| subject.digest.get("sha256"));
        match (stated, files.digests.get(name)) {
            (Some(stated), Some(digest)) if stated == digest => {}
            (None, _) => return Err(format!("it is not about {name}")),
            (Some(_), _) => return Err(format!("it is about another {name}")),
        }
    }
    Ok(())
}

/// Which statuses stand in which list.
pub(in crate::record) const LISTS: [(&str, &[Status]); 3] = [
    (
        "passedTests",
        &[Status::Enforced, Status::Verified, Status::Observed],
    ),
    ("warnedTests", &[Status::Declared, Status::Waived]),
    ("failedTests", &[Status::Violated]),
];

fn results(files: &Files<'_>, statement: &Statement) -> Result<(), String> {
    for (list, statuses) in LISTS {
        let controls = files.summary.controls.iter();
        let expected: Vec<String> = controls
            .filter(|control| statuses.contains(&control.status))
            .map(|control| format!("SCVS-1.0-{}", control.id))
            .collect();
        if statement.predicate.get(list) != Some(&Value::from(expected)) {
            return Err(format!("its {list} are not those of {SUMMARY}"));
        }
    }
    Ok(())
}
