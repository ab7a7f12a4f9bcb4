//! Reads an environment back: before the start for what is there, afterwards for what was installed.
//!
//! Three views are compared: pip's report, the metadata directories, and the files themselves with
//! the digests that the installed lists state; what the proxy released is compared with all of them
//! by the assessment. Everything is untrusted; links are not followed, and reads are bounded.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use super::asked::Requirement;
use super::distribution::{self, Distribution, Entry};
use super::report::{self, Reported};
use super::scheme::Install;
use crate::manager::{Installed, Prepared, Snapshot};
use crate::model::{Code, Finding, InstalledPackage, Integrity};
use crate::verify::{Hashed, many};

/// Differences that are listed.
const LISTED: usize = 20;
/// Notes from the preparation.
const PLACES: &str = "package-directory-";
const REPORT: &str = "report";
const MARKER: &str = "marker-";

/// What [`inspect`] has to know of the plan.
pub(in crate::manager) fn notes(
    install: &Install,
    report: Option<&Path>,
    requirements: &[Requirement],
) -> BTreeMap<String, String> {
    let mut notes = BTreeMap::new();
    for (number, place) in install.packages.iter().enumerate() {
        if let Some(place) = place.to_str() {
            notes.insert(format!("{PLACES}{number}"), place.to_owned());
        }
    }
    if let Some(report) = report.and_then(Path::to_str) {
        notes.insert(REPORT.to_owned(), report.to_owned());
    }
    for requirement in requirements
        .iter()
        .filter(|requirement| !requirement.constraint)
    {
        if let Some(marker) = &requirement.marker {
            notes.insert(format!("{MARKER}{}", requirement.name), marker.clone());
        }
    }
    notes
}

fn places(prepared: &Prepared) -> Vec<PathBuf> {
    let noted = prepared.notes.iter();
    let mut places: Vec<PathBuf> = noted
        .filter(|(key, _)| key.starts_with(PLACES))
        .map(|(_, place)| PathBuf::from(place))
        .collect();
    places.dedup();
    places
}

/// Install path of a distribution: its metadata directory, relative to the environment.
fn path_of(prepared: &Prepared, distribution: &Distribution) -> String {
    let full = distribution.place.join(&distribution.folder);
    let below = full.strip_prefix(&prepared.project.root).unwrap_or(&full);
    below.to_string_lossy().into_owned()
}

/// What is installed before the start.
pub(in crate::manager) fn snapshot(prepared: &Prepared) -> Snapshot {
    if !prepared.installs {
        return Snapshot::new();
    }
    let all = places(prepared).into_iter();
    let all = all.flat_map(|place| distribution::read(&place, false).0);
    all.map(|found| (path_of(prepared, &found), Some(found.identity)))
        .collect()
}

/// The environment after the run.
pub(in crate::manager) fn inspect(prepared: &Prepared, before: &Snapshot) -> Installed {
    if !prepared.installs {
        return Installed::default();
    }
    let mut findings = Vec::new();
    let mut found = Vec::new();
    for place in places(prepared) {
        let (distributions, broken) = distribution::read(&place, true);
        found.extend(distributions);
        findings.extend(
            broken
                .into_iter()
                .map(|name| differ(&name, "has no metadata that can be read".to_owned())),
        );
    }
    let reported = match prepared
        .notes
        .get(REPORT)
        .map(|path| report::read(Path::new(path)))
    {
        Some(Ok(reported)) => reported,
        Some(Err(why)) => {
            findings.push(differ("pip's report", format!("cannot be read: {why}")));
            None
        }
        None => None,
    };
    let retained = |distribution: &Distribution| {
        let earlier = before.get(&path_of(prepared, distribution));
        earlier.is_some_and(|earlier| earlier.as_deref() == Some(&distribution.identity))
    };
    let fresh: Vec<&Distribution> = found.iter().filter(|found| !retained(found)).collect();
    if let Some(reported) = &reported {
        findings.extend(compare(reported, &found, &fresh));
    }
    findings.extend(all_altered(&fresh));
    let more = findings.len().saturating_sub(LISTED);
    findings.truncate(LISTED);
    if more > 0 {
        findings.push(differ("environment", format!("{more} more differences")));
    }
    let paths: BTreeMap<&str, String> = found
        .iter()
        .map(|found| (found.name.as_str(), path_of(prepared, found)))
        .collect();
    let packages = found.iter().map(|distribution| {
        let kept = retained(distribution);
        let entry = reported
            .as_ref()
            .and_then(|all| all.get(&distribution.name));
        let marker = prepared
            .notes
            .get(&format!("{MARKER}{}", distribution.name));
        InstalledPackage {
            path: path_of(prepared, distribution),
            retained: kept,
            // No run installs a directory, whatever a file of the package says.
            local: kept && distribution.is_directory(),
            ..package(distribution, entry.filter(|_| !kept), marker, &paths)
        }
    });
    let packages: Vec<InstalledPackage> = packages.collect();
    let direct = found.iter().filter(|found| found.requested);
    Installed {
        direct: direct.map(|found| path_of(prepared, found)).collect(),
        packages,
        findings,
        chooses: reported.is_some(),
    }
}

