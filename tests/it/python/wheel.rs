//! Wheels made in code: a zip with metadata and a list of files, right or wrong as told.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use sha2::{Digest as _, Sha256};

use crate::registry::Registry;

/// A wheel in the making.
#[derive(Clone, Debug)]
pub(crate) struct Wheel {
    name: String,
    version: String,
    files: Vec<Entry>,
    requires: Vec<String>,
    extras: Vec<String>,
    scripts: Vec<(String, String)>,
    described: (String, String),
    record: Option<fn(String) -> String>,
}

/// A file in the making.
#[derive(Clone, Debug)]
struct Entry {
    path: String,
    content: Vec<u8>,
    mode: u32,
    packed: bool,
}

impl Entry {
    fn new(path: &str, content: &[u8]) -> Self {
        Self {
            path: path.into(),
            content: content.into(),
            mode: 0o100_644,
            packed: false,
        }
    }
}

impl Wheel {
    /// A wheel with one module that says which it is.
    pub(crate) fn new(name: &str, version: &str) -> Self {
        Self::bare(name, version).file(
            &format!("{name}.py"),
            format!("WHO = '{name} {version}'\n").as_bytes(),
        )
    }

    /// A wheel without a file of its own.
    pub(crate) fn bare(name: &str, version: &str) -> Self {
        Self {
            name: name.into(),
            version: version.into(),
            files: Vec::new(),
            requires: Vec::new(),
            extras: Vec::new(),
            scripts: Vec::new(),
            described: (name.into(), version.into()),
            record: None,
        }
    }

    /// Adds a file.
    pub(crate) fn file(mut self, path: &str, content: &[u8]) -> Self {
        self.files.push(Entry::new(path, content));
        self
    }

    /// Adds a symbolic link.
    pub(crate) fn link(mut self, path: &str, target: &str) -> Self {
        let mut entry = Entry::new(path, target.as_bytes());
        entry.mode = 0o120_777;
        self.files.push(entry);
        self
    }

    /// Adds a file of that kind and mode.
    pub(crate) fn moded(mut self, path: &str, content: &[u8], mode: u32) -> Self {
        let mut entry = Entry::new(path, content);
        entry.mode = mode;
        self.files.push(entry);
        self
    }

    /// Adds a file, compressed.
    pub(crate) fn packed(mut self, path: &str, content: &[u8]) -> Self {
        let mut entry = Entry::new(path, content);
        entry.packed = true;
        self.files.push(entry);
        self
    }

    /// Has METADATA state another name and version.
    pub(crate) fn says(mut self, name: &str, version: &str) -> Self {
        self.described = (name.into(), version.into());
        self
    }

    /// Changes the text of RECORD.
    pub(crate) fn record(mut self, change: fn(String) -> String) -> Self {
        self.record = Some(change);
        self
    }

    /// Adds a `Requires-Dist` line.
    pub(crate) fn requires(mut self, requirement: &str) -> Self {
        self.requires.push(requirement.into());
        self
    }

    /// Adds an extra.
    pub(crate) fn extra(mut self, name: &str) -> Self {
        self.extras.push(name.into());
        self
    }

    /// Adds a console script.
    pub(crate) fn script(mut self, name: &str, target: &str) -> Self {
        self.scripts.push((name.into(), target.into()));
        self
    }

    /// File name.
    pub(crate) fn file_name(&self) -> String {
        format!("{}-{}-py3-none-any.whl", self.name, self.version)
    }

    /// Publishes it and gives the digest of the file.
    pub(crate) fn publish(&self, registry: &Registry) -> String {
        registry.publish_file(&self.name, &self.file_name(), &self.build())
    }

    /// The archive.
    pub(crate) fn build(&self) -> Vec<u8> {
        let info = format!("{}-{}.dist-info", self.name, self.version);
        let requires: String = self
            .requires
            .iter()
            .map(|line| format!("Requires-Dist: {line}\n"))
            .collect();
        let extras: String = self
            .extras
            .iter()
            .map(|name| format!("Provides-Extra: {name}\n"))
            .collect();
        let metadata = format!(
            "Metadata-Version: 2.1\nName: {}\nVersion: {}\nSummary: made for a test\n\
             {requires}{extras}\n",
            self.described.0, self.described.1
        );
        let tag = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
        let mut files = self.files.clone();
        files.push(Entry::new(&format!("{info}/METADATA"), metadata.as_bytes()));
        files.push(Entry::new(&format!("{info}/WHEEL"), tag.as_bytes()));
        if !self.scripts.is_empty() {
            let lines: String = self
                .scripts
                .iter()
                .map(|(name, target)| format!("{name} = {target}\n"))
                .collect();
            let text = format!("[console_scripts]\n{lines}");
            files.push(Entry::new(
                &format!("{info}/entry_points.txt"),
                text.as_bytes(),
            ));
        }
        let mut record: String = files
            .iter()
            .map(|entry| {
                let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(&entry.content));
                format!("{},sha256={digest},{}\n", entry.path, entry.content.len())
            })
            .collect();
        record.push_str(&format!("{info}/RECORD,,\n"));
        if let Some(change) = self.record {
            record = change(record);
        }
        files.push(Entry::new(&format!("{info}/RECORD"), record.as_bytes()));
        zip(&files)
    }
}

/// A zip archive.
fn zip(files: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for entry in files {
        let mut crc = flate2::Crc::new();
        crc.update(&entry.content);
        let size = u32::try_from(entry.content.len()).unwrap();
        let packed = if entry.packed {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(&entry.content).unwrap();
            encoder.finish().unwrap()
        } else {
            entry.content.clone()
        };
        let offset = u32::try_from(out.len()).unwrap();
        // Version, flags, method, time, date (1980-01-01), then sums and lengths.
        let mut common = Vec::new();
        for field in [20_u16, 0, if entry.packed { 8 } else { 0 }, 0, 0x21] {
            common.extend(field.to_le_bytes());
        }
        for field in [crc.sum(), u32::try_from(packed.len()).unwrap(), size] {
            common.extend(field.to_le_bytes());
        }
        common.extend(u16::try_from(entry.path.len()).unwrap().to_le_bytes());
        common.extend(0_u16.to_le_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(entry.path.as_bytes());
        out.extend(packed);
        directory.extend(b"PK\x01\x02");
        directory.extend((3_u16 << 8 | 20).to_le_bytes());
        directory.extend(&common);
        directory.extend([0_u8; 6]);
        directory.extend((entry.mode << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(entry.path.as_bytes());
    }
    let start = u32::try_from(out.len()).unwrap();
    let size = u32::try_from(directory.len()).unwrap();
    let count = u16::try_from(files.len()).unwrap();
    out.extend(directory);
    out.extend(b"PK\x05\x06");
    out.extend([0_u8; 4]);
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend(0_u16.to_le_bytes());
    out
}
