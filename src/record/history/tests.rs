//! Tests of the index against folders of records made by hand.

use std::fs;

use serde_json::json;

use super::super::fixture;
use super::super::journal::ORIGIN;
use super::*;
use crate::model::{Event, Status};

/// A journal as v4run writes it, without its flushes to disk.
fn journal(events: &[Event], day: usize) -> Vec<u8> {
    use sha2::Digest as _;
    let mut text = Vec::new();
    let mut before = ORIGIN.to_owned();
    for (seq, event) in events.iter().enumerate() {
        let mut line = json!({
            "seq": seq,
            "time": format!("2026-01-{:02}T00:{:02}:{:02}.000Z", day % 28 + 1, day / 60 % 60, day % 60),
            "prev": before,
        });
        let event = serde_json::to_value(event).unwrap();
        line.as_object_mut()
            .unwrap()
            .extend(event.as_object().unwrap().clone());
        let line = serde_json::to_vec(&line).unwrap();
        before = hex::encode(sha2::Sha256::digest(&line));
        text.extend(line);
        text.push(b'\n');
    }
    text
}

fn install(name: &str, version: &str) -> Vec<Event> {
    let mut events = fixture::started().into_iter().take(1).collect::<Vec<_>>();
    events.push(Event::Installed(fixture::package(name, version, 1)));
    events.push(Event::Installed(fixture::package("common", "1.0.0", 2)));
    let bom = fixture::digest(crate::model::Algorithm::Sha256, 3);
    events.push(Event::Sealed { exit_code: 0, bom });
    events
}

fn put(folder: &Path, name: &str, bytes: &[u8]) {
    fs::create_dir_all(folder.join(name)).unwrap();
    fs::write(folder.join(name).join(EVENTS), bytes).unwrap();
}

fn found(folder: &Path, text: &str) -> (Work, Vec<String>) {
    let (history, hits) = ask(folder, |history| history.find(text)).unwrap();
    let mut names: Vec<String> = hits.into_iter().map(|hit| hit.run.record).collect();
    names.sort_unstable();
    (history.work(), names)
}

#[test]
fn ten_thousand_records_are_answered_without_opening_one() {
    let guard = tempfile::tempdir().unwrap();
    let folder = guard.path();
    const MANY: usize = 10_000;
    // A hundred journals, each under a hundred names: to write them all would take the time.
    for number in 0..MANY {
        let name = format!("r{number:05}");
        let original = folder.join(format!("r{:05}", number % 100)).join(EVENTS);
        if number < 100 {
            let events = install(&format!("only-{number}"), "1.0.0");
            put(folder, &name, &journal(&events, number));
        } else {
            fs::create_dir(folder.join(&name)).unwrap();
            fs::hard_link(original, folder.join(&name).join(EVENTS)).unwrap();
        }
    }
    let (work, names) = found(folder, "only-7");
    assert_eq!((work.records, work.read), (MANY, MANY));
    assert_eq!((names.len(), names[1].as_str()), (100, "r00107"));
    // From now on: one file of the index, and no record.
    let (work, names) = found(folder, "pkg:npm/only-99@1.0.0");
    assert_eq!((work.read, work.segments, names.len()), (0, 1, 100));
    assert_eq!(found(folder, "common").1.len(), MANY);
    assert_eq!(found(folder, "absent").1.len(), 0);
}

#[test]
fn every_new_record_is_one_read_and_files_stay_few() {
    let guard = tempfile::tempdir().unwrap();
    for more in 0..40 {
        let events = install("late", "1.0.0");
        put(guard.path(), &format!("s{more}"), &journal(&events, more));
        let (work, names) = found(guard.path(), "late@1.0.0");
        assert_eq!((work.read, names.len()), (1, more + 1));
        assert!(work.segments < 12, "{work:?}");
    }
}

