//! Installed distributions as their metadata directories describe them.
//!
//! Read before the start, for whose files lie where, and after the end, for what was installed. All
//! of it is untrusted: a wheel wrote it. Reads are bounded, links are not followed out of their
//! directory, names that are no names are reported as they stand. Nothing is compared here.
//!
//! <https://packaging.python.org/en/latest/specifications/recording-installed-packages/>.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use crate::manager::read;
use crate::model::python::{normalize_name, normalize_version};
use crate::model::{Algorithm, Digest};

/// Distributions that a directory may have.
const MANY: usize = 50_000;
/// Largest metadata file.
const METADATA: u64 = 8 << 20;
/// Largest list of files.
const RECORD: u64 = 64 << 20;

/// One line of a list of installed files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::manager) struct Entry {
    /// Absolute path, resolved by name.
    pub(in crate::manager) path: PathBuf,
    /// Its digest, where the list gives one that v4run computes.
    pub(in crate::manager) digest: Option<Digest>,
    /// Its size, where the list gives one.
    pub(in crate::manager) size: Option<u64>,
}

/// What `direct_url.json` says of a distribution that did not come from an index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(in crate::manager) struct Direct {
    /// Where it came from.
    #[serde(default)]
    pub(in crate::manager) url: String,
    /// Set for a directory.
    pub(in crate::manager) dir_info: Option<serde_json::Value>,
}

/// An installed distribution.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::manager) struct Distribution {
    /// Package directory that it lies in.
    pub(in crate::manager) place: PathBuf,
    /// Name of its metadata directory.
    pub(in crate::manager) folder: String,
    /// Normalized name.
    pub(in crate::manager) name: String,
    /// Normalized version, as stated where it has no normalized form.
    pub(in crate::manager) version: String,
    /// Who installed it.
    pub(in crate::manager) installer: Option<String>,
    /// Whether it was asked for by name.
    pub(in crate::manager) requested: bool,
    /// Where it came from, if not from an index.
    pub(in crate::manager) direct: Option<Direct>,
    /// `Requires-Dist` lines.
    pub(in crate::manager) requires: Vec<String>,
    /// Its files; `None` where it keeps no list of them.
    pub(in crate::manager) files: Option<Vec<Entry>>,
    /// Tells this metadata from one that takes its place later.
    pub(in crate::manager) identity: String,
}

impl Distribution {
    /// Whether it says that it is a directory, as an editable install does.
    pub(in crate::manager) fn is_directory(&self) -> bool {
        let direct = self.direct.as_ref();
        direct.is_some_and(|direct| direct.dir_info.is_some())
    }
}

/// Reads the distributions of a package directory, in order of their folders. `files` says whether
/// their lists of files are read too. The second part names folders that cannot be read.
pub(in crate::manager) fn read(place: &Path, files: bool) -> (Vec<Distribution>, Vec<String>) {
    let mut found = Vec::new();
    let mut broken = Vec::new();
    let Ok(entries) = std::fs::read_dir(place) else {
        return (found, broken);
    };
    let names = entries.flatten().take(MANY);
    let mut names: Vec<String> = names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    for name in names {
        // pip renames what it is about to remove to a name that begins like this.
        if name.starts_with('~') {
            continue;
        }
        let full = place.join(&name);
        let text = if name.ends_with(".dist-info") {
            metadata(&full.join("METADATA"))
        } else if name.ends_with(".egg-info") && full.is_dir() {
            metadata(&full.join("PKG-INFO"))
        } else if name.ends_with(".egg-info") {
            metadata(&full)
        } else {
            continue;
        };
        match text.and_then(|text| one(place, &name, &text, files)) {
            Some(distribution) => found.push(distribution),
            None => broken.push(name),
        }
    }
    (found, broken)
}

