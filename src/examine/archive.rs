//! Walks the files of an artifact: npm's tarballs, wheels and jars.
//!
//! Reads in memory only. Every number that the artifact states is held to a bound, and of each file
//! only the head is looked at. Which of several readings of an odd archive an unpacker would take is
//! not decided here: the manager's own driver refuses those before they are released.

use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder};
use rawzip::{CompressionMethod, ZipArchive};

/// Entries of an archive.
const ENTRIES: usize = 50_000;
/// Bytes of a file that are looked at.
const HEAD: u64 = 2 << 20;
/// Bytes unpacked of an archive.
const UNPACKED: u64 = 1 << 30;

/// Takes a path and the head of the file; an error ends the walk.
type Visit<'a> = &'a mut dyn FnMut(&str, &[u8]) -> Result<(), String>;

/// Visits every file. The error says why it is not every one.
pub(super) fn walk(file: &str, content: &[u8], visit: Visit<'_>) -> Result<(), String> {
    let name = file.to_ascii_lowercase();
    let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
    if ends(&[".tgz", ".tar.gz"]) {
        tarball(content, visit)
    } else if ends(&[".whl", ".jar", ".war", ".zip"]) {
        zip(content, visit)
    } else if ends(&[".pom", ".module", ".xml"]) {
        visit(file, content)
    } else {
        Err("its format is not known".to_owned())
    }
}

fn broken(error: impl std::fmt::Display) -> String {
    format!("it cannot be read: {error}")
}

fn tarball(content: &[u8], visit: Visit<'_>) -> Result<(), String> {
    // Also what is skipped has to be unpacked: the bound holds for all of it.
    let unpacked = MultiGzDecoder::new(content).take(UNPACKED);
    let mut archive = tar::Archive::new(unpacked);
    let mut head = Vec::new();
    for (number, entry) in archive.entries().map_err(broken)?.enumerate() {
        if number >= ENTRIES {
            return Err(format!("more than {ENTRIES} files"));
        }
        let mut entry = entry.map_err(broken)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        head.clear();
        (&mut entry)
            .take(HEAD)
            .read_to_end(&mut head)
            .map_err(broken)?;
        visit(&path, &head)?;
    }
    Ok(())
}

fn zip(content: &[u8], visit: Visit<'_>) -> Result<(), String> {
    let archive = ZipArchive::from_slice(content).map_err(broken)?;
    let mut entries = archive.entries();
    let mut head = Vec::new();
    let (mut number, mut unpacked) = (0_usize, 0_u64);
    while let Some(entry) = entries.next_entry().map_err(broken)? {
        number += 1;
        unpacked = unpacked.saturating_add(entry.uncompressed_size_hint().min(HEAD));
        if number > ENTRIES || unpacked > UNPACKED {
            return Err(format!("more than {ENTRIES} files or {UNPACKED} bytes"));
        }
        if entry.is_dir() {
            continue;
        }
        let path = String::from_utf8_lossy(entry.file_path().as_ref()).into_owned();
        let packed = archive.get_entry(entry.wayfinder()).map_err(broken)?.data();
        head.clear();
        if entry.compression_method() == CompressionMethod::DEFLATE {
            let mut bounded = DeflateDecoder::new(packed).take(HEAD);
            bounded.read_to_end(&mut head).map_err(broken)?;
        } else if entry.compression_method() == CompressionMethod::STORE {
            packed.take(HEAD).read_to_end(&mut head).map_err(broken)?;
        } else {
            return Err("it is packed in a way that wheels and jars are not".to_owned());
        }
        visit(&path, &head)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_both_formats_are_visited() {
        let tarball = super::super::tests::tarball(&[("a.js", b"x"), ("b.js", b"y")]);
        let wheel = crate::protocol::pypi::wheel::fixture::wheel("left", "1.0", &[("a.py", b"z")]);
        for (file, content, wanted) in [
            ("a.tgz", tarball, ("package/b.js", b"y")),
            ("left-1.0-py3-none-any.whl", wheel, ("a.py", b"z")),
        ] {
            let mut seen = Vec::new();
            let mut visit = |path: &str, head: &[u8]| {
                seen.push((path.to_owned(), head.to_vec()));
                Ok(())
            };
            walk(file, &content, &mut visit).unwrap();
            let wanted = (wanted.0.to_owned(), wanted.1.to_vec());
            assert!(seen.contains(&wanted), "{file}: {seen:?}");
        }
    }
}
