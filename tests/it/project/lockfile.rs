//! Makes `package-lock.json` from what the loopback registry holds.
//!
//! Versions are taken by the three forms that the tests use (exact, `^`, `*`), highest first, and
//! packages are hoisted to the root unless another version is there. Written by hand and not by
//! npm, so that a test costs no npm start and so that the forms of old lockfiles can be had.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::registry::Registry;
use crate::registry::package::Published;

/// One place in the tree.
struct Placed {
    package: Published,
    /// Install paths of dependencies, with whether the edge is optional.
    edges: Vec<(String, bool)>,
}

struct Resolver<'a> {
    registry: &'a Registry,
    known: Vec<Published>,
    placed: BTreeMap<String, Placed>,
}

/// Lockfile of version 3.
pub(crate) fn lockfile(registry: &Registry, manifest: &Value) -> Value {
    let mut lock = header(manifest, 3);
    lock.insert("packages".into(), packages(registry, manifest).into());
    lock.into()
}

/// Lockfile of version 2: the new form and the old one side by side.
pub(crate) fn lockfile_v2(registry: &Registry, manifest: &Value) -> Value {
    let mut lock = header(manifest, 2);
    let packages = packages(registry, manifest);
    lock.insert("dependencies".into(), old_form(&packages, "").into());
    lock.insert("packages".into(), packages.into());
    lock.into()
}

/// Lockfile of version 1.
pub(crate) fn lockfile_v1(registry: &Registry, manifest: &Value) -> Value {
    let mut lock = header(manifest, 1);
    lock.insert(
        "dependencies".into(),
        old_form(&packages(registry, manifest), "").into(),
    );
    lock.into()
}

fn header(manifest: &Value, version: u8) -> Map<String, Value> {
    let mut lock = Map::new();
    lock.insert("name".into(), manifest["name"].clone());
    lock.insert("version".into(), manifest["version"].clone());
    lock.insert("lockfileVersion".into(), version.into());
    lock.insert("requires".into(), true.into());
    lock
}

fn packages(registry: &Registry, manifest: &Value) -> Map<String, Value> {
    let mut resolver = Resolver {
        registry,
        known: registry.published(),
        placed: BTreeMap::new(),
    };
    let mut roots = Vec::new();
    for group in ["dependencies", "optionalDependencies", "devDependencies"] {
        for (name, range) in wanted(manifest, group) {
            let path = resolver.place("", &name, &range);
            roots.push((path, group));
        }
    }
    let needed = resolver.reach(&roots, &["dependencies"], false);
    let production = resolver.reach(&roots, &["dependencies", "optionalDependencies"], true);
    let required = resolver.reach(&roots, &["dependencies", "devDependencies"], false);
    let mut root = Map::new();
    for field in [
        "name",
        "version",
        "license",
        "dependencies",
        "devDependencies",
        "optionalDependencies",
    ] {
        if !manifest[field].is_null() {
            root.insert(field.into(), manifest[field].clone());
        }
    }
    if ["preinstall", "install", "postinstall"]
        .iter()
        .any(|script| !manifest["scripts"][script].is_null())
    {
        root.insert("hasInstallScript".into(), true.into());
    }
    let mut packages = Map::new();
    packages.insert(String::new(), root.into());
    for (path, placed) in &resolver.placed {
        let mut entry = resolver.entry(&placed.package);
        if !production.contains(path) {
            entry.insert("dev".into(), true.into());
        }
        if !required.contains(path) || (!needed.contains(path) && production.contains(path)) {
            entry.insert("optional".into(), true.into());
        }
        packages.insert(path.clone(), entry.into());
    }
    packages
}

fn wanted(manifest: &Value, group: &str) -> Vec<(String, String)> {
    let members = manifest[group].as_object();
    let members = members.into_iter().flatten();
    members
        .map(|(name, range)| (name.clone(), range.as_str().unwrap().to_string()))
        .collect()
}

