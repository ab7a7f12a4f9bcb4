//! Source archives: unpacked, and what they say about their build, read without running any of it.
//!
//! Everything in them comes from the network, of bytes whose digest is known. Only files and directories are
//! unpacked, under plain names below one directory.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use serde::Deserialize;

use crate::manager::{Wanted, read};
use crate::model::{Code, Finding};

/// Files that an archive may have.
const FILES: usize = 100_000;
/// Bytes that it may unpack to.
const BYTES: u64 = 4 << 30;
/// Longest `pyproject.toml`, and list of what was fetched.
const LIMIT: u64 = 4 << 20;
/// Longest `setup.py` that is shown.
const SHOWN: u64 = 64 << 10;

/// What is asked for where a source says nothing (PEP 517).
const LEGACY: (&str, &str) = ("setuptools.build_meta:__legacy__", "setuptools>=40.8.0");

/// A source archive that was fetched.
#[derive(Debug, Deserialize)]
pub(super) struct Fetched {
    /// Normalized name.
    pub(super) name: String,
    /// Version.
    pub(super) version: String,
    /// Its file, of the bootstrap's own naming.
    pub(super) file: String,
}

/// What the fetching run left.
pub(super) fn fetched(into: &Path) -> Result<Vec<Fetched>, Finding> {
    let wrong = |why: String| Finding::new(Code::Internal, "sources.json", why);
    let list = read::file(&into.join("sources.json"), LIMIT);
    let Some(list) = list.map_err(|error| wrong(error.to_string()))? else {
        return Ok(Vec::new());
    };
    let list: Vec<Fetched> =
        serde_json::from_slice(&list).map_err(|error| wrong(error.to_string()))?;
    let plain = |one: &Fetched| {
        let number = one.file.strip_suffix(".tar.gz").unwrap_or_default();
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    };
    match list.iter().all(plain) {
        true => Ok(list),
        false => Err(wrong("names a file that is none of its own".to_owned())),
    }
}

/// Unpacks an archive: the one directory that it holds.
pub(super) fn unpack(file: &File, to: &Path) -> io::Result<PathBuf> {
    let mut file = file.try_clone()?;
    file.rewind()?;
    let mut archive = tar::Archive::new(io::Read::take(GzDecoder::new(file), BYTES));
    std::fs::create_dir_all(to)?;
    for (number, entry) in archive.entries()?.enumerate() {
        let mut entry = entry?;
        let path: PathBuf = entry.path()?.components().filter(is_named).collect();
        let plain = path
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !plain || number >= FILES {
            return Err(io::Error::other("it holds what no source archive does"));
        }
        let place = to.join(&path);
        let kind = entry.header().entry_type();
        if kind.is_dir() {
            std::fs::create_dir_all(&place)?;
        } else if kind.is_file() {
            std::fs::create_dir_all(place.parent().unwrap_or(to))?;
            let mode = 0o644 | (entry.header().mode()? & 0o111);
            let mut options = OpenOptions::new();
            let made = options.write(true).create_new(true).mode(mode).open(place);
            io::copy(&mut entry, &mut made?)?;
        }
    }
    let folders: Vec<_> = std::fs::read_dir(to)?.take(2).collect::<Result<_, _>>()?;
    match folders.as_slice() {
        [one] if one.path().is_dir() => one.path().canonicalize(),
        _ => Err(io::Error::other("it does not hold one directory")),
    }
}

fn is_named(part: &Component<'_>) -> bool {
    *part != Component::CurDir
}

/// The `setup.py` of a source, where it is short enough to be read by anybody.
pub(super) fn script(folder: &Path) -> Option<String> {
    let bytes = read::inside(folder, &folder.join("setup.py"), SHOWN);
    String::from_utf8(bytes.ok()??).ok()
}

/// A build backend, and what it requires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Backend {
    /// Module, and the object in it after a colon.
    pub(super) name: String,
    /// Directories of the source that it is imported from.
    pub(super) path: Vec<PathBuf>,
    /// Requirements.
    pub(super) requires: Vec<String>,
}

