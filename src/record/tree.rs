//! The tree on disk against the record: what was installed is still there and still the same version.
//!
//! Called by the check of a record. A package that is one file is hashed and compared with the digest
//! that was released. Of a package that is a directory the record has the digest of its artifact and
//! not of its files, so its own description is compared: name and version. That is said in the
//! answer. Nothing is followed out of the place that the record names.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr as _;

use pep440_rs::Version;
use serde_json::Value;
use sha2::{Digest as _, Sha256, Sha512};

use super::index::Index;
use super::verify::Check;
use crate::model::{Algorithm, Event, InstalledPackage};

/// Differences that are named.
const NAMED: usize = 3;
/// Largest description of a package that is read.
const DESCRIPTION: u64 = 4 << 20;

/// What is said of a package that is not there.
const GONE: &str = "is gone";

/// What came of one package.
enum Found {
    /// The file has the digest.
    File,
    /// The directory says that it is this package.
    Directory,
    /// A directory that says nothing of itself.
    Silent,
}

/// The comparison.
pub(super) fn check(index: &Index<'_>, events: &[Event], bom: &Value) -> Check {
    let places = places(events, bom);
    let (mut files, mut directories, mut silent) = (0_usize, 0_usize, 0_usize);
    let (mut wrong, mut gone) = (Vec::new(), 0);
    for package in &index.packages {
        let named = |reason: &str| format!("{} at {} {reason}", package.purl, package.path);
        match compare(index, package, &places) {
            Ok(Found::File) => files += 1,
            Ok(Found::Directory) => directories += 1,
            Ok(Found::Silent) => silent += 1,
            Err(reason) => {
                gone += usize::from(reason == GONE);
                wrong.push(named(&reason));
            }
        }
    }
    let compared = gone < index.packages.len();
    let detail = match (wrong.is_empty(), compared) {
        (true, false) => "nothing was installed".to_owned(),
        (true, true) => told(files, directories, silent),
        (false, false) => {
            let count = wrong.len();
            format!("none of {count} packages is where it was installed on this machine")
        }
        (false, true) => {
            let mut text = wrong.iter().take(NAMED).cloned().collect::<Vec<_>>();
            if wrong.len() > NAMED {
                text.push(format!("and {} more", wrong.len() - NAMED));
            }
            text.join("; ")
        }
    };
    Check {
        name: "tree",
        // A record that was brought to another machine is no less intact.
        holds: wrong.is_empty() || !compared,
        compared,
        detail,
    }
}

fn told(files: usize, directories: usize, silent: usize) -> String {
    let mut parts = Vec::new();
    if files > 0 {
        parts.push(format!("{files} files have the digest that was released"));
    }
    if directories > 0 {
        parts.push(format!(
            "{directories} directories have the recorded name and version (their files were not \
             compared)"
        ));
    }
    if silent > 0 {
        parts.push(format!("{silent} directories are there"));
    }
    parts.join(", ")
}

/// Directories that install paths start from.
fn places(events: &[Event], bom: &Value) -> Vec<PathBuf> {
    let project = bom.pointer("/metadata/component/properties");
    let root = project
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .find(|property| property["name"] == "v4run:root")
        .and_then(|property| property["value"].as_str());
    let kept = events.iter().filter_map(|event| {
        if let Event::ArtifactsKept { path } = event {
            Some(path.as_str())
        } else {
            None
        }
    });
    root.into_iter().chain(kept).map(PathBuf::from).collect()
}

fn compare(
    index: &Index<'_>,
    package: &InstalledPackage,
    places: &[PathBuf],
) -> Result<Found, String> {
    let path = Path::new(&package.path);
    if path.components().any(|part| part == Component::ParentDir) && !package.local {
        return Err("leaves its place".to_owned());
    }
    let place = places
        .iter()
        .map(|place| place.join(path))
        .find(|place| place.symlink_metadata().is_ok())
        .ok_or(GONE)?;
    let metadata = fs::metadata(&place).map_err(|error| format!("cannot be read: {error}"))?;
    if metadata.is_file() {
        return file(index, package, &place);
    }
    if package.local {
        return Ok(Found::Silent);
    }
    match description(&place) {
        None => Ok(Found::Silent),
        Some((name, version)) if plain(&name) != plain(&package.name) => {
            Err(format!("is {name}@{version} now"))
        }
        Some((_, version)) if !same_version(&version, &package.version) => {
            Err(format!("has version {version} now"))
        }
        Some(_) => Ok(Found::Directory),
    }
}

fn file(index: &Index<'_>, package: &InstalledPackage, place: &Path) -> Result<Found, String> {
    let stated = package.integrity.iter().flat_map(|one| one.deciding());
    let released = index.release_of(package);
    let released = released.iter().flat_map(|one| one.digests());
    let known = stated
        .chain(released)
        .find(|digest| matches!(digest.algorithm(), Algorithm::Sha256 | Algorithm::Sha512));
    let Some(known) = known else {
        return Ok(Found::Silent);
    };
    let (sha256, sha512) = digests(place).map_err(|error| format!("cannot be read: {error}"))?;
    let computed = if known.algorithm() == Algorithm::Sha512 {
        sha512
    } else {
        sha256
    };
    match computed == known.hex() {
        true => Ok(Found::File),
        false => Err("has another digest than it was released with".to_owned()),
    }
}

