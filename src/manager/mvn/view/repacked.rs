//! An archive that was made of views, made again of what they stand for.
//!
//! Called when a run is over, for an archive that the run itself made. Names, order, times and rights of
//! the entries stay, and so does what no view stands for. It does not decide what stands for what.
//!
//! PKWARE's APPNOTE, section 4.3.

use std::fs::File;

use super::ViewError;
use super::archive::{Archive, Writer};

/// What stands in the place of an entry's content, by its name and content.
type Whole<'a> = dyn FnMut(&str, &[u8]) -> Result<Option<Vec<u8>>, ViewError> + 'a;

/// The archive with other contents where `whole` has one for the content of an entry; nothing where it
/// has none for any.
pub(in crate::manager::mvn) fn repacked(
    archive: &File,
    whole: &mut Whole<'_>,
) -> Result<Option<Vec<u8>>, ViewError> {
    let archive = Archive::open(archive)?;
    let mut writer = Writer::default();
    let mut changed = false;
    for entry in &archive.entries {
        let name = entry
            .readable()
            .ok_or_else(|| entry.ambiguous("cannot be read"))?;
        let content = archive.read(entry)?;
        match whole(name, &content)? {
            Some(other) => {
                changed = true;
                writer.add_like(entry, &other)?;
            }
            None => writer.add_like(entry, &content)?,
        }
    }
    Ok(changed.then(|| writer.finish()))
}
