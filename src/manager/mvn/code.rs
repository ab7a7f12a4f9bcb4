//! What the virtual machine gets when it opens an artifact: the file, or a view of it without code.
//!
//! Called by the supervisor with the sealed copy of a file whose digest matched. Any jar that Maven
//! opens may end in a class loader, so whole jars are given only where the bytes themselves are
//! trusted: an approval names their digest, or the operating system installed the very same file,
//! where nobody but root can write. A name is never enough. POMs and other documents hold no code.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::view::{self, Form};
use crate::manager::{HandOut, Opened};
use crate::model::Digest;

/// Largest file of the operating system that is compared.
const LARGEST: u64 = 1 << 30;

/// See [`crate::manager::Manager::hand_out`].
pub(super) fn hand_out(opened: &Opened<'_>) -> io::Result<HandOut> {
    if opened.path.extension().is_some_and(|name| name == "pom") {
        return Ok(HandOut::Whole);
    }
    match reason(opened)? {
        Some(reason) => Ok(HandOut::Trusted(reason)),
        None => view::of(opened.content, Form::CodeFree)
            .map(|view| HandOut::View(view.bytes))
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}

/// Why the bytes are trusted, if they are.
fn reason(opened: &Opened<'_>) -> io::Result<Option<String>> {
    let mut approved = opened.trust.approved.iter();
    if let Some(approval) = approved.find(|approval| approval.digest == *opened.sha256) {
        return Ok(Some(approval.why.clone()));
    }
    for twin in &opened.trust.twins {
        let Ok(below) = opened.path.strip_prefix(&twin.below) else {
            continue;
        };
        let Ok(path) = Path::new(&twin.installed).join(below).canonicalize() else {
            continue;
        };
        if is_installed(&path) && sha256(&path)? == *opened.sha256 {
            return Ok(Some(format!("installed by the system: {}", path.display())));
        }
    }
    Ok(None)
}

/// Whether only root can change a file: itself and every directory above it.
fn is_installed(path: &Path) -> bool {
    let closed = |path: &Path| {
        let data = std::fs::symlink_metadata(path);
        data.is_ok_and(|data| data.uid() == 0 && data.mode() & 0o022 == 0)
    };
    path.is_file() && path.ancestors().all(closed)
}

fn sha256(path: &Path) -> io::Result<Digest> {
    let file = File::open(path)?;
    if file.metadata()?.len() > LARGEST {
        return Err(io::Error::from(io::ErrorKind::FileTooLarge));
    }
    crate::verify::hash::sha256_of(&file)
}
