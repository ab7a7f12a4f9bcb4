//! One immutable file of the index: runs, components, and which component of which run has a key.
//!
//! Sections of little-endian numbers and text, read where they are needed and never as a whole. Every
//! block has a digest in the footer, and the footer has one at the end of the file: what was cut
//! short or changed is an error, and then the file is made again from the records. The format is
//! nobody else's business and has no compatibility.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What a record is looked up by: a digest of kind and text.
pub(super) type Key = [u8; 16];
/// Identity of a journal: inode, size, times of content and status.
pub(super) type Stamp = [u64; 4];

const MAGIC: &[u8; 16] = b"v4run index 0001";
/// Digest, length and magic behind the footer.
const TAIL: u64 = 32 + 8 + 16;
/// Bytes with one digest.
const BLOCK: u64 = 16 * 1024;
/// A footer of an index of ten million records is smaller.
const FOOTER: u64 = 64 << 20;
/// Bytes of an entry of the key section: key, begin and number of its postings.
const ENTRY: u64 = 16 + 8 + 4;
/// Bytes of a posting: component and run.
const POSTING: u64 = 8;

/// A run as the index knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// Name of the record's folder.
    pub(super) name: String,
    pub(super) stamp: Stamp,
    /// Whether the record is not believed.
    pub(super) broken: bool,
    /// What else is known of it; its own text.
    pub(super) detail: Vec<u8>,
}

/// A segment in the making.
#[derive(Debug, Default)]
pub(super) struct Builder {
    rows: Vec<Row>,
    components: Vec<String>,
    known: HashMap<String, u32>,
    postings: BTreeMap<Key, Vec<(u32, u32)>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Footer {
    /// Begin and length of each section.
    sections: [(u64, u64); 6],
    /// Beginnings of the blocks' digests, hex, without separators.
    blocks: String,
    rows: u32,
}

const ROWS: usize = 0;
const DETAILS: usize = 1;
const OFFSETS: usize = 2;
const TEXTS: usize = 3;
const KEYS: usize = 4;
const POSTINGS: usize = 5;

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

fn number(value: usize) -> io::Result<u32> {
    u32::try_from(value).map_err(|_large| invalid("more than the index can count"))
}

impl Builder {
    /// How many runs are in it.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Adds a run with its components and their keys.
    pub(super) fn add(&mut self, row: Row, components: Vec<(String, Vec<Key>)>) -> io::Result<()> {
        let run = number(self.rows.len())?;
        self.rows.push(row);
        for (text, keys) in components {
            let component = self.component(text)?;
            for key in keys {
                self.post(key, component, run);
            }
        }
        Ok(())
    }

    fn component(&mut self, text: String) -> io::Result<u32> {
        if let Some(known) = self.known.get(&text) {
            return Ok(*known);
        }
        let new = number(self.components.len())?;
        self.components.push(text.clone());
        self.known.insert(text, new);
        Ok(new)
    }

    fn post(&mut self, key: Key, component: u32, run: u32) {
        let list = self.postings.entry(key).or_default();
        if list.last() != Some(&(component, run)) {
            list.push((component, run));
        }
    }

    /// Takes over the wanted runs of a segment.
    pub(super) fn absorb(
        &mut self,
        segment: &Segment,
        wanted: impl Fn(u32) -> bool,
    ) -> io::Result<()> {
        let mut runs = HashMap::new();
        let details = segment.details()?;
        for (old, row) in (0..).zip(segment.rows()?) {
            if wanted(old) {
                runs.insert(old, number(self.rows.len())?);
                let detail = details.of(&row)?;
                self.rows.push(Row {
                    name: row.name,
                    stamp: row.stamp,
                    broken: row.broken,
                    detail,
                });
            }
        }
        let texts = segment.texts()?;
        let mut components = Vec::with_capacity(texts.len());
        for text in texts {
            components.push(self.component(text)?);
        }
        segment.each(|key, component, run| {
            let component = usize::try_from(component).ok();
            let component = component.and_then(|at| components.get(at));
            if let (Some(component), Some(run)) = (component, runs.get(&run)) {
                self.post(key, *component, *run);
            }
        })
    }