fn metadata(path: &Path) -> Option<String> {
    let bytes = read::file(path, METADATA).ok().flatten()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn one(place: &Path, folder: &str, text: &str, files: bool) -> Option<Distribution> {
    let header = |wanted: &str| -> Vec<String> {
        headers(text)
            .filter(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim().to_owned())
            .collect()
    };
    let name = header("Name").into_iter().next()?;
    let version = header("Version").into_iter().next()?;
    let full = place.join(folder);
    let small = |name: &str| metadata(&full.join(name));
    let data = std::fs::symlink_metadata(&full).ok()?;
    let list = std::fs::symlink_metadata(full.join("RECORD")).ok();
    let stamp = list.as_ref().unwrap_or(&data);
    Some(Distribution {
        place: place.to_path_buf(),
        folder: folder.to_owned(),
        name: normalize_name(&name)?,
        version: normalize_version(&version).unwrap_or(version),
        installer: small("INSTALLER").map(|text| text.trim().to_owned()),
        requested: full.join("REQUESTED").is_file(),
        direct: small("direct_url.json").and_then(|text| serde_json::from_str(&text).ok()),
        requires: header("Requires-Dist"),
        files: if files {
            entries(place, &full.join("RECORD"))
        } else {
            None
        },
        identity: format!(
            "{}:{}:{}.{}",
            stamp.dev(),
            stamp.ino(),
            stamp.ctime(),
            stamp.ctime_nsec()
        ),
    })
}

/// Header fields up to the first empty line. Continued lines are left out: none of the fields that
/// are read here is ever continued.
fn headers(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines()
        .take_while(|line| !line.trim().is_empty())
        .filter(|line| !line.starts_with([' ', '\t']))
        .filter_map(|line| line.split_once(':'))
}

/// The list of installed files: path, digest, size.
fn entries(place: &Path, record: &Path) -> Option<Vec<Entry>> {
    let bytes = read::file(record, RECORD).ok().flatten()?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(bytes.as_slice());
    let mut found = Vec::new();
    for row in reader.records() {
        let row = row.ok()?;
        let path = row.get(0).filter(|path| !path.is_empty())?;
        let digest = row.get(1).and_then(digest);
        found.push(Entry {
            path: moved(place, Path::new(path)).unwrap_or_else(|| joined(place, Path::new(path))),
            digest,
            size: row.get(2).and_then(|size| size.parse().ok()),
        });
    }
    Some(found)
}

/// `sha256=` and the digest in base64 for addresses, without padding.
fn digest(text: &str) -> Option<Digest> {
    use base64::Engine as _;
    let (algorithm, value) = text.split_once('=')?;
    let algorithm = match algorithm {
        "sha256" => Algorithm::Sha256,
        "sha384" => Algorithm::Sha384,
        "sha512" => Algorithm::Sha512,
        _ => return None,
    };
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    Digest::new(algorithm, engine.decode(value.trim_end_matches('=')).ok()?).ok()
}

/// Where a file lies that pip made elsewhere: for `--target` it installs into `lib/python` of a
/// directory of its own, lists the programs from there, and moves both without changing the list.
fn moved(place: &Path, path: &Path) -> Option<PathBuf> {
    let rest = path.strip_prefix("../..").ok()?;
    let there = |path: &Path| std::fs::symlink_metadata(path).is_ok();
    let named = |part: Component<'_>| matches!(part, Component::Normal(_));
    let beside = place.join(rest);
    (rest.components().all(named) && there(&beside) && !there(&joined(place, path)))
        .then_some(beside)
}

/// A path of a list, by name only.
fn joined(place: &Path, path: &Path) -> PathBuf {
    let mut out = place.to_path_buf();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::Normal(name) => out.push(name),
            Component::RootDir => out = PathBuf::from("/"),
            Component::CurDir | Component::Prefix(_) => {}
        }
    }
    out
}

