//! The lock: checksums that the project holds of the artifacts it uses.
//!
//! Maven has no lockfile. What it has, from 3.9 on, is a summary of trusted checksums: one line an
//! artifact, digest and path in the repository layout, as GNU's `sha256sum` writes it. v4run reads
//! and writes the same file, so that the two agree about what is used. Files are looked for in
//! `.mvn/checksums` of the project: `checksums.sha256`, `checksums.sha512`, and those that name a
//! repository (`checksums-ID.sha256`). A digest belongs to the artifact wherever it comes from: two
//! files that name different ones for it contradict each other, and that artifact is refused.
//!
//! A file states by a comment, which Maven passes over, that it names everything that may be used.
//! The lock is anchor, not permission: whoever can change it is whoever reviews the project.
//! <https://maven.apache.org/resolver/local-repository.html>,
//! <https://maven.apache.org/resolver/expected-checksums.html>.

mod read;
mod write;

pub(super) use self::write::from_events;

use std::collections::BTreeMap;
use std::path::Path;

use crate::manager::read::{self as bounded};
use crate::model::{Algorithm, Code, Event, Expected, Finding, Integrity};

/// Where locks lie below the directory of the whole build.
pub(super) const DIRECTORY: &str = ".mvn/checksums";

/// The comment by which a file says that it is complete.
const COMPLETE: &str = "# v4run: complete";

/// A lock of a hundred thousand artifacts has some twenty megabytes.
const LIMIT: u64 = 64 << 20;

/// Files with a name of their own for each repository; more are of nobody's making.
const FILES: usize = 64;

/// Reads a file of either digest.
#[cfg(any(test, feature = "fuzz"))]
pub(super) fn fuzz(bytes: &[u8]) {
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let _ = read::text("fuzz", algorithm, bytes);
    }
}

/// What the locks of a project say.
#[derive(Debug, Default)]
pub(super) struct Locks {
    /// One statement a line.
    pub(super) expected: Vec<Expected>,
    /// The strongest digest of each path below a repository.
    pub(super) paths: BTreeMap<String, Integrity>,
    /// Whether nothing else may be used.
    pub(super) complete: bool,
    /// Files read.
    pub(super) events: Vec<Event>,
    /// Files that cannot be read, and files that are no anchor.
    pub(super) findings: Vec<Finding>,
}

/// Reads the locks of the build in that directory, which is canonical.
pub(super) fn find(project: &Path) -> Locks {
    let mut locks = Locks::default();
    let directory = project.join(DIRECTORY);
    let entries = match std::fs::read_dir(&directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return locks,
        Err(error) => {
            locks
                .findings
                .push(invalid(&directory, None, &error.to_string()));
            return locks;
        }
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| algorithm(name).is_some())
        .take(FILES)
        .collect();
    names.sort_unstable();
    for name in names {
        let Some(algorithm) = algorithm(&name) else {
            continue;
        };
        if let Err(finding) = load(project, &directory.join(&name), algorithm, &mut locks) {
            locks.findings.push(finding);
        }
    }
    locks
}

/// The hash function of a file of that name, if it is a lock.
fn algorithm(name: &str) -> Option<Algorithm> {
    let rest = name.strip_prefix("checksums")?;
    let (repository, extension) = rest.rsplit_once('.')?;
    if !repository.is_empty() && !repository.starts_with('-') {
        return None;
    }
    match extension {
        "sha512" => Some(Algorithm::Sha512),
        "sha256" => Some(Algorithm::Sha256),
        "sha1" => Some(Algorithm::Sha1),
        "md5" => Some(Algorithm::Md5),
        _ => None,
    }
}

