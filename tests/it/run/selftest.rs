//! The harness sees what it claims to see: survivors, time limits, signals, broken records.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::reaper::{Ended, Spec, Watched};
use super::record::Record;

fn shell(line: &str, limit: Duration, grace: Duration) -> Ended {
    let folder = tempfile::tempdir().unwrap();
    let spec = Spec {
        argv: ["/bin/sh", "-c", line].map(Into::into).to_vec(),
        environment: vec![("PATH".into(), "/usr/bin:/bin".into())],
        directory: folder.path().into(),
        stdin: None,
        limit_ms: limit.as_millis().try_into().unwrap(),
        grace_ms: grace.as_millis().try_into().unwrap(),
        wait_for: None,
        fails: Vec::new(),
        listened: false,
        landlock: None,
    };
    Watched::start(&spec, folder.path()).wait()
}

const LONG: Duration = Duration::from_secs(10);

#[test]
fn an_orderly_command_has_no_survivors() {
    let ended = shell("exit 7", LONG, Duration::ZERO);
    assert_eq!(
        (ended.code, ended.timed_out, ended.survivors.len()),
        (Some(7), false, 0)
    );
}

#[test]
fn a_daemon_is_a_survivor() {
    let ended = shell(
        "(setsid sh -c 'sleep 30; echo late' &) ; exit 0",
        LONG,
        Duration::ZERO,
    );
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.survivors.len(), 1, "{:?}", ended.survivors);
}

#[test]
fn a_daemon_that_ends_within_the_grace_is_none() {
    let ended = shell(
        "(setsid sleep 0.1 &) ; exit 0",
        LONG,
        Duration::from_secs(5),
    );
    assert_eq!(ended.survivors, [""; 0]);
}

#[test]
fn a_command_that_hangs_is_ended_and_told() {
    let ended = shell("sleep 30", Duration::from_millis(100), Duration::ZERO);
    assert!(ended.timed_out);
    let ended = shell("kill -TERM $$", LONG, Duration::ZERO);
    assert_eq!(
        (ended.code, ended.signal, ended.timed_out),
        (None, Some(15), false)
    );
}

/// A record as v4run writes it, changed before it is read.
fn record(code: i32, violations: Value, change: impl FnOnce(&mut Vec<String>)) -> Record {
    let folder = tempfile::tempdir().unwrap();
    let mut prev = "0".repeat(64);
    let mut lines = Vec::new();
    for (seq, kind) in ["run-started", "contained", "sealed"].iter().enumerate() {
        let line =
            json!({ "seq": seq, "time": "2024-01-01T00:00:00.000Z", "kind": kind, "prev": prev });
        let line = line.to_string();
        prev = hex::encode(Sha256::digest(&line));
        lines.push(line);
    }
    change(&mut lines);
    let controls: Vec<Value> = (1..=19)
        .map(|n| json!({ "id": format!("4.{n}") }))
        .collect();
    let summary = json!({ "exit_code": code, "violations": violations, "controls": controls });
    let bom = json!({ "bomFormat": "CycloneDX", "specVersion": "1.6" });
    fs::write(folder.path().join("events.jsonl"), lines.join("\n")).unwrap();
    fs::write(folder.path().join("summary.json"), summary.to_string()).unwrap();
    fs::write(folder.path().join("record.cdx.json"), bom.to_string()).unwrap();
    Record::read(folder.path()).unwrap()
}

#[test]
fn an_intact_record_passes() {
    record(0, json!([]), |_| {}).check(0, "");
    record(120, json!([{ "code": "x" }]), |_| {}).check(120, "");
}

#[test]
#[should_panic(expected = "chain broken")]
fn a_changed_line_is_seen() {
    record(0, json!([]), |lines| {
        lines[1] = lines[1].replace(":00.000Z", ":01.000Z")
    })
    .check(0, "");
}

#[test]
#[should_panic(expected = "violations and exit status")]
fn a_refusal_without_violation_is_seen() {
    record(120, json!([]), |_| {}).check(120, "");
}

#[test]
#[should_panic(expected = "summary and exit status")]
fn another_status_in_the_summary_is_seen() {
    record(0, json!([]), |_| {}).check(1, "");
}
