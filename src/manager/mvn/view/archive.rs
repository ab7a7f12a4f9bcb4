//! Reading the archive of a jar, and writing the one that is handed out.
//!
//! Read is the central directory; each entry's own header must say the same. Gaps, bytes before the
//! first entry and comments do no harm here, because nothing of them is copied. Written are stored
//! entries with their sizes in front, in the order of the old archive, without time stamps.
//!
//! PKWARE's APPNOTE, sections 4.3 and 4.4.

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::unix::fs::FileExt as _;

use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use rawzip::{
    CompressionMethod, ZipArchive, ZipArchiveEntryWayfinder, ZipFileHeaderRecord, ZipLocator,
};

use super::{LARGEST, ViewError};

/// Entries; the largest jars have some hundred thousand.
const ENTRIES: usize = 300_000;
/// Unpacked bytes for each packed one; above it an entry is a bomb. Deflate itself ends at 1032.
const RATIO: u64 = 400;
/// What may be unpacked whatever the ratio is.
const FREE: u64 = 16 << 20;
/// Bytes of an entry's name.
const NAME: usize = 4096;
const BLOCK: usize = 64 * 1024;
/// Bytes of the record at the end.
const END: usize = 22;

/// One entry.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its name as it was written.
    pub(super) name: Vec<u8>,
    size: u64,
    checksum: u32,
    /// Stored or deflated; nothing else is read.
    packed: Option<bool>,
    /// Time and date as they were packed.
    time: [[u8; 2]; 2],
    /// Whether it is unpacked as a link.
    link: bool,
    /// Who made it, and what that system notes about files.
    attributes: ([u8; 2], u32),
    place: ZipArchiveEntryWayfinder,
}

impl Entry {
    /// Whether another entry of the same name has the same content.
    pub(super) const fn is_same(&self, other: &Self) -> bool {
        self.size == other.size && self.checksum == other.checksum
    }

    /// Time and date as they were packed.
    pub(super) const fn time(&self) -> [[u8; 2]; 2] {
        self.time
    }

    /// Whether it is unpacked as a link.
    pub(super) const fn is_link(&self) -> bool {
        self.link
    }

    /// The name, when name and content can be read and the name stays inside the jar.
    pub(super) fn readable(&self) -> Option<&str> {
        self.packed?;
        let name = std::str::from_utf8(&self.name).ok()?;
        let path = name.strip_suffix('/').unwrap_or(name);
        let inside = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        let plain = !name.contains('\\') && !name.chars().any(char::is_control);
        (inside && plain).then_some(name)
    }

    /// The refusal of it.
    pub(super) fn ambiguous(&self, reason: &'static str) -> ViewError {
        ViewError::Ambiguous {
            name: String::from_utf8_lossy(&self.name)
                .escape_debug()
                .take(256)
                .collect(),
            reason,
        }
    }
}

/// The archive of a jar.
pub(super) struct Archive<'a> {
    zip: ZipArchive<Reader<'a>>,
    /// In the order of the directory.
    pub(super) entries: Vec<Entry>,
}

struct Reader<'a>(&'a File);

impl rawzip::ReaderAt for Reader<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
}

impl<'a> Archive<'a> {
    /// Reads the directory and compares it with the headers of the entries.
    pub(super) fn open(jar: &'a File) -> Result<Self, ViewError> {
        let size = jar.metadata().map_err(ViewError::Read)?.len();
        let mut buffer = vec![0; BLOCK];
        let zip = ZipLocator::new()
            .locate_in_reader(Reader(jar), &mut buffer, size)
            .map_err(|(_, error)| zip_error(error))?;
        let mut entries = Vec::new();
        let mut unpacked = 0_u64;
        let mut records = zip.entries(&mut buffer);
        while let Some(record) = records.next_entry().map_err(zip_error)? {
            unpacked = unpacked.saturating_add(record.uncompressed_size_hint());
            if entries.len() >= ENTRIES || record.file_path().as_bytes().len() > NAME {
                return Err(ViewError::TooLarge);
            }
            entries.push(entry(&record));
        }
        if unpacked > size.saturating_mul(RATIO).saturating_add(FREE) {
            return Err(ViewError::TooLarge);
        }
        let archive = Self { zip, entries };
        archive.agree()?;
        Ok(archive)
    }