    /// The file's bytes.
    pub(super) fn encode(&self) -> io::Result<Vec<u8>> {
        let mut sections: [Vec<u8>; 6] = Default::default();
        let [rows, details, offsets, texts, keys, postings] = &mut sections;
        for row in &self.rows {
            rows.extend(number(row.name.len())?.to_le_bytes());
            rows.extend(row.name.as_bytes());
            row.stamp
                .iter()
                .for_each(|part| rows.extend(part.to_le_bytes()));
            rows.extend(u32::from(row.broken).to_le_bytes());
            rows.extend((details.len() as u64).to_le_bytes());
            rows.extend(number(row.detail.len())?.to_le_bytes());
            details.extend(&row.detail);
        }
        for text in &self.components {
            offsets.extend((texts.len() as u64).to_le_bytes());
            texts.extend(text.as_bytes());
        }
        offsets.extend((texts.len() as u64).to_le_bytes());
        for (key, list) in &self.postings {
            keys.extend(key);
            keys.extend((postings.len() as u64).to_le_bytes());
            keys.extend(number(list.len())?.to_le_bytes());
            for (component, run) in list {
                postings.extend(component.to_le_bytes());
                postings.extend(run.to_le_bytes());
            }
        }
        let mut bytes = Vec::new();
        let mut places = [(0, 0); 6];
        for (place, section) in places.iter_mut().zip(&sections) {
            *place = (bytes.len() as u64, section.len() as u64);
            bytes.extend(section);
        }
        let block = usize::try_from(BLOCK).map_err(|_small| invalid("block"))?;
        let footer = Footer {
            sections: places,
            blocks: bytes.chunks(block).map(short).collect(),
            rows: number(self.rows.len())?,
        };
        let footer = serde_json::to_vec(&footer)?;
        bytes.extend(&footer);
        bytes.extend(Sha256::digest(&footer));
        bytes.extend((footer.len() as u64).to_le_bytes());
        bytes.extend(MAGIC);
        Ok(bytes)
    }
}

/// Beginning of a block's digest, hex.
fn short(block: &[u8]) -> String {
    hex::encode(Sha256::digest(block).get(..8).unwrap_or_default())
}

/// Where the bytes are.
#[derive(Debug)]
enum Source {
    File(File),
    /// Where no file can be kept.
    Memory(Vec<u8>),
}

/// A segment that can be read.
#[derive(Debug)]
pub(super) struct Segment {
    source: Source,
    footer: Footer,
    /// Bytes before the footer.
    body: u64,
}

/// A run and where its detail stands.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) name: String,
    pub(super) stamp: Stamp,
    pub(super) broken: bool,
    at: u64,
    length: u32,
}

