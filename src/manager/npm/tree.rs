//! Reads install trees: before the start for what is there, afterwards for what was installed.
//!
//! Three views are compared: the lockfile, npm's own record of the tree
//! (`node_modules/.package-lock.json`), and the disk. All are untrusted; links are not followed,
//! and the walk is bounded. What npm ran or fetched is not judged here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use self::disk::{Disk, Found, PACKAGES};
use super::lockfile::{self, Entry, Lock};
use super::manifest::{self, Manifest};
use crate::manager::{Installed, Prepared, Snapshot, read};
use crate::model::{Code, Finding, InstalledPackage, Integrity, Script, redact_url};

mod disk;
#[cfg(test)]
mod tests;

/// Where the linked layout keeps packages.
const STORE: &str = "node_modules/.store/";

/// Differences that are listed.
const LISTED: usize = 20;

/// What is installed before the start.
pub(super) fn snapshot(prepared: &Prepared) -> Snapshot {
    if !prepared.installs {
        return Snapshot::new();
    }
    let root = &prepared.project.root;
    let recorded = lockfile::load_hidden(root).ok().flatten();
    let disk = Disk::read(root);
    let packages = disk.packages.iter();
    let states = packages.map(|(path, found)| {
        let entry = recorded.as_ref().and_then(|lock| lock.packages.get(path));
        (path.clone(), state(found, entry))
    });
    states.collect()
}

/// What a package left alone has in common before and after: its very manifest file, and the digest
/// that npm recorded.
fn state(found: &Found, entry: Option<&Entry>) -> Option<String> {
    let recorded = entry.and_then(|entry| entry.integrity.as_deref());
    let identity = found.identity.as_deref()?;
    Some(format!("{identity} {}", recorded.unwrap_or_default()))
}

/// Packages of a tree that want to run code, those that others need first, with what the lockfile or
/// npm's own record says of each.
pub(super) fn wanting(root: &Path) -> Vec<InstalledPackage> {
    let disk = Disk::read(root);
    let recorded = lockfile::load_hidden(root).ok().flatten();
    let promised = lockfile::load(root).ok().flatten();
    let entry = |path: &str| {
        let of = |lock: &'_ Option<Lock>| lock.as_ref()?.packages.get(path).cloned();
        of(&promised).or_else(|| of(&recorded))
    };
    let all = disk
        .packages
        .iter()
        .filter(|(path, _)| path.contains("node_modules/"));
    let mut packages: Vec<InstalledPackage> = all
        .map(|(path, found)| package(path, found, entry(path).as_ref(), &disk))
        .collect();
    let mut ordered = Vec::new();
    // A circle is broken where it is met.
    while !packages.is_empty() {
        let waits = |package: &InstalledPackage| {
            let mut needs = package.dependencies.iter();
            needs.any(|need| {
                packages
                    .iter()
                    .any(|one| one.path == *need && one.path != package.path)
            })
        };
        let free = packages.iter().position(|package| !waits(package));
        ordered.push(packages.remove(free.unwrap_or_default()));
    }
    ordered.retain(|package| !package.scripts.is_empty());
    ordered
}

/// Names of the programs that a package at that place brings.
pub(super) fn programs(folder: &Path) -> Vec<String> {
    let bytes = read::file(&folder.join("package.json"), manifest::LIMIT);
    let manifest = bytes
        .ok()
        .flatten()
        .and_then(|bytes| Manifest::parse(&bytes).ok());
    manifest.map(|found| found.commands).unwrap_or_default()
}

/// The tree after the run.
pub(super) fn inspect(prepared: &Prepared, before: &Snapshot) -> Installed {
    if !prepared.installs {
        return Installed::default();
    }
    let root = &prepared.project.root;
    let disk = Disk::read(root);
    let mut findings = Vec::new();
    let recorded = lockfile::load_hidden(root).unwrap_or_else(|message| {
        let place = root
            .join("node_modules/.package-lock.json")
            .display()
            .to_string();
        findings.push(Finding::new(
            Code::ViewMismatch,
            place,
            format!("npm's record of the tree {message}"),
        ));
        None
    });
    let promised = if prepared.locked {
        lockfile::load(root).ok().flatten()
    } else {
        None
    };
    findings.extend(compare(&disk, recorded.as_ref(), promised.as_ref()));
    let record = recorded.as_ref().or(promised.as_ref());
    let bundled = if record.is_none() {
        disk.bundled()
    } else {
        BTreeSet::new()
    };
    let packages = disk.packages.iter().map(|(path, found)| {
        let entry = record.and_then(|lock| lock.packages.get(path));
        let mut package = package(path, found, entry, &disk);
        package.bundled |= bundled.contains(path);
        package.retained = before
            .get(path)
            .is_some_and(|earlier| earlier.is_some() && *earlier == state(found, entry));
        package
    });
    let packages = packages.collect();
    let top = read::file(&root.join("package.json"), manifest::LIMIT)
        .ok()
        .flatten();
    let top = top
        .and_then(|bytes| Manifest::parse(&bytes).ok())
        .unwrap_or_default();
    let names = top
        .dependencies
        .iter()
        .filter(|(group, ..)| group != "overrides");
    let mut direct: BTreeSet<String> = names
        .filter_map(|(_, name, _)| disk.resolve("", name))
        .collect();
    let workspaces = disk
        .links
        .values()
        .flatten()
        .filter(|path| !path.contains("node_modules/"));
    direct.extend(
        workspaces
            .filter(|path| disk.packages.contains_key(*path))
            .cloned(),
    );
    if prepared
        .launch
        .arguments
        .iter()
        .any(|word| word == "--global=true")
    {
        direct = disk
            .packages
            .keys()
            .filter(|path| path.matches("node_modules/").count() == 1)
            .cloned()
            .collect();
    }
    Installed {
        packages,
        direct: direct.into_iter().collect(),
        findings,
        chooses: false,
    }
}

