//! Reads the record of a run and checks what must hold of every record.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// A record directory, read.
pub(crate) struct Record {
    /// The directory.
    pub(crate) folder: PathBuf,
    /// `events.jsonl`.
    pub(crate) events: Vec<Value>,
    /// `summary.json`.
    pub(crate) summary: Value,
    /// `record.cdx.json`.
    pub(crate) bom: Value,
    lines: Vec<String>,
}

impl Record {
    /// Reads a record; `None` when there is no sealed one.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        let text = fs::read_to_string(folder.join("events.jsonl")).ok()?;
        let summary = fs::read(folder.join("summary.json")).ok()?;
        let bom = fs::read(folder.join("record.cdx.json")).ok()?;
        let lines: Vec<String> = text.lines().map(ToString::to_string).collect();
        Some(Self {
            folder: folder.into(),
            events: lines
                .iter()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
            summary: serde_json::from_slice(&summary).unwrap(),
            bom: serde_json::from_slice(&bom).unwrap(),
            lines,
        })
    }

    /// Events of a kind.
    pub(crate) fn events(&self, kind: &str) -> Vec<&Value> {
        self.events
            .iter()
            .filter(|event| event["kind"] == kind)
            .collect()
    }

    /// Violations of the summary.
    pub(crate) fn violations(&self) -> &[Value] {
        self.summary["violations"]
            .as_array()
            .map_or(&[], Vec::as_slice)
    }

    /// Suppressed install-time code and probes of the summary.
    pub(crate) fn suppressed(&self) -> &[Value] {
        self.summary["suppressed"]
            .as_array()
            .map_or(&[], Vec::as_slice)
    }

    /// Requires a violation with that code and control, and the event that it comes from.
    #[track_caller]
    pub(crate) fn violation(&self, code: &str, control: &str, told: &str) -> &Value {
        let found = self
            .violations()
            .iter()
            .find(|violation| violation["code"] == code);
        let Some(violation) = found else {
            panic!("no violation `{code}`\n{told}");
        };
        assert_eq!(violation["control"], control, "control of `{code}`\n{told}");
        for field in ["subject", "message"] {
            assert!(
                violation[field]
                    .as_str()
                    .is_some_and(|text| !text.is_empty()),
                "{violation}"
            );
        }
        let recorded = self
            .events("found")
            .into_iter()
            .any(|event| event["code"] == code && event["subject"] == violation["subject"]);
        assert!(recorded, "the violation `{code}` is in no event\n{told}");
        violation
    }

    /// Requires an event of a kind that has these fields.
    #[track_caller]
    pub(crate) fn event(&self, kind: &str, matches: impl Fn(&Value) -> bool) -> &Value {
        let mut events = self.events.iter().filter(|event| event["kind"] == kind);
        events.find(|event| matches(event)).unwrap_or_else(|| {
            panic!("no such `{kind}` event\n{}", self.lines.join("\n"));
        })
    }

    /// What a failing assertion shows of it.
    pub(crate) fn told(&self) -> String {
        let found: Vec<String> = self
            .events("found")
            .into_iter()
            .map(ToString::to_string)
            .collect();
        let summary = ["exit_code", "manager_exit_code", "violations", "suppressed"]
            .map(|field| format!("{field}: {}", self.summary[field]))
            .join("\n");
        format!("{summary}\n{}", found.join("\n"))
    }

    /// Checks chain, frame, and the agreement of summary and exit status.
    #[track_caller]
    pub(super) fn check(&self, code: i32, told: &str) {
        assert_eq!(
            self.summary["exit_code"], code,
            "summary and exit status\n{told}"
        );
        let refused = matches!(code, 120 | 126);
        assert_eq!(
            !self.violations().is_empty(),
            refused,
            "violations and exit status\n{told}"
        );
        let controls = self.summary["controls"].as_array().expect("controls");
        let expected: Vec<String> = (1..=19).map(|number| format!("4.{number}")).collect();
        let found: Vec<&str> = controls.iter().filter_map(|c| c["id"].as_str()).collect();
        assert_eq!(found, expected, "controls of the summary");
        assert_eq!(self.bom["bomFormat"], "CycloneDX");
        assert_eq!(self.bom["specVersion"], "1.6");
        self.check_chain();
    }

    #[track_caller]
    fn check_chain(&self) {
        assert_eq!(
            self.events.first().map(|event| &event["kind"]),
            Some(&"run-started".into())
        );
        assert_eq!(
            self.events.last().map(|event| &event["kind"]),
            Some(&"sealed".into())
        );
        let first = self.events[0]["seq"].as_u64().expect("seq");
        for (place, event) in self.events.iter().enumerate() {
            let place_number = u64::try_from(place).unwrap();
            assert_eq!(event["seq"], first + place_number, "sequence");
            assert!(
                event["time"]
                    .as_str()
                    .is_some_and(|time| time.ends_with('Z')),
                "{event}"
            );
            if place > 0 {
                let digest = hex::encode(Sha256::digest(self.lines[place - 1].as_bytes()));
                let stated = event["prev"].as_str().expect("prev");
                assert!(stated.ends_with(&digest), "chain broken at event {place}");
            }
        }
    }
}
