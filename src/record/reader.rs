//! Reads a journal back and says how far its chain holds.
//!
//! Called by `v4run assess` and `v4run verify`. A record is untrusted here: lines are bounded, what
//! follows a break is not believed, and an event of a kind that this version does not know is kept
//! as unknown instead of being passed over. It does not judge the events.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::journal::ORIGIN;
use super::{EVENTS, RecordError, bounds};
use crate::model::Event;

/// How far the chain of a journal holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chain {
    /// To the end, and the last line is the seal.
    Sealed,
    /// To the end, but the run was not sealed: v4run was killed, or it is still running.
    Unsealed,
    /// Up to a line; nothing from there on is believed.
    Broken {
        /// Number of the first bad line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Sequence number, from 0.
    pub seq: u64,
    /// When it was recorded, RFC 3339.
    pub time: String,
    /// Kind of the event.
    pub kind: String,
    /// The event; none when this version does not know the kind or its fields.
    pub event: Option<Event>,
}

/// A journal as read.
#[derive(Debug)]
pub struct Reading {
    /// The believed lines.
    pub entries: Vec<Entry>,
    /// State of the chain.
    pub chain: Chain,
    /// SHA-256 of the last believed line, hex.
    pub head: String,
}

impl Reading {
    /// The events that this version knows.
    pub fn events(&self) -> Vec<Event> {
        self.entries
            .iter()
            .filter_map(|entry| entry.event.clone())
            .collect()
    }

    /// The first line that this version does not know, from 1.
    pub fn first_unknown(&self) -> Option<u64> {
        let unknown = self.entries.iter().find(|entry| entry.event.is_none());
        unknown.map(|entry| entry.seq + 1)
    }

    /// How many believed lines this version does not know.
    pub fn unknown(&self) -> usize {
        self.entries
            .iter()
            .filter(|entry| entry.event.is_none())
            .count()
    }
}

/// The fields that every line has.
#[derive(Deserialize)]
struct Frame {
    seq: u64,
    time: String,
    kind: String,
    prev: String,
}

/// Reads the journal of a record directory.
pub fn read(directory: &Path) -> Result<Reading, RecordError> {
    let path = directory.join(EVENTS);
    let io = |source| RecordError::Io {
        path: path.clone(),
        source,
    };
    let file = File::open(&path).map_err(io)?;
    if file.metadata().map_err(io)?.len() > bounds::JOURNAL {
        return Err(RecordError::TooLarge {
            what: "the journal",
            limit: bounds::JOURNAL,
        });
    }
    let mut lines = BufReader::new(file.take(bounds::JOURNAL));
    let mut reading = Reading {
        entries: Vec::new(),
        chain: Chain::Unsealed,
        head: ORIGIN.to_owned(),
    };
    let mut line = Vec::new();
    for number in 1_u64.. {
        line.clear();
        // One byte more than a line may have, so that a longer one is seen as such.
        let read = (&mut lines)
            .take(bounds::LINE as u64 + 1)
            .read_until(b'\n', &mut line)
            .map_err(io)?;
        if read == 0 {
            break;
        }
        match check(&line, &reading) {
            Ok(entry) => {
                reading.chain = match entry.event {
                    Some(Event::Sealed { .. }) => Chain::Sealed,
                    _ => Chain::Unsealed,
                };
                reading.head = digest(&line);
                reading.entries.push(entry);
            }
            Err(reason) => {
                reading.chain = Chain::Broken {
                    line: number,
                    reason,
                };
                break;
            }
        }
    }
    Ok(reading)
}

fn digest(line: &[u8]) -> String {
    hex::encode(Sha256::digest(line.strip_suffix(b"\n").unwrap_or(line)))
}