    /// Every entry says of itself what the directory says.
    fn agree(&self) -> Result<(), ViewError> {
        let mut buffer = vec![0; NAME.saturating_mul(2).saturating_add(usize::from(u16::MAX))];
        for entry in &self.entries {
            let found = self.zip.get_entry(entry.place).map_err(zip_error)?;
            let local = found.local_header(&mut buffer).map_err(zip_error)?;
            let packed = method(local.compression_method());
            if local.file_path().as_bytes() != entry.name || packed != entry.packed {
                return Err(entry.ambiguous("has two headers that differ"));
            }
        }
        Ok(())
    }

    /// Unpacks an entry; an error unless it has exactly the size and checksum that it states.
    pub(super) fn read(&self, entry: &Entry) -> Result<Vec<u8>, ViewError> {
        let damaged = || entry.ambiguous("is not what its header states");
        if entry.size > LARGEST {
            return Err(ViewError::TooLarge);
        }
        let packed = self.zip.get_entry(entry.place).map_err(zip_error)?.reader();
        let mut content = Vec::new();
        // One byte more than stated, so that more is seen.
        let limit = entry.size.saturating_add(1);
        let read = match entry.packed {
            Some(true) => DeflateDecoder::new(packed)
                .take(limit)
                .read_to_end(&mut content),
            Some(false) => packed.take(limit).read_to_end(&mut content),
            None => return Err(damaged()),
        };
        read.map_err(|_damaged| damaged())?;
        let mut checksum = Crc::new();
        checksum.update(&content);
        match content.len() as u64 == entry.size && checksum.sum() == entry.checksum {
            true => Ok(content),
            false => Err(damaged()),
        }
    }
}

fn entry(record: &ZipFileHeaderRecord<'_>) -> Entry {
    let flags = record.flags();
    let dos = record.last_modified_dos();
    let closed = flags.is_encrypted() || flags.has_strong_encryption() || flags.is_masked();
    Entry {
        name: record.file_path().as_bytes().to_vec(),
        size: record.uncompressed_size_hint(),
        checksum: record.crc32(),
        packed: method(record.compression_method()).filter(|_| !closed),
        time: [dos.packed_time(), dos.packed_date()].map(u16::to_le_bytes),
        link: record.mode().is_symlink(),
        attributes: (
            record.version_made_by().as_u16().to_le_bytes(),
            record.external_attributes(),
        ),
        place: record.wayfinder(),
    }
}

fn method(method: CompressionMethod) -> Option<bool> {
    match method {
        CompressionMethod::STORE => Some(false),
        CompressionMethod::DEFLATE => Some(true),
        _ => None,
    }
}

fn zip_error(error: rawzip::Error) -> ViewError {
    let text = error.to_string();
    if let rawzip::ErrorKind::IO(error) = error.into_kind()
        && error.kind() != io::ErrorKind::UnexpectedEof
    {
        return ViewError::Read(error);
    }
    ViewError::Zip(text)
}

/// How an entry is written.
struct Form {
    deflated: bool,
    time: [[u8; 2]; 2],
    made_by: [u8; 2],
    attributes: u32,
}

const PLAIN: Form = Form {
    deflated: false,
    time: [[0, 0], [0x21, 0]],
    made_by: [20, 0],
    attributes: 0,
};

/// An archive being written.
#[derive(Debug, Default)]
pub(super) struct Writer {
    bytes: Vec<u8>,
    directory: Vec<u8>,
    count: u64,
}

impl Writer {
    /// Adds an entry that has no time: the first day that the format knows.
    pub(super) fn add(&mut self, name: &[u8], content: &[u8]) -> Result<(), ViewError> {
        self.put(name, content, content, &PLAIN)
    }

    /// Adds an entry with its packed time and date.
    pub(super) fn add_at(
        &mut self,
        name: &[u8],
        content: &[u8],
        time: [[u8; 2]; 2],
    ) -> Result<(), ViewError> {
        self.put(name, content, content, &Form { time, ..PLAIN })
    }

    /// Adds an entry that has no time, as small as it gets.
    pub(super) fn add_small(&mut self, name: &[u8], content: &[u8]) -> Result<(), ViewError> {
        let form = Form {
            deflated: true,
            ..PLAIN
        };
        self.deflate(name, content, &form, Compression::best())
    }

