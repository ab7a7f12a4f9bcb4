//! What earlier runs verified of the files that are kept between runs.
//!
//! A repository of artifacts on this machine outlives a run, and anybody may have changed it since.
//! What verifies a file in it is the store, which is not there: the first-seen ledger for published
//! versions, the digests that were vouched for where content may change. A path says which artifact a
//! file claims to be, so that the bytes of one do not pass for another.
//!
//! It only reads. What nothing is known of is left to whoever asks.

use std::path::{Path, PathBuf};

use crate::model::Digest;
use crate::protocol::{Kept, Protocol};
use crate::store::{Item, Ledger, StoreError};
use crate::verify::Digests;

/// The memory of a run.
#[derive(Debug)]
pub struct Recall {
    /// Earlier runs.
    pub ledger: Ledger,
    /// Reads the paths.
    pub protocol: &'static dyn Protocol,
    /// Where the files may have come from: the origins of the run's repositories.
    pub origins: Vec<String>,
    /// Canonical directories of the kept files.
    pub places: Vec<PathBuf>,
}

/// What is known of a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Recalled {
    /// It is what an earlier run, or this one, verified.
    Same,
    /// It is not what was first verified, which had this digest.
    Changed(Digest),
    /// Nothing.
    Unknown,
}

impl Recall {
    /// Whether a file at that canonical path is one that is kept.
    pub fn covers(&self, path: &Path) -> bool {
        self.known_as(path).is_some()
    }

    fn known_as(&self, path: &Path) -> Option<Kept> {
        let mut below = self
            .places
            .iter()
            .filter_map(|place| path.strip_prefix(place).ok());
        self.protocol.kept(below.next()?.to_str()?)
    }

    /// What is known of a file at that path with these digests.
    pub fn of(&self, path: &Path, digests: &Digests) -> Result<Recalled, StoreError> {
        let Some(kept) = self.known_as(path) else {
            return Ok(Recalled::Unknown);
        };
        let mut changed = None;
        for origin in &self.origins {
            let item = Item {
                protocol: self.protocol.name(),
                origin,
                name: &kept.name,
                version: &kept.version,
                file: &kept.file,
            };
            if kept.changing {
                if self.ledger.vouches(item, digests)? {
                    return Ok(Recalled::Same);
                }
                continue;
            }
            match self.ledger.first_seen(item)? {
                Some(entry) if digests.under(entry.digest.algorithm()) == Some(&entry.digest) => {
                    return Ok(Recalled::Same);
                }
                Some(entry) => changed = Some(entry.digest),
                None => {}
            }
        }
        Ok(changed.map_or(Recalled::Unknown, Recalled::Changed))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::protocol::maven::Maven;
    use crate::store::Directory;
    use crate::verify::Hashing;

    fn digests(content: &'static [u8]) -> Digests {
        let mut hashing = Hashing::new((), []);
        hashing.push(Bytes::from_static(content)).unwrap();
        hashing.finish().digests().clone()
    }

    const RELEASE: Item<'static> = Item {
        protocol: "maven",
        origin: "https://r.invalid/",
        name: "g:x",
        version: "1",
        file: "x-1.jar",
    };

    #[test]
    fn a_kept_file_is_what_was_verified_or_it_is_not() {
        let store = tempfile::tempdir().unwrap();
        let directory = Directory::open(store.path()).unwrap();
        let ledger = Ledger::new(&directory, "run");
        ledger.check(RELEASE, &digests(b"jar")).unwrap();
        let snapshot = Item {
            version: "1-SNAPSHOT",
            file: "x-1-SNAPSHOT.jar",
            ..RELEASE
        };
        ledger.vouch(snapshot, &digests(b"one")).unwrap();
        ledger.vouch(snapshot, &digests(b"two")).unwrap();
        let metadata = Item {
            name: "g/x",
            version: "",
            file: "maven-metadata.xml",
            ..RELEASE
        };
        ledger.vouch(metadata, &digests(b"xml")).unwrap();
        let recall = Recall {
            ledger,
            protocol: &Maven,
            origins: vec!["https://other.invalid/".into(), "https://r.invalid/".into()],
            places: vec!["/repository".into()],
        };
        let of = |path: &str, content| {
            let path = Path::new("/repository").join(path);
            recall.of(&path, &digests(content)).unwrap()
        };
        assert_eq!(of("g/x/1/x-1.jar", b"jar"), Recalled::Same);
        let first = digests(b"jar").sha256;
        assert_eq!(of("g/x/1/x-1.jar", b"other"), Recalled::Changed(first));
        assert_eq!(of("g/x/2/x-2.jar", b"jar"), Recalled::Unknown);
        assert_eq!(of("g/y/1/y-1.jar", b"jar"), Recalled::Unknown);
        for file in ["x-1-SNAPSHOT.jar", "x-1-20240102.030405-6.jar"] {
            let path = format!("g/x/1-SNAPSHOT/{file}");
            assert_eq!(of(&path, b"one"), Recalled::Same);
            assert_eq!(of(&path, b"two"), Recalled::Same);
            assert_eq!(of(&path, b"three"), Recalled::Unknown);
        }
        assert_eq!(of("g/x/maven-metadata-central.xml", b"xml"), Recalled::Same);
        assert_eq!(
            of("g/y/maven-metadata-central.xml", b"xml"),
            Recalled::Unknown
        );
        assert!(!recall.covers(Path::new("/repository/g/x/_remote.repositories")));
        assert!(!recall.covers(Path::new("/elsewhere/g/x/1/x-1.jar")));
        assert!(recall.covers(Path::new("/repository/g/x/1/x-1.jar")));
    }
}
