//! Files that outlive a run, outside of it: put right before the start, compared once more at its end.
//!
//! What the manager opens is compared when it is opened ([`crate::supervisor`]). At the end of the run
//! every file that it had to do with is read again, so that what was changed meanwhile, or was used
//! without being opened, is known and named. With `--repair` the places are gone through before the
//! start: what is known and changed, and what came from a repository and was never verified, is moved
//! away, so that the manager fetches it again. Nothing is removed.
//!
//! What a file should be is what the lock says, else what earlier runs verified ([`Recall`]).

use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::manager::{KeptFile, Manager, Prepared};
use crate::model::{Code, Digest, Event, Finding, Integrity};
use crate::record::Recorder;
use crate::supervisor::{Recall, Recalled};
use crate::verify::{Hashed, hash, many};

use super::confined::recall;

/// Where files are moved to, below the place that they lay in. No manager looks into it.
const AWAY: &str = ".v4run-refused";

/// Directories below a place; more are a loop or nobody's making.
const DEPTH: usize = 64;

/// What is known of kept files.
struct Known {
    recall: Option<Recall>,
    pinned: Vec<(PathBuf, Integrity)>,
    /// What the proxy gave out in this run where content may change.
    served: HashSet<Digest>,
}

impl Known {
    fn new(prepared: &Prepared) -> Result<Self, Finding> {
        let pinned = prepared.files.pinned.iter();
        Ok(Self {
            recall: recall(prepared)?,
            pinned: pinned
                .map(|(path, integrity)| (path.into(), integrity.clone()))
                .collect(),
            served: HashSet::new(),
        })
    }

    /// What is known of the file at that path, and its digest.
    fn of(&self, path: &Path) -> std::io::Result<(Recalled, Digest)> {
        let pin = self.pinned.iter().find(|(pinned, _)| pinned == path);
        let pin = pin.map(|(_, integrity)| integrity);
        let hashed = Hashed::read(File::open(path)?, pin)?;
        let digests = hashed.digests();
        let sha256 = digests.sha256.clone();
        let recalled = match (pin, &self.recall) {
            (Some(pin), _) if digests.keep(pin) => Recalled::Same,
            (Some(pin), _) => {
                let stated = pin.deciding().next().cloned();
                stated.map_or(Recalled::Unknown, Recalled::Changed)
            }
            (None, Some(recall)) => recall.of(path, digests).map_err(std::io::Error::other)?,
            (None, None) => Recalled::Unknown,
        };
        Ok((recalled, sha256))
    }
}

/// Compares once more what the run had to do with.
pub(super) fn compare(
    manager: &'static dyn Manager,
    prepared: &Prepared,
    events: &[Event],
) -> Result<Vec<Event>, Finding> {
    if prepared.files.kept.is_empty() {
        return Ok(Vec::new());
    }
    let mut known = Known::new(prepared)?;
    known.served = events
        .iter()
        .filter_map(|event| {
            if let Event::MetadataServed { sha256, .. } = event {
                sha256.clone()
            } else {
                None
            }
        })
        .collect();
    let files = manager.kept(&prepared.notes, events);
    let told = many::each(&files, |file| one(&known, file));
    let mut told: Vec<(PathBuf, Event)> = told.into_iter().flatten().collect();
    told.sort_by(|(one, _), (other, _)| one.cmp(other));
    let compared = files.len();
    let mut told: Vec<Event> = told.into_iter().map(|(_, event)| event).collect();
    told.push(Event::KeptCompared {
        files: compared as u64,
    });
    Ok(told)
}

/// What there is to say of one file: nothing, when it is what was verified in this run.
fn one(known: &Known, file: &KeptFile) -> Option<(PathBuf, Event)> {
    let path = &file.path;
    let told = |event| Some((path.clone(), event));
    if let Some(verified) = &file.digest {
        match File::open(path).and_then(|held| hash::sha256_of(&held)) {
            Ok(now) if now == *verified || known.served.contains(&now) => return None,
            // The manager did not keep it.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Ok(_) | Err(_) => {}
        }
    }
    let shown = path.display().to_string();
    match known.of(path) {
        Ok((Recalled::Same, _)) if file.digest.is_some() => None,
        Ok((Recalled::Same, sha256)) => told(Event::Compared {
            path: shown,
            sha256,
        }),
        Ok((Recalled::Changed(expected), sha256)) => told(Event::Found(changed(
            shown,
            &format!("expected {expected}\ncomputed {sha256}"),
        ))),
        Ok((Recalled::Unknown, sha256)) => match &file.digest {
            Some(verified) => told(Event::Found(changed(
                shown,
                &format!("verified {verified}\ncomputed {sha256}"),
            ))),
            None => {
                let message = format!(
                    "`{shown}` was used, and nothing that is known names its digest\ncomputed {sha256}"
                );
                told(Event::Found(
                    Finding::new(Code::FileUnverified, shown, message).with_hint(HINT),
                ))
            }
        },
        Err(error) => {
            let message = format!("`{shown}` cannot be compared once more: {error}");
            told(Event::Found(Finding::new(
                Code::FileUnverified,
                shown,
                message,
            )))
        }
    }
}

