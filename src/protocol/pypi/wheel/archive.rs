//! The archive of a wheel, in the one reading that every unpacker gives it.
//!
//! Zip can be read from its central directory or from its local headers, may have bytes before,
//! between and after its entries, and may name one entry twice. What is accepted here is the plain
//! case only: one directory at the end that accounts for every byte of the file, entries one after
//! the other, the same name in both places. Sizes are bounded as declared and as unpacked.
//!
//! PKWARE's APPNOTE, sections 4.3 and 4.4. Encryption, several disks, Zip64 end records and methods
//! other than stored and deflated do not occur in wheels and are refused.

use std::collections::HashSet;
use std::io::{self, Read};

use flate2::read::DeflateDecoder;
use rawzip::extra_fields::ExtraFieldId;
use rawzip::{
    CompressionMethod, ZipArchive, ZipArchiveEntryWayfinder, ZipFileHeaderRecord, ZipLocator,
};

use super::WheelError;
use crate::protocol::ReadAt;

/// Entries; the largest wheels have some twenty thousand.
const ENTRIES: usize = 200_000;
/// Bytes of all entries unpacked; the largest wheels have three gigabytes.
const UNPACKED: u64 = 8 * 1024 * 1024 * 1024;
/// Unpacked bytes for each packed one; compiled code and data tables stay below thirty.
const RATIO: u64 = 200;
/// What may be unpacked whatever the ratio is.
const FREE: u64 = 64 * 1024 * 1024;
/// Directories above an entry.
const DEPTH: usize = 64;
/// Bytes of an entry's name, and of its extra fields.
const NAME: usize = 4096;
/// Characters of a name in a message.
const TOLD: usize = 200;
/// The end record without a comment.
const END: u64 = 22;
/// Bytes read at a time.
const BLOCK: usize = 64 * 1024;
/// Largest data descriptor after an entry: signature, checksum, two long sizes.
const DESCRIPTOR: u64 = 24;

/// One entry.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Path with `/`; that of a directory ends in one.
    pub(super) name: String,
    /// Unpacked size as declared; reading it holds it to that.
    pub(super) size: u64,
    packed: bool,
    place: ZipArchiveEntryWayfinder,
    start: u64,
    described: bool,
}

impl Entry {
    pub(super) fn is_directory(&self) -> bool {
        self.name.ends_with('/')
    }
}

/// A wheel's archive.
pub(super) struct Archive<'a> {
    zip: ZipArchive<Reader<'a>>,
    /// In the order of the directory.
    pub(super) entries: Vec<Entry>,
    /// Every directory that an entry lies in.
    pub(super) directories: HashSet<String>,
    /// Unpacked size of all entries.
    pub(super) unpacked: u64,
}

struct Reader<'a>(&'a dyn ReadAt);

impl rawzip::ReaderAt for Reader<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
}

impl<'a> Archive<'a> {
    /// Reads the directory and compares it with the local headers.
    pub(super) fn open(content: &'a dyn ReadAt) -> Result<Self, WheelError> {
        let size = content.size().map_err(WheelError::Read)?;
        let (start, count) = end_record(content, size)?;
        let mut buffer = vec![0; BLOCK];
        let zip = ZipLocator::new()
            .locate_in_reader(Reader(content), &mut buffer, size)
            .map_err(|(_, error)| zip_error(error))?;
        if zip.directory_offset() != start || zip.eocd_offset().saturating_add(END) != size {
            return Err(WheelError::Ambiguous("it has two end records"));
        }
        let mut entries = Vec::with_capacity(count.min(ENTRIES));
        let (mut names, mut unpacked) = (HashSet::new(), 0_u64);
        let mut records = zip.entries(&mut buffer);
        while let Some(record) = records.next_entry().map_err(zip_error)? {
            let entry = entry(&record)?;
            unpacked = unpacked.saturating_add(entry.size);
            if entries.len() >= ENTRIES || unpacked > UNPACKED {
                return Err(WheelError::Bomb);
            }
            if !names.insert(entry.name.clone()) {
                return Err(WheelError::Twice(entry.name));
            }
            entries.push(entry);
        }
        if entries.len() != count {
            return Err(WheelError::Ambiguous("its directory has another length"));
        }
        if unpacked > size.saturating_mul(RATIO).saturating_add(FREE) {
            return Err(WheelError::Bomb);
        }
        let archive = Self {
            zip,
            directories: directories(&entries)?,
            entries,
            unpacked,
        };
        archive.account(start)?;
        Ok(archive)
    }

