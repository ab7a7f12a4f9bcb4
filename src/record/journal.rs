//! The journal: `events.jsonl`, one JSON object a line, each with the digest of the line before.
//!
//! Written by the recorder while the run goes on. Invariants: files are created, never opened over
//! something that is there (`O_EXCL`); only whole lines reach the file, and after a failed write it
//! is cut back to the last whole one; a journal that failed once takes nothing more.
//! The chain shows removal, change and reordering of lines to whoever knows the last digest; it is
//! no signature. JSON Lines as in RFC 8259 texts separated by newlines.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{BOM, EVENTS, RecordError, SUMMARY, bounds};
use crate::model::Event;

/// `prev` of the first line.
pub(super) const ORIGIN: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Written to the file when this much waits.
const BUFFER: usize = 64 * 1024;

/// One line as it is written; the reader has its own, owned form.
#[derive(Serialize)]
struct Line<'a, E: Serialize> {
    seq: u64,
    time: String,
    #[serde(flatten)]
    event: &'a E,
    prev: &'a str,
}

/// An open journal.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    file: File,
    buffer: Vec<u8>,
    /// Bytes that the file holds, whole lines only.
    written: u64,
    seq: u64,
    prev: String,
    /// Over every line so far.
    whole: Sha256,
    failed: bool,
}