fn differ(subject: &str, message: String) -> Finding {
    Finding::new(Code::ViewMismatch, subject, message)
}

fn package(
    distribution: &Distribution,
    reported: Option<&Reported>,
    marker: Option<&String>,
    paths: &BTreeMap<&str, String>,
) -> InstalledPackage {
    let extras: BTreeSet<String> = reported
        .iter()
        .flat_map(|reported| reported.extras.iter().cloned())
        .collect();
    let needs = distribution.requires.iter();
    let needs = needs.filter_map(|line| distribution::needed(line, &extras));
    let needs: BTreeSet<String> = needs
        .filter_map(|name| paths.get(name.as_str()).cloned())
        .collect();
    let asked = reported.map_or(distribution.requested, |reported| reported.requested);
    let mut details = BTreeMap::new();
    details.insert("requested".to_owned(), asked.to_string());
    if let Some(file) = reported.and_then(|reported| reported.file.clone()) {
        details.insert("file".to_owned(), file);
    }
    if !extras.is_empty() {
        let text: Vec<&str> = extras.iter().map(String::as_str).collect();
        details.insert("extras".to_owned(), text.join(","));
    }
    if let Some(marker) = marker {
        details.insert("marker".to_owned(), marker.clone());
    }
    if let Some(installer) = &distribution.installer {
        details.insert("installer".to_owned(), installer.clone());
    }
    InstalledPackage {
        purl: purl(&distribution.name, &distribution.version),
        name: distribution.name.clone(),
        version: distribution.version.clone(),
        path: String::new(),
        integrity: reported
            .and_then(|reported| reported.digest.clone())
            .map(Integrity::of),
        resolved: reported.map(|reported| reported.url.clone()),
        dev: false,
        optional: false,
        bundled: false,
        retained: false,
        local: false,
        scripts: Vec::new(),
        dependencies: needs.into_iter().collect(),
        details,
    }
}

/// The package URL of a distribution.
pub(in crate::manager) fn purl(name: &str, version: &str) -> String {
    let made = packageurl::PackageUrl::new("pypi", name).and_then(|mut purl| {
        purl.with_version(version)?;
        Ok(purl.to_string())
    });
    // Only what is no package at all has no address; it is shown as it stands.
    made.unwrap_or_else(|_| format!("pkg:pypi/{name}"))
}

/// Differences between pip's report and the metadata directories.
fn compare(
    reported: &BTreeMap<String, Reported>,
    found: &[Distribution],
    fresh: &[&Distribution],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, entry) in reported {
        let mut same = found.iter().filter(|found| found.name == *name);
        match same.next() {
            None => findings.push(differ(
                name,
                format!(
                    "pip reports {} as installed, but it is not there",
                    entry.version
                ),
            )),
            Some(only) if same.next().is_none() && only.version != entry.version => {
                let message = format!("is {}, but pip reports {}", only.version, entry.version);
                findings.push(differ(name, message));
            }
            Some(_) => {}
        }
    }
    for distribution in fresh {
        if !reported.contains_key(&distribution.name) {
            let message = "is new, but pip does not report it".to_owned();
            findings.push(differ(&distribution.name, message));
        }
    }
    findings
}

/// [`altered`] of all, in their order.
fn all_altered(fresh: &[&Distribution]) -> Vec<Finding> {
    let found = many::each(fresh, |distribution| altered(distribution));
    found.into_iter().flatten().collect()
}

/// Files of a new distribution that are not what its list says.
fn altered(distribution: &Distribution) -> Vec<Finding> {
    let label = format!("{} {}", distribution.name, distribution.version);
    let Some(files) = &distribution.files else {
        return vec![differ(
            &label,
            "has no list of its files that can be read".to_owned(),
        )];
    };
    let differences = files.iter().filter_map(|entry| {
        let why = difference(entry)?;
        Some(differ(&label, format!("`{}` {why}", entry.path.display())))
    });
    differences.take(LISTED + 1).collect()
}