    /// Every byte before the directory belongs to exactly one entry, under its own name.
    fn account(&self, directory: u64) -> Result<(), WheelError> {
        let mut order: Vec<&Entry> = self.entries.iter().collect();
        order.sort_unstable_by_key(|entry| entry.start);
        let mut buffer = vec![0; NAME.saturating_mul(2)];
        let (mut end, mut slack) = (0, 0);
        for entry in order {
            if entry.start < end || entry.start > end.saturating_add(slack) {
                return Err(WheelError::Ambiguous("its entries overlap or have gaps"));
            }
            let found = self.zip.get_entry(entry.place).map_err(zip_error)?;
            let local = found.local_header(&mut buffer).map_err(zip_error)?;
            let method = local.compression_method() == CompressionMethod::DEFLATE;
            if local.file_path().as_ref() != entry.name.as_bytes()
                || method != entry.packed
                || local.flags().is_encrypted()
            {
                return Err(WheelError::Entry {
                    name: entry.name.clone(),
                    reason: "its two headers differ",
                });
            }
            end = found.compressed_data_range().1;
            slack = if entry.described { DESCRIPTOR } else { 0 };
        }
        if end > directory || directory > end.saturating_add(slack) {
            return Err(WheelError::Ambiguous("its entries overlap or have gaps"));
        }
        Ok(())
    }

    /// Unpacks an entry piece by piece; an error unless it has exactly the declared size.
    pub(super) fn read(
        &self,
        entry: &Entry,
        buffer: &mut [u8],
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), WheelError> {
        let packed = self.zip.get_entry(entry.place).map_err(zip_error)?.reader();
        let damaged = |_error: io::Error| WheelError::Entry {
            name: entry.name.clone(),
            reason: "its compression is damaged",
        };
        let mut size = 0_u64;
        let mut pass = |reader: &mut dyn Read| {
            loop {
                let count = reader.read(buffer).map_err(damaged)?;
                let Some(piece) = buffer.get(..count).filter(|piece| !piece.is_empty()) else {
                    return Ok(());
                };
                size = size.saturating_add(piece.len() as u64);
                if size > entry.size {
                    return Err(WheelError::Bomb);
                }
                take(piece);
            }
        };
        if entry.packed {
            pass(&mut DeflateDecoder::new(packed))?;
        } else {
            let mut packed = packed;
            pass(&mut packed)?;
        }
        if size == entry.size {
            Ok(())
        } else {
            Err(WheelError::Entry {
                name: entry.name.clone(),
                reason: "it has another size than declared",
            })
        }
    }

    /// Unpacks a small entry as a whole.
    pub(super) fn whole(&self, entry: &Entry, limit: u64) -> Result<Vec<u8>, WheelError> {
        if entry.size > limit {
            return Err(WheelError::Entry {
                name: entry.name.clone(),
                reason: "it is too large for what it is",
            });
        }
        let mut content = Vec::new();
        self.read(entry, &mut vec![0; BLOCK], |piece| {
            content.extend_from_slice(piece);
        })?;
        Ok(content)
    }
}

/// Where the directory starts and how many entries it has, by the end record at the very end.
fn end_record(content: &dyn ReadAt, size: u64) -> Result<(u64, usize), WheelError> {
    let no_end = || WheelError::Ambiguous("it does not end with an end record");
    let at = size.checked_sub(END).ok_or_else(no_end)?;
    let mut record = [0_u8; 22];
    exact(content, &mut record, at)?;
    let [
        b'P',
        b'K',
        5,
        6,
        d0,
        d1,
        e0,
        e1,
        n0,
        n1,
        m0,
        m1,
        s0,
        s1,
        s2,
        s3,
        o0,
        o1,
        o2,
        o3,
        0,
        0,
    ] = record
    else {
        return Err(no_end());
    };
    let count = u16::from_le_bytes([m0, m1]);
    let length = u64::from(u32::from_le_bytes([s0, s1, s2, s3]));
    let start = u64::from(u32::from_le_bytes([o0, o1, o2, o3]));
    if [d0, d1, e0, e1] != [0; 4] || [n0, n1] != [m0, m1] {
        return Err(WheelError::Ambiguous("it spans several disks"));
    }
    if start.saturating_add(length) != at {
        return Err(WheelError::Ambiguous("its directory is not at its end"));
    }
    if let Some(before) = at.checked_sub(20) {
        let mut locator = [0_u8; 4];
        exact(content, &mut locator, before)?;
        if locator == *b"PK\x06\x07" {
            return Err(WheelError::Ambiguous("it has a Zip64 end record"));
        }
    }
    Ok((start, usize::from(count)))
}

