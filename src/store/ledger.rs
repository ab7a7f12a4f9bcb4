//! The first-seen ledger: a published version keeps its digest, across runs (4.2, 4.11).
//!
//! One immutable entry for each file of a version, under
//! `v1/seen/<protocol>/ab/<sha256 of canonical origin, name, version, file>`. The origin is that
//! of the repository and not the mirror's address, so that one file through two mirrors meets. For
//! downloads the ledger can only add a reason to refuse, never one to accept. For a file that a manager
//! kept from an earlier run it says what was verified under that name, because nothing else is noted.
//! What may change has an entry for each content that was verified. An entry
//! that cannot be read is an error and is never replaced. Entries do not expire.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::{Directory, Put, StoreError};
use crate::model::Digest;
use crate::verify::Digests;
use crate::verify::hash::sha256;

/// More than any entry has.
const ENTRY: u64 = 64 * 1024;

/// What an entry is about.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// Protocol name, which separates the ecosystems.
    pub protocol: &'a str,
    /// Canonical origin.
    pub origin: &'a str,
    /// Package name.
    pub name: &'a str,
    /// Package version.
    pub version: &'a str,
    /// File name within the version.
    pub file: &'a str,
}

impl Item<'_> {
    fn key(&self) -> String {
        self.key_with(&[])
    }

    fn key_with(&self, more: &[&str]) -> String {
        key("seen", *self, more)
    }
}

/// The key of an item in one of the ledgers.
pub(super) fn key(ledger: &str, item: Item<'_>, more: &[&str]) -> String {
    // Line feeds cannot occur in any of the parts, so different items never meet.
    let parts = [item.origin, item.name, item.version, item.file];
    let hex = sha256([&parts[..], more].concat().join("\n").as_bytes()).hex();
    let two = hex.get(..2).unwrap_or_default();
    format!("v1/{ledger}/{}/{two}/{hex}", item.protocol)
}

/// What was seen first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// SHA-256 of the bytes, which every run computes.
    pub digest: Digest,
    /// Their size.
    pub size: u64,
    /// Canonical origin.
    pub origin: String,
    /// The run that saw it.
    pub first_seen_by: String,
    /// When, RFC 3339.
    pub time: String,
}

/// Answer of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirstSeen {
    /// Nobody had seen it; it is noted now.
    New,
    /// Seen before, with the same digest.
    Same,
    /// Seen before, with another digest.
    Changed(Box<Entry>),
}

/// The ledger of a store, written for one run.
#[derive(Clone, Debug)]
pub struct Ledger {
    directory: Directory,
    run: String,
}

impl Ledger {
    /// Over that directory; new entries name `run`.
    pub fn new(directory: &Directory, run: &str) -> Self {
        Self {
            directory: directory.clone(),
            run: run.to_owned(),
        }
    }

    pub(super) fn directory(&self) -> &Directory {
        &self.directory
    }

    /// Compares with what was seen first, and notes it if nothing was.
    pub fn check(&self, item: Item<'_>, digests: &Digests) -> Result<FirstSeen, StoreError> {
        let key = item.key();
        // Asking first only spares the write: the put below decides on its own.
        if let Some(entry) = self.entry(&key)? {
            return Ok(compare(entry, digests));
        }
        match self.put(&key, item, digests)? {
            Put::Created => Ok(FirstSeen::New),
            Put::Existed => match self.entry(&key)? {
                Some(entry) => Ok(compare(entry, digests)),
                None => Ok(FirstSeen::New),
            },
        }
    }

    /// What was seen first, if anything was.
    pub fn first_seen(&self, item: Item<'_>) -> Result<Option<Entry>, StoreError> {
        self.entry(&item.key())
    }

    /// Notes that this content was verified, of an item whose content may change.
    pub fn vouch(&self, item: Item<'_>, digests: &Digests) -> Result<(), StoreError> {
        let key = item.key_with(&[&digests.sha256.hex()]);
        match self.entry(&key)? {
            Some(_) => Ok(()),
            None => self.put(&key, item, digests).map(|_put| ()),
        }
    }

    /// Whether some run verified this content of the item.
    pub fn vouches(&self, item: Item<'_>, digests: &Digests) -> Result<bool, StoreError> {
        let entry = self.entry(&item.key_with(&[&digests.sha256.hex()]))?;
        Ok(entry.is_some_and(|entry| entry.digest == digests.sha256))
    }

    fn put(&self, key: &str, item: Item<'_>, digests: &Digests) -> Result<Put, StoreError> {
        let entry = Entry {
            digest: digests.sha256.clone(),
            size: digests.size,
            origin: item.origin.to_owned(),
            first_seen_by: self.run.clone(),
            time: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        };
        self.directory.note(key, &entry)
    }

