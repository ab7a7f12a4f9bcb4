//! Lockfiles of Python projects as anchors: which digest each artifact must have.
//!
//! A lock counts when it lies in the working directory or beside a requirements file that is
//! installed from. It only ever adds statements: what a lock does not speak of has the index's word
//! as before, and no address of a lock is a permission to fetch from there. A lock that cannot be
//! read is refused, because then an anchor would be missing silently. One file a form.

use std::path::{Path, PathBuf};

use url::Url;

use super::requirement::normal_version;
use crate::manager::read;
use crate::model::{Algorithm, Anchor, Code, Digest, Event, Expected, Finding, Integrity, python};

mod pipfile;
mod poetry;
pub(in crate::manager) mod pylock;
pub(in crate::manager) mod record;
mod uv;
mod write;

/// Locks of large projects have a few megabytes.
const LIMIT: u64 = 64 << 20;

/// What a lock says in a form that it must not have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::manager) enum LockError {
    /// Not of its format.
    #[error("cannot be read: {0}")]
    Form(String),
    /// A version of the format that v4run does not know.
    #[error("has a version that v4run does not know: {0}")]
    Version(String),
    /// One entry.
    #[error("`{0}` {1}")]
    Entry(String, String),
}

/// Reads the text of a lock: expectations with the place of each left to [`load`].
type Reader = fn(&str) -> Result<Vec<Promise>, LockError>;

/// The forms by file name.
const FORMS: &[(&str, Reader)] = &[
    ("pylock.toml", pylock::promises),
    ("uv.lock", uv::promises),
    ("poetry.lock", poetry::promises),
    ("Pipfile.lock", pipfile::promises),
];

/// What a lock promises about one artifact, or about all artifacts of one version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::manager) struct Promise {
    /// Package name as written.
    pub(in crate::manager) name: String,
    /// Version as written.
    pub(in crate::manager) version: String,
    /// The file, when it speaks of one.
    pub(in crate::manager) file: Option<String>,
    /// Alternatives as written, `algorithm:hex`.
    pub(in crate::manager) digests: Vec<String>,
}

/// What was found.
#[derive(Debug, Default)]
pub(in crate::manager) struct Locks {
    /// Statements.
    pub(in crate::manager) expected: Vec<Expected>,
    /// Files read.
    pub(in crate::manager) events: Vec<Event>,
    /// Files that cannot be read.
    pub(in crate::manager) findings: Vec<Finding>,
}

/// Reads every lock in these directories; each file once.
pub(in crate::manager) fn find(directories: &[PathBuf]) -> Locks {
    let mut locks = Locks::default();
    let mut seen: Vec<&PathBuf> = Vec::new();
    for directory in directories {
        if seen.contains(&directory) {
            continue;
        }
        seen.push(directory);
        for (name, reader) in FORMS {
            if let Err(finding) = load(&directory.join(name), name, *reader, &mut locks) {
                locks.findings.push(finding);
            }
        }
    }
    locks
}

fn load(path: &Path, name: &str, reader: Reader, locks: &mut Locks) -> Result<(), Finding> {
    let Some(text) = text(path, &mut locks.events, name)? else {
        return Ok(());
    };
    let promises = reader(&text).map_err(|error| invalid(path, &error.to_string()))?;
    for promise in promises {
        let expected = promise.expected(name);
        locks
            .expected
            .push(expected.map_err(|error| invalid(path, &error.to_string()))?);
    }
    Ok(())
}

/// Reads a text as a lock of each kind.
#[cfg(any(test, feature = "fuzz"))]
pub(super) fn every(text: &str) {
    let readers: [Reader; 4] = [
        pipfile::promises,
        poetry::promises,
        pylock::promises,
        uv::promises,
    ];
    for promise in readers
        .iter()
        .filter_map(|reader| reader(text).ok())
        .flatten()
    {
        let _ = promise.expected("fuzz");
    }
}

/// The text of a lock, and that it was read. `None` when there is none.
pub(in crate::manager) fn text(
    path: &Path,
    events: &mut Vec<Event>,
    name: &str,
) -> Result<Option<String>, Finding> {
    let bytes = read::file(path, LIMIT).map_err(|error| invalid(path, &error.to_string()))?;
    let Some(bytes) = bytes else { return Ok(None) };
    if let Some(sha256) = read::sha256(&bytes) {
        let path = path.display().to_string();
        events.push(Event::InputRead {
            name: name.to_owned(),
            path,
            sha256,
        });
    }
    let text = String::from_utf8(bytes).map_err(|_error| invalid(path, "is not UTF-8"))?;
    Ok(Some(text))
}

/// The refusal of a lock.
pub(in crate::manager) fn invalid(path: &Path, message: &str) -> Finding {
    Finding::new(Code::LockInvalid, path.display().to_string(), message)
        .with_hint("recreate the lock with the tool that made it")
}

