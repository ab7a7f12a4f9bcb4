//! `findings.sarif`: what a static look into the artifacts saw, for programs that read findings.
//!
//! Written before the seal, and only where there was something to look at; its digest is in the
//! journal. A finding is no verdict: it changes neither a control nor the exit status, unless the
//! policy says so. SARIF 2.1.0 (OASIS).

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::seal::{place, sha256};
use super::verify::{Check, load};
use super::{FINDINGS, RecordError, Recorded};
use crate::model::{Event, Looked, Sign, Weight};

/// What is escaped in a segment of an address.
const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}')
    .add(b':');

impl Recorded {
    /// Writes the findings. `missing` artifacts were not looked at.
    pub fn look(&mut self, looked: &[Looked], missing: u64) {
        if self.failure.is_some() {
            return;
        }
        match self.write_findings(looked, missing) {
            Ok(event) => self.push(event),
            Err(error) => {
                self.failure.get_or_insert(error);
            }
        }
    }

    fn write_findings(&self, looked: &[Looked], missing: u64) -> Result<Event, RecordError> {
        let partly = looked.iter().filter(|one| one.left.is_some()).count() as u64;
        let signs = looked.iter().map(|one| one.signs.len() as u64).sum();
        let document = document(looked, missing);
        let bytes = serde_json::to_vec_pretty(&document).map_err(RecordError::Json)?;
        place(self.directory(), FINDINGS, &bytes, true)?;
        Ok(Event::LookedInto {
            artifacts: (looked.len() as u64).saturating_sub(partly),
            left: missing.saturating_add(partly),
            signs,
            findings: sha256(&bytes)?,
        })
    }
}

/// Whether the file is the one that the journal names.
pub(super) fn check(directory: &Path, events: &[Event]) -> Option<Check> {
    let stated = events.iter().find_map(|event| {
        if let Event::LookedInto { findings, .. } = event {
            Some(findings)
        } else {
            None
        }
    });
    let found = load(directory, FINDINGS).and_then(|bytes| sha256(&bytes));
    let (holds, detail) = match (stated, found) {
        (None, Err(RecordError::Io { source, .. }))
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            return None;
        }
        (None, _) => (
            false,
            format!("{FINDINGS} is there, but the journal names none"),
        ),
        (Some(stated), Ok(found)) if found == *stated => {
            (true, format!("{FINDINGS} has the digest of the journal"))
        }
        (Some(stated), Ok(found)) => (false, format!("{FINDINGS} is {found}, stated was {stated}")),
        (Some(_), Err(error)) => (false, error.finding().message),
    };
    Some(Check {
        name: "findings.sarif",
        holds,
        compared: true,
        detail,
    })
}

fn document(looked: &[Looked], missing: u64) -> Value {
    let rules: BTreeSet<&str> = looked
        .iter()
        .flat_map(|one| one.signs.iter().map(|sign| sign.rule.as_str()))
        .collect();
    let numbers: BTreeMap<&str, usize> = rules.iter().copied().zip(0..).collect();
    let results: Vec<Value> = looked
        .iter()
        .flat_map(|one| one.signs.iter().map(|sign| result(one, sign, &numbers)))
        .collect();
    let mut left: Vec<Value> = looked
        .iter()
        .filter_map(|one| {
            let left = one.left.as_ref()?;
            Some(told(&format!(
                "{}@{}: not all was looked at: {left}",
                one.name, one.version
            )))
        })
        .collect();
    if missing > 0 {
        left.push(told(&format!("{missing} artifacts were not looked at")));
    }
    json!({
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "v4run",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|id| json!({
                    "id": id,
                    "shortDescription": { "text": id.replace('-', " ") },
                })).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": left.is_empty(),
                "toolExecutionNotifications": left,
            }],
            "results": results,
        }],
    })
}

fn told(text: &str) -> Value {
    json!({ "level": "warning", "message": { "text": text } })
}

fn result(one: &Looked, sign: &Sign, numbers: &BTreeMap<&str, usize>) -> Value {
    let segments = std::iter::once(one.file.as_str()).chain(sign.path.split('/'));
    let address: Vec<String> = segments
        .filter(|segment| !matches!(*segment, "" | "." | ".."))
        .map(|segment| utf8_percent_encode(segment, SEGMENT).to_string())
        .collect();
    let mut place = json!({ "artifactLocation": { "uri": address.join("/") } });
    if let Some(object) = place.as_object_mut().filter(|_| sign.line > 0) {
        object.insert("region".to_owned(), json!({ "startLine": sign.line }));
    }
    let print = format!(
        "{}\n{}\n{}\n{}",
        one.sha256.hex(),
        sign.rule,
        sign.path,
        sign.line
    );
    json!({
        "ruleId": sign.rule,
        "ruleIndex": numbers.get(sign.rule.as_str()),
        "level": match sign.weight {
            Weight::Note => "note",
            Weight::Warning => "warning",
            Weight::Error => "error",
        },
        "message": { "text": format!("{}@{}: {}", one.name, one.version, sign.text) },
        "locations": [{ "physicalLocation": place }],
        "partialFingerprints": { "v4run/v1": hex::encode(Sha256::digest(print)) },
        "properties": { "sha256": one.sha256.hex() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Algorithm, Status};
    use crate::record::fixture::{assessment, digest, healthy, outcome};
    use crate::record::{Recorder, verify};

    fn looked(path: &str, line: u64) -> Looked {
        Looked {
            name: "a".into(),
            version: "1.0.0".into(),
            file: "a-1.0.0.tgz".into(),
            sha256: digest(Algorithm::Sha256, 1),
            left: None,
            signs: vec![Sign {
                rule: "decoded-code".into(),
                weight: Weight::Warning,
                path: path.into(),
                line,
                text: "eval(atob(".into(),
            }],
        }
    }

    #[test]
    fn a_finding_names_its_place_and_odd_paths_stay_addresses() {
        let document = document(&[looked("package/../a b%<\u{202e}>.js", 3)], 2);
        let run = &document["runs"][0];
        let place = &run["results"][0]["locations"][0]["physicalLocation"];
        let uri = place["artifactLocation"]["uri"].as_str().unwrap();
        assert_eq!(uri, "a-1.0.0.tgz/package/a%20b%25%3C%E2%80%AE%3E.js");
        assert_eq!(place["region"]["startLine"], 3);
        assert_eq!(run["invocations"][0]["executionSuccessful"], false);
        assert_eq!(run["tool"]["driver"]["rules"][0]["id"], "decoded-code");
    }

    #[test]
    fn changed_findings_do_not_verify() {
        let place = tempfile::tempdir().unwrap();
        let recorder = Recorder::start(place.path(), Box::new(|_event| {})).unwrap();
        healthy().into_iter().for_each(|event| recorder.send(event));
        let mut recorded = recorder.finish().unwrap();
        recorded.look(&[looked("a.js", 0)], 0);
        recorded
            .seal(&outcome(assessment(Status::Enforced)))
            .unwrap();
        let holds = || {
            let checks = verify(place.path()).unwrap().checks;
            let found = checks.into_iter().find(|check| check.name == FINDINGS);
            found.unwrap().holds
        };
        assert!(holds());
        let path = place.path().join(FINDINGS);
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("decoded", "encoded")).unwrap();
        assert!(!holds());
    }
}
