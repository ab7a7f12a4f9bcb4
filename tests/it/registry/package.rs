//! Builder of the packages that the loopback registry serves, hostile archives included.
//!
//! The archive is written entry by entry with raw headers, because the hostile ones (absolute
//! names, `..`, links, devices) are exactly those that a well-behaved writer refuses.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha512};
use tar::{Builder, EntryType, Header};

/// One entry of an archive, name used as given.
#[derive(Clone, Debug)]
struct Entry {
    name: Vec<u8>,
    kind: EntryType,
    link: Vec<u8>,
    mode: u32,
    content: Vec<u8>,
}

/// A package version under construction.
#[derive(Clone, Debug)]
pub(crate) struct Package {
    name: String,
    version: String,
    manifest: Map<String, Value>,
    entries: Vec<Entry>,
    hide_scripts: bool,
}

impl Package {
    /// A package with a manifest and an `index.js`.
    pub(crate) fn new(name: &str, version: &str) -> Self {
        let mut manifest = Map::new();
        manifest.insert("name".into(), name.into());
        manifest.insert("version".into(), version.into());
        manifest.insert("license".into(), "Apache-2.0".into());
        let package = Self {
            name: name.into(),
            version: version.into(),
            manifest,
            entries: Vec::new(),
            hide_scripts: false,
        };
        package.file(
            "index.js",
            format!("module.exports = '{name}@{version}';\n").as_bytes(),
        )
    }

    /// Sets a field of `package.json`.
    pub(crate) fn field(mut self, key: &str, value: Value) -> Self {
        self.manifest.insert(key.into(), value);
        self
    }

    fn member(mut self, group: &str, key: &str, value: &str) -> Self {
        let entry = self.manifest.entry(group).or_insert_with(|| json!({}));
        entry
            .as_object_mut()
            .unwrap()
            .insert(key.into(), value.into());
        self
    }

    /// Adds a dependency.
    pub(crate) fn dependency(self, name: &str, range: &str) -> Self {
        self.member("dependencies", name, range)
    }

    /// Adds an optional dependency.
    pub(crate) fn optional(self, name: &str, range: &str) -> Self {
        self.member("optionalDependencies", name, range)
    }

    /// Adds a lifecycle script.
    pub(crate) fn script(self, name: &str, command: &str) -> Self {
        self.member("scripts", name, command)
    }

    /// The registry's documents do not mention the scripts of this package; its archive does.
    pub(crate) fn hide_scripts(mut self) -> Self {
        self.hide_scripts = true;
        self
    }

    /// Adds an executable that npm links into `.bin`.
    pub(crate) fn bin(self, name: &str, path: &str) -> Self {
        self.member("bin", name, path)
            .executable(path, b"#!/usr/bin/env node\nconsole.log(1);\n")
    }

    /// Adds a file.
    pub(crate) fn file(self, path: &str, content: &[u8]) -> Self {
        self.entry(
            &format!("package/{path}"),
            EntryType::Regular,
            "",
            0o644,
            content,
        )
    }

    /// Adds an executable file.
    pub(crate) fn executable(self, path: &str, content: &[u8]) -> Self {
        self.entry(
            &format!("package/{path}"),
            EntryType::Regular,
            "",
            0o755,
            content,
        )
    }

    /// Adds a link; `name` is the full name in the archive, used as given.
    pub(crate) fn link(self, kind: EntryType, name: &str, target: &str) -> Self {
        self.entry(name, kind, target, 0o777, b"")
    }

    /// Adds any entry; `name` is the full name in the archive, used as given.
    pub(crate) fn entry(
        mut self,
        name: &str,
        kind: EntryType,
        link: &str,
        mode: u32,
        content: &[u8],
    ) -> Self {
        self.entries.push(Entry {
            name: name.as_bytes().to_vec(),
            kind,
            link: link.as_bytes().to_vec(),
            mode,
            content: content.to_vec(),
        });
        self
    }

    /// Finishes archive and metadata.
    pub(crate) fn build(&self) -> Published {
        let mut archive = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
        let manifest = serde_json::to_vec_pretty(&self.manifest).unwrap();
        append(
            &mut archive,
            &Entry {
                name: b"package/package.json".to_vec(),
                kind: EntryType::Regular,
                link: Vec::new(),
                mode: 0o644,
                content: manifest,
            },
        );
        for entry in &self.entries {
            append(&mut archive, entry);
        }
        let tarball = archive.into_inner().unwrap().finish().unwrap();
        let mut manifest = self.manifest.clone();
        if self.hide_scripts {
            manifest.remove("scripts");
        } else if has_install_code(&manifest, &self.entries) {
            manifest.insert("hasInstallScript".into(), true.into());
        }
        Published {
            name: self.name.clone(),
            version: self.version.clone(),
            manifest,
            sha512: sri_sha512(&tarball),
            shasum: sha1_hex(&tarball),
            tarball,
        }
    }
}