#[derive(Default, Deserialize)]
struct Document {
    #[serde(rename = "build-system")]
    system: Option<System>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct System {
    requires: Vec<String>,
    build_backend: Option<String>,
    #[serde(default)]
    backend_path: Vec<PathBuf>,
}

impl Backend {
    /// That of a source.
    pub(super) fn of(wanted: &Wanted) -> Result<Self, Finding> {
        let wrong = |why: &str| {
            let message = format!("`{}` is not built: its pyproject.toml {why}", wanted.purl);
            Finding::new(Code::BuildUnapproved, &wanted.path, message)
        };
        let folder = &wanted.folder;
        let bytes = read::inside(folder, &folder.join("pyproject.toml"), LIMIT)
            .map_err(|error| wrong(&error.to_string()))?;
        let text = String::from_utf8(bytes.unwrap_or_default());
        let document = text.map(|text| toml::from_str::<Document>(&text));
        let Ok(Ok(document)) = document else {
            return Err(wrong("states its build in a form that is unknown"));
        };
        let Some(system) = document.system else {
            return Ok(Self {
                name: LEGACY.0.to_owned(),
                path: Vec::new(),
                requires: vec![LEGACY.1.to_owned()],
            });
        };
        let name = system.build_backend.unwrap_or_else(|| LEGACY.0.to_owned());
        let fine = |c: char| c.is_ascii_alphanumeric() || "_.:".contains(c);
        let inside = |path: &PathBuf| {
            let mut parts = path.components();
            parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
        };
        if !name.chars().all(fine) || !system.backend_path.iter().all(inside) {
            return Err(wrong("names a backend that cannot be one"));
        }
        if let Some(line) = system
            .requires
            .iter()
            .find(|text| text.contains(['\n', '\r']))
        {
            return Err(wrong(&format!(
                "requires what is no requirement: {}",
                line.escape_debug()
            )));
        }
        Ok(Self {
            name,
            path: system.backend_path,
            requires: system.requires,
        })
    }

    /// For a person who is to approve it.
    pub(super) fn shown(&self) -> String {
        let requires = match self.requires.as_slice() {
            [] => "nothing".to_owned(),
            all => all.join(", "),
        };
        let inside = if self.path.is_empty() {
            ""
        } else {
            " of the source itself"
        };
        format!("{}{inside}, which requires {requires}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(text: Option<&str>) -> Result<Backend, String> {
        let folder = tempfile::tempdir().unwrap();
        let wanted = Wanted {
            folder: folder.path().canonicalize().unwrap(),
            ..Wanted::default()
        };
        if let Some(text) = text {
            std::fs::write(folder.path().join("pyproject.toml"), text).unwrap();
        }
        Backend::of(&wanted).map_err(|finding| finding.message)
    }

    #[test]
    fn a_source_says_what_builds_it_or_setuptools_does() {
        for text in [None, Some(""), Some("[project]\nname = 'a'\n")] {
            let found = backend(text).unwrap();
            assert_eq!((found.name.as_str(), found.requires.len()), (LEGACY.0, 1));
        }
        let text = "[build-system]\nrequires = ['hatchling>=1']\nbuild-backend = 'own'\nbackend-path = ['.']\n";
        let found = backend(Some(text)).unwrap();
        assert_eq!(
            found.shown(),
            "own of the source itself, which requires hatchling>=1"
        );
        let found = backend(Some("[build-system]\nrequires = []\n")).unwrap();
        assert_eq!((found.name.as_str(), found.requires.len()), (LEGACY.0, 0));
        for text in [
            "[build-system",
            "[build-system]\n",
            "[build-system]\nrequires = [\"a\\n--index-url x\"]\n",
            "[build-system]\nrequires = []\nbuild-backend = 'a b'\n",
            "[build-system]\nrequires = []\nbuild-backend = 'a'\nbackend-path = ['..']\n",
            "[build-system]\nrequires = []\nbuild-backend = 'a'\nbackend-path = ['/x']\n",
        ] {
            assert!(backend(Some(text)).is_err(), "{text}");
        }
    }

    fn archive(files: &[(&str, tar::EntryType)]) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let encoder =
            flate2::write::GzEncoder::new(file.reopen().unwrap(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(encoder);
        for (name, kind) in files {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(0);
            header.set_mode(0o4755);
            header.set_entry_type(*kind);
            header.set_link_name("/etc/passwd").unwrap();
            header.set_cksum();
            archive.append(&header, io::empty()).unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap();
        file
    }

    #[test]
    fn an_archive_leaves_nothing_but_files_below_one_directory() {
        use std::os::unix::fs::PermissionsExt as _;
        use tar::EntryType::{Regular, Symlink};

        let to = tempfile::tempdir().unwrap();
        let unpacked = |name: &str, files: &[(&str, tar::EntryType)]| {
            let file = archive(files);
            unpack(&File::open(file.path()).unwrap(), &to.path().join(name))
        };
        let root = unpacked("good", &[("./a-1/x", Regular), ("a-1/link", Symlink)]).unwrap();
        assert!(root.ends_with("good/a-1") && !root.join("link").exists());
        let mode = root.join("x").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o7000, 0);
        for (name, files) in [
            ("up", [("a-1/x", Regular), ("a-1/../../y", Regular)]),
            ("absolute", [("a-1/x", Regular), ("/y", Regular)]),
            ("two", [("a-1/x", Regular), ("b-1/x", Regular)]),
            ("twice", [("a-1/x", Regular), ("a-1/x", Regular)]),
        ] {
            assert!(unpacked(name, &files).is_err(), "{name}");
        }
        assert!(!to.path().join("y").exists());
    }
}
