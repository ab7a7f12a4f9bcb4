//! `package-lock.json` and `npm-shrinkwrap.json`: read strictly and checked entry by entry.
//!
//! npm installs an entry whose `integrity` is missing, empty or unparsable without any check, and
//! takes `resolved` at its word, even when it names another package. So every entry is checked
//! before npm starts; what holds becomes the list of digests that the proxy releases by. The file
//! is an anchor for digests, not a source of permission: repositories are allowed elsewhere.
//! It does not judge which versions are wanted: npm compares lock and manifest itself.
//! Format: npm's `package-lock.json` documentation, versions 2 and 3.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{MapAccess, Visitor};

use super::manifest::Manifest;
use crate::manager::read;
use crate::model::{Code, Finding};

/// Largest lockfile that is read.
const LIMIT: u64 = 64 << 20;

/// One place in the install tree.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Entry {
    pub(super) name: Option<String>,
    pub(super) version: Option<String>,
    pub(super) resolved: Option<String>,
    pub(super) integrity: Option<String>,
    pub(super) link: bool,
    pub(super) in_bundle: bool,
    pub(super) dev: bool,
    pub(super) optional: bool,
    pub(super) dev_optional: bool,
    pub(super) peer: bool,
    pub(super) extraneous: bool,
    pub(super) dependencies: BTreeMap<String, String>,
    pub(super) dev_dependencies: BTreeMap<String, String>,
    pub(super) optional_dependencies: BTreeMap<String, String>,
    pub(super) peer_dependencies: BTreeMap<String, String>,
    bundle_dependencies: serde_json::Value,
}

impl Entry {
    /// Whether the package ships others inside its own archive.
    pub(super) fn bundles(&self) -> bool {
        match &self.bundle_dependencies {
            serde_json::Value::Bool(all) => *all,
            serde_json::Value::Array(names) => !names.is_empty(),
            serde_json::Value::Null
            | serde_json::Value::Number(_)
            | serde_json::Value::String(_)
            | serde_json::Value::Object(_) => false,
        }
    }

    /// All dependency specifications.
    pub(super) fn specifications(&self) -> impl Iterator<Item = (&String, &String)> {
        let groups = self.dependencies.iter().chain(&self.dev_dependencies);
        groups
            .chain(&self.optional_dependencies)
            .chain(&self.peer_dependencies)
    }
}

/// A lockfile as read.
#[derive(Clone, Debug)]
pub(super) struct Lock {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
    pub(super) packages: BTreeMap<String, Entry>,
}

impl Lock {
    /// File name, for messages.
    pub(super) fn name(&self) -> String {
        self.path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }
}

#[derive(Deserialize)]
struct Document {
    #[serde(rename = "lockfileVersion")]
    version: Option<u64>,
    packages: Option<Packages>,
}

/// A map that does not accept a key twice: readers differ in which of the two counts.
struct Packages(BTreeMap<String, Entry>);

impl<'de> Deserialize<'de> for Packages {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Packages;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of install paths")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Packages, A::Error> {
                let mut packages = BTreeMap::new();
                while let Some((location, entry)) = map.next_entry::<String, Entry>()? {
                    if packages.insert(location.clone(), entry).is_some() {
                        let message = format!("`{location}` occurs twice");
                        return Err(serde::de::Error::custom(message));
                    }
                }
                Ok(Packages(packages))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Reads the lockfile that npm would read: `npm-shrinkwrap.json` unless it is absent or empty.
pub(super) fn load(root: &Path) -> Result<Option<Lock>, Finding> {
    for name in ["npm-shrinkwrap.json", "package-lock.json"] {
        let path = root.join(name);
        let invalid = |message: String| {
            let hint = "recreate it with a current npm: remove it and run `v4run npm install`";
            Finding::new(Code::LockInvalid, path.display().to_string(), message).with_hint(hint)
        };
        let bytes = read::inside(root, &path, LIMIT).map_err(|error| invalid(error.to_string()))?;
        let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else {
            continue;
        };
        let packages = parse(&bytes).map_err(invalid)?;
        return Ok(Some(Lock {
            path,
            bytes,
            packages,
        }));
    }
    Ok(None)
}

/// Reads npm's own record of an install tree. It is written without version 1 forms.
pub(super) fn load_hidden(root: &Path) -> Result<Option<Lock>, String> {
    let path = root.join("node_modules/.package-lock.json");
    let bytes = read::file(&path, LIMIT).map_err(|error| error.to_string())?;
    let Some(bytes) = bytes else { return Ok(None) };
    let packages = parse(&bytes)?;
    Ok(Some(Lock {
        path,
        bytes,
        packages,
    }))
}

pub(super) fn parse(bytes: &[u8]) -> Result<BTreeMap<String, Entry>, String> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let document: Document =
        serde_json::from_slice(text).map_err(|error| format!("cannot be read: {error}"))?;
    match (document.version, document.packages) {
        (Some(2 | 3), Some(packages)) => Ok(packages.0),
        (Some(1), _) => {
            Err("has version 1, which states digests for a part of the tree only".into())
        }
        (Some(2 | 3), None) => Err("has no `packages`".into()),
        (Some(version), _) => Err(format!("has the unknown version {version}")),
        (None, _) => Err("states no `lockfileVersion`".into()),
    }
}