fn digests(place: &Path) -> io::Result<(String, String)> {
    let mut file = File::open(place)?;
    let (mut short, mut long) = (Sha256::new(), Sha512::new());
    let mut block = vec![0; 1 << 16];
    loop {
        let count = file.read(&mut block)?;
        let read = block.get(..count).unwrap_or_default();
        if read.is_empty() {
            return Ok((hex::encode(short.finalize()), hex::encode(long.finalize())));
        }
        short.update(read);
        long.update(read);
    }
}

/// What a package says of itself: its manifest, or the metadata of a distribution.
fn description(place: &Path) -> Option<(String, String)> {
    if let Some(text) = text(&place.join("package.json")) {
        let value: Value = serde_json::from_str(&text).ok()?;
        let field = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
        return Some((field("name")?, field("version")?));
    }
    let text = text(&place.join("METADATA"))?;
    let head = text.lines().take_while(|line| !line.is_empty());
    let fields: Vec<(&str, &str)> = head.filter_map(|line| line.split_once(": ")).collect();
    let field = |wanted: &str| {
        let found = fields.iter().find(|(name, _)| *name == wanted)?;
        Some(found.1.trim().to_owned())
    };
    Some((field("Name")?, field("Version")?))
}

fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = File::open(path).ok()?;
    file.take(DESCRIPTION).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Spellings of a name that mean one package somewhere are not told apart.
fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace(['_', '.'], "-")
}

fn same_version(one: &str, other: &str) -> bool {
    let read = |text| Version::from_str(text).ok();
    one == other || read(one).zip(read(other)).is_some_and(|(a, b)| a == b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::fixture::{package, released};

    fn checked(root: &Path, packages: Vec<InstalledPackage>) -> Check {
        let mut events: Vec<Event> = packages.into_iter().map(Event::Installed).collect();
        events.push(Event::Released(released("a", "1.0.0", 1)));
        let bom = serde_json::json!({ "metadata": { "component": { "properties": [
            { "name": "v4run:root", "value": root.to_str().unwrap() }
        ]}}});
        check(&Index::new(&events), &events, &bom)
    }

    #[test]
    fn directories_say_who_they_are() {
        let root = tempfile::tempdir().unwrap();
        let one = root.path().join("node_modules/a");
        fs::create_dir_all(&one).unwrap();
        let manifest = |text: &str| fs::write(one.join("package.json"), text).unwrap();
        manifest(r#"{"name":"a","version":"1.0.0"}"#);
        let packages = || vec![package("a", "1.0.0", 1)];
        let good = checked(root.path(), packages());
        assert!(good.holds && good.compared, "{}", good.detail);
        manifest(r#"{"name":"a","version":"1.0.1"}"#);
        let changed = checked(root.path(), packages());
        assert!(!changed.holds && changed.detail.contains("has version 1.0.1 now"));
        manifest(r#"{"name":"b","version":"1.0.0"}"#);
        assert!(
            checked(root.path(), packages())
                .detail
                .contains("is b@1.0.0 now")
        );
        let mut two = packages();
        two.push(package("c", "1.0.0", 3));
        manifest(r#"{"name":"a","version":"1.0.0"}"#);
        let gone = checked(root.path(), two);
        assert!(
            !gone.holds && gone.detail.contains("pkg:npm/c@1.0.0"),
            "{}",
            gone.detail
        );
    }

    #[test]
    fn files_are_hashed_and_metadata_is_read() {
        let root = tempfile::tempdir().unwrap();
        let mut jar = package("a", "1.0.0", 1);
        jar.path = "a.jar".into();
        fs::write(root.path().join("a.jar"), b"other").unwrap();
        let told = checked(root.path(), vec![jar.clone()]);
        assert!(
            !told.holds && told.detail.contains("another digest"),
            "{}",
            told.detail
        );
        jar.integrity = Some(crate::model::Integrity::of(
            crate::model::Digest::new(Algorithm::Sha256, Sha256::digest(b"other").to_vec())
                .unwrap(),
        ));
        let told = checked(root.path(), vec![jar]);
        assert!(told.holds && told.compared, "{}", told.detail);
        let folder = root.path().join("A_b-1.0.dist-info");
        fs::create_dir(&folder).unwrap();
        fs::write(
            folder.join("METADATA"),
            "Name: A_b\nVersion: 1.0\n\nName: x\n",
        )
        .unwrap();
        let mut wheel = package("a-b", "1.0.0", 1);
        wheel.path = "A_b-1.0.dist-info".into();
        let told = checked(root.path(), vec![wheel]);
        assert!(told.holds && told.compared, "{}", told.detail);
    }

    #[test]
    fn a_record_on_another_machine_is_not_compared() {
        let told = checked(Path::new("/nowhere"), vec![package("a", "1.0.0", 1)]);
        assert!(told.holds && !told.compared);
        assert!(told.detail.contains("none of 1 packages"));
        let mut leaving = package("a", "1.0.0", 1);
        leaving.path = "../../etc/passwd".into();
        let root = tempfile::tempdir().unwrap();
        assert!(!checked(root.path(), vec![leaving]).holds);
    }
}