    /// Adds an entry in the form of another one.
    pub(super) fn add_like(&mut self, entry: &Entry, content: &[u8]) -> Result<(), ViewError> {
        let (made_by, attributes) = entry.attributes;
        let form = Form {
            deflated: entry.packed == Some(true),
            time: entry.time,
            made_by,
            attributes,
        };
        match form.deflated {
            true => self.deflate(&entry.name, content, &form, Compression::default()),
            false => self.put(&entry.name, content, content, &form),
        }
    }

    fn deflate(
        &mut self,
        name: &[u8],
        content: &[u8],
        form: &Form,
        level: Compression,
    ) -> Result<(), ViewError> {
        let mut encoder = DeflateEncoder::new(Vec::new(), level);
        let packed = encoder.write_all(content).and_then(|()| encoder.finish());
        self.put(name, content, &packed.map_err(ViewError::Read)?, form)
    }

    /// Fills up to a length, between the entries and the directory, where no reader looks.
    pub(super) fn fill(&mut self, length: u64) -> Result<(), ViewError> {
        if self.count >= u64::from(u16::MAX) {
            return Err(ViewError::TooLarge);
        }
        let own = self.bytes.len().saturating_add(self.directory.len());
        let own = own.saturating_add(END);
        let length = usize::try_from(length).map_err(|_large| ViewError::TooLarge)?;
        let gap = length.checked_sub(own).ok_or(ViewError::TooLong)?;
        if length as u64 > LARGEST {
            return Err(ViewError::TooLarge);
        }
        self.bytes.resize(self.bytes.len().saturating_add(gap), 0);
        Ok(())
    }

    fn put(
        &mut self,
        name: &[u8],
        content: &[u8],
        packed: &[u8],
        form: &Form,
    ) -> Result<(), ViewError> {
        let whole = [&self.bytes, &self.directory, name, packed].map(<[u8]>::len);
        let whole = whole.into_iter().fold(0_usize, usize::saturating_add);
        let size = u32::try_from(content.len()).map_err(|_large| ViewError::TooLarge)?;
        let packed_size = u32::try_from(packed.len()).map_err(|_large| ViewError::TooLarge)?;
        let start = u32::try_from(self.bytes.len()).map_err(|_large| ViewError::TooLarge)?;
        let length = u16::try_from(name.len()).map_err(|_large| ViewError::TooLarge)?;
        if whole as u64 > LARGEST {
            return Err(ViewError::TooLarge);
        }
        let mut checksum = Crc::new();
        checksum.update(content);
        // Version 2.0, names in UTF-8.
        let method = if form.deflated { 8 } else { 0 };
        let mut common = vec![20, 0, 0, 8, method, 0];
        common.extend(form.time.as_flattened());
        common.extend(checksum.sum().to_le_bytes());
        common.extend(packed_size.to_le_bytes());
        common.extend(size.to_le_bytes());
        common.extend(length.to_le_bytes());
        common.extend([0, 0]);
        self.bytes.extend(b"PK\x03\x04");
        self.bytes.extend(&common);
        self.bytes.extend(name);
        self.bytes.extend(packed);
        self.directory.extend(b"PK\x01\x02");
        self.directory.extend(form.made_by);
        self.directory.extend(&common);
        // No comment, first disk, no kind of content.
        self.directory.extend([0; 6]);
        self.directory.extend(form.attributes.to_le_bytes());
        self.directory.extend(start.to_le_bytes());
        self.directory.extend(name);
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// The archive.
    pub(super) fn finish(self) -> Vec<u8> {
        let Self {
            mut bytes,
            directory,
            count,
        } = self;
        let start = bytes.len() as u64;
        let length = directory.len() as u64;
        bytes.extend(directory);
        let end = bytes.len() as u64;
        if count >= u64::from(u16::MAX) {
            bytes.extend(b"PK\x06\x06");
            bytes.extend(44_u64.to_le_bytes());
            bytes.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            for number in [count, count, length, start] {
                bytes.extend(number.to_le_bytes());
            }
            bytes.extend(b"PK\x06\x07\0\0\0\0");
            bytes.extend(end.to_le_bytes());
            bytes.extend(1_u32.to_le_bytes());
        }
        let short = u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes();
        bytes.extend(b"PK\x05\x06\0\0\0\0");
        bytes.extend(short);
        bytes.extend(short);
        for number in [length, start] {
            bytes.extend(u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
        }
        bytes.extend([0, 0]);
        bytes
    }
}