impl Journal {
    /// Makes the directory where it is missing, and the journal in it. A directory with a record,
    /// or a part of one, is refused.
    pub fn create(directory: &Path) -> Result<Self, RecordError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| RecordError::Io { path, source }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(directory)
            .map_err(at(directory))?;
        // An absolute path, because the session may change its directory before the seal.
        let directory = directory.canonicalize().map_err(at(directory))?;
        for name in [BOM, SUMMARY] {
            if directory.join(name).symlink_metadata().is_ok() {
                return Err(RecordError::Occupied(directory));
            }
        }
        let path = directory.join(EVENTS);
        let file = match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(RecordError::Occupied(directory));
            }
            Err(source) => return Err(RecordError::Io { path, source }),
        };
        Ok(Self {
            directory,
            file,
            buffer: Vec::with_capacity(BUFFER),
            written: 0,
            seq: 0,
            prev: ORIGIN.to_owned(),
            whole: Sha256::new(),
            failed: false,
        })
    }

    /// The record directory, absolute.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Adds an event.
    pub fn append(&mut self, event: &Event) -> Result<(), RecordError> {
        self.append_at(event, SystemTime::now())
    }

    pub(super) fn append_at(&mut self, event: &Event, now: SystemTime) -> Result<(), RecordError> {
        if self.failed {
            return Err(RecordError::Failed);
        }
        let time = humantime::format_rfc3339_millis(now).to_string();
        let line = self.line(event, time)?;
        self.prev = hex::encode(Sha256::digest(&line));
        self.seq += 1;
        self.buffer.extend_from_slice(&line);
        self.buffer.push(b'\n');
        self.whole.update(&line);
        self.whole.update(b"\n");
        if self.buffer.len() >= BUFFER {
            self.flush()
        } else {
            Ok(())
        }
    }

    fn line(&self, event: &Event, time: String) -> Result<Vec<u8>, RecordError> {
        let prev = self.prev.as_str();
        let whole = Line {
            seq: self.seq,
            time,
            event,
            prev,
        };
        let line = serde_json::to_vec(&whole).map_err(RecordError::Json)?;
        if line.len() < bounds::LINE {
            return Ok(line);
        }
        let mut value = serde_json::to_value(event).map_err(RecordError::Json)?;
        bounds::shorten(&mut value);
        let cut = Line {
            seq: whole.seq,
            time: whole.time,
            event: &value,
            prev,
        };
        let line = serde_json::to_vec(&cut).map_err(RecordError::Json)?;
        if line.len() < bounds::LINE {
            return Ok(line);
        }
        Err(RecordError::TooLarge {
            what: "an event",
            limit: bounds::LINE as u64,
        })
    }

    /// Hands everything so far to the system, so that a crash of v4run loses nothing.
    pub fn flush(&mut self) -> Result<(), RecordError> {
        if self.failed {
            return Err(RecordError::Failed);
        }
        match self.file.write_all(&self.buffer) {
            Ok(()) => {
                self.written += self.buffer.len() as u64;
                self.buffer.clear();
                Ok(())
            }
            Err(source) => {
                self.failed = true;
                // Best effort: a partial line is detected by the reader as well.
                let _ = self.file.set_len(self.written);
                Err(self.io(source))
            }
        }
    }

    /// Digest of the last line so far, hex.
    pub(super) fn head(&self) -> &str {
        &self.prev
    }

    /// Writes the rest and makes it durable. The journal takes nothing more. Returns the SHA-256 of
    /// the whole file, hex.
    pub fn finish(mut self) -> Result<String, RecordError> {
        self.flush()?;
        self.file.sync_all().map_err(|source| self.io(source))?;
        File::open(&self.directory)
            .and_then(|directory| directory.sync_all())
            .map_err(|source| RecordError::Io {
                path: self.directory.clone(),
                source,
            })?;
        Ok(hex::encode(self.whole.finalize()))
    }

    /// Lets every later write fail, as on a full disk: the new handle is a read-only one.
    #[cfg(test)]
    pub(super) fn fail_for_test(&mut self) {
        self.file = File::open(self.directory.join(EVENTS)).unwrap();
    }

    fn io(&self, source: io::Error) -> RecordError {
        RecordError::Io {
            path: self.directory.join(EVENTS),
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::reader::{Chain, read};
    use super::*;

    fn event(name: &str) -> Event {
        Event::InputRead {
            name: name.into(),
            path: format!("/project/{name}"),
            sha256: format!("sha256-{}", "A".repeat(43) + "=").parse().unwrap(),
        }
    }

    #[test]
    fn lines_are_chained_and_carry_the_contract_fields() {
        let place = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(&place.path().join("a/b")).unwrap();
        journal.append(&event("one")).unwrap();
        journal.append(&event("two")).unwrap();
        let directory = journal.directory().to_owned();
        journal.finish().unwrap();
        let text = fs::read_to_string(directory.join(EVENTS)).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("{\"seq\":0,\"time\":\""), "{text}");
        assert!(
            lines[0].contains("\"kind\":\"input-read\",\"name\":\"one\""),
            "{text}"
        );
        assert!(
            lines[0].ends_with(&format!("\"prev\":\"{ORIGIN}\"}}")),
            "{text}"
        );
        let digest = hex::encode(Sha256::digest(lines[0].as_bytes()));
        assert!(
            lines[1].ends_with(&format!("\"prev\":\"{digest}\"}}")),
            "{text}"
        );
        assert!(matches!(read(&directory).unwrap().chain, Chain::Unsealed));
    }

    #[test]
    fn a_directory_with_a_part_of_a_record_is_refused() {
        for name in [EVENTS, BOM, SUMMARY] {
            let place = tempfile::tempdir().unwrap();
            std::os::unix::fs::symlink("/nowhere", place.path().join(name)).unwrap();
            let error = Journal::create(place.path()).unwrap_err();
            assert!(matches!(error, RecordError::Occupied(_)), "{name}: {error}");
            assert!(error.finding().hint.is_some());
        }
    }

    #[test]
    fn a_giant_event_is_cut_not_refused() {
        let place = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(place.path()).unwrap();
        journal
            .append(&event(&"x".repeat(2 * bounds::LINE)))
            .unwrap();
        journal.finish().unwrap();
        let reading = read(place.path()).unwrap();
        assert_eq!(reading.entries.len(), 1);
        assert!(matches!(reading.chain, Chain::Unsealed));
    }

    #[test]
    fn a_full_disk_is_an_error_and_leaves_whole_lines() {
        let place = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(place.path()).unwrap();
        journal.append(&event("one")).unwrap();
        journal.flush().unwrap();
        journal.fail_for_test();
        journal.append(&event("two")).unwrap();
        let error = journal.flush().unwrap_err();
        assert_eq!(error.finding().code.name(), "record-failed");
        assert!(matches!(
            journal.append(&event("three")),
            Err(RecordError::Failed)
        ));
        assert_eq!(read(place.path()).unwrap().entries.len(), 1);
    }
}