fn difference(entry: &Entry) -> Option<String> {
    // Compiled files and the list itself have no digest.
    let stated = entry.digest.as_ref()?;
    let Ok(data) = std::fs::symlink_metadata(&entry.path) else {
        return Some("is listed, but not there".to_owned());
    };
    if !data.is_file() {
        return Some("is listed as a file and is none".to_owned());
    }
    if entry.size.is_some_and(|size| size != data.len()) {
        return Some(format!(
            "has {} bytes, another size than listed",
            data.len()
        ));
    }
    let promise = Integrity::of(stated.clone());
    let hashed = File::open(&entry.path).and_then(|file| Hashed::read(file, [&promise]));
    match hashed.map(|hashed| hashed.verify([&promise]).is_ok()) {
        Ok(true) => None,
        Ok(false) => Some(format!("has another digest than listed: {stated}")),
        Err(error) => Some(format!("cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Algorithm, Digest};

    fn reported(version: &str) -> Reported {
        Reported {
            version: version.to_owned(),
            url: "https://index.invalid/leaf-1-py3-none-any.whl".to_owned(),
            file: Some("leaf-1-py3-none-any.whl".to_owned()),
            digest: Digest::new(Algorithm::Sha256, vec![1; 32]).ok(),
            requested: true,
            extras: vec!["x".to_owned()],
        }
    }

    fn leaf(version: &str) -> Distribution {
        Distribution {
            name: "leaf".to_owned(),
            version: version.to_owned(),
            requires: vec!["oak ; extra == 'x'".to_owned(), "fern".to_owned()],
            ..Distribution::default()
        }
    }

    #[test]
    fn report_and_metadata_are_compared() {
        let one = BTreeMap::from([("leaf".to_owned(), reported("1"))]);
        let messages = |report: &BTreeMap<String, Reported>, found: &[Distribution]| {
            let fresh: Vec<&Distribution> = found.iter().collect();
            let findings = compare(report, found, &fresh);
            findings.into_iter().map(|f| f.message).collect::<Vec<_>>()
        };
        assert_eq!(messages(&one, &[leaf("1")]), [""; 0]);
        assert!(messages(&one, &[])[0].contains("not there"));
        assert!(messages(&one, &[leaf("2")])[0].contains("pip reports 1"));
        assert!(messages(&BTreeMap::new(), &[leaf("1")])[0].contains("does not report"));
    }

    #[test]
    fn files_are_compared_with_their_list() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.py");
        std::fs::write(&path, "text").unwrap();
        let right = crate::manager::read::sha256(b"text");
        let entry = |digest: Option<Digest>, size| Entry {
            path: path.clone(),
            digest,
            size,
        };
        assert_eq!(difference(&entry(right.clone(), Some(4))), None);
        assert_eq!(difference(&entry(None, Some(9))), None);
        let text = difference(&entry(right.clone(), Some(9))).unwrap();
        assert!(text.contains("another size"), "{text}");
        let wrong = crate::manager::read::sha256(b"other");
        let text = difference(&entry(wrong, Some(4))).unwrap();
        assert!(text.contains("another digest"), "{text}");
        let gone = Entry {
            path: directory.path().join("gone"),
            ..entry(right, None)
        };
        assert!(difference(&gone).unwrap().contains("not there"));
        let files = leaf("1");
        assert!(altered(&files)[0].message.contains("no list"));
        let many: Vec<Distribution> = (10..60).map(|number| leaf(&number.to_string())).collect();
        let found = all_altered(&many.iter().collect::<Vec<_>>());
        let subjects: Vec<String> = found.into_iter().map(|found| found.subject).collect();
        let expected: Vec<String> = (10..60).map(|number| format!("leaf {number}")).collect();
        assert_eq!(subjects, expected);
    }

    #[test]
    fn what_the_report_says_goes_into_the_record() {
        let paths = BTreeMap::from([("oak", "p/oak".to_owned()), ("fern", "p/fern".to_owned())]);
        let marker = "python_version > '3'".to_owned();
        let entry = reported("1");
        let package = package(&leaf("1"), Some(&entry), Some(&marker), &paths);
        assert_eq!(package.purl, "pkg:pypi/leaf@1");
        assert_eq!(package.dependencies, ["p/fern", "p/oak"]);
        assert_eq!(package.details["marker"], marker);
        assert_eq!(package.details["extras"], "x");
        assert!(package.integrity.is_some());
        let package = super::package(&leaf("1"), None, None, &paths);
        assert_eq!(package.dependencies, ["p/fern"]);
        assert_eq!(package.details["requested"], "false");
    }
}