impl Segment {
    /// Opens a file.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Self::of(Source::File(file), size)
    }

    /// Reads what was made just now.
    pub(super) fn from_bytes(bytes: Vec<u8>) -> io::Result<Self> {
        let size = bytes.len() as u64;
        Self::of(Source::Memory(bytes), size)
    }

    fn of(source: Source, size: u64) -> io::Result<Self> {
        let start = size.checked_sub(TAIL).ok_or_else(|| invalid("cut short"))?;
        let tail = raw(&source, start, TAIL)?;
        let (digest, rest) = tail.split_at_checked(32).ok_or_else(|| invalid("tail"))?;
        let (length, magic) = rest.split_at_checked(8).ok_or_else(|| invalid("tail"))?;
        let length = Numbers(length).u64()?;
        if magic != MAGIC || length > FOOTER {
            return Err(invalid("no index of this version"));
        }
        let body = start.checked_sub(length).ok_or_else(|| invalid("footer"))?;
        let bytes = raw(&source, body, length)?;
        if Sha256::digest(&bytes).as_slice() != digest {
            return Err(invalid("the footer was changed"));
        }
        Ok(Self {
            source,
            footer: serde_json::from_slice(&bytes)?,
            body,
        })
    }

    /// How many runs are in it.
    pub(super) fn len(&self) -> usize {
        usize::try_from(self.footer.rows).unwrap_or(usize::MAX)
    }

    /// Bytes of a section, each block compared with its digest.
    fn read(&self, section: usize, at: u64, length: u64) -> io::Result<Vec<u8>> {
        let (start, size) = self
            .footer
            .sections
            .get(section)
            .copied()
            .unwrap_or_default();
        let end = at.checked_add(length).filter(|end| *end <= size);
        let inside = end.and_then(|_| start.checked_add(at)?.checked_add(length));
        let inside = inside.filter(|end| *end <= self.body);
        let to = inside.ok_or_else(|| invalid("outside of its section"))?;
        let from = to - length;
        let first = from / BLOCK;
        let begin = first * BLOCK;
        let stop = to.div_ceil(BLOCK).saturating_mul(BLOCK).min(self.body);
        let bytes = raw(&self.source, begin, stop - begin)?;
        let size = usize::try_from(BLOCK).map_err(|_small| invalid("block"))?;
        for (number, block) in (first..).zip(bytes.chunks(size)) {
            let at = usize::try_from(number).map_err(|_large| invalid("block"))? * 16;
            if self.footer.blocks.get(at..at + 16) != Some(short(block).as_str()) {
                return Err(invalid("a block was changed"));
            }
        }
        let skip = usize::try_from(from - begin).map_err(|_large| invalid("block"))?;
        let length = usize::try_from(length).map_err(|_large| invalid("block"))?;
        let part = bytes.get(skip..skip + length);
        part.map(<[u8]>::to_vec).ok_or_else(|| invalid("cut short"))
    }

    fn whole(&self, section: usize) -> io::Result<Vec<u8>> {
        let (_, size) = self
            .footer
            .sections
            .get(section)
            .copied()
            .unwrap_or_default();
        self.read(section, 0, size)
    }

    /// The runs, in order.
    pub(super) fn rows(&self) -> io::Result<Vec<Placed>> {
        let bytes = self.whole(ROWS)?;
        let mut numbers = Numbers(&bytes);
        let mut rows = Vec::new();
        for _ in 0..self.footer.rows {
            let length = numbers.u32()?;
            rows.push(Placed {
                name: numbers.text(length)?,
                stamp: [
                    numbers.u64()?,
                    numbers.u64()?,
                    numbers.u64()?,
                    numbers.u64()?,
                ],
                broken: numbers.u32()? != 0,
                at: numbers.u64()?,
                length: numbers.u32()?,
            });
        }
        Ok(rows)
    }

    /// What else is known of a run.
    pub(super) fn detail(&self, row: &Placed) -> io::Result<Vec<u8>> {
        self.read(DETAILS, row.at, row.length.into())
    }

    /// What else is known of all runs, for whoever needs many.
    pub(super) fn details(&self) -> io::Result<Details> {
        self.whole(DETAILS).map(Details)
    }

    fn texts(&self) -> io::Result<Vec<String>> {
        let (offsets, texts) = (self.whole(OFFSETS)?, self.whole(TEXTS)?);
        let mut ends = Numbers(&offsets);
        let mut before = ends.u64()?;
        let mut numbers = Numbers(&texts);
        let mut found = Vec::new();
        while !ends.0.is_empty() {
            let end = ends.u64()?;
            let length = end
                .checked_sub(before)
                .and_then(|length| u32::try_from(length).ok());
            found.push(numbers.text(length.ok_or_else(|| invalid("text"))?)?);
            before = end;
        }
        Ok(found)
    }

    /// The text of a component.
    pub(super) fn text(&self, component: u32) -> io::Result<String> {
        let bytes = self.read(OFFSETS, u64::from(component) * 8, 16)?;
        let mut numbers = Numbers(&bytes);
        let (start, end) = (numbers.u64()?, numbers.u64()?);
        let length = end.checked_sub(start).ok_or_else(|| invalid("text"))?;
        let bytes = self.read(TEXTS, start, length)?;
        String::from_utf8(bytes).map_err(|_foreign| invalid("text"))
    }

    /// Components and runs that have a key.
    pub(super) fn lookup(&self, key: &Key) -> io::Result<Vec<(u32, u32)>> {
        let (_, size) = self.footer.sections.get(KEYS).copied().unwrap_or_default();
        let (mut low, mut high) = (0, size / ENTRY);
        while low < high {
            let middle = low + (high - low) / 2;
            let bytes = self.read(KEYS, middle * ENTRY, ENTRY)?;
            let (found, rest) = bytes.split_at_checked(16).ok_or_else(|| invalid("key"))?;
            match found.cmp(key) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => {
                    let mut numbers = Numbers(rest);
                    return self.postings(numbers.u64()?, numbers.u32()?);
                }
            }
        }
        Ok(Vec::new())
    }

    fn postings(&self, at: u64, count: u32) -> io::Result<Vec<(u32, u32)>> {
        let bytes = self.read(POSTINGS, at, u64::from(count) * POSTING)?;
        let mut numbers = Numbers(&bytes);
        (0..count)
            .map(|_| Ok((numbers.u32()?, numbers.u32()?)))
            .collect()
    }

    /// Everything that is posted.
    fn each(&self, mut take: impl FnMut(Key, u32, u32)) -> io::Result<()> {
        let (keys, postings) = (self.whole(KEYS)?, self.whole(POSTINGS)?);
        let mut entries = Numbers(&keys);
        let mut list = Numbers(&postings);
        while !entries.0.is_empty() {
            let key = entries.take(16)?;
            let key = Key::try_from(key).map_err(|_length| invalid("key"))?;
            entries.u64()?;
            for _ in 0..entries.u32()? {
                take(key, list.u32()?, list.u32()?);
            }
        }
        Ok(())
    }
}

/// The details of a segment.
#[derive(Debug)]
pub(super) struct Details(Vec<u8>);

impl Details {
    /// That of a run.
    pub(super) fn of(&self, row: &Placed) -> io::Result<Vec<u8>> {
        let length = usize::try_from(row.length).ok();
        let part = usize::try_from(row.at)
            .ok()
            .zip(length)
            .and_then(|(at, length)| self.0.get(at..at.checked_add(length)?));
        part.map(<[u8]>::to_vec).ok_or_else(|| invalid("detail"))
    }
}