fn check(line: &[u8], before: &Reading) -> Result<Entry, String> {
    if line.len() > bounds::LINE {
        return Err(format!("longer than {} bytes", bounds::LINE));
    }
    if !line.ends_with(b"\n") {
        return Err("cut short".to_owned());
    }
    if before.chain == Chain::Sealed {
        return Err("follows the seal".to_owned());
    }
    let frame: Frame =
        serde_json::from_slice(line).map_err(|error| format!("no line of a record: {error}"))?;
    if frame.prev != before.head {
        return Err("does not name the digest of the line before".to_owned());
    }
    let expected = before.entries.len() as u64;
    if frame.seq != expected {
        return Err(format!("has number {} where {expected} follows", frame.seq));
    }
    // Through a value, because the fields of the frame are no part of the event.
    let event = serde_json::from_slice::<Value>(line)
        .ok()
        .and_then(|mut value| {
            if let Some(fields) = value.as_object_mut() {
                for name in ["seq", "time", "prev"] {
                    fields.remove(name);
                }
            }
            serde_json::from_value(value).ok()
        });
    Ok(Entry {
        seq: frame.seq,
        time: frame.time,
        kind: frame.kind,
        event,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::super::journal::Journal;
    use super::*;

    fn lines(count: u32, sealed: bool) -> (tempfile::TempDir, Vec<u8>) {
        let place = tempfile::tempdir().unwrap();
        let mut journal = Journal::create(place.path()).unwrap();
        for killed in 0..count {
            journal.append(&Event::Contained { killed }).unwrap();
        }
        if sealed {
            let bom = format!("sha256-{}=", "A".repeat(43)).parse().unwrap();
            journal
                .append(&Event::Sealed { exit_code: 0, bom })
                .unwrap();
        }
        journal.finish().unwrap();
        let bytes = fs::read(place.path().join(EVENTS)).unwrap();
        (place, bytes)
    }

    fn reread(place: &Path, bytes: &[u8]) -> Reading {
        fs::write(place.join(EVENTS), bytes).unwrap();
        read(place).unwrap()
    }

    fn broken_at(reading: &Reading) -> Option<u64> {
        match reading.chain {
            Chain::Broken { line, .. } => Some(line),
            Chain::Sealed | Chain::Unsealed => None,
        }
    }

    #[test]
    fn an_intact_journal_reads_back() {
        let (place, bytes) = lines(3, true);
        let reading = reread(place.path(), &bytes);
        assert_eq!(reading.chain, Chain::Sealed);
        assert_eq!(reading.unknown(), 0);
        assert_eq!(reading.events()[2], Event::Contained { killed: 2 });
    }

    #[test]
    fn dropped_reordered_doubled_and_cut_lines_break_the_chain() {
        let (place, bytes) = lines(4, true);
        let text = String::from_utf8(bytes.clone()).unwrap();
        let all: Vec<&str> = text.split_inclusive('\n').collect();
        let dropped = [all[0], all[2], all[3], all[4]].concat();
        assert_eq!(
            broken_at(&reread(place.path(), dropped.as_bytes())),
            Some(2)
        );
        let swapped = [all[0], all[2], all[1], all[3], all[4]].concat();
        assert_eq!(
            broken_at(&reread(place.path(), swapped.as_bytes())),
            Some(2)
        );
        let doubled = [all[0], all[0]].concat();
        assert_eq!(
            broken_at(&reread(place.path(), doubled.as_bytes())),
            Some(2)
        );
        let cut = &bytes[..bytes.len() - 10];
        assert_eq!(broken_at(&reread(place.path(), cut)), Some(5));
        let longer = [text.as_str(), all[0]].concat();
        assert_eq!(broken_at(&reread(place.path(), longer.as_bytes())), Some(6));
    }

    #[test]
    fn losing_the_last_lines_is_seen_as_unsealed() {
        let (place, bytes) = lines(2, true);
        let text = String::from_utf8(bytes).unwrap();
        let first = text.split_inclusive('\n').next().unwrap();
        assert_eq!(
            reread(place.path(), first.as_bytes()).chain,
            Chain::Unsealed
        );
    }

    #[test]
    fn a_kind_of_a_newer_version_is_kept_as_unknown() {
        let (place, _) = lines(0, false);
        let line =
            format!("{{\"seq\":0,\"time\":\"t\",\"kind\":\"later\",\"prev\":\"{ORIGIN}\"}}\n");
        let reading = reread(place.path(), line.as_bytes());
        assert_eq!(
            (reading.unknown(), reading.entries[0].kind.as_str()),
            (1, "later")
        );
        assert_eq!(reading.chain, Chain::Unsealed);
    }

    #[test]
    fn an_endless_line_is_not_read_whole() {
        let (place, _) = lines(0, false);
        let reading = reread(place.path(), &vec![b'x'; 3 * bounds::LINE]);
        assert_eq!(broken_at(&reading), Some(1));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_flipped_bit_is_noticed(position in 0_usize..10_000, bit in 0_u32..8) {
            let (place, mut bytes) = lines(4, true);
            // The last line has no line after it: its digest is what a signature covers.
            let end = bytes[..bytes.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap();
            let position = position % end;
            bytes[position] ^= 1 << bit;
            prop_assert!(broken_at(&reread(place.path(), &bytes)).is_some());
        }
    }
}
