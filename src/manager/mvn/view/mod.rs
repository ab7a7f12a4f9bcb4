//! What the virtual machine gets in place of a jar that it may not run.
//!
//! Called when a jar of the local repository is opened whose bytes are verified but not trusted as
//! code. The result is a new archive made from the contents of the old one: whoever reads it finds the
//! manifest, the module descriptor and the resources, and no class loader finds anything to define.
//! Since it is written anew, tricks of the old archive (hidden entries, gaps, a second directory) do
//! not survive; what two readers could read in two ways is refused. The same jar always gives the same
//! bytes, so that the digest of a view means something in a record.
//!
//! It does not decide who gets it. It looks for code by name and by leading bytes; text that some
//! interpreter could run is a resource.
//! <https://docs.oracle.com/en/java/javase/17/docs/specs/jar/jar.html>.

mod archive;
mod content;
mod descriptor;
mod header;
mod manifest;
mod name;
mod outline;
mod repacked;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;

use self::archive::{Archive, Entry, Writer};
use self::content::Content;
use self::name::Place;
pub(super) use self::outline::{contents, outline};
pub(super) use self::repacked::repacked;
use super::rehearsal;

/// Bytes of a view; it is held in memory.
const LARGEST: u64 = 1 << 30;

/// Who the view is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Whoever reads a jar as data: no class at all.
    CodeFree,
    /// The compiler, which reads what classes declare: they are there without any instruction, so
    /// that the virtual machine cannot define them, and no service is announced.
    Compiler,
    /// The compiler and whoever packs jars: the same, as long as the jar, because lengths are compared.
    Packed,
    /// Maven that is to resolve its plugins and run none: no class at all, but each plugin describes
    /// itself with goals that do nothing.
    Rehearsal,
}

impl Form {
    /// Whether what classes declare is there.
    const fn declares(self) -> bool {
        matches!(self, Self::Compiler | Self::Packed)
    }
}

/// Why there is no view.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(super) enum ViewError {
    /// The jar could not be read.
    #[error("the jar cannot be read")]
    Read(#[source] io::Error),
    /// Not an archive that can be read.
    #[error("the jar is no archive that can be read: {0}")]
    Zip(String),
    /// Two readers could read it in two ways.
    #[error("the jar has more than one reading: `{name}` {reason}")]
    Ambiguous {
        /// The entry.
        name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// What is to be as long as the jar is longer.
    #[error("what stands for the jar would be longer than it")]
    TooLong,
    /// More entries or bytes than any jar has.
    #[error("the jar is too large to be looked into")]
    TooLarge,
}

/// What was left out, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut(BTreeMap<&'static str, u64>);

impl LeftOut {
    fn count(&mut self, what: &'static str) {
        let count = self.0.entry(what).or_default();
        *count = count.saturating_add(1);
    }

    /// How many of each kind.
    pub(super) fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.0.iter().map(|(what, count)| (*what, *count))
    }
}

/// A view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct View {
    /// The archive.
    pub(super) bytes: Vec<u8>,
    /// What of the jar is not in it.
    pub(super) left_out: LeftOut,
}

/// Whether a class loader could find something in a file, whatever it is called. A native library
/// is none of its business: mapping and starting it are judged where they happen.
pub(super) fn may_hold_code(file: &File) -> io::Result<bool> {
    Ok(match content::of_file(file)? {
        Content::Archive | Content::Class => true,
        Content::Plain | Content::Native => false,
    })
}

/// Whether a file is a class file, and no archive that begins like one.
pub(super) fn is_class(file: &File) -> io::Result<bool> {
    Ok(content::of_file(file)? == Content::Class)
}

/// Makes the view of a jar, from the first byte of the file to its end.
pub(super) fn of(jar: &File, form: Form) -> Result<View, ViewError> {
    let archive = Archive::open(jar)?;
    let mut writer = Writer::default();
    let mut left_out = LeftOut::default();
    let mut seen: HashMap<&[u8], &Entry> = HashMap::new();
    for entry in &archive.entries {
        if let Some(before) = seen.insert(&entry.name, entry) {
            // Tools repeat directories and licences; anything else has no one meaning.
            if !before.is_same(entry) {
                return Err(entry.ambiguous("is there twice, with different content"));
            }
            continue;
        }
        let Some(place) = entry.readable().map(name::place) else {
            left_out.count("unreadable");
            continue;
        };
        if form == Form::Rehearsal && entry.name == DESCRIPTION {
            let described = rehearsal::descriptor(&archive.read(entry)?);
            let described = described.map_err(|error| ViewError::Zip(error.to_string()))?;
            writer.add(&entry.name, described.as_bytes())?;
            writer.add(rehearsal::CLASS.as_bytes(), &rehearsal::class())?;
            continue;
        }
        let kept = match place {
            Place::Directory => Ok(Vec::new()),
            Place::Dropped(what) => Err(what),
            Place::Manifest => Ok(manifest::reduced(&archive.read(entry)?)),
            Place::Descriptor => {
                let content = archive.read(entry)?;
                match descriptor::is_descriptor(&content) {
                    true => Ok(content),
                    false => Err("class"),
                }
            }
            Place::Class if !form.declares() => Err("class"),
            Place::Class => {
                let content = archive.read(entry)?;
                header::of(&content).ok_or("class")
            }
            Place::Resource => {
                let content = archive.read(entry)?;
                match content::of(&content) {
                    Content::Plain => Ok(content),
                    other @ (Content::Class | Content::Native | Content::Archive) => {
                        Err(other.word())
                    }
                }
            }
        };
        match kept {
            Ok(content) if form == Form::Packed => writer.add_small(&entry.name, &content)?,
            Ok(content) => writer.add(&entry.name, &content)?,
            Err(what) => left_out.count(what),
        }
    }
    if form == Form::Packed {
        writer.fill(jar.metadata().map_err(ViewError::Read)?.len())?;
    }
    Ok(View {
        bytes: writer.finish(),
        left_out,
    })
}

/// The description that makes a jar a plugin of Maven.
const DESCRIPTION: &[u8] = b"META-INF/maven/plugin.xml";

/// An archive with these entries.
pub(super) fn packed(entries: &[(&str, Vec<u8>)]) -> Result<Vec<u8>, ViewError> {
    let mut writer = Writer::default();
    for (name, content) in entries {
        writer.add(name.as_bytes(), content)?;
    }
    Ok(writer.finish())
}

/// Whether a jar is a plugin of Maven: it describes itself as one.
pub(super) fn is_plugin(jar: &File) -> Result<bool, ViewError> {
    let archive = Archive::open(jar)?;
    let mut entries = archive.entries.iter();
    Ok(entries.any(|entry| entry.name == DESCRIPTION))
}

#[cfg(test)]
mod tests;