const HINT: &str = "`v4run --repair` moves it away, so that it is fetched again and verified";

fn changed(shown: String, digests: &str) -> Finding {
    let message = format!("`{shown}` is not what was verified when the run is over\n{digests}");
    Finding::new(Code::FileMismatch, shown, message).with_hint(HINT)
}

/// Moves away what is not what it should be.
pub(super) fn repair(
    manager: &'static dyn Manager,
    prepared: &Prepared,
    recorder: &Recorder,
) -> Result<(), Finding> {
    if prepared.files.kept.is_empty() {
        let message = "nothing to repair: this package manager keeps no artifacts between runs";
        return Err(Finding::new(Code::Usage, "--repair", message));
    }
    let known = Known::new(prepared)?;
    for place in &prepared.files.kept {
        let place = Path::new(place);
        let mut files = Vec::new();
        walk(place, 0, &mut files);
        for path in files {
            let covered = known.recall.as_ref().is_some_and(|kept| kept.covers(&path))
                || known.pinned.iter().any(|(pinned, _)| *pinned == path);
            if !covered {
                continue;
            }
            let failed = |what: &str, error: std::io::Error| {
                let shown = path.display().to_string();
                let message = format!("`{shown}` cannot be {what}: {error}");
                Finding::new(Code::Usage, shown, message)
            };
            let (recalled, _) = known.of(&path).map_err(|error| failed("read", error))?;
            let moves = match recalled {
                Recalled::Same => false,
                Recalled::Changed(_) => true,
                Recalled::Unknown => manager.came_from_repository(&path),
            };
            if moves {
                let to = away(place, &path).map_err(|error| failed("moved away", error))?;
                let shown = path.display().to_string();
                let message = format!(
                    "`{shown}` was not what was verified and is `{}` now",
                    to.display()
                );
                recorder.send(Event::Found(Finding::new(
                    Code::FileRepaired,
                    shown,
                    message,
                )));
            }
        }
    }
    Ok(())
}

/// Files below a directory; links are followed nowhere.
fn walk(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        if kind.is_file() {
            files.push(entry.path());
        } else if kind.is_dir() && depth < DEPTH && entry.file_name() != AWAY {
            walk(&entry.path(), depth.saturating_add(1), files);
        }
    }
}

/// Moves a file of a place to where nobody looks, under a name that is free.
fn away(place: &Path, path: &Path) -> std::io::Result<PathBuf> {
    let below = path.strip_prefix(place).map_err(std::io::Error::other)?;
    let wanted = place.join(AWAY).join(below);
    if let Some(parent) = wanted.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut to = wanted.clone();
    let mut number = 0_u32;
    while to.symlink_metadata().is_ok() {
        number = number.saturating_add(1);
        let mut name = wanted.clone().into_os_string();
        name.push(format!(".{number}"));
        to = name.into();
    }
    fs::rename(path, &to)?;
    Ok(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::hash::sha256;

    fn known(pinned: Vec<(PathBuf, Integrity)>) -> Known {
        Known {
            recall: None,
            pinned,
            served: HashSet::from([sha256(b"served")]),
        }
    }

    #[test]
    fn a_file_that_changed_meanwhile_is_named_and_one_that_is_gone_is_not() {
        let guard = tempfile::tempdir().unwrap();
        let path = guard.path().join("x.jar");
        fs::write(&path, b"now").unwrap();
        let told = |known: &Known, digest: Option<&[u8]>| {
            let file = KeptFile {
                path: path.clone(),
                digest: digest.map(sha256),
            };
            match one(known, &file) {
                Some((_, Event::Found(finding))) => Some(finding.code),
                Some((_, Event::Compared { .. })) => None,
                None => None,
                other => panic!("{other:?}"),
            }
        };
        let nothing = known(Vec::new());
        assert_eq!(told(&nothing, Some(b"now")), None);
        assert_eq!(told(&nothing, Some(b"then")), Some(Code::FileMismatch));
        assert_eq!(told(&nothing, None), Some(Code::FileUnverified));
        let pinned = |content| known(vec![(path.clone(), Integrity::of(sha256(content)))]);
        assert_eq!(told(&pinned(b"now"), None), None);
        assert_eq!(told(&pinned(b"then"), None), Some(Code::FileMismatch));
        fs::write(&path, b"served").unwrap();
        assert_eq!(told(&nothing, Some(b"then")), None);
        fs::remove_file(&path).unwrap();
        assert_eq!(told(&nothing, Some(b"now")), None);
    }

    #[test]
    fn what_is_moved_away_keeps_its_name_and_nothing_is_overwritten() {
        let guard = tempfile::tempdir().unwrap();
        let path = guard.path().join("g/x/1/x-1.jar");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        for content in ["a", "b"] {
            fs::write(&path, content).unwrap();
            away(guard.path(), &path).unwrap();
        }
        let first = guard.path().join(AWAY).join("g/x/1/x-1.jar");
        assert_eq!(fs::read(&first).unwrap(), b"a");
        assert_eq!(fs::read(first.with_extension("jar.1")).unwrap(), b"b");
        let mut files = Vec::new();
        walk(guard.path(), 0, &mut files);
        assert!(files.is_empty(), "{files:?}");
    }
}