fn raw(source: &Source, at: u64, length: u64) -> io::Result<Vec<u8>> {
    let size = usize::try_from(length).map_err(|_large| invalid("length"))?;
    match source {
        Source::File(file) => {
            let mut bytes = vec![0; size];
            file.read_exact_at(&mut bytes, at)?;
            Ok(bytes)
        }
        Source::Memory(bytes) => {
            let at = usize::try_from(at).map_err(|_large| invalid("length"))?;
            let part = at.checked_add(size).and_then(|end| bytes.get(at..end));
            part.map(<[u8]>::to_vec).ok_or_else(|| invalid("cut short"))
        }
    }
}

/// Little-endian numbers and text, one after the other.
struct Numbers<'a>(&'a [u8]);

impl<'a> Numbers<'a> {
    fn take(&mut self, length: usize) -> io::Result<&'a [u8]> {
        let (part, rest) = self
            .0
            .split_at_checked(length)
            .ok_or_else(|| invalid("cut short"))?;
        self.0 = rest;
        Ok(part)
    }

    fn u32(&mut self) -> io::Result<u32> {
        let bytes = <[u8; 4]>::try_from(self.take(4)?).map_err(|_length| invalid("number"))?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn u64(&mut self) -> io::Result<u64> {
        let bytes = <[u8; 8]>::try_from(self.take(8)?).map_err(|_length| invalid("number"))?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn text(&mut self, length: u32) -> io::Result<String> {
        let length = usize::try_from(length).map_err(|_large| invalid("text"))?;
        let bytes = self.take(length)?.to_vec();
        String::from_utf8(bytes).map_err(|_foreign| invalid("text"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(byte: u8) -> Key {
        [byte; 16]
    }

    fn row(name: &str) -> Row {
        Row {
            name: name.to_owned(),
            stamp: [1, 2, 3, 4],
            broken: name == "b",
            detail: name.repeat(2).into_bytes(),
        }
    }

    fn built() -> Builder {
        let mut builder = Builder::default();
        for (name, byte) in [("a", 1), ("b", 2), ("c", 1)] {
            let components = vec![
                (format!("pkg:x/{byte}@1"), vec![key(byte), key(9)]),
                ("pkg:x/all@1".to_owned(), vec![key(9), key(9)]),
            ];
            builder.add(row(name), components).unwrap();
        }
        builder
    }

    #[test]
    fn what_was_put_in_is_found() {
        let segment = Segment::from_bytes(built().encode().unwrap()).unwrap();
        let rows = segment.rows().unwrap();
        assert_eq!((rows[1].name.as_str(), rows[1].broken), ("b", true));
        assert_eq!(segment.detail(&rows[1]).unwrap(), b"bb");
        assert_eq!(segment.lookup(&key(1)).unwrap(), [(0, 0), (0, 2)]);
        assert_eq!(segment.lookup(&key(9)).unwrap().len(), 6);
        assert!(segment.lookup(&key(3)).unwrap().is_empty());
        assert_eq!(segment.text(2).unwrap(), "pkg:x/2@1");
        assert!(segment.text(3).is_err());
    }

    #[test]
    fn merging_keeps_what_is_wanted() {
        let segment = Segment::from_bytes(built().encode().unwrap()).unwrap();
        let mut merged = Builder::default();
        merged
            .add(row("z"), vec![("pkg:x/all@1".to_owned(), vec![key(9)])])
            .unwrap();
        merged.absorb(&segment, |run| run != 0).unwrap();
        assert_eq!(merged.len(), 3);
        let merged = Segment::from_bytes(merged.encode().unwrap()).unwrap();
        let rows = merged.rows().unwrap();
        assert_eq!(rows[2].name, "c");
        assert_eq!(merged.detail(&rows[2]).unwrap(), b"cc");
        let found = merged.lookup(&key(1)).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(merged.text(found[0].0).unwrap(), "pkg:x/1@1");
    }

    #[test]
    fn whatever_was_changed_is_an_error() {
        let bytes = built().encode().unwrap();
        let all = |bytes: Vec<u8>| -> io::Result<()> {
            let segment = Segment::from_bytes(bytes)?;
            for row in segment.rows()? {
                segment.detail(&row)?;
            }
            segment.texts()?;
            segment.lookup(&key(9))?;
            segment.each(|_, _, _| ())
        };
        all(bytes.clone()).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 4;
            assert!(all(changed).is_err(), "{at}");
        }
        for length in 0..bytes.len() {
            assert!(all(bytes[..length].to_vec()).is_err(), "{length}");
        }
    }
}
