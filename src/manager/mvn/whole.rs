//! Whole jars for goals that copy them: put where the copies lie, when nothing can run any more.
//!
//! What a goal like `dependency:copy-dependencies` copies is what Maven was shown: jars without their
//! code. The same jar always gives the same view, so after the run, when no process of it is left, each
//! file of the build's output directories that is such a view is replaced by the jar that it was made
//! of, which is verified once more while it is copied. So no class loader of the run ever had code that
//! nobody answers for, whichever realm a jar was slipped into. What is packed into another archive is
//! not found here; packagings that do so are refused before the start.
//!
//! Files are written beside their place and renamed; links are followed nowhere.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::view::{self, Form};
use crate::manager::Prepared;
use crate::model::{Code, Digest, Event, Finding};
use crate::verify::hash;

/// Directories below an output directory.
const DEPTH: usize = 32;

/// A jar that Maven had a view of.
struct Original {
    path: PathBuf,
    sha256: Digest,
}

/// Puts whole jars in place of their views below those directories.
pub(super) fn deliver(prepared: &Prepared, events: &[Event]) -> Vec<Event> {
    let mut files = Vec::new();
    for place in &prepared.files.own {
        let place = Path::new(place);
        // A project may have a link there; what it leads to is not the run's to change.
        if place.canonicalize().is_ok_and(|real| real == place) {
            archives(place, 0, &mut files);
        }
    }
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

/// The jars that Maven had views of, by the digest of the view.
fn originals(events: &[Event]) -> BTreeMap<Digest, Original> {
    let mut found = BTreeMap::new();
    for event in events {
        let Event::HandedOut {
            path,
            sha256,
            trusted: None,
        } = event
        else {
            continue;
        };
        let Ok(file) = File::open(path) else { continue };
        if let Ok(view) = view::of(&file, Form::Compiler) {
            let original = Original {
                path: PathBuf::from(path),
                sha256: sha256.clone(),
            };
            found.insert(hash::sha256(&view.bytes), original);
        }
    }
    found
}

/// Files below a directory that could be copies.
fn archives(directory: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        let path = entry.path();
        if kind.is_dir() && depth < DEPTH {
            archives(&path, depth.saturating_add(1), files);
        } else if kind.is_file() && path.extension().is_some_and(|end| end != "class") {
            files.push(path);
        }
    }
}

/// Copies what was verified, and nothing else, to the place of the view.
fn replace(file: &Path, original: &Original) -> io::Result<()> {
    let directory = file.parent().unwrap_or(Path::new("/"));
    let mut copy = tempfile::NamedTempFile::new_in(directory)?;
    io::copy(&mut File::open(&original.path)?, copy.as_file_mut())?;
    if hash::sha256_of(copy.as_file())? != original.sha256 {
        return Err(io::Error::other("it is not what was verified"));
    }
    copy.as_file()
        .set_permissions(fs::metadata(file)?.permissions())?;
    copy.persist(file).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_copy_of_a_view_becomes_the_jar_and_only_while_it_is_the_same() {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path().canonicalize().unwrap();
        let jar = root.join("x-1.jar");
        let entries = [("a/B.class", b"\xca\xfe\xba\xbe".to_vec())];
        fs::write(&jar, view::packed(&entries).unwrap()).unwrap();
        let sha256 = hash::sha256_of(&File::open(&jar).unwrap()).unwrap();
        let events = [Event::HandedOut {
            path: jar.display().to_string(),
            sha256: sha256.clone(),
            trusted: None,
        }];
        let shown = view::of(&File::open(&jar).unwrap(), Form::Compiler).unwrap();
        let known = originals(&events);
        let original = &known[&hash::sha256(&shown.bytes)];
        let copy = root.join("out.jar");
        fs::write(&copy, &shown.bytes).unwrap();
        replace(&copy, original).unwrap();
        assert_eq!(fs::read(&copy).unwrap(), fs::read(&jar).unwrap());
        fs::write(&copy, &shown.bytes).unwrap();
        fs::write(&jar, "changed").unwrap();
        assert!(replace(&copy, original).is_err());
        assert_eq!(fs::read(&copy).unwrap(), shown.bytes);
        let mut files = Vec::new();
        archives(&root, 0, &mut files);
        assert_eq!(files.len(), 2, "{files:?}");
    }
}
