//! The outline of a jar for whoever unpacks it: every name, and under each a text that stands for it.
//!
//! Made when a jar that nobody answers for is opened in a run that only unpacks jars; read again when
//! the run is over, to put what stood in the jar in place of the texts. Between the two no byte of the
//! jar is within reach of the run. A name that an unpacker could take for another place, a link, and
//! what cannot be read end in an error: nothing of such a jar is unpacked.
//!
//! PKWARE's APPNOTE, section 4.4.17.

use std::collections::HashMap;
use std::fs::File;

use super::ViewError;
use super::archive::{Archive, Entry, Writer};

/// The outline of a jar. `stand_in` makes the text for the entry of that number.
pub(in crate::manager::mvn) fn outline(
    jar: &File,
    stand_in: &dyn Fn(usize) -> Vec<u8>,
) -> Result<Vec<u8>, ViewError> {
    let archive = Archive::open(jar)?;
    let mut writer = Writer::default();
    let mut seen: HashMap<&[u8], &Entry> = HashMap::new();
    for (number, entry) in archive.entries.iter().enumerate() {
        if let Some(before) = seen.insert(&entry.name, entry) {
            if !before.is_same(entry) {
                return Err(entry.ambiguous("is there twice, with different content"));
            }
            continue;
        }
        if entry.readable().is_none() || entry.is_link() {
            return Err(entry.ambiguous("is nothing that can be unpacked to one place"));
        }
        match entry.name.ends_with(b"/") {
            true => writer.add_at(&entry.name, b"", entry.time())?,
            false => writer.add_at(&entry.name, &stand_in(number), entry.time())?,
        }
    }
    Ok(writer.finish())
}

/// The contents of the entries with those numbers, in that order.
pub(in crate::manager::mvn) fn contents(
    jar: &File,
    numbers: impl IntoIterator<Item = usize>,
    take: &mut dyn FnMut(usize, Result<Vec<u8>, ViewError>),
) -> Result<(), ViewError> {
    let archive = Archive::open(jar)?;
    for number in numbers {
        let entry = archive.entries.get(number);
        let entry = entry.ok_or_else(|| ViewError::Zip("it has no such entry".to_owned()))?;
        take(number, archive.read(entry));
    }
    Ok(())
}