fn package(path: &str, found: &Found, entry: Option<&Entry>, disk: &Disk) -> InstalledPackage {
    let manifest = &found.manifest;
    let fallback = lockfile::folder_name(path).to_owned();
    let name = manifest.name.clone().unwrap_or(fallback);
    let version = manifest.version.clone().unwrap_or_default();
    let stated = entry.and_then(|entry| entry.integrity.clone());
    let local = !path.contains("node_modules/");
    let stated_place = entry.and_then(|entry| entry.resolved.as_deref()).map(shown);
    let flag = |read: fn(&Entry) -> bool| entry.is_some_and(read);
    let needs = manifest.dependencies.iter().filter(|(group, ..)| {
        matches!(
            group.as_str(),
            "dependencies" | "optionalDependencies" | "peerDependencies"
        )
    });
    let dependencies: BTreeSet<String> = needs
        .filter_map(|(_, name, _)| disk.resolve(path, name))
        .collect();
    InstalledPackage {
        purl: purl(&name, &version),
        path: path.to_owned(),
        integrity: stated
            .as_deref()
            .and_then(|text| Integrity::parse(text).ok()),
        resolved: if local {
            Some(format!("file:{path}"))
        } else {
            stated_place
        },
        dev: flag(|entry| entry.dev || entry.dev_optional),
        optional: flag(|entry| entry.optional || entry.dev_optional),
        bundled: flag(|entry| entry.in_bundle),
        retained: false,
        local,
        scripts: scripts(found, local),
        dependencies: dependencies.into_iter().collect(),
        details: BTreeMap::new(),
        name,
        version,
    }
}

/// Install-time code that a package states, and the native build that npm adds by itself.
fn scripts(found: &Found, local: bool) -> Vec<Script> {
    let hooks = if local {
        manifest::PROJECT_HOOKS
    } else {
        manifest::PACKAGE_HOOKS
    };
    let stated = found.manifest.hooks(hooks);
    let mut scripts: Vec<Script> = stated
        .map(|(name, command)| Script {
            name: name.to_owned(),
            command: command.to_owned(),
        })
        .collect();
    let own = |name: &str| found.manifest.scripts.contains_key(name);
    if found.gyp && !found.manifest.no_gyp && !own("install") && !own("preinstall") {
        scripts.push(Script {
            name: "binding.gyp".to_owned(),
            command: "node-gyp rebuild".to_owned(),
        });
    }
    scripts
}

/// The address of a package without credentials.
fn shown(resolved: &str) -> String {
    url::Url::parse(resolved).map_or_else(|_error| resolved.to_owned(), |url| redact_url(&url))
}

/// Package URL of an npm package.
pub(super) fn purl(name: &str, version: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'-')
        .remove(b'.')
        .remove(b'_')
        .remove(b'~');
    let parts: Vec<String> = name
        .split('/')
        .map(|part| utf8_percent_encode(part, PLAIN).to_string())
        .collect();
    let version = utf8_percent_encode(version, PLAIN);
    format!("pkg:npm/{}@{version}", parts.join("/"))
}

/// Differences between disk, npm's record and the lockfile.
fn compare(disk: &Disk, recorded: Option<&Lock>, promised: Option<&Lock>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut differ = |subject: &str, message: String| {
        findings.push(Finding::new(Code::ViewMismatch, subject, message));
    };
    if disk.cut {
        differ(
            "node_modules",
            format!("has more than {PACKAGES} packages, so that not all were looked at"),
        );
    }
    for path in &disk.broken {
        differ(
            path,
            "is on disk without a readable package.json".to_owned(),
        );
    }
    if let Some(recorded) = recorded {
        for (path, entry) in recorded
            .packages
            .iter()
            .filter(|(path, _)| !path.is_empty())
        {
            if let Some(message) = on_disk(disk, path, entry) {
                differ(path, message);
            }
        }
        for (path, found) in &disk.packages {
            let elsewhere = || {
                recorded
                    .packages
                    .iter()
                    .any(|(other, entry)| is_package(path, found, other, entry))
            };
            let known = recorded.packages.contains_key(path);
            if !known && (!path.contains(STORE) || !elsewhere()) {
                differ(path, "is on disk, but npm did not record it".to_owned());
            }
        }
    }
    if let (Some(recorded), Some(promised)) = (recorded, promised) {
        findings.extend(against_lock(recorded, promised));
    }
    let more = findings.len().saturating_sub(LISTED);
    findings.truncate(LISTED);
    if more > 0 {
        let message = format!("{more} more differences");
        findings.push(Finding::new(Code::ViewMismatch, "node_modules", message));
    }
    findings
}

