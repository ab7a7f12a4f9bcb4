//! What an entry of a jar is, by its content: code has leading bytes that no name can hide.
//!
//! An archive is also looked for at the end, because readers find it there whatever stands before it.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;

use memchr::memmem;

/// What a content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing that is known to be run.
    Plain,
    /// A class file, or a Mach-O file for several processors, which begins alike.
    Class,
    /// A native library or program.
    Native,
    /// An archive that a class loader could read.
    Archive,
}

impl Content {
    /// The word for it in counts.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Plain => "resource",
            Self::Class => "class",
            Self::Native => "native",
            Self::Archive => "archive",
        }
    }
}

/// Leading bytes of code.
const LEADING: [(&[u8], Content); 12] = [
    (b"PK\x03\x04", Content::Archive),
    (b"\xca\xfe\xba\xbe", Content::Class),
    (b"\x7fELF", Content::Native),
    (b"MZ", Content::Native),
    (b"\xfe\xed\xfa\xce", Content::Native),
    (b"\xfe\xed\xfa\xcf", Content::Native),
    (b"\xce\xfa\xed\xfe", Content::Native),
    (b"\xcf\xfa\xed\xfe", Content::Native),
    (b"\xbe\xba\xfe\xca", Content::Native),
    (b"\xca\xfe\xba\xbf", Content::Native),
    // Pack200.
    (b"\xca\xfe\xd0\x0d", Content::Archive),
    // A module file of the JDK.
    (b"JM\x01\x00", Content::Archive),
];

/// The record at the end of a zip archive, and how far before the end it may begin.
const END: &[u8] = b"PK\x05\x06";
const TAIL: usize = 22 + 65_535;

/// Judges a content.
pub(super) fn of(content: &[u8]) -> Content {
    let tail = content.len().saturating_sub(TAIL);
    judge(content, content.get(tail..).unwrap_or_default())
}

/// Judges a file without reading all of it.
pub(super) fn of_file(file: &File) -> io::Result<Content> {
    let size = file.metadata()?.len();
    let mut head = Vec::new();
    let mut tail = Vec::new();
    let from = size.saturating_sub(TAIL as u64);
    for (part, at, length) in [(&mut head, 0, 8), (&mut tail, from, TAIL)] {
        part.resize(length, 0);
        let mut filled = 0;
        while let Some(rest) = part.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, at + filled as u64)? {
                0 => break,
                count => filled = filled.saturating_add(count),
            }
        }
        part.truncate(filled);
    }
    Ok(judge(&head, &tail))
}

fn judge(head: &[u8], tail: &[u8]) -> Content {
    let leading = LEADING
        .iter()
        .find(|(bytes, _)| head.starts_with(bytes))
        .map(|(_, what)| *what);
    // An archive is one whatever it begins with.
    if memmem::find(tail, END).is_some() {
        return Content::Archive;
    }
    leading.unwrap_or(Content::Plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_known_by_its_bytes() {
        let hidden = [b"text".repeat(100), b"PK\x05\x06".to_vec(), vec![0; 18]].concat();
        for (content, expected) in [
            (&b"\xca\xfe\xba\xbe\0\0\0\x34"[..], Content::Class),
            (b"\x7fELF\x02", Content::Native),
            (b"\x7fELF\x02PK\x05\x06", Content::Archive),
            (b"MZ\x90", Content::Native),
            (b"PK\x03\x04", Content::Archive),
            (&hidden, Content::Archive),
            (b"", Content::Plain),
            (b"<project/>", Content::Plain),
            (b"PKCS", Content::Plain),
        ] {
            assert_eq!(of(content), expected, "{content:?}");
            let mut file = tempfile::tempfile().unwrap();
            io::Write::write_all(&mut file, content).unwrap();
            assert_eq!(of_file(&file).unwrap(), expected, "{content:?}");
        }
    }
}
