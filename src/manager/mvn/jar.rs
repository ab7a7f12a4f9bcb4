//! One file out of a trusted jar of Maven itself.
//!
//! Which repository Maven uses without configuration, and which version it is, stand in its own
//! jars. Only jars of Maven's home are read here, before the start; artifacts are looked into by the
//! protocol. Bounded all the same. PKWARE's APPNOTE, section 4.3.

use std::io::Read as _;
use std::path::Path;

use flate2::read::DeflateDecoder;
use rawzip::{CompressionMethod, ZipLocator};

use crate::manager::read;

/// Jars of Maven are below a few megabytes.
const JAR: u64 = 64 << 20;

/// Text files in them are below some kilobytes.
const ENTRY: u64 = 1 << 20;

/// The text of an entry; nothing when jar or entry are not there or cannot be read.
pub(super) fn text(jar: &Path, name: &str) -> Option<String> {
    let bytes = read::file(jar, JAR).ok().flatten()?;
    let archive = ZipLocator::new().locate_in_slice(&bytes).ok()?;
    let mut entries = archive.entries();
    while let Ok(Some(entry)) = entries.next_entry() {
        if entry.file_path().as_bytes() != name.as_bytes() {
            continue;
        }
        let method = entry.compression_method();
        let held = archive.get_entry(entry.wayfinder()).ok()?;
        let mut text = String::new();
        match method {
            CompressionMethod::STORE => held.data().take(ENTRY).read_to_string(&mut text).ok()?,
            CompressionMethod::DEFLATE => DeflateDecoder::new(held.data())
                .take(ENTRY)
                .read_to_string(&mut text)
                .ok()?,
            _ => return None,
        };
        return Some(text);
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn an_entry_is_found_by_its_name_and_nothing_else_is() {
        let directory = tempfile::tempdir().unwrap();
        let jar = directory.path().join("a.jar");
        let mut output = Vec::new();
        let mut archive = rawzip::ZipArchiveWriter::new(&mut output);
        for (name, text) in [("a/pom.properties", "version=1"), ("b", "other")] {
            let (mut entry, config) = archive.new_file(name).start().unwrap();
            let mut writer = config.wrap(&mut entry);
            writer.write_all(text.as_bytes()).unwrap();
            let (_, descriptor) = writer.finish().unwrap();
            entry.finish(descriptor).unwrap();
        }
        archive.finish().unwrap();
        std::fs::write(&jar, output).unwrap();
        assert_eq!(text(&jar, "a/pom.properties").unwrap(), "version=1");
        assert!(text(&jar, "pom.properties").is_none());
        assert!(text(&directory.path().join("none.jar"), "b").is_none());
    }
}
