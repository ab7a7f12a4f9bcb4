//! Web applications: put whole jars into what was packed of views, when nothing can run any more.
//!
//! A build that packs the jars of components compiles against them too, so Maven sees them as the compiler
//! does, and copies and packs that view. It is as long as the jar, because whoever copies compares that.
//! After the run, when no process of it is left, each copy of a view below the build's output directories
//! is replaced by the jar, and each archive that holds such copies is written again with the jars in it. Views are known by their digest: the same jar always has the same
//! view. Jars of components are verified once more; those of other modules are the build's own.
//!
//! Only a run that succeeded is put in order: a build that failed leaves archives of views, as it leaves
//! other things half done.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::view::{self, Form, ViewError};
use super::whole::{Original, put_like, replace, stood_for};
use crate::model::{Code, Digest, Event, Finding};
use crate::verify::hash;

/// Ending of what is made of jars.
const PACKED: &str = "war";

/// Jars by the digest of their view.
type Views = BTreeMap<Digest, Original>;

/// Puts jars in place of their views.
pub(super) fn deliver(files: &[PathBuf], events: &[Event]) -> Vec<Event> {
    let ends = |end: &str| {
        let end = end.to_owned();
        let of = move |file: &&PathBuf| file.extension().is_some_and(|own| *own == *end);
        files.iter().filter(of)
    };
    let mut views = Views::new();
    for (path, sha256) in stood_for(events) {
        add(&mut views, path, Some(sha256));
    }
    for file in ends("jar") {
        add(&mut views, file, None);
    }
    // Archives first: what is copied beside them is replaced below, and is nothing's view any more.
    let mut delivered: Vec<Event> = ends(PACKED)
        .filter_map(|file| told(file, pack(file, &views)))
        .collect();
    let copies = ends("jar").filter_map(|file| {
        let held = File::open(file).ok()?;
        let sha256 = hash::sha256_of(&held).ok()?;
        let original = views.get(&sha256)?;
        let done = replace(file, original).map(|()| Some(original.sha256.clone()));
        told(file, done)
    });
    delivered.extend(copies);
    delivered
}

/// Adds a jar that something may stand for. What the run verified comes first.
fn add(views: &mut Views, path: &Path, sha256: Option<&Digest>) {
    let read = || {
        let held = File::open(path).ok()?;
        let own = hash::sha256_of(&held).ok()?;
        let view = view::of(&held, Form::Packed).ok()?;
        let view = hash::sha256(&view.bytes);
        let same = sha256.is_none_or(|sha256| *sha256 == own);
        (same && view != own).then_some((view, own))
    };
    if let Some((view, sha256)) = read() {
        let path = path.to_path_buf();
        views.entry(view).or_insert(Original { path, sha256 });
    }
}

fn told(file: &Path, done: io::Result<Option<Digest>>) -> Option<Event> {
    let path = file.display().to_string();
    match done {
        Ok(Some(sha256)) => Some(Event::DeliveredWhole { path, sha256 }),
        Ok(None) => None,
        Err(error) => {
            let message = format!(
                "`{path}` was made of jars without their code, and the jars cannot be put in their \
                 place: {error}"
            );
            Some(Event::Found(Finding::new(
                Code::FileMismatch,
                path,
                message,
            )))
        }
    }
}

/// Writes an archive again with whole jars in it; nothing when it holds no view.
fn pack(file: &Path, views: &Views) -> io::Result<Option<Digest>> {
    let held = File::open(file)?;
    let mut whole = |name: &str, content: &[u8]| {
        if !name.ends_with(".jar") {
            return Ok(None);
        }
        let original = views.get(&hash::sha256(content));
        original.map(verified).transpose().map_err(ViewError::Read)
    };
    let packed = view::repacked(&held, &mut whole).map_err(io::Error::other)?;
    let Some(packed) = packed else {
        return Ok(None);
    };
    put_like(file, &packed)?;
    Ok(Some(hash::sha256(&packed)))
}

/// The bytes of a jar, if they are still what was verified.
fn verified(original: &Original) -> io::Result<Vec<u8>> {
    let bytes = fs::read(&original.path)?;
    match hash::sha256(&bytes) == original.sha256 {
        true => Ok(bytes),
        false => Err(io::Error::other("a jar is not what was verified")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view_of(jar: &Path) -> Vec<u8> {
        view::of(&File::open(jar).unwrap(), Form::Packed)
            .unwrap()
            .bytes
    }

    #[test]
    fn copies_and_archives_of_views_hold_the_jars_when_it_is_over() {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path().canonicalize().unwrap();
        let jar = root.join("x-1.jar");
        let native = [
            ("lib/x.so", [b"\x7fELF".to_vec(), vec![1; 99]].concat()),
            ("a.txt", b"a".to_vec()),
        ];
        let bytes = view::packed(&native).unwrap();
        fs::write(&jar, &bytes).unwrap();
        let seen = view_of(&jar);
        assert_ne!(seen, bytes);
        assert_eq!(seen.len(), bytes.len());
        let (copy, archive, other) = (root.join("lib.jar"), root.join("a.war"), root.join("b.war"));
        fs::write(&copy, &seen).unwrap();
        assert_eq!(view_of(&copy), seen, "a view of a view is itself");
        let text = ("index.html", b"<p>".to_vec());
        let with = |content: &[u8]| {
            let entries = [("WEB-INF/lib/x-1.jar", content.to_vec()), text.clone()];
            view::packed(&entries).unwrap()
        };
        fs::write(&archive, with(&seen)).unwrap();
        fs::write(&other, with(b"no view")).unwrap();
        let events = [Event::HandedOut {
            path: jar.display().to_string(),
            sha256: hash::sha256(&bytes),
            trusted: None,
        }];
        let files = [copy.clone(), archive.clone(), other.clone()];
        assert_eq!(deliver(&files, &events).len(), 2);
        assert_eq!(fs::read(&copy).unwrap(), bytes);
        assert_eq!(fs::read(&archive).unwrap(), with(&bytes));
        assert_eq!(fs::read(&other).unwrap(), with(b"no view"));
        assert!(deliver(&files, &events).is_empty());
        // A jar that is no longer what was verified is put nowhere.
        fs::write(&archive, with(&seen)).unwrap();
        fs::remove_file(&copy).unwrap();
        fs::write(&jar, b"changed").unwrap();
        assert!(deliver(std::slice::from_ref(&archive), &events).is_empty());
        assert_eq!(fs::read(&archive).unwrap(), with(&seen));
    }
}