    fn entry(&self, key: &str) -> Result<Option<Entry>, StoreError> {
        self.directory.entry(key, ENTRY)
    }
}

fn compare(entry: Entry, digests: &Digests) -> FirstSeen {
    if digests.under(entry.digest.algorithm()) == Some(&entry.digest) {
        FirstSeen::Same
    } else {
        FirstSeen::Changed(Box::new(entry))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bytes::Bytes;

    use super::*;
    use crate::store::directory::STAGING;
    use crate::verify::Hashing;

    const ITEM: Item<'static> = Item {
        protocol: "npm",
        origin: "https://registry.invalid/",
        name: "left",
        version: "1.0.0",
        file: "left-1.0.0.tgz",
    };

    fn digests(content: &'static [u8]) -> Digests {
        let mut hashing = Hashing::new((), []);
        hashing.push(Bytes::from_static(content)).unwrap();
        hashing.finish().digests().clone()
    }

    #[test]
    fn the_first_digest_stays_across_runs() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::open(root.path()).unwrap();
        let ledger = Ledger::new(&directory, "run-1");
        assert_eq!(ledger.check(ITEM, &digests(b"a")).unwrap(), FirstSeen::New);
        assert_eq!(ledger.check(ITEM, &digests(b"a")).unwrap(), FirstSeen::Same);
        let later = Ledger::new(&directory, "run-2");
        let FirstSeen::Changed(entry) = later.check(ITEM, &digests(b"b")).unwrap() else {
            panic!("another digest must not be accepted");
        };
        assert_eq!(entry.first_seen_by, "run-1");
        assert_eq!(later.check(ITEM, &digests(b"a")).unwrap(), FirstSeen::Same);
    }

    #[test]
    fn what_may_change_is_vouched_for_by_content() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::open(root.path()).unwrap();
        let ledger = Ledger::new(&directory, "run-1");
        for content in [&b"a"[..], b"b", b"b"] {
            ledger.vouch(ITEM, &digests(content)).unwrap();
        }
        for (content, known) in [(&b"a"[..], true), (b"b", true), (b"c", false)] {
            assert_eq!(ledger.vouches(ITEM, &digests(content)).unwrap(), known);
        }
        let other = Item {
            file: "other",
            ..ITEM
        };
        assert!(!ledger.vouches(other, &digests(b"a")).unwrap());
        // It is another question than what was first seen.
        assert_eq!(ledger.first_seen(ITEM).unwrap(), None);
        ledger.check(ITEM, &digests(b"c")).unwrap();
        let first = ledger.first_seen(ITEM).unwrap().unwrap();
        assert_eq!(first.digest, digests(b"c").sha256);
    }

    #[test]
    fn each_part_of_the_item_counts() {
        let others = [
            Item {
                protocol: "pypi",
                ..ITEM
            },
            Item {
                origin: "https://other.invalid/",
                ..ITEM
            },
            Item {
                name: "right",
                ..ITEM
            },
            Item {
                version: "1.0.1",
                ..ITEM
            },
            Item {
                file: "left.tgz",
                ..ITEM
            },
        ];
        for other in others {
            assert_ne!(other.key(), ITEM.key());
        }
    }

    #[test]
    fn what_cannot_be_written_is_an_error_and_nothing_is_half_there() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::open(root.path()).unwrap();
        let ledger = Ledger::new(&directory, "run");
        // Where new entries are written first there is no room: as on a full disk, nothing can be made.
        let staging = root.path().join(STAGING);
        fs::remove_dir_all(&staging).unwrap();
        fs::write(&staging, "").unwrap();
        let refused = ledger.check(ITEM, &digests(b"a")).unwrap_err();
        assert!(matches!(refused, StoreError::Io { .. }), "{refused:?}");
        assert_eq!(ledger.first_seen(ITEM).unwrap(), None);
        fs::remove_file(&staging).unwrap();
        fs::create_dir(&staging).unwrap();
        assert_eq!(ledger.check(ITEM, &digests(b"a")).unwrap(), FirstSeen::New);
        assert_eq!(ledger.check(ITEM, &digests(b"a")).unwrap(), FirstSeen::Same);
    }

    #[test]
    fn an_entry_that_cannot_be_read_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::open(root.path()).unwrap();
        let path = root.path().join(ITEM.key());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "{").unwrap();
        let result = Ledger::new(&directory, "run").check(ITEM, &digests(b"a"));
        assert!(matches!(result, Err(StoreError::Entry { .. })));
    }
}
