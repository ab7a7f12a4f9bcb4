//! From the events of a record to the lock of what its run used.
//!
//! Locked is what v4run verified in that run: artifacts that it released, and files of the local
//! repository that it compared before they were opened. Nothing is read from disk, so the lock says
//! what was seen and not what is there now. Sorted by path, as Maven sorts it.

use std::collections::BTreeMap;
use std::path::Path;

use percent_encoding::percent_decode_str;
use url::Url;

use super::COMPLETE;
use crate::model::maven::Coordinates;
use crate::model::{Decision, Digest, Event, Released};

/// Why a record gives no lock.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(in crate::manager::mvn) enum LockError {
    /// Nothing was used.
    #[error("the record names no artifact that was verified")]
    Empty,
    /// A released file that does not lie where its own name says.
    #[error("`{0}` is not where a repository keeps `{1}`")]
    Place(String, String),
    /// One path, two contents.
    #[error("`{0}` was used with two different contents")]
    Twice(String),
}

/// The text of `checksums.sha256` for what a run used.
pub(in crate::manager::mvn) fn from_events(events: &[Event]) -> Result<String, LockError> {
    let local = events.iter().find_map(|event| {
        if let Event::ArtifactsKept { path } = event {
            Some(Path::new(path))
        } else {
            None
        }
    });
    let mut lines: BTreeMap<String, &Digest> = BTreeMap::new();
    for event in events {
        let (artifact, sha256) = match opened(event, local) {
            Some(found) => found,
            None => {
                let Event::Released(one) = event else {
                    continue;
                };
                (released(one)?, &one.sha256)
            }
        };
        let path = artifact.path();
        if lines.get(&path).is_some_and(|before| *before != sha256) {
            return Err(LockError::Twice(path));
        }
        lines.insert(path, sha256);
    }
    if lines.is_empty() {
        return Err(LockError::Empty);
    }
    let mut text = format!(
        "{COMPLETE}\n\
         # Digests of everything that one run of Maven used. With the line above, nothing else may\n\
         # be used; without it, what is not listed is held to its first use. Maven 3.9 and newer read\n\
         # this file as a summary of trusted checksums (originAware=false).\n"
    );
    for (path, digest) in lines {
        text.push_str(&format!("{}  {path}\n", digest.hex()));
    }
    Ok(text)
}

/// Which artifact was released: the end of its address, by the name that the proxy read from it.
fn released(one: &Released) -> Result<Coordinates, LockError> {
    let place = || LockError::Place(one.url.clone(), format!("{}@{}", one.name, one.version));
    let url = Url::parse(&one.url).map_err(|_invalid| place())?;
    let path = percent_decode_str(url.path()).decode_utf8_lossy();
    let groups = one.name.split(':').next().unwrap_or_default();
    // Group, artifact, version, file.
    let depth = groups.split('.').count().saturating_add(3);
    let segments: Vec<&str> = path.split('/').collect();
    let below = segments.len().checked_sub(depth).ok_or_else(place)?;
    let tail = segments.get(below..).unwrap_or_default().join("/");
    let same = |read: &Coordinates| read.name() == one.name && read.version == one.version;
    Coordinates::from_path(&tail).filter(same).ok_or_else(place)
}

/// Which artifact of the local repository was opened after its digest was compared.
fn opened<'a>(event: &'a Event, local: Option<&Path>) -> Option<(Coordinates, &'a Digest)> {
    let (subject, digest) = if let Event::Call {
        subject,
        decision: Decision::Allowed,
        digest: Some(digest),
        ..
    } = event
    {
        (subject, digest)
    } else if let Event::Compared { path, sha256 } = event {
        (path, sha256)
    } else {
        return None;
    };
    let below = Path::new(subject).strip_prefix(local?).ok()?;
    Some((Coordinates::from_path(below.to_str()?)?, digest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Algorithm, Anchor, Source};

    fn release(path: &str, name: &str, version: &str, byte: u8) -> Event {
        Event::Released(Released {
            repository: "central".into(),
            name: name.into(),
            version: version.into(),
            url: format!("https://r.invalid/some/place/{path}"),
            size: 1,
            sha256: Digest::new(Algorithm::Sha256, vec![byte; 32]).unwrap(),
            sha512: Some(Digest::new(Algorithm::Sha512, vec![byte; 64]).unwrap()),
            anchor: Anchor::SideFile,
            source: Source::Network,
        })
    }

    fn open(path: &str, decision: Decision, byte: u8) -> Event {
        Event::Call {
            call: "openat".into(),
            subject: path.into(),
            decision,
            digest: Some(Digest::new(Algorithm::Sha256, vec![byte; 32]).unwrap()),
        }
    }

    #[test]
    fn what_was_used_is_locked_and_read_back() {
        let events = [
            release("g/h/x/1%2B2/x-1%2B2.jar", "g.h:x", "1+2", 1),
            release(
                "a/y/1-SNAPSHOT/y-1-20240102.030405-6.pom",
                "a:y",
                "1-20240102.030405-6",
                2,
            ),
            open("/home/u/.m2/repository/a/z/3/z-3.jar", Decision::Allowed, 3),
            open(
                "/home/u/.m2/repository/a/z/4/z-4.jar",
                Decision::Refused(13),
                4,
            ),
            open("/elsewhere/a/z/5/z-5.jar", Decision::Allowed, 5),
            open(
                "/home/u/.m2/repository/g/h/x/1+2/x-1+2.jar",
                Decision::Allowed,
                1,
            ),
            open(
                "/home/u/.m2/repository/a/maven-metadata-r.xml",
                Decision::Allowed,
                7,
            ),
        ];
        let path = "/home/u/.m2/repository".to_owned();
        let mut all = events.to_vec();
        all.push(Event::ArtifactsKept { path });
        let text = from_events(&all).unwrap();
        let paths: Vec<&str> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_once("  ").unwrap().1)
            .collect();
        assert_eq!(
            paths,
            [
                "a/y/1-SNAPSHOT/y-1-20240102.030405-6.pom",
                "a/z/3/z-3.jar",
                "g/h/x/1+2/x-1+2.jar",
            ]
        );
        let read = super::super::read::text("l", Algorithm::Sha256, text.as_bytes()).unwrap();
        assert!(read.complete);
        assert_eq!(read.expected.len(), 3);
        assert_eq!(from_events(&events).unwrap().matches("  ").count(), 2);
    }

    #[test]
    fn what_contradicts_itself_is_no_lock() {
        assert_eq!(from_events(&[]), Err(LockError::Empty));
        let twice = [
            release("g/x/1/x-1.jar", "g:x", "1", 1),
            release("g/x/1/x-1.jar", "g:x", "1", 2),
        ];
        assert!(matches!(from_events(&twice), Err(LockError::Twice(_))));
        let elsewhere = [release("g/x/1/x-1.jar", "g.h:x", "1", 1)];
        assert!(matches!(from_events(&elsewhere), Err(LockError::Place(..))));
    }
}
