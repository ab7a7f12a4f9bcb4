//! What a run used of the local repository, told from what happened.
//!
//! The local repository is shared by all projects of a user, so it is no install tree: what belongs to
//! this run is what the proxy released and what Maven opened, each with the digest that was compared.
//! POMs are no components of their own; the digest of a component's POM stands with it. A component
//! that was handed out as code is marked so. Which of them a project depends on and which only a
//! plugin needs is Maven's to say and is not told apart here.

use std::collections::BTreeMap;
use std::path::Path;

use packageurl::PackageUrl;

use crate::manager::{Installed, Prepared, Snapshot};
use crate::model::maven::Coordinates;
use crate::model::{Decision, Digest, Event, InstalledPackage, Integrity};

/// The note with the directory of the local repository.
const LOCAL: &str = "local";

/// The note with the goals.
const GOALS: &str = "goals";

/// What [`used`] wants to know again.
pub(super) fn notes(local: &Path, goals: &str) -> BTreeMap<String, String> {
    let entry = |key: &str, value: String| (key.to_owned(), value);
    BTreeMap::from([
        entry(LOCAL, local.display().to_string()),
        entry(GOALS, goals.to_owned()),
    ])
}

/// Nothing: what lies in the local repository before a run says nothing about the run.
pub(super) fn snapshot(_prepared: &Prepared) -> Snapshot {
    Snapshot::new()
}

/// Nothing is read back; see [`used`].
pub(super) fn inspect(_prepared: &Prepared, _before: &Snapshot) -> Installed {
    Installed {
        chooses: true,
        ..Installed::default()
    }
}

/// One file of a version, as far as it took part.
#[derive(Default)]
struct Part {
    digest: Option<Digest>,
    address: Option<String>,
    /// Whether it was released in this run.
    fetched: bool,
    /// What Maven got: as code, or a view.
    handed: Option<&'static str>,
}

/// See [`crate::manager::Manager::used`].
pub(super) fn used(notes: &BTreeMap<String, String>, events: &[Event]) -> Vec<InstalledPackage> {
    let Some(local) = notes.get(LOCAL) else {
        return Vec::new();
    };
    let opened = |path: &str| {
        let below = Path::new(path).strip_prefix(local).ok()?;
        Coordinates::from_path(below.to_str()?)
    };
    let mut parts: BTreeMap<Coordinates, Part> = BTreeMap::new();
    for event in events {
        if let Event::Released(released) = event {
            let Some(coordinates) = fetched(&released.name, &released.url) else {
                continue;
            };
            let part = parts.entry(coordinates).or_default();
            part.digest = Some(released.sha256.clone());
            part.address = Some(released.url.clone());
            part.fetched = true;
        } else if let Event::Call {
            subject,
            decision: Decision::Allowed,
            digest: Some(digest),
            ..
        } = event
        {
            if let Some(coordinates) = opened(subject) {
                let part = parts.entry(coordinates).or_default();
                part.digest.get_or_insert_with(|| digest.clone());
            }
        } else if let Event::HandedOut { path, trusted, .. } = event
            && let Some(coordinates) = opened(path)
        {
            let handed = if trusted.is_some() { "code" } else { "view" };
            parts.entry(coordinates).or_default().handed = Some(handed);
        }
    }
    let pom = |coordinates: &Coordinates| parts.get(&coordinates.pom())?.digest.clone();
    let components = parts.iter().filter(|(one, _)| one.extension != "pom");
    components
        .filter_map(|(coordinates, part)| component(coordinates, part, pom(coordinates)))
        .collect()
}

/// The coordinates of an address: the group says where the path of the repository ends.
fn fetched(name: &str, address: &str) -> Option<Coordinates> {
    let (group, artifact) = name.split_once(':')?;
    let start = format!("/{}/{artifact}/", group.replace('.', "/"));
    let at = address.rfind(&start)?;
    Coordinates::from_path(address.get(at + 1..)?)
}

