//! A look into a wheel: does it agree with itself, and what would it put where.
//!
//! Called before the first byte of a wheel goes to the manager, and for wheels that lie on disk,
//! always with bytes whose digest matched. A wheel that contradicts itself is refused: whatever was
//! meant, no two programs would install the same. What it brings (programs, native libraries, files
//! that run at the interpreter's start) is told and not judged; whose files it may write is
//! `protocol::placing`'s business.
//!
//! Each entry is unpacked once, in pieces, and hashed on the way; nothing is written. Nothing is
//! known about what the code in it does.
//!
//! PEP 427, PEP 491; pip's own unpacking, which decides what a path in a wheel means.

mod archive;
mod content;
#[cfg(test)]
pub(crate) mod fixture;
mod metadata;
mod record;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;

use sha2::{Digest as _, Sha256, Sha384, Sha512};

use self::archive::{Archive, Entry};
use self::content::Contents;
use self::metadata::Description;
use self::record::Record;
use super::file;
use crate::model::Algorithm;
use crate::model::Code;
use crate::model::Digest;
use crate::model::Examined;
use crate::model::Finding;
use crate::model::python::normalize_name;
use crate::model::python::normalize_version;
use crate::protocol::{Artifact, Inspection, ReadAt};

/// Descriptions that are read whole; `METADATA` holds a readme.
const DESCRIPTION: u64 = 16 * 1024 * 1024;
/// The list of files of the largest wheels.
const RECORD: u64 = 64 * 1024 * 1024;
/// Bytes unpacked at a time.
const BLOCK: usize = 128 * 1024;

