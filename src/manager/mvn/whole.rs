//! Whole jars for goals that copy them: put where the copies lie, when nothing can run any more.
//!
//! A goal like `dependency:copy-dependencies` copies files and reads nothing of them. What it gets of a
//! jar that nobody answers for is a stand-in: as long as the jar, because Maven compares lengths, and no
//! archive, so that no class loader finds anything in it. After the run, when no process of it is left,
//! each file below the build's output directories that is such a stand-in is replaced by its jar, which
//! is verified once more while it is copied. So code that nobody answers for is never within reach of
//! the run, whichever realm it was slipped into. Other goals read jars and are not run beside these.
//!
//! Files are written beside their place and renamed; links are followed nowhere.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{packed, unpacked};
use crate::manager::Prepared;
use crate::model::{Code, Digest, Event, Finding, StandIns};
use crate::verify::hash;

/// Directories below an output directory; no path can have more.
const DEPTH: usize = 2048;

/// What stands for a jar of that length and digest.
pub(super) fn stand_in(length: u64, sha256: &Digest) -> Vec<u8> {
    let mut bytes = format!("v4run: stands for {sha256} until the run is over\n").into_bytes();
    bytes.resize(usize::try_from(length).unwrap_or(usize::MAX), 0);
    bytes
}

/// A jar that something stood for.
#[derive(Clone, Debug)]
pub(super) struct Original {
    pub(super) path: PathBuf,
    pub(super) sha256: Digest,
}

/// Puts what is whole in place of what stood for it below the output directories.
pub(super) fn deliver(prepared: &Prepared, events: &[Event]) -> Vec<Event> {
    let trust = prepared.files.trust.as_ref();
    let stand_ins = trust.map(|trust| trust.stand_ins).unwrap_or_default();
    if stand_ins == StandIns::None {
        return Vec::new();
    }
    let mut files = Vec::new();
    for place in &prepared.files.own {
        let place = Path::new(place);
        // A project may have a link there; what it leads to is not the run's to change.
        if place.canonicalize().is_ok_and(|real| real == place) {
            below(place, 0, &mut files);
        }
    }
    match stand_ins {
        StandIns::Entries => return unpacked::deliver(&files, events),
        StandIns::Views => return packed::deliver(&files, events),
        StandIns::None | StandIns::Files => {}
    }
    files.retain(|path| path.extension().is_none_or(|end| end != "class"));
    if files.is_empty() {
        return Vec::new();
    }
    let originals = originals(events);
    files
        .iter()
        .filter_map(|file| {
            let held = File::open(file).ok()?;
            let sha256 = hash::sha256_of(&held).ok()?;
            let original = originals.get(&sha256)?;
            let shown = file.display().to_string();
            Some(match replace(file, original) {
                Ok(()) => Event::DeliveredWhole {
                    path: shown,
                    sha256: original.sha256.clone(),
                },
                Err(error) => {
                    let message = format!(
                        "`{shown}` was copied without its code, and the jar itself cannot be put in \
                         its place: {error}"
                    );
                    Event::Found(Finding::new(Code::FileMismatch, shown, message))
                }
            })
        })
        .collect()
}

/// The files that something stood for, with their digests.
pub(super) fn stood_for(events: &[Event]) -> impl Iterator<Item = (&Path, &Digest)> {
    events.iter().filter_map(|event| {
        let Event::HandedOut {
            path,
            sha256,
            trusted: None,
        } = event
        else {
            return None;
        };
        Some((Path::new(path), sha256))
    })
}

/// The jars that something stood for, by its digest.
fn originals(events: &[Event]) -> BTreeMap<Digest, Original> {
    let mut found = BTreeMap::new();
    for (path, sha256) in stood_for(events) {
        let Ok(data) = fs::metadata(path) else {
            continue;
        };
        let original = Original {
            path: PathBuf::from(path),
            sha256: sha256.clone(),
        };
        found.insert(hash::sha256(&stand_in(data.len(), sha256)), original);
    }
    found
}

/// Files below a directory.
fn below(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        let path = entry.path();
        if kind.is_dir() && depth < DEPTH {
            below(&path, depth.saturating_add(1), files);
        } else if kind.is_file() {
            files.push(path);
        }
    }
}

/// Copies what was verified, and nothing else, to the place of the stand-in.
pub(super) fn replace(file: &Path, original: &Original) -> io::Result<()> {
    put(file, |copy| {
        io::copy(&mut File::open(&original.path)?, copy)?;
        match hash::sha256_of(copy)? == original.sha256 {
            true => copy.set_permissions(fs::metadata(file)?.permissions()),
            false => Err(io::Error::other("it is not what was verified")),
        }
    })
}

/// Puts a content in the place of a file, with the file's own rights and time.
pub(super) fn put_like(file: &Path, content: &[u8]) -> io::Result<()> {
    put(file, |copy| {
        copy.write_all(content)?;
        let before = fs::symlink_metadata(file)?;
        copy.set_permissions(before.permissions())?;
        copy.set_modified(before.modified()?)
    })
}

/// Writes beside a file and renames to its place.
fn put(file: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let directory = file.parent().unwrap_or(Path::new("/"));
    let mut copy = tempfile::NamedTempFile::new_in(directory)?;
    write(copy.as_file_mut())?;
    copy.persist(file).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_stand_in_becomes_the_jar_and_only_while_it_is_the_same() {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path().canonicalize().unwrap();
        let jar = root.join("x-1.jar");
        for length in [10, 10_000] {
            fs::write(&jar, vec![7; length]).unwrap();
            let sha256 = hash::sha256_of(&File::open(&jar).unwrap()).unwrap();
            let events = [Event::HandedOut {
                path: jar.display().to_string(),
                sha256: sha256.clone(),
                trusted: None,
            }];
            let shown = stand_in(length as u64, &sha256);
            assert_eq!(shown.len(), length);
            let known = originals(&events);
            let original = &known[&hash::sha256(&shown)];
            let copy = root.join("out.jar");
            fs::write(&copy, &shown).unwrap();
            replace(&copy, original).unwrap();
            assert_eq!(fs::read(&copy).unwrap(), vec![7; length]);
            fs::write(&copy, &shown).unwrap();
            fs::write(&jar, "changed").unwrap();
            assert!(replace(&copy, original).is_err());
            assert_eq!(fs::read(&copy).unwrap(), shown);
        }
        let mut files = Vec::new();
        below(&root, 0, &mut files);
        assert_eq!(files.len(), 2, "{files:?}");
    }
}
