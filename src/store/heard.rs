//! What repositories answered about signatures, kept so that another run need not ask again.
//!
//! One entry for each artifact whose signatures verified, by what it is and by its bytes, under
//! `v1/heard/<protocol>/ab/<sha256 of canonical origin, name, version, file, sha256>`. Kept are the answers
//! and not what came of them: whoever recalls them verifies them again, with the keys of that run, so an
//! entry that somebody wrote into the store is worth as much as the same answer of a repository. They
//! count for some days and are trimmed like blobs.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::ledger::key;
use super::{Item, Ledger, StoreError};
use crate::model::Digest;

/// More than any entry has that is kept.
const ENTRY: u64 = 2 * 1024 * 1024;
/// Answers of one entry in bytes, before they are encoded.
const KEPT: usize = 1024 * 1024;

/// What was answered about one artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// When, RFC 3339.
    pub time: String,
    /// Answers by address.
    pub answers: BTreeMap<String, String>,
}

impl Ledger {
    /// What was answered about an artifact, if that is not older than some age.
    pub fn recall(
        &self,
        item: Item<'_>,
        sha256: &Digest,
        age: Duration,
    ) -> Result<Option<Heard>, StoreError> {
        let key = key("heard", item, &[&sha256.hex()]);
        let found: Option<Heard> = match self.directory().entry(&key, ENTRY) {
            Ok(None) => return Ok(None),
            // One that cannot be read is worth nothing, and asking again is always right.
            found => found.unwrap_or_default(),
        };
        let fresh = |heard: &Heard| {
            let time = humantime::parse_rfc3339(&heard.time).ok();
            let elapsed = time.and_then(|time| SystemTime::now().duration_since(time).ok());
            elapsed.is_some_and(|elapsed| elapsed < age)
        };
        if found.as_ref().is_some_and(fresh) {
            return Ok(found);
        }
        self.directory().remove(&key)?;
        Ok(None)
    }

    /// Keeps what was answered, unless it is too much.
    pub fn keep_heard(
        &self,
        item: Item<'_>,
        sha256: &Digest,
        answers: BTreeMap<String, String>,
    ) -> Result<(), StoreError> {
        if answers.is_empty() || answers.values().map(String::len).sum::<usize>() > KEPT {
            return Ok(());
        }
        let heard = Heard {
            time: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            answers,
        };
        let key = key("heard", item, &[&sha256.hex()]);
        self.directory().note(&key, &heard).map(|_put| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Algorithm;
    use crate::store::Directory;

    #[test]
    fn answers_are_kept_by_what_they_are_about_and_for_a_time() {
        let root = tempfile::tempdir().unwrap();
        let directory = Directory::open(root.path()).unwrap();
        let ledger = Ledger::new(&directory, "run");
        let item = Item {
            protocol: "npm",
            origin: "https://registry.invalid/",
            name: "left",
            version: "1.0.0",
            file: "left-1.0.0.tgz",
        };
        let digest = |byte| Digest::new(Algorithm::Sha256, vec![byte; 32]).unwrap();
        let answers = BTreeMap::from([("https://registry.invalid/x".into(), "{}".to_owned())]);
        let day = Duration::from_secs(24 * 3600);
        let recall = |item, byte, age| ledger.recall(item, &digest(byte), age).unwrap();
        assert_eq!(recall(item, 1, day), None);
        ledger
            .keep_heard(item, &digest(1), answers.clone())
            .unwrap();
        assert_eq!(recall(item, 1, day).unwrap().answers, answers);
        assert_eq!(recall(item, 2, day), None);
        let other = Item {
            version: "1.0.1",
            ..item
        };
        assert_eq!(recall(other, 1, day), None);
        // Over: it is removed, so that a newer answer has room.
        assert_eq!(recall(item, 1, Duration::ZERO), None);
        assert_eq!(recall(item, 1, day), None);
        let long = BTreeMap::from([("u".to_owned(), "x".repeat(KEPT + 1))]);
        ledger.keep_heard(item, &digest(1), long).unwrap();
        assert_eq!(recall(item, 1, day), None);
    }
}
