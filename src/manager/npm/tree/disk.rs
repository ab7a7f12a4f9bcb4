//! The disk below a project: packages, links, and how packages find each other.
//!
//! A bounded walk that follows no link. It reads what is there and compares nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::manager::npm::manifest::{self, Manifest};
use crate::manager::read;

/// Packages that a tree may have.
pub(super) const PACKAGES: usize = 200_000;

/// A package found on disk.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) manifest: Manifest,
    /// Whether a `binding.gyp` lies beside the manifest.
    pub(super) gyp: bool,
    /// Tells this manifest file from one that takes its place later.
    pub(super) identity: Option<String>,
}

/// The disk below a project.
#[derive(Debug, Default)]
pub(super) struct Disk {
    /// By install path.
    pub(super) packages: BTreeMap<String, Found>,
    /// Links by install path, with the path below the project that they lead to.
    pub(super) links: BTreeMap<String, Option<String>>,
    /// Install paths without a readable manifest.
    pub(super) broken: Vec<String>,
    /// Whether the walk was cut short.
    pub(super) cut: bool,
}

impl Disk {
    /// Walks the trees of a project.
    pub(super) fn read(root: &Path) -> Self {
        let mut disk = Self::default();
        let mut pending = vec![String::new()];
        while let Some(owner) = pending.pop() {
            let prefix = if owner.is_empty() {
                String::new()
            } else {
                format!("{owner}/")
            };
            for path in children(root, &format!("{prefix}node_modules")) {
                if disk.packages.len() + disk.links.len() > PACKAGES {
                    disk.cut = true;
                    return disk;
                }
                if let Some(next) = disk.visit(root, path) {
                    pending.push(next);
                }
            }
            // The linked layout keeps packages in `.store/KEY/node_modules`.
            let store = format!("{prefix}node_modules/.store");
            pending.extend(
                names(&root.join(&store))
                    .into_iter()
                    .map(|key| format!("{store}/{key}")),
            );
        }
        disk
    }

    /// Looks at one place; gives the path whose own tree is to be looked at.
    fn visit(&mut self, root: &Path, path: String) -> Option<String> {
        let full = root.join(&path);
        let Ok(data) = std::fs::symlink_metadata(&full) else {
            return None;
        };
        if data.is_symlink() {
            let real = full.canonicalize().ok();
            let target = real.and_then(|real| {
                let base = root.canonicalize().ok()?;
                Some(real.strip_prefix(base).ok()?.to_str()?.to_owned())
            });
            // A workspace is a package of its own; links into the tree are seen where they lead.
            let workspace = target
                .clone()
                .filter(|target| !target.contains("node_modules/"));
            self.links.insert(path, target);
            let workspace = workspace.filter(|target| !self.packages.contains_key(target))?;
            return self.add(root, workspace);
        }
        if data.is_dir() {
            self.add(root, path)
        } else {
            None
        }
    }

    fn add(&mut self, root: &Path, path: String) -> Option<String> {
        let full = root.join(&path);
        let bytes = read::file(&full.join("package.json"), manifest::LIMIT)
            .ok()
            .flatten();
        match bytes.and_then(|bytes| Manifest::parse(&bytes).ok()) {
            Some(manifest) => {
                let gyp = full.join("binding.gyp").is_file();
                let found = Found {
                    manifest,
                    gyp,
                    identity: identity(&full.join("package.json")),
                };
                self.packages.insert(path.clone(), found);
            }
            None => self.broken.push(path.clone()),
        }
        Some(path)
    }

    /// Packages that came inside another one's archive, for trees that npm keeps no record of: what
    /// a package says it bundles, and what that needs, as far as it lies below the package.
    pub(super) fn bundled(&self) -> BTreeSet<String> {
        let mut bundled = BTreeSet::new();
        for (owner, found) in &self.packages {
            let below = format!("{owner}/");
            let mut pending: Vec<String> = found
                .manifest
                .bundles
                .iter()
                .filter_map(|name| self.resolve(owner, name))
                .collect();
            while let Some(path) = pending.pop() {
                if !path.starts_with(&below) || !bundled.insert(path.clone()) {
                    continue;
                }
                let needs = self
                    .packages
                    .get(&path)
                    .map(|inner| &inner.manifest.dependencies);
                let names = needs.into_iter().flatten().map(|(_, name, _)| name);
                pending.extend(names.filter_map(|name| self.resolve(&path, name)));
            }
        }
        bundled
    }

    /// Where a package at `from` finds a dependency, as node looks for it.
    pub(super) fn resolve(&self, from: &str, name: &str) -> Option<String> {
        let mut place = from;
        loop {
            let prefix = if place.is_empty() {
                String::new()
            } else {
                format!("{place}/")
            };
            let candidate = format!("{prefix}node_modules/{name}");
            if self.packages.contains_key(&candidate) {
                return Some(candidate);
            }
            if let Some(target) = self.links.get(&candidate) {
                return target
                    .clone()
                    .filter(|target| self.packages.contains_key(target));
            }
            if place.is_empty() {
                return None;
            }
            place = place
                .rfind('/')
                .map_or("", |at| place.get(..at).unwrap_or_default());
        }
    }
}

/// Device, number and last change of a file.
fn identity(path: &Path) -> Option<String> {
    let data = std::fs::symlink_metadata(path).ok()?;
    let (seconds, parts) = (data.ctime(), data.ctime_nsec());
    Some(format!("{}:{}:{seconds}.{parts}", data.dev(), data.ino()))
}

/// Names in a directory; none when there is no such directory.
fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return Vec::new();
    };
    let names = entries.flatten().take(PACKAGES);
    let mut names: Vec<String> = names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// Places of packages in an install tree: folders and folders in scopes, not npm's own.
fn children(root: &Path, tree: &str) -> Vec<String> {
    let full = root.join(tree);
    if !std::fs::symlink_metadata(&full).is_ok_and(|data| data.is_dir()) {
        return Vec::new();
    }
    let mut paths = Vec::new();
    for name in names(&full) {
        if name.starts_with('.') {
            continue;
        }
        let path = format!("{tree}/{name}");
        let scope = name.starts_with('@') && !full.join(&name).is_symlink();
        if scope {
            let inner = names(&full.join(&name))
                .into_iter()
                .filter(|name| !name.starts_with('.'));
            paths.extend(inner.map(|inner| format!("{path}/{inner}")));
        } else if full.join(&name).is_dir() || full.join(&name).is_symlink() {
            paths.push(path);
        }
    }
    paths
}
