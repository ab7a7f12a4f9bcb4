//! Wheels made in memory, ordinary ones and such as no build tool makes.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::Crc;
use flate2::write::DeflateEncoder;
use sha2::{Digest as _, Sha256};
use std::io::Write as _;

/// A zip archive under construction.
#[derive(Default)]
pub(crate) struct Zip {
    pub(crate) bytes: Vec<u8>,
    directory: Vec<u8>,
    count: u16,
}

/// What is unusual about an entry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Odd {
    /// Name in the local header.
    pub(crate) local: Option<String>,
    /// Unix mode.
    pub(crate) mode: u32,
    /// General purpose flags.
    pub(crate) flags: u16,
    /// Compression method that is claimed.
    pub(crate) method: Option<u16>,
    /// Unpacked size that is claimed.
    pub(crate) size: Option<u32>,
    /// Extra field of the directory.
    pub(crate) extra: Vec<u8>,
}

fn short(value: usize) -> [u8; 2] {
    u16::try_from(value).unwrap().to_le_bytes()
}

fn long(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap().to_le_bytes()
}

impl Zip {
    pub(crate) fn add(&mut self, name: &str, content: &[u8]) {
        self.odd(name, content, &Odd::default());
    }

    pub(crate) fn odd(&mut self, name: &str, content: &[u8], odd: &Odd) {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        let packed = match name.ends_with('/') {
            true => Vec::new(),
            false => encoder.finish().unwrap(),
        };
        let method = odd
            .method
            .unwrap_or(if name.ends_with('/') { 0 } else { 8 });
        let packed = if method == 0 {
            content.to_vec()
        } else {
            packed
        };
        let mut crc = Crc::new();
        crc.update(content);
        let size = odd.size.map_or(content.len(), |size| size as usize);
        let utf8 = if name.is_ascii() { 0 } else { 0x800 };
        let flags = (odd.flags ^ utf8).to_le_bytes();
        let common = [
            &flags[..],
            &method.to_le_bytes(),
            &[0; 4],
            &crc.sum().to_le_bytes(),
            &long(packed.len()),
            &long(size),
        ]
        .concat();
        let local = odd.local.as_deref().unwrap_or(name);
        let start = self.bytes.len();
        for part in [
            b"PK\x03\x04\x14\x00",
            &common[..],
            &short(local.len()),
            &[0; 2],
            local.as_bytes(),
            &packed,
        ] {
            self.bytes.extend_from_slice(part);
        }
        for part in [
            b"PK\x01\x02\x14\x03\x14\x00",
            &common[..],
            &short(name.len()),
            &short(odd.extra.len()),
            &[0; 6],
            &(odd.mode << 16).to_le_bytes(),
            &[0; 2][..0],
            &long(start),
            name.as_bytes(),
            &odd.extra,
        ] {
            self.directory.extend_from_slice(part);
        }
        self.count += 1;
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        let start = self.bytes.len();
        let count = self.count.to_le_bytes();
        let end = [
            b"PK\x05\x06\0\0\0\0",
            &count[..],
            &count,
            &long(self.directory.len()),
            &long(start),
            &[0; 2],
        ]
        .concat();
        self.bytes.append(&mut self.directory);
        self.bytes.extend(end);
        self.bytes
    }
}

/// A row of `RECORD`.
pub(crate) fn row(path: &str, content: &[u8]) -> String {
    let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(content));
    format!("{path},sha256={hash},{}\n", content.len())
}

/// The files of an ordinary wheel, in order, without `RECORD`.
pub(crate) fn files(name: &str, version: &str, own: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    let metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nreadme\n");
    let wheel = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
    let own = own
        .iter()
        .map(|(path, content)| (path.to_string(), content.to_vec()));
    let described = [("METADATA", metadata.as_str()), ("WHEEL", wheel)];
    let described = described.map(|(file, content)| {
        let path = format!("{name}-{version}.dist-info/{file}");
        (path, content.as_bytes().to_vec())
    });
    own.chain(described).collect()
}

/// `RECORD` of these files.
pub(crate) fn record(files: &[(String, Vec<u8>)]) -> String {
    files
        .iter()
        .map(|(path, content)| row(path, content))
        .collect()
}

/// A wheel of these files with that `RECORD`.
pub(crate) fn packed(
    name: &str,
    version: &str,
    files: &[(String, Vec<u8>)],
    record: &str,
) -> Vec<u8> {
    let mut zip = Zip::default();
    for (path, content) in files {
        zip.add(path, content);
    }
    zip.add(
        &format!("{name}-{version}.dist-info/RECORD"),
        record.as_bytes(),
    );
    zip.finish()
}

/// An ordinary wheel.
pub(crate) fn wheel(name: &str, version: &str, own: &[(&str, &[u8])]) -> Vec<u8> {
    let files = files(name, version, own);
    let own = format!("{name}-{version}.dist-info/RECORD,,\n");
    packed(name, version, &files, &format!("{}{own}", record(&files)))
}