/// The finding for a command that needs a lockfile.
pub(super) fn missing(root: &Path) -> Finding {
    let message = "`npm ci` installs what a lockfile says, and there is none";
    Finding::new(
        Code::LockMissing,
        root.join("package-lock.json").display().to_string(),
        message,
    )
    .with_hint("create it with `v4run npm install` and commit it")
}

/// The package name of an install path, as its last folder says.
pub(super) fn folder_name(location: &str) -> &str {
    match location.rfind("node_modules/") {
        Some(at) => location
            .get(at + "node_modules/".len()..)
            .unwrap_or_default(),
        None => location.rsplit('/').next().unwrap_or_default(),
    }
}

/// Names that are required under another one, as `(folder, package)`.
pub(super) fn aliases(
    lock: &Lock,
    manifests: &[Manifest],
) -> std::collections::BTreeSet<(String, String)> {
    use super::spec::{Spec, of_value};
    let root = manifests.iter().flat_map(|manifest| &manifest.dependencies);
    let root = root.map(|(_, name, spec)| (name, spec));
    let nested = lock
        .packages
        .iter()
        .filter(|(location, _)| !location.is_empty());
    let nested = nested.flat_map(|(_, entry)| entry.specifications());
    root.chain(nested)
        .filter_map(|(folder, spec)| match of_value(spec) {
            Spec::Alias(name) => Some((folder.clone(), name)),
            Spec::Registry
            | Spec::File(_)
            | Spec::Directory(_)
            | Spec::Git
            | Spec::Remote
            | Spec::Unknown => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &[u8]) -> Result<Option<Lock>, Finding> {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap();
        std::fs::write(root.join(name), text).unwrap();
        load(&root)
    }

    #[test]
    fn current_forms_are_read() {
        let text = br#"{"lockfileVersion":3,"packages":{"":{"name":"p"},"node_modules/a":{"version":"1.0.0","devOptional":true,"funding":[1]}}}"#;
        let lock = read("package-lock.json", text).unwrap().unwrap();
        assert!(lock.packages["node_modules/a"].dev_optional);
        let with_mark = [b"\xef\xbb\xbf".as_slice(), text].concat();
        assert!(read("npm-shrinkwrap.json", &with_mark).unwrap().is_some());
        assert!(read("package-lock.json", b"").unwrap().is_none());
    }

    #[test]
    fn other_forms_are_refused_by_name() {
        for (text, part) in [
            (
                &br#"{"lockfileVersion":1,"dependencies":{}}"#[..],
                "version 1",
            ),
            (
                br#"{"lockfileVersion":9,"packages":{}}"#,
                "unknown version 9",
            ),
            (br#"{"packages":{}}"#, "no `lockfileVersion`"),
            (br#"{"lockfileVersion":3}"#, "no `packages`"),
            (
                b"{\"lockfileVersion\":3,\n\"packages\":{,}}",
                "line 2 column",
            ),
            (
                br#"{"lockfileVersion":3,"packages":{"a":{},"a":{}}}"#,
                "twice",
            ),
            (
                br#"{"lockfileVersion":3,"packages":{"a":{"integrity":"x","integrity":"y"}}}"#,
                "duplicate",
            ),
            (
                br#"{"lockfileVersion":3,"packages":{"a":{"integrity":7}}}"#,
                "invalid type",
            ),
            (b"<<<<<<< HEAD\n{}", "line 1"),
        ] {
            let finding = read("package-lock.json", text).unwrap_err();
            assert_eq!(finding.code, Code::LockInvalid);
            assert!(
                finding.message.contains(part),
                "{}: {}",
                part,
                finding.message
            );
        }
        let deep = format!(
            "{{\"lockfileVersion\":3,\"packages\":{}",
            "[".repeat(50_000)
        );
        assert!(read("package-lock.json", deep.as_bytes()).is_err());
    }

    #[test]
    fn folders_name_packages() {
        assert_eq!(folder_name("node_modules/a/node_modules/@s/b"), "@s/b");
        assert_eq!(folder_name("packages/a"), "a");
    }
}