impl Promise {
    /// The statement for the proxy. Weak digests are left out; none but weak ones is an error.
    fn expected(self, lock: &str) -> Result<Expected, LockError> {
        let entry = |what: &str| LockError::Entry(self.name.clone(), what.to_owned());
        let name =
            python::normalize_name(&self.name).ok_or_else(|| entry("is no name of a package"))?;
        let mut digests = Vec::new();
        for text in &self.digests {
            digests.extend(digest(text).map_err(|()| entry("has a digest that cannot be read"))?);
        }
        let integrity = integrity(digests).ok_or_else(|| entry("has no digest that suffices"))?;
        Ok(Expected {
            stated_in: format!("{lock}: {name}"),
            name,
            version: normal_version(&self.version),
            file: self.file,
            url: None,
            integrity: Some(integrity),
            anchor: Anchor::Lockfile,
        })
    }
}

/// Reads `algorithm:hex`. `Ok(None)` for an algorithm that suffices for nothing or is not known.
pub(in crate::manager) fn digest(text: &str) -> Result<Option<Digest>, ()> {
    let (algorithm, hex) = text.trim().split_once([':', '=']).ok_or(())?;
    let algorithm = match algorithm {
        "sha256" => Algorithm::Sha256,
        "sha384" => Algorithm::Sha384,
        "sha512" => Algorithm::Sha512,
        _ => return Ok(None),
    };
    Digest::from_hex(algorithm, hex)
        .map(Some)
        .map_err(|_error| ())
}

/// The integrity that any one of these digests satisfies. `None` when there is none.
pub(in crate::manager) fn integrity(digests: Vec<Digest>) -> Option<Integrity> {
    Integrity::any_of(digests)
}

/// The file that an address or path of a lock names.
fn file_name(address: &str) -> Option<String> {
    let path = match Url::parse(address) {
        Ok(url) => url.path().to_owned(),
        Err(_) => address.to_owned(),
    };
    let last = path
        .rsplit(['/', '\\'])
        .next()
        .filter(|last| !last.is_empty())?;
    let decoded = percent_encoding::percent_decode_str(last)
        .decode_utf8()
        .ok()?;
    Some(decoded.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_beside_the_project_are_read_and_recorded() {
        let directory = tempfile::tempdir().unwrap();
        let digest = "ab".repeat(32);
        let uv = format!(
            "version = 1\n[[package]]\nname = \"A_b\"\nversion = \"1.0.RC1\"\nsource = {{ registry = \"https://i.invalid/\" }}\nwheels = [{{ url = \"https://f.invalid/x/a_b-1.0rc1-py3-none-any.whl\", hash = \"sha256:{digest}\" }}]\n"
        );
        std::fs::write(directory.path().join("uv.lock"), uv).unwrap();
        let places = [
            directory.path().to_path_buf(),
            directory.path().to_path_buf(),
        ];
        let locks = find(&places);
        assert!(locks.findings.is_empty(), "{:?}", locks.findings);
        let [one] = locks.expected.as_slice() else {
            panic!("{:?}", locks.expected)
        };
        assert_eq!((one.name.as_str(), one.version.as_str()), ("a-b", "1.0rc1"));
        assert_eq!(one.file.as_deref(), Some("a_b-1.0rc1-py3-none-any.whl"));
        assert_eq!(one.url, None);
        assert_eq!(one.stated_in, "uv.lock: a-b");
        assert_eq!(locks.events.len(), 1);
    }

    #[test]
    fn broken_locks_are_refused_by_path() {
        for (name, _) in FORMS {
            let directory = tempfile::tempdir().unwrap();
            std::fs::write(directory.path().join(name), "{ nonsense").unwrap();
            let locks = find(&[directory.path().to_path_buf()]);
            assert_eq!(locks.findings.len(), 1, "{name}");
            assert_eq!(locks.findings[0].code, Code::LockInvalid);
            assert!(locks.findings[0].subject.ends_with(name));
        }
    }

    #[test]
    fn weak_digests_are_no_anchor() {
        let promise = |digests: &[&str]| Promise {
            name: "a".to_owned(),
            version: "1".to_owned(),
            file: None,
            digests: digests.iter().map(|text| (*text).to_owned()).collect(),
        };
        let strong = format!("sha256:{}", "00".repeat(32));
        assert!(
            promise(&["md5:00112233445566778899aabbccddeeff"])
                .expected("l")
                .is_err()
        );
        assert!(promise(&[]).expected("l").is_err());
        assert!(promise(&["sha256:00"]).expected("l").is_err());
        assert!(promise(&["sha1:00", &strong]).expected("l").is_ok());
    }

    #[test]
    fn files_are_named_by_the_last_part() {
        assert_eq!(
            file_name("https://h/a/b%2Bc-1.whl#sha256=x").as_deref(),
            Some("b+c-1.whl")
        );
        assert_eq!(file_name("wheels/a-1.whl").as_deref(), Some("a-1.whl"));
        assert_eq!(file_name("https://h/a/"), None);
    }
}