/// Differences between npm's record and the lockfile.
fn against_lock(recorded: &Lock, promised: &Lock) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut differ = |subject: &str, message: &str| {
        findings.push(Finding::new(Code::ViewMismatch, subject, message));
    };
    let linked = recorded.packages.keys().any(|path| path.contains(STORE));
    for (path, entry) in &recorded.packages {
        let folder = entry.version.is_none() && path.contains(STORE);
        if path.is_empty() || entry.link || entry.extraneous || folder {
            continue;
        }
        match counterpart(promised, linked, path, entry) {
            None => differ(path, "was installed, but the lockfile does not have it"),
            Some(wanted) if wanted.version != entry.version => {
                let version = |entry: &Entry| entry.version.clone().unwrap_or_default();
                let message = format!(
                    "is {}, but the lockfile says {}",
                    version(entry),
                    version(wanted)
                );
                differ(path, &message);
            }
            Some(wanted) if contradict(wanted, entry) => {
                differ(path, "has another digest than the lockfile says");
            }
            Some(_) => {}
        }
    }
    // A filter for workspaces installs a part; what is optional or for development may be left out.
    let partial = promised.packages.values().any(|entry| entry.link);
    let needed = |entry: &Entry| {
        let spare = entry.dev || entry.optional || entry.dev_optional || entry.peer;
        !(spare || entry.extraneous || partial)
    };
    for (path, entry) in &promised.packages {
        if !path.is_empty() && needed(entry) && counterpart(recorded, linked, path, entry).is_none()
        {
            differ(path, "is in the lockfile, but was not installed");
        }
    }
    findings
}

/// The entry of another record for the same package. The linked layout has other paths than the
/// lockfile: there a package is found by identity.
fn counterpart<'a>(lock: &'a Lock, linked: bool, path: &str, entry: &Entry) -> Option<&'a Entry> {
    if !linked {
        return lock.packages.get(path);
    }
    let same = |(other, candidate): &(&String, &Entry)| {
        candidate.version == entry.version && name_of(other, candidate) == name_of(path, entry)
    };
    lock.packages.iter().find(same).map(|(_, found)| found)
}

fn name_of<'a>(path: &'a str, entry: &'a Entry) -> &'a str {
    entry
        .name
        .as_deref()
        .unwrap_or_else(|| lockfile::folder_name(path))
}

/// What is wrong on disk with a place that npm recorded.
fn on_disk(disk: &Disk, path: &str, entry: &Entry) -> Option<String> {
    if entry.link {
        return (!disk.links.contains_key(path))
            .then(|| "was recorded as a link that is not there".to_owned());
    }
    if entry.version.is_none() && path.contains(STORE) {
        return None;
    }
    // Directories of the project itself are not npm's to make or remove.
    if !path.contains("node_modules/") {
        return None;
    }
    let Some(found) = disk
        .packages
        .get(path)
        .or_else(|| in_store(disk, path, entry))
    else {
        let known = disk.broken.iter().any(|broken| broken == path);
        return (!known).then(|| "was recorded by npm, but is not on disk".to_owned());
    };
    if entry.version != found.manifest.version {
        let version = |version: &Option<String>| version.clone().unwrap_or_default();
        return Some(format!(
            "is {} on disk, but npm recorded {}",
            version(&found.manifest.version),
            version(&entry.version)
        ));
    }
    let name = entry
        .name
        .as_deref()
        .unwrap_or_else(|| lockfile::folder_name(path));
    let own = found.manifest.name.as_deref().unwrap_or(name);
    (own != name).then(|| format!("is `{own}` on disk, but npm recorded `{name}`"))
}

/// Earlier npm releases recorded the linked layout under the paths of the ordinary one.
fn in_store<'a>(disk: &'a Disk, path: &str, entry: &Entry) -> Option<&'a Found> {
    let mut stored = disk
        .packages
        .iter()
        .filter(|(other, _)| other.contains(STORE));
    let hit = stored.find(|(other, found)| is_package(other, found, path, entry));
    hit.map(|(_, found)| found)
}

/// Whether a place on disk holds the package of a record.
fn is_package(place: &str, found: &Found, path: &str, entry: &Entry) -> bool {
    let own = found
        .manifest
        .name
        .as_deref()
        .unwrap_or_else(|| lockfile::folder_name(place));
    own == name_of(path, entry) && found.manifest.version == entry.version
}

/// Whether two records state digests that cannot both hold.
fn contradict(one: &Entry, other: &Entry) -> bool {
    let parse = |entry: &Entry| {
        entry
            .integrity
            .as_deref()
            .and_then(|text| Integrity::parse(text).ok())
    };
    match (parse(one), parse(other)) {
        (Some(one), Some(other)) => !one.agrees_with(&other),
        _ => false,
    }
}