/// Why a wheel is refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum WheelError {
    /// The bytes cannot be read.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
    /// Not a zip archive.
    #[error("it is no intact zip archive: {0}")]
    Zip(String),
    /// More than one reading of the archive.
    #[error("the archive has more than one reading: {0}")]
    Ambiguous(&'static str),
    /// More content than any wheel has.
    #[error("it unpacks to more than any wheel holds")]
    Bomb,
    /// Two entries for one path.
    #[error("`{0}` is in it twice")]
    Twice(String),
    /// An entry that no wheel has.
    #[error("`{name}` is refused: {reason}")]
    Entry {
        /// Path in the archive.
        name: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// The list of files and the files differ.
    #[error("RECORD does not fit: `{path}`: {reason}")]
    Record {
        /// Path in the archive.
        path: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A file has another digest than listed.
    #[error("`{path}` is not what RECORD lists\n  expected {expected}\n  computed {computed}")]
    Digest {
        /// Path in the archive.
        path: String,
        /// As listed.
        expected: Digest,
        /// As found.
        computed: Digest,
    },
    /// A description does not say what it must.
    #[error("`{key}` of {file}: {reason}")]
    Description {
        /// File.
        file: &'static str,
        /// Key.
        key: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// Name or version differ.
    #[error("{place} says `{stated}`, the file name `{expected}`")]
    Identity {
        /// Where the other is stated.
        place: &'static str,
        /// What it says.
        stated: String,
        /// What it should say.
        expected: String,
    },
    /// The file name is not one of a wheel.
    #[error("its name is not one of a wheel")]
    Name,
    /// The directories of descriptions are not exactly its own.
    #[error("it has no directory of descriptions of its own, or one of another package: `{0}`")]
    Descriptions(String),
    /// A path below its data directory that pip does not know.
    #[error("`{0}` is not a kind of data that wheels have")]
    Data(String),
    /// The name of a program that is a path.
    #[error("a program has a name that is none: `{0}`")]
    Program(String),
}

/// Looks into a wheel.
pub(super) fn inspect(
    artifact: &Artifact<'_>,
    content: &dyn ReadAt,
) -> Result<Inspection, Box<Finding>> {
    look(artifact, content).map_err(|error| {
        let (code, prefix) = if matches!(error, WheelError::Read(_)) {
            (Code::StoreFailed, "cannot be looked into")
        } else {
            (Code::ArtifactInvalid, "was not given out")
        };
        let subject = match (artifact.name, artifact.version) {
            (Some(name), Some(version)) => format!("{name}@{version}"),
            _ => artifact.file.to_owned(),
        };
        let message = format!("the wheel `{}` {prefix}: {error}", artifact.file);
        Box::new(Finding::new(code, subject, message).with_hint(code.remedy()))
    })
}

fn look(artifact: &Artifact<'_>, content: &dyn ReadAt) -> Result<Inspection, WheelError> {
    let named = file::wheel(artifact.file).ok_or(WheelError::Name)?;
    agrees("the index", artifact.name, normalize_name, &named.name)?;
    agrees(
        "the index",
        artifact.version,
        normalize_version,
        &named.version,
    )?;
    let archive = Archive::open(content)?;
    let entries: HashMap<&str, &Entry> = archive
        .entries
        .iter()
        .map(|entry| (entry.name.as_str(), entry))
        .collect();
    let stem = content::own_directory(&archive.entries, &named)?;
    let own = |name: &str| format!("{stem}.dist-info/{name}");
    let description = |name: &'static str, limit| {
        let entry = entries
            .get(own(name).as_str())
            .ok_or(WheelError::Description {
                file: name,
                key: String::new(),
                reason: "the file is missing",
            })?;
        archive.whole(entry, limit)
    };
    let metadata = description(Description::Metadata.name(), DESCRIPTION)?;
    let header = |key| Description::Metadata.header(&metadata, key);
    agrees(
        "METADATA",
        Some(&header("Name")?),
        normalize_name,
        &named.name,
    )?;
    agrees(
        "METADATA",
        Some(&header("Version")?),
        normalize_version,
        &named.version,
    )?;
    let wheel = description(Description::Wheel.name(), DESCRIPTION)?;
    let version = Description::Wheel.header(&wheel, "Wheel-Version")?;
    if version.split('.').next() != Some("1") {
        return Err(WheelError::Description {
            file: Description::Wheel.name(),
            key: "Wheel-Version".to_owned(),
            reason: "it is of an unknown version",
        });
    }
    let pure = Description::Wheel.header(&wheel, "Root-Is-Purelib")?;
    let pure = pure.eq_ignore_ascii_case("true");
    let record = Record::read(&description("RECORD", RECORD)?)?;

    let mut contents = Contents::new(&stem, &named, pure);
    check_files(&archive, record, &stem, &mut contents)?;
    let (placed, findings, mut examined) = contents.finish(artifact.file)?;
    examined.unpacked = archive.unpacked;
    Ok(Inspection {
        name: named.name.clone(),
        placed,
        examined: Examined {
            name: named.name,
            version: named.version,
            file: artifact.file.to_owned(),
            ..examined
        },
        findings,
    })
}

/// Unpacks every file once, compares it with its row, and tells what it is.
fn check_files(
    archive: &Archive<'_>,
    mut record: Record,
    stem: &str,
    contents: &mut Contents<'_>,
) -> Result<(), WheelError> {
    let mut buffer = vec![0; BLOCK];
    for entry in archive.entries.iter().filter(|entry| !entry.is_directory()) {
        let signs = ["RECORD", "RECORD.jws", "RECORD.p7s"]
            .iter()
            .any(|name| entry.name == format!("{stem}.dist-info/{name}"));
        if signs {
            record.pass(&entry.name);
            contents.add(&entry.name, None, &[])?;
            continue;
        }
        let expected = record.take(&entry.name)?;
        let keeps = contents.keeps(&entry.name);
        if keeps && entry.size > DESCRIPTION {
            return Err(WheelError::Entry {
                name: entry.name.clone(),
                reason: "it is too large for what it is",
            });
        }
        let mut kept = Vec::new();
        let mut hasher = Hasher::new(expected.algorithm());
        archive.read(entry, &mut buffer, |piece| {
            hasher.update(piece);
            if keeps {
                kept.extend_from_slice(piece);
            }
        })?;
        let computed = hasher.finish();
        if computed.as_ref() != Some(&expected) {
            return Err(WheelError::Digest {
                path: entry.name.clone(),
                computed: computed.unwrap_or_else(|| expected.clone()),
                expected,
            });
        }
        contents.add(&entry.name, computed, &kept)?;
    }
    record.finish(|path| {
        let path = path.strip_suffix('/').unwrap_or(path);
        archive.directories.contains(path)
    })
}

fn agrees(
    place: &'static str,
    stated: Option<&str>,
    normalize: impl Fn(&str) -> Option<String>,
    expected: &str,
) -> Result<(), WheelError> {
    let Some(stated) = stated else { return Ok(()) };
    if normalize(stated).as_deref() == Some(expected) {
        return Ok(());
    }
    Err(WheelError::Identity {
        place,
        stated: stated.escape_debug().take(200).collect(),
        expected: expected.to_owned(),
    })
}

/// The one function that a row asks for.
enum Hasher {
    Sha256(Sha256),
    Sha384(Sha384),
    Sha512(Sha512),
}

impl Hasher {
    fn new(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
            Algorithm::Sha384 => Self::Sha384(Sha384::new()),
            // A row never asks for less.
            Algorithm::Sha256 | Algorithm::Sha1 | Algorithm::Md5 => Self::Sha256(Sha256::new()),
        }
    }

    fn update(&mut self, piece: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(piece),
            Self::Sha384(hash) => hash.update(piece),
            Self::Sha512(hash) => hash.update(piece),
        }
    }

    fn finish(self) -> Option<Digest> {
        let (algorithm, bytes) = match self {
            Self::Sha256(hash) => (Algorithm::Sha256, hash.finalize().to_vec()),
            Self::Sha384(hash) => (Algorithm::Sha384, hash.finalize().to_vec()),
            Self::Sha512(hash) => (Algorithm::Sha512, hash.finalize().to_vec()),
        };
        Digest::new(algorithm, bytes).ok()
    }
}