impl Resolver<'_> {
    fn place(&mut self, from: &str, name: &str, range: &str) -> String {
        let package = self.pick(name, range);
        if let Some(path) = self.visible(from, name)
            && self.placed[&path].package.version == package.version
        {
            return path;
        }
        let root = format!("node_modules/{name}");
        let path = match self.placed.contains_key(&root) {
            false => root,
            true => format!("{from}/node_modules/{name}"),
        };
        let manifest = Value::Object(package.manifest.clone());
        self.placed.insert(
            path.clone(),
            Placed {
                package,
                edges: Vec::new(),
            },
        );
        for (group, optional) in [("dependencies", false), ("optionalDependencies", true)] {
            for (name, range) in wanted(&manifest, group) {
                let edge = (self.place(&path, &name, &range), optional);
                self.placed.get_mut(&path).unwrap().edges.push(edge);
            }
        }
        path
    }

    /// The place that Node would find for a name.
    fn visible(&self, from: &str, name: &str) -> Option<String> {
        let mut base = from.to_string();
        loop {
            let separator = if base.is_empty() { "" } else { "/" };
            let path = format!("{base}{separator}node_modules/{name}");
            if self.placed.contains_key(&path) {
                return Some(path);
            }
            if base.is_empty() {
                return None;
            }
            base = base
                .rfind("/node_modules/")
                .map_or(String::new(), |at| base[..at].to_string());
        }
    }

    fn pick(&self, name: &str, range: &str) -> Published {
        let fits = |version: &str| {
            range == "*"
                || version == range
                || range.strip_prefix('^').is_some_and(|minimum| {
                    let (wanted, have) = (numbers(minimum), numbers(version));
                    have[0] == wanted[0] && have >= wanted
                })
        };
        self.known
            .iter()
            .filter(|package| package.name == name && fits(&package.version))
            .max_by_key(|package| numbers(&package.version))
            .unwrap_or_else(|| panic!("{name}@{range} is not published"))
            .clone()
    }

    fn reach(&self, roots: &[(String, &str)], groups: &[&str], optional: bool) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut open: Vec<String> = roots
            .iter()
            .filter(|(_, group)| groups.contains(group))
            .map(|(path, _)| path.clone())
            .collect();
        while let Some(path) = open.pop() {
            let edges = self.placed[&path].edges.iter();
            let next = edges
                .filter(|(_, weak)| optional || !weak)
                .map(|(path, _)| path.clone());
            open.extend(next.filter(|next| !found.contains(next)));
            found.insert(path);
        }
        found
    }

    fn entry(&self, package: &Published) -> Map<String, Value> {
        let mut entry = Map::new();
        entry.insert("version".into(), package.version.clone().into());
        entry.insert("resolved".into(), self.registry.tarball_url(package).into());
        entry.insert("integrity".into(), package.sha512.clone().into());
        if package.has_install_script() {
            entry.insert("hasInstallScript".into(), true.into());
        }
        for field in ["license", "dependencies", "optionalDependencies", "bin"] {
            if let Some(value) = package.manifest.get(field) {
                entry.insert(field.into(), value.clone());
            }
        }
        let bins = entry.get_mut("bin").and_then(Value::as_object_mut);
        for target in bins.into_iter().flat_map(Map::values_mut) {
            *target = target.as_str().unwrap().trim_start_matches("./").into();
        }
        entry
    }
}

fn numbers(version: &str) -> [u64; 3] {
    let mut parts = version.split('.').map(|part| part.parse().unwrap());
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

/// The nested `dependencies` of lockfiles 1 and 2.
fn old_form(packages: &Map<String, Value>, below: &str) -> Map<String, Value> {
    let prefix = format!(
        "{below}{}node_modules/",
        if below.is_empty() { "" } else { "/" }
    );
    let mut members = Map::new();
    for (path, entry) in packages {
        let Some(name) = path.strip_prefix(&prefix) else {
            continue;
        };
        if name.contains("node_modules/") {
            continue;
        }
        let mut member = json!({
            "version": entry["version"],
            "resolved": entry["resolved"],
            "integrity": entry["integrity"],
        });
        let fields = member.as_object_mut().unwrap();
        for flag in ["dev", "optional"] {
            if entry[flag] == true {
                fields.insert(flag.into(), true.into());
            }
        }
        if !entry["dependencies"].is_null() {
            fields.insert("requires".into(), entry["dependencies"].clone());
        }
        let nested = old_form(packages, path);
        if !nested.is_empty() {
            fields.insert("dependencies".into(), nested.into());
        }
        members.insert(name.into(), member);
    }
    members
}