#[test]
fn the_records_count_and_not_the_index() {
    let guard = tempfile::tempdir().unwrap();
    let folder = guard.path();
    for (name, package) in [("a", "left"), ("b", "right"), ("c", "left")] {
        put(folder, name, &journal(&install(package, "1.0.0"), 1));
    }
    assert_eq!(found(folder, "left").1, ["a", "c"]);
    // Changed, removed and new records.
    put(folder, "a", &journal(&install("right", "2.0.0"), 1));
    fs::remove_dir_all(folder.join("c")).unwrap();
    put(folder, "d", &journal(&install("left", "3.0.0"), 1));
    let (work, names) = found(folder, "left");
    assert_eq!((work.read, names.as_slice()), (2, &["d".to_owned()][..]));
    assert_eq!(found(folder, "right").1, ["a", "b"]);
    assert_eq!(found(folder, "right@2.0.0").1, ["a"]);
    let index = folder.join(INDEX);
    let files = || {
        let entries = fs::read_dir(&index)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let mut files: Vec<PathBuf> = entries
            .filter(|path| path.extension().is_some_and(|ending| ending == ENDING))
            .collect();
        files.sort();
        files
    };
    // Cut short, changed anywhere, of another version, empty, or gone.
    let whole = fs::read(&files()[0]).unwrap();
    for at in [0, whole.len() / 3, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        for bytes in [changed, whole[..at].to_vec()] {
            for file in files() {
                fs::write(file, &bytes).unwrap();
            }
            assert_eq!(found(folder, "left").1, ["d"], "{at}");
        }
    }
    fs::remove_dir_all(&index).unwrap();
    assert_eq!(found(folder, "right").1, ["a", "b"]);
    // Where it cannot be kept the answer is the same.
    fs::remove_dir_all(&index).unwrap();
    fs::write(&index, "no folder").unwrap();
    let (history, hits) = ask(folder, |history| history.find("right")).unwrap();
    assert_eq!((hits.len(), history.unkept().is_some()), (2, true));
}

#[test]
fn broken_records_are_named_and_answer_nothing() {
    let guard = tempfile::tempdir().unwrap();
    let folder = guard.path();
    let whole = journal(&install("left", "1.0.0"), 1);
    put(folder, "good", &whole);
    put(folder, "cut", &whole[..whole.len() - 5]);
    let end = whole[..whole.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .unwrap();
    put(folder, "unsealed", &whole[..=end]);
    let mut changed = whole.clone();
    changed[60] ^= 1;
    put(folder, "changed", &changed);
    put(folder, "empty", b"");
    fs::create_dir(folder.join("without")).unwrap();
    fs::write(folder.join("file"), "no record").unwrap();
    for _ in 0..2 {
        let (_, (hits, broken)) = ask(folder, |history| {
            Ok((history.find("left")?, history.broken()?))
        })
        .unwrap();
        assert_eq!(hits.len(), 1);
        assert_eq!(hits[0].found, ["pkg:npm/left@1.0.0"]);
        let names: Vec<&str> = broken.iter().map(|run| run.record.as_str()).collect();
        assert_eq!(names, ["changed", "cut", "empty", "unsealed", "without"]);
        assert!(
            broken
                .iter()
                .all(|run| run.broken.as_ref().is_some_and(|why| why.len() > 10))
        );
    }
    // It answers once it is whole.
    put(folder, "unsealed", &whole);
    assert_eq!(found(folder, "left").1, ["good", "unsealed"]);
    assert!(found(&folder.join("nowhere"), "left").1.is_empty());
}

#[test]
fn runs_come_newest_first_and_a_real_record_is_read() {
    let guard = tempfile::tempdir().unwrap();
    let folder = guard.path();
    put(folder, "old", &journal(&install("left", "1.0.0"), 1));
    put(folder, "new", &journal(&install("left", "1.0.0"), 5));
    put(folder, "bad", b"");
    fixture::sealed(
        &folder.join("real"),
        fixture::healthy(),
        Status::Observed,
        None,
    );
    let (_, runs) = ask(folder, History::runs).unwrap();
    let names: Vec<&str> = runs.iter().map(|run| run.record.as_str()).collect();
    assert_eq!(names, ["real", "new", "old", "bad"]);
    assert_eq!((runs[0].manager.as_str(), runs[0].components), ("npm", 3));
    assert_eq!(runs[0].exit_code, Some(0));
    // Found by the digest of the bytes that were released for it.
    let digest = fixture::digest(crate::model::Algorithm::Sha256, 2).hex();
    assert_eq!(found(folder, &digest).1, ["real"]);
}
