//! What v4run needs of a `package.json`: identity, scripts, dependency specifications, workspaces.
//!
//! Read before the start (root and workspaces, untrusted) and afterwards (installed packages,
//! untrusted). Odd shapes in parts that do not matter are passed over as npm passes over them.

use std::collections::BTreeMap;

use serde_json::Value;

/// Manifests are small; registries refuse larger ones.
pub(super) const LIMIT: u64 = 8 << 20;

/// Hooks that npm runs for a package from a registry.
pub(super) const PACKAGE_HOOKS: &[&str] = &["preinstall", "install", "postinstall"];

/// Hooks that npm runs for the project itself after an install.
pub(super) const PROJECT_HOOKS: &[&str] = &[
    "preinstall",
    "install",
    "postinstall",
    "prepublish",
    "preprepare",
    "prepare",
    "postprepare",
];

/// Groups of dependencies that npm installs.
const GROUPS: &[&str] = &[
    "dependencies",
    "devDependencies",
    "optionalDependencies",
    "peerDependencies",
];

/// A package manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    pub(super) name: Option<String>,
    pub(super) version: Option<String>,
    pub(super) scripts: BTreeMap<String, String>,
    /// Group, name, specification; also `overrides`, flattened.
    pub(super) dependencies: Vec<(String, String, String)>,
    pub(super) workspaces: Vec<String>,
    /// Files that are made programs, relative to the manifest.
    pub(super) programs: Vec<String>,
    /// Names that those programs have.
    pub(super) commands: Vec<String>,
    /// Names of packages that its archive carries.
    pub(super) bundles: Vec<String>,
    /// `gypfile: false` switches the implicit native build off.
    pub(super) no_gyp: bool,
}

impl Manifest {
    /// Reads the text of a manifest.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let value: Value = serde_json::from_slice(bytes)?;
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let mut manifest = Self {
            name: text("name"),
            version: text("version"),
            scripts: strings(value.get("scripts")).collect(),
            no_gyp: value.get("gypfile") == Some(&Value::Bool(false)),
            ..Self::default()
        };
        let (commands, programs) = match value.get("bin") {
            Some(Value::String(path)) => {
                // A scope is no part of a program's name.
                let name = manifest.name.as_deref().unwrap_or_default();
                let name = name.rsplit('/').next().unwrap_or_default();
                (vec![name.to_owned()], vec![path.clone()])
            }
            other => strings(other).unzip(),
        };
        (manifest.commands, manifest.programs) = (commands, programs);
        let bundles = value
            .get("bundleDependencies")
            .or(value.get("bundledDependencies"));
        manifest.bundles = match bundles {
            Some(Value::Array(names)) => names
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            Some(Value::Bool(true)) => strings(value.get("dependencies"))
                .map(|(name, _)| name)
                .collect(),
            _ => Vec::new(),
        };
        for group in GROUPS {
            let entries = strings(value.get(*group));
            let entries = entries.map(|(name, spec)| ((*group).to_owned(), name, spec));
            manifest.dependencies.extend(entries);
        }
        if let Some(overrides) = value.get("overrides") {
            flatten(overrides, &mut manifest.dependencies);
        }
        let patterns = match value.get("workspaces") {
            Some(Value::Object(object)) => object.get("packages"),
            other => other,
        };
        if let Some(Value::Array(patterns)) = patterns {
            manifest.workspaces = patterns
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect();
        }
        Ok(manifest)
    }

    /// Scripts of these hooks, in the order of the hooks.
    pub(super) fn hooks<'a>(
        &'a self,
        hooks: &'a [&'a str],
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        hooks
            .iter()
            .filter_map(|hook| self.scripts.get(*hook).map(|text| (*hook, text.as_str())))
    }
}

fn strings(value: Option<&Value>) -> impl Iterator<Item = (String, String)> {
    let map = value.and_then(Value::as_object);
    map.into_iter()
        .flatten()
        .filter_map(|(key, value)| value.as_str().map(|text| (key.clone(), text.to_owned())))
}

/// `overrides` nest; `$name` refers to a dependency that is checked where it stands.
fn flatten(value: &Value, into: &mut Vec<(String, String, String)>) {
    let Some(map) = value.as_object() else { return };
    for (name, value) in map {
        match value {
            Value::String(spec) if !spec.starts_with('$') => {
                into.push(("overrides".to_owned(), name.clone(), spec.clone()));
            }
            Value::Object(_) => flatten(value, into),
            Value::String(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_and_odd_shapes_passed_over() {
        let manifest = Manifest::parse(
            br#"{"name":"a","version":"1.0.0","scripts":{"install":"x","test":"y","prepare":3},
                "dependencies":{"b":"^1","c":{}},"overrides":{"d":{".":"2","e":"file:x"},"f":"$b"},
                "workspaces":{"packages":["p/*"]},"gypfile":false,"bin":{"a":"cli.js"}}"#,
        )
        .unwrap();
        assert_eq!(manifest.name.as_deref(), Some("a"));
        assert_eq!(
            manifest.hooks(PROJECT_HOOKS).collect::<Vec<_>>(),
            [("install", "x")]
        );
        let names: Vec<&str> = manifest
            .dependencies
            .iter()
            .map(|entry| entry.1.as_str())
            .collect();
        assert_eq!(names, ["b", ".", "e"]);
        assert_eq!(manifest.workspaces, ["p/*"]);
        assert_eq!(manifest.programs, ["cli.js"]);
        assert_eq!(manifest.commands, ["a"]);
        assert!(manifest.no_gyp);
    }

    #[test]
    fn depth_and_garbage_are_errors() {
        assert!(Manifest::parse("[".repeat(100_000).as_bytes()).is_err());
        assert!(Manifest::parse(b"{\"name\":").is_err());
        assert_eq!(
            Manifest::parse(b"\xef\xbb\xbf{}").unwrap(),
            Manifest::default()
        );
        assert_eq!(Manifest::parse(b"[]").unwrap(), Manifest::default());
    }
}
