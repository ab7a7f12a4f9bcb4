//! Wheels made in code: a stored zip with metadata and a list of files.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::registry::Registry;

/// A wheel in the making.
#[derive(Clone, Debug)]
pub(crate) struct Wheel {
    name: String,
    version: String,
    files: Vec<(String, Vec<u8>)>,
    requires: Vec<String>,
    extras: Vec<String>,
    scripts: Vec<(String, String)>,
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
        }
    }

    /// Adds a file.
    pub(crate) fn file(mut self, path: &str, content: &[u8]) -> Self {
        self.files.push((path.into(), content.into()));
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
            self.name, self.version
        );
        let tag = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n";
        let mut files = self.files.clone();
        files.push((format!("{info}/METADATA"), metadata.into_bytes()));
        files.push((format!("{info}/WHEEL"), tag.as_bytes().to_vec()));
        if !self.scripts.is_empty() {
            let lines: String = self
                .scripts
                .iter()
                .map(|(name, target)| format!("{name} = {target}\n"))
                .collect();
            let text = format!("[console_scripts]\n{lines}");
            files.push((format!("{info}/entry_points.txt"), text.into_bytes()));
        }
        let mut record: String = files
            .iter()
            .map(|(path, content)| {
                let digest = URL_SAFE_NO_PAD.encode(Sha256::digest(content));
                format!("{path},sha256={digest},{}\n", content.len())
            })
            .collect();
        record.push_str(&format!("{info}/RECORD,,\n"));
        files.push((format!("{info}/RECORD"), record.into_bytes()));
        zip(&files)
    }
}

/// A zip archive of stored files.
fn zip(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for (path, content) in files {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let size = u32::try_from(content.len()).unwrap();
        let offset = u32::try_from(out.len()).unwrap();
        // Version, flags, method, time, date (1980-01-01), then sums and lengths.
        let mut common = Vec::new();
        for field in [20_u16, 0, 0, 0, 0x21] {
            common.extend(field.to_le_bytes());
        }
        for field in [crc.sum(), size, size] {
            common.extend(field.to_le_bytes());
        }
        common.extend(u16::try_from(path.len()).unwrap().to_le_bytes());
        common.extend(0_u16.to_le_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(path.as_bytes());
        out.extend(content);
        directory.extend(b"PK\x01\x02");
        directory.extend((3_u16 << 8 | 20).to_le_bytes());
        directory.extend(&common);
        directory.extend([0_u8; 6]);
        directory.extend((0o100_644_u32 << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(path.as_bytes());
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
