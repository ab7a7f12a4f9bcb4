//! A record that was touched does not verify, and the check says what was touched.

use std::fs;
use std::path::Path;

use super::super::attest::Kind;
use super::super::attest::key::tests::fresh;
use super::super::fixture::{healthy, sealed};
use super::super::{ATTESTATION, SigningKey};
use super::*;
use crate::model::{Code, Finding, Status};

fn record(status: Status, key: Option<SigningKey>) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    sealed(place.path(), healthy(), status, key);
    place
}

fn failure(place: &Path, key: Option<&PublicKey>) -> String {
    let verification = verify_with(place, key).unwrap();
    let failed = verification.checks.iter().find(|check| !check.holds);
    failed.map_or_else(String::new, |check| {
        format!("{}: {}", check.name, check.detail)
    })
}

fn change(place: &Path, name: &str, from: &str, to: &str) {
    let text = fs::read_to_string(place.join(name)).unwrap();
    assert!(text.contains(from), "{name} has no {from}\n{text}");
    fs::write(place.join(name), text.replacen(from, to, 1)).unwrap();
}

#[test]
fn signed_and_unsigned_records_hold() {
    for p256 in [true, false] {
        let (key, public) = fresh(p256);
        let public = PublicKey::from_pem(public.as_bytes()).unwrap();
        let place = record(Status::Enforced, Some(key));
        assert_eq!(failure(place.path(), Some(&public)), "");
        assert_eq!(failure(place.path(), None), "");
        let names: Vec<bool> = Kind::ALL
            .map(|kind| place.path().join(kind.file()).exists())
            .into();
        assert_eq!(names, [false; 4]);
    }
    for (status, svr) in [(Status::Enforced, true), (Status::Violated, false)] {
        let place = record(status, None);
        assert_eq!(failure(place.path(), None), "");
        assert_eq!(place.path().join(Kind::Verification.file()).exists(), svr);
        assert!(!place.path().join(ATTESTATION).exists());
        let (other, _) = fresh(true);
        let told = failure(place.path(), Some(&other.public()));
        assert!(told.contains("not signed"), "{told}");
    }
}

#[test]
fn a_flipped_bit_in_any_line_of_any_file_is_noticed() {
    let (key, _) = fresh(false);
    let public = key.public();
    let place = record(Status::Enforced, Some(key));
    for name in [EVENTS, ATTESTATION, BOM, SUMMARY] {
        let whole = fs::read(place.path().join(name)).unwrap();
        let mut start = 0;
        for line in whole.split_inclusive(|byte| *byte == b'\n') {
            let middle = start + line.len() / 2;
            let mut changed = whole.clone();
            changed[middle] ^= 4;
            fs::write(place.path().join(name), &changed).unwrap();
            let outcome = verify_with(place.path(), Some(&public));
            let noticed = !outcome.is_ok_and(|verification| verification.holds());
            assert!(noticed, "{name}: {}", String::from_utf8_lossy(line));
            start += line.len();
        }
        fs::write(place.path().join(name), &whole).unwrap();
    }
    assert_eq!(failure(place.path(), Some(&public)), "");
}

#[test]
fn the_last_line_of_the_journal_is_covered_by_the_statements() {
    let place = record(Status::Enforced, None);
    // Another time in the seal: no later line names the digest of this one.
    let text = fs::read_to_string(place.path().join(EVENTS)).unwrap();
    let last = text.lines().last().unwrap();
    let year = last.find("\"time\":\"20").unwrap();
    let changed = format!("{}1{}", &last[..year + 10], &last[year + 11..]);
    fs::write(place.path().join(EVENTS), text.replace(last, &changed)).unwrap();
    let told = failure(place.path(), None);
    assert!(told.contains("it is about another events.jsonl"), "{told}");
}

#[test]
fn another_key_is_named_and_so_is_a_missing_attestation() {
    let (key, _) = fresh(true);
    let id = key.public().id();
    let place = record(Status::Enforced, Some(key));
    let (other, _) = fresh(true);
    let told = failure(place.path(), Some(&other.public()));
    assert!(told.contains(&format!(
        "line 1 of {ATTESTATION} is signed by another key: {id}"
    )));
    fs::remove_file(place.path().join(ATTESTATION)).unwrap();
    let told = failure(place.path(), None);
    assert!(told.contains("the record was signed, but"), "{told}");
}