fn has_install_code(manifest: &Map<String, Value>, entries: &[Entry]) -> bool {
    let scripts = manifest.get("scripts");
    let named = |name: &str| scripts.and_then(|scripts| scripts.get(name)).is_some();
    ["preinstall", "install", "postinstall"]
        .into_iter()
        .any(named)
        || entries
            .iter()
            .any(|entry| entry.name == b"package/binding.gyp")
}

fn append<W: std::io::Write>(archive: &mut Builder<W>, entry: &Entry) {
    let mut header = Header::new_ustar();
    header.set_entry_type(entry.kind);
    header.set_mode(entry.mode);
    header.set_mtime(499_162_500);
    header.set_size(entry.content.len().try_into().unwrap());
    let raw = header.as_ustar_mut().unwrap();
    raw.name[..entry.name.len()].copy_from_slice(&entry.name);
    raw.linkname[..entry.link.len()].copy_from_slice(&entry.link);
    if matches!(entry.kind, EntryType::Block | EntryType::Char) {
        header.set_device_major(1).unwrap();
        header.set_device_minor(3).unwrap();
    }
    header.set_cksum();
    archive.append(&header, entry.content.as_slice()).unwrap();
}

/// A package version as the registry holds it.
#[derive(Clone, Debug)]
pub(crate) struct Published {
    /// Name, scope included.
    pub(crate) name: String,
    /// Version.
    pub(crate) version: String,
    /// The manifest as the index shows it.
    pub(crate) manifest: Map<String, Value>,
    /// `sha512-…` of the archive.
    pub(crate) sha512: String,
    /// SHA-1 of the archive, hex: the old `dist.shasum`.
    pub(crate) shasum: String,
    /// The archive.
    pub(crate) tarball: Vec<u8>,
}

impl Published {
    /// An archive that was made elsewhere.
    pub(super) fn of(name: &str, version: &str, tarball: &[u8]) -> Self {
        let fields = [("name", name), ("version", version)];
        Self {
            name: name.into(),
            version: version.into(),
            manifest: fields
                .map(|(key, value)| (key.into(), value.into()))
                .into_iter()
                .collect(),
            sha512: sri_sha512(tarball),
            shasum: sha1_hex(tarball),
            tarball: tarball.into(),
        }
    }

    /// Path of the archive below the registry's base, without a leading slash.
    pub(crate) fn path(&self) -> String {
        let base = self.name.rsplit('/').next().unwrap();
        format!("{}/-/{base}-{}.tgz", self.name, self.version)
    }

    /// Whether the index says that it has install-time code.
    pub(crate) fn has_install_script(&self) -> bool {
        self.manifest.contains_key("hasInstallScript")
    }
}

/// A valid archive of the same package with one more file: what a thief of the registry serves.
pub(crate) fn tampered(package: &Package) -> Vec<u8> {
    package
        .clone()
        .file("implant.js", b"module.exports = 'implant';\n")
        .build()
        .tarball
}

/// SRI of SHA-512.
pub(crate) fn sri_sha512(bytes: &[u8]) -> String {
    format!("sha512-{}", STANDARD.encode(Sha512::digest(bytes)))
}

/// SRI of SHA-1 from its hex form.
pub(crate) fn sri_sha1(hexadecimal: &str) -> String {
    format!(
        "sha1-{}",
        STANDARD.encode(hex::decode(hexadecimal).unwrap())
    )
}

/// SHA-1 in hex. Only there to state the weak digest that v4run must not accept.
pub(crate) fn sha1_hex(bytes: &[u8]) -> String {
    let mut state: [u32; 5] = [
        0x6745_2301,
        0xefcd_ab89,
        0x98ba_dcfe,
        0x1032_5476,
        0xc3d2_e1f0,
    ];
    let mut message = bytes.to_vec();
    message.push(0x80);
    while message.len() % 64 != 56 {
        message.push(0);
    }
    let bits = u64::try_from(bytes.len()).unwrap() * 8;
    message.write_all(&bits.to_be_bytes()).unwrap();
    for block in message.chunks_exact(64) {
        let mut w = [0_u32; 80];
        for (word, four) in w.iter_mut().zip(block.chunks_exact(4)) {
            *word = u32::from_be_bytes(four.try_into().unwrap());
        }
        for i in 16..80 {
            w[i] = (w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16]).rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (i, word) in w.iter().enumerate() {
            let (f, k) = match i {
                0..20 => ((b & c) | (!b & d), 0x5a82_7999),
                20..40 => (b ^ c ^ d, 0x6ed9_eba1),
                40..60 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6_u32),
            };
            let next = a
                .rotate_left(5)
                .wrapping_add(f)
                .wrapping_add(e)
                .wrapping_add(k)
                .wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (sum, value) in state.iter_mut().zip([a, b, c, d, e]) {
            *sum = sum.wrapping_add(value);
        }
    }
    state.iter().map(|word| format!("{word:08x}")).collect()
}

#[test]
fn the_weak_digest_is_the_published_one() {
    assert_eq!(sha1_hex(b"abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_eq!(
        sha1_hex(&[b'a'; 1000]),
        "291e9a6c66994949b57ba5e650361e98fc36b1ba"
    );
}