/// Names that a `Requires-Dist` line makes a distribution need, unless it is for an extra that was
/// not asked for. Other conditions are not weighed: what is not installed makes no edge.
pub(in crate::manager) fn needed(line: &str, extras: &BTreeSet<String>) -> Option<String> {
    let (requirement, marker) = line.split_once(';').unwrap_or((line, ""));
    let end = requirement
        .find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)))
        .unwrap_or(requirement.len());
    let name = normalize_name(requirement.get(..end)?)?;
    if let Some(at) = marker.find("extra") {
        let rest = marker.get(at..).unwrap_or_default();
        let mut quoted = rest.split(['"', '\'']);
        let extra = quoted.nth(1).and_then(normalize_name)?;
        if !extras.contains(&extra) {
            return None;
        }
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn programs_of_a_target_lie_beside_the_packages() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("work/tree");
        write(&place, "bin/leaf", "");
        let of = |path: &str| moved(&place, Path::new(path));
        assert_eq!(of("../../bin/leaf"), Some(place.join("bin/leaf")));
        for path in [
            "../../bin/oak",
            "bin/leaf",
            "../bin/leaf",
            "../../../bin/leaf",
            "../../bin/../../tree/bin/leaf",
        ] {
            assert_eq!(of(path), None, "{path}");
        }
        // What is where the list says it is was not moved.
        write(directory.path(), "bin/leaf", "");
        assert_eq!(of("../../bin/leaf"), None);
    }

    #[test]
    fn metadata_directories_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("lib/site");
        write(
            &root,
            "Leaf_Two-1.0.dist-info/METADATA",
            "Metadata-Version: 2.1\nName: Leaf.Two\nVersion: 1.0.0-post1\n\
             Requires-Dist: oak>=1 ; extra == 'wood'\nRequires-Dist: fern\n\nName: not-a-header\n",
        );
        write(&root, "Leaf_Two-1.0.dist-info/INSTALLER", "pip\n");
        write(&root, "Leaf_Two-1.0.dist-info/REQUESTED", "");
        let hash = "sha256=47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
        write(
            &root,
            "Leaf_Two-1.0.dist-info/RECORD",
            &format!("leaf/a.py,{hash},0\n../../bin/leaf,{hash},0\n\"leaf/b,c.py\",,\n"),
        );
        write(&root, "broken-1.dist-info/METADATA", "nothing\n");
        write(&root, "old.egg-info", "Name: old\nVersion: 2\n");
        write(
            &root,
            "~eaf-1.dist-info/METADATA",
            "Name: leaf\nVersion: 1\n",
        );
        let (found, broken) = read(&root, true);
        assert_eq!(broken, ["broken-1.dist-info"]);
        let names: Vec<_> = found
            .iter()
            .map(|d| (d.name.as_str(), d.version.as_str()))
            .collect();
        assert_eq!(names, [("leaf-two", "1.0.0.post1"), ("old", "2")]);
        let leaf = &found[0];
        assert!(leaf.requested && leaf.installer.as_deref() == Some("pip"));
        let files = leaf.files.as_ref().unwrap();
        assert_eq!(files[0].path, root.join("leaf/a.py"));
        assert!(files[0].digest.is_some() && files[2].digest.is_none());
        assert_eq!(files[1].path, directory.path().join("bin/leaf"));
        assert_eq!(files[2].path, root.join("leaf/b,c.py"));
        assert_eq!(leaf.requires.len(), 2);
    }

    #[test]
    fn extras_are_needed_only_when_asked_for() {
        let none = BTreeSet::new();
        let wood = BTreeSet::from(["wood".to_owned()]);
        let line = "Oak_Tree[x] (>=1) ; python_version > '3' and extra == 'wood'";
        assert_eq!(needed(line, &none), None);
        assert_eq!(needed(line, &wood).as_deref(), Some("oak-tree"));
        assert_eq!(
            needed("fern>1;sys_platform == 'x'", &none).as_deref(),
            Some("fern")
        );
        assert_eq!(needed("", &none), None);
    }
}