fn exact(content: &dyn ReadAt, buffer: &mut [u8], offset: u64) -> Result<(), WheelError> {
    rawzip::ReaderAt::read_exact_at(&Reader(content), buffer, offset).map_err(read_error)
}

/// A name as a message can hold it: one of an archive may have 64 KiB.
fn told(name: &str) -> String {
    match name.char_indices().nth(TOLD) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

fn entry(record: &ZipFileHeaderRecord<'_>) -> Result<Entry, WheelError> {
    let path = record.file_path();
    let bytes: &[u8] = path.as_ref();
    let name = String::from_utf8(bytes.to_vec())
        .map_err(|_error| WheelError::Ambiguous("a name in it is not UTF-8"))?;
    let refuse = |reason| WheelError::Entry {
        name: told(&name),
        reason,
    };
    if let Some(reason) = wrong_path(&name) {
        return Err(refuse(reason));
    }
    let flags = record.flags();
    if flags.is_encrypted() || flags.has_strong_encryption() || flags.is_masked() {
        return Err(refuse("it is encrypted"));
    }
    // Without the flag another character set applies; a second name replaces the first.
    let second = record
        .extra_fields()
        .any(|(id, _)| id == ExtraFieldId::INFO_ZIP_UNICODE_PATH);
    if second || (!name.is_ascii() && !flags.is_utf8()) {
        return Err(refuse("its name has more than one reading"));
    }
    // The type in the upper half is Unix's, whoever claims to have made the entry.
    let directory = name.ends_with('/');
    let kind = record.external_attributes() >> 28;
    let ordinary = matches!(kind, 0 | 8) || (kind == 4 && directory);
    if !ordinary {
        return Err(refuse("it is a link or a special file"));
    }
    let packed = match record.compression_method() {
        CompressionMethod::STORE => false,
        CompressionMethod::DEFLATE => true,
        _ => return Err(refuse("its compression method does not occur in wheels")),
    };
    let size = record.uncompressed_size_hint();
    if size >= u64::from(u32::MAX) || record.compressed_size_hint() >= u64::from(u32::MAX) {
        return Err(WheelError::Bomb);
    }
    if directory && size > 0 {
        return Err(refuse("it is a directory with content"));
    }
    Ok(Entry {
        size,
        packed,
        place: record.wayfinder(),
        start: record.local_header_offset(),
        described: flags.has_data_descriptor(),
        name,
    })
}

/// What is wrong with a path of the archive.
fn wrong_path(name: &str) -> Option<&'static str> {
    let path = name.strip_suffix('/').unwrap_or(name);
    if name.len() > NAME {
        Some("its name is too long")
    } else if name.starts_with('/') {
        Some("it is an absolute path")
    } else if name.contains('\\') {
        Some("its name has a backslash")
    } else if name.chars().any(char::is_control) {
        Some("its name has control characters")
    } else if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        Some("its path has empty or dot segments")
    } else if path.split('/').count() > DEPTH {
        Some("it lies too deep")
    } else {
        None
    }
}

/// Every directory above an entry. No file stands where another entry needs one.
fn directories(entries: &[Entry]) -> Result<HashSet<String>, WheelError> {
    let mut found = HashSet::new();
    for entry in entries {
        let path = entry.name.strip_suffix('/').unwrap_or(&entry.name);
        let mut above = Some(path).filter(|_| entry.is_directory());
        above = above.or_else(|| Some(path.rsplit_once('/')?.0));
        while let Some(directory) = above {
            if !found.insert(directory.to_owned()) {
                break;
            }
            above = directory.rsplit_once('/').map(|(parent, _)| parent);
        }
    }
    let file = entries.iter().find(|entry| found.contains(&entry.name));
    match file {
        None => Ok(found),
        Some(file) => Err(WheelError::Twice(file.name.clone())),
    }
}

fn zip_error(error: rawzip::Error) -> WheelError {
    let text = error.to_string();
    if let rawzip::ErrorKind::IO(error) = error.into_kind() {
        read_error(error)
    } else {
        WheelError::Zip(text)
    }
}

/// An archive that points behind its own end is at fault itself.
fn read_error(error: io::Error) -> WheelError {
    if error.kind() == io::ErrorKind::UnexpectedEof {
        WheelError::Zip("it ends too early".to_owned())
    } else {
        WheelError::Read(error)
    }
}