fn component(
    coordinates: &Coordinates,
    part: &Part,
    pom: Option<Digest>,
) -> Option<InstalledPackage> {
    let mut details = BTreeMap::new();
    let mut detail = |key: &str, value: Option<String>| {
        details.extend(value.map(|value| (key.to_owned(), value)));
    };
    detail("file", Some(coordinates.file()));
    detail("pom", pom.map(|digest| digest.to_string()));
    detail("handed-out", part.handed.map(str::to_owned));
    Some(InstalledPackage {
        purl: purl(coordinates)?,
        name: coordinates.name(),
        version: coordinates.version.clone(),
        path: coordinates.path(),
        integrity: part.digest.clone().map(Integrity::of),
        resolved: part.address.clone(),
        dev: false,
        optional: false,
        bundled: false,
        retained: !part.fetched,
        local: false,
        scripts: Vec::new(),
        dependencies: Vec::new(),
        details,
    })
}

fn purl(coordinates: &Coordinates) -> Option<String> {
    let mut purl = PackageUrl::new("maven", coordinates.artifact.clone()).ok()?;
    purl.with_namespace(coordinates.group.clone()).ok()?;
    purl.with_version(coordinates.version.clone()).ok()?;
    purl.add_qualifier("type", coordinates.extension.clone())
        .ok()?;
    if let Some(classifier) = &coordinates.classifier {
        purl.add_qualifier("classifier", classifier.clone()).ok()?;
    }
    Some(purl.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Algorithm, Anchor, Released, Source};

    fn digest(algorithm: Algorithm, byte: u8) -> Digest {
        let size = if algorithm == Algorithm::Sha512 {
            64
        } else {
            32
        };
        Digest::new(algorithm, vec![byte; size]).unwrap()
    }

    fn released(path: &str, byte: u8) -> Event {
        Event::Released(Released {
            repository: "r".into(),
            name: "org.x:a".into(),
            version: "1.0".into(),
            url: format!("https://r.invalid/maven2/{path}"),
            size: 1,
            sha256: digest(Algorithm::Sha256, byte),
            sha512: Some(digest(Algorithm::Sha512, byte)),
            anchor: Anchor::SideFile,
            source: Source::Network,
        })
    }

    #[test]
    fn what_was_fetched_or_opened_is_a_component_and_a_pom_is_none() {
        let events = [
            released("org/x/a/1.0/a-1.0.pom", 1),
            released("org/x/a/1.0/a-1.0.jar", 2),
            released("org/x/a/1.0/a-1.0-sources.jar", 3),
            Event::Call {
                call: "openat".into(),
                subject: "/r/org/y/b/2.0/b-2.0.jar".into(),
                decision: Decision::Allowed,
                digest: Some(digest(Algorithm::Sha256, 4)),
            },
            Event::HandedOut {
                path: "/r/org/y/b/2.0/b-2.0.jar".into(),
                sha256: digest(Algorithm::Sha256, 4),
                trusted: None,
            },
            Event::Call {
                call: "openat".into(),
                subject: "/elsewhere/org/y/c/2.0/c-2.0.jar".into(),
                decision: Decision::Allowed,
                digest: Some(digest(Algorithm::Sha256, 5)),
            },
        ];
        let used = used(&notes(Path::new("/r"), "dependency:resolve"), &events);
        let purls: Vec<_> = used.iter().map(|one| one.purl.as_str()).collect();
        assert_eq!(
            purls,
            [
                "pkg:maven/org.x/a@1.0?type=jar",
                "pkg:maven/org.x/a@1.0?classifier=sources&type=jar",
                "pkg:maven/org.y/b@2.0?type=jar",
            ]
        );
        assert!(used[0].details["pom"].starts_with("sha256-") && !used[0].retained);
        assert!(used[2].retained && used[2].details["handed-out"] == "view");
    }
}