#[test]
fn lines_of_the_attestation_cannot_be_dropped_doubled_or_exchanged() {
    let (key, _) = fresh(true);
    let public = key.public();
    let place = record(Status::Enforced, Some(key));
    let path = place.path().join(ATTESTATION);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    assert_eq!(lines.len(), 4);
    for dropped in 0..4 {
        let mut some = lines.clone();
        some.remove(dropped);
        fs::write(&path, some.concat()).unwrap();
        let told = failure(place.path(), Some(&public));
        assert!(told.contains("0 statements of type"), "{told}");
    }
    fs::write(&path, [text.as_str(), lines[1]].concat()).unwrap();
    assert!(failure(place.path(), Some(&public)).contains("2 statements of type"));
    fs::write(&path, &text[..text.len() - 9]).unwrap();
    assert!(failure(place.path(), Some(&public)).contains("cut short"));
    // The same key, another record: each line is about that one.
    let (again, _) = fresh(true);
    let signer = again.public();
    let first = record(Status::Enforced, Some(again));
    let second = tempfile::tempdir().unwrap();
    let pem_of_again = fs::read_to_string(first.path().join(ATTESTATION)).unwrap();
    let (third, _) = fresh(true);
    sealed(second.path(), healthy(), Status::Violated, Some(third));
    fs::write(second.path().join(ATTESTATION), pem_of_again).unwrap();
    assert_ne!(failure(second.path(), Some(&signer)), "");
}

#[test]
fn a_record_that_was_made_again_consistently_contradicts_itself() {
    let place = record(Status::Violated, None);
    for (from, to, said) in [
        (
            "\"status\": \"violated\"",
            "\"status\": \"enforced\"",
            "control 4.1 is enforced",
        ),
        (
            "\"components\": 3",
            "\"components\": 2",
            "counts 2 components",
        ),
        ("6ba7b810", "6ba7b811", "of another run"),
        (
            "\"manager\": \"npm\"",
            "\"manager\": \"pip\"",
            "another manager",
        ),
        (
            "\"manager_exit_code\": 0",
            "\"manager_exit_code\": 1",
            "another end",
        ),
    ] {
        let copy = fs::read_to_string(place.path().join(SUMMARY)).unwrap();
        change(place.path(), SUMMARY, from, to);
        let checks = verify(place.path()).unwrap().checks;
        let told: Vec<&str> = checks
            .iter()
            .filter(|check| !check.holds)
            .map(|check| check.detail.as_str())
            .collect();
        assert!(told.join("\n").contains(said), "{said}: {told:?}");
        fs::write(place.path().join(SUMMARY), copy).unwrap();
    }
}

#[test]
fn a_violation_of_the_summary_stands_in_the_journal() {
    let place = tempfile::tempdir().unwrap();
    let mut events = healthy();
    events.push(Event::Found(Finding::new(
        Code::ExecRefused,
        "sh",
        "refused",
    )));
    sealed(place.path(), events, Status::Violated, None);
    assert_eq!(failure(place.path(), None), "");
    change(
        place.path(),
        SUMMARY,
        "\"subject\": \"sh\"",
        "\"subject\": \"ls\"",
    );
    let checks = verify(place.path()).unwrap().checks;
    let found = checks
        .iter()
        .find(|check| check.name == "findings")
        .unwrap();
    assert!(
        found.detail.contains("is in summary.json only"),
        "{}",
        found.detail
    );
}

#[test]
fn a_newer_record_is_said_to_be_one() {
    let place = record(Status::Enforced, None);
    change(place.path(), SUMMARY, "\"format\": 1", "\"format\": 2");
    let told = failure(place.path(), None);
    assert!(told.contains("made by a newer v4run"), "{told}");
}

#[test]
fn a_key_counts_while_its_certificate_is_valid() {
    let year = |year| rcgen::date_time_ymd(year, 1, 1);
    let pair = rcgen::KeyPair::generate().unwrap();
    // The record is of 2027.
    for (from, until, said) in [
        (2026, 2030, ""),
        (2020, 2021, "expired 2021-01-01"),
        (2028, 2030, "valid from 2028-01-01"),
    ] {
        let key = SigningKey::from_pem(pair.serialize_pem().as_bytes()).unwrap();
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        (parameters.not_before, parameters.not_after) = (year(from), year(until));
        let certificate = parameters.self_signed(&pair).unwrap().pem();
        let public = PublicKey::from_pem(certificate.as_bytes()).unwrap();
        assert_eq!(public.id(), key.public().id());
        let place = record(Status::Enforced, Some(key));
        let told = failure(place.path(), Some(&public));
        assert!(
            told.contains(said) && told.is_empty() == said.is_empty(),
            "{told}"
        );
    }
}
