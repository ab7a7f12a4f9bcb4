//! Whether a package's folder is what its archive holds: byte for byte, and nothing more.
//!
//! An approval names an archive; what would run is a folder. npm unpacks without the first name of each path,
//! leaves links out and turns `.gitignore` into `.npmignore` where there is none. Other packages' folders
//! below are theirs. A folder that was built before has more than its archive, so a clean install comes first.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;

use crate::manager::Wanted;
use crate::model::{Code, Digest, Finding};
use crate::verify::hash::sha256_from;
use crate::verify::hash::sha256_of;

/// Files that an archive, or a folder, may have.
const FILES: usize = 200_000;
/// Bytes that an archive may unpack to.
const BYTES: u64 = 8 << 30;

/// See [`crate::manager::Builder::compare`].
pub(super) fn compare(wanted: &Wanted, artifact: &mut dyn Read) -> Result<(), Finding> {
    let refused = |message: String| {
        let message = format!("`{}` is not built: {message}", wanted.purl);
        let hint = "install it anew with `v4run npm ci`, then build at once";
        Finding::new(Code::BuildUnapproved, &wanted.path, message).with_hint(hint)
    };
    let archived = unpack(artifact)
        .map_err(|error| refused(format!("its archive cannot be read: {error}")))?;
    let mut left = BTreeSet::new();
    walk(&wanted.folder, Path::new(""), &mut left)
        .map_err(|error| refused(format!("its folder cannot be read: {error}")))?;
    for (path, digest) in &archived {
        let shown = path.display();
        let there = left.remove(path);
        let found = File::open(wanted.folder.join(path)).and_then(|file| sha256_of(&file));
        match found {
            Ok(found) if there && found == *digest => {}
            Ok(_) => return Err(refused(format!("`{shown}` is not what its archive holds"))),
            Err(error) => return Err(refused(format!("`{shown}` cannot be read: {error}"))),
        }
    }
    let foreign = |path: &&PathBuf| !path.starts_with("node_modules");
    match left.iter().find(foreign) {
        Some(path) => Err(refused(format!(
            "it holds `{}`, which its archive does not",
            path.display()
        ))),
        None => Ok(()),
    }
}

/// Files of an archive as npm would put them, with their digests.
fn unpack(artifact: &mut dyn Read) -> io::Result<BTreeMap<PathBuf, Digest>> {
    let mut archive = tar::Archive::new(GzDecoder::new(artifact).take(BYTES));
    let mut files = BTreeMap::new();
    for entry in archive.entries()? {
        let mut entry = entry?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path()?.into_owned();
        let mut parts = path.components().filter(|part| *part != Component::CurDir);
        parts.next();
        let mut path: PathBuf = parts.collect();
        let plain = path
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        if !plain || path.as_os_str().is_empty() || files.len() >= FILES {
            return Err(io::Error::other("it holds what no package does"));
        }
        if path.file_name().is_some_and(|name| name == ".gitignore") {
            let ignore = path.with_file_name(".npmignore");
            if files.contains_key(&ignore) {
                continue;
            }
            path = ignore;
        }
        files.insert(path, sha256_from(&mut entry)?);
    }
    Ok(files)
}

/// Everything in a folder that is no directory.
fn walk(root: &Path, below: &Path, found: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if found.len() >= FILES {
            return Err(io::Error::other("more files than any package has"));
        }
        if entry.file_type()?.is_dir() {
            walk(root, &path, found)?;
        } else {
            found.insert(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        let mut archive = tar::Builder::new(encoder);
        for (name, content) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            archive
                .append_data(&mut header, name, content.as_bytes())
                .unwrap();
        }
        archive.into_inner().unwrap().finish().unwrap()
    }

    #[test]
    fn a_folder_is_its_archive_or_is_not_built() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = Wanted {
            folder: folder.path().to_path_buf(),
            ..Wanted::default()
        };
        let archive = archive(&[
            ("package/package.json", "{}"),
            ("package/src/a.cc", "int a;"),
            ("package/.gitignore", "x"),
        ]);
        let judge = || compare(&wanted, &mut archive.as_slice());
        let write = |path: &str, content: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        write("package.json", "{}");
        write("src/a.cc", "int a;");
        assert!(
            judge()
                .unwrap_err()
                .message
                .contains("`.npmignore` cannot be read")
        );
        write(".npmignore", "x");
        write("node_modules/other/index.js", "1");
        judge().unwrap();
        write("src/a.cc", "int b;");
        assert!(
            judge()
                .unwrap_err()
                .message
                .contains("`src/a.cc` is not what")
        );
        write("src/a.cc", "int a;");
        write("build/x.node", "");
        let finding = judge().unwrap_err();
        assert!(
            finding.message.contains("holds `build/x.node`"),
            "{}",
            finding.message
        );
        assert_eq!(finding.code, Code::BuildUnapproved);
        assert!(compare(&wanted, &mut &b"no archive"[..]).is_err());
    }
}