fn load(
    project: &Path,
    path: &Path,
    algorithm: Algorithm,
    locks: &mut Locks,
) -> Result<(), Finding> {
    if !algorithm.is_strong() {
        let message = format!(
            "{} suffices for nothing, so it is no lock",
            algorithm.name()
        );
        let shown = path.display().to_string();
        let note = Finding::new(Code::ConfigIgnored, shown, message);
        locks
            .findings
            .push(note.with_hint("write it with SHA-256 or SHA-512"));
        return Ok(());
    }
    let read = bounded::inside(project, path, LIMIT);
    let bytes = read.map_err(|error| invalid(path, None, &error.to_string()))?;
    let Some(bytes) = bytes else { return Ok(()) };
    let shown = path.strip_prefix(project).unwrap_or(path).display();
    let shown = shown.to_string();
    if let Some(sha256) = bounded::sha256(&bytes) {
        locks.events.push(Event::InputRead {
            name: shown.clone(),
            path: path.display().to_string(),
            sha256,
        });
    }
    let text = read::text(&shown, algorithm, &bytes)
        .map_err(|error| invalid(path, error.line(), &error.to_string()))?;
    locks.expected.extend(text.expected);
    for (path, digest) in text.paths {
        let known = locks.paths.get(&path).map(Integrity::algorithm);
        if known.is_none_or(|known| known < digest.algorithm()) {
            locks.paths.insert(path, Integrity::of(digest));
        }
    }
    locks.complete |= text.complete;
    Ok(())
}

fn invalid(path: &Path, line: Option<usize>, message: &str) -> Finding {
    let subject = match line {
        Some(line) => format!("{}:{line}", path.display()),
        None => path.display().to_string(),
    };
    Finding::new(Code::LockInvalid, subject, message).with_hint(
        "recreate it with `v4run lock` from the record of a run, or with `sha256sum` below the \
         local repository",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Anchor;

    fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join(DIRECTORY);
        std::fs::create_dir_all(&place).unwrap();
        for (name, text) in files {
            std::fs::write(place.join(name), text).unwrap();
        }
        directory
    }

    #[test]
    fn every_file_of_a_project_is_read() {
        let (short, long) = ("ab".repeat(32), "cd".repeat(64));
        let directory = project(&[
            (
                "checksums.sha256",
                &format!("{COMPLETE}\n{short}  g/x/1/x-1.jar\n"),
            ),
            (
                "checksums-central.sha512",
                &format!("{long}  g/x/1/x-1.pom\n"),
            ),
            ("checksums.sha1", "anything"),
            ("checksumsx.sha256", "anything"),
            ("notes.sha256", "anything"),
        ]);
        let root = directory.path().canonicalize().unwrap();
        let locks = find(&root);
        assert!(locks.complete);
        let stated: Vec<_> = locks
            .expected
            .iter()
            .map(|one| (one.stated_in.as_str(), one.file.as_deref().unwrap()))
            .collect();
        assert_eq!(
            stated,
            [
                (".mvn/checksums/checksums-central.sha512:1", "x-1.pom"),
                (".mvn/checksums/checksums.sha256:2", "x-1.jar"),
            ]
        );
        assert!(
            locks
                .expected
                .iter()
                .all(|one| one.anchor == Anchor::Lockfile)
        );
        assert_eq!(locks.events.len(), 2);
        let [note] = locks.findings.as_slice() else {
            panic!("{:?}", locks.findings)
        };
        assert_eq!(note.code, Code::ConfigIgnored);
        assert!(find(&root.join("none")).findings.is_empty());
    }

    #[test]
    fn a_broken_file_is_named_with_its_line() {
        let directory = project(&[("checksums.sha256", "# fine\n\nabc  g/x/1/x-1.jar\n")]);
        let root = directory.path().canonicalize().unwrap();
        let locks = find(&root);
        assert!(locks.expected.is_empty() && !locks.complete);
        let [finding] = locks.findings.as_slice() else {
            panic!("{:?}", locks.findings)
        };
        assert_eq!(finding.code, Code::LockInvalid);
        assert!(
            finding.subject.ends_with("checksums.sha256:3"),
            "{finding:?}"
        );
    }

    #[test]
    fn a_lock_is_a_file_of_the_project() {
        let directory = project(&[]);
        let other = project(&[("x", "")]);
        let outside = other.path().join(DIRECTORY).join("x");
        let link = directory.path().join(DIRECTORY).join("checksums.sha256");
        std::os::unix::fs::symlink(outside, link).unwrap();
        let locks = find(&directory.path().canonicalize().unwrap());
        assert_eq!(locks.findings[0].code, Code::LockInvalid);
    }
}
