//! Unpacked jars: put what is in them where the plugin put names, when nothing can run any more.
//!
//! A goal like `dependency:unpack` gets of a jar that nobody answers for an outline: each name with a
//! short text under it that says which entry of which jar it stands for. What the plugin leaves out or
//! renames by its own rules stays left out and renamed. After the run, when no process of it is left,
//! each such text below the build's output directories is replaced by the entry, of a jar that is
//! verified once more. A text of anybody else can only name entries of jars that this run verified.
//!
//! It does not decide where files lie: that is the plugin's, within what the run may write.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::{view, whole};
use crate::model::{Code, Digest, Event, Finding};
use crate::verify::hash;

/// The words around the number and the digest.
const WORDS: [&str; 3] = [
    "v4run: entry ",
    " of ",
    " stands here until the run is over\n",
];

/// Bytes of a text.
const LONGEST: u64 = 256;

/// What stands for an entry of the jar with that digest.
pub(super) fn stand_in(entry: usize, jar: &Digest) -> Vec<u8> {
    let [before, between, after] = WORDS;
    format!("{before}{entry}{between}{jar}{after}").into_bytes()
}

/// The entry and the digest of a text.
fn stood(text: &str) -> Option<(usize, &str)> {
    let [before, between, after] = WORDS;
    let inner = text.strip_prefix(before)?.strip_suffix(after)?;
    let (entry, jar) = inner.split_once(between)?;
    Some((entry.parse().ok()?, jar))
}

/// A jar that is unpacked, and the files that its entries belong to.
struct Unpacked<'a> {
    path: &'a Path,
    sha256: &'a Digest,
    files: BTreeMap<usize, Vec<PathBuf>>,
}

/// Puts entries in place of their texts.
pub(super) fn deliver(files: &[PathBuf], events: &[Event]) -> Vec<Event> {
    let mut jars = BTreeMap::new();
    for (path, sha256) in whole::stood_for(events) {
        let jar = Unpacked {
            path,
            sha256,
            files: BTreeMap::new(),
        };
        jars.insert(sha256.to_string(), jar);
    }
    for file in files {
        let Some(text) = text(file) else { continue };
        if let Some((entry, jar)) = stood(&text)
            && let Some(jar) = jars.get_mut(jar)
        {
            jar.files.entry(entry).or_default().push(file.clone());
        }
    }
    let used = jars.values().filter(|jar| !jar.files.is_empty());
    used.flat_map(one).collect()
}

/// A file that may be a text.
fn text(file: &Path) -> Option<String> {
    let short = fs::symlink_metadata(file).is_ok_and(|data| data.len() <= LONGEST);
    short.then(|| fs::read_to_string(file).ok())?
}

fn one(jar: &Unpacked<'_>) -> Vec<Event> {
    let mut events = Vec::new();
    let mut done = 0_usize;
    let result = verified(jar).and_then(|held| {
        let numbers = jar.files.keys().copied();
        let mut put = |number, content: Result<Vec<u8>, view::ViewError>| {
            for file in jar.files.get(&number).into_iter().flatten() {
                let content = content.as_ref().map_err(|error| error.to_string());
                let put = content.and_then(|content| {
                    whole::put_like(file, content).map_err(|error| error.to_string())?;
                    Ok(hash::sha256(content))
                });
                done = done.saturating_add(1);
                events.push(match put {
                    Ok(sha256) => Event::DeliveredWhole {
                        path: file.display().to_string(),
                        sha256,
                    },
                    Err(error) => Event::Found(failed(file, &error)),
                });
            }
        };
        view::contents(&held, numbers, &mut put).map_err(io::Error::other)
    });
    if let Err(error) = result {
        // Entries come in the order of the files here, so these are the ones that are left.
        let left = jar.files.values().flatten().skip(done);
        events.extend(left.map(|file| Event::Found(failed(file, &error.to_string()))));
    }
    events
}

fn failed(file: &Path, error: &str) -> Finding {
    let shown = file.display().to_string();
    let message = format!(
        "`{shown}` was unpacked as a name only, and what belongs there cannot be put: {error}"
    );
    Finding::new(Code::FileMismatch, shown, message)
}

/// The jar, if it is still what was verified.
fn verified(jar: &Unpacked<'_>) -> io::Result<File> {
    let held = File::open(jar.path)?;
    match hash::sha256_of(&held)? == *jar.sha256 {
        true => Ok(held),
        false => Err(io::Error::other("the jar is not what was verified")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_replaced_by_its_entry_of_a_jar_that_is_still_the_same() {
        let guard = tempfile::tempdir().unwrap();
        let root = guard.path().canonicalize().unwrap();
        let entries = [("a/B.class", b"one".to_vec()), ("c.txt", b"other".to_vec())];
        let bytes = view::packed(&entries).unwrap();
        let jar = root.join("x-1.jar");
        fs::write(&jar, &bytes).unwrap();
        let sha256 = hash::sha256(&bytes);
        let events = [Event::HandedOut {
            path: jar.display().to_string(),
            sha256: sha256.clone(),
            trusted: None,
        }];
        let file = |name: &str, content: &[u8]| {
            let path = root.join(name);
            fs::write(&path, content).unwrap();
            path
        };
        let class = file("Renamed.class", &stand_in(0, &sha256));
        let other = file("other", &stand_in(0, &hash::sha256(b"nobody's")));
        let wrong = file("wrong", &stand_in(7, &sha256));
        let plain = file("plain", b"text");
        let files = [class.clone(), other.clone(), plain.clone()];
        let delivered = deliver(&files, &events);
        assert!(
            matches!(delivered.as_slice(), [Event::DeliveredWhole { sha256, .. }] if *sha256 == hash::sha256(b"one")),
            "{delivered:?}"
        );
        assert_eq!(fs::read(&class).unwrap(), b"one");
        assert_eq!(fs::read(&plain).unwrap(), b"text");
        assert_eq!(
            fs::read(&other).unwrap().len() as u64,
            fs::metadata(&other).unwrap().len()
        );
        let refused = |files: &[PathBuf]| {
            let delivered = deliver(files, &events);
            matches!(delivered.as_slice(), [Event::Found(finding)] if finding.code == Code::FileMismatch)
        };
        assert!(refused(&[wrong]));
        fs::write(&class, stand_in(0, &sha256)).unwrap();
        fs::write(&jar, b"changed").unwrap();
        assert!(refused(&[class]));
    }

    #[test]
    fn only_the_very_words_are_a_text() {
        let jar = hash::sha256(b"x");
        let text = String::from_utf8(stand_in(12, &jar)).unwrap();
        assert_eq!(stood(&text), Some((12, jar.to_string().as_str())));
        assert!(text.len() as u64 <= LONGEST);
        for other in [text.trim_end(), &text.replace("12", "-1"), ""] {
            assert_eq!(stood(other), None);
        }
    }
}
